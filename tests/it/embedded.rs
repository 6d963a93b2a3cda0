//! Campaigns on the embedded engine, a real Milvus Lite: it has findings, each of which a script
//! reproduces without this tool; it is started again when it dies; and whichever way the binary
//! ends, no process and no file of it is left. Every engine of a run has the run's own folder for
//! temporary files on its command line, by which its processes are told from those of others.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use milvus_difftest::engine::{EmbeddedOptions, Installation, install};

use crate::support::{Run, Running, Sandbox, entries, eventually, run, signal};

async fn installed() -> Installation {
    install(&EmbeddedOptions::default(), &|_| ()).await.expect("the engine installs")
}

fn fuzz(sandbox: &Sandbox, args: &[&str]) -> Command {
    let mut command = sandbox.command(&["fuzz", "--jobs", "1", "--out", "out"]);
    // What is known of Milvus Lite is what these tests find.
    command.args(["--strict", "--summary", "summary.json"]).args(args);
    command
}

/// The processes of the sandbox's engines, whose command line also has this word.
fn processes(sandbox: &Sandbox, word: &str) -> Vec<u32> {
    let tmp = sandbox.tmp().display().to_string();
    let has_both = |process: &Path| {
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.contains(&tmp) && line.split('\0').any(|part| part.contains(word))
    };
    let pid = |path: PathBuf| {
        let pid = path.file_name()?.to_str()?.parse().ok()?;
        has_both(&path).then_some(pid)
    };
    entries(Path::new("/proc")).into_iter().filter_map(pid).collect()
}

#[track_caller]
fn assert_nothing_left(sandbox: &Sandbox) {
    assert_eq!(processes(sandbox, ""), Vec::<u32>::new());
    assert_eq!(entries(&sandbox.tmp()), Vec::<PathBuf>::new());
}

/// A campaign that has found something and would go on for long.
fn in_mid_campaign(sandbox: &Sandbox) -> Running {
    let mut running = Running::start(fuzz(sandbox, &["--seed", "3", "--cases", "100000"]));
    running.wait_for("\nfound ");
    assert_eq!(processes(sandbox, "serve").len(), 1);
    assert_eq!(processes(sandbox, "watch").len(), 1);
    running
}

#[tokio::test]
async fn findings_in_milvus_lite_are_small_and_reproduce() {
    let python = installed().await.python();
    let sandbox = Sandbox::new();
    run(fuzz(&sandbox, &["--seed", "3", "--cases", "1"])).expect(1);
    assert_nothing_left(&sandbox);

    let summary = sandbox.summary();
    let findings = summary["findings"].as_array().expect("a list");
    // On a busy machine one may not be shrunk to the end.
    let minimal = findings.iter().filter(|finding| finding["minimal"] == true);
    assert!(minimal.clone().count() >= 3, "{findings:#?}");
    for finding in minimal {
        for (size, most) in [("rows", 3), ("fields", 2), ("ast_nodes", 5)] {
            assert!(finding[size].as_u64().is_some_and(|size| size <= most), "{finding:#}");
        }
    }

    let folders = sandbox.findings();
    assert_eq!(folders.len(), findings.len());
    for pair in folders.chunks(2) {
        let scripts = pair.iter().map(|folder| {
            let mut script = Command::new(&python);
            script.arg(folder.join("repro.py")).env("TMPDIR", sandbox.tmp());
            Running::start(script)
        });
        for script in scripts.collect::<Vec<_>>() {
            script.finish().expect(0);
        }
    }

    let folder = folders[0].to_str().expect("a path in UTF-8");
    let again = run(sandbox.command(&["replay", folder])).expect(1);
    assert!(again.stdout.starts_with("STILL FAILING  "), "{}", again.stdout);
    assert_nothing_left(&sandbox);
}

#[tokio::test]
async fn nothing_is_left_after_a_signal() {
    installed().await;
    for name in ["INT", "TERM", "KILL"] {
        let sandbox = Sandbox::new();
        let running = in_mid_campaign(&sandbox);
        running.signal(name);
        let Run { code, .. } = running.finish();
        if name == "KILL" {
            assert_eq!(code, None);
            // Its watchdog needs a moment to notice.
            let gone = || processes(&sandbox, "").is_empty() && entries(&sandbox.tmp()).is_empty();
            eventually(gone);
        } else {
            assert_eq!(code, Some(130));
        }
        assert_nothing_left(&sandbox);
        assert!(!sandbox.findings().is_empty());
    }
}

#[tokio::test]
async fn an_engine_that_is_killed_is_started_again() {
    installed().await;
    let sandbox = Sandbox::new();
    let mut running = in_mid_campaign(&sandbox);
    let engines = processes(&sandbox, "serve");
    engines.iter().for_each(|pid| signal("KILL", *pid));
    running.wait_for("restarted the engine: ");
    // It goes on: with another engine, and to the next findings.
    assert!(eventually(|| processes(&sandbox, "serve").iter().any(|pid| !engines.contains(pid))));
    let found = running.stderr().matches("\nfound ").count();
    let more = || running.stderr().matches("\nfound ").count() > found;
    assert!(eventually(more), "{}", running.stderr());
    running.signal("INT");
    let run = running.finish().expect(130);
    assert!(run.stderr.contains("ended by signal 9 (SIGKILL)"), "{}", run.stderr);
    assert!(sandbox.summary()["restarts"].as_u64().is_some_and(|count| count >= 1));
    assert_nothing_left(&sandbox);
}
