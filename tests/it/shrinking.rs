//! `shrink`: a saved case made smaller, and what is said where there is nothing to make smaller.

use std::fs;

use milvus_difftest::case::Case;
use milvus_difftest::engine::simulated::Fault;

use crate::support::{Sandbox, entries, run, simulated};

/// Written by hand, larger than it need be.
const LARGE: &str = r#"{
  "format": "milvus-difftest/case",
  "version": 1,
  "found": {"engine": "milvus_lite-3.2.2", "class": "ExtraRows", "title": "less is less or equal"},
  "schema": {"fields": [
    {"name": "id", "type": "INT64", "primary": true},
    {"name": "n", "type": "INT8"},
    {"name": "text", "type": "VARCHAR"},
    {"name": "v", "type": "FLOAT_VECTOR(2)"}
  ]},
  "operations": [
    {"insert": [
      {"id": 1, "n": 5, "text": "a", "v": [0, 0]},
      {"id": 2, "n": 7, "text": "b", "v": [0, 0]},
      {"id": 3, "n": 4, "text": "c", "v": [0, 0]}
    ]},
    "flush"
  ],
  "checks": [{"query": "id > 0 and (n < 5 or text == \"x\")"}]
}"#;

#[test]
fn a_case_becomes_minimal_and_keeps_what_was_said_of_it() {
    let (wrong, right) = (simulated(&[Fault::LessThanIncludesEqual]), simulated(&[]));
    let sandbox = Sandbox::new();
    sandbox.write("large.json", LARGE);
    let shrink = |path: &str, uri: &str, more: &[&str]| {
        let args = [&["shrink", path, "--target", uri][..], more].concat();
        run(sandbox.command(&args))
    };

    let early = shrink("large.json", &wrong.uri(), &["--shrink-evaluations", "1"]).expect(0);
    assert!(early.stdout.contains("the budget ended first"), "{}", early.stdout);
    let cut = entries(&sandbox.path("findings"));
    let [cut] = cut.as_slice() else { panic!("{cut:?}") };
    let readme = fs::read_to_string(cut.join("README.md")).expect("a README");
    assert!(readme.contains("`milvus-difftest shrink` goes on"), "{readme}");
    assert!(readme.contains("a saved case"), "{readme}");

    // What was cut off goes on from there.
    let cut = cut.to_str().expect("a path in UTF-8");
    let whole = shrink(cut, &wrong.uri(), &["--out", "small"]).expect(0);
    assert!(whole.stdout.contains("to     1 operation, 1 row, "), "{}", whole.stdout);
    assert!(whole.stdout.contains("no single step makes it smaller"), "{}", whole.stdout);
    let small = entries(&sandbox.path("small"));
    let [small] = small.as_slice() else { panic!("{small:?}") };
    for name in ["README.md", "case.json", "repro.py", "repro.rs"] {
        assert!(small.join(name).is_file(), "{name}");
    }
    let (case, found) = Case::load(&small.join("case.json")).expect("a case file");
    assert_eq!(case.rows().len(), 1);
    let filter = case.checks[0].filter().map(ToString::to_string).unwrap_or_default();
    assert!(filter.contains('<') && !filter.contains("and"), "{filter}");
    let found = found.expect("where it is from");
    assert_eq!(found.title.as_deref(), Some("less is less or equal"));
    assert_eq!((found.class.as_str(), found.seed), ("ExtraRows", None));

    sandbox.write("other.json", &LARGE.replace("\"ExtraRows\"", "\"Crash\""));
    let other = shrink("other.json", &wrong.uri(), &["--out", "other"]).expect(0);
    assert!(other.stdout.contains("not    Crash, as was found before"), "{}", other.stdout);
    assert!(!whole.stdout.contains("not    "), "{}", whole.stdout);

    let mended = shrink("large.json", &right.uri(), &["--out", "none"]).expect(4);
    assert!(mended.stdout.starts_with("FIXED "), "{}", mended.stdout);
    assert!(!sandbox.path("none").exists());
    run(sandbox.command(&["shrink", "missing.json", "--target", &right.uri()])).expect(2);
}
