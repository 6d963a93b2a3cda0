//! Random cases.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::{SBoxedStrategy, ValueTree};
use proptest::test_runner::{Config, Reason, RngAlgorithm, TestRng, TestRunner};
use sha2::{Digest, Sha256};

use super::filter::{Chance, Composer, MAX_DEPTH, mistyped};
use super::history::Questions;
use super::rows::{keyed, row};
use super::{Weights, aliases, fields, history, partitions, relations, schemas, searches};
use crate::case::{Case, CaseError, Check, Operation};
use crate::filter::Filter;
use crate::milvus::Dialect;
use crate::oracle::Oracle;
use crate::schema::Schema;
use crate::value::Row;

const MOST_ROWS: usize = 300;
/// So many filters are asked of a collection, if nothing else is said.
pub const FILTERS: usize = 60;
/// One in so many questions is put to another oracle than the reference.
const RELATIONS: usize = 6;
/// So many filters are looked at, at most, for one that the weights let pass.
const CANDIDATES: usize = 200;

/// What cases are made of beside what the dialect says.
#[derive(Debug, Clone)]
pub struct Options {
    /// How deep predicates are nested, at most.
    pub depth: usize,
    /// How many filters are asked of each collection, beside all its entities.
    pub filters: usize,
    /// Whether to ask for what the dialect lacks, too: the engine must refuse it or be right, and
    /// refuse what has no meaning.
    pub beyond_dialect: bool,
    /// The schema of every case; without it, each has a random one.
    pub schema: Option<Schema>,
    /// What to draw rows from in place of the crate's own values: one row of the schema at a time,
    /// with its key also where the engine assigns another. Of rows with equal keys one is taken.
    pub rows: Option<SBoxedStrategy<Row>>,
    /// How often the constructs of the filter language are used.
    pub weights: Weights,
    /// What judges; all that the dialect has a part for, if there is none in it.
    pub oracles: BTreeSet<Oracle>,
}

impl Options {
    /// Whether that oracle judges.
    pub fn asks(&self, oracle: Oracle) -> bool {
        self.oracles.is_empty() || self.oracles.contains(&oracle)
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            depth: MAX_DEPTH,
            filters: FILTERS,
            beyond_dialect: false,
            schema: None,
            rows: None,
            weights: Weights::default(),
            oracles: BTreeSet::new(),
        }
    }
}

/// Cases that the dialect accepts: one collection, its history, many questions.
pub fn cases(dialect: &Dialect, options: &Options) -> BoxedStrategy<Case> {
    let (dialect, options) = (dialect.clone(), options.clone());
    let schemas = match &options.schema {
        Some(schema) => Just(schema.clone()).boxed(),
        None => schemas(&dialect),
    };
    let own = options.rows.clone();
    schemas
        .prop_flat_map(move |schema| {
            let row = own.clone().map_or_else(|| row(&schema), Strategy::boxed);
            let rows = keyed(&schema, row.clone(), MOST_ROWS);
            // What is written later.
            let more = proptest::collection::vec(row, 0..=history::MORE);
            (Just(schema), rows, more)
        })
        .prop_perturb(move |(schema, rows, more), rng| {
            let mut chance = Chance::new(rng);
            let composer = Composer::new(&schema, &rows, &dialect, options.depth);
            let mut question =
                |chance: &mut Chance| weighed(&composer, chance, &schema, &dialect, &options);
            let at_level = |chance: &mut Chance| {
                relations::at_level(&schema, &dialect, &options, chance, &composer)
            };
            let mut questions = Questions { any: &mut question, at_level: &at_level };
            let operations = history::history(
                &schema,
                &dialect,
                rows.clone(),
                more,
                &mut chance,
                &mut questions,
            );
            let reads = options.asks(Oracle::Reference).then_some(Check::Entities);
            let mut checks: Vec<Check> = reads.into_iter().collect();
            // What was asked before has another answer now, and must not be remembered.
            let again = operations.iter().filter_map(|operation| match operation {
                Operation::Ask(check) if check.oracle() != Oracle::Consistency => {
                    Some(check.clone())
                }
                _ => None,
            });
            let again: Vec<Check> = again.take(options.filters).collect();
            let mut changes =
                relations::changes(&schema, &dialect, &options, &mut chance, &composer);
            changes.retain(|check| is_let_pass(check, &mut chance, &schema, &options));
            changes.truncate(options.filters - again.len());
            let others = options.filters - again.len() - changes.len();
            checks.extend((0..others).filter_map(|_| question(&mut chance)));
            checks.extend(again);
            checks.extend(changes);
            let mut case = Case { schema: schema.clone(), operations, checks };
            searches::search(&mut case, &dialect, &options, &mut chance, &composer);
            partitions::divide(&mut case, &dialect, &options, &mut chance);
            aliases::name(&mut case, &dialect, &options, &mut chance);
            fields::add(&mut case, &dialect, &options, &mut chance);
            case
        })
        .boxed()
}

/// A source of randomness for the case with this number in the campaign with this seed.
pub(super) fn runner(seed: u64, number: u64) -> TestRunner {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(number.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &hash.finalize());
    TestRunner::new_with_rng(Config::default(), rng)
}

/// A strategy of the user's own gave up.
pub(super) fn rejects(reason: Reason) -> CaseError {
    CaseError::Invalid(format!("the strategy for rows rejects nearly all: {reason}"))
}

/// A check, as often as its weight says; `None` if the weights leave hardly anything.
pub(super) fn weighed(
    composer: &Composer,
    chance: &mut Chance,
    schema: &Schema,
    dialect: &Dialect,
    options: &Options,
) -> Option<Check> {
    if !relations::are_asked(options) && !options.asks(Oracle::Reference) {
        return None;
    }
    (0..CANDIDATES).find_map(|_| {
        let check = check(composer, chance, schema, dialect, options)?;
        is_let_pass(&check, chance, schema, options).then_some(check)
    })
}

/// Whether the weights let a check pass this time.
pub(super) fn is_let_pass(
    check: &Check,
    chance: &mut Chance,
    schema: &Schema,
    options: &Options,
) -> bool {
    /// What a weight is a share of.
    const WHOLE: usize = 1 << 20;
    let share = check.spelled().map_or(1.0, |filter| options.weights.share(schema, filter));
    // Without weights nothing is drawn, so that the same seed gives the same cases.
    share >= 1.0 || ((chance.below(WHOLE)) as f64) < share * WHOLE as f64
}

fn check(
    composer: &Composer,
    chance: &mut Chance,
    schema: &Schema,
    dialect: &Dialect,
    options: &Options,
) -> Option<Check> {
    let reference = options.asks(Oracle::Reference);
    if !reference || chance.one_in(RELATIONS) {
        let check = relations::check(schema, dialect, options, chance, composer);
        if check.is_some() || !reference {
            return check;
        }
    }
    if options.beyond_dialect && chance.one_in(4) {
        let beyond = if chance.one_in(4) { None } else { composer.beyond(chance) };
        if let Some(filter) = beyond {
            return Some(Check::QueryOrRefusal(filter));
        }
        if let Some(filter) = mistyped::any(chance, schema) {
            return Some(Check::Refused(filter.into()));
        }
    }
    let refused = if chance.one_in(30) { mistyped::comparison(chance, schema) } else { None };
    if let Some(filter) = refused {
        return Some(Check::Refused(filter.into()));
    }
    Some(match chance.below(29) {
        0 | 1 => Check::Page {
            filter: paged(composer, chance),
            limit: chance.within(1, 19) as u32,
            offset: chance.below(20) as u32,
        },
        2..5 => Check::Count(composer.filter(chance)),
        _ => Check::Query(composer.filter(chance)),
    })
}

/// Any filter, and often a list of keys: what is looked up may forget the page.
fn paged(composer: &Composer, chance: &mut Chance) -> Filter {
    let lookup = if chance.one_in(5) { composer.lookup(chance) } else { None };
    lookup.unwrap_or_else(|| composer.filter(chance))
}

/// The case with this number in the campaign with this seed.
///
/// ```
/// use milvus_difftest::generate::case;
/// use milvus_difftest::milvus::Dialect;
/// let dialect = Dialect::everything();
/// assert_eq!(case(7, 0, &dialect), case(7, 0, &dialect));
/// assert_ne!(case(7, 0, &dialect), case(7, 1, &dialect));
/// ```
pub fn case(seed: u64, number: u64, dialect: &Dialect) -> Case {
    match case_with(seed, number, dialect, &Options::default()) {
        Ok(case) => case,
        // No strategy of this room filters, and all rows are of their schema.
        Err(error) => unreachable!("a case of this crate's own: {error}"),
    }
}

/// The same with other options than the default.
///
/// # Errors
/// If the options' own rows do not fit the schema, or if their strategy gives up.
pub fn case_with(
    seed: u64,
    number: u64,
    dialect: &Dialect,
    options: &Options,
) -> Result<Case, CaseError> {
    let tree = cases(dialect, options).new_tree(&mut runner(seed, number)).map_err(rejects)?;
    let case = tree.current();
    if options.rows.is_some() {
        for operation in &case.operations {
            if let Operation::Insert(rows) | Operation::Upsert(rows) = operation.plain() {
                let wrong = rows.iter().find_map(|row| row.validate(&case.schema).err());
                wrong.map_or(Ok(()), |error| Err(CaseError::Invalid(error.to_string())))?;
            }
        }
        case.validate()?;
    }
    Ok(case)
}
