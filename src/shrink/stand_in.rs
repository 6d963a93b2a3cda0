//! Something that a case has anyway in the place of what is there for the divergence alone: neither
//! step of that would show it by itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::rows::{idle_fields, without_fields};
use crate::case::{Case, Check, DEFAULT_PARTITION, Operation, Scope};
use crate::filter::{BinaryOp, Expr, FieldPath, Literal, Step};
use crate::schema::{DataType, Field, Scalar};
use crate::value::{Key, Row, Value};

/// The same case with less in it.
pub(super) fn stand_ins(case: &Case) -> Vec<Case> {
    let mut all = as_the_key(case);
    all.extend(told_by_vectors(case));
    all.extend(one_large_integer(case));
    all.extend(partitions_swapped(case));
    all.extend(partitions_first(case));
    all
}

/// The default partition in the place of another, and the other way round.
fn partitions_swapped(case: &Case) -> Vec<Case> {
    let made: BTreeSet<&String> = case
        .operations
        .iter()
        .filter_map(|step| match step {
            Operation::CreatePartition(name) => Some(name),
            _ => None,
        })
        .collect();
    let swapped = |name: &String| {
        let other = |place: &str| match place {
            DEFAULT_PARTITION => name.clone(),
            place if place == name => DEFAULT_PARTITION.to_owned(),
            place => place.to_owned(),
        };
        let elsewhere = |check: &Check| {
            let partitions = check.scope().partitions.iter().map(|place| other(place)).collect();
            let alias = check.scope().alias.clone();
            check.clone().within(&Scope { partitions, alias })
        };
        let mut swapped = case.clone();
        for step in &mut swapped.operations {
            if let (true, Some(place)) = (step.deletes(), step.partition()) {
                *step = step.plain().clone().into_partition(Some(&other(place)));
            } else if !step.rows().is_empty() {
                let place = other(step.partition().unwrap_or(DEFAULT_PARTITION));
                let place = Some(place.as_str()).filter(|place| *place != DEFAULT_PARTITION);
                *step = step.plain().clone().into_partition(place);
            } else if let Operation::Ask(check) = step {
                *check = elsewhere(check);
            }
        }
        swapped.checks = case.checks.iter().map(elsewhere).collect();
        swapped
    };
    made.into_iter().map(swapped).collect()
}

/// A partition made at the beginning in the place of one that is made later.
fn partitions_first(case: &Case) -> Vec<Case> {
    let moved = |(place, step): (usize, &Operation)| {
        let Operation::CreatePartition(_) = step else { return None };
        let mut moved = case.clone();
        moved.operations[..=place].rotate_right(1);
        Some(moved)
    };
    case.operations.iter().enumerate().filter_map(moved).collect()
}

/// A field that no two rows have the same value of is the key itself.
fn as_the_key(case: &Case) -> Vec<Case> {
    let could_be = |field: &&Field| {
        matches!(field.data_type, DataType::Scalar(Scalar::Int64 | Scalar::VarChar))
    };
    case.schema.payload().filter(could_be).filter_map(|field| with_key(case, field)).collect()
}

fn with_key(case: &Case, field: &Field) -> Option<Case> {
    let old = case.schema.primary();
    let mut keys = BTreeMap::new();
    for operation in &case.operations {
        if matches!(operation.plain(), Operation::Patch(_)) {
            return None;
        }
        for row in operation.rows() {
            let new = match row.get(&field.name) {
                Value::Int(i) => Key::Int(*i),
                Value::Text(s) => Key::Text(s.clone()),
                _ => return None,
            };
            let key = row.key(&case.schema)?;
            if keys.insert(key, new.clone()).is_some_and(|before| before != new) {
                return None;
            }
        }
    }
    if keys.values().collect::<BTreeSet<_>>().len() < keys.len() {
        return None;
    }
    let mut smaller = case.clone();
    smaller.schema.fields.retain(|other| other.name != field.name);
    let place = smaller.schema.fields.iter_mut().find(|other| other.name == old.name)?;
    *place = Field { nullable: false, default: None, ..field.clone().primary() };
    for operation in &mut smaller.operations {
        for row in operation.rows_mut() {
            row.fields.remove(&old.name);
        }
        if let Some(deleted) = operation.deleted_mut() {
            for key in deleted {
                key.clone_from(keys.get(key)?);
            }
        }
    }
    Some(smaller)
}

/// Rows that a field tells apart are told apart by their vectors.
fn told_by_vectors(case: &Case) -> Vec<Case> {
    let idle = idle_fields(case);
    let is_plain = |field: &&Field| matches!(field.data_type, DataType::FloatVector { .. });
    let mut vectors = case.schema.fields.iter().filter(is_plain);
    let Some(vector) = vectors.find(|field| idle.contains(&field.name)) else { return Vec::new() };
    let told_by = |field: &Field| {
        let mut values: Vec<Value> = Vec::new();
        let mut smaller = without_fields(case, std::slice::from_ref(&field.name));
        let before = case.operations.iter().flat_map(Operation::rows);
        let after = smaller.operations.iter_mut().flat_map(Operation::rows_mut);
        for (before, row) in before.zip(after) {
            let Some(Value::Vector(items)) = row.fields.get_mut(&vector.name) else { continue };
            let value = before.get(&field.name);
            let number = values.iter().position(|met| met == value).unwrap_or_else(|| {
                values.push(value.clone());
                values.len() - 1
            });
            items.fill(0.0);
            if let Some(first) = items.first_mut() {
                *first = number as f32;
            }
        }
        (values.len() > 1).then_some(smaller)
    };
    let fields = case.schema.payload().filter(|field| idle.contains(&field.name));
    fields.filter_map(told_by).collect()
}

/// The first integer that a DOUBLE cannot hold.
const BEYOND_DOUBLE: i64 = (1 << 53) + 1;

/// What goes wrong with a number in a calculation may go wrong with one that is large.
fn one_large_integer(case: &Case) -> Option<Case> {
    let [check] = case.checks.as_slice() else { return None };
    let mut paths = Vec::new();
    check.filter()?.for_each_path(&mut |path| paths.push(path.clone()));
    let path = paths.pop()?;
    if paths.iter().any(|other| *other != path) {
        return None;
    }
    let mut smaller = case.clone();
    for row in smaller.operations.iter_mut().flat_map(Operation::rows_mut) {
        write(case, row, &path)?;
    }
    let number = Expr::Literal(Literal::Int(BEYOND_DOUBLE));
    let is_that = Expr::binary(Expr::Field(path), BinaryOp::Eq, number);
    smaller.checks = vec![check.with_filter(is_that)];
    Some(smaller)
}

/// Puts the number where a path leads; `None` if it cannot be there.
fn write(case: &Case, row: &mut Row, path: &FieldPath) -> Option<()> {
    let number = Json::from(BEYOND_DOUBLE);
    let below = |steps: &[Step]| {
        steps.iter().rev().try_fold(number.clone(), |inner, step| match step {
            Step::Key(key) => Some(Json::Object(Map::from_iter([(key.clone(), inner)]))),
            Step::Index(_) => None,
        })
    };
    let Some(field) = case.schema.field(&path.root) else {
        row.dynamic.insert(path.root.clone(), below(&path.steps)?);
        return Some(());
    };
    let value = match (field.data_type, path.steps.as_slice()) {
        (DataType::Scalar(Scalar::Int64), []) if !field.primary => Value::Int(BEYOND_DOUBLE),
        (DataType::Json, steps @ [_, ..]) => Value::Json(below(steps)?),
        _ => return None,
    };
    row.fields.insert(path.root.clone(), value);
    Some(())
}
