//! What becomes of a divergence: known, one that was met before, or a finding, shrunk.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::event::Event;
use super::workbench::{BenchError, SameDefect, Workbench};
use super::worker::{GRACE, Met, Shared, announce_restarts, explained};
use crate::case::{Case, Check, Operation, Relation};
use crate::filter::Expr;
use crate::finding::Finding;
use crate::oracle::Oracle;
use crate::schema::Schema;
use crate::shrink::{Probe, shrink};
use crate::triage::{check_shape, shape};
use crate::value::Key;
use crate::verdict::{Actual, Class, Divergence, Verdict};

/// How often a finding is confirmed when it is small. An engine that fails now and then passes for
/// one that always does if it is asked once.
pub(super) const CONFIRMATIONS: usize = 3;

/// Sorts the divergences of one case into known and new ones, and shrinks the new.
pub(super) async fn investigate(
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
        let scope = check.scope();
        if reference && !scope.is_whole() {
            // Where the rows of a part are wrong, whatever is asked of it is.
            add(Check::Entities.within(scope));
        }
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
            for part in predicates {
                add(ask(part));
                add(ask(part).within(scope));
            }
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
            match diverges(shared, bench, &plain, divergence.class).await? {
                true => single = plain,
                false => {
                    if reference
                        && let Some((earlier, plainer)) = earliest(shared, bench, &single).await?
                    {
                        (single, divergence) = (earlier, plainer);
                        first_shape = check_shape(&single, &divergence);
                    }
                    first_shape.push_str(" after a history");
                }
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

/// The first moment in a case's history at which its rows are wrong by themselves, if there is one:
/// plainer than what they lead to later.
async fn earliest(
    shared: &Shared,
    bench: &mut Workbench,
    case: &Case,
) -> Result<Option<(Case, Divergence)>, BenchError> {
    let mut watched = Case { checks: vec![Check::Entities], ..case.clone() };
    watched.operations.clear();
    for operation in &case.operations {
        match operation {
            Operation::Ask(_) => {}
            operation if operation.is_of_rows() && !watched.operations.is_empty() => {
                watched.operations.push(Operation::Ask(Check::Entities));
                watched.operations.push(operation.clone());
            }
            operation => watched.operations.push(operation.clone()),
        }
    }
    let moment = |question| {
        let mut until = watched.asking(question)?;
        until.operations.retain(|step| !matches!(step, Operation::Ask(_)));
        Some(until)
    };
    let (mut asked, mut met) = (0, None);
    let mut seen = |check: &Check, verdict: &Verdict| {
        if let (Verdict::Divergence(divergence), Some(until)) = (verdict, moment(asked))
            && explained(shared, &until, check, verdict).is_empty()
        {
            met = Some((until, divergence.as_ref().clone()));
            return ControlFlow::Break(());
        }
        asked += 1;
        ControlFlow::Continue(())
    };
    bench.judge(&watched, &mut seen).await?;
    let Some((until, divergence)) = met else { return Ok(None) };
    // It may have taken the questions before it.
    let wrong = diverges(shared, bench, &until, divergence.class).await?;
    Ok(wrong.then_some((until, divergence)))
}

/// Whether a case diverges in this class by itself, in a way that is not known.
async fn diverges(
    shared: &Shared,
    bench: &mut Workbench,
    case: &Case,
    class: Class,
) -> Result<bool, BenchError> {
    let known = &shared.known_issues;
    let mut probe = SameDefect { bench, class, known, titles: &[], needed: &[], dialect: None };
    let soon = Instant::now() + GRACE;
    let (found, _) = probe.first_diverging(std::slice::from_ref(case), soon).await?;
    Ok(found.is_some())
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
    // What does not repeat is not worth the time that shrinking takes.
    if answered_wrongly(bench, &case, divergence.class, 1).await?.is_none() {
        unstable(shared, number, first_shape);
        return Ok(());
    }
    let known = &shared.known_issues;
    let asked_beyond = case
        .checks
        .iter()
        .any(|check| matches!(check, Check::Refused(_) | Check::QueryOrRefusal(_)));
    let dialect = Some(&shared.dialect).filter(|_| !asked_beyond);
    let mut probe =
        SameDefect { bench, class: divergence.class, known, titles: &[], needed: &[], dialect };
    let shrunk = shrink(case, &suspects(&divergence), budget, &mut probe).await?;
    let oracle = shrunk.case.checks.first().map_or(oracle, Check::oracle);
    let again = answered_wrongly(bench, &shrunk.case, divergence.class, CONFIRMATIONS).await?;
    let Some(divergence) = again else {
        unstable(shared, number, first_shape);
        return Ok(());
    };
    // What has a shape alone is recognised only when it is small.
    let issues = shrunk
        .case
        .checks
        .first()
        .and_then(|check| shared.known_issues.explain(&shrunk.case, check, &divergence));
    let shape = shape(&shrunk.case, &divergence);
    let known = match (issues, shared.shapes().get(&shape)) {
        (Some(issues), _) => Some(issues.into_iter().map(|issue| issue.title.clone()).collect()),
        // The same as a case of the user's corpus that is open.
        (None, Some(Met::Known(titles))) => Some(titles.clone()),
        (None, _) => None,
    };
    if let Some(titles) = known {
        shared.shapes().insert(first_shape.clone(), Met::Known(titles.clone()));
        let seen_as = first_shape;
        shared.emit(Event::Recognised { case: number, oracle, titles, seen_as });
        return Ok(());
    }
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
        seed: Some(shared.seed),
        number: Some(number),
    })));
    Ok(())
}

/// A divergence did not come again. It may, and is not taken for one that was met then.
fn unstable(shared: &Shared, number: u64, what: String) {
    shared.shapes().remove(&what);
    shared.emit(Event::Unstable { case: number, what });
}

/// What a case comes to on fresh collections, if it diverges in this class on each of so many.
pub(super) async fn answered_wrongly(
    bench: &mut Workbench,
    case: &Case,
    class: Class,
    times: usize,
) -> Result<Option<Divergence>, BenchError> {
    let mut last = None;
    for _ in 0..times {
        let mut anything = |_: &Check, _: &Verdict| ControlFlow::Continue(());
        last = match bench.judge(case, &mut anything).await?.pop() {
            Some(Verdict::Divergence(last)) if last.class == class => Some(*last),
            _ => return Ok(None),
        };
    }
    Ok(last)
}

/// The rows that a divergence names.
pub(super) fn suspects(divergence: &Divergence) -> Vec<Key> {
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
        .find(|(part, _)| {
            let (scope, is_of_it) = (part.scope(), part.scope() == check.scope());
            match part.plain() {
                Check::Query(filter) | Check::QueryOrRefusal(filter) => {
                    (is_of_it || scope.is_whole()) && predicates.contains(&&filter.expr)
                }
                Check::Entities if !scope.is_whole() => is_of_it,
                _ => part == check,
            }
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
