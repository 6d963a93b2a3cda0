//! `selftest`: every injected fault must be found.

use std::time::{Duration, Instant};

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;

use super::args::SelftestArgs;
use super::exit::Exit;
use super::setup::or_signal;
use super::start::Failure;
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
    println!(
        "without a fault: {} checks, {} divergences, {} inconclusive, {:.0} % of filters selective",
        healthy.verdicts.total(),
        healthy.verdicts.divergence,
        healthy.verdicts.inconclusive,
        100.0 * healthy.selective_share(),
    );
    let faults = if args.fault.is_empty() { Fault::ALL.to_vec() } else { args.fault.clone() };
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header(["fault", "found as", "checks until", "rows", "fields", "filter nodes"]);
    let mut killed = 0;
    for fault in &faults {
        let started = Instant::now();
        let hunt = hunt(args, Some(*fault)).await?;
        tracing::info!(fault = fault.name(), elapsed = ?started.elapsed(), "hunted");
        let checks = hunt.checks_until.unwrap_or(hunt.summary.verdicts.total()).to_string();
        let mut row = vec![fault.name().to_owned()];
        match hunt.summary.findings.first() {
            Some(finding) => {
                row.extend([finding.divergence.class.to_string(), checks]);
                let sizes = [finding.rows(), finding.fields(), finding.nodes()];
                row.extend(sizes.map(|size| size.to_string()));
            }
            // An answer that is not given twice must be noticed, and must not be a finding.
            None if hunt.summary.unrepeatable > 0 => {
                row.extend(["unrepeatable".to_owned(), checks]);
            }
            None => row.extend(["NOT FOUND".to_owned(), checks]),
        }
        killed += usize::from(row[1] != "NOT FOUND");
        row.resize(6, String::new());
        table.add_row(row);
    }
    println!("{table}");
    let elapsed = Duration::from_secs(begun.elapsed().as_secs());
    let (all, elapsed) = (faults.len(), humantime::format_duration(elapsed));
    println!("kill rate: {killed} of {all} faults ({} %) in {elapsed}", 100 * killed / all.max(1));
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
