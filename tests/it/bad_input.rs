//! Bad input for `replay`: case files are written by people and by other releases too. Whatever is
//! wrong with one, the answer is exit code 2 and one paragraph that says where and what, before
//! any engine is started.

use std::fs::File;

use serde_json::{Value as Json, json};

use crate::support::{Sandbox, run};

/// What `replay` says of this path.
fn complaint(sandbox: &Sandbox, path: &str) -> String {
    let run = run(sandbox.command(&["replay", path])).expect(2);
    assert_eq!(run.stdout, "", "{path}");
    assert!(run.error().contains(path), "{path}: {}", run.stderr);
    run.error().to_owned()
}

fn good() -> Json {
    json!({
        "format": "milvus-difftest/case",
        "version": 1,
        "schema": {"fields": [
            {"name": "id", "type": "INT64", "primary": true},
            {"name": "int_0", "type": "INT32"},
            {"name": "vector", "type": "FLOAT_VECTOR(2)"},
        ]},
        "operations": [{"insert": [{"id": 1, "int_0": 7, "vector": [0.0, 0.0]}]}],
        "checks": [{"query": "int_0 > 1"}],
    })
}

#[test]
fn a_wrong_value_anywhere_is_named() {
    let row = |id: Json, int_0: Json| json!({"id": id, "int_0": int_0, "vector": [0.0, 0.0]});
    let insert = |rows: Json| json!([{"insert": rows}]);
    let sandbox = Sandbox::new();
    for (pointer, value, wanted) in [
        ("/format", json!("something/else"), "its \"format\" is not \"milvus-difftest/case\""),
        ("/version", json!(99), "format version 99, and this release reads version 1; update"),
        ("/version", json!("one"), "its \"version\" is no number"),
        ("/schema", json!([]), "struct Schema"),
        ("/schema/fields/1/type", json!("INT33"), "INT33"),
        ("/schema/fields/1/type", json!(32), "invalid type: integer `32`"),
        ("/schema/fields/1/name", json!("id"), "'id'"),
        ("/schema/fields/0/primary", json!(false), "it has 0 primary fields"),
        ("/operations", json!("none"), "invalid type: string \"none\""),
        ("/operations", json!([{"truncate": []}]), "unknown variant `truncate`"),
        ("/operations", insert(json!([row(json!(1), json!("seven"))])), "int_0"),
        (
            "/operations",
            insert(json!([row(json!(1), Json::Null)])),
            "'int_0' is INT32, which cannot hold null",
        ),
        ("/operations", insert(json!([{"id": 1, "vector": [0.0, 0.0]}])), "int_0"),
        ("/operations", insert(json!([{"int_0": 1, "vector": [0.0, 0.0]}])), "id"),
        (
            "/operations",
            insert(json!([row(json!(1), json!(2)), row(json!(1), json!(3))])),
            "the key 1 is inserted twice",
        ),
        ("/operations", insert(json!([{"id": 1, "int_0": 1, "vector": [0.0]}])), "vector"),
        ("/operations", insert(json!([{"id": 1, "int_0": 1, "vector": [0, 0], "x": 1}])), "'x'"),
        ("/checks/0/query", json!("int_0 >"), "at byte 7"),
        ("/checks/0/query", json!("int_0 > 'a"), "in `int_0 > 'a`"),
        ("/checks/0/query", json!("int_1 > 1"), "int_1"),
        ("/checks/0/query", json!("int_0 > \"a\""), "int_0"),
        ("/checks/0/query", json!("int_0"), "int_0"),
        ("/checks/0/query", json!(7), "invalid type: integer `7`"),
    ] {
        let mut case = good();
        *case.pointer_mut(pointer).expect("it is there") = value.clone();
        sandbox.write("case.json", &case.to_string());
        let said = complaint(&sandbox, "case.json");
        assert!(said.contains(wanted), "{pointer} {value}: {said}");
    }
}

#[test]
fn files_that_are_no_cases_at_all() {
    let sandbox = Sandbox::new();
    let good = good().to_string();
    for (text, wanted) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        (&good[..good.len() / 2], "EOF while parsing"),
        ("# not JSON", "expected value at line 1 column 1"),
        ("[]", "invalid type: sequence, expected a map"),
        ("7", "invalid type: integer `7`, expected a map"),
        ("{}", "its \"format\" is not \"milvus-difftest/case\""),
        (&"{\"a\":".repeat(100_000), "recursion limit"),
        (&format!("{}\n}}", good), "trailing characters at line 2"),
    ] {
        sandbox.write("case.json", text);
        let said = complaint(&sandbox, "case.json");
        assert!(said.contains(wanted), "{text:.50}: {said}");
    }
}

#[test]
fn files_that_cannot_be_read() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("binary.json"), [0, 0xFF, 0xFE]).expect("a file");
    assert!(complaint(&sandbox, "binary.json").contains("UTF-8"));

    let large = File::create(sandbox.path("large.json")).expect("a file");
    large.set_len(50 << 20).expect("a sparse file");
    assert!(complaint(&sandbox, "large.json").contains("has 52428800 bytes"));

    assert!(complaint(&sandbox, "missing.json").contains("No such file"));
    assert!(complaint(&sandbox, "tmp").contains("no case.json"));
}

#[test]
fn one_bad_case_among_good_ones_stops_all() {
    let sandbox = Sandbox::new();
    for (name, text) in [("a", good().to_string()), ("b", "{".to_owned())] {
        std::fs::create_dir_all(sandbox.path("out").join(name)).expect("a folder");
        sandbox.write(&format!("out/{name}/case.json"), &text);
    }
    let run = run(sandbox.command(&["replay", "out"])).expect(2);
    assert!(run.error().contains("out/b/case.json is not a usable case"), "{}", run.stderr);
    assert_eq!(run.stdout, "");
}
