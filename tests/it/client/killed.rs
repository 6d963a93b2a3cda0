//! The writing process dies at every step, and the next client settles what it left.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use milvus_difftest::backend::DuckDb;
use milvus_difftest::engine::simulated::{Disturbance, SimulatedMilvus, SimulatedOptions};

use super::faulty::{Faulty, How, Plan, Step};
use super::world::{Deed, client, found, in_backend, in_milvus};

/// What the child is told.
const URI: &str = "DIFFTEST_CHILD_URI";
const FILE: &str = "DIFFTEST_CHILD_FILE";
const DEED: &str = "DIFFTEST_CHILD_DEED";
const STEP: &str = "DIFFTEST_CHILD_STEP";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the process that the other tests kill"]
async fn child() {
    let var = |name: &str| std::env::var(name).unwrap();
    let deed = Deed::ALL.into_iter().find(|deed| format!("{deed:?}") == var(DEED)).unwrap();
    let step = Step::ALL.into_iter().find(|step| format!("{step:?}") == var(STEP));
    let plan = Plan::default();
    let backend = Faulty::open(Path::new(&var(FILE)), &plan);
    let client = client(&var(URI), backend, deed).await;
    if let Some(step) = step {
        plan.set(step, How::Abort);
    }
    deed.perform(&client).await.unwrap();
}

fn start(uri: &str, file: &Path, deed: Deed, step: Option<Step>) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["client::killed::child", "--exact", "--ignored"])
        .env(URI, uri)
        .env(FILE, file)
        .env(DEED, format!("{deed:?}"))
        .env(STEP, step.map_or("none".to_owned(), |step| format!("{step:?}")))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn wait(child: &mut Child) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the child does not end");
}

/// Kills the writer and looks at what the next client makes of it.
async fn killed(deed: Deed, step: Option<Step>, call: Option<Disturbance>) {
    let what = format!("{deed:?}, killed at {step:?} {call:?}");
    let engine = SimulatedMilvus::start(SimulatedOptions::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reference.duckdb");
    let backend = Box::new(DuckDb::open(&file).unwrap());
    let first = client(&engine.uri(), backend, deed).await;
    found(&first, deed).await;
    first.close().await;

    if let Some(call) = call {
        engine.disturb(deed.call(), call);
    }
    let mut child = start(&engine.uri(), &file, deed, step);
    if call.is_some() {
        let begun = Instant::now();
        while engine.disturbances_left() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(30), "{what}: it was not called");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // The call has come and waits.
        tokio::time::sleep(Duration::from_millis(30)).await;
        child.kill().unwrap();
    }
    let ended_well = tokio::task::spawn_blocking(move || wait(&mut child)).await.unwrap();
    assert!(!ended_well, "{what}: it was not killed");

    let backend = Box::new(DuckDb::open(&file).unwrap());
    let next = client(&engine.uri(), backend, deed).await;
    assert_eq!(next.in_doubt(), [], "{what}");
    let (before, after) = deed.account();
    // The write came through if the backend had it, and was never acknowledged otherwise. A delete
    // that cannot be taken back is repeated once it was written down.
    let repeated = deed == Deed::DeleteAssigned && step != Some(Step::Note);
    let expected = if step == Some(Step::CommitAfter) || repeated { after } else { before };
    assert_eq!(in_backend(&what, &next).await, expected, "{what}");
    assert_eq!(in_milvus(&engine.uri(), deed).await, expected, "{what}");
    next.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_of_the_backend() {
    for deed in Deed::ALL {
        for step in Step::ALL {
            killed(deed, Some(step), None).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_and_after_milvus_has_written() {
    for deed in Deed::ALL {
        for call in [Disturbance::SilentBefore, Disturbance::SilentAfter] {
            killed(deed, None, Some(call)).await;
        }
    }
}
