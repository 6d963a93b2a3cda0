//! Nothing is lost and nothing hidden when something around a campaign fails: the engine, its answers,
//! the reference database, the disk, the clock. docs/robustness.md says what happens then.

mod answers;
mod backend;
mod clock;
mod disk;
mod engine;
mod load;
mod proxy;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value as Json, json};

use crate::support::{Sandbox, entries};

/// How often something is killed at random moments, at least: a few times, or as often as this says.
/// 50 take half an hour for all that is killed.
const KILLS: &str = "MILVUS_DIFFTEST_TEST_KILLS";

fn wanted(least: usize) -> usize {
    let asked = std::env::var(KILLS).ok().map(|text| text.parse().expect("a number"));
    asked.unwrap_or(least)
}

/// Options under which the time that a machine takes changes nothing.
const EXACT: [&str; 6] =
    ["--shrink-evaluations", "30", "--shrink-time", "1h", "--query-timeout", "1m"];

/// A campaign of one worker, which knows no issue, into the folder `out` and `summary.json`.
fn fuzz(sandbox: &Sandbox, args: &[&str]) -> Command {
    let mut command = sandbox.command(&["fuzz", "--jobs", "1", "--out", "out", "--strict"]);
    command.args(["--summary", "summary.json"]).args(EXACT).args(args);
    command
}

/// The shapes of the findings, and how often each was met.
fn shapes(summary: &Json) -> BTreeMap<String, u64> {
    let findings = summary["findings"].as_array().expect("a list").iter();
    let one = |finding: &Json| {
        let shape = finding["shape"].as_str().expect("a shape").to_owned();
        (shape, finding["count"].as_u64().expect("a count"))
    };
    findings.map(one).collect()
}

/// The figures that are the same whatever happens on the way.
fn figures(summary: &Json) -> Json {
    let same = ["seed", "cases", "cases_digest", "checks", "coverage", "error", "interrupted"];
    let same: BTreeMap<&str, &Json> = same.into_iter().map(|key| (key, &summary[key])).collect();
    json!([shapes(summary), same, summary["verdicts"]["divergence"]])
}

/// What is drawn is the same in each run of a test.
fn dice(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

fn millis(dice: &mut StdRng, range: std::ops::Range<u64>) -> std::time::Duration {
    std::time::Duration::from_millis(dice.random_range(range))
}

/// The servers that the sandbox's commands have started: their current folders are their data
/// folders.
fn servers(tmp: &Path) -> Vec<u32> {
    let pid = |process: PathBuf| {
        let pid = process.file_name()?.to_str()?.parse().ok()?;
        fs::read_link(process.join("cwd")).ok()?.starts_with(tmp).then_some(pid)
    };
    entries(Path::new("/proc")).into_iter().filter_map(pid).collect()
}

/// Whether a process has a port on which it listens.
fn listens(pid: u32) -> bool {
    let sockets = entries(Path::new(&format!("/proc/{pid}/fd")));
    let sockets = sockets.into_iter().filter_map(|handle| fs::read_link(handle).ok());
    let sockets: Vec<String> = sockets.map(|name| name.display().to_string()).collect();
    ["tcp", "tcp6"].iter().any(|table| {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        text.lines().skip(1).any(|line| {
            let columns: Vec<_> = line.split_whitespace().collect();
            let (Some(state), Some(inode)) = (columns.get(3), columns.get(9)) else { return false };
            *state == "0A" && sockets.contains(&format!("socket:[{inode}]"))
        })
    })
}

/// Ends a process as a system does that is out of memory; says whether it was there.
fn kill(pid: u32) -> bool {
    let sent = Command::new("kill").args(["-s", "KILL", &pid.to_string()]).output();
    sent.expect("kill runs").status.success()
}
