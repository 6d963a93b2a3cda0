//! `selftest`: every injected fault must be found.

use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};

use super::args::SelftestArgs;
use super::exit::Exit;
use super::setup::or_signal;
use super::start::{Failure, say};
use crate::campaign::{Campaign, Event, Kind, Stop, Summary, Target};
use crate::engine::simulated::{Fault, SimulatedOptions};

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
    let line = |cells: [&str; 6]| {
        let [fault, found, checks, rows, fields, nodes] = cells;
        say(format_args!("{fault:28} {found:16} {checks:>12} {rows:>5} {fields:>7} {nodes:>13}"));
    };
    line(["fault", "found as", "checks until", "rows", "fields", "filter nodes"]);
    let mut killed = 0;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let hunts = faults.iter().map(|fault| async move { (fault, hunt(args, Some(*fault)).await) });
    let mut hunts = std::pin::pin!(stream::iter(hunts).buffered(cores));
    while let Some((fault, hunt)) = hunts.next().await {
        let hunt = hunt?;
        let checks = hunt.checks_until.unwrap_or(hunt.summary.verdicts.total()).to_string();
        let found = match hunt.summary.findings.first() {
            Some(finding) => {
                let class = finding.divergence.class.to_string();
                let sizes = [finding.rows(), finding.fields(), finding.nodes()];
                let [rows, fields, nodes] = sizes.map(|size| size.to_string());
                line([fault.name(), &class, &checks, &rows, &fields, &nodes]);
                true
            }
            // An answer that is not given twice must be noticed, and must not be a finding.
            None if hunt.summary.unrepeatable > 0 => {
                line([fault.name(), "unrepeatable", &checks, "", "", ""]);
                true
            }
            None => {
                line([fault.name(), "NOT FOUND", &checks, "", "", ""]);
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
    if healthy.verdicts.divergence > 0 {
        return Err(Failure::new(Exit::Findings, "false alarms on an engine without faults"));
    }
    if healthy.is_vacuous() {
        return Err(Failure::new(Exit::Vacuous, "too little was checked to prove anything"));
    }
    Ok(if killed == faults.len() { Exit::Clean } else { Exit::Findings })
}

struct Hunt {
    summary: Summary,
    /// Checks judged up to the first that did not pass.
    checks_until: Option<u64>,
}

/// A campaign on a simulated engine that ends with the first finding.
async fn hunt(args: &SelftestArgs, fault: Option<Fault>) -> Result<Hunt, Failure> {
    let target = Target::Simulated(SimulatedOptions {
        faults: fault.into_iter().collect(),
        ..SimulatedOptions::default()
    });
    let mut campaign =
        Campaign { seed: args.seed, cases: Some(args.cases), ..Campaign::new(target) };
    // In this process, a query that takes a second never ends.
    campaign.deadlines.query_deadline = Duration::from_secs(1);
    campaign.deadlines.call_deadline = Duration::from_secs(2);
    let stop = Stop::default();
    let mut checks_until = None;
    let mut watch = |event: &Event, summary: &Summary| match event {
        Event::Checked { kind: Kind::Divergence, .. } if checks_until.is_none() => {
            checks_until = Some(summary.verdicts.total());
        }
        Event::Found(_) => stop.stop(),
        _ => {}
    };
    let summary = campaign.run(&stop, &mut watch).await.map_err(Failure::environment)?;
    match &summary.error {
        Some(error) => Err(Failure::environment(error)),
        None => Ok(Hunt { summary, checks_until }),
    }
}
