//! The version that a defect came with: among simulated engines with and without a fault, and among
//! releases of Milvus Lite that are really installed and started.

use milvus_difftest::engine::simulated::{Fault, SimulatedMilvus, SimulatedOptions};
use serde_json::{Value as Json, json};

use crate::support::{Running, Sandbox, run, simulated};

/// On an engine that drops a row, the question is answered wrongly.
fn case(class: Option<&str>) -> Json {
    let row = |id: i64| json!({"id": id, "vector": [0.5, -0.5]});
    let mut case = json!({
        "format": "milvus-difftest/case",
        "version": 1,
        "schema": {"fields": [
            {"name": "id", "type": "INT64", "primary": true},
            {"name": "vector", "type": "FLOAT_VECTOR(2)"},
        ]},
        "operations": [{"insert": [row(1), row(2), row(3)]}],
        "checks": [{"query": "id >= 2"}],
    });
    if let Some(class) = class {
        case["found"] = json!({"engine": "v2.6.0-simulated", "class": class});
    }
    case
}

/// A folder with the finding, and engines as versions from old to new.
fn sandbox(class: Option<&str>) -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("finding")).expect("a folder");
    sandbox.write("finding/case.json", &case(class).to_string());
    sandbox
}

fn bisect(sandbox: &Sandbox, engines: &[&SimulatedMilvus], args: &[&str]) -> std::process::Command {
    let targets: Vec<String> = engines.iter().map(|engine| engine.uri()).collect();
    let mut command = sandbox.command(&["bisect", "finding", "--target", &targets.join(",")]);
    command.args(["--backend", "model"]).args(args);
    command
}

/// An engine that nothing can be said of: it wants a token that nobody presents.
fn closed() -> SimulatedMilvus {
    let options = SimulatedOptions { token: Some("root:hunter2".to_owned()), ..Default::default() };
    SimulatedMilvus::start(options).expect("a loopback port")
}

#[test]
fn the_version_that_brought_a_fault_is_found() {
    let sandbox = sandbox(Some("MissingRows"));
    let right: Vec<_> = (0..3).map(|_| simulated(&[])).collect();
    let wrong: Vec<_> = (0..5).map(|_| simulated(&[Fault::DropLastMatch])).collect();
    let engines: Vec<_> = right.iter().chain(&wrong).collect();
    let found = run(bisect(&sandbox, &engines, &[])).expect(0);
    let lines: Vec<&str> = found.stdout.lines().collect();
    assert_eq!(lines[0], format!("last good   {}", right[2].uri()));
    assert_eq!(lines[1], format!("first bad   {}", wrong[0].uri()));
    assert!(lines[2].starts_with("judged 5 of 8 versions in "), "{}", found.stdout);
    // A line for each version, as it is judged.
    let judged: Vec<&str> = found.stderr.lines().collect();
    assert_eq!(judged.len(), 5, "{}", found.stderr);
    assert!(judged[0].starts_with(&format!("good      {}", right[0].uri())), "{}", found.stderr);
    assert!(judged[1].contains("MissingRows: expected rows 2, 3, got row 2"), "{}", found.stderr);

    let backwards: Vec<_> = wrong.iter().chain(&right).collect();
    let found = run(bisect(&sandbox, &backwards, &["--quiet", "--format", "json"])).expect(0);
    assert_eq!(found.stderr, "");
    let json: Json = serde_json::from_str(&found.stdout).expect("JSON");
    assert_eq!(json["format"], "milvus-difftest/bisect");
    assert_eq!(json["class"], "MissingRows");
    let change = json!({
        "change": "went",
        "last": wrong[4].uri(),
        "first": right[0].uri(),
        "candidates": [right[0].uri()],
    });
    assert_eq!(json["changes"], json!([change]));
    assert_eq!(json["versions"][0]["is"], "bad");
    assert_eq!(json["versions"][7]["engine"], "v2.6.0-simulated");
}

#[test]
fn ends_that_agree_leave_nothing_to_bisect() {
    let sandbox = sandbox(Some("MissingRows"));
    let (right, wrong) = (simulated(&[]), simulated(&[Fault::DropLastMatch]));
    let found = run(bisect(&sandbox, &[&right, &wrong, &right], &[])).expect(6);
    let uri = right.uri();
    let said = format!("nothing to bisect: {uri} and {uri} are both good; --all judges");
    assert!(found.stdout.starts_with(&said), "{}", found.stdout);
    // What comes and goes is seen where all are judged.
    let found = run(bisect(&sandbox, &[&right, &wrong, &right], &["--all"])).expect(0);
    assert!(found.stdout.contains("the defect comes and goes: 2 changes"), "{}", found.stdout);
}

#[test]
fn what_cannot_be_judged_is_named_and_never_taken_for_good() {
    let sandbox = sandbox(Some("MissingRows"));
    let (right, wrong, closed) = (simulated(&[]), simulated(&[Fault::DropLastMatch]), closed());
    let found = run(bisect(&sandbox, &[&closed, &right, &closed, &wrong], &[])).expect(4);
    let one_of = format!("first bad   one of {}, {}\n", closed.uri(), wrong.uri());
    assert!(found.stdout.contains(&one_of), "{}", found.stdout);
    let skipped = format!("skipped     {}: the Milvus at ", closed.uri());
    assert_eq!(found.stdout.matches(&skipped).count(), 2, "{}", found.stdout);
    assert!(found.stdout.contains("refuses the credentials"), "{}", found.stdout);

    let found = run(bisect(&sandbox, &[&closed, &wrong, &closed], &[])).expect(4);
    assert!(found.stdout.contains("fewer than two versions can be judged"), "{}", found.stdout);
}

#[test]
fn another_defect_is_not_the_one_that_is_looked_for() {
    let (right, wrong) = (simulated(&[]), simulated(&[Fault::DropLastMatch]));
    let found = run(bisect(&sandbox(Some("ExtraRows")), &[&right, &wrong], &[])).expect(4);
    assert!(found.stdout.contains(": MissingRows: "), "{}", found.stdout);
    // A case that does not say where it comes from is about whatever is wrong.
    run(bisect(&sandbox(None), &[&right, &wrong], &[])).expect(0);
}

#[test]
fn wrong_options_are_told_before_anything_is_started() {
    let sandbox = sandbox(Some("MissingRows"));
    std::fs::create_dir(sandbox.path("several")).expect("a folder");
    for name in ["several/one", "several/two"] {
        std::fs::create_dir(sandbox.path(name)).expect("a folder");
        sandbox.write(&format!("{name}/case.json"), &case(None).to_string());
    }
    for (args, complaint) in [
        (&["finding"][..], "--engine"),
        (&["finding", "--engine", "milvus-lite-2.5.1"], "is one version"),
        (&["finding", "--engine", "milvus-lite-2.5.1..2.4.1"], "from the older release"),
        (&["finding", "--engine", "docker:a:1..docker:a:2"], "name containers one by one"),
        (&["finding", "--target", "http://localhost:1"], "one --target is one version"),
        (&["several", "--engine", "milvus-lite-2.4.1..2.5.1"], "there are 2 files named case.json"),
        (&["nowhere", "--engine", "milvus-lite-2.4.1..2.5.1"], "nowhere"),
    ] {
        let mut command = sandbox.command(&["bisect"]);
        command.args(args);
        let run = run(command).expect(2);
        assert!(run.stderr.contains(complaint), "{args:?}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{args:?}");
    }
}

#[test]
fn a_signal_ends_it() {
    let sandbox = sandbox(Some("MissingRows"));
    let engine = simulated(&[]);
    // Nobody listens on port 1, which takes half a minute to be sure of.
    let mut command = sandbox.command(&["bisect", "finding", "--backend", "model", "--target"]);
    command.arg(format!("{},http://127.0.0.1:1", engine.uri()));
    let mut running = Running::start(command);
    running.wait_for("good ");
    running.signal("INT");
    running.finish().expect(130);
}

/// `1 == id` finds nothing in Milvus Lite 2, and what matches in Milvus Lite 3.
#[cfg(target_os = "linux")]
#[test]
fn releases_are_installed_and_judged() {
    let mut finding = case(Some("MissingRows"));
    finding["checks"] = json!([{"query": "1 == id"}]);
    let sandbox = Sandbox::new();
    sandbox.write("case.json", &finding.to_string());
    let bisect = |engines: &str, args: &[&str]| {
        let mut command = sandbox.command(&["bisect", "case.json", "--backend", "model"]);
        command.args(["--engine", engines]).args(args);
        command
    };
    let found = run(bisect("milvus-lite-2.4.12..2.5.1", &["--all"])).expect(6);
    for version in ["2.4.12", "2.5.0", "2.5.1"] {
        let row = format!(" milvus-lite-{version} ");
        let row = found.stdout.lines().find(|line| line.starts_with(&row)).expect("its row");
        assert!(row.contains(" bad ") && row.contains("MissingRows"), "{}", found.stdout);
        assert!(row.contains(&format!(" milvus_lite-{version} ")), "{}", found.stdout);
    }
    assert!(found.stdout.contains("every version that can be judged is bad"), "{}", found.stdout);

    let found = run(bisect("milvus-lite-2.5.0,milvus-lite-2.5.1,milvus-lite-3.2.2", &[])).expect(0);
    let said = "last bad    milvus-lite-2.5.1\nfirst good  milvus-lite-3.2.2\n";
    assert!(found.stdout.starts_with(said), "{}", found.stdout);
    // Nothing of any engine is left behind.
    assert!(crate::support::entries(&sandbox.tmp()).is_empty());
}

/// Wherever an engine is named, a release may be; one that is not there is an error that says so.
#[cfg(target_os = "linux")]
#[test]
fn a_release_is_an_engine_like_any_other() {
    let sandbox = Sandbox::new();
    let case = json!({
        "format": "milvus-difftest/case",
        "version": 1,
        "schema": {"fields": [
            {"name": "id", "type": "INT64", "primary": true},
            {"name": "vector", "type": "FLOAT_VECTOR(2)"},
        ]},
        "operations": [{"insert": [{"id": 1, "vector": [0.5, -0.5]}]}],
        "checks": [{"query": "id >= 1"}],
    });
    sandbox.write("case.json", &case.to_string());
    let replay = |engine: &str| sandbox.command(&["replay", "case.json", "--engine", engine]);
    let right = run(replay("milvus-lite-2.4.12")).expect(0);
    assert!(right.stdout.starts_with("FIXED "), "{}", right.stdout);
    let missing = run(replay("milvus-lite-2.9.9")).expect(3);
    let error = missing.error();
    assert!(error.starts_with("there is no milvus-lite-2.9.9 for this system"), "{error}");
    assert!(error.contains("2.5.1") && error.contains("name one of these"), "{error}");
}
