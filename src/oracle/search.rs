//! A search finds the nearest of the rows that match, and no other row.
//!
//! Applies to searches in FLOAT_VECTOR fields that are indexed FLAT, which is exact: as cases make
//! their collections. The expected order is computed in double precision from the vectors that were
//! written, by the field's metric. An engine computes in single precision and may add in any order, so that rows whose
//! distances it may not tell apart may change places, and a row at the edge may be in or out.
//! Inconclusive if the documentation leaves open which rows match.

use std::collections::BTreeMap;

use super::reference::{agree, failure};
use crate::apply::{Applied, ApplyError};
use crate::case::{Case, Check, Search};
use crate::filter::{Filter, matching};
use crate::milvus::{Consistency, Nearest, QueryOptions};
use crate::schema::Metric;
use crate::value::{Key, Row, Value};
use crate::verdict::{Actual, Class, Divergence, Doubt, Expected, Judges, Verdict};

pub(crate) async fn judge(
    applied: &mut Applied<'_, '_>,
    check: &Check,
    search: &Search,
    filter: Option<&Filter>,
) -> Result<Verdict, ApplyError> {
    let mut judges = Judges::Both;
    let found: Vec<Key> = match filter {
        None => applied.rows().keys().cloned().collect(),
        Some(filter) => {
            let keys = match matching(&filter.expr, &applied.table.schema, applied.rows()) {
                Ok(keys) => keys,
                Err(why) => return Ok(Verdict::Inconclusive(Doubt::Undefined(why.to_string()))),
            };
            if !agree(applied, check, &filter.expr, &keys).await? {
                judges = Judges::ModelAlone;
            }
            keys
        }
    };
    let metric = search.metric(&applied.table.schema);
    let near = distances(metric, search, applied.rows(), &found);
    let Some(first) = ask(applied, search, filter, &near).await? else {
        return Ok(Verdict::Pass { matched: found.len(), judges });
    };
    Ok(match ask(applied, search, filter, &near).await? {
        Some(second) if second.class == first.class => {
            Verdict::Divergence(Box::new(Divergence { judges, ..second }))
        }
        _ => Verdict::Inconclusive(Doubt::Unrepeatable(format!(
            "the target answered {}, and otherwise when asked again",
            first.actual
        ))),
    })
}

/// A row's score, turned so that the nearest has the least, and how much an engine may err.
#[derive(Debug, Clone, Copy)]
struct Distance {
    exact: f64,
    error: f64,
}

/// What a score is multiplied with so that the nearest has the least.
fn sign(metric: Metric) -> f64 {
    match metric {
        Metric::L2 => 1.0,
        Metric::InnerProduct | Metric::Cosine => -1.0,
    }
}

/// As Milvus defines its metrics (documentation, "Metric Types"). What does not fit into single
/// precision is left out: rows are made without such.
fn distance(metric: Metric, vector: &[f32], near: &[f32]) -> Distance {
    let sum = |terms: &dyn Fn(f64, f64) -> f64| {
        let pairs = vector.iter().zip(near);
        pairs.map(|(a, b)| terms(f64::from(*a), f64::from(*b))).sum::<f64>()
    };
    let sizes = (sum(&|a, _| a * a), sum(&|_, b| b * b));
    let rounding = 4.0 * (vector.len() as f64 + 2.0) * f64::from(f32::EPSILON);
    match metric {
        Metric::L2 => {
            let exact = sum(&|a, b| (a - b).powi(2));
            // |a|² + |b|² - 2ab, as some libraries compute it, loses what a and b have in common.
            Distance { exact, error: (exact + sizes.0 + sizes.1) * rounding }
        }
        Metric::InnerProduct => {
            let error = sum(&|a, b| (a * b).abs()) * rounding + f64::from(f32::MIN_POSITIVE);
            Distance { exact: -sum(&|a, b| a * b), error }
        }
        // Of nothing, and of what single precision takes for nothing, there is no direction.
        Metric::Cosine if sizes.0.min(sizes.1) < SMALLEST => {
            Distance { exact: 0.0, error: f64::INFINITY }
        }
        Metric::Cosine => {
            let length = (sizes.0 * sizes.1).sqrt();
            Distance { exact: -sum(&|a, b| a * b) / length, error: 2.0 * rounding }
        }
    }
}

/// The square of a length from which on single precision has all digits of it.
const SMALLEST: f64 = 1e-30;

fn distances(
    metric: Metric,
    search: &Search,
    rows: &BTreeMap<Key, Row>,
    found: &[Key],
) -> BTreeMap<Key, Distance> {
    let one = |key: &Key| match rows.get(key)?.get(&search.field) {
        Value::Vector(vector) => Some((key.clone(), distance(metric, vector, &search.near))),
        _ => None,
    };
    found.iter().filter_map(one).collect()
}

/// The scores of the rows that a check of a case may find, which is a search, the nearest first;
/// none if it is not defined which rows those are.
pub(crate) fn scores(case: &Case, check: &Check, search: &Search) -> Vec<(Key, f64)> {
    let (rows, filter) = (case.rows_asked(check), check.spelled());
    let found: Vec<Key> = match filter {
        None => rows.keys().cloned().collect(),
        Some(filter) => matching(&filter.expr, &case.schema, &rows).unwrap_or_default(),
    };
    let metric = search.metric(&case.schema);
    let near = distances(metric, search, &rows, &found);
    let mut scores: Vec<(Key, f64)> = near.into_iter().map(|(key, d)| (key, d.exact)).collect();
    let radius = search.radius.map_or(f64::INFINITY, |radius| sign(metric) * f64::from(radius));
    scores.retain(|(_, exact)| *exact < radius);
    scores.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    scores.iter_mut().for_each(|(_, score)| *score *= sign(metric));
    scores
}

/// Asks the target; `None` if it answers as it must.
async fn ask(
    applied: &mut Applied<'_, '_>,
    search: &Search,
    filter: Option<&Filter>,
    near: &BTreeMap<Key, Distance>,
) -> Result<Option<Divergence>, ApplyError> {
    let scope = applied.scope().clone();
    let Applied { sides, table, handles, .. } = applied;
    let text = filter.map(Filter::to_string).unwrap_or_default();
    let metric = search.metric(&table.schema);
    let nearest = Nearest {
        field: &search.field,
        near: &search.near,
        metric: metric.name(),
        limit: search.limit,
        radius: search.radius,
    };
    let options = QueryOptions {
        consistency: Consistency::Strong,
        deadline: sides.query_deadline,
        page: None,
        partitions: &scope.partitions,
    };
    let mut order: Vec<(&Key, &Distance)> = near.iter().collect();
    order.sort_by(|a, b| a.1.exact.total_cmp(&b.1.exact).then(a.0.cmp(b.0)));
    // At the edge of the radius a row may be in or out.
    let radius = search.radius.map_or(f64::INFINITY, |radius| sign(metric) * f64::from(radius));
    let surely = order.iter().filter(|(_, d)| d.exact + d.error < radius).count();
    let limit = search.limit as usize;
    let expected: Vec<Key> = order
        .iter()
        .filter(|(_, d)| d.exact < radius)
        .take(limit)
        .map(|(key, _)| (*key).clone())
        .collect();
    let expected = Expected::Rows(expected);
    let answer = match sides.milvus.search(&table.name, &text, nearest, options).await {
        Ok(answer) => answer,
        Err(error) => return failure(error, expected).map(Some),
    };
    let keys: Vec<Key> = answer.iter().map(|(key, _)| handles.name(&table.schema, key)).collect();
    let wrong = |class| {
        let actual = Actual::Rows(keys.clone());
        Ok(Some(Divergence { class, expected: expected.clone(), actual, judges: Judges::Both }))
    };
    let mut distinct = keys.clone();
    distinct.sort();
    distinct.dedup();
    let possible = |key: &Key| near.get(key).is_some_and(|d| d.exact - d.error <= radius);
    if distinct.len() < keys.len() || keys.len() > limit || !keys.iter().all(possible) {
        return wrong(Class::ExtraRows);
    }
    if keys.len() < limit.min(surely) {
        return wrong(Class::MissingRows);
    }
    // No row that was left out may be nearer than one that was returned.
    let furthest = keys
        .iter()
        .filter_map(|key| near.get(key))
        .map(|d| d.exact - d.error)
        .fold(f64::NEG_INFINITY, f64::max);
    let nearer = |(key, d): &(&Key, &Distance)| {
        distinct.binary_search(key).is_err() && d.exact + d.error < furthest
    };
    if keys.len() == limit && order.iter().any(nearer) {
        return wrong(Class::MissingRows);
    }
    let mut last = f64::NEG_INFINITY;
    for (key, (_, score)) in keys.iter().zip(&answer) {
        let Some(d) = near.get(key) else { continue };
        let off = (sign(metric) * f64::from(*score) - d.exact).abs() > d.error;
        if off || d.exact + d.error < last {
            return wrong(Class::WrongValue);
        }
        last = last.max(d.exact - d.error);
    }
    Ok(None)
}
