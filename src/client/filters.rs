//! Filters for a live collection.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

use super::collection::DiffClient;
use super::error::ClientError;
use super::turns::Need;
use crate::backend::BackendError;
use crate::filter::{BinaryOp, Expr, Filter, Semantics, evaluate};
use crate::generate::{self, Weights};

/// Which filters are generated.
#[derive(Debug, Clone)]
pub struct FilterOptions {
    /// How many.
    pub count: usize,
    /// The same seed gives the same filters for the same entities.
    pub seed: u64,
    /// The share of the entities on which a filter is true, from 0 to 1.
    pub selectivity: RangeInclusive<f64>,
    /// How deep predicates are nested, at most; 1 is a single predicate.
    pub depth: usize,
    /// How often constructs are used, from 0, never, to 1, as often as otherwise; by the names that
    /// dialects use, as `like` or `arithmetic`.
    pub weights: BTreeMap<String, f64>,
}

impl Default for FilterOptions {
    fn default() -> FilterOptions {
        FilterOptions {
            count: 100,
            seed: 1,
            selectivity: 0.0..=1.0,
            depth: 6,
            weights: BTreeMap::new(),
        }
    }
}

/// A filter and what it should find.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GeneratedFilter {
    /// The filter, as the engine's dialect takes it.
    pub filter: String,
    /// On how many entities of the backend it is true.
    pub count: u64,
    /// The same as a share of all entities.
    pub selectivity: f64,
}

/// The generator looks at so many entities.
const SAMPLE: usize = 200;

/// So many candidates are looked at for each filter that is asked for, at most.
const CANDIDATES: usize = 200;

impl DiffClient {
    /// Generates filters for a collection: each is valid in the dialect of its engine, made of
    /// values that the entities have, different from the others, and counted by the backend. What
    /// SQL cannot express, and what the documentation leaves open on a sample of the entities, is
    /// left out.
    ///
    /// # Errors
    /// If there are fewer such filters, if a weight names no construct, or if the backend fails.
    pub async fn filters(
        &self,
        collection: &str,
        options: &FilterOptions,
    ) -> Result<Vec<GeneratedFilter>, ClientError> {
        let weights = weights(&options.weights)?;
        let sample = self.sample(collection, SAMPLE, options.seed).await?;
        let client = &*self.0;
        let collection = client.collection(collection)?;
        let schema = collection.schema();
        let _turn = client.turn(&collection, || Need::Read).await?;
        let all = client.count_where(&collection, None).await?;
        let strategy = generate::filters(schema, &sample, &client.dialect);
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&options.seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let mut dice = StdRng::seed_from_u64(options.seed);
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for _ in 0..options.count.saturating_mul(CANDIDATES) {
            if found.len() == options.count {
                break;
            }
            let Ok(tree) = strategy.new_tree(&mut runner) else { continue };
            let filter: Filter = tree.current();
            let is_open =
                |row| evaluate(&filter.expr, schema, row, Semantics::canonical()).is_err();
            if dice.random::<f64>() >= weights.share(schema, &filter)
                || depth(&filter.expr) > options.depth
                || !seen.insert(filter.to_string())
                || sample.iter().any(is_open)
            {
                continue;
            }
            let (table, asked) = (collection.table.clone(), filter.expr.clone());
            let count = client.sessions.run(move |backend| {
                Box::pin(async move { backend.count(&table, Some(&asked)).await })
            });
            let count = match count.await {
                Ok(count) => count,
                // Overflows, perhaps, on an entity outside the sample.
                Err(BackendError::Inexpressible { .. } | BackendError::Statement { .. }) => {
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let selectivity = count as f64 / all.max(1) as f64;
            if options.selectivity.contains(&selectivity) {
                found.push(GeneratedFilter { filter: filter.to_string(), count, selectivity });
            }
        }
        match found.len() < options.count {
            true => Err(ClientError::Options(format!(
                "only {} of {} such filters were found: widen the selectivity, or ask for fewer",
                found.len(),
                options.count
            ))),
            false => Ok(found),
        }
    }
}

fn weights(named: &BTreeMap<String, f64>) -> Result<Weights, ClientError> {
    let mut weights = Weights::default();
    for (name, weight) in named {
        let set = weights.set(name, *weight);
        set.map_err(|error| ClientError::Options(error.to_string()))?;
    }
    Ok(weights)
}

/// How deep predicates are nested: `not`, `and` and `or` are levels above their operands.
fn depth(expr: &Expr) -> usize {
    match expr {
        Expr::Not(_) | Expr::Binary { op: BinaryOp::And | BinaryOp::Or, .. } => {
            1 + expr.children().into_iter().map(depth).max().unwrap_or_default()
        }
        _ => 1,
    }
}
