//! Smaller data: fewer operations, rows, fields, and plainer values.

use std::collections::BTreeSet;

use super::{filter, value};
use crate::case::{Case, Check, Maintenance, Operation, Scope};
use crate::filter::{Expr, Filter};
use crate::schema::{DataType, Field};
use crate::value::{Key, META, Row, Value};

/// Only some of the rows, whatever the operation that writes them: those with one key, or those
/// with any of them. Where a divergence names rows, they are most likely all it takes.
pub(super) fn only_rows(case: &Case, keys: &[Key]) -> Vec<Case> {
    /// A divergence may name hundreds.
    const ALONE: usize = 4;
    let keep = |keys: &[Key]| {
        let mut kept = case.clone();
        let is_kept = |row: &&Row| row.key(&case.schema).is_some_and(|key| keys.contains(&key));
        kept.operations.retain_mut(|operation| {
            if let Some(deleted) = operation.deleted_mut() {
                deleted.retain(|key| keys.contains(key));
                return !deleted.is_empty();
            }
            let rows = operation.rows().iter().filter(is_kept).cloned().collect::<Vec<_>>();
            match operation.with_rows(rows) {
                Some(smaller) => *operation = smaller,
                None => return true,
            }
            !operation.rows().is_empty()
        });
        kept
    };
    let alone = keys.iter().take(ALONE).map(|key| keep(std::slice::from_ref(key)));
    alone.chain((keys.len() > 1).then(|| keep(keys))).collect()
}

/// From so many rows on, large parts are tried first.
const MANY: usize = 8;

/// Large parts of the rows kept, or taken away: cheap to list where there are many rows.
pub(super) fn large_parts(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
    for (i, operation) in case.operations.iter().enumerate() {
        let rows = operation.rows();
        // Of few rows, `fewer_rows` tries all parts.
        if rows.len() < MANY {
            continue;
        }
        for chunk in [2, 4, 8].map(|parts| rows.len().div_ceil(parts)) {
            for start in (0..rows.len()).step_by(chunk.max(1)) {
                let (before, rest) = rows.split_at(start);
                let (part, after) = rest.split_at(chunk.min(rest.len()));
                for rows in [part.to_vec(), [before, after].concat()] {
                    let mut smaller = case.clone();
                    if let Some(operation) = operation.with_rows(rows) {
                        smaller.operations[i] = operation;
                        all.push(smaller);
                    }
                }
            }
        }
    }
    all
}

/// Fewer operations, or fewer rows in them.
pub(super) fn fewer_rows(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
    let with = |operations: Vec<Operation>| Case { operations, ..case.clone() };
    // Runs of steps, down to single ones.
    all.extend(parts(&case.operations).into_iter().map(with));
    if case.operations.len() == 1 {
        all.push(with(Vec::new()));
    }
    let kinds: [fn(&Operation) -> bool; 3] = [
        |step| !matches!(step, Operation::Ask(_)),
        |step| !matches!(step, Operation::Maintain(_)),
        |step| !matches!(step, Operation::Ask(_) | Operation::Maintain(_)),
    ];
    for keeps in kinds {
        all.push(with(case.operations.iter().filter(|step| keeps(step)).cloned().collect()));
    }
    // What stays at the end, written at once.
    if case.operations.len() > 1 {
        all.push(with(vec![Operation::Insert(case.rows().into_values().collect())]));
    }
    for (i, operation) in case.operations.iter().enumerate() {
        for smaller in smaller_steps(case, i, operation) {
            let mut operations = case.operations.clone();
            operations[i] = smaller;
            all.push(with(operations));
        }
    }
    all.extend(fewer_partitions(case));
    all.extend(fewer_aliases(case));
    all
}

/// Smaller operations in the place of the one with this number.
fn smaller_steps(case: &Case, number: usize, operation: &Operation) -> Vec<Operation> {
    let mut all = Vec::new();
    match operation {
        Operation::Insert(rows) => {
            all.extend(parts(rows).into_iter().map(Operation::Insert));
        }
        Operation::Upsert(rows) => {
            all.push(Operation::Insert(rows.clone()));
            all.extend(parts(rows).into_iter().map(Operation::Upsert));
        }
        Operation::Delete(keys) => {
            all.extend(parts(keys).into_iter().map(Operation::Delete));
        }
        Operation::Patch(rows) => {
            let key = &case.schema.primary().name;
            all.extend(parts(rows).into_iter().map(Operation::Patch));
            for (r, row) in rows.iter().enumerate() {
                for name in row.fields.keys().filter(|name| *name != key) {
                    let mut rows = rows.clone();
                    rows[r].fields.remove(name);
                    all.push(Operation::Patch(rows));
                }
            }
        }
        Operation::Into { partition, write } => {
            all.push((**write).clone());
            let inside = smaller_steps(case, number, write).into_iter();
            all.extend(inside.map(|smaller| smaller.into_partition(Some(partition))));
        }
        Operation::DeleteWhere(filter) => {
            let gone = gone_by(case, number, operation);
            if !gone.is_empty() {
                all.push(Operation::Delete(gone));
            }
            let smaller = filter::filters(&filter.expr).into_iter();
            all.extend(smaller.map(|smaller| Operation::DeleteWhere(smaller.into())));
            let plain = Filter::from(filter.expr.clone());
            if *filter != plain {
                all.push(Operation::DeleteWhere(plain));
            }
        }
        Operation::Ask(check) => {
            if *check != Check::Entities {
                all.push(Operation::Ask(Check::Entities));
            }
            if !check.scope().is_whole() {
                all.push(Operation::Ask(check.plain().clone()));
            }
            if let Some(filter) = check.filter() {
                let smaller = filter::filters(filter).into_iter();
                all.extend(smaller.map(|smaller| Operation::Ask(check.with_filter(smaller))));
            }
        }
        Operation::Maintain(Maintenance::Kill) => {
            all.push(Operation::Maintain(Maintenance::Restart));
        }
        Operation::Maintain(Maintenance::KillInWrite { .. }) => {
            all.push(Operation::Maintain(Maintenance::Kill));
        }
        Operation::Maintain(Maintenance::Rebuild { .. }) => {
            all.push(Operation::Maintain(Maintenance::Reload));
        }
        // Without its addition, a field is there from the beginning: see `parts`.
        Operation::AddField(_)
        | Operation::Maintain(_)
        | Operation::CreateAlias(_)
        | Operation::AlterAlias { .. }
        | Operation::DropAlias(_)
        | Operation::CreatePartition(_)
        | Operation::DropPartition(_)
        | Operation::Recreate => {}
    }
    all
}

/// The case without one of its partitions, whose rows are in the default one then. What a partition
/// is dropped for may be that it is released, and what is in memory written out: a flush does that.
fn fewer_partitions(case: &Case) -> Vec<Case> {
    let mut names = BTreeSet::new();
    for operation in &case.operations {
        if let Operation::CreatePartition(name) = operation {
            names.insert(name.clone());
        }
    }
    let without = |gone: &String, flushes: bool| {
        let asked = |check: &Check| {
            let mut scope = check.scope().clone();
            scope.partitions.retain(|name| name != gone);
            check.plain().clone().within(&scope)
        };
        let mut smaller = case.clone();
        smaller.operations.retain_mut(|operation| {
            if operation.partition() == Some(gone) {
                *operation = operation.plain().clone();
            }
            match operation {
                Operation::Ask(check) => *check = asked(check),
                Operation::CreatePartition(name) if name == gone => return false,
                Operation::DropPartition(name) if name == gone && flushes => {
                    *operation = Operation::Maintain(Maintenance::Flush);
                }
                Operation::DropPartition(name) if name == gone => return false,
                _ => {}
            }
            true
        });
        smaller.checks = case.checks.iter().map(asked).collect();
        smaller
    };
    names.iter().flat_map(|name| [without(name, false), without(name, true)]).collect()
}

/// The case without its aliases, or with aliases that stay where they are.
fn fewer_aliases(case: &Case) -> Vec<Case> {
    let named = |check: &Check| {
        let scope = Scope { alias: None, ..check.scope().clone() };
        check.plain().clone().within(&scope)
    };
    let alters = |step: &Operation| matches!(step, Operation::AlterAlias { .. });
    let is_of_alias = |step: &Operation| {
        alters(step) || matches!(step, Operation::CreateAlias(_) | Operation::DropAlias(_))
    };
    if !case.operations.iter().any(is_of_alias) {
        return Vec::new();
    }
    let mut still = case.clone();
    still.operations.retain(|step| !alters(step));
    let mut without = case.clone();
    without.operations.retain(|step| !is_of_alias(step));
    for step in &mut without.operations {
        if let Operation::Ask(check) = step {
            *check = named(check);
        }
    }
    without.checks = case.checks.iter().map(named).collect();
    vec![without, still]
}

/// The keys that an operation deletes in the place of the one with this number.
fn gone_by(case: &Case, number: usize, operation: &Operation) -> Vec<Key> {
    let rows = |operations| Case { operations, ..case.clone() }.rows();
    let before = &case.operations[..number];
    let after = rows([before, std::slice::from_ref(operation)].concat());
    let before = rows(before.to_vec());
    before.into_keys().filter(|key| !after.contains_key(key)).collect()
}

/// What is left of a list when a half, a quarter, … or one element is taken away.
fn parts<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    let mut all = Vec::new();
    if items.len() < 2 {
        return all;
    }
    let mut chunk = items.len().div_ceil(2);
    loop {
        for start in (0..items.len()).step_by(chunk) {
            let end = (start + chunk).min(items.len());
            all.push([&items[..start], &items[end..]].concat());
        }
        if chunk == 1 {
            return all;
        }
        chunk = chunk.div_ceil(2);
    }
}

/// What filters and searches name: fields, and whether keys of the dynamic field.
fn used(case: &Case) -> (BTreeSet<String>, bool) {
    let mut used = BTreeSet::new();
    let mut uses_dynamic = false;
    for check in case.questions() {
        if let Check::Search { search, .. } = check.plain() {
            used.insert(search.field.clone());
            used.extend(search.group_by.clone());
        }
    }
    for filter in case.filters() {
        filter.for_each_path(&mut |path| {
            uses_dynamic |= case.schema.field(&path.root).is_none() && !path.is_member();
            used.insert(path.root.clone());
        });
        filter.for_each_node(&mut |node| {
            if let Expr::Elements { field, .. } = node {
                used.insert(field.clone());
            }
        });
    }
    (used, uses_dynamic)
}

/// The fields that no filter and no search names.
pub(super) fn idle_fields(case: &Case) -> BTreeSet<String> {
    let (used, _) = used(case);
    let names = case.schema.fields.iter().map(|field| field.name.clone());
    names.filter(|name| !used.contains(name)).collect()
}

/// Fewer fields: all that the filters do not use, or one of them; no dynamic field; not nullable.
pub(super) fn fewer_fields(case: &Case) -> Vec<Case> {
    let (used, uses_dynamic) = used(case);
    let idle = |name: &str| !used.contains(name);
    let removable: Vec<String> = case
        .schema
        .payload()
        .filter(|field| idle(&field.name))
        .map(|field| field.name.clone())
        .collect();
    let mut all = Vec::new();
    if removable.len() > 1 {
        all.push(without_fields(case, &removable));
    }
    all.extend(removable.iter().map(|name| without_fields(case, std::slice::from_ref(name))));
    if case.schema.dynamic && !uses_dynamic {
        all.push(without_fields(case, &[META.to_owned()]));
    }
    let vectors = case.schema.fields.iter().filter(|field| field.is_vector());
    if vectors.clone().count() > 1 {
        all.extend(vectors.map(|field| without_fields(case, std::slice::from_ref(&field.name))));
    }
    for i in 0..case.schema.fields.len() {
        all.extend(plainer_fields(&case.schema.fields[i]).into_iter().map(|field| {
            let mut plainer = case.clone();
            plainer.schema.fields[i] = field;
            plainer
        }));
        let field = &case.schema.fields[i];
        if field.is_vector() && !used.contains(&field.name) {
            all.push(with_plain_vector(case, i));
        }
        // Structs have one member at least.
        if field.members.len() > 1 {
            all.extend((0..field.members.len()).map(|member| without_member(case, i, member)));
        }
    }
    all
}

/// The case with a FLOAT_VECTOR in the place of another vector: every engine has one.
fn with_plain_vector(case: &Case, field: usize) -> Case {
    let mut plainer = case.clone();
    let declared = &mut plainer.schema.fields[field];
    declared.data_type = DataType::FloatVector { dim: 2 };
    declared.metric = None;
    for operation in &mut plainer.operations {
        let rows = operation.rows_mut().iter_mut();
        for value in rows.filter_map(|row| row.fields.get_mut(&declared.name)) {
            *value = Value::Vector(vec![0.0; 2]);
        }
    }
    plainer
}

/// The case without one member of the structs in a field. Where filters name it, nobody tries that.
fn without_member(case: &Case, field: usize, member: usize) -> Case {
    let mut smaller = case.clone();
    let declared = &mut smaller.schema.fields[field];
    let gone = declared.members.remove(member).name;
    let rows = smaller.operations.iter_mut().flat_map(Operation::rows_mut);
    for row in rows {
        if let Some(Value::Structs(structs)) = row.fields.get_mut(&declared.name) {
            structs.iter_mut().for_each(|members| {
                members.remove(&gone);
            });
        }
    }
    smaller
}

/// The field without one of the things that it need not have. Where rows rely on that, the case is
/// not valid, and nobody tries it.
fn plainer_fields(field: &Field) -> Vec<Field> {
    let mut all = Vec::new();
    let mut plainer = |is: bool, change: fn(&mut Field)| {
        if is {
            let mut field = field.clone();
            change(&mut field);
            all.push(field);
        }
    };
    plainer(field.nullable, |field| field.nullable = false);
    plainer(field.default.is_some(), |field| field.default = None);
    plainer(field.partition_key, |field| field.partition_key = false);
    plainer(field.auto_id, |field| field.auto_id = false);
    plainer(field.max_length.is_some(), |field| field.max_length = None);
    plainer(field.max_capacity.is_some(), |field| field.max_capacity = None);
    plainer(field.metric.is_some(), |field| field.metric = None);
    all
}

pub(super) fn without_fields(case: &Case, names: &[String]) -> Case {
    let mut smaller = case.clone();
    smaller.schema.fields.retain(|field| !names.contains(&field.name));
    let dynamic = smaller.schema.dynamic && !names.iter().any(|name| name == META);
    smaller.schema.dynamic = dynamic;
    smaller.operations.retain(|operation| match operation {
        Operation::Maintain(
            Maintenance::Index { field, .. }
            | Maintenance::Rebuild { field, .. }
            | Maintenance::DropIndex { field },
        )
        | Operation::AddField(field) => !names.contains(field),
        _ => true,
    });
    for row in smaller.operations.iter_mut().flat_map(Operation::rows_mut) {
        row.fields.retain(|name, _| !names.contains(name));
        if !dynamic {
            row.dynamic.clear();
        }
    }
    smaller
}

/// The same rows with the values of these fields as plain as their types allow.
fn plain_rows(case: &Case, plain: &[&Field]) -> Case {
    let mut plainer = case.clone();
    for (o, operation) in plainer.operations.iter_mut().enumerate() {
        let present = case.schema_at(o);
        let partial = matches!(operation.plain(), Operation::Patch(_));
        for row in operation.rows_mut() {
            for field in plain.iter().filter(|field| present.field(&field.name).is_some()) {
                if !partial || row.fields.contains_key(&field.name) {
                    row.fields.insert(field.name.clone(), Value::plain(field));
                }
            }
        }
    }
    plainer
}

/// The same rows with one value plainer, or with all values of a field, or of all fields: most do
/// not matter. A key changes wherever it is written.
pub(super) fn plainer_values(case: &Case) -> Vec<Case> {
    let key = &case.schema.primary().name;
    let mut all = plainer_keys(case);
    let fields: Vec<&Field> = case.schema.fields.iter().filter(|f| f.name != *key).collect();
    all.extend(fields.iter().map(|field| plain_rows(case, &[*field])));
    all.push(plain_rows(case, &fields));
    for (o, operation) in case.operations.iter().enumerate() {
        let present = case.schema_at(o);
        for (r, row) in operation.rows().iter().enumerate() {
            let mut replace = |change: &dyn Fn(&mut Row)| {
                let mut smaller = case.clone();
                if let Some(row) = smaller.operations[o].rows_mut().get_mut(r) {
                    change(row);
                }
                all.push(smaller);
            };
            // A partial upsert has no more fields than it is given.
            let given = |field: &&Field| match operation.plain() {
                Operation::Patch(_) => row.fields.contains_key(&field.name),
                _ => true,
            };
            for field in present.fields.iter().filter(|f| f.name != *key).filter(given) {
                let value = row.get(&field.name);
                let zero = (*value == Value::Null).then(|| Value::plain(field));
                for plainer in value::values(value).into_iter().chain(zero) {
                    replace(&|row| {
                        row.fields.insert(field.name.clone(), plainer.clone());
                    });
                }
            }
            for plainer in value::objects(&row.dynamic) {
                replace(&|row| row.dynamic = plainer.clone());
            }
        }
    }
    all
}

fn plainer_keys(case: &Case) -> Vec<Case> {
    let name = case.schema.primary().name.clone();
    let rows = case.operations.iter().flat_map(Operation::rows);
    let keys: BTreeSet<_> = rows.filter_map(|row| row.key(&case.schema)).collect();
    let mut all = Vec::new();
    for old in &keys {
        for new in value::keys(old) {
            if keys.contains(&new) {
                continue;
            }
            let mut smaller = case.clone();
            for operation in &mut smaller.operations {
                for row in operation.rows_mut() {
                    if row.key(&case.schema).as_ref() == Some(old) {
                        row.fields.insert(name.clone(), new.clone().into());
                    }
                }
                if let Some(keys) = operation.deleted_mut() {
                    for key in keys.iter_mut().filter(|key| *key == old) {
                        *key = new.clone();
                    }
                }
            }
            all.push(smaller);
        }
    }
    all
}
