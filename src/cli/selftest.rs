//! `selftest`: every injected fault must be found.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};

use super::args::SelftestArgs;
use super::exit::Exit;
use super::setup::or_signal;
use super::start::{Failure, say};
use crate::campaign::{Campaign, Event, Kind, Stop, Summary, Target};
use crate::engine::simulated::{Fault, SimulatedOptions};
use crate::report::finding;

pub async fn run(args: SelftestArgs) -> Result<Exit, Failure> {
    match or_signal(selftest(&args)).await {
        Some(result) => result,
        None => Ok(Exit::Interrupted),
    }
}

async fn selftest(args: &SelftestArgs) -> Result<Exit, Failure> {
    let begun = Instant::now();
    // An engine without faults first: what is "found" on it would be a false alarm.
    let healthy = hunt(args, None).await?.summary;
    say(format_args!(
        "without a fault: {} checks, {} divergences, {} inconclusive, {:.0} % of filters selective",
        healthy.verdicts.total(),
        healthy.verdicts.divergence,
        healthy.verdicts.inconclusive,
        100.0 * healthy.selective_share(),
    ));
    let faults = match args.fault.as_slice() {
        [] => Fault::all().filter(|fault| fault.is_of_campaigns()).collect(),
        some => some.to_vec(),
    };
    // A line as soon as it is known: the whole takes minutes.
    let line = |cells: [&str; 9]| {
        let [fault, found, checks, calls, operations, rows, fields, nodes, smallest] = cells;
        say(format_args!(
            "{fault:32} {found:16} {checks:>12} {calls:>15} {operations:>10} {rows:>4} {fields:>6} \
             {nodes:>5} {smallest:>8}"
        ));
    };
    line([
        "fault",
        "found as",
        "checks until",
        "calls to shrink",
        "operations",
        "rows",
        "fields",
        "nodes",
        "smallest",
    ]);
    let mut killed = 0;
    let (mut until, mut shrinking, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let hunts = faults.iter().map(|fault| async move { (fault, hunt(args, Some(*fault)).await) });
    let mut hunts = std::pin::pin!(stream::iter(hunts).buffered(cores));
    while let Some((fault, hunt)) = hunts.next().await {
        let hunt = hunt?;
        let checks = hunt.checks_until.unwrap_or(hunt.summary.verdicts.total());
        until.push(checks);
        let checks = checks.to_string();
        let found = match hunt.summary.findings.first() {
            Some(finding) => {
                if let Some(dir) = &args.out {
                    finding::write(&dir.join(fault.name()), finding)
                        .map_err(Failure::environment)?;
                }
                let class = finding.divergence.class.to_string();
                let sizes =
                    [finding.operations(), finding.rows(), finding.fields(), finding.nodes()];
                let smallest = fault.smallest();
                if let Some(smallest) = smallest {
                    ratios.push(sizes.iter().sum::<usize>() as f64 / smallest as f64);
                }
                shrinking.push(hunt.calls_to_shrink);
                let [operations, rows, fields, nodes] = sizes.map(|size| size.to_string());
                let smallest = smallest.map_or(String::new(), |size| size.to_string());
                let calls = hunt.calls_to_shrink.to_string();
                line([
                    fault.name(),
                    &class,
                    &checks,
                    &calls,
                    &operations,
                    &rows,
                    &fields,
                    &nodes,
                    &smallest,
                ]);
                true
            }
            // An answer that is not given twice must be noticed, and must not be a finding.
            None if hunt.summary.unrepeatable > 0 => {
                line([fault.name(), "unrepeatable", &checks, "", "", "", "", "", ""]);
                true
            }
            None => {
                line([fault.name(), "NOT FOUND", &checks, "", "", "", "", "", ""]);
                false
            }
        };
        killed += usize::from(found);
    }
    let elapsed = Duration::from_secs(begun.elapsed().as_secs());
    let (all, elapsed) = (faults.len(), humantime::format_duration(elapsed));
    say(format_args!(
        "kill rate: {killed} of {all} faults ({} %) in {elapsed}",
        100 * killed / all.max(1)
    ));
    say(format_args!(
        "median: {} checks until the first that fails, {} calls to the engine to shrink it",
        median(until),
        median(shrinking)
    ));
    if !ratios.is_empty() {
        let small = ratios.iter().filter(|ratio| **ratio <= GOOD_RATIO).count();
        say(format_args!(
            "{small} of {} whose smallest case is known were shrunk to at most {GOOD_RATIO} times \
             its size; the largest is {:.1} times its",
            ratios.len(),
            ratios.iter().copied().fold(0.0, f64::max)
        ));
    }
    if healthy.verdicts.divergence > 0 {
        return Err(Failure::new(Exit::Findings, "false alarms on an engine without faults"));
    }
    if healthy.is_vacuous() {
        return Err(Failure::new(Exit::Vacuous, "too little was checked to prove anything"));
    }
    Ok(if killed == faults.len() { Exit::Clean } else { Exit::Findings })
}

/// Shrinking that comes to no more than so many times the smallest case is good.
const GOOD_RATIO: f64 = 1.2;

/// The one in the middle; 0 of nothing.
fn median(mut all: Vec<u64>) -> u64 {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or(0)
}

struct Hunt {
    summary: Summary,
    /// Checks judged up to the first that did not pass.
    checks_until: Option<u64>,
    /// Calls to the engine from the end of that case on.
    calls_to_shrink: u64,
}

/// A campaign on a simulated engine that ends with the first finding.
async fn hunt(args: &SelftestArgs, fault: Option<Fault>) -> Result<Hunt, Failure> {
    let calls = Arc::new(AtomicU64::new(0));
    let target = Target::Simulated(SimulatedOptions {
        faults: fault.into_iter().collect(),
        calls: calls.clone(),
        ..SimulatedOptions::default()
    });
    let mut campaign =
        Campaign { seed: args.seed, cases: Some(args.cases), ..Campaign::new(target) };
    campaign.feedback = !args.no_feedback;
    // In this process, a query that takes a second never ends.
    campaign.deadlines.query_deadline = Duration::from_secs(1);
    campaign.deadlines.call_deadline = Duration::from_secs(2);
    let stop = Stop::default();
    let (mut checks_until, mut calls_until, mut calls_found) = (None, 0, None);
    let mut watch = |event: &Event, summary: &Summary| match event {
        Event::Checked { kind, .. } => {
            if *kind == Kind::Divergence && checks_until.is_none() {
                checks_until = Some(summary.verdicts.total());
            }
            // The rest of the case's questions is asked before anything is shrunk.
            if calls_found.is_none() {
                calls_until = calls.load(Ordering::Relaxed);
            }
        }
        Event::Found(_) => {
            calls_found.get_or_insert(calls.load(Ordering::Relaxed));
            stop.stop();
        }
        _ => {}
    };
    let summary = campaign.run(&stop, &mut watch).await.map_err(Failure::environment)?;
    match &summary.error {
        Some(error) => Err(Failure::environment(error)),
        None => {
            let calls_to_shrink = calls_found.unwrap_or(calls_until).saturating_sub(calls_until);
            Ok(Hunt { summary, checks_until, calls_to_shrink })
        }
    }
}
