//! Exit codes: scripts rely on them, so each is provoked by really running the binary. Code 5, a
//! disagreement of the references, is a defect of this tool and cannot be provoked from outside.

use milvus_difftest::engine::simulated::{Fault, SimulatedMilvus, SimulatedOptions};

use crate::support::{Running, Sandbox, run, simulated};

#[test]
fn zero_on_an_engine_that_is_right() {
    let (sandbox, engine) = (Sandbox::new(), simulated(&[]));
    let run = run(sandbox.fuzz(&engine.uri(), &["--cases", "3"])).expect(0);
    assert!(run.stdout.contains("no findings"), "{}", run.stdout);
    assert!(run.stdout.contains("3 cases, "), "{}", run.stdout);
    assert!(sandbox.findings().is_empty());
}

#[test]
fn one_on_an_engine_that_is_wrong() {
    let (sandbox, engine) = (Sandbox::new(), simulated(&[Fault::DropLastMatch]));
    let run = run(sandbox.fuzz(&engine.uri(), &["--cases", "3"])).expect(1);
    assert!(run.stdout.contains("MissingRows"), "{}", run.stdout);
    assert!(!sandbox.findings().is_empty());
}

#[test]
fn two_on_wrong_options_before_anything_is_started() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("file", "");
    let file = file.to_str().expect("a path in UTF-8");
    for (args, complaint) in [
        (&["fuzz", "--tiem", "5s"][..], "--time"),
        (&["fuzz", "--time", "soon"], "write it as 90s, 5m or 1h30m"),
        (&["fuzz", "--cases", "many"], "--cases"),
        (&["fuzz", "--jobs", "0"], "--jobs must be at least 1"),
        (&["fuzz", "--out", file], "is not a folder"),
        (
            &["fuzz", "--engine", "milvus-9"],
            "unknown engine 'milvus-9': expected one of milvus-lite-3.2.2, milvus-lite-2.5.1, \
             milvus-2.3.5",
        ),
        (&["replay", ".", "--engine", "milvus-2.3.5", "--target", "x"], "asks one engine"),
        (&["fuzz", "--summary", "no/such/folder/s.json"], "is not a file that can be written"),
        (&["fuzz", "--config", "missing.toml"], "cannot read the configuration missing.toml"),
        (&["replay"], "<PATH>"),
        (&["selftest", "--fault", "no-such-fault"], "unknown fault 'no-such-fault'"),
        (&["bake"], "unrecognized subcommand"),
        (&["fuzz", "-q", "-v"], "cannot be used with"),
        (&[], "Usage"),
    ] {
        let run = run(sandbox.command(args)).expect(2);
        assert!(run.stderr.contains(complaint), "{args:?}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{args:?}");
    }
}

#[test]
fn two_on_a_wrong_configuration() {
    let sandbox = Sandbox::new();
    for (text, complaint) in [
        ("tmie = '5m'", "unknown key 'tmie'; did you mean 'time'?"),
        ("color = true", "unknown key 'color'; known are time, cases"),
        ("seed = 'one'", "'seed' must be a whole number"),
        ("time = 5", "'time' must be a string"),
        ("engine = 'milvus'", "engine: unknown engine 'milvus': expected one of milvus-lite-3.2.2"),
        ("engine = 'milvus-2.3.5, docker:a b'", "engine: unknown engine 'docker:a b'"),
        ("time = 'soon'", "write it as 90s, 5m or 1h30m"),
        ("cases = -1", "'cases' must be a whole number, 0 or more"),
        ("jobs = 0", "--jobs must be at least 1"),
        ("seed = 1\nseed = 2", "line 2"),
        ("seed =", "line 1"),
    ] {
        let path = sandbox.write("difftest.toml", text);
        let path = path.to_str().expect("a path in UTF-8");
        let run = run(sandbox.command(&["fuzz", "--config", path])).expect(2);
        assert!(run.error().contains(complaint), "{text}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{text}");
    }
}

/// Each of them waits for the engine to come back, so they run side by side.
#[test]
fn three_when_the_engine_cannot_be_reached_or_dies() {
    let faults = [Fault::DiesInCreate, Fault::DiesInLoad, Fault::DiesInInsert, Fault::DiesInQuery];
    let engines = faults.map(|fault| simulated(&[fault]));
    // Nobody listens on port 1.
    let mut targets = vec!["http://127.0.0.1:1".to_owned()];
    targets.extend(engines.iter().map(SimulatedMilvus::uri));
    let runs = targets.into_iter().map(|target| {
        let sandbox = Sandbox::new();
        (Running::start(sandbox.fuzz(&target, &["--cases", "3"])), sandbox, target)
    });
    for (running, _sandbox, target) in runs.collect::<Vec<_>>() {
        let run = running.finish().expect(3);
        assert!(run.error().contains(&target), "{}", run.stderr);
    }
}

#[test]
fn three_at_once_when_the_token_is_wrong() {
    let options = SimulatedOptions { token: Some("root:hunter2".to_owned()), ..Default::default() };
    let engine = SimulatedMilvus::start(options).expect("a loopback port");
    let sandbox = Sandbox::new();
    let run = run(sandbox.fuzz(&engine.uri(), &["--cases", "3", "--token", "root:guess"]));
    let complaint = "refuses the credentials: auth check failure";
    assert!(run.expect(3).error().contains(complaint));
}

#[test]
fn three_with_the_findings_so_far_when_the_engine_dies_later() {
    let (sandbox, engine) = (Sandbox::new(), simulated(&[Fault::DropLastMatch]));
    let mut running = Running::start(sandbox.fuzz(&engine.uri(), &["--cases", "100000"]));
    running.wait_for("\nfound ");
    engine.stop();
    let run = running.finish().expect(3);
    assert!(run.error().contains("what it found until then is above"), "{}", run.stderr);
    assert!(run.stdout.contains("MissingRows"), "{}", run.stdout);
    assert!(!sandbox.findings().is_empty());
    assert!(sandbox.summary()["error"].is_string());
}

#[test]
fn four_when_nothing_was_checked() {
    let (sandbox, engine) = (Sandbox::new(), simulated(&[]));
    let run = run(sandbox.fuzz(&engine.uri(), &["--cases", "0"])).expect(4);
    assert!(run.error().contains("this run proves nothing"), "{}", run.stderr);
}

#[test]
fn a_hundred_and_thirty_after_a_signal_with_all_that_was_found() {
    for name in ["INT", "TERM"] {
        let (sandbox, engine) = (Sandbox::new(), simulated(&[Fault::DropLastMatch]));
        let mut running = Running::start(sandbox.fuzz(&engine.uri(), &["--cases", "100000"]));
        running.wait_for("\nfound ");
        running.signal(name);
        let run = running.finish().expect(130);
        assert!(run.stdout.contains("MissingRows"), "{}", run.stdout);
        assert_eq!(sandbox.summary()["interrupted"], true);
        let findings = sandbox.findings();
        assert!(!findings.is_empty() && findings.iter().all(|f| f.join("case.json").exists()));
    }
}
