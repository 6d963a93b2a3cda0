//! The embedded engine: installed once, started many times, never left behind.
//!
//! The tests that start engines share the user's own installation, made on the first run. What
//! goes wrong while installing is shown with a shell script in Python's place.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use milvus_difftest::engine::{
    EmbeddedOptions, Engine, EngineError, InstallStep, Installation, install,
};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(10);

async fn installed() -> Installation {
    install(&EmbeddedOptions::default(), &|_| ()).await.expect("the engine installs")
}

async fn started() -> Engine {
    installed().await.start().await.expect("the engine starts")
}

async fn answers(uri: &str) -> bool {
    Engine::external(uri, None, SOON).await.is_ok()
}

fn listens(uri: &str) -> bool {
    TcpStream::connect(uri.trim_start_matches("http://")).is_ok()
}

fn pid_of(engine: &Engine) -> u32 {
    engine.pid().expect("an embedded engine has a process")
}

fn lives(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// The engine's current folder is its data folder.
fn folder_of(pid: u32) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/cwd")).expect("the engine runs")
}

fn parent_of(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the engine runs");
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    parent.and_then(|text| text.trim().parse().ok()).expect("a process has a parent")
}

fn signal(name: &str, target: &str) {
    let sent = Command::new("kill").args(["-s", name, "--", target]).status();
    assert!(sent.expect("kill runs").success());
}

async fn comes_true(condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + SOON;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

#[tokio::test]
async fn installing_twice_at_once_and_again_is_one_installation() {
    let options = EmbeddedOptions::default();
    let (first, second) = tokio::join!(install(&options, &|_| ()), install(&options, &|_| ()));
    let first = first.expect("the engine installs");
    assert_eq!(first.python(), second.expect("it is there").python());

    let third = install(&options, &|step| panic!("nothing is left to do, but: {step}")).await;
    assert_eq!(first.python(), third.expect("it is there").python());
    let imported = Command::new(first.python()).args(["-c", "import pymilvus"]).status();
    assert!(imported.expect("its Python runs").success());
}

#[tokio::test]
async fn an_engine_answers_on_loopback_alone_and_stops_without_a_trace() {
    let mut engine = started().await;
    assert!(engine.was_started_here() && engine.token().is_none());
    assert!(answers(engine.uri()).await);
    assert_eq!(engine.has_exited().await, None);

    let pid = pid_of(&engine);
    let port = engine.uri().rsplit(':').next().and_then(|text| text.parse().ok());
    assert_eq!(listening_addresses(pid, port.expect("a port")), ["127.0.0.1"]);

    let (watchdog, folder) = (parent_of(pid), folder_of(pid));
    engine.stop().await;
    assert!(!lives(pid) && !lives(watchdog) && !folder.exists());
}

/// From the kernel's tables; an IPv4 address may stand in the IPv6 one.
fn listening_addresses(pid: u32, port: u16) -> Vec<&'static str> {
    let mut found = Vec::new();
    for table in ["tcp", "tcp6"] {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let mut columns = line.split_whitespace().skip(1);
            let (local, state) = (columns.next().unwrap_or(""), columns.nth(1).unwrap_or(""));
            if state == "0A" && local.ends_with(&format!(":{port:04X}")) {
                found.push(match local.split(':').next() {
                    Some("0100007F" | "0000000000000000FFFF00000100007F") => "127.0.0.1",
                    _ => "elsewhere",
                });
            }
        }
    }
    found
}

#[tokio::test]
async fn engines_live_side_by_side_and_end_one_by_one() {
    let installation = installed().await;
    let (first, second) = tokio::join!(installation.start(), installation.start());
    let (first, second) = (first.expect("it starts"), second.expect("it starts"));
    assert_ne!(first.uri(), second.uri());
    let (pid, folder) = (pid_of(&first), folder_of(pid_of(&first)));

    // Had the second inherited the first one's lifeline, this would hang.
    first.stop().await;
    assert!(!lives(pid) && !folder.exists());
    assert!(answers(second.uri()).await);

    let (pid, folder) = (pid_of(&second), folder_of(pid_of(&second)));
    drop(second);
    assert!(comes_true(|| !lives(pid) && !folder.exists()).await);
}

#[tokio::test]
async fn a_crash_is_told_and_a_restart_begins_afresh() {
    let mut engine = started().await;
    let (pid, folder) = (pid_of(&engine), folder_of(pid_of(&engine)));
    signal("SEGV", &pid.to_string());
    assert!(comes_true(|| !listens(engine.uri())).await);
    let how = engine.has_exited().await.expect("it has ended");
    assert!(how.contains("signal 11 (SIGSEGV)"), "{how}");
    assert!(how.contains("Fatal Python error"), "{how}");

    assert!(!folder.exists());

    engine.restart().await.expect("it starts again");
    assert_ne!(pid_of(&engine), pid);
    assert_ne!(folder_of(pid_of(&engine)), folder);
    assert!(answers(engine.uri()).await);
    engine.stop().await;
}

#[tokio::test]
async fn an_engine_dies_with_its_watchdog() {
    let mut engine = started().await;
    let (pid, folder) = (pid_of(&engine), folder_of(pid_of(&engine)));
    signal("KILL", &parent_of(pid).to_string());
    assert!(comes_true(|| !lives(pid)).await);
    let how = engine.has_exited().await.expect("it has ended");
    assert!(how.contains("watchdog was ended"), "{how}");
    engine.stop().await;
    assert!(!folder.exists());
}

#[tokio::test]
async fn nothing_outlives_a_harness_that_is_killed_or_panics() {
    installed().await;
    for (name, whole_group) in [("KILL", false), ("TERM", false), ("INT", true), ("USR1", false)] {
        let (mut harness, pid) = spawn_harness();
        let folder = folder_of(pid);
        let target = harness.id().to_string();
        // A terminal's Ctrl-C reaches every process of the group.
        signal(name, &if whole_group { format!("-{target}") } else { target });
        harness.wait().expect("the harness ends");
        let gone = comes_true(|| !lives(pid) && !folder.exists()).await;
        assert!(gone, "left behind after SIG{name}: {pid}, {}", folder.display());
    }
}

const HARNESS: &str = "a_harness_to_be_killed";

/// This test binary again, running only the function below, and the pid of its engine.
fn spawn_harness() -> (Child, u32) {
    let mut harness = Command::new(std::env::current_exe().expect("this binary has a path"))
        .args([HARNESS, "--ignored", "--nocapture"])
        .env("MILVUS_DIFFTEST_TEST_HARNESS", "1")
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this binary runs");
    let output = BufReader::new(harness.stdout.take().expect("its output is piped"));
    let pid = output
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("engine ")?.parse().ok())
        .expect("the harness starts an engine");
    (harness, pid)
}

#[tokio::test]
#[ignore = "not a test: started, and killed, by one"]
async fn a_harness_to_be_killed() {
    if std::env::var_os("MILVUS_DIFFTEST_TEST_HARNESS").is_none() {
        return;
    }
    let engine = started().await;
    let mut panic_now =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::user_defined1())
            .expect("a signal handler");
    println!("\nengine {}", pid_of(&engine));
    panic_now.recv().await;
    panic!("with an engine running");
}

/// A shell script that passes for a Python, where `pip` runs `pip`.
struct FakePython {
    folder: TempDir,
    options: EmbeddedOptions,
}

impl FakePython {
    fn new(pip: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let calls = folder.path().join("calls");
        let python = folder.path().join("python");
        let script = format!(
            r#"#!/bin/sh
echo "$*" >> '{calls}'
case "$*" in
  *"-m venv"*) for last; do :; done; mkdir -p "$last/bin"; cp "$0" "$last/bin/python" ;;
  *"-m pip"*) {pip} ;;
  *"print('version"*) echo 'version 3.12' ;;
esac
"#,
            calls = calls.display()
        );
        // Written by another process: a file that this one still has open in a child that it is
        // just starting for another test cannot be run.
        let written = Command::new("sh")
            .args(["-c", r#"printf %s "$1" > "$2" && chmod +x "$2""#, "sh", &script])
            .arg(&python)
            .status();
        assert!(written.expect("sh runs").success());
        let options = EmbeddedOptions {
            cache_dir: Some(folder.path().join("cache")),
            python: Some(python),
            ..EmbeddedOptions::default()
        };
        Self { folder, options }
    }

    fn calls(&self, which: &str) -> usize {
        let text = fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        text.lines().filter(|line| line.contains(which)).count()
    }

    /// What the cache holds besides the lock.
    fn left(&self) -> Vec<PathBuf> {
        let cache = self.folder.path().join("cache");
        let entries = fs::read_dir(cache).expect("the cache was made");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.filter(|path| path.is_dir()).collect()
    }
}

#[tokio::test]
async fn two_installers_at_once_do_the_work_once() {
    let fake = FakePython::new("sleep 0.5; echo Collecting numpy==1");
    let steps = Mutex::new(Vec::new());
    let note = |step: InstallStep| steps.lock().expect("no panic").push(step);
    let (first, second) =
        tokio::join!(install(&fake.options, &note), install(&fake.options, &note));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(fake.calls("-m venv"), 1);
    let steps = steps.into_inner().expect("no panic");
    let waits = steps.iter().filter(|step| **step == InstallStep::Waiting);
    assert_eq!(waits.count(), 1);
    assert!(steps.iter().any(|step| matches!(step, InstallStep::Fetching { number: 1, .. })));
}

#[tokio::test]
async fn a_failed_fetch_shows_pips_words_without_credentials_and_leaves_nothing() {
    let fake = FakePython::new(
        "echo 'ERROR: cannot reach https://me:hunter2@index.example/simple/faiss-cpu/' >&2; exit 1",
    );
    // Twice: the failure must not be in the way of the next attempt.
    for _ in 0..2 {
        let error = install(&fake.options, &|_| ()).await.expect_err("pip fails");
        assert!(matches!(error, EngineError::Install { .. }));
        let message = error.to_string();
        assert!(message.contains("ERROR: cannot reach https://***@index.example"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
        assert_eq!(fake.left(), Vec::<PathBuf>::new());
    }
}

#[tokio::test]
async fn an_interrupted_installation_leaves_nothing_and_frees_its_lock() {
    let fake = FakePython::new("exec sleep 60");
    for _ in 0..2 {
        let interrupted =
            tokio::time::timeout(Duration::from_secs(1), install(&fake.options, &|_| ())).await;
        assert!(interrupted.is_err());
        assert_eq!(fake.left(), Vec::<PathBuf>::new());
    }
    assert_eq!(fake.calls("-m pip"), 2);
}

#[tokio::test]
async fn a_half_made_folder_is_made_again() {
    let fake = FakePython::new("true");
    let first = install(&fake.options, &|_| ()).await.expect("it installs");
    for path in fake.left() {
        fs::remove_file(path.join("installed")).expect("the marker is there");
    }
    let second = install(&fake.options, &|_| ()).await.expect("it installs");
    assert_eq!(first.python(), second.python());
    assert_eq!(fake.calls("-m venv"), 2);
}

#[tokio::test]
async fn a_missing_python_is_said_to_be_missing() {
    let mut fake = FakePython::new("true");
    fake.options.python = Some("/nowhere/python3".into());
    let error = install(&fake.options, &|_| ()).await.expect_err("no Python");
    assert!(matches!(error, EngineError::Python { .. }));
    let message = error.to_string();
    assert!(message.contains("/nowhere/python3"), "{message}");
    assert!(message.contains("MILVUS_DIFFTEST_PYTHON"), "{message}");
    assert_eq!(fake.left(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn an_engine_that_does_not_load_is_reported_with_its_log() {
    let fake = FakePython::new("true");
    let installation = install(&fake.options, &|_| ()).await.expect("it installs");
    // The script that passes for Python does not know the launcher, and ends at once.
    let error = installation.start().await.expect_err("no engine in it");
    assert!(matches!(error, EngineError::StartFailed { .. }), "{error}");
}
