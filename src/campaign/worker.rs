//! One worker: takes cases by number, judges them, and shrinks what diverges.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio::sync::mpsc::UnboundedSender;

use super::event::{Event, Kind};
use super::feedback::{Feedback, Lesson, Plan};
use super::reached::{self, is_refused, matched};
use super::shard::Shard;
use super::steer::{Steered, steer};
use super::workbench::{BenchError, SameClass, Workbench};
use crate::apply::Situation;
use crate::case::{Case, CaseError, Check, Operation, Relation};
use crate::filter::Expr;
use crate::filter::grammar::{Cell, cells};
use crate::finding::Finding;
use crate::generate;
use crate::known::KnownIssues;
use crate::milvus::Dialect;
use crate::oracle::Oracle;
use crate::schema::Schema;
use crate::shrink::{Budget, Probe, shrink};
use crate::triage::{check_shape, shape};
use crate::value::Key;
use crate::verdict::{Actual, Divergence, Judges, Verdict};

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
    /// Known issues, by their titles.
    Known(Vec<String>),
}

/// How often a worker looks whether the cases that its next may depend on are judged.
const POLL: Duration = Duration::from_millis(10);

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
        let digest = digest(case);
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

    fn emit(&self, event: Event) {
        // The receiver outlives the workers; should it be gone, nobody wants to know.
        let _ = self.events.send(event);
    }

    fn shapes(&self) -> MutexGuard<'_, HashMap<String, Met>> {
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

fn announce_restarts(shared: &Shared, bench: &mut Workbench, case: u64) {
    for reason in bench.take_restarts() {
        shared.emit(Event::Restarted { case, reason });
    }
}

/// The titles of the known issues that explain a divergence fully.
fn explained(shared: &Shared, case: &Case, check: &Check, verdict: &Verdict) -> Vec<String> {
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
    let reference = shared.generation.asks(Oracle::Reference);
    for (check, _) in &diverging {
        if let (Check::Agree { .. }, true) = (check, reference) {
            // What one of the ways gets wrong on its own is plainer without the other.
            check.filters(&case.schema).into_iter().for_each(|way| add(Check::Query(way)));
        } else if let Check::Agree { .. } = check {
            add(check.clone());
            continue;
        }
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
    let between = asked.questions().count() - asked.checks.len();
    let verdicts = bench.judge(&asked, &mut stop.clone()).await?;
    announce_restarts(shared, bench, number);
    let mut answers: Vec<(Check, Divergence)> = Vec::new();
    for (check, verdict) in asked.checks.into_iter().zip(verdicts.into_iter().skip(between)) {
        if explained(shared, case, &check, &verdict).is_empty()
            && let Verdict::Divergence(divergence) = verdict
        {
            answers.push((check, *divergence));
        }
    }
    answers.sort_by_key(|(check, _)| check.filter().map_or(0, Expr::nodes));
    for (check, divergence) in diverging {
        let oracle = check.oracle();
        let (check, mut divergence) =
            smallest_part(&case.schema, &check, &answers).unwrap_or((check, divergence));
        let mut single = Case { checks: vec![check], ..case.clone() };
        if reference && let Some((afterwards, plainer)) = afterwards(shared, bench, &single).await?
        {
            (single, divergence) = (afterwards, plainer);
        }
        // Most need no history: that is told apart here, so that one that does is not taken for
        // another that does not.
        let mut first_shape = check_shape(&single, &divergence);
        if let Some(plain) = plain(&single) {
            let known = &shared.known_issues;
            let mut probe = SameClass { bench, class: divergence.class, known, dialect: None };
            let soon = Instant::now() + GRACE;
            let (found, _) = probe.first_diverging(std::slice::from_ref(&plain), soon).await?;
            match found {
                Some(_) => single = plain,
                None => first_shape.push_str(" after a history"),
            }
        }
        let met = shared.shapes().get(&first_shape).cloned();
        match met {
            Some(Met::Finding(shape)) => {
                shared.emit(Event::Repeated { case: number, shape, seen_as: first_shape });
                continue;
            }
            Some(Met::Known(titles)) => {
                let seen_as = first_shape;
                shared.emit(Event::Recognised { case: number, oracle, titles, seen_as });
                continue;
            }
            None => {}
        }
        if shared.patience_is_over() {
            shared.emit(Event::Unexplored { case: number });
            continue;
        }
        shared.shapes().insert(first_shape.clone(), Met::Finding(first_shape.clone()));
        pursue(shared, bench, number, single, divergence, oracle, first_shape).await?;
        announce_restarts(shared, bench, number);
    }
    Ok(())
}

/// What a question before and after some step comes to as a step of the history and a question
/// after it, if that is answered wrongly: plainer than two answers that disagree.
async fn afterwards(
    shared: &Shared,
    bench: &mut Workbench,
    case: &Case,
) -> Result<Option<(Case, Divergence)>, BenchError> {
    let Some(Check::Agree { relation: Relation::After(step), filter }) = case.checks.first() else {
        return Ok(None);
    };
    let mut afterwards = case.clone();
    afterwards.operations.push(Operation::Maintain(step.clone()));
    afterwards.checks = vec![Check::Entities, Check::Query(filter.clone())];
    let between = afterwards.questions().count() - afterwards.checks.len();
    let mut met = 0;
    // What a question in between diverges by is looked into on its own.
    let mut stop = |_: &Check, verdict: &Verdict| {
        met += 1;
        match verdict {
            Verdict::Divergence(_) if met > between => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    };
    let verdicts = bench.judge(&afterwards, &mut stop).await?;
    let checks = std::mem::take(&mut afterwards.checks);
    for (check, verdict) in checks.into_iter().zip(verdicts.into_iter().skip(between)) {
        if explained(shared, case, &check, &verdict).is_empty()
            && let Verdict::Divergence(divergence) = verdict
        {
            return Ok(Some((Case { checks: vec![check], ..afterwards }, *divergence)));
        }
    }
    Ok(None)
}

/// The same rows, written at once; `None` if that is all that the history does.
fn plain(case: &Case) -> Option<Case> {
    match case.operations.as_slice() {
        [] | [Operation::Insert(_)] => None,
        _ => {
            let rows: Vec<_> = case.rows().into_values().collect();
            let insert = (!rows.is_empty()).then_some(Operation::Insert(rows));
            // Where partitions go, questions are about the whole.
            let checks = case.checks.iter().map(|check| check.plain().clone()).collect();
            let operations = insert.into_iter().collect();
            Some(Case { operations, checks, schema: case.schema.clone() })
        }
    }
}

/// Shrinks one divergence and reports it.
async fn pursue(
    shared: &Shared,
    bench: &mut Workbench,
    number: u64,
    case: Case,
    divergence: Divergence,
    oracle: Oracle,
    first_shape: String,
) -> Result<(), BenchError> {
    let seconds_to_first = (shared.before + shared.started.elapsed()).as_secs_f64();
    let mut budget = shared.shrink;
    if let Some(deadline) = shared.deadline {
        let left = (deadline + 2 * GRACE).saturating_duration_since(Instant::now());
        budget.time = budget.time.min(left);
    }
    let known = &shared.known_issues;
    let asked_beyond = case
        .checks
        .iter()
        .any(|check| matches!(check, Check::Refused(_) | Check::QueryOrRefusal(_)));
    let dialect = Some(&shared.dialect).filter(|_| !asked_beyond);
    let mut probe = SameClass { bench, class: divergence.class, known, dialect };
    let shrunk = shrink(case, &suspects(&divergence), budget, &mut probe).await?;
    // Once more, on a fresh collection.
    let mut anything = |_: &Check, _: &Verdict| ControlFlow::Continue(());
    let verdict = bench.judge(&shrunk.case, &mut anything).await?.pop();
    let oracle = shrunk.case.checks.first().map_or(oracle, Check::oracle);
    let divergence = match verdict {
        Some(Verdict::Divergence(last)) if last.class == divergence.class => *last,
        _ => {
            shared.shapes().remove(&first_shape);
            shared.emit(Event::Unstable { case: number, what: first_shape });
            return Ok(());
        }
    };
    // What has a shape alone is recognised only when it is small.
    if let Some(check) = shrunk.case.checks.first()
        && let Some(issues) = shared.known_issues.explain(&shrunk.case, check, &divergence)
    {
        let titles: Vec<String> = issues.into_iter().map(|issue| issue.title.clone()).collect();
        shared.shapes().insert(first_shape.clone(), Met::Known(titles.clone()));
        let seen_as = first_shape;
        shared.emit(Event::Recognised { case: number, oracle, titles, seen_as });
        return Ok(());
    }
    let shape = shape(&shrunk.case, &divergence);
    let repeated = {
        let mut shapes = shared.shapes();
        let finding = Met::Finding(shape.clone());
        let repeated = shapes.values().any(|met| *met == finding) && shape != first_shape;
        shapes.insert(first_shape.clone(), finding.clone());
        shapes.insert(shape.clone(), finding);
        repeated
    };
    if repeated {
        shared.emit(Event::Repeated { case: number, shape, seen_as: first_shape });
        return Ok(());
    }
    shared.emit(Event::Found(Box::new(Finding {
        shape,
        seen_as: first_shape,
        oracle,
        sql: bench.sql(&shrunk.case),
        engine: bench.engine_version().to_owned(),
        backend: bench.judging(&shrunk.case),
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
fn smallest_part(
    schema: &Schema,
    check: &Check,
    answers: &[(Check, Divergence)],
) -> Option<(Check, Divergence)> {
    let filters = check.filters(schema);
    let mut predicates = Vec::new();
    filters.iter().for_each(|filter| sub_predicates(&filter.expr, &mut predicates));
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

/// A hash of the case's file: equal campaigns have equal sums of them.
fn digest(case: &Case) -> u64 {
    let hash = Sha256::digest(case.to_json(None));
    hash.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
