//! Random cases.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sha2::{Digest, Sha256};

use super::filter::mistyped;
use super::{filters, rows, schemas};
use crate::case::{Case, Check, Operation};
use crate::milvus::Dialect;
use crate::schema::Schema;
use crate::value::Row;

const MOST_ROWS: usize = 300;
const FILTERS: usize = 60;

/// Cases that the dialect accepts: one collection, some writes, many questions.
pub fn cases(dialect: &Dialect) -> BoxedStrategy<Case> {
    let dialect = dialect.clone();
    schemas(&dialect)
        .prop_flat_map(|schema| {
            let rows = rows(&schema, MOST_ROWS);
            (Just(schema), rows, any::<bool>(), any::<bool>())
        })
        .prop_flat_map(|(schema, rows, rewrite, flush)| {
            let operations = operations(&schema, rows, rewrite, flush);
            (Just(schema), operations)
        })
        .prop_flat_map(move |(schema, operations)| {
            let case = Case { schema, operations, checks: vec![Check::Entities] };
            let rows: Vec<Row> = case.rows().into_values().collect();
            let filters = filters(&case.schema, &rows, &dialect);
            let page = (filters.clone(), 1u32..20, 0u32..20);
            let page = page.prop_map(|(filter, limit, offset)| Check::Page {
                filter: filter.into(),
                limit,
                offset,
            });
            let query = filters.clone().prop_map(|filter| Check::Query(filter.into()));
            let count = filters.prop_map(|filter| Check::Count(filter.into()));
            let mut checks = vec![(24, query.boxed()), (3, count.boxed()), (2, page.boxed())];
            let refused =
                mistyped(&case.schema).map(|filter| filter.prop_map(|f| Check::Refused(f.into())));
            checks.extend(refused.map(|refused| (1, refused.boxed())));
            let check = proptest::strategy::Union::new_weighted(checks);
            proptest::collection::vec(check, FILTERS).prop_map(move |checks| {
                let mut case = case.clone();
                case.checks.extend(checks);
                case
            })
        })
        .boxed()
}

/// Inserts in batches; then, in half of the cases, replaces some rows and deletes others.
fn operations(
    schema: &Schema,
    rows: Vec<Row>,
    rewrite: bool,
    flush: bool,
) -> BoxedStrategy<Vec<Operation>> {
    let batch = rows.len().div_ceil(2).max(1);
    let mut operations: Vec<Operation> =
        rows.chunks(batch).map(|rows| Operation::Insert(rows.to_vec())).collect();
    if flush && !operations.is_empty() {
        operations.push(Operation::Flush);
    }
    // Without keys of their own, rows cannot be replaced.
    if !rewrite || rows.is_empty() || schema.primary().auto_id {
        return Just(operations).boxed();
    }
    let replaced = super::rows::row(schema);
    let replaced = proptest::collection::vec(replaced, 1..=3);
    let schema = schema.clone();
    (replaced, any::<prop::sample::Index>())
        .prop_map(move |(mut replaced, gone)| {
            let key = schema.primary().name.clone();
            for (old, new) in rows.iter().zip(&mut replaced) {
                new.fields.insert(key.clone(), old.get(&key).clone());
            }
            replaced.truncate(rows.len());
            let mut operations = operations.clone();
            operations.push(Operation::Upsert(replaced));
            operations.push(Operation::Delete(Vec::from_iter(gone.get(&rows).key(&schema))));
            operations
        })
        .boxed()
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
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(number.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &hash.finalize());
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    // Only local rejections could fail here, and no strategy of this room filters.
    match cases(dialect).new_tree(&mut runner) {
        Ok(tree) => tree.current(),
        Err(reason) => unreachable!("a strategy without filters rejected: {reason}"),
    }
}
