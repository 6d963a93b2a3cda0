//! Cases that grow from others: a history that goes on or is disturbed, questions that are put
//! together from those of before.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::case::{Options, rejects, runner, weighed};
use super::filter::{Chance, Composer};
use super::history::{self, Questions};
use super::relations;
use super::rows::row;
use crate::case::{Case, CaseError, Check, Operation};
use crate::filter::{Expr, check as fits_schema, grammar};
use crate::milvus::Dialect;
use crate::value::Row;

/// A history does not grow beyond so many steps.
const MOST_STEPS: usize = 24;
/// Nor a filter that is put together beyond so many nodes.
const MOST_NODES: usize = 60;

/// The case with this number in the campaign with this seed, if it grows from another.
///
/// ```
/// use milvus_difftest::generate::{Options, case, mutant};
/// use milvus_difftest::milvus::Dialect;
/// let (dialect, options) = (Dialect::everything(), Options::default());
/// let parent = case(7, 0, &dialect);
/// let child = mutant(&parent, 7, 40, &dialect, &options).unwrap();
/// assert_eq!(child.schema, parent.schema);
/// assert_ne!(child, parent);
/// child.validate().unwrap();
/// ```
///
/// # Errors
/// If the options' own rows do not fit the schema, or if their strategy gives up.
pub fn mutant(
    parent: &Case,
    seed: u64,
    number: u64,
    dialect: &Dialect,
    options: &Options,
) -> Result<Case, CaseError> {
    let mut runner = runner(seed, number);
    let schema = &parent.schema;
    let row = options.rows.clone().map_or_else(|| row(schema), Strategy::boxed);
    let tree = vec(row, 0..=history::MORE).new_tree(&mut runner).map_err(rejects)?;
    let more: Vec<Row> = tree.current();
    if options.rows.is_some() {
        let wrong = more.iter().find_map(|row| row.validate(schema).err());
        wrong.map_or(Ok(()), |error| Err(CaseError::Invalid(error.to_string())))?;
    }
    let mut chance = Chance::new(runner.new_rng());
    let rows: Vec<Row> = parent.operations.iter().flat_map(Operation::rows).cloned().collect();
    let composer = Composer::new(schema, &rows, dialect, options.depth);
    let mut question = |chance: &mut Chance| weighed(&composer, chance, schema, dialect, options);

    let mut case = parent.clone();
    if case.operations.len() < MOST_STEPS && !chance.one_in(4) {
        let at_level =
            |chance: &mut Chance| relations::at_level(schema, dialect, options, chance, &composer);
        let mut questions = Questions { any: &mut question, at_level: &at_level };
        let operations = &mut case.operations;
        history::go_on(schema, dialect, operations, more, &mut chance, &mut questions);
    }
    for _ in 0..chance.below(3) {
        disturb(&mut case, dialect, &mut chance);
    }
    case.leave_out_the_impossible();
    let asked = std::mem::take(&mut case.checks);
    case.checks = questions(&asked, dialect, options, &mut chance, &case, &mut question);
    Ok(case)
}

/// A step more or less before the last.
fn disturb(case: &mut Case, dialect: &Dialect, chance: &mut Chance) {
    let steps = case.operations.len();
    if chance.one_in(4) && steps > 1 {
        // What comes first are most of the rows.
        case.operations.remove(chance.within(1, steps - 1));
    } else if steps < MOST_STEPS
        && let Some(step) = history::touch(&case.schema, dialect, chance)
    {
        case.operations.insert(chance.within(steps.min(1), steps), step);
    }
}

/// Some of those of before, some put together from them, and new ones.
fn questions(
    before: &[Check],
    dialect: &Dialect,
    options: &Options,
    chance: &mut Chance,
    case: &Case,
    question: &mut dyn FnMut(&mut Chance) -> Option<Check>,
) -> Vec<Check> {
    // The first asks for all entities, if any does.
    let (entities, others): (Vec<&Check>, Vec<&Check>) =
        before.iter().partition(|check| matches!(check, Check::Entities));
    let mut checks: Vec<Check> = entities.into_iter().cloned().collect();
    let filters: Vec<&Check> =
        others.iter().filter(|check| matches!(check, Check::Query(_))).copied().collect();
    let most = checks.len() + options.filters;
    for check in &others {
        let next = match chance.below(4) {
            0 | 1 => Some((*check).clone()),
            2 => spliced(&filters, dialect, options, chance, case),
            _ => question(chance),
        };
        checks.extend(next);
    }
    while checks.len() < most {
        let Some(check) = question(chance) else { break };
        checks.push(check);
    }
    checks.truncate(most);
    checks
}

/// Two filters in one; `None` if what comes of it is too large, or not to be asked.
fn spliced(
    filters: &[&Check],
    dialect: &Dialect,
    options: &Options,
    chance: &mut Chance,
    case: &Case,
) -> Option<Check> {
    let (one, other) = (*chance.pick(filters)?, chance.pick(filters)?.filter()?);
    let (left, right) = (one.filter()?.clone(), other.clone());
    let not = |filter| Expr::Not(Box::new(filter));
    let expr = match chance.below(4) {
        0 => not(left),
        1 => left.and(not(right)),
        2 => left.or(right),
        _ => left.and(right),
    };
    let check = one.with_filter(expr);
    let filter = check.spelled()?;
    // Some predicates stand only where others do not.
    let fits = fits_schema(&case.schema, &filter.expr).is_ok()
        && filter.expr.nodes() <= MOST_NODES
        && grammar::depth(&filter.expr) <= options.depth
        && dialect.lacks_for(&case.schema, filter).is_none();
    fits.then_some(check)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::case;

    #[test]
    fn what_grows_is_valid_and_asks_for_no_more_than_the_dialect_has() {
        for dialect in Dialect::all().unwrap() {
            let options = Options { filters: 12, ..Options::default() };
            for first in 0..8 {
                let mut grown = case(11, first, &dialect);
                for number in 1..6 {
                    let number = 100 * first + number;
                    grown = mutant(&grown, 11, number, &dialect, &options).unwrap();
                    grown.validate().unwrap();
                    assert!(grown.checks.len() <= 13 && grown.operations.len() <= 2 * MOST_STEPS);
                    let asked = |check: &&Check| !matches!(check, Check::Refused(_));
                    for check in grown.questions().filter(asked) {
                        let lacks = |filter| dialect.lacks_for(&grown.schema, filter);
                        assert_eq!(check.spelled().and_then(lacks), None, "{check}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_grows_is_the_same_each_time() {
        let (dialect, options) = (Dialect::everything(), Options::default());
        let parent = case(5, 1, &dialect);
        let grow = |number| mutant(&parent, 5, number, &dialect, &options).unwrap();
        assert_eq!(grow(9), grow(9));
        assert_ne!(grow(9), grow(10));
    }
}
