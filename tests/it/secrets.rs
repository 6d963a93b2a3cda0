//! Tokens: whichever way one is given, it reaches the engine and nothing else.

use std::fs;
use std::path::Path;
use std::process::Command;

use milvus_difftest::engine::simulated::{Fault, SimulatedMilvus, SimulatedOptions};

use crate::support::{Run, Sandbox, entries, run};

const PASSWORD: &str = "hunter2";
const TOKEN: &str = "root:hunter2";

/// An engine with findings, that wants the token.
fn guarded() -> SimulatedMilvus {
    let faults = vec![Fault::DropLastMatch];
    let options = SimulatedOptions { faults, token: Some(TOKEN.to_owned()), ..Default::default() };
    SimulatedMilvus::start(options).expect("a loopback port")
}

/// The ways to give a token, besides `target` with or without one in it.
fn ways(sandbox: &Sandbox, uri: &str, token: &str) -> Vec<Command> {
    let host = uri.strip_prefix("http://").expect("a plain address");
    let few = ["--cases", "1", "--shrink-evaluations", "20", "-vvv"];
    let option = {
        let mut command = sandbox.fuzz(uri, &few);
        command.args(["--token", token]);
        command
    };
    let environment = {
        let mut command = sandbox.fuzz(uri, &few);
        command.env("MILVUS_DIFFTEST_TOKEN", token);
        command
    };
    let file = {
        let mut command = sandbox.fuzz(uri, &few);
        sandbox.write("difftest.toml", &format!("token = '{token}'"));
        command.args(["--config", "difftest.toml"]);
        command
    };
    let in_uri = sandbox.fuzz(&format!("http://{token}@{host}"), &few);
    let in_environment = {
        let mut command = sandbox.command(&["fuzz", "--seed", "1", "--out", "out"]);
        command.args(["--summary", "summary.json"]).args(few);
        command.env("MILVUS_DIFFTEST_TARGET", format!("{token}@{host}"));
        command
    };
    vec![option, environment, file, in_uri, in_environment]
}

#[track_caller]
fn assert_hidden(run: &Run, secret: &str) {
    assert!(!run.stdout.contains(secret), "{}", run.stdout);
    assert!(!run.stderr.contains(secret), "{}", run.stderr);
}

fn files(folder: &Path) -> Vec<String> {
    let read = |path: &std::path::PathBuf| match path.is_dir() {
        true => files(path),
        false => vec![fs::read_to_string(path).expect("text")],
    };
    entries(folder).iter().flat_map(read).collect()
}

#[test]
fn a_right_token_works_and_is_shown_nowhere() {
    let engine = guarded();
    for number in 0..5 {
        let sandbox = Sandbox::new();
        let command = ways(&sandbox, &engine.uri(), TOKEN).swap_remove(number);
        let run = run(command).expect(1);
        assert_hidden(&run, PASSWORD);
        fs::remove_file(sandbox.path("difftest.toml")).expect("the configuration");
        let written = files(&sandbox.path(""));
        assert!(written.len() > 4, "the findings and the summary");
        assert!(written.iter().all(|text| !text.contains(PASSWORD)));
    }
}

#[test]
fn a_wrong_token_is_refused_at_once_and_shown_nowhere() {
    let engine = guarded();
    for number in 0..5 {
        let sandbox = Sandbox::new();
        let command = ways(&sandbox, &engine.uri(), "root:my-guess").swap_remove(number);
        let run = run(command).expect(3);
        assert!(run.error().contains("refuses the credentials"), "{}", run.stderr);
        assert_hidden(&run, "my-guess");
    }
}

#[test]
fn a_missing_token_is_refused() {
    let (engine, sandbox) = (guarded(), Sandbox::new());
    let run = run(sandbox.fuzz(&engine.uri(), &["--cases", "2"])).expect(3);
    assert!(run.error().contains("refuses the credentials"), "{}", run.stderr);
}

#[test]
fn replay_takes_a_token_too() {
    let (engine, sandbox) = (guarded(), Sandbox::new());
    run(sandbox.fuzz(&engine.uri(), &["--cases", "2", "--token", TOKEN])).expect(1);
    let mut command = sandbox.command(&["replay", "out", "-vvv", "--target", &engine.uri()]);
    let run = run({
        command.env("MILVUS_DIFFTEST_TOKEN", TOKEN);
        command
    });
    assert_hidden(&run.expect(1), PASSWORD);
}

#[test]
fn help_does_not_show_what_the_environment_holds() {
    for command in ["fuzz", "replay"] {
        let mut command = Sandbox::new().command(&[command, "--help"]);
        command.current_dir("/").env("MILVUS_DIFFTEST_TOKEN", TOKEN);
        command.env("MILVUS_DIFFTEST_TARGET", format!("http://{TOKEN}@localhost:19530"));
        assert_hidden(&run(command).expect(0), PASSWORD);
    }
}

#[test]
fn wrong_usage_does_not_show_a_secret() {
    let sandbox = Sandbox::new();
    for (args, code) in [
        (&["fuzz", "--token", TOKEN, "--jobs", "0"][..], 2),
        (&["fuzz", "--token", TOKEN, "--no-such-option"], 2),
        (&["fuzz", "--target", "htp://root:hunter2@localhost"], 3),
        (&["fuzz", "--target", "root:hunter2@"], 3),
    ] {
        assert_hidden(&run(sandbox.command(args)).expect(code), PASSWORD);
    }
    sandbox.write("difftest.toml", "token = 'root:hunter2\nseed = 'x'");
    let command = sandbox.command(&["fuzz", "--config", "difftest.toml"]);
    assert_hidden(&run(command).expect(2), PASSWORD);
}
