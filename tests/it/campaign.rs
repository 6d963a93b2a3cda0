//! Campaigns against a simulated engine: what they keep, what they say of it, that they can be
//! repeated, and where their options come from.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use milvus_difftest::engine::simulated::Fault;
use serde_json::Value as Json;

use crate::support::{Sandbox, collections, entries, run, simulated};

fn keys(json: &Json) -> BTreeSet<&str> {
    json.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn a_finding_is_kept_and_replayed_until_it_is_fixed() {
    let (wrong, right) = (simulated(&[Fault::LessThanIncludesEqual]), simulated(&[]));
    let sandbox = Sandbox::new();
    let first = run(sandbox.fuzz(&wrong.uri(), &["--cases", "4"])).expect(1);
    let findings = sandbox.findings();
    assert!(!findings.is_empty());
    for folder in &findings {
        for name in ["README.md", "case.json", "repro.py", "repro.rs"] {
            let text = fs::read_to_string(folder.join(name)).expect("a file of a finding");
            assert!(!text.is_empty(), "{name}");
        }
        let name = folder.file_name().expect("a folder has a name").to_string_lossy();
        assert!(first.stdout.contains(&*name), "{}", first.stdout);
    }

    for (engine, code, says) in [(&wrong, 1, "STILL FAILING  "), (&right, 0, "FIXED          ")] {
        let again = run(sandbox.command(&["replay", "out", "--target", &engine.uri()]));
        let again = again.expect(code);
        assert_eq!(again.stdout.lines().count(), findings.len(), "{}", again.stdout);
        for (line, folder) in again.stdout.lines().zip(&findings) {
            let case = folder.join("case.json");
            let case = case.strip_prefix(sandbox.path("")).expect("it is in the sandbox");
            assert!(line.starts_with(&format!("{says}{}", case.display())), "{line}");
        }
    }

    let folder = findings[0].to_str().expect("a path in UTF-8");
    let file = format!("{folder}/case.json");
    for path in [folder, &file] {
        run(sandbox.command(&["replay", path, "--target", &wrong.uri()])).expect(1);
    }
}

#[test]
fn the_summary_has_its_keys_and_figures_that_add_up() {
    let (sandbox, engine) = (Sandbox::new(), simulated(&[Fault::LessThanIncludesEqual]));
    run(sandbox.fuzz(&engine.uri(), &["--cases", "4"])).expect(1);
    let summary = sandbox.summary();
    let expected = [
        "format",
        "version",
        "seed",
        "engine",
        "backend",
        "dialect",
        "jobs",
        "seconds",
        "cases",
        "cases_digest",
        "checks",
        "checks_per_second",
        "selective_share",
        "unproven_share",
        "verdicts",
        "oracles",
        "coverage",
        "known",
        "fixed",
        "steered",
        "model_alone",
        "unrepeatable",
        "unexplored",
        "undefined",
        "unproven",
        "steps",
        "grown",
        "reached",
        "held_back",
        "restarts",
        "interrupted",
        "error",
        "findings",
    ];
    assert_eq!(keys(&summary), BTreeSet::from(expected));
    assert_eq!(summary["format"], "milvus-difftest/summary");
    assert_eq!(summary["version"], 1);
    assert_eq!(summary["engine"], "v2.6.0-simulated");
    assert!(summary["backend"].as_str().is_some_and(|name| name.contains("DuckDB")));
    for (key, value) in [("seed", 1), ("jobs", 1), ("cases", 4), ("restarts", 0)] {
        assert_eq!(summary[key], value, "{key}");
    }
    assert_eq!(summary["interrupted"], false);
    assert_eq!(summary["error"], Json::Null);
    for share in ["selective_share", "unproven_share"] {
        let share = summary[share].as_f64().expect("a number");
        assert!((0.0..=1.0).contains(&share));
    }
    let verdicts = &summary["verdicts"];
    let kinds = ["pass", "divergence", "known", "inconclusive", "unsupported"];
    assert_eq!(keys(verdicts), BTreeSet::from(kinds));
    let total: u64 = kinds.iter().map(|kind| verdicts[kind].as_u64().expect("a count")).sum();
    assert_eq!(summary["checks"], total);
    assert!(total >= 100, "{total} checks");

    let findings = summary["findings"].as_array().expect("a list");
    assert_eq!(findings.len(), sandbox.findings().len());
    for finding in findings {
        let expected = [
            "oracle",
            "class",
            "shape",
            "filter",
            "ast_nodes",
            "rows",
            "fields",
            "count",
            "minimal",
            "shrink_evaluations",
            "seconds_to_first",
            "path",
        ];
        assert_eq!(keys(finding), BTreeSet::from(expected));
        assert!(finding["filter"].as_str().is_some_and(|filter| filter.contains('<')));
        assert!(finding["ast_nodes"].as_u64().is_some_and(|nodes| (1..=9).contains(&nodes)));
        assert!(finding["rows"].as_u64().is_some_and(|rows| (1..=5).contains(&rows)));
        assert!(finding["count"].as_u64().is_some_and(|count| count >= 1));
        let path = sandbox.path(finding["path"].as_str().expect("a path"));
        assert!(path.join("case.json").exists());
    }
}

#[test]
fn the_events_add_up_to_the_summary() {
    let (sandbox, engine) = (Sandbox::new(), simulated(&[Fault::LessThanIncludesEqual]));
    run(sandbox.fuzz(&engine.uri(), &["--cases", "4", "--events", "events.jsonl"])).expect(1);
    let text = std::fs::read_to_string(sandbox.path("events.jsonl")).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON"));
    let header: Json = lines.next().expect("a first line");
    assert_eq!(header["format"], "milvus-difftest/events");
    assert_eq!(header["version"], 1);
    let events: Vec<Json> = lines.collect();
    let of = |name: &str| events.iter().filter(|event| event["event"] == *name).collect::<Vec<_>>();
    let summary = sandbox.summary();

    let started = &events[0];
    assert_eq!(started["event"], "started");
    assert_eq!(started["engine"], summary["engine"]);
    assert_eq!(events.last().unwrap()["event"], "finished");
    let seconds: Vec<f64> = events.iter().map(|event| event["seconds"].as_f64().unwrap()).collect();
    assert!(seconds.is_sorted());

    for verdict in ["pass", "divergence", "known", "inconclusive", "unsupported"] {
        let checked =
            of("checked").into_iter().filter(|event| event["verdict"] == *verdict).count();
        // What was recognised when it was small has moved.
        let recognised = of("recognised").len() as u64;
        let moved = match verdict {
            "divergence" => checked as u64 - recognised,
            "known" => checked as u64 + recognised,
            _ => checked as u64,
        };
        assert_eq!(summary["verdicts"][verdict], moved, "{verdict}");
    }
    assert_eq!(of("case_done").len() as u64, summary["cases"]);
    let (found, findings) = (of("found"), summary["findings"].as_array().unwrap());
    assert_eq!(found.len(), findings.len());
    for (event, finding) in found.iter().zip(findings) {
        assert_eq!(event["shape"], finding["shape"]);
        assert_eq!(event["path"], finding["path"]);
        let case = std::fs::read_to_string(
            sandbox.path(finding["path"].as_str().unwrap()).join("case.json"),
        );
        let case: Json = serde_json::from_str(&case.unwrap()).unwrap();
        assert_eq!(event["reproduction"]["operations"], case["operations"]);
        let repeated =
            of("repeated").into_iter().filter(|event| event["shape"] == finding["shape"]);
        assert_eq!(finding["count"], 1 + repeated.count() as u64);
    }

    let refused = ["--cases", "1", "--events", "no/such/folder/events.jsonl"];
    run(sandbox.fuzz(&engine.uri(), &refused)).expect(2);
}

#[test]
fn one_seed_gives_the_same_cases_whatever_the_number_of_workers() {
    let engine = simulated(&[]);
    let digest = |seed: &str, jobs: &str| {
        let sandbox = Sandbox::new();
        let args = ["fuzz", "--cases", "6", "--summary", "summary.json", "--target"];
        let mut command = sandbox.command(&args);
        command.args([&engine.uri(), "--seed", seed, "--jobs", jobs]);
        run(command).expect(0);
        sandbox.summary()["cases_digest"].clone()
    };
    let first = digest("7", "1");
    assert_eq!(first, digest("7", "1"));
    assert_eq!(first, digest("7", "2"));
    assert_ne!(first, digest("8", "2"));
}

#[test]
fn findings_of_an_earlier_run_are_kept() {
    let (sandbox, engine) = (Sandbox::new(), simulated(&[Fault::DropLastMatch]));
    let one = ["--cases", "2"];
    run(sandbox.fuzz(&engine.uri(), &one)).expect(1);
    let earlier = sandbox.findings();
    let other = simulated(&[Fault::CountOffByOne]);
    run(sandbox.fuzz(&other.uri(), &one)).expect(1);
    let all = sandbox.findings();
    assert!(all.len() > earlier.len() && earlier.iter().all(|folder| all.contains(folder)));
}

#[test]
fn without_out_findings_go_to_a_folder_named_by_the_seed() {
    let (sandbox, engine) = (Sandbox::new(), simulated(&[Fault::DropLastMatch]));
    let args = ["fuzz", "--cases", "2", "--seed", "5", "--target", &engine.uri()];
    let run = run(sandbox.command(&args)).expect(1);
    assert!(run.stdout.contains("in folders of runs/5") || run.stdout.contains("1 finding"));
    assert!(entries(&sandbox.path("runs/5")).iter().any(|path| path.is_dir()));
}

#[test]
fn quiet_says_nothing_but_the_result() {
    let (sandbox, engine) = (Sandbox::new(), simulated(&[Fault::DropLastMatch]));
    let run = run(sandbox.fuzz(&engine.uri(), &["--cases", "2", "--quiet"])).expect(1);
    assert_eq!(run.stderr, "");
    assert!(run.stdout.contains("MissingRows"), "{}", run.stdout);
}

/// Whatever is asked of a partition whose rows are wrong is wrong: that is one finding, and the rows
/// show it.
#[test]
fn what_is_wrong_with_a_partition_is_found_once() {
    let (sandbox, engine) = (Sandbox::new(), simulated(&[Fault::PartitionsIgnored]));
    let options = ["--cases", "60", "--filters", "6", "--shrink-time", "1m"];
    let run = run(sandbox.fuzz(&engine.uri(), &options)).expect(1);
    let summary = sandbox.summary();
    assert!(summary["verdicts"]["divergence"].as_u64() > Some(3), "{}", run.stdout);
    let findings = summary["findings"].as_array().expect("an array");
    let shapes: Vec<_> = findings.iter().map(|finding| finding["shape"].as_str()).collect();
    assert!(matches!(shapes[..], [Some(shape)] if shape.contains("entities")), "{shapes:?}");
}

#[tokio::test]
async fn nothing_is_left_on_an_engine_that_others_use() {
    let (sandbox, engine) = (Sandbox::new(), simulated(&[Fault::DropLastMatch]));
    let uri = engine.uri();
    tokio::task::spawn_blocking(move || {
        run(sandbox.fuzz(&uri, &["--cases", "3"])).expect(1);
        run(sandbox.command(&["replay", "out", "--target", &uri])).expect(1);
    })
    .await
    .expect("no panic");
    assert_eq!(collections(&engine.uri()).await, Vec::<String>::new());
}

/// What a run says of where its options came from.
fn outcome(sandbox: &Sandbox, command: Command) -> (Json, Json, Json) {
    run(command).expect(0);
    let summary = sandbox.summary();
    (summary["seed"].clone(), summary["cases"].clone(), summary["cases_digest"].clone())
}

#[test]
fn options_mean_the_same_wherever_they_are_given() {
    let (sandbox, engine) = (Sandbox::new(), simulated(&[]));
    let uri = engine.uri();
    let values = [
        ("seed", "3"),
        ("depth", "12"),
        ("filters", "70"),
        ("dialect", "simulated"),
        ("cases", "2"),
        ("jobs", "2"),
        ("time", "10m"),
        ("target", uri.as_str()),
        ("token", "root:Milvus"),
        ("cache", "cache"),
        ("python", "python3"),
        ("query-timeout", "9s"),
        ("out", "out"),
        ("summary", "summary.json"),
        ("shrink-evaluations", "100"),
        ("shrink-time", "5s"),
    ];

    let mut options = sandbox.command(&["fuzz"]);
    let mut environment = sandbox.command(&["fuzz"]);
    let mut file = String::new();
    let anew = |command| {
        let _ = fs::remove_file(sandbox.path("out/events.jsonl"));
        outcome(&sandbox, command)
    };
    for (name, value) in values {
        options.arg(format!("--{name}={value}"));
        let variable = name.to_uppercase().replace('-', "_");
        environment.env(format!("MILVUS_DIFFTEST_{variable}"), value);
        let quote = if value.parse::<u64>().is_ok() { "" } else { "'" };
        file += &format!("{name} = {quote}{value}{quote}\n");
    }
    sandbox.write("difftest.toml", &file);
    let expected = anew(options);
    assert_eq!((&expected.0, &expected.1), (&Json::from(3), &Json::from(2)));
    assert_eq!(anew(environment), expected);
    let configured = sandbox.command(&["fuzz", "--config", "difftest.toml"]);
    assert_eq!(anew(configured), expected);
}

#[test]
fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
    let (sandbox, engine) = (Sandbox::new(), simulated(&[]));
    let file = format!("seed = 3\ncases = 2\njobs = 1\ntarget = '{}'\n", engine.uri());
    sandbox.write("difftest.toml", &file);
    let config = ["fuzz", "--config", "difftest.toml", "--summary", "summary.json"];

    let mut command = sandbox.command(&config);
    command.env("MILVUS_DIFFTEST_SEED", "4");
    let (seed, cases, _) = outcome(&sandbox, command);
    assert_eq!((seed, cases), (4.into(), 2.into()));

    let mut command = sandbox.command(&config);
    command.env("MILVUS_DIFFTEST_SEED", "4").args(["--seed", "5", "--cases", "1"]);
    let (seed, cases, _) = outcome(&sandbox, command);
    assert_eq!((seed, cases), (5.into(), 1.into()));
}
