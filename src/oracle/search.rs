//! A search finds the nearest of the rows that match, and no other row.
//!
//! Applies to searches in FLOAT_VECTOR fields that are indexed FLAT, which is exact: as cases make
//! their collections. The expected order is computed in double precision from the vectors that were
//! written. An engine computes in single precision and may add in any order, so that rows whose
//! distances it may not tell apart may change places, and a row at the edge may be in or out.
//! Inconclusive if the documentation leaves open which rows match.

use std::collections::BTreeMap;

use super::reference::{agree, failure};
use crate::apply::{Applied, ApplyError};
use crate::case::{Check, Search};
use crate::filter::{Filter, matching};
use crate::milvus::{Consistency, MilvusError, Nearest, QueryOptions};
use crate::value::{Key, Row, Value};
use crate::verdict::{Actual, Class, Divergence, Doubt, Expected, Judges, Verdict};

/// How collections are indexed here.
const METRIC: &str = "L2";

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
    let near = distances(search, applied.rows(), &found);
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

/// How far a row is from what is looked for, and how much an engine may err.
#[derive(Debug, Clone, Copy)]
struct Distance {
    exact: f64,
    error: f64,
}

/// The squares of distances, as Milvus has them for L2 (documentation, "Metric Types"). What does
/// not fit into single precision is left out: rows are made without such.
fn distances(search: &Search, rows: &BTreeMap<Key, Row>, found: &[Key]) -> BTreeMap<Key, Distance> {
    let distance = |vector: &[f32]| {
        let pairs = vector.iter().zip(&search.near);
        let squares = pairs.map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
        let exact: f64 = squares.sum();
        // |a|² + |b|² - 2ab, as some libraries compute it, loses what a and b have in common.
        let size = |vector: &[f32]| vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
        let scale = exact + size(vector) + size(&search.near);
        let steps = 4.0 * (vector.len() as f64 + 2.0);
        Distance { exact, error: scale * steps * f64::from(f32::EPSILON) }
    };
    let one = |key: &Key| match rows.get(key)?.get(&search.field) {
        Value::Vector(vector) => Some((key.clone(), distance(vector))),
        _ => None,
    };
    found.iter().filter_map(one).collect()
}

/// Asks the target; `None` if it answers as it must.
async fn ask(
    applied: &mut Applied<'_, '_>,
    search: &Search,
    filter: Option<&Filter>,
    near: &BTreeMap<Key, Distance>,
) -> Result<Option<Divergence>, ApplyError> {
    let Applied { sides, table, handles, .. } = applied;
    let text = filter.map(Filter::to_string).unwrap_or_default();
    let nearest = Nearest {
        field: &search.field,
        near: &search.near,
        metric: METRIC,
        limit: search.limit,
        radius: search.radius,
    };
    let options = QueryOptions {
        consistency: Consistency::Strong,
        deadline: sides.query_deadline,
        page: None,
    };
    let mut order: Vec<(&Key, &Distance)> = near.iter().collect();
    order.sort_by(|a, b| a.1.exact.total_cmp(&b.1.exact).then(a.0.cmp(b.0)));
    // At the edge of the radius a row may be in or out.
    let radius = search.radius.map_or(f64::INFINITY, f64::from);
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
        Err(error @ MilvusError::Rejected { .. }) => return failure(error, expected).map(Some),
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
        let off = (f64::from(*score) - d.exact).abs() > d.error;
        if off || d.exact + d.error < last {
            return wrong(Class::WrongValue);
        }
        last = last.max(d.exact - d.error);
    }
    Ok(None)
}
