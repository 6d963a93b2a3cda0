//! `corpus`: filters with their answers, generated and checked by really running the binary.

use std::path::{Path, PathBuf};
use std::process::Command;

use milvus_difftest::engine::simulated::Fault;

use crate::support::{Sandbox, run, simulated};

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora/filters").join(name)
}

fn generate(sandbox: &Sandbox, name: &str, args: &[&str]) -> Command {
    let mut command = sandbox.command(&["corpus", "generate"]);
    command.arg("--schema").arg(shipped(name).join("schema.json"));
    command.arg("--rows").arg(shipped(name).join("rows.jsonl"));
    command.args(args);
    command
}

#[test]
fn a_corpus_passes_on_a_right_engine_and_fails_on_a_wrong_one() {
    let sandbox = Sandbox::new();
    let args = ["--count", "60", "--seed", "3", "--out", "c.jsonl"];
    run(generate(&sandbox, "products", &args)).expect(0);
    let again = run(generate(&sandbox, "products", &args[..4])).expect(0);
    let text = std::fs::read_to_string(sandbox.path("c.jsonl")).unwrap();
    assert_eq!(again.stdout, text, "the same seed gives the same corpus");
    assert_eq!(text.lines().count(), 61);

    let right = simulated(&[]);
    let checked = ["corpus", "check", "c.jsonl", "--target"];
    let ran = run(sandbox.command(&[&checked[..], &[&right.uri()]].concat())).expect(0);
    assert!(ran.stdout.contains("60 filters, 60 pass, 0 fail"), "{}", ran.stdout);

    let wrong = simulated(&[Fault::DropLastMatch]);
    let ran = run(sandbox.command(&[&checked[..], &[&wrong.uri()]].concat())).expect(1);
    assert!(ran.stdout.contains("FAIL  `"), "{}", ran.stdout);
}

#[test]
fn an_expectation_that_the_references_do_not_share_is_a_conflict() {
    let sandbox = Sandbox::new();
    let args = ["--count", "5", "--seed", "3", "--out", "c.jsonl"];
    run(generate(&sandbox, "users", &args)).expect(0);
    let text = std::fs::read_to_string(sandbox.path("c.jsonl")).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut entry: serde_json::Value = serde_json::from_str(&lines[1]).unwrap();
    entry["count"] = serde_json::json!(9999);
    lines[1] = entry.to_string();
    sandbox.write("c.jsonl", &lines.join("\n"));
    let engine = simulated(&[]);
    let args = ["corpus", "check", "c.jsonl", "--target", &engine.uri()];
    let ran = run(sandbox.command(&args)).expect(5);
    assert!(ran.stdout.contains("CONFLICT"), "{}", ran.stdout);
}

#[test]
fn other_forms_hold_the_same_filters() {
    let sandbox = Sandbox::new();
    let form = |form: &str| {
        let args = ["--count", "20", "--format", form];
        run(generate(&sandbox, "tickets", &args)).expect(0).stdout
    };
    let csv = form("csv");
    assert_eq!(csv.lines().next(), Some("filter,count,selectivity,keys,features"));
    let pytest = sandbox.write("test_corpus.py", &form("pytest"));
    let compiled = Command::new("python3").args(["-m", "py_compile"]).arg(&pytest).status();
    assert!(compiled.unwrap().success());
    let go = form("go");
    assert!(go.starts_with("// Package filters") && go.contains("func Check(t *testing.T"));
}

#[test]
fn wrong_files_are_named() {
    let sandbox = Sandbox::new();
    sandbox.write("no.jsonl", "{}\n");
    let ran = run(sandbox.command(&["corpus", "check", "no.jsonl"])).expect(2);
    assert!(ran.stderr.contains("no.jsonl is no usable corpus: line 1"), "{}", ran.stderr);
    sandbox.write("schema.json", "{\"fields\": []}");
    let args = ["corpus", "generate", "--schema", "schema.json", "--rows", "no.jsonl"];
    let ran = run(sandbox.command(&args)).expect(2);
    assert!(ran.stderr.contains("schema.json: invalid schema"), "{}", ran.stderr);
}
