//! Several engines side by side: saved questions, and campaigns.

use milvus_difftest::engine::simulated::Fault;
use serde_json::{Value as Json, json};

use crate::support::{Sandbox, entries, run, simulated};

/// One case with two questions; on an engine that drops a row, the first is answered wrongly.
fn case() -> Json {
    let row = |id: i64| json!({"id": id, "vector": [0.5, -0.5]});
    json!({
        "format": "milvus-difftest/case",
        "version": 1,
        "schema": {"fields": [
            {"name": "id", "type": "INT64", "primary": true},
            {"name": "vector", "type": "FLOAT_VECTOR(2)"},
        ]},
        "operations": [{"insert": [row(1), row(2), row(3)]}],
        "checks": [{"query": "id >= 2"}, {"query": "id == 1"}],
    })
}

#[test]
fn a_question_is_put_to_every_engine() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("finding")).expect("a folder");
    sandbox.write("finding/case.json", &case().to_string());
    let (right, wrong) = (simulated(&[]), simulated(&[Fault::DropLastMatch]));
    let matrix = |args: &[&str]| {
        let mut command = sandbox.command(&["matrix", "finding", "--backend", "duckdb:refs"]);
        command.args(["--target", &right.uri(), "--target", &wrong.uri()]).args(args);
        run(command).expect(1)
    };
    let text = matrix(&[]).stdout;
    let line = text.lines().find(|line| line.contains("id >= 2")).expect("the row that differs");
    let words: Vec<&str> = line.split_whitespace().collect();
    let version = "v2.6.0-simulated";
    let outcomes = ["PASS", "FAIL", "MissingRows", version, version];
    assert!(words.ends_with(&outcomes), "{text}");
    assert!(text.contains("1 of 2 pass on every engine"), "{text}");
    assert!(text.contains(&format!("{} ({version}): 1 FAIL, 1 PASS", wrong.uri())), "{text}");

    let markdown = matrix(&["--format", "markdown"]).stdout;
    assert!(markdown.contains("| `id >= 2` "), "{markdown}");

    matrix(&["--format", "json", "--out", "matrix.json"]);
    let text = std::fs::read_to_string(sandbox.path("matrix.json")).expect("it was written");
    let json: Json = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["engines"][1]["name"], wrong.uri());
    assert_eq!(json["rows"][0]["case"], "finding");
    assert_eq!(json["rows"][0]["outcomes"][0], json!({"outcome": "pass"}));
    assert_eq!(json["rows"][0]["outcomes"][1]["class"], "MissingRows");
    assert_eq!(json["rows"][1]["outcomes"][1], json!({"outcome": "pass"}));
    assert_eq!(json["rows"][1]["first_bad"], Json::Null);
}

#[test]
fn an_engine_that_is_lost_leaves_its_column_open() {
    let sandbox = Sandbox::new();
    let mut case = case();
    case["checks"] = json!([{"query": "id in [1, 2]"}]);
    sandbox.write("case.json", &case.to_string());
    let (right, dead) = (simulated(&[]), simulated(&[Fault::DiesInQuery]));
    let mut command = sandbox.command(&["matrix", "case.json", "--target", &right.uri()]);
    command.args(["--target", &dead.uri()]);
    // An engine that runs elsewhere is not started again: its column stays open, loudly.
    let lost = run(command).expect(3);
    assert!(lost.stdout.contains("NOT ASKED"), "{}", lost.stdout);
    assert!(lost.error().contains("not everything was asked of"), "{}", lost.stderr);

    sandbox.write("corpus.jsonl", "no corpus\n");
    let mut command = sandbox.command(&["matrix", "corpus.jsonl", "--target", &right.uri()]);
    command.args(["--target", &right.uri()]);
    assert!(run(command).expect(2).error().contains("is no usable corpus"));
}

#[test]
fn campaigns_run_side_by_side() {
    let sandbox = Sandbox::new();
    let (right, wrong) = (simulated(&[]), simulated(&[Fault::DropLastMatch]));
    let mut command = sandbox.fuzz(&right.uri(), &["--target", &wrong.uri(), "--cases", "2"]);
    // Each engine's references need a file of their own.
    command.args(["--backend", "duckdb:refs"]);
    let ran = run(command).expect(1);
    let summary = sandbox.summary();
    assert_eq!(summary["format"], "milvus-difftest/summaries");
    let [first, second] = [&summary["engines"][0], &summary["engines"][1]];
    assert_eq!(first["cases_digest"], second["cases_digest"], "the same cases on both");
    assert_eq!((&first["verdicts"]["divergence"], &first["cases"]), (&json!(0), &json!(2)));
    assert!(second["findings"][0]["class"] == "MissingRows", "{summary}");
    let outcomes = &summary["matrix"]["rows"][0]["outcomes"];
    assert_eq!(outcomes[0]["outcome"], "pass");
    assert_eq!(outcomes[1]["outcome"], "fail");
    assert!(ran.stdout.contains("PASS") & ran.stdout.contains("FAIL MissingRows"));
    // Each engine's findings are in a folder of its own.
    let folders = sandbox.findings();
    assert_eq!(folders.len(), 1, "{folders:?}");
    assert!(!entries(&folders[0]).is_empty());

    let mut command = sandbox.fuzz(&right.uri(), &["--target", &wrong.uri(), "--known", "x.toml"]);
    command.args(["--cases", "1"]);
    assert!(run(command).expect(2).error().starts_with("--known is about one engine"));
}
