//! Nothing is lost: campaigns that are killed at any moment go on as if they had not been, and the
//! parts of a campaign come to what the whole does.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use milvus_difftest::campaign::{Campaign, Progress, Stop, Summary, Target};
use milvus_difftest::engine::simulated::{Fault, SimulatedOptions};
use milvus_difftest::filter::Switch;
use milvus_difftest::report::events::{LockedLog, Reader, Record, read};
use serde_json::{Value as Json, json};

use crate::support::{Running, Sandbox, run, simulated};

const FAULTS: [Fault; 3] =
    [Fault::LessThanIncludesEqual, Fault::Turned(Switch::NullInListIsFalse), Fault::CountOffByOne];

/// A campaign that takes no time and ends in no budget of time.
fn campaign(jobs: usize) -> Campaign {
    let faults = [&FAULTS[..], &[Fault::DropLastMatch]].concat();
    let options = SimulatedOptions { faults, ..Default::default() };
    let mut campaign = Campaign::new(Target::Simulated(options));
    (campaign.seed, campaign.cases, campaign.jobs) = (3, Some(5), jobs);
    campaign.generation.filters = 5;
    campaign.shrink.evaluations = 12;
    campaign.shrink.time = Duration::from_secs(3600);
    campaign
}

/// Runs a campaign into a journal, from where it ends.
async fn run_into(path: &Path, mut campaign: Campaign) -> Summary {
    let locked = LockedLog::open(path).expect("no other run");
    let log = if locked.is_empty().expect("it can be read") {
        locked.begin(&Json::Null, None).expect("it can be written")
    } else {
        let mut reader = Reader::open(path).expect("a journal");
        for record in reader.by_ref() {
            let Record { event, seconds, .. } = record.expect("a line");
            campaign.so_far.add(&event, Duration::from_secs_f64(seconds));
        }
        locked.go_on(&reader, None).expect("it can be written")
    };
    let mut write = |event: &_, _: &_| log.write("simulated", event, None).expect("room");
    campaign.run(&Stop::default(), &mut write).await.expect("the engine starts")
}

/// What must be the same of a campaign however often it was killed.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// How often each shape was met.
    shapes: BTreeMap<String, u64>,
    cases: u64,
    digest: u64,
    figures: String,
    /// Cells and how often they were touched.
    coverage: (usize, u64),
}

fn outcome(summary: &Summary) -> Outcome {
    let coverage = &summary.coverage;
    let counts = coverage.wanted().iter().map(|cell| coverage.count(cell));
    Outcome {
        shapes: summary.findings.iter().map(|f| (f.shape.clone(), f.count)).collect(),
        cases: summary.cases,
        digest: summary.cases_digest,
        figures: format!(
            "{:?} {:?} {:?} {} {} {} {:?} {:?} {}",
            summary.verdicts,
            summary.oracles,
            summary.undefined,
            summary.filters,
            summary.selective,
            summary.model_alone,
            summary.known,
            summary.error,
            summary.interrupted,
        ),
        coverage: (coverage.hit(), counts.sum()),
    }
}

#[tokio::test]
async fn a_campaign_killed_at_any_moment_goes_on_as_if_it_had_not_been() {
    let folder = tempfile::tempdir().expect("a folder");
    // The first with several findings, one of them met more than once.
    let mut found = None;
    for seed in 1..30 {
        let whole = folder.path().join(format!("{seed}.whole"));
        let expected = outcome(&run_into(&whole, Campaign { seed, ..campaign(1) }).await);
        if expected.shapes.len() >= 2 && expected.shapes.values().any(|count| *count > 1) {
            found = Some((seed, whole, expected));
            break;
        }
    }
    let (seed, whole, expected) = found.expect("a seed with findings");
    let campaign = |jobs| Campaign { seed, ..campaign(jobs) };
    let bytes = fs::read(&whole).expect("a journal");
    // Spread over the file without any regard to its lines.
    for moment in 0..50 {
        let killed = folder.path().join(format!("{moment}.jsonl"));
        fs::write(&killed, &bytes[..moment * 7919 * 13 % bytes.len()]).expect("room");
        let resumed = run_into(&killed, campaign(1)).await;
        assert_eq!(outcome(&resumed), expected, "{moment}");
        // What is in the journal now is the same again.
        let mut again = Progress::default();
        for Record { event, seconds, .. } in read(&killed).expect("a journal").records {
            again.add(&event, Duration::from_secs_f64(seconds));
        }
        assert_eq!(outcome(&again.summary()), expected, "{moment}");
        assert!(again.is_ended());
    }
}

#[tokio::test]
async fn a_campaign_killed_again_and_again_goes_on_with_other_workers() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = folder.path().join("whole.jsonl");
    let expected = outcome(&run_into(&whole, campaign(1)).await);
    let killed = folder.path().join("killed.jsonl");
    let mut bytes = fs::read(&whole).expect("a journal").len() / 5;
    fs::copy(&whole, &killed).expect("room");
    for jobs in [2, 1, 2] {
        let journal = fs::OpenOptions::new().write(true).open(&killed).expect("a journal");
        journal.set_len(bytes as u64).expect("it is longer");
        bytes += bytes / 2;
        let resumed = outcome(&run_into(&killed, campaign(jobs)).await);
        // Which shapes are met first depends on the workers; the cases and their answers do not.
        let Outcome { cases, digest, figures, coverage, .. } = &resumed;
        let same = (&expected.cases, &expected.digest, &expected.figures, &expected.coverage);
        assert_eq!((cases, digest, figures, coverage), same);
        assert!(!resumed.shapes.is_empty());
    }
}

#[tokio::test]
async fn what_cases_grow_from_depends_neither_on_workers_nor_on_kills() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = folder.path().join("whole.jsonl");
    let campaign = |jobs| Campaign { cases: Some(70), ..campaign(jobs) };
    let summary = run_into(&whole, campaign(1)).await;
    assert!(summary.grown > 5, "{}", summary.grown);
    let same = |summary: &Summary| {
        let Outcome { cases, digest, figures, coverage, .. } = outcome(summary);
        (cases, digest, figures, coverage, summary.grown, summary.reached.clone())
    };
    let expected = same(&summary);
    let several = run_into(&folder.path().join("several.jsonl"), campaign(3)).await;
    assert_eq!(same(&several), expected);
    let bytes = fs::read(&whole).expect("a journal");
    for (moment, jobs) in [(3, 1), (5, 2), (7, 1), (9, 3)] {
        let killed = folder.path().join(format!("{moment}.jsonl"));
        fs::write(&killed, &bytes[..bytes.len() * moment / 10]).expect("room");
        assert_eq!(same(&run_into(&killed, campaign(jobs)).await), expected, "{moment}");
    }
    let fresh = Campaign { feedback: false, ..campaign(1) };
    let fresh = run_into(&folder.path().join("fresh.jsonl"), fresh).await;
    assert_eq!((fresh.grown, fresh.reached.len()), (0, 0));
}

/// Options under which the time that a machine takes changes nothing.
const EXACT: [&str; 8] = [
    "--filters",
    "20",
    "--shrink-evaluations",
    "60",
    "--shrink-time",
    "1h",
    "--query-timeout",
    "1m",
];

/// The figures of a summary that must be the same.
fn figures(summary: &Json) -> Json {
    let findings: BTreeMap<&str, &Json> = summary["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|finding| (finding["shape"].as_str().expect("a shape"), &finding["count"]))
        .collect();
    let same = ["seed", "cases", "cases_digest", "checks", "verdicts", "coverage", "undefined"];
    let same: BTreeMap<&str, &Json> = same.into_iter().map(|key| (key, &summary[key])).collect();
    json!([findings, same])
}

/// What a run that nothing disturbs comes to.
fn undisturbed(uri: &str, cases: &str) -> Json {
    let sandbox = Sandbox::new();
    run(sandbox.fuzz(uri, &[&EXACT[..], &["--cases", cases]].concat())).expect(1);
    figures(&sandbox.summary())
}

fn resume(sandbox: &Sandbox, args: &[&str]) -> Command {
    let mut command = sandbox.command(&["fuzz", "--resume", "out", "--summary", "summary.json"]);
    command.args(args);
    command
}

#[test]
fn a_run_that_is_killed_or_interrupted_is_resumed() {
    let engine = simulated(&FAULTS);
    let expected = undisturbed(&engine.uri(), "12");
    for signal in ["KILL", "INT"] {
        let sandbox = Sandbox::new();
        let args = [&EXACT[..], &["--cases", "12"]].concat();
        let mut running = Running::start(sandbox.fuzz(&engine.uri(), &args));
        running.wait_for("\nfound ");
        running.signal(signal);
        let ended = running.finish();
        assert_eq!(ended.code, if signal == "KILL" { None } else { Some(130) });
        let found = sandbox.findings();
        assert!(!found.is_empty());
        let resumed = run(resume(&sandbox, &[])).expect(1);
        assert!(resumed.stderr.contains("goes on after"), "{}", resumed.stderr);
        assert_eq!(figures(&sandbox.summary()), expected, "{signal}");
        let now = sandbox.findings();
        assert!(found.iter().all(|folder| now.contains(folder)));
        assert_eq!(now.len(), sandbox.summary()["findings"].as_array().expect("a list").len());

        // There is nothing left to do, and the end is the same.
        run(resume(&sandbox, &[])).expect(1);
        assert_eq!(figures(&sandbox.summary()), expected);
        // More is what a longer run would have come to.
        if signal == "INT" {
            run(resume(&sandbox, &["--cases", "15", "--jobs", "1"])).expect(1);
            assert_eq!(figures(&sandbox.summary()), undisturbed(&engine.uri(), "15"));
        }
    }
}

#[test]
fn a_disk_that_is_full_ends_a_run_and_loses_nothing() {
    let (sandbox, engine) = (Sandbox::new(), simulated(&FAULTS));
    let fuzz = || sandbox.fuzz(&engine.uri(), &[&EXACT[..], &["--cases", "6"]].concat());
    run(fuzz()).expect(1);
    let expected = figures(&sandbox.summary());
    let whole = fs::metadata(sandbox.path("out/events.jsonl")).expect("a journal").len();
    // No file may grow beyond two thirds of it, in blocks of 512 bytes: to the program, as if the
    // disk were full.
    let limit = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", whole * 2 / 3 / 512);
    let fuzz = fuzz();
    let mut limited = Command::new("sh");
    limited.args(["-c", &limit, "sh"]).arg(fuzz.get_program());
    limited.args(fuzz.get_args()).current_dir(sandbox.path(""));
    for (name, value) in fuzz.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let full = run(limited).expect(3);
    assert!(full.error().contains("--resume goes on with it"), "{}", full.stderr);
    run(resume(&sandbox, &[])).expect(1);
    assert_eq!(figures(&sandbox.summary()), expected);
}

#[test]
fn a_folder_has_one_run() {
    let (sandbox, engine) = (Sandbox::new(), simulated(&[]));
    let uri = engine.uri();
    let fuzz = |args: &[&str]| {
        let mut command = sandbox.command(&["fuzz", "--target", &uri, "--out", "out"]);
        command.args(["--cases", "1"]).args(args);
        command
    };
    run(fuzz(&["--seed", "1"])).expect(0);
    let journal = sandbox.path("out/events.jsonl");
    let before = fs::read(&journal).expect("a journal");
    let refused = run(fuzz(&["--seed", "2"])).expect(2);
    assert!(refused.error().contains("`--resume out` goes on"), "{}", refused.stderr);
    for (args, says) in [
        (&["--seed", "2"][..], "--seed is 2 now and was 1 then"),
        (&["--strict"], "--strict is given now and was not given then"),
        (&["--shard", "1/2"], "--shard is"),
        (&["--depth", "3"], "--depth is 3 now and was not given then"),
        (&["--target", "http://127.0.0.1:1"], "--target is"),
        (&["--engine", "milvus-2.3.5"], "--engine is milvus-2.3.5 now"),
        (&["--backend", "model"], "--backend is model now"),
    ] {
        let refused = run(resume(&sandbox, args)).expect(2);
        assert!(refused.error().contains(says), "{}", refused.stderr);
    }
    let held = LockedLog::open(&journal).expect("no other run");
    let busy = run(resume(&sandbox, &[])).expect(2);
    assert!(busy.error().contains("another run is writing"), "{}", busy.stderr);
    let busy = run(fuzz(&[])).expect(2);
    assert!(busy.error().contains("another run is writing"), "{}", busy.stderr);
    drop(held);
    assert_eq!(fs::read(&journal).expect("a journal"), before);
    // The same options are no others.
    run(resume(&sandbox, &["--seed", "1", "--target", &uri])).expect(0);

    let nothing = run(sandbox.command(&["fuzz", "--resume", "nothing"])).expect(2);
    assert!(nothing.error().contains("no run that could go on"), "{}", nothing.stderr);
    sandbox.write("out/events.jsonl", "{\"format\": \"milvus-difftest/events\", \"vers");
    let nothing = run(resume(&sandbox, &[])).expect(2);
    assert!(nothing.error().contains("it ended before it began"), "{}", nothing.stderr);
    run(fuzz(&["--seed", "3"])).expect(0);
    sandbox.write("out/events.jsonl", "something\n");
    let foreign = run(resume(&sandbox, &[])).expect(2);
    assert!(foreign.error().contains("is no file of events"), "{}", foreign.stderr);

    // A run that does not begin leaves nothing.
    let absent = ["fuzz", "--target", "http://127.0.0.1:1", "--query-timeout", "1s", "--seed", "9"];
    run(sandbox.command(&absent)).expect(3);
    assert!(!sandbox.path("runs/9").exists());
    let mut impossible = fuzz(&[]);
    impossible.args(["--events", "/proc/nothing/here"]);
    fs::remove_file(&journal).expect("a journal");
    run(impossible).expect(2);
    let nowhere = ["fuzz", "--target", &uri, "--out", "/proc/nothing/here", "--cases", "1"];
    assert!(run(sandbox.command(&nowhere)).expect(3).error().contains("cannot make the folder"));
}

#[test]
fn an_engine_that_has_become_another_is_not_gone_on_with() {
    let (sandbox, engine) = (Sandbox::new(), simulated(&[]));
    run(sandbox.fuzz(&engine.uri(), &["--cases", "1"])).expect(0);
    let journal = sandbox.path("out/events.jsonl");
    let text = fs::read_to_string(&journal).expect("a journal");
    fs::write(&journal, text.replace("v2.6.0-simulated", "v2.5.9")).expect("room");
    let other = run(resume(&sandbox, &["--cases", "2"])).expect(3);
    assert!(other.error().contains("it was begun on v2.5.9"), "{}", other.stderr);
}

/// Runs the shards of a campaign, into a folder each.
fn shards(sandbox: &Sandbox, uri: &str, of: u64) -> Vec<String> {
    let names = (1..=of).map(|number| {
        let name = format!("shard-{number}");
        let mut command = sandbox.command(&["fuzz", "--target", uri, "--seed", "1", "--jobs", "1"]);
        command.args(EXACT).args(["--cases", "12", "--out", &name]);
        command.args(["--shard", &format!("{number}/{of}")]);
        let code = run(command).code;
        assert!(matches!(code, Some(0 | 1)), "{code:?}");
        name
    });
    names.collect()
}

#[test]
fn the_shards_of_a_campaign_come_to_the_whole() {
    let engine = simulated(&FAULTS);
    let sandbox = Sandbox::new();
    let names = shards(&sandbox, &engine.uri(), 4);
    let merge = |runs: &[String]| {
        let _ = fs::remove_dir_all(sandbox.path("out"));
        let mut command = sandbox.command(&["merge", "--out", "out", "--summary", "summary.json"]);
        command.args(runs);
        run(command)
    };
    let merged = merge(&names).expect(1);
    assert!(merged.stdout.contains("12 cases"), "{}", merged.stdout);
    assert_eq!(figures(&sandbox.summary()), undisturbed(&engine.uri(), "12"));
    let findings = sandbox.summary()["findings"].as_array().expect("a list").len();
    assert_eq!(sandbox.findings().len(), findings);
    let mut progress = Progress::default();
    for Record { event, seconds, .. } in
        read(&sandbox.path("out/events.jsonl")).expect("a journal").records
    {
        progress.add(&event, Duration::from_secs_f64(seconds));
    }
    assert_eq!(progress.summary().cases, 12);
    // The whole can go on as if it had been one run.
    run(resume(&sandbox, &["--cases", "13", "--jobs", "1"])).expect(1);
    assert_eq!(figures(&sandbox.summary()), undisturbed(&engine.uri(), "13"));

    let lacking = merge(&names[..3]).expect(3);
    assert!(lacking.error().contains("the shard 4/4 is lacking"), "{}", lacking.stderr);
    let twice = merge(&[&names[..], &names[..1]].concat()).expect(2);
    assert!(twice.error().contains("it would count twice"), "{}", twice.stderr);
    let mut other = sandbox.command(&["fuzz", "--target", &engine.uri(), "--seed", "2"]);
    other.args(EXACT).args(["--cases", "12", "--shard", "4/4", "--out", "other"]);
    assert!(matches!(run(other).code, Some(0 | 1)));
    let misfit = merge(&[&names[..3], &["other".to_owned()]].concat()).expect(2);
    assert!(misfit.error().contains("are no shards of one campaign"), "{}", misfit.stderr);
    let missing = merge(&["nothing".to_owned()]).expect(3);
    assert!(missing.error().contains("cannot read"), "{}", missing.stderr);

    // One that was killed is no success.
    let last = sandbox.path("shard-4/events.jsonl");
    let text = fs::read_to_string(&last).expect("a journal");
    let (begun, _) = text.match_indices('\n').nth(1).expect("a campaign that was begun");
    for (bytes, says) in [
        (text.len() - 10, "`fuzz --resume shard-4` goes on"),
        ((begun + text.len()) / 2, "`fuzz --resume shard-4` goes on"),
        (text.find('\n').expect("lines") + 100, "shard-4 was ended before it began"),
    ] {
        fs::write(&last, &text[..bytes]).expect("room");
        let killed = merge(&names).expect(3);
        assert!(killed.error().contains(says), "{}", killed.stderr);
    }
}

#[test]
fn runs_with_other_seeds_are_put_together_too() {
    let (sandbox, engine) = (Sandbox::new(), simulated(&[]));
    for seed in ["1", "2"] {
        let mut command = sandbox.command(&["fuzz", "--target", &engine.uri(), "--cases", "2"]);
        command.args(["--seed", seed]);
        run(command).expect(0);
    }
    let mut merge = sandbox.command(&["merge", "runs/1", "runs/2", "--out", "out"]);
    merge.args(["--summary", "summary.json"]);
    run(merge).expect(0);
    assert_eq!(sandbox.summary()["cases"], 4);
    let refused = run(resume(&sandbox, &[])).expect(2);
    assert!(refused.error().contains("cannot go on"), "{}", refused.stderr);
}
