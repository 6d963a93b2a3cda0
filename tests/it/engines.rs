//! The embedded engines besides the default one, run for real: side by side, through a crash of
//! their own making, in a campaign, and killed. Milvus 2.3.5 takes seconds to start, so that each
//! test does with as few of it as it can.
#![cfg(target_os = "linux")]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use milvus_difftest::campaign::{Workbench, WorkbenchOptions};
use milvus_difftest::case::{Case, Check};
use milvus_difftest::engine::{EmbeddedOptions, Engine, EngineKind, Installation, install};
use milvus_difftest::filter::parse;
use milvus_difftest::verdict::{Class, Verdict};
use serde_json::json;

use crate::support::{Running, Sandbox, entries, eventually, run};

async fn installed(kind: EngineKind) -> Installation {
    let options = EmbeddedOptions { kind, ..EmbeddedOptions::default() };
    install(&options, &|_| ()).await.expect("the engine installs")
}

/// Where an engine's process and files are while it runs.
struct Traces {
    pid: u32,
    folder: PathBuf,
}

impl Traces {
    fn of(engine: &Engine) -> Traces {
        let pid = engine.pid().expect("an embedded engine has a process");
        let folder = fs::read_link(format!("/proc/{pid}/cwd")).expect("the engine runs");
        assert!(folder.join("engine.py").exists(), "{}", folder.display());
        Traces { pid, folder }
    }

    #[track_caller]
    fn assert_gone(&self) {
        let Traces { pid, folder } = self;
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "process {pid} lives");
        assert!(!folder.exists(), "{} is left", folder.display());
        let elsewhere = format!("/tmp/milvus/server_id_{pid}");
        assert!(!Path::new(&elsewhere).exists(), "{elsewhere} is left");
    }
}

/// Every kind of write and read, with a question in the middle that these engines do not survive.
fn deadly_case() -> Case {
    let vector = json!([0.5, -0.5]);
    let file = json!({
        "format": "milvus-difftest/case",
        "version": 1,
        "schema": {
            "fields": [
                {"name": "id", "type": "INT64", "primary": true},
                {"name": "int_0", "type": "INT32"},
                {"name": "list", "type": "ARRAY<INT64>"},
                {"name": "vector", "type": "FLOAT_VECTOR(2)"},
            ],
            "dynamic": true,
        },
        "operations": [
            {"insert": [
                {"id": 1, "int_0": 7, "list": [], "vector": vector, "$meta": {"key": "word"}},
                {"id": 2, "int_0": -7, "list": [1, 2], "vector": vector, "$meta": {}},
                {"id": 3, "int_0": 0, "list": [3], "vector": vector, "$meta": {"key": 2}},
            ]},
            {"upsert": [{"id": 2, "int_0": 8, "list": [4], "vector": vector, "$meta": {}}]},
            {"delete": [3]},
        ],
        "checks": [
            "entities",
            {"query": "int_0 > 7"},
            {"query": "int_0 > 1000"},
            {"count": "int_0 >= 7"},
            {"page": {"filter": "id > 0", "limit": 1, "offset": 1}},
            {"refused": "int_0 == \"1\""},
            {"query": "key == \"word\""},
        ],
    });
    let (mut case, _) = Case::from_json(&file.to_string()).expect("it is a case");
    // The type checker knows that nobody may ask this.
    case.checks.insert(3, Check::Refused(parse("int_0 / 0 == 1").expect("a filter").into()));
    case
}

async fn two_live_side_by_side_and_one_survives_the_others_crash(kind: EngineKind) {
    let installation = installed(kind).await;
    let (first, second) = tokio::join!(installation.start(), installation.start());
    let (mut first, second) = (first.expect("it starts"), second.expect("it starts"));
    assert_ne!(first.uri(), second.uri());
    assert_eq!(first.has_exited().await, None);
    let (crashed, other) = (Traces::of(&first), Traces::of(&second));

    let mut bench =
        Workbench::new(first, WorkbenchOptions::default()).await.expect("it can be used");
    assert_eq!(bench.engine_version(), kind.version());
    let case = deadly_case();
    let mut all = |_: &Check, _: &Verdict| ControlFlow::Continue(());
    let verdicts = bench.judge(&case, &mut all).await.expect("it comes back");
    for (check, verdict) in case.checks.iter().zip(&verdicts) {
        match (check, verdict) {
            (Check::Refused(filter), Verdict::Divergence(divergence))
                if filter.to_string().contains('/') =>
            {
                assert_eq!(divergence.class, Class::Crash);
            }
            (_, Verdict::Pass { .. }) => {}
            _ => panic!("{check:?}: {verdict:?}"),
        }
    }
    assert_eq!(verdicts.len(), case.checks.len());
    // Once when it was asked, and once more to see whether it crashes again.
    let restarts = bench.take_restarts();
    assert_eq!(restarts.len(), 2, "{restarts:?}");
    for reason in restarts {
        assert!(reason.contains("SIGFPE"), "{reason}");
    }
    crashed.assert_gone();
    bench.stop().await;

    let mut bench =
        Workbench::new(second, WorkbenchOptions::default()).await.expect("it still answers");
    let harmless = Case { checks: vec![Check::Entities], ..case };
    let verdicts = bench.judge(&harmless, &mut all).await.expect("it answers");
    assert!(matches!(verdicts[..], [Verdict::Pass { .. }]), "{verdicts:?}");
    assert_eq!(bench.take_restarts(), Vec::<String>::new());
    bench.stop().await;
    other.assert_gone();
}

#[tokio::test]
async fn milvus_lite_2_survives_its_neighbours_crash() {
    two_live_side_by_side_and_one_survives_the_others_crash(EngineKind::MilvusLite2).await;
}

#[tokio::test]
async fn milvus_2_3_survives_its_neighbours_crash() {
    two_live_side_by_side_and_one_survives_the_others_crash(EngineKind::Milvus23).await;
}

/// The processes whose current folder is below the sandbox's folder for temporary files.
fn processes(sandbox: &Sandbox) -> Vec<PathBuf> {
    let tmp = sandbox.tmp();
    let inside = |process: &PathBuf| {
        fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&tmp))
    };
    entries(Path::new("/proc")).into_iter().filter(inside).collect()
}

/// A campaign is sound: most checks pass, and nothing is a defect of the tool.
async fn a_campaign_is_sound(kind: EngineKind, cases: &str) {
    installed(kind).await;
    let sandbox = Sandbox::new();
    let mut fuzz =
        sandbox.command(&["fuzz", "--engine", &kind.name(), "--seed", "1", "--jobs", "1"]);
    fuzz.args(["--cases", cases, "--shrink-time", "2s", "--out", "out"]);
    fuzz.args(["--summary", "summary.json"]);
    let run = run(fuzz);
    assert!(matches!(run.code, Some(0 | 1)), "{:?}\n{}\n{}", run.code, run.stdout, run.stderr);
    let summary = sandbox.summary();
    assert_eq!(summary["engine"], *kind.version());
    let count = |number: &serde_json::Value| number.as_u64().expect("a number");
    let (checks, passed) = (count(&summary["checks"]), count(&summary["verdicts"]["pass"]));
    assert!(passed * 10 >= checks * 8, "{summary:#}");
    assert_eq!(summary["unrepeatable"], 0, "{}", run.stderr);
    assert_eq!(processes(&sandbox), Vec::<PathBuf>::new());
    assert_eq!(entries(&sandbox.tmp()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_campaign_on_milvus_lite_2_is_sound() {
    a_campaign_is_sound(EngineKind::MilvusLite2, "8").await;
}

#[tokio::test]
async fn a_campaign_on_milvus_2_3_is_sound() {
    a_campaign_is_sound(EngineKind::Milvus23, "3").await;
}

#[tokio::test]
async fn nothing_outlives_a_harness_that_is_killed() {
    for kind in [EngineKind::MilvusLite2, EngineKind::Milvus23] {
        installed(kind).await;
        let sandbox = Sandbox::new();
        let args = ["fuzz", "--engine", &kind.name(), "--jobs", "1", "--cases", "100000"];
        let running = Running::start(sandbox.command(&args));
        assert!(eventually(|| processes(&sandbox).len() == 1), "{}", running.stderr());
        // In the midst of starting, or of its first case.
        tokio::time::sleep(Duration::from_secs(2)).await;
        running.signal("KILL");
        assert_eq!(running.finish().code, None);
        let gone = || processes(&sandbox).is_empty() && entries(&sandbox.tmp()).is_empty();
        assert!(
            eventually(gone),
            "{kind}: {:?} {:?}",
            processes(&sandbox),
            entries(&sandbox.tmp())
        );
    }
}
