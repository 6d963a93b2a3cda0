//! Known issues: tolerated where they reproduce the answer, and reported when they are mended.

use milvus_difftest::engine::simulated::Fault;
use milvus_difftest::filter::Switch;

use crate::support::{Sandbox, run, simulated};

/// A list with one issue: `exists` is true on `{}`.
fn list(sandbox: &Sandbox) {
    let case = serde_json::json!({
        "format": "milvus-difftest/case", "version": 1,
        "schema": {"fields": [
            {"name": "id", "type": "INT64", "primary": true},
            {"name": "j", "type": "JSON"},
            {"name": "vec", "type": "FLOAT_VECTOR(2)"},
        ]},
        "operations": [{"insert": [{"id": 1, "j": {"a": {}}, "vec": [0, 0]}]}],
        "checks": [{"query": "exists j[\"a\"]"}],
    });
    sandbox.write("case.json", &case.to_string());
    sandbox.write(
        "known.toml",
        "engine = 'mine'\nversions = []\n[[issue]]\ntitle = 'exists on empty'\nlink = ''\n\
         switch = 'exists-on-empty'\ncase = 'case.json'\n",
    );
}

#[test]
fn what_is_known_is_tolerated_and_left_out_mostly() {
    let sandbox = Sandbox::new();
    list(&sandbox);
    let engine = simulated(&[Fault::Turned(Switch::ExistsOnEmpty)]);
    let cases = ["--cases", "60"];

    let known = [&cases[..], &["--known", "known.toml"]].concat();
    let text = run(sandbox.fuzz(&engine.uri(), &known)).expect(0).stdout;
    assert!(text.contains(" known: exists on empty"), "{text}");
    assert!(text.contains("checks left out"), "{text}");
    let summary = sandbox.summary();
    let left_out = &summary["steered"];
    assert!(left_out.as_u64() > Some(0), "{summary}");

    let strict = [&cases[..], &["--strict"]].concat();
    let text = run(sandbox.fuzz(&engine.uri(), &strict)).expect(1).stdout;
    assert!(!text.contains(" known: "), "{text}");

    // Another defect beside it is new.
    let engine = simulated(&[Fault::Turned(Switch::ExistsOnEmpty), Fault::LessThanIncludesEqual]);
    let text = run(sandbox.fuzz(&engine.uri(), &known)).expect(1).stdout;
    assert!(text.contains(" known: exists on empty"), "{text}");
}

#[test]
fn what_no_longer_reproduces_is_said() {
    let sandbox = Sandbox::new();
    list(&sandbox);
    let engine = simulated(&[]);
    let args = ["--cases", "3", "--known", "known.toml"];
    let ran = run(sandbox.fuzz(&engine.uri(), &args)).expect(0);
    assert!(ran.stdout.contains("fixed? its case passes: exists on empty"), "{}", ran.stdout);
}
