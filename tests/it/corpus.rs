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
fn wrong_expectations_are_refused_before_an_engine_is_asked() {
    let sandbox = Sandbox::new();
    let args = ["--count", "5", "--seed", "3", "--out", "c.jsonl"];
    run(generate(&sandbox, "users", &args)).expect(0);
    let text = std::fs::read_to_string(sandbox.path("c.jsonl")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let with = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut entry = serde_json::from_str(lines[1]).unwrap();
        change(&mut entry);
        sandbox.write("c.jsonl", &[lines[0], &entry.to_string()].join("\n"));
        // Nothing listens there: it is not reached.
        let args = ["corpus", "check", "c.jsonl", "--target", "http://127.0.0.1:1"];
        run(sandbox.command(&args)).expect(2).stderr
    };
    let stderr = with(&|entry| entry["count"] = 9999.into());
    assert!(stderr.contains("c.jsonl is no usable corpus: line 2: it expects 9999"), "{stderr}");
    // The right number of wrong keys.
    let stderr = with(&|entry| {
        let keys = entry["keys"].as_array().unwrap().len();
        entry["keys"] = (0..keys).map(|i| serde_json::json!(-1 - i as i64)).collect();
        assert_ne!(keys, 0);
    });
    assert!(stderr.contains("line 2: it expects"), "{stderr}");
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
