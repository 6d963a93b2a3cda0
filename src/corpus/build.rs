//! Making a corpus: random filters that together use everything that applies to the schema, with
//! the answers of the references.

use std::collections::BTreeSet;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::file::{Corpus, Entry};
use crate::backend::{Backend, BackendError, Table};
use crate::case::{Case, CaseError, Operation, key_to_json};
use crate::filter::{Columns, Filter, Semantics};
use crate::generate;
use crate::milvus::Dialect;
use crate::schema::Schema;
use crate::value::{Key, Row};

/// So many candidates are looked at for each filter that is kept.
const CANDIDATES: usize = 12;

/// Why there is no corpus.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The schema or the rows are wrong.
    #[error(transparent)]
    Case(#[from] CaseError),
    /// The reference database failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The references disagree: a defect of this tool.
    #[error(
        "the references disagree on `{filter}`: the model finds {model} rows, {}",
        .databases.iter().map(|(name, found)| format!("{name} {found}")).collect::<Vec<_>>().join(", ")
    )]
    Conflict {
        /// The filter.
        filter: String,
        /// Rows that the model finds.
        model: usize,
        /// Rows that each database finds, by its name.
        databases: Vec<(String, usize)>,
    },
    /// Too few distinct filters exist for the schema.
    #[error("only {found} of {wanted} different filters were found for this schema and these rows")]
    TooFew {
        /// How many there are.
        found: usize,
        /// How many were asked for.
        wanted: usize,
    },
}

impl Corpus {
    /// Generates `count` different filters for a schema and its rows, those first that use
    /// something new, and asks the references for the answers.
    pub async fn generate(
        schema: Schema,
        rows: Vec<Row>,
        dialect: &Dialect,
        count: usize,
        seed: u64,
        backends: &mut [Box<dyn Backend>],
    ) -> Result<Corpus, BuildError> {
        let case = Case {
            schema: schema.clone(),
            operations: vec![Operation::Insert(rows.clone())],
            checks: Vec::new(),
        };
        case.validate()?;
        let stored = case.rows();
        let table = Table::new("corpus", schema.clone());
        for backend in &mut *backends {
            // On a server an earlier one may have been left behind.
            backend.drop_table(&table).await?;
            backend.create_table(&table).await?;
            backend.upsert(&table, &rows).await?;
        }
        let mut seen = BTreeSet::new();
        let mut covered = BTreeSet::new();
        let mut chosen: Vec<(bool, Filter, Vec<Key>, Vec<String>)> = Vec::new();
        let columns = Columns::new(&schema, stored.values());
        for filter in candidates(&schema, &rows, dialect, count * CANDIDATES, seed) {
            if !seen.insert(filter.to_string()) {
                continue;
            }
            // Else the documentation leaves the answer open.
            let truths = columns.evaluate(&filter.expr, Semantics::canonical());
            let Ok(keys) = truths.select(stored.keys().cloned()) else { continue };
            let features = features(&schema, &filter);
            let new = features.iter().any(|feature| !covered.contains(feature));
            // What is new always, and else what selects some rows and not all.
            if new || !keys.is_empty() && keys.len() < stored.len() {
                covered.extend(features.iter().cloned());
                chosen.push((new, filter, keys, features));
            }
        }
        chosen.sort_by_key(|(new, ..)| !new);
        if chosen.len() < count {
            return Err(BuildError::TooFew { found: chosen.len(), wanted: count });
        }
        chosen.truncate(count);
        let mut entries = Vec::new();
        for (_, filter, keys, features) in chosen {
            agree(backends, &table, &filter, &keys).await?;
            entries.push(Entry {
                filter: filter.to_string(),
                count: keys.len(),
                keys: keys.iter().map(key_to_json).collect(),
                selectivity: keys.len() as f64 / stored.len().max(1) as f64,
                features,
            });
        }
        for backend in backends {
            backend.drop_table(&table).await?;
        }
        Ok(Corpus { schema, rows, dialect: dialect.name.clone(), seed, entries })
    }
}

/// What SQL cannot express is the model's alone.
async fn agree(
    backends: &mut [Box<dyn Backend>],
    table: &Table,
    filter: &Filter,
    keys: &[Key],
) -> Result<(), BuildError> {
    let mut answers = Vec::new();
    for backend in backends {
        match backend.query(table, &filter.expr).await {
            Err(BackendError::Inexpressible { .. }) => {}
            found => answers.push((backend.name(), found?)),
        }
    }
    if answers.iter().all(|(_, found)| found == keys) {
        return Ok(());
    }
    Err(BuildError::Conflict {
        filter: filter.to_string(),
        model: keys.len(),
        databases: answers.into_iter().map(|(name, found)| (name, found.len())).collect(),
    })
}

fn candidates(
    schema: &Schema,
    rows: &[Row],
    dialect: &Dialect,
    count: usize,
    seed: u64,
) -> impl Iterator<Item = Filter> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = generate::filters(schema, rows, dialect);
    (0..count).filter_map(move |_| strategy.new_tree(&mut runner).ok().map(|tree| tree.current()))
}

fn features(schema: &Schema, filter: &Filter) -> Vec<String> {
    crate::filter::grammar::cells(schema, filter).iter().map(ToString::to_string).collect()
}
