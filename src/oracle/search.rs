//! A search finds the nearest of the rows that match, and no other row.
//!
//! Applies to searches in FLOAT_VECTOR fields that are indexed FLAT, which is exact: as cases make
//! their collections. The expected order is computed in double precision from the vectors that were
//! written, by the field's metric. An engine computes in single precision and may add in any order, so that rows whose
//! distances it may not tell apart may change places, and a row at the edge of a range may be in or
//! out. Of a search by groups, each row must be the nearest of its group.
//! Inconclusive if the documentation leaves open which rows match.

use std::collections::{BTreeMap, BTreeSet};

use super::reference::agree;
use crate::apply::{Applied, ApplyError, refusal};
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
    // What is too small for single precision is lost, term by term.
    let lost = (vector.len() as f64 + 2.0) * f64::from(f32::MIN_POSITIVE);
    let rounding = 4.0 * (vector.len() as f64 + 2.0) * f64::from(f32::EPSILON);
    match metric {
        Metric::L2 => {
            let exact = sum(&|a, b| (a - b).powi(2));
            // |a|² + |b|² - 2ab, as some libraries compute it, loses what a and b have in common.
            Distance { exact, error: (exact + sizes.0 + sizes.1) * rounding + lost }
        }
        Metric::InnerProduct => {
            let error = sum(&|a, b| (a * b).abs()) * rounding + lost;
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

/// What a search is limited to, in distances as they are turned here.
#[derive(Debug, Clone, Copy)]
struct Range {
    /// No nearer than this.
    from: f64,
    /// Nearer than this.
    to: f64,
}

impl Range {
    fn of(metric: Metric, search: &Search) -> Range {
        let bound = |bound: f32| sign(metric) * f64::from(bound);
        Range {
            from: search.range_filter.map_or(f64::NEG_INFINITY, bound),
            to: search.radius.map_or(f64::INFINITY, bound),
        }
    }

    fn has(self, exact: f64) -> bool {
        self.from <= exact && exact < self.to
    }

    /// Whether a row is inside, however an engine errs.
    fn surely_has(self, d: &Distance) -> bool {
        (self.from == f64::NEG_INFINITY || self.from <= d.exact - d.error)
            && d.exact + d.error < self.to
    }

    /// Whether a row may be inside.
    fn may_have(self, d: &Distance) -> bool {
        self.from <= d.exact + d.error && d.exact - d.error <= self.to
    }
}

/// The rows of one group each; every row is one where there are no groups.
fn groups<'k>(
    search: &Search,
    rows: &BTreeMap<Key, Row>,
    found: impl Iterator<Item = &'k Key>,
) -> BTreeMap<&'k Key, String> {
    let group = |key: &Key| match &search.group_by {
        Some(field) => rows.get(key).map(|row| row.get(field).to_string()).unwrap_or_default(),
        None => key.to_string(),
    };
    found.map(|key| (key, group(key))).collect()
}

/// Of these rows, the nearest first, the first of each group.
pub(crate) fn firsts(
    search: &Search,
    rows: &BTreeMap<Key, Row>,
    scores: &[(Key, f64)],
) -> Vec<(Key, f64)> {
    let groups = groups(search, rows, scores.iter().map(|(key, _)| key));
    let mut met = BTreeSet::new();
    scores.iter().filter(|(key, _)| met.insert(groups.get(key))).cloned().collect()
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
    let range = Range::of(metric, search);
    scores.retain(|(_, exact)| range.has(*exact));
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
    let (rows, scope, name) =
        (applied.rows().clone(), applied.scope().clone(), applied.name_asked());
    let Applied { sides, table, handles, .. } = applied;
    let text = filter.map(Filter::to_string).unwrap_or_default();
    let metric = search.metric(&table.schema);
    let nearest = Nearest {
        field: &search.field,
        near: &search.near,
        metric: metric.name(),
        limit: search.limit,
        radius: search.radius,
        range_filter: search.range_filter,
        group_by: search.group_by.as_deref(),
    };
    let options = QueryOptions {
        consistency: Consistency::Strong,
        deadline: sides.query_deadline,
        page: None,
        partitions: &scope.partitions,
    };
    let mut order: Vec<(Key, f64)> = near.iter().map(|(key, d)| (key.clone(), d.exact)).collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    let range = Range::of(metric, search);
    let limit = search.limit as usize;
    order.retain(|(_, exact)| range.has(*exact));
    let expected = firsts(search, &rows, &order).into_iter().take(limit);
    let expected = Expected::Rows(expected.map(|(key, _)| key).collect());
    let answer = match sides.milvus.search(&name, &text, nearest, options).await {
        Ok(answer) => answer,
        Err(error) => return refusal(error, expected).map(Some),
    };
    let answer: Vec<(Key, f64)> = answer
        .into_iter()
        .map(|(key, score)| (handles.name(&table.schema, &key), sign(metric) * f64::from(score)))
        .collect();
    let keys: Vec<Key> = answer.iter().map(|(key, _)| key.clone()).collect();
    let groups = groups(search, &rows, near.keys());
    Ok(fault(near, &groups, range, limit, &answer).map(|class| Divergence {
        class,
        expected,
        actual: Actual::Rows(keys),
        judges: Judges::Both,
    }))
}

/// What is wrong with an answer, however an engine may err within its precision.
fn fault(
    near: &BTreeMap<Key, Distance>,
    groups: &BTreeMap<&Key, String>,
    range: Range,
    limit: usize,
    answer: &[(Key, f64)],
) -> Option<Class> {
    let met: BTreeSet<Option<&String>> = answer.iter().map(|(key, _)| groups.get(key)).collect();
    let possible = |(key, _): &(Key, f64)| near.get(key).is_some_and(|d| range.may_have(d));
    if met.len() < answer.len() || answer.len() > limit || !answer.iter().all(possible) {
        return Some(Class::ExtraRows);
    }
    // The nearest that each group surely has.
    let mut nearest: BTreeMap<&String, f64> = BTreeMap::new();
    for (key, d) in near.iter().filter(|(_, d)| range.surely_has(d)) {
        if let Some(group) = groups.get(key) {
            let least = nearest.entry(group).or_insert(f64::INFINITY);
            *least = least.min(d.exact + d.error);
        }
    }
    if answer.len() < limit.min(nearest.len()) {
        return Some(Class::MissingRows);
    }
    // No row that was left out may be nearer than one of its group that was returned, nor of another
    // group nearer than any.
    let least = |key: &Key| near.get(key).map_or(f64::INFINITY, |d| d.exact - d.error);
    let own = |key: &Key| groups.get(key).and_then(|group| nearest.get(group));
    if answer.iter().any(|(key, _)| own(key).is_some_and(|nearest| *nearest < least(key))) {
        return Some(Class::MissingRows);
    }
    let furthest = answer.iter().map(|(key, _)| least(key)).fold(f64::NEG_INFINITY, f64::max);
    let nearer =
        |(group, nearest): (&&String, &f64)| !met.contains(&Some(*group)) && *nearest < furthest;
    if answer.len() == limit && nearest.iter().any(nearer) {
        return Some(Class::MissingRows);
    }
    let mut last = f64::NEG_INFINITY;
    for (key, score) in answer {
        let Some(d) = near.get(key) else { continue };
        if (score - d.exact).abs() > d.error || d.exact + d.error < last {
            return Some(Class::WrongValue);
        }
        last = last.max(d.exact - d.error);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distances 0 to 4 by keys, two rows to a group, and how far an engine may err.
    fn judged(range: Range, grouped: bool, limit: usize, answer: &[(i64, f64)]) -> Option<Class> {
        let keys: Vec<Key> = (0..5).map(Key::Int).collect();
        let distance = |exact: usize| Distance { exact: exact as f64, error: 0.01 };
        let near = keys.iter().enumerate().map(|(i, key)| (key.clone(), distance(i))).collect();
        let group = |i: usize| if grouped { i / 2 } else { i }.to_string();
        let groups = keys.iter().enumerate().map(|(i, key)| (key, group(i))).collect();
        let answer: Vec<_> = answer.iter().map(|(key, score)| (Key::Int(*key), *score)).collect();
        fault(&near, &groups, range, limit, &answer)
    }

    #[test]
    fn a_range_has_an_inner_bound_that_is_in_and_an_outer_one_that_is_out() {
        let range = Range { from: 1.5, to: 3.5 };
        let judged = |limit, answer: &[_]| judged(range, false, limit, answer);
        assert_eq!(judged(9, &[(2, 2.0), (3, 3.0)]), None);
        assert_eq!(judged(1, &[(2, 2.0)]), None);
        assert_eq!(judged(1, &[(3, 3.0)]), Some(Class::MissingRows));
        assert_eq!(judged(9, &[(3, 3.0)]), Some(Class::MissingRows));
        assert_eq!(judged(9, &[(1, 1.0), (2, 2.0), (3, 3.0)]), Some(Class::ExtraRows));
        assert_eq!(judged(9, &[(2, 2.0), (3, 3.0), (4, 4.0)]), Some(Class::ExtraRows));
        assert_eq!(judged(9, &[(2, 2.0), (3, 3.1)]), Some(Class::WrongValue));
        assert_eq!(judged(9, &[(3, 3.0), (2, 2.0)]), Some(Class::WrongValue));
        // At an edge, single precision decides.
        let edges = Range { from: 1.005, to: 3.005 };
        for answer in [&[(1, 1.0), (2, 2.0), (3, 3.0)][..], &[(2, 2.0)]] {
            assert_eq!(super::tests::judged(edges, false, 9, answer), None);
        }
    }

    /// Single precision takes its square for nothing.
    #[test]
    fn what_is_too_small_may_be_as_near_as_nothing() {
        for metric in [Metric::L2, Metric::InnerProduct] {
            let of = |x: f32| distance(metric, &[0.0, x], &[0.0, 0.0]);
            let (near, far) = (of(0.0), of(f32::MIN_POSITIVE));
            assert!(near.exact + near.error >= far.exact - far.error, "{metric:?}");
        }
        let (near, far) =
            (distance(Metric::L2, &[0.0], &[0.0]), distance(Metric::L2, &[1e-9], &[0.0]));
        assert!(near.exact + near.error < far.exact - far.error);
    }

    #[test]
    fn a_group_is_there_once_with_its_nearest() {
        let all = Range { from: f64::NEG_INFINITY, to: f64::INFINITY };
        let judged = |limit, answer: &[_]| judged(all, true, limit, answer);
        assert_eq!(judged(9, &[(0, 0.0), (2, 2.0), (4, 4.0)]), None);
        assert_eq!(judged(2, &[(0, 0.0), (2, 2.0)]), None);
        assert_eq!(judged(9, &[(0, 0.0), (1, 1.0), (2, 2.0), (4, 4.0)]), Some(Class::ExtraRows));
        assert_eq!(judged(9, &[(1, 1.0), (2, 2.0), (4, 4.0)]), Some(Class::MissingRows));
        assert_eq!(judged(9, &[(0, 0.0), (2, 2.0)]), Some(Class::MissingRows));
        assert_eq!(judged(2, &[(0, 0.0), (4, 4.0)]), Some(Class::MissingRows));
    }
}
