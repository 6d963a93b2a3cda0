//! Engines in containers, really run: in a campaign, killed in the middle of one, paused, started
//! again with their data; and whichever way a run ends, no container and no volume of it is left.
//!
//! The images are those of `docker/build.sh`, which builds what is missing. Without a Docker these
//! tests say that they were skipped, unless MILVUS_DIFFTEST_TEST_DOCKER says that there is one.
#![cfg(target_os = "linux")]

use std::io::Write;
use std::net::TcpStream;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use milvus_difftest::campaign::{Workbench, WorkbenchOptions};
use milvus_difftest::case::{Case, Check};
use milvus_difftest::engine::{
    CLICKHOUSE_IMAGE, ContainerOptions, Ending, Engine, MILVUS_IMAGE, MilvusImage,
};
use milvus_difftest::filter::parse;
use milvus_difftest::milvus::{ConnectOptions, Consistency, Milvus, QueryOptions};
use milvus_difftest::verdict::{Class, Verdict};
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard};

use crate::support::{Running, Sandbox, entries, eventually, run, simulated};

/// Containers of this process are told from those of others, but not from each other.
static ALONE: LazyLock<Mutex<()>> = LazyLock::new(Mutex::default);

/// The exclusive use of Docker; nothing, said loudly, if there is none.
async fn docker() -> Option<MutexGuard<'static, ()>> {
    let guard = ALONE.lock().await;
    match milvus_difftest::engine::docker_version().await {
        Ok(_) => Some(guard),
        Err(error) if std::env::var_os("MILVUS_DIFFTEST_TEST_DOCKER").is_some() => {
            panic!("skipped though a Docker is said to be there: {error}")
        }
        Err(error) => {
            // Past the test harness, which would keep it for itself.
            let _ = writeln!(std::io::stderr(), "skipped: no Docker ({error})");
            None
        }
    }
}

/// The tag of an image of `docker/`, built if it is not there.
fn image(name: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/build.sh");
    let built = run({
        let mut build = Command::new(script);
        build.arg(name).stdin(Stdio::null());
        build
    });
    assert_eq!(built.code, Some(0), "{}", built.stderr);
    built.stdout.trim().to_owned()
}

async fn pulled(name: &str) -> MilvusImage {
    pulled_as(&image(name)).await
}

async fn pulled_as(tag: &str) -> MilvusImage {
    let options = ContainerOptions { image: Some(tag.to_owned()), ..ContainerOptions::default() };
    MilvusImage::pull(&options, &|step| panic!("it is there, but: {step}")).await.expect("an image")
}

/// An image of `docker/` that something was changed in; removed when this is dropped.
struct Derived(String);

impl Derived {
    /// One in which `milvus` is a shell script, which finds the former one as `milvus-itself`.
    fn script(name: &str, script: &str) -> Derived {
        let bin = "/usr/local/bin";
        let change = format!(
            "RUN mv {bin}/milvus {bin}/milvus-itself\nCOPY script {bin}/milvus\n\
             RUN chmod 755 {bin}/milvus\n"
        );
        Derived::new(name, &change, script)
    }

    /// One that has its data in a volume, as the public images of ClickHouse and of Milvus have.
    fn volume(name: &str, folder: &str) -> Derived {
        Derived::new(name, &format!("VOLUME {folder}\n"), "")
    }

    fn new(name: &str, change: &str, script: &str) -> Derived {
        let from = image(name);
        let context = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: String| {
            std::fs::write(context.path().join(name), text).expect("it can be written");
        };
        write("script", format!("#!/bin/sh\n{script}\n"));
        write("Dockerfile", format!("FROM {from}\n{change}"));
        let tag = from.replace(':', &format!("-derived-{}:", std::process::id()));
        lines(&["build", "--quiet", "--tag", &tag, &context.path().display().to_string()]);
        Derived(tag)
    }

    async fn pulled(&self) -> MilvusImage {
        pulled_as(&self.0).await
    }
}

impl Drop for Derived {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rmi", "--force", &self.0]).output();
    }
}

/// What `docker` prints, a line each.
fn lines(args: &[&str]) -> Vec<String> {
    let mut docker = Command::new("docker");
    docker.args(args);
    run(docker).expect(0).stdout.lines().map(str::to_owned).collect()
}

/// The containers of a process, running or not.
fn containers(owner: u32) -> Vec<String> {
    const LABEL: &str = "milvus-difftest.owner";
    let format = format!("{{{{.ID}}}} {{{{.Label \"{LABEL}\"}}}}");
    let all = lines(&["ps", "--all", "--filter", &format!("label={LABEL}"), "--format", &format]);
    let of_owner = all.iter().filter_map(|line| {
        let (id, label) = line.split_once(' ')?;
        (label.split(' ').nth(2) == Some(owner.to_string().as_str())).then(|| id.to_owned())
    });
    of_owner.collect()
}

fn volumes() -> Vec<String> {
    lines(&["volume", "ls", "--quiet"])
}

/// What running containers hold of their machine.
#[derive(Debug)]
struct Held {
    /// Each with its start time, which tells it from another that gets its number later.
    processes: Vec<String>,
    addresses: Vec<String>,
}

impl Held {
    fn by(containers: &[String]) -> Held {
        let of_each = |args: &[&str]| -> Vec<String> {
            let of = |id: &String| lines(&[&[args[0], id.as_str()], &args[1..]].concat());
            containers.iter().flat_map(of).collect()
        };
        let processes = of_each(&["top", "-eo", "pid"]);
        let processes = processes.iter().filter_map(|pid| process(pid)).collect();
        // As `8123/tcp -> 127.0.0.1:32768`.
        let ports = of_each(&["port"]);
        let addresses =
            ports.iter().filter_map(|line| line.split(" -> ").nth(1)).map(str::to_owned);
        Held { processes, addresses: addresses.collect() }
    }

    /// What of it is still there.
    fn left(&self) -> Vec<&str> {
        let lives = |known: &&String| {
            let pid = known.split(' ').next().unwrap_or_default();
            process(pid).as_ref() == Some(*known)
        };
        let processes = self.processes.iter().filter(lives);
        let addresses = self.addresses.iter().filter(|address| listens(address));
        processes.chain(addresses).map(String::as_str).collect()
    }
}

/// The number of a process of this machine, with its start time; nothing if there is none.
fn process(pid: &str) -> Option<String> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).ok()?;
    let started = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?;
    Some(format!("{pid} {started}"))
}

fn listens(uri: &str) -> bool {
    TcpStream::connect(uri.trim_start_matches("http://")).is_ok()
}

fn fuzz(sandbox: &Sandbox, image: &str, args: &[&str]) -> Command {
    let engine = format!("docker:{image}");
    let mut command = sandbox.command(&["fuzz", "--engine", &engine, "--jobs", "1"]);
    command.args(["--seed", "1", "--out", "out", "--summary", "summary.json"]).args(args);
    command
}

fn count(number: &serde_json::Value) -> u64 {
    number.as_u64().expect("a number")
}

/// Rows, written in so many requests that it takes a while, and checks.
fn case(requests: i64, filters: &[&str]) -> Case {
    let row = |id: i64| json!({"id": id, "number": id % 7, "vector": [0.5, -0.5]});
    let insert =
        |request: i64| json!({"insert": (0..5).map(|i| row(5 * request + i)).collect::<Vec<_>>()});
    let file = json!({
        "format": "milvus-difftest/case",
        "version": 1,
        "schema": {"fields": [
            {"name": "id", "type": "INT64", "primary": true},
            {"name": "number", "type": "INT32"},
            {"name": "vector", "type": "FLOAT_VECTOR(2)"},
        ]},
        "operations": (0..requests).map(insert).collect::<Vec<_>>(),
        "checks": filters.iter().map(|filter| json!({"query": filter})).collect::<Vec<_>>(),
    });
    Case::from_json(&file.to_string()).expect("it is a case").0
}

async fn bench(image: &MilvusImage, query_deadline: Duration) -> Workbench {
    let engine = image.start().await.expect("it starts");
    let options = WorkbenchOptions { query_deadline, ..WorkbenchOptions::default() };
    Workbench::new(engine, options).await.expect("it can be used")
}

fn class(verdict: &Verdict) -> Option<Class> {
    match verdict {
        Verdict::Divergence(divergence) => Some(divergence.class),
        _ => None,
    }
}

#[tokio::test]
async fn campaigns_run_in_containers() {
    let Some(_alone) = docker().await else { return };
    let before = volumes();
    let mut checks = 0;
    for (name, version, cases) in [
        ("milvus-lite", "milvus_lite-3.2.2", "6"),
        ("milvus-lite-cpp", "milvus_lite-2.5.1", "1"),
        ("milvus-standalone", "v2.3.5-lite", "1"),
    ] {
        let image = image(name);
        let sandbox = Sandbox::new();
        let running =
            Running::start(fuzz(&sandbox, &image, &["--cases", cases, "--shrink-time", "2s"]));
        let pid = running.pid();
        let run = running.finish();
        assert!(matches!(run.code, Some(0 | 1)), "{:?}\n{}\n{}", run.code, run.stdout, run.stderr);
        let summary = sandbox.summary();
        assert_eq!(summary["engine"], version);
        let (asked, passed) = (count(&summary["checks"]), count(&summary["verdicts"]["pass"]));
        assert!(passed * 10 >= asked * 8, "{summary:#}");
        assert_eq!(summary["restarts"], 0, "{}", run.stderr);
        checks += asked;
        assert_eq!(containers(pid), Vec::<String>::new());
        assert_eq!(entries(&sandbox.tmp()), Vec::<std::path::PathBuf>::new());
    }
    assert!(checks >= 200, "{checks}");
    assert_eq!(volumes(), before);
}

#[tokio::test]
async fn both_sides_run_in_containers_and_nothing_is_left() {
    let Some(_alone) = docker().await else { return };
    let milvus = Derived::volume("milvus-lite", "/var/lib/milvus");
    let clickhouse = Derived::volume("clickhouse-chdb", "/var/lib/clickhouse");
    let before = volumes();
    let sandbox = Sandbox::new();
    let backend = format!("clickhouse:container:{}", clickhouse.0);
    let mut running =
        Running::start(fuzz(&sandbox, &milvus.0, &["--backend", &backend, "--cases", "6"]));
    running.wait_for(" against ClickHouse 26.9");
    let pid = running.pid();
    let started = containers(pid);
    assert_eq!(started.len(), 2, "{started:?}");
    let held = Held::by(&started);
    assert!(held.processes.len() >= 2 && held.addresses.len() == 2, "{held:?}");
    assert_eq!(held.left().len(), held.processes.len() + held.addresses.len(), "{held:?}");
    assert_eq!(volumes().len(), before.len() + 2);

    let run = running.finish();
    assert!(matches!(run.code, Some(0 | 1)), "{:?}\n{}\n{}", run.code, run.stdout, run.stderr);
    let summary = sandbox.summary();
    assert!(summary["backend"].as_str().is_some_and(|name| name.starts_with("ClickHouse 26.9")));
    let (asked, passed) = (count(&summary["checks"]), count(&summary["verdicts"]["pass"]));
    assert!(asked >= 200 && passed * 10 >= asked * 8, "{summary:#}");
    assert_eq!(summary["restarts"], 0, "{}", run.stderr);

    assert_eq!(containers(pid), Vec::<String>::new());
    assert_eq!(volumes(), before);
    assert_eq!(held.left(), Vec::<&str>::new());
    assert_eq!(entries(&sandbox.tmp()), Vec::<std::path::PathBuf>::new());
}

/// Nothing can be said of Milvus without it, and so nothing is.
#[tokio::test]
async fn a_reference_that_is_killed_ends_the_campaign_and_accuses_nobody() {
    let Some(_alone) = docker().await else { return };
    let backend = format!("clickhouse:container:{}", image("clickhouse-chdb"));
    let sandbox = Sandbox::new();
    let engine = simulated(&[]);
    let backend = ["--backend", &backend, "--cases", "100000"];
    let mut running = Running::start(sandbox.fuzz(&engine.uri(), &backend));
    running.wait_for(" against ClickHouse 26.9");
    let killed = containers(running.pid());
    assert_eq!(killed.len(), 1);
    lines(&["kill", "--signal", "KILL", &killed[0]]);
    let pid = running.pid();
    let ended = running.finish().expect(3);
    let reason = ["error: ClickHouse 26.9", "network error", "The campaign ended early"];
    assert!(reason.iter().all(|part| ended.stderr.contains(part)), "{}", ended.stderr);
    assert_eq!(sandbox.findings(), Vec::<std::path::PathBuf>::new());
    assert_eq!(containers(pid), Vec::<String>::new());
}

#[tokio::test]
async fn a_container_that_is_killed_is_replaced_and_the_campaign_goes_on() {
    let Some(_alone) = docker().await else { return };
    let image = image("milvus-lite");
    let sandbox = Sandbox::new();
    let mut running = Running::start(fuzz(&sandbox, &image, &["--strict", "--cases", "100000"]));
    running.wait_for("\nfound ");
    let killed = containers(running.pid());
    assert_eq!(killed.len(), 1);
    lines(&["kill", "--signal", "KILL", &killed[0]]);
    running.wait_for("restarted the engine: the engine was ended by signal 9 (SIGKILL)");
    let found = running.stderr().matches("\nfound ").count();
    let more = || running.stderr().matches("\nfound ").count() > found;
    assert!(eventually(more), "{}", running.stderr());
    let successors = containers(running.pid());
    assert!(successors.len() == 1 && successors != killed, "{successors:?}");
    running.signal("INT");
    let pid = running.pid();
    running.finish().expect(130);
    assert!(sandbox.summary()["restarts"].as_u64().is_some_and(|count| count >= 1));
    assert_eq!(containers(pid), Vec::<String>::new());
}

/// What looks like somebody else's doing might be an accident of the machine, even twice: what is
/// reported has happened four times.
#[tokio::test]
async fn a_container_that_is_killed_each_time_is_a_crash() {
    let Some(_alone) = docker().await else { return };
    // Killed as soon as a collection of the case is in it.
    let script = "milvus-itself \"$@\" & \
                  until ls /var/lib/milvus/data/collections | grep -q 'difftest_[0-9a-f]*_[0-9]'; \
                  do sleep 0.1; done 2>/dev/null; kill -KILL $!; wait $!";
    let image = Derived::script("milvus-lite", script);
    let mut bench = bench(&image.pulled().await, Duration::from_secs(10)).await;
    let case = case(200, &["number > 3", "number < 3"]);
    let mut all = |_: &Check, _: &Verdict| ControlFlow::Continue(());
    let verdicts = bench.judge(&case, &mut all).await.expect("it comes back");
    let classes: Vec<_> = verdicts.iter().map(class).collect();
    assert_eq!(classes, [Some(Class::Crash); 2], "{verdicts:?}");
    let restarts = bench.take_restarts();
    assert_eq!(restarts.len(), 4, "{restarts:?}");
    assert!(restarts.iter().all(|reason| reason.contains("SIGKILL")), "{restarts:?}");
    bench.stop().await;
    assert_eq!(containers(std::process::id()), Vec::<String>::new());
}

#[tokio::test]
async fn a_crash_of_its_own_making_is_told_with_its_signal() {
    let Some(_alone) = docker().await else { return };
    let mut bench = bench(&pulled("milvus-lite-cpp").await, Duration::from_secs(10)).await;
    let mut case = case(1, &["number > 3", "number < 3"]);
    // The type checker knows that nobody may ask this; the server divides.
    case.checks.insert(1, Check::Refused(parse("number / 0 == 1").expect("a filter").into()));
    let mut all = |_: &Check, _: &Verdict| ControlFlow::Continue(());
    let verdicts = bench.judge(&case, &mut all).await.expect("it comes back");
    let classes: Vec<_> = verdicts.iter().map(class).collect();
    assert_eq!(classes, [None, Some(Class::Crash), None], "{verdicts:?}");
    let restarts = bench.take_restarts();
    assert!(restarts.iter().all(|reason| reason.contains("SIGFPE")), "{restarts:?}");
    bench.stop().await;
    assert_eq!(containers(std::process::id()), Vec::<String>::new());
}

#[tokio::test]
async fn a_container_that_is_paused_hangs_and_passes_nothing() {
    let Some(_alone) = docker().await else { return };
    let mut bench = bench(&pulled("milvus-lite").await, Duration::from_secs(2)).await;
    let case = case(1, &["number > 3", "number < 3", "number == 3"]);
    let mut asked = 0;
    let mut pause = |_: &Check, _: &Verdict| {
        asked += 1;
        if asked == 1 {
            let ids = containers(std::process::id());
            lines(&["pause", &ids[0]]);
        }
        ControlFlow::Continue(())
    };
    let verdicts = bench.judge(&case, &mut pause).await.expect("it comes back");
    let classes: Vec<_> = verdicts.iter().map(class).collect();
    assert_eq!(classes, [None, Some(Class::Hang), None], "{verdicts:?}");
    assert_eq!(bench.take_restarts(), ["it did not answer in time"]);
    bench.stop().await;
    assert_eq!(containers(std::process::id()), Vec::<String>::new());
}

async fn connect(engine: &Engine) -> Milvus {
    let deadline = Duration::from_secs(30);
    let uri = engine.uri().to_owned();
    Milvus::connect(&ConnectOptions { uri, token: None, deadline }).await.expect("it answers")
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let Some(_alone) = docker().await else { return };
    for name in ["milvus-lite", "milvus-lite-cpp", "milvus-standalone"] {
        let mut engine = pulled(name).await.start().await.expect("it starts");
        let (id, uri) = (engine.container_id().map(str::to_owned), engine.uri().to_owned());
        let Case { schema, operations, .. } = case(10, &[]);
        let milvus = connect(&engine).await;
        milvus.create("kept", &schema).await.expect("it is created");
        for operation in &operations {
            if let milvus_difftest::case::Operation::Insert(rows) = operation {
                milvus.insert("kept", &schema, rows).await.expect("they are acknowledged");
            }
        }
        drop(milvus);

        engine.resume(Ending::Killed).await.expect("it comes back");
        assert_eq!(engine.container_id().map(str::to_owned), id);
        let milvus = connect(&engine).await;
        milvus.load("kept").await.expect("it is loaded");
        let deadline = Duration::from_secs(30);
        let options = QueryOptions {
            consistency: Consistency::Strong,
            deadline,
            page: None,
            partitions: &[],
        };
        let rows = milvus.query("kept", &schema, "id >= 0", options).await.expect("an answer");
        assert_eq!(rows.len(), 50, "{name}");

        let last = engine.uri().to_owned();
        engine.stop().await;
        assert!(!listens(&uri) && !listens(&last), "{name}");
        assert_eq!(containers(std::process::id()), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_container_outlives_its_owner() {
    let Some(_alone) = docker().await else { return };
    let image = pulled("milvus-lite-cpp").await;
    let backend = format!("clickhouse:container:{}", self::image("clickhouse-chdb"));
    let this = std::process::id();

    let engine = image.start().await.expect("it starts");
    assert_eq!(containers(this).len(), 1);
    let task = tokio::spawn(async move {
        let _held = engine;
        panic!("on purpose");
    });
    assert!(task.await.is_err());
    assert_eq!(containers(this), Vec::<String>::new(), "after a panic");

    // Given up while it starts.
    let begun = tokio::time::timeout(Duration::from_millis(700), image.start()).await;
    drop(begun);
    assert_eq!(containers(this), Vec::<String>::new(), "after a start that was given up");

    for name in ["INT", "TERM", "KILL"] {
        let sandbox = Sandbox::new();
        let both = ["--backend", &backend, "--cases", "100000"];
        let running = Running::start(fuzz(&sandbox, image.name(), &both));
        let pid = running.pid();
        assert!(eventually(|| containers(pid).len() == 2), "{}", running.stderr());
        tokio::time::sleep(Duration::from_secs(1)).await;
        running.signal(name);
        let ended = running.finish();
        if name == "KILL" {
            assert_eq!(ended.code, None);
            assert_eq!(containers(pid).len(), 2, "nobody could remove them");
            // The next start does.
            run(fuzz(&Sandbox::new(), image.name(), &["--cases", "0"])).expect(4);
        } else {
            assert_eq!(ended.code, Some(130), "{}", ended.stderr);
        }
        assert_eq!(containers(pid), Vec::<String>::new(), "after SIG{name}");
    }
}

#[tokio::test]
async fn the_log_of_a_failed_start_is_kept() {
    let Some(_alone) = docker().await else { return };
    let sandbox = Sandbox::new();
    let image = Derived::script("milvus-lite", "echo the last words; exit 7");
    let ended = run(fuzz(&sandbox, &image.0, &["--cases", "1"]));
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("the engine exited with status 7"), "{}", ended.stderr);
    let logs = entries(&sandbox.tmp());
    let [log] = &logs[..] else { panic!("not one file: {logs:?}\n{}", ended.stderr) };
    assert!(ended.stderr.contains(&log.display().to_string()), "{}", ended.stderr);
    assert_eq!(std::fs::read_to_string(log).expect("it can be read"), "the last words\n");
}

#[tokio::test]
async fn an_engine_in_the_background_runs_until_it_is_stopped() {
    let Some(_alone) = docker().await else { return };
    let engine = format!("docker:{}", image("milvus-lite"));
    let sandbox = Sandbox::new();
    let cache = sandbox.path("cache").display().to_string();
    let engines = |args: &[&str]| {
        let mut all = vec!["engines"];
        all.extend(args);
        all.extend(["--cache", &cache]);
        sandbox.command(&all)
    };
    let begun = Instant::now();
    let started = run(engines(&["start", &engine, "--background"])).expect(0);
    assert!(begun.elapsed() < Duration::from_secs(60));
    let uri = started.stdout.trim();
    let listed = run(engines(&["list"])).expect(0).stdout;
    let line = listed.lines().find(|line| line.starts_with("running: ")).expect("it runs");
    assert!(line.contains(&engine) && line.contains(uri), "{line}");
    let pid: u32 = line.rsplit(' ').next().and_then(|pid| pid.parse().ok()).expect("a number");
    assert_eq!(containers(pid).len(), 1);

    let checked = run(sandbox.fuzz(uri, &["--cases", "1"]));
    assert!(matches!(checked.code, Some(0 | 1)), "{}", checked.stderr);
    let refused = run(engines(&["remove", &engine])).expect(2);
    assert!(refused.stderr.contains("runs at"), "{}", refused.stderr);

    let stopped = run(engines(&["stop", uri])).expect(0);
    assert!(stopped.stdout.contains("stopped docker:"), "{}", stopped.stdout);
    assert!(!run(engines(&["list"])).expect(0).stdout.contains("running: "));
    assert_eq!(containers(pid), Vec::<String>::new());
    assert!(!listens(uri));
    let unknown = run(engines(&["stop", uri])).expect(2);
    assert!(unknown.stderr.contains("no engine"), "{}", unknown.stderr);
}

#[test]
fn the_compose_file_starts_what_the_options_start() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/compose.yaml");
    let text = std::fs::read_to_string(path).expect("it is there");
    for image in [MILVUS_IMAGE, CLICKHOUSE_IMAGE] {
        assert!(text.contains(&format!(":-{image}}}")), "{image}");
    }
}

#[test]
fn without_a_docker_it_is_said_what_to_do() {
    let sandbox = Sandbox::new();
    for args in [
        ["--engine", "docker"],
        ["--engine", "docker:milvusdb/milvus:v2.5.26"],
        ["--backend", "clickhouse:container"],
        ["--backend", "clickhouse:container:clickhouse/clickhouse-server:25.8"],
    ] {
        let mut command = sandbox.command(&["fuzz", "--cases", "1"]);
        command.args(args).env("DOCKER_HOST", "unix:///no/docker.sock");
        let run = run(command).expect(3);
        assert!(run.error().contains("no Docker answers at unix:///no/docker.sock"));
        assert!(run.error().contains("start its daemon"), "{}", run.stderr);
    }
}
