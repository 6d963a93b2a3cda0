//! One worker: takes cases by number, judges them, and shrinks what diverges.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio::sync::mpsc::UnboundedSender;

use super::event::{Event, Kind};
use super::workbench::{BenchError, SameClass, Workbench};
use crate::case::{Case, Check};
use crate::filter::Expr;
use crate::filter::grammar::{Cell, cells};
use crate::finding::Finding;
use crate::generate;
use crate::milvus::Dialect;
use crate::schema::Schema;
use crate::shrink::{Budget, shrink};
use crate::triage::shape;
use crate::value::Key;
use crate::verdict::{Actual, Divergence, Expected, Verdict};

/// What the workers of a campaign share.
pub(super) struct Shared {
    pub seed: u64,
    pub dialect: Dialect,
    pub generation: generate::Options,
    pub cases: Option<u64>,
    pub deadline: Option<Instant>,
    pub shrink: Budget,
    pub started: Instant,
    pub next: AtomicU64,
    pub stop: AtomicBool,
    /// From the shape of a divergence as it was first seen to that of its finding, which is empty
    /// while it is being shrunk.
    pub known: Mutex<HashMap<String, String>>,
    pub events: UnboundedSender<Event>,
}

/// What was found in time may be begun to be shrunk for so long beyond the deadline, and ended
/// within as much again.
const GRACE: Duration = Duration::from_secs(5);

impl Shared {
    fn patience_is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline + GRACE)
    }

    fn next_case(&self) -> Option<u64> {
        if self.is_over() {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.cases.is_none_or(|cases| number < cases).then_some(number)
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn emit(&self, event: Event) {
        // The receiver outlives the workers; should it be gone, nobody wants to know.
        let _ = self.events.send(event);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        // A panic elsewhere leaves the map whole: every change of it is one insertion.
        self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Works until the campaign's budget is used up.
pub(super) async fn work(shared: &Shared, bench: &mut Workbench) -> Result<(), BenchError> {
    while let Some(number) = shared.next_case() {
        let case = generate::case_with(shared.seed, number, &shared.dialect, shared.generation);
        let rows = case.rows().len();
        let mut seen = |check: &Check, verdict: &Verdict| {
            shared.emit(checked(check, verdict, rows));
            if shared.stop.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let verdicts = bench.judge(&case, &mut seen).await?;
        announce_restarts(shared, bench);
        let judged = case.checks.iter().take(verdicts.len());
        shared.emit(Event::CaseDone {
            number,
            digest: digest(&case),
            cells: touched(&case.schema, judged),
        });
        let diverging =
            case.checks.iter().zip(verdicts).filter_map(|(check, verdict)| match verdict {
                Verdict::Divergence(divergence) => Some((check.clone(), *divergence)),
                _ => None,
            });
        let diverging: Vec<_> = diverging.collect();
        if !diverging.is_empty() {
            investigate(shared, bench, number, &case, diverging).await?;
        }
    }
    Ok(())
}

fn announce_restarts(shared: &Shared, bench: &mut Workbench) {
    for reason in bench.take_restarts() {
        shared.emit(Event::Restarted { reason });
    }
}

fn checked(check: &Check, verdict: &Verdict, rows: usize) -> Event {
    let matched = match verdict {
        Verdict::Pass { matched } => Some(*matched),
        Verdict::Divergence(divergence) => match &divergence.expected {
            Expected::Rows(keys) => Some(keys.len()),
            Expected::Count(count) => usize::try_from(*count).ok(),
            Expected::Accepted | Expected::Refused => None,
        },
        _ => None,
    };
    Event::Checked {
        kind: Kind::from(verdict),
        doubt: match verdict {
            Verdict::Inconclusive(doubt) => Some(doubt.clone()),
            _ => None,
        },
        selective: match check {
            Check::Entities | Check::Refused(_) => None,
            _ => matched.map(|matched| 0 < matched && matched < rows),
        },
        class: match verdict {
            Verdict::Divergence(divergence) => Some(divergence.class),
            _ => None,
        },
    }
}

/// Sorts the divergences of one case into known and new ones, and shrinks the new.
async fn investigate(
    shared: &Shared,
    bench: &mut Workbench,
    number: u64,
    case: &Case,
    diverging: Vec<(Check, Divergence)>,
) -> Result<(), BenchError> {
    // The parts of the filters, asked on their own: most divergences of a campaign are the same
    // few, and this shows it without shrinking.
    let mut parts: Vec<Check> = Vec::new();
    let mut add = |check: Check| {
        if !parts.contains(&check) {
            parts.push(check);
        }
    };
    for (check, _) in &diverging {
        if let (Some(filter), false) = (check.filter(), matches!(check, Check::Refused(_))) {
            let mut predicates = Vec::new();
            sub_predicates(filter, &mut predicates);
            let ask = |part: &Expr| match check {
                // A part may be what the engine has not got.
                Check::QueryOrRefusal(_) => check.with_filter(part.clone()),
                _ => Check::Query(part.clone().into()),
            };
            predicates.into_iter().for_each(|part| add(ask(part)));
        }
        add(check.clone());
    }
    let asked = Case { checks: parts, ..case.clone() };
    let stop = |_: &Check, _: &Verdict| {
        if shared.stop.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let verdicts = bench.judge(&asked, &mut stop.clone()).await?;
    announce_restarts(shared, bench);
    let mut answers: Vec<(Check, Divergence)> = Vec::new();
    for (check, verdict) in asked.checks.into_iter().zip(verdicts) {
        if let Verdict::Divergence(divergence) = verdict {
            answers.push((check, *divergence));
        }
    }
    answers.sort_by_key(|(check, _)| check.filter().map_or(0, Expr::nodes));
    for (check, divergence) in diverging {
        let (check, divergence) = smallest_part(&check, &answers).unwrap_or((check, divergence));
        let single = Case { checks: vec![check], ..case.clone() };
        let first_shape = shape(&single, &divergence);
        let known = shared.known().get(&first_shape).cloned();
        if let Some(shape) = known {
            shared.emit(Event::Repeated { shape });
            continue;
        }
        if shared.patience_is_over() {
            shared.emit(Event::Unexplored);
            continue;
        }
        shared.known().insert(first_shape.clone(), first_shape.clone());
        pursue(shared, bench, number, single, divergence, first_shape).await?;
        announce_restarts(shared, bench);
    }
    Ok(())
}

/// Shrinks one divergence and reports it.
async fn pursue(
    shared: &Shared,
    bench: &mut Workbench,
    number: u64,
    case: Case,
    divergence: Divergence,
    first_shape: String,
) -> Result<(), BenchError> {
    let seconds_to_first = shared.started.elapsed().as_secs_f64();
    let mut budget = shared.shrink;
    if let Some(deadline) = shared.deadline {
        let left = (deadline + 2 * GRACE).saturating_duration_since(Instant::now());
        budget.time = budget.time.min(left);
    }
    let mut probe = SameClass { bench, class: divergence.class };
    let shrunk = shrink(case, &suspects(&divergence), budget, &mut probe).await?;
    // Once more, on a fresh collection.
    let mut anything = |_: &Check, _: &Verdict| ControlFlow::Continue(());
    let verdict = bench.judge(&shrunk.case, &mut anything).await?.pop();
    let divergence = match verdict {
        Some(Verdict::Divergence(last)) if last.class == divergence.class => *last,
        _ => {
            shared.known().remove(&first_shape);
            shared.emit(Event::Unstable { what: first_shape });
            return Ok(());
        }
    };
    let shape = shape(&shrunk.case, &divergence);
    let repeated = {
        let mut known = shared.known();
        let repeated = known.values().any(|known| *known == shape) && shape != first_shape;
        known.insert(first_shape, shape.clone());
        known.insert(shape.clone(), shape.clone());
        repeated
    };
    if repeated {
        shared.emit(Event::Repeated { shape });
        return Ok(());
    }
    shared.emit(Event::Found(Box::new(Finding {
        shape,
        sql: bench.sql(&shrunk.case),
        engine: bench.engine_version().to_owned(),
        backend: bench.backend_name(),
        case: shrunk.case,
        divergence,
        count: 1,
        minimal: shrunk.minimal,
        evaluations: shrunk.evaluations,
        seconds_to_first,
        seed: shared.seed,
        number,
    })));
    Ok(())
}

/// The rows that a divergence names.
fn suspects(divergence: &Divergence) -> Vec<Key> {
    match &divergence.actual {
        Actual::Differs { diff, .. } => {
            let changed = diff.changed.iter().map(|change| &change.key);
            let mut keys: Vec<Key> =
                diff.missing.iter().chain(&diff.extra).chain(changed).cloned().collect();
            keys.dedup();
            keys
        }
        _ => Vec::new(),
    }
}

/// The smallest part of a check's filter that diverges on its own.
fn smallest_part(check: &Check, answers: &[(Check, Divergence)]) -> Option<(Check, Divergence)> {
    let mut predicates = Vec::new();
    sub_predicates(check.filter()?, &mut predicates);
    answers
        .iter()
        .find(|(part, _)| match part {
            Check::Query(filter) | Check::QueryOrRefusal(filter) => {
                predicates.contains(&&filter.expr)
            }
            part => part == check,
        })
        .cloned()
}

/// A filter and all predicates in it.
fn sub_predicates<'a>(filter: &'a Expr, all: &mut Vec<&'a Expr>) {
    all.push(filter);
    match filter {
        Expr::Not(inner) => sub_predicates(inner, all),
        Expr::Binary { op, left, right } if op.is_logical() => {
            sub_predicates(left, all);
            sub_predicates(right, all);
        }
        _ => {}
    }
}

/// The cells of the grammar that checks touch, and how many of them each.
fn touched<'a>(schema: &Schema, checks: impl Iterator<Item = &'a Check>) -> BTreeMap<Cell, u64> {
    let mut touched = BTreeMap::new();
    let filters = checks.filter(|check| !matches!(check, Check::Refused(_)));
    for filter in filters.filter_map(Check::spelled) {
        for cell in cells(schema, filter) {
            *touched.entry(cell).or_default() += 1;
        }
    }
    touched
}

/// A hash of the case's file: equal campaigns have equal sums of them.
fn digest(case: &Case) -> u64 {
    let hash = Sha256::digest(case.to_json(None));
    hash.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
