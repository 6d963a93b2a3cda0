//! Histories that are divided into partitions: rows are written into them, questions are asked of
//! some of them alone, rows are deleted in some alone, and some are dropped.
//!
//! What is drawn here is drawn last, so that a case that is not divided is what it was before.

use super::case::Options;
use super::filter::Chance;
use super::relations;
use crate::case::{Case, Check, DEFAULT_PARTITION, Operation, Scope, State};
use crate::filter::Semantics;
use crate::milvus::{CallFeature, Dialect};
use crate::oracle::Oracle;
use crate::schema::Schema;
use crate::value::Row;

/// One in so many cases has partitions.
const DIVIDED: usize = 4;
/// One in so many steps is preceded by one that makes or drops a partition.
const CHANGED: usize = 5;
/// One in so many deletions is limited to a partition.
const LIMITED: usize = 2;
/// One in so many questions is asked of some partitions.
const ASKED: usize = 3;

/// The names of partitions; one that is dropped is made again under its name.
const NAMES: [&str; 2] = ["red", "blue"];

/// Divides a case, if it is one of those that are.
pub(super) fn divide(case: &mut Case, dialect: &Dialect, options: &Options, chance: &mut Chance) {
    let has_key = case.schema.fields.iter().any(|field| field.partition_key);
    let is_asked = options.asks(Oracle::Reference) && dialect.offers(CallFeature::Partitions);
    if has_key || !is_asked || !chance.one_in(DIVIDED) {
        return;
    }
    let mut story = Story { state: State::default(), told: Vec::new() };
    let operations = std::mem::take(&mut case.operations);
    let mut makes = true;
    for operation in operations {
        if makes || chance.one_in(CHANGED) {
            let (named, all) = (chance.one_of(NAMES), &story.state.partitions);
            let step = match all.contains(named) {
                true => Operation::DropPartition(named.to_owned()),
                false => Operation::CreatePartition(named.to_owned()),
            };
            story.tell(&case.schema, step);
        }
        // Created anew, a collection has none.
        makes = matches!(operation, Operation::Recreate);
        for step in divided(&case.schema, &story.state, operation, chance) {
            story.tell(&case.schema, step);
        }
    }
    let Story { state, told } = story;
    case.operations = told;
    for check in &mut case.checks {
        *check = narrowed(&state, std::mem::replace(check, Check::Entities), chance);
    }
    // Each of them, as a whole.
    for name in state.partitions.iter().map(String::as_str).chain([DEFAULT_PARTITION]) {
        let scope = Scope { partitions: vec![name.to_owned()], alias: None };
        relations::ask(case, Check::Entities.within(&scope));
        relations::ask(case, Check::CountAll.within(&scope));
    }
    // What was to be changed may have gone with its partition.
    case.leave_out_the_impossible();
}

/// A history that is being told.
struct Story {
    state: State,
    told: Vec<Operation>,
}

impl Story {
    fn tell(&mut self, schema: &Schema, operation: Operation) {
        // What has no defined outcome is left out in the end.
        let _ = self.state.apply(schema, &operation, Semantics::canonical());
        self.told.push(operation);
    }
}

/// An operation as it is where there are partitions: what it writes goes where it is, and what is
/// new anywhere.
fn divided(
    schema: &Schema,
    state: &State,
    operation: Operation,
    chance: &mut Chance,
) -> Vec<Operation> {
    if let Operation::Ask(check) = operation {
        return vec![Operation::Ask(narrowed(state, check, chance))];
    }
    let names: Vec<&str> = state.partitions.iter().map(String::as_str).collect();
    if operation.deletes() && chance.one_in(LIMITED) {
        // There may be nothing of it in that partition: nothing is deleted then.
        let place = any(&names, chance).unwrap_or(DEFAULT_PARTITION);
        return vec![operation.into_partition(Some(place))];
    }
    if operation.rows().is_empty() {
        return vec![operation];
    }
    let mut batches: Vec<(Option<&str>, Vec<Row>)> = Vec::new();
    // Where new rows go, until the next turn.
    let mut place = any(&names, chance);
    for row in operation.rows() {
        let old = row.key(schema).filter(|key| state.rows.contains_key(key));
        let home = match &old {
            // It was to be deleted before.
            Some(_) if matches!(operation, Operation::Insert(_)) => continue,
            Some(key) => Some(state.home(key)).filter(|home| *home != DEFAULT_PARTITION),
            None if matches!(operation, Operation::Patch(_)) => continue,
            None => {
                if chance.one_in(4) {
                    place = any(&names, chance);
                }
                place
            }
        };
        match batches.iter_mut().find(|(other, _)| *other == home) {
            Some((_, rows)) => rows.push(row.clone()),
            None => batches.push((home, vec![row.clone()])),
        }
    }
    let write = |(place, rows)| Some(operation.with_rows(rows)?.into_partition(place));
    batches.into_iter().filter_map(write).collect()
}

/// A partition, or none.
fn any<'a>(names: &[&'a str], chance: &mut Chance) -> Option<&'a str> {
    names.get(chance.below(names.len() + 1)).copied()
}

/// A question, perhaps of some partitions alone.
fn narrowed(state: &State, check: Check, chance: &mut Chance) -> Check {
    let can = matches!(
        check,
        Check::Entities
            | Check::Query(_)
            | Check::Count(_)
            | Check::Page { .. }
            | Check::Search { .. }
    );
    if !can || !chance.one_in(ASKED) {
        return check;
    }
    let all = state.partitions.iter().map(String::as_str).chain([DEFAULT_PARTITION]);
    let mut names: Vec<String> = all.map(str::to_owned).collect();
    let left = chance.below(names.len());
    if names.len() > 1 && chance.one_in(2) {
        names.remove(left);
    } else {
        names = names.into_iter().skip(left).take(1).collect();
    }
    check.within(&Scope { partitions: names, alias: None })
}
