//! Engines that die at random moments: a campaign comes to what it comes to without that.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use milvus_difftest::campaign::{
    Campaign, Event, Stop, Summary, Target, Workbench, WorkbenchOptions,
};
use milvus_difftest::case::{Case, Check};
use milvus_difftest::engine::simulated::{Disturbance, Fault, SimulatedMilvus};
use milvus_difftest::engine::{EmbeddedOptions, Engine, EngineKind, install};
use milvus_difftest::filter::Switch;
use milvus_difftest::verdict::Verdict;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::{dice, figures, fuzz, kill, listens, millis, servers, wanted};
use crate::support::{Running, Sandbox, collections, run, simulated};

/// Kills what runs below a folder again and again while a command runs, so often at most; says how
/// often. `pace` is the most milliseconds that an engine usually has to live.
fn kill_again_and_again(
    tmp: &Path,
    running: &mut Running,
    dice: &mut StdRng,
    most: usize,
    pace: u64,
) -> usize {
    let (mut kills, mut soon) = (0, 0);
    while kills < most {
        // Once in a while one that is still starting, and never two of those in a row.
        let early = soon == 0 && dice.random_bool(0.15);
        let victim = loop {
            if running.is_over() {
                return kills;
            }
            match servers(tmp).first() {
                Some(pid) if early || listens(*pid) => break *pid,
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        // A third death of one question would be chance, and a fourth is taken for a crash.
        let moment = match (early, soon) {
            (true, _) => millis(dice, 0..300),
            (false, 0 | 1) => millis(dice, 0..pace),
            (false, _) => millis(dice, pace..pace * 3 / 2),
        };
        soon = if moment < Duration::from_millis(pace / 2) { soon + 1 } else { 0 };
        std::thread::sleep(moment);
        kills += usize::from(kill(victim));
    }
    kills
}

/// What campaigns with an engine that is killed came to.
#[derive(Debug, Default)]
struct Told {
    kills: usize,
    /// As the journals tell them.
    restarts: usize,
    /// Of those, the ones that name the kill.
    by_kill: usize,
    findings: usize,
}

impl Told {
    fn add(&mut self, other: &Told) {
        self.kills += other.kills;
        self.restarts += other.restarts;
        self.by_kill += other.by_kill;
        self.findings += other.findings;
    }
}

/// Campaigns that nothing disturbs, and the same with an engine that is killed, until it was killed
/// often enough, and so many findings were the same with and without.
async fn killed(kind: EngineKind, args: &[&str], kills: [usize; 2], pace: u64, findings: usize) {
    let options = EmbeddedOptions { kind, ..EmbeddedOptions::default() };
    install(&options, &|_| ()).await.expect("the engine installs");
    let wanted = wanted(kills[0]);
    let mut all = Told::default();
    for round in 1.. {
        let seed = (pace + round).to_string();
        let name = kind.name();
        let seeded = ["--engine", &name, "--seed", &seed];
        all.add(&killed_once(&[&seeded[..], args].concat(), kills[1], pace, round));
        println!("{kind}: {} of {wanted} kills, {} restarts", all.kills, all.restarts);
        if all.kills >= wanted && all.restarts > 0 && all.findings >= findings {
            break;
        }
        assert!(round < 100, "{all:?} of {kind} in {round} campaigns");
    }
    // One that is restarted by its own case may be killed meanwhile, and is met later.
    assert!(2 * all.by_kill > all.restarts, "{all:?}");
}

fn killed_once(args: &[&str], most: usize, pace: u64, round: u64) -> Told {
    let quiet = Sandbox::new();
    let tmp = memory();
    let mut undisturbed = fuzz(&quiet, args);
    undisturbed.env("TMPDIR", tmp.path());
    let code = run(undisturbed).code;
    assert!(matches!(code, Some(0 | 1)), "{code:?}");
    let expected = quiet.summary();
    assert_eq!(expected["restarts"], 0);

    let sandbox = Sandbox::new();
    let mut command = fuzz(&sandbox, args);
    command.env("TMPDIR", tmp.path());
    let mut running = Running::start(command);
    running.wait_for("seed ");
    let mut dice = dice(pace + round);
    let times = kill_again_and_again(tmp.path(), &mut running, &mut dice, most, pace);
    let ended = running.finish();
    assert_eq!(ended.code, code, "{}", ended.stderr);
    let summary = sandbox.summary();
    // No finding more and none less, and every case judged whole.
    assert_eq!(figures(&summary), figures(&expected), "{}", ended.stdout);
    assert_eq!(sandbox.findings().len(), quiet.findings().len());

    // Each death is told: as a restart, and as a check that proves nothing.
    let restarts = summary["restarts"].as_u64().expect("a count");
    assert!(restarts <= times as u64, "{restarts} of {times}");
    let reasons = restarts_told(&sandbox);
    assert_eq!(reasons.len() as u64, restarts, "{reasons:#?}");
    let open = |summary: &Json| {
        let verdicts = &summary["verdicts"];
        let [pass, open] = ["pass", "inconclusive"].map(|kind| verdicts[kind].as_u64());
        (pass.expect("a count"), open.expect("a count"))
    };
    let (now, then) = (open(&summary), open(&expected));
    assert_eq!(now.0 + now.1, then.0 + then.1);
    assert!(then.1 <= now.1 && now.1 <= then.1 + restarts, "{now:?}, {then:?}, {restarts}");
    Told {
        kills: times,
        restarts: reasons.len(),
        by_kill: reasons.iter().filter(|reason| reason.contains("SIGKILL")).count(),
        findings: sandbox.findings().len(),
    }
}

/// The causes of the restarts in the journal.
fn restarts_told(sandbox: &Sandbox) -> Vec<String> {
    let text = std::fs::read_to_string(sandbox.path("out/events.jsonl")).expect("a journal");
    let lines = text.lines().map(|line| serde_json::from_str::<Json>(line).expect("JSON"));
    let restarts = lines.filter(|line| line["event"] == "restarted");
    restarts.map(|line| line["reason"].as_str().expect("a reason").to_owned()).collect()
}

/// In memory, as data folders are by default.
fn memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

#[tokio::test]
async fn a_killed_milvus_lite_3_loses_no_finding_and_makes_none() {
    let args = ["--cases", "3", "--filters", "14"];
    killed(EngineKind::MilvusLite3, &args, [1, 12], 2000, 1).await;
}

#[tokio::test]
async fn a_killed_milvus_lite_2_loses_no_finding_and_makes_none() {
    let args = ["--cases", "25", "--filters", "20"];
    killed(EngineKind::MilvusLite2, &args, [2, 24], 1000, 1).await;
}

#[tokio::test]
async fn a_killed_milvus_2_3_loses_no_finding_and_makes_none() {
    let args = ["--cases", "2", "--filters", "10"];
    killed(EngineKind::Milvus23, &args, [1, 1], 10_000, 0).await;
}

const FAULTS: [Fault; 3] =
    [Fault::LessThanIncludesEqual, Fault::Turned(Switch::NullInListIsFalse), Fault::CountOffByOne];

/// A campaign on an engine that somebody else runs.
fn campaign(engine: &SimulatedMilvus) -> Campaign {
    let mut campaign = Campaign::new(Target::External { uri: engine.uri(), token: None });
    (campaign.seed, campaign.cases) = (3, Some(40));
    campaign.generation.filters = 8;
    campaign.shrink.evaluations = 25;
    campaign.shrink.time = Duration::from_secs(3600);
    campaign
}

/// The same in each run.
fn outcome(summary: &Summary) -> (Vec<(String, u64)>, String) {
    let mut shapes: Vec<_> =
        summary.findings.iter().map(|found| (found.shape.clone(), found.count)).collect();
    shapes.sort();
    let coverage = &summary.coverage;
    let touched: u64 = coverage.wanted().iter().map(|cell| coverage.count(cell)).sum();
    let figures = format!(
        "{} {} {} {} {} {} {:?} {}",
        summary.cases,
        summary.cases_digest,
        summary.verdicts.total(),
        summary.verdicts.divergence,
        touched,
        summary.unexplored,
        summary.error,
        summary.interrupted,
    );
    (shapes, figures)
}

/// Lets an engine die in calls at random, and comes back, until that is over.
async fn die_now_and_then(engine: &SimulatedMilvus, over: &AtomicBool, deaths: &AtomicUsize) {
    const CALLS: [&str; 5] = ["CreateCollection", "LoadCollection", "Insert", "Query", "Flush"];
    const HOW: [Disturbance; 3] =
        [Disturbance::DownBefore, Disturbance::DownAfter, Disturbance::DownHalfway];
    let (mut dice, mut soon) = (dice(7), 0);
    while !over.load(Ordering::Relaxed) {
        let call = CALLS[dice.random_range(0..CALLS.len())];
        let how = HOW[dice.random_range(0..HOW.len())];
        engine.disturb(call, how);
        while engine.disturbances_left() > 0 && !over.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(millis(&mut dice, 0..40)).await;
        engine.revive();
        deaths.fetch_add(1, Ordering::Relaxed);
        let pause = if soon < 2 { millis(&mut dice, 0..240) } else { Duration::from_millis(500) };
        soon = if pause < Duration::from_millis(200) { soon + 1 } else { 0 };
        tokio::time::sleep(pause).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_dies_now_and_then_loses_no_finding_and_makes_none() {
    let engine = simulated(&FAULTS);
    let mut ignore = |_: &Event, _: &Summary| ();
    let whole = campaign(&engine).run(&Stop::default(), &mut ignore).await.expect("it begins");
    assert!(whole.findings.len() >= 2 && whole.restarts == 0, "{:?}", outcome(&whole));

    let engine = simulated(&FAULTS);
    let (over, deaths) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut unconvincing = 0;
    let mut count = |event: &Event, _: &Summary| {
        unconvincing += usize::from(matches!(event, Event::Unstable { .. }));
    };
    let judged = async {
        let campaign = campaign(&engine);
        let summary = campaign.run(&Stop::default(), &mut count).await.expect("it begins");
        over.store(true, Ordering::Relaxed);
        summary
    };
    let (summary, ()) = tokio::join!(judged, die_now_and_then(&engine, &over, &deaths));
    let deaths = deaths.into_inner() as u64;
    assert!(deaths >= 6, "{deaths} deaths");
    assert_eq!(outcome(&summary), outcome(&whole), "after {deaths} deaths");
    assert!(summary.restarts >= deaths / 2, "{} of {deaths}", summary.restarts);
    assert!(summary.verdicts.inconclusive <= whole.verdicts.inconclusive + summary.restarts);
    assert_eq!(unconvincing, 0);

    // What was lost with the engine is not left on it.
    engine.revive();
    assert_eq!(collections(&engine.uri()).await, Vec::<String>::new());
}

/// What has an alias cannot be dropped.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_aliases_is_not_left_on_an_engine_that_died() {
    let engine = simulated(&[]);
    let file = json!({
        "format": "milvus-difftest/case",
        "version": 1,
        "schema": {
            "fields": [
                {"name": "id", "type": "INT64", "primary": true},
                {"name": "vector", "type": "FLOAT_VECTOR(2)"},
            ],
        },
        "operations": [
            {"insert": [{"id": 1, "vector": [0.5, 1.0]}]},
            {"create_alias": "red"},
            {"create_alias": "blue"},
            {"alter_alias": {"alias": "blue", "elsewhere": true}},
        ],
        "checks": ["entities"],
    });
    let (case, _) = Case::from_json(&file.to_string()).expect("it is a case");
    let patience = Duration::from_secs(20);
    let target = Engine::external(engine.uri(), None, patience).await.expect("it answers");
    let mut bench =
        Workbench::new(target, WorkbenchOptions::default()).await.expect("it can be used");
    engine.disturb("Query", Disturbance::DownAfter);
    let come_back = async {
        while engine.disturbances_left() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        engine.revive();
    };
    let mut all = |_: &Check, _: &Verdict| ControlFlow::Continue(());
    let (verdicts, ()) = tokio::join!(bench.judge(&case, &mut all), come_back);
    let verdicts = verdicts.expect("it comes back");
    assert!(matches!(verdicts[..], [Verdict::Inconclusive(_)]), "{verdicts:?}");
    assert_eq!(bench.take_restarts().len(), 1);
    bench.stop().await;
    assert_eq!(collections(&engine.uri()).await, Vec::<String>::new());
}

/// Two queries of five are refused: none is refused each time, so none is a finding.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_refuses_now_and_then_is_accused_of_nothing() {
    let (engine, mut dice) = (simulated(&[]), dice(11));
    for _ in 0..200_000 {
        let refused = dice.random_bool(0.4);
        let how = if refused { Disturbance::Refused } else { Disturbance::Nothing };
        engine.disturb("Query", how);
    }
    let mut unstable = 0;
    let mut count = |event: &Event, _: &Summary| {
        unstable += usize::from(matches!(event, Event::Unstable { .. }));
    };
    let summary = campaign(&engine).run(&Stop::default(), &mut count).await.expect("it begins");
    assert!(engine.disturbances_left() > 0);
    assert!(unstable > 0 && summary.verdicts.divergence >= 20, "{:?}", summary.verdicts);
    let findings: Vec<&String> = summary.findings.iter().map(|found| &found.shape).collect();
    assert_eq!(findings, Vec::<&String>::new());
}
