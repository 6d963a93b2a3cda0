//! One worker: takes cases by number, judges them, and shrinks what diverges.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::event::{Event, Kind};
use super::feedback::{Feedback, Lesson, Plan};
use super::investigate::investigate;
use super::reached::{self, is_refused, matched};
use super::shard::Shard;
use super::steer::{Steered, steer};
use super::workbench::{BenchError, Workbench};
use crate::apply::Situation;
use crate::case::{Case, CaseError, Check};
use crate::filter::grammar::{Cell, cells};
use crate::generate;
use crate::known::KnownIssues;
use crate::milvus::Dialect;
use crate::schema::Schema;
use crate::shrink::Budget;
use crate::verdict::{Divergence, Judges, Verdict};

/// What the workers of a campaign share.
pub(super) struct Shared {
    pub seed: u64,
    pub dialect: Dialect,
    pub known_issues: KnownIssues,
    pub generation: generate::Options,
    pub shard: Shard,
    /// The cases that were judged before.
    pub done: BTreeSet<u64>,
    /// What was learned from cases; `None` if nothing is to be.
    pub feedback: Option<Mutex<Feedback>>,
    pub cases: Option<u64>,
    pub deadline: Option<Instant>,
    pub shrink: Budget,
    pub started: Instant,
    /// How long the campaign had taken before it was resumed.
    pub before: Duration,
    pub next: AtomicU64,
    pub stop: AtomicBool,
    /// What became of the divergences, by the shape that they had when they were first seen.
    pub shapes: Mutex<HashMap<String, Met>>,
    /// The known issues that were met, by their titles.
    pub met: Mutex<BTreeSet<String>>,
    pub events: UnboundedSender<Event>,
}

/// What a divergence turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Met {
    /// A finding of this shape; while it is being shrunk, its own shape.
    Finding(String),
    /// Known issues, by their titles, or an open finding of the user's corpus, by its name.
    Known(Vec<String>),
}

/// How often a worker looks whether the cases that its next may depend on are judged.
const POLL: Duration = Duration::from_millis(10);

/// What was found in time may be begun to be shrunk for so long beyond the deadline, and ended
/// within as much again.
pub(super) const GRACE: Duration = Duration::from_secs(5);

impl Shared {
    pub(super) fn patience_is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline + GRACE)
    }

    fn next_case(&self) -> Option<u64> {
        if self.is_over() {
            return None;
        }
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if self.cases.is_some_and(|cases| number >= cases) {
                return None;
            }
            if self.shard.has(number) && !self.done.contains(&number) {
                return Some(number);
            }
        }
    }

    /// How to make a case; `None` if the campaign is over before the cases that it may depend on
    /// are judged.
    async fn plan(&self, number: u64) -> Option<Plan> {
        let Some(feedback) = &self.feedback else { return Some(Plan::fresh(number)) };
        loop {
            let plan = lock(feedback).plan(number);
            match plan {
                Some(plan) => return Some(plan),
                None if self.is_over() => return None,
                // Only where there are several workers, of which one is far behind.
                None => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// The case that is planned.
    fn make(&self, plan: &Plan) -> Result<Case, CaseError> {
        let mut made: Option<Case> = None;
        for (number, weights) in &plan.0 {
            let weights = self.generation.weights.limited_by(weights);
            let options = generate::Options { weights, ..self.generation.clone() };
            made = Some(match &made {
                None => generate::case_with(self.seed, *number, &self.dialect, &options)?,
                Some(parent) => {
                    generate::mutant(parent, self.seed, *number, &self.dialect, &options)?
                }
            });
        }
        made.ok_or_else(|| CaseError::Invalid("it is made of nothing".to_owned()))
    }

    /// What a case has come to, and what it teaches.
    fn done(&self, plan: &Plan, case: &Case, verdicts: &[Verdict], bench: &mut Workbench) -> Event {
        let lineage = plan.lineage();
        let (number, parents) = match lineage.split_last() {
            Some((number, parents)) => (*number, parents.to_vec()),
            None => Default::default(),
        };
        let rows = case.rows_at_questions();
        let (mut cells, mut refused) = (BTreeMap::new(), BTreeMap::new());
        let mut reached = BTreeSet::new();
        let nowhere = Situation::default();
        for (place, (check, verdict)) in case.questions().zip(verdicts).enumerate() {
            touch(&mut cells, &case.schema, check);
            if is_refused(verdict) {
                touch(&mut refused, &case.schema, check);
            }
            let situation = bench.situations().get(place).unwrap_or(&nowhere);
            let rows = rows.get(place).copied().unwrap_or_default();
            reached.extend(reached::reached(&case.schema, check, verdict, situation, rows));
        }
        match &self.feedback {
            Some(feedback) => {
                let feedback = lock(feedback);
                reached.retain(|combination| feedback.is_new(number, combination));
            }
            None => reached.clear(),
        }
        let digest = case.digest();
        let steps = bench.take_steps();
        Event::CaseDone { number, digest, parents, cells, refused, reached, steps }
    }

    fn learn(&self, event: &Event) {
        if let (Some(feedback), Some(number), Some(lesson)) =
            (&self.feedback, event.case(), Lesson::of(event))
        {
            lock(feedback).learn(number, lesson);
        }
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    pub(super) fn emit(&self, event: Event) {
        // The receiver outlives the workers; should it be gone, nobody wants to know.
        let _ = self.events.send(event);
    }

    pub(super) fn shapes(&self) -> MutexGuard<'_, HashMap<String, Met>> {
        lock(&self.shapes)
    }

    fn met(&self) -> MutexGuard<'_, BTreeSet<String>> {
        lock(&self.met)
    }
}

/// A panic elsewhere leaves what workers share whole: every change of it is one insertion.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Works until the campaign's budget is used up.
pub(super) async fn work(shared: &Shared, bench: &mut Workbench) -> Result<(), BenchError> {
    while let Some(number) = shared.next_case() {
        let Some(plan) = shared.plan(number).await else { break };
        let mut case = shared.make(&plan)?;
        let Steered { dropped, kept } = steer(&mut case, &shared.known_issues, number);
        shared.emit(Event::Steered { case: number, dropped, kept });
        let rows = case.rows_at_questions();
        let mut known = Vec::new();
        let mut seen = |check: &Check, verdict: &Verdict| {
            let titles = match verdict {
                // With the history that leads to it.
                Verdict::Divergence(_) => match case.asking(known.len()) {
                    Some(asked) => explained(shared, &asked, check, verdict),
                    None => Vec::new(),
                },
                _ => Vec::new(),
            };
            let rows = rows.get(known.len()).copied().unwrap_or_default();
            shared.met().extend(titles.iter().cloned());
            known.push(!titles.is_empty());
            shared.emit(checked(number, check, verdict, rows, titles));
            if shared.stop.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        bench.take_steps();
        let verdicts = bench.judge(&case, &mut seen).await?;
        announce_restarts(shared, bench, number);
        let whole = verdicts.len() == rows.len();
        let done = shared.done(&plan, &case, &verdicts, bench);
        // What is looked into takes long, and teaches nothing more.
        if whole {
            shared.learn(&done);
        }
        // Together where they are asked of the same state.
        let mut diverging: Vec<(Case, Vec<(Check, Divergence)>)> = Vec::new();
        for (number, (verdict, known)) in verdicts.into_iter().zip(known).enumerate() {
            let (Verdict::Divergence(divergence), false) = (verdict, known) else { continue };
            let Some(mut asked) = case.asking(number) else { continue };
            let Some(check) = asked.checks.pop() else { continue };
            match diverging.last_mut() {
                Some((case, all)) if case.operations == asked.operations => {
                    all.push((check, *divergence));
                }
                _ => diverging.push((asked, vec![(check, *divergence)])),
            }
        }
        for (case, diverging) in diverging {
            investigate(shared, bench, number, &case, diverging).await?;
        }
        announce_restarts(shared, bench, number);
        // A case that was interrupted is one that a resumed campaign begins again.
        if whole {
            shared.emit(done);
        }
    }
    Ok(())
}

/// Says which of the known issues that were not met are gone, by the cases that showed them. A
/// campaign on one schema says nothing of them: most have no place in it.
pub(super) async fn look_for_fixed(
    shared: &Shared,
    bench: &mut Workbench,
) -> Result<(), BenchError> {
    if shared.generation.schema.is_some() {
        return Ok(());
    }
    for issue in &shared.known_issues.issues {
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        if shared.met().contains(&issue.title) {
            continue;
        }
        let mut case = issue.case.clone();
        if case.checks.is_empty() {
            case.checks.push(Check::Entities);
        }
        let mut all = |_: &Check, _: &Verdict| ControlFlow::Continue(());
        let verdicts = bench.judge(&case, &mut all).await?;
        let passes = |verdict: &Verdict| matches!(verdict, Verdict::Pass { .. });
        if !verdicts.is_empty() && verdicts.iter().all(passes) {
            shared.emit(Event::Fixed { title: issue.title.clone() });
        }
    }
    Ok(())
}

pub(super) fn announce_restarts(shared: &Shared, bench: &mut Workbench, case: u64) {
    for reason in bench.take_restarts() {
        shared.emit(Event::Restarted { case, reason });
    }
}

/// The titles of the known issues that explain a divergence fully.
pub(super) fn explained(
    shared: &Shared,
    case: &Case,
    check: &Check,
    verdict: &Verdict,
) -> Vec<String> {
    match verdict {
        Verdict::Divergence(divergence) => {
            let issues = shared.known_issues.explain(case, check, divergence);
            issues.unwrap_or_default().into_iter().map(|issue| issue.title.clone()).collect()
        }
        _ => Vec::new(),
    }
}

fn checked(case: u64, check: &Check, verdict: &Verdict, rows: usize, known: Vec<String>) -> Event {
    let matched = matched(verdict);
    Event::Checked {
        case,
        oracle: check.oracle(),
        kind: if known.is_empty() { Kind::from(verdict) } else { Kind::Known },
        doubt: match verdict {
            Verdict::Inconclusive(doubt) => Some(doubt.clone()),
            _ => None,
        },
        selective: match check.plain() {
            Check::Refused(_) => None,
            plain if plain.spelled().is_none() => None,
            _ => matched.map(|matched| 0 < matched && matched < rows),
        },
        class: match verdict {
            Verdict::Divergence(divergence) => Some(divergence.class),
            _ => None,
        },
        known,
        model_alone: match verdict {
            Verdict::Pass { judges, .. } => *judges == Judges::ModelAlone,
            Verdict::Divergence(divergence) => divergence.judges == Judges::ModelAlone,
            _ => false,
        },
    }
}

/// Counts the cells of the grammar that a check touches.
fn touch(cells_touched: &mut BTreeMap<Cell, u64>, schema: &Schema, check: &Check) {
    let filter = match check {
        Check::Refused(_) => None,
        check => check.spelled(),
    };
    for cell in filter.into_iter().flat_map(|filter| cells(schema, filter)) {
        *cells_touched.entry(cell).or_default() += 1;
    }
}
