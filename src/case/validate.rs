//! What the comparison relies on.

use std::collections::BTreeSet;

use super::history::State;
use super::{
    Case, CaseError, Check, DEFAULT_PARTITION, Maintenance, Operation, Relation, Scope, Search,
    added,
};
use crate::filter::check::{Place, resolve};
use crate::filter::operator::OpClass;
use crate::filter::{self, Expr, Semantics};
use crate::schema::{DataType, Field, Metric, Schema};

impl Case {
    /// Checks what the comparison relies on: a valid schema, filters that fit it, and no key
    /// inserted while it exists.
    pub fn validate(&self) -> Result<(), CaseError> {
        self.schema.validate().map_err(|error| CaseError::Invalid(error.to_string()))?;
        for check in self.questions() {
            check.validate(&self.schema)?;
        }
        if self.schema.primary().auto_id {
            self.validate_handles()?;
        }
        let (mut state, mut later) = (State::default(), self.later());
        for operation in &self.operations {
            self.validate_step(&state, &mut later, operation)?;
            match operation.plain() {
                Operation::DeleteWhere(filter) => {
                    let fits = filter::check(&self.schema, &filter.expr);
                    fits.map_err(|error| CaseError::Invalid(error.to_string()))?;
                }
                Operation::Maintain(
                    Maintenance::Index { field, .. }
                    | Maintenance::Rebuild { field, .. }
                    | Maintenance::DropIndex { field },
                ) if self.schema.field(field).is_none() => {
                    return Err(CaseError::Invalid(format!(
                        "there is no field '{field}' to index"
                    )));
                }
                Operation::Maintain(Maintenance::Rebuild { field, kind })
                    if !self.is_exact(field, kind) =>
                {
                    return Err(CaseError::Invalid(format!(
                        "an index of '{field}' that is made anew as {kind} need not be exact; \
                         FLAT and IVF_FLAT of a FLOAT_VECTOR are"
                    )));
                }
                _ => {}
            }
            state.apply(&self.schema, operation, Semantics::canonical()).map_err(|open| {
                CaseError::Invalid(format!("which rows are deleted is not defined: {open}"))
            })?;
        }
        self.checks.iter().try_for_each(|check| validate_scope(&state, check))
    }

    /// Whether searches by an index of that kind, as this crate makes it, are exact.
    fn is_exact(&self, field: &str, kind: &str) -> bool {
        let data_type = self.schema.field(field).map(|field| field.data_type);
        matches!(data_type, Some(DataType::FloatVector { .. }))
            && matches!(kind, "FLAT" | "IVF_FLAT")
    }

    /// The fields that are added in the course of the history.
    fn later(&self) -> BTreeSet<String> {
        added(self.operations.iter()).map(str::to_owned).collect()
    }

    /// Leaves out the operations whose preconditions are not met, as when one before them is gone.
    pub(crate) fn leave_out_the_impossible(&mut self) {
        let (mut state, mut later) = (State::default(), self.later());
        let operations = std::mem::take(&mut self.operations);
        for operation in operations {
            let possible = self.validate_step(&state, &mut later, &operation).is_ok()
                && state.apply(&self.schema, &operation, Semantics::canonical()).is_ok();
            if possible {
                self.operations.push(operation);
            }
        }
        self.checks.retain(|check| validate_scope(&state, check).is_ok());
    }

    /// The preconditions of an operation, among which are the fields that are added `later`: nothing
    /// is said of them before.
    fn validate_step(
        &self,
        state: &State,
        later: &mut BTreeSet<String>,
        operation: &Operation,
    ) -> Result<(), CaseError> {
        let invalid = |reason: String| Err(CaseError::Invalid(reason));
        if let Operation::AddField(name) = operation {
            match self.schema.field(name) {
                Some(field) if Operation::can_add(field) => {}
                Some(_) => {
                    return invalid(format!(
                        "'{name}' cannot be added: such a field may be null, and is no vector, no \
                         array of structs and no key"
                    ));
                }
                None => return invalid(format!("there is no field '{name}' in the schema to add")),
            }
            if !later.remove(name) {
                return invalid(format!("'{name}' is added twice"));
            }
            return Ok(());
        }
        if let Some(name) = later.iter().find(|name| operation.names(name)) {
            return invalid(format!("'{name}' is used before it is added"));
        }
        match operation {
            Operation::Into { partition, write } => {
                if matches!(**write, Operation::Into { .. }) || !write.is_of_rows() {
                    return invalid(format!(
                        "in '{partition}' rows are written and deleted, and nothing else"
                    ));
                }
                if !state.has_partition(partition) {
                    return invalid(format!(
                        "there is no partition '{partition}' to write into or delete from"
                    ));
                }
            }
            Operation::CreateAlias(name) => {
                if state.aliases.contains_key(name) {
                    return invalid(format!("there is an alias '{name}' already"));
                }
                if !is_name(name) {
                    return invalid(format!("'{name}' is no name for an alias"));
                }
            }
            Operation::AlterAlias { alias, elsewhere }
                if state.aliases.get(alias) != Some(&!elsewhere) =>
            {
                return invalid(format!("there is no alias '{alias}' that points otherwise"));
            }
            Operation::DropAlias(name) if !state.aliases.contains_key(name) => {
                return invalid(format!("there is no alias '{name}' to drop"));
            }
            Operation::Recreate if !state.aliases.is_empty() => {
                return invalid("a collection that has an alias cannot be dropped".to_owned());
            }
            Operation::CreatePartition(name) => {
                if state.has_partition(name) {
                    return invalid(format!("there is a partition '{name}' already"));
                }
                if self.schema.fields.iter().any(|field| field.partition_key) {
                    return invalid(
                        "a collection with a partition key has no partitions of its own".to_owned(),
                    );
                }
                if !is_name(name) {
                    return invalid(format!("'{name}' is no name for a partition"));
                }
            }
            Operation::DropPartition(name) if !state.partitions.contains(name) => {
                return invalid(format!("there is no partition '{name}' to drop"));
            }
            Operation::Ask(check) => validate_scope(state, check)?,
            _ => {}
        }
        self.validate_rows(state, operation)
    }

    fn validate_rows(&self, state: &State, operation: &Operation) -> Result<(), CaseError> {
        let mut batch = BTreeSet::new();
        for row in operation.rows() {
            let key = row
                .key(&self.schema)
                .ok_or_else(|| CaseError::Invalid("a row has no primary key".to_owned()))?;
            let is_there = state.rows.contains_key(&key);
            let partial = matches!(operation.plain(), Operation::Patch(_));
            let unfit = |field: &&Field| {
                let given = !partial || row.fields.contains_key(&field.name);
                given && !row.get(&field.name).fits(field)
            };
            if let Some(field) = self.schema.fields.iter().find(unfit) {
                let (name, value) = (&field.name, row.get(&field.name));
                return Err(CaseError::Invalid(format!(
                    "'{name}' is {} and cannot hold {value}",
                    field.data_type
                )));
            }
            if partial && !is_there {
                return Err(CaseError::Invalid(format!("there is no row {key} to be changed")));
            }
            let (home, place) = (state.home(&key), operation.partition());
            if is_there && home != place.unwrap_or(DEFAULT_PARTITION) {
                return Err(CaseError::Invalid(format!(
                    "the row {key} is in the partition '{home}'; what becomes of it when its key \
                     is written into another, Milvus leaves undefined"
                )));
            }
            let twice = is_there && matches!(operation.plain(), Operation::Insert(_));
            if twice || !batch.insert(key.clone()) {
                return Err(CaseError::Invalid(format!(
                    "the key {key} is inserted twice, which Milvus leaves undefined"
                )));
            }
        }
        Ok(())
    }

    /// What the engine assigns, a case can neither name in a filter nor write itself.
    fn validate_handles(&self) -> Result<(), CaseError> {
        let key = &self.schema.primary().name;
        let invalid = |what: &str| {
            let reason = format!("the engine assigns the keys '{key}' (auto_id), so that {what}");
            Err(CaseError::Invalid(reason))
        };
        let by_key =
            |step: &Operation| matches!(step.plain(), Operation::Upsert(_) | Operation::Patch(_));
        if self.operations.iter().any(by_key) {
            return invalid("rows cannot be upserted by them; use insert and delete");
        }
        let deletes = self.operations.iter().filter_map(|operation| match operation.plain() {
            Operation::DeleteWhere(filter) => Some(&filter.expr),
            _ => None,
        });
        for filter in self.questions().filter_map(Check::filter).chain(deletes) {
            if filter.names(key) {
                return invalid(&format!("`{filter}` must not mention them"));
            }
        }
        Ok(())
    }
}

impl Check {
    fn validate(&self, schema: &Schema) -> Result<(), CaseError> {
        let invalid = |reason: String| Err(CaseError::Invalid(reason));
        match self {
            Check::Entities | Check::CountAll => return Ok(()),
            Check::In { scope, check } => {
                if scope.is_whole() {
                    return invalid(
                        "a question about a part of the collection names it".to_owned(),
                    );
                }
                return match **check {
                    Check::Entities
                    | Check::Query(_)
                    | Check::Count(_)
                    | Check::CountAll
                    | Check::Page { .. }
                    | Check::Search { .. } => check.validate(schema),
                    _ => invalid(format!("'{check}' cannot be asked {scope} alone")),
                };
            }
            Check::Page { limit: 0, .. } | Check::Agree { relation: Relation::Paging(0), .. } => {
                return invalid("a page needs a limit".to_owned());
            }
            Check::Agree { relation: Relation::Rewrite(rewrite), filter }
                if rewrite.apply(schema, &filter.expr).is_none() =>
            {
                return invalid(format!("`{filter}` cannot be rewritten by {rewrite}"));
            }
            Check::Search { search, .. } => {
                let dim = schema.field(&search.field).and_then(|field| match field.data_type {
                    DataType::FloatVector { dim } => Some(usize::from(dim)),
                    _ => None,
                });
                if dim != Some(search.near.len()) || search.limit == 0 {
                    return invalid(format!(
                        "a search needs a limit, and a FLOAT_VECTOR of as many numbers as are \
                         looked for; '{}' is none",
                        search.field
                    ));
                }
                search.validate_parts(schema)?;
            }
            Check::Refused(filter) => {
                return if is_mistyped(schema, &filter.expr) {
                    Ok(())
                } else {
                    invalid(format!(
                        "`{filter}` is no single term on a column whose types do not fit"
                    ))
                };
            }
            _ => {}
        }
        match self.filter() {
            Some(filter) => {
                filter::check(schema, filter).map_err(|error| CaseError::Invalid(error.to_string()))
            }
            None => Ok(()),
        }
    }
}

impl Search {
    /// What a search has beside a vector and a limit.
    fn validate_parts(&self, schema: &Schema) -> Result<(), CaseError> {
        let invalid = |reason: String| Err(CaseError::Invalid(reason));
        let is_nearer = |a: f32, b: f32| match self.metric(schema) {
            Metric::L2 => a < b,
            Metric::InnerProduct | Metric::Cosine => a > b,
        };
        match (self.radius, self.range_filter) {
            (None, Some(_)) => return invalid("a range_filter needs a radius".to_owned()),
            (Some(radius), Some(bound)) if !is_nearer(bound, radius) => {
                return invalid(format!(
                    "nothing is nearer than {radius} and no nearer than {bound}"
                ));
            }
            _ => {}
        }
        let Some(name) = &self.group_by else { return Ok(()) };
        if self.radius.is_some() {
            return invalid("a search in a range has no groups".to_owned());
        }
        match schema.field(name) {
            Some(field) if Search::can_group_by(field) => Ok(()),
            _ => invalid(format!(
                "rows cannot be grouped by '{name}'; a whole number, a string or a boolean that is \
                 never null is needed"
            )),
        }
    }
}

/// A check is about what is there.
fn validate_scope(state: &State, check: &Check) -> Result<(), CaseError> {
    let Scope { partitions, alias } = check.scope();
    let unknown = |name: &&String| !state.has_partition(name);
    match alias.as_ref().map(|alias| (alias, state.aliases.get(alias))) {
        Some((alias, None)) => {
            return Err(CaseError::Invalid(format!("there is no alias '{alias}' to ask")));
        }
        Some((alias, Some(true))) if !partitions.is_empty() => {
            return Err(CaseError::Invalid(format!(
                "'{alias}' points to a collection without partitions"
            )));
        }
        _ => {}
    }
    match partitions.iter().find(unknown) {
        Some(name) => Err(CaseError::Invalid(format!("there is no partition '{name}' to ask"))),
        None => Ok(()),
    }
}

/// As Milvus names partitions and aliases: letters, digits and underscores, at most 255, no digit first.
fn is_name(name: &str) -> bool {
    const LONGEST: usize = 255;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.len() <= LONGEST
        && name.chars().all(fits)
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Whether a filter is a term on a scalar column, on which every engine must notice that types do
/// not fit. What else is wrong with a filter need not be refused.
fn is_mistyped(schema: &Schema, filter: &Expr) -> bool {
    let column = |operand: &Expr| match operand {
        Expr::Field(path) => matches!(resolve(schema, path), Ok(Place::Column(..))),
        _ => false,
    };
    let literal = |operand: &Expr| matches!(operand, Expr::Literal(_));
    let term = match filter {
        Expr::Binary { op, left, right } if op.is_comparison() && literal(right) => match &**left {
            Expr::Binary { op, left, right } if op.class() == OpClass::Arithmetic => {
                column(left) && literal(right)
            }
            left => column(left),
        },
        Expr::In { operand, .. } | Expr::Like { operand, .. } => column(operand),
        _ => false,
    };
    term && filter::check(schema, filter).is_err()
}
