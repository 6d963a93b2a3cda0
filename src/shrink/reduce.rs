//! The reducer: rounds of one-step reductions until none diverges any more.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::size::size;
use super::{filter, rows, stand_in, together};
use crate::case::{Case, Check, Operation, Relation, Scope, Search};
use crate::filter::Filter;
use crate::value::Key;

/// Asks whether cases still diverge in the way that is being shrunk.
pub trait Probe {
    /// What stops the shrinking: the engine is gone for good.
    type Error;

    /// The first of these cases that still diverges in the same class, and how many were asked.
    /// The cases are ordered by size, so that the first is the smallest.
    fn first_diverging(
        &mut self,
        cases: &[Case],
        until: Instant,
    ) -> impl Future<Output = Result<(Option<usize>, usize), Self::Error>> + Send;
}

/// How much shrinking may cost.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Cases judged.
    pub evaluations: usize,
    /// Wall-clock time.
    pub time: Duration,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { evaluations: 1500, time: Duration::from_secs(20) }
    }
}

/// A shrunk case.
#[derive(Debug, Clone)]
pub struct Shrunk {
    /// The smallest case found.
    pub case: Case,
    /// How many cases were judged on the way.
    pub evaluations: usize,
    /// Whether no single step makes it smaller; else the budget ended first.
    pub minimal: bool,
}

/// Shrinks a case with one check that diverges; `suspects` are the rows on which it does, if that
/// is known.
pub async fn shrink<P: Probe>(
    case: Case,
    suspects: &[Key],
    budget: Budget,
    probe: &mut P,
) -> Result<Shrunk, P::Error> {
    let until = Instant::now() + budget.time;
    let mut shrunk = Shrunk { case, evaluations: 0, minimal: false };
    let mut focused = valid_candidates(&shrunk.case, |case| rows::only_rows(case, suspects));
    let (found, asked) = probe.first_diverging(&focused, until).await?;
    shrunk.evaluations += asked;
    if let Some(index) = found {
        shrunk.case = focused.swap_remove(index);
    }
    // The last stage in which something was found: when all others have found nothing since then,
    // nothing is left to find.
    let (mut stage, mut last) = (0, STAGES.len() - 1);
    // What was asked on the way to the case of now, and did not diverge, need not be asked again.
    let mut refuted = HashSet::new();
    loop {
        let mut smaller = valid_candidates(&shrunk.case, STAGES[stage]);
        let is_small = size(&shrunk.case).rows <= SMALL;
        if is_small {
            smaller.retain(|case| !refuted.contains(&case.digest()));
        }
        let left = budget.evaluations.saturating_sub(shrunk.evaluations);
        if left == 0 || Instant::now() >= until {
            return Ok(shrunk);
        }
        let cut = smaller.len() > left;
        smaller.truncate(left);
        let (found, asked) = probe.first_diverging(&smaller, until).await?;
        shrunk.evaluations += asked;
        tracing::debug!(stage, candidates = smaller.len(), asked, ?found, "shrinking");
        if is_small {
            let failed = found.unwrap_or(asked).min(smaller.len());
            refuted.extend(smaller[..failed].iter().map(Case::digest));
        }
        match found {
            // There may be more of the kind, and all that was tried before may do now.
            Some(index) => {
                shrunk.case = smaller.swap_remove(index);
                last = stage.checked_sub(1).unwrap_or(STAGES.len() - 1);
            }
            None if cut || asked < smaller.len() => return Ok(shrunk),
            None if stage == last => {
                shrunk.minimal = true;
                return Ok(shrunk);
            }
            None => stage = (stage + 1) % STAGES.len(),
        }
    }
}

/// From so few rows on, it is remembered what was asked: the many parts of large cases seldom come
/// again, and take long to tell apart.
const SMALL: usize = 16;

type Stage = fn(&Case) -> Vec<Case>;

/// Cheapest first: filters are asked on the collection that is there, data needs a new one. They are
/// gone through again and again until none of them finds anything, so that the result is a fixpoint
/// of all of them.
const STAGES: [Stage; 7] = [
    smaller_filters,
    rows::large_parts,
    rows::fewer_fields,
    rows::fewer_rows,
    rows::plainer_values,
    together::plainer_everywhere,
    stand_in::stand_ins,
];

/// Every valid one-step reduction of a case, smallest first.
///
/// ```
/// use milvus_difftest::generate::case;
/// use milvus_difftest::milvus::Dialect;
/// use milvus_difftest::shrink::{candidates, size};
/// let case = case(1, 0, &Dialect::everything());
/// assert!(candidates(&case).iter().all(|smaller| size(smaller) < size(&case)));
/// ```
pub fn candidates(case: &Case) -> Vec<Case> {
    STAGES.into_iter().flat_map(|stage| valid_candidates(case, stage)).collect()
}

fn valid_candidates(case: &Case, stage: impl Fn(&Case) -> Vec<Case>) -> Vec<Case> {
    let before = size(case);
    let mut all: Vec<_> =
        stage(case).into_iter().map(|smaller| (size(&smaller), smaller)).collect();
    all.retain(|(size, smaller)| *size < before && smaller.validate().is_ok());
    all.sort_by_key(|(size, _)| *size);
    all.dedup();
    all.into_iter().map(|(_, smaller)| smaller).collect()
}

fn smaller_filters(case: &Case) -> Vec<Case> {
    let (mut all, mut joint) = (Vec::new(), Vec::new());
    for (i, check) in case.checks.iter().enumerate() {
        let (scope, whole) = (check.scope(), check);
        let check = check.plain();
        let mut replace = |check: Check| {
            let mut smaller = case.clone();
            smaller.checks[i] = check.within(scope);
            all.push(smaller);
        };
        if let Check::Search { search, filter } = check {
            for smaller in smaller_searches(search) {
                replace(Check::Search { search: smaller, filter: filter.clone() });
            }
            replace(Check::Search { search: search.clone(), filter: None });
        }
        if let Check::Agree { relation: Relation::Paging(size), filter } = check {
            for size in [1, size / 2] {
                let relation = Relation::Paging(size);
                replace(Check::Agree { relation, filter: filter.clone() });
            }
        }
        if let Some(filter) = check.filter() {
            // Where every row shows it, no filter is needed.
            replace(Check::Entities);
            // Plainly written, a reader sees what it says.
            let plain = Filter::from(filter.clone());
            if check.spelled() != Some(&plain) {
                replace(check.with_spelled(plain));
            }
            if let Check::Page { filter, limit, offset } = check {
                for limit in [1, limit / 2] {
                    replace(Check::Page { filter: filter.clone(), limit, offset: *offset });
                }
                for offset in [0, 1, offset / 2] {
                    replace(Check::Page { filter: filter.clone(), limit: *limit, offset });
                }
            }
            for smaller in filter::filters(filter) {
                // Where it was asked before, it has to be the same question then.
                let mut together = case.clone();
                let mut again = false;
                for operation in &mut together.operations {
                    if let Operation::Ask(asked) = operation
                        && asked.filter() == Some(filter)
                    {
                        *asked = asked.with_filter(smaller.clone());
                        again = true;
                    }
                }
                replace(check.with_filter(smaller.clone()));
                if again {
                    together.checks[i] = whole.with_filter(smaller);
                    joint.push(together);
                }
            }
        }
        if let Check::Count(_) = check {
            replace(Check::CountAll);
        }
        let fewer = scope.partitions.iter().map(|name| vec![name.clone()]);
        let fewer = fewer.chain([Vec::new()]);
        let fewer = fewer.map(|partitions| Scope { partitions, ..scope.clone() });
        for scope in fewer.chain([Scope { alias: None, ..scope.clone() }]) {
            let mut smaller = case.clone();
            smaller.checks[i] = check.clone().within(&scope);
            all.push(smaller);
        }
    }
    all.extend(joint);
    all
}

fn smaller_searches(search: &Search) -> Vec<Search> {
    let mut all = vec![
        Search { radius: None, range_filter: None, ..search.clone() },
        Search { range_filter: None, ..search.clone() },
        Search { group_by: None, ..search.clone() },
    ];
    all.extend([1, search.limit / 2].map(|limit| Search { limit, ..search.clone() }));
    all.extend((0..search.near.len()).map(|i| {
        let mut near = search.near.clone();
        near[i] = 0.0;
        Search { near, ..search.clone() }
    }));
    all
}
