//! A reference database that dies in mid-campaign.

use std::time::{Duration, Instant};

use milvus_difftest::engine::simulated::Fault;
use milvus_difftest::engine::{EmbeddedOptions, install_clickhouse};
use serde_json::Value as Json;

use super::{dice, figures, kill, listens, millis, servers, shapes};
use crate::support::{Running, Sandbox, run, simulated};

const FAULTS: [Fault; 2] = [Fault::LessThanIncludesEqual, Fault::CountOffByOne];

#[tokio::test]
async fn a_run_whose_clickhouse_is_killed_says_so_and_can_go_on() {
    install_clickhouse(&EmbeddedOptions::default(), &|_| ()).await.expect("it installs");
    let (wanted, mut kills) = (super::wanted(2), 0);
    for seed in 2.. {
        kills += killed(seed);
        println!("ClickHouse: {kills} of {wanted} kills");
        if kills >= wanted {
            return;
        }
        assert!(seed < 60, "{kills} kills in as many campaigns");
    }
}

/// A campaign that nothing disturbs, and the same with a reference database that is killed; how
/// often it was.
fn killed(seed: u64) -> usize {
    let engine = simulated(&FAULTS);
    let (uri, number) = (engine.uri(), seed.to_string());
    let args = ["--backend", "clickhouse:embedded", "--seed", &number, "--cases", "9"];
    let args = [&args[..], &["--filters", "20", "--target", &uri]].concat();

    let quiet = Sandbox::new();
    let mut running = Running::start(super::fuzz(&quiet, &args));
    running.wait_for("against ClickHouse ");
    let begun = Instant::now();
    running.finish().expect(1);
    let takes = u64::try_from(begun.elapsed().as_millis()).expect("not long");
    let expected = quiet.summary();

    let sandbox = Sandbox::new();
    let (mut dice, mut kills) = (dice(seed), 0);
    let mut command = super::fuzz(&sandbox, &args);
    for _ in 0..3 {
        let mut running = Running::start(command);
        command = sandbox.command(&["fuzz", "--resume", "out", "--summary", "summary.json"]);
        running.wait_for("against ClickHouse ");
        std::thread::sleep(millis(&mut dice, 0..takes / 3));
        let server = servers(&sandbox.tmp()).into_iter().find(|pid| listens(*pid));
        if !server.is_some_and(kill) {
            // It was over, or it is about to be.
            assert!(matches!(running.finish().code, Some(1)));
            break;
        }
        kills += 1;
        let ended = running.finish().expect(3);
        let error = ended.stderr.split_once("error: ").expect("an error").1;
        for words in ["ClickHouse 26", "gave no answer", "`fuzz --resume`"] {
            assert!(error.contains(words), "{error}");
        }
        // The part that was judged, and no more; what was found in it is there.
        let summary = sandbox.summary();
        let checks = |summary: &Json| summary["checks"].as_u64().expect("a count");
        assert!(summary["error"].as_str().is_some_and(|error| error.contains("ClickHouse")));
        assert!(summary["cases"].as_u64() < expected["cases"].as_u64());
        assert!(checks(&summary) <= checks(&expected));
        assert_eq!(sandbox.findings().len(), shapes(&summary).len());
        for finding in summary["findings"].as_array().expect("a list") {
            let folder = sandbox.path(finding["path"].as_str().expect("a path"));
            assert!(folder.join("case.json").is_file(), "{}", folder.display());
        }
        let known = shapes(&expected);
        assert!(shapes(&summary).keys().all(|shape| known.contains_key(shape)));
    }
    let resumed = sandbox.command(&["fuzz", "--resume", "out", "--summary", "summary.json"]);
    run(resumed).expect(1);
    assert_eq!(figures(&sandbox.summary()), figures(&expected), "after {kills} kills");
    kills
}

/// Killed before the campaign begins, it is no campaign.
#[tokio::test]
async fn a_clickhouse_that_is_killed_while_it_starts_is_named() {
    install_clickhouse(&EmbeddedOptions::default(), &|_| ()).await.expect("it installs");
    let (sandbox, engine) = (Sandbox::new(), simulated(&FAULTS));
    let args = ["--backend", "clickhouse:embedded", "--cases", "1", "--target", &engine.uri()];
    let mut running = Running::start(super::fuzz(&sandbox, &args));
    let victim = loop {
        match servers(&sandbox.tmp()).first() {
            Some(pid) => break *pid,
            None if running.is_over() => panic!("it is over: {}", running.stderr()),
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    assert!(kill(victim));
    let ended = running.finish();
    let errors = &ended.stderr;
    assert_eq!(ended.code, Some(3), "{errors}");
    assert!(
        errors.contains("no ClickHouse to judge with") && errors.contains("SIGKILL"),
        "{errors}"
    );
    assert!(!sandbox.path("out").exists());
}
