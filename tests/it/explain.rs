//! `explain`: what it says of filters that are right, and of those that are not.

use std::process::Command;
use std::time::Duration;

use milvus_difftest::milvus::{ConnectOptions, Milvus};
use milvus_difftest::schema::Schema;
use serde_json::{Value as Json, json};

use crate::support::{Run, Sandbox, run, simulated};

const ROWS: &str = r#"{"id": 1, "price": 0.1, "tags": ["a"], "colour": "red", "note": "Big sale"}
{"id": 2, "price": null, "tags": []}
{"id": 3, "price": 7.5, "tags": ["b", "a"], "$meta": {"colour": 4}}
"#;

fn schema() -> Json {
    json!({"dynamic": true, "fields": [
        {"name": "id", "type": "INT64", "primary": true},
        {"name": "price", "type": "FLOAT", "nullable": true},
        {"name": "tags", "type": "ARRAY<VARCHAR>"},
        {"name": "note", "type": "VARCHAR", "nullable": true},
        {"name": "vector", "type": "FLOAT_VECTOR(2)"},
    ]})
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("schema.json", &schema().to_string());
    sandbox.write("rows.jsonl", ROWS);
    sandbox
}

fn command(sandbox: &Sandbox, filter: &str, args: &[&str]) -> Command {
    let mut command = sandbox.command(&["explain", filter, "--schema", "schema.json"]);
    command.args(args);
    command
}

fn explain(filter: &str, args: &[&str]) -> Run {
    run(command(&sandbox(), filter, args))
}

#[track_caller]
fn shows(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
}

#[test]
fn a_filter_is_explained_to_a_stranger() {
    let filter = "not (price > 1) and colour != 'blue'";
    let args = ["--rows", "rows.jsonl", "--semantics", "json-missing-is-unknown"];
    let said = explain(filter, &args).expect(0).stdout;
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("explain", said));
    assert!(!said.contains('\u{1b}'), "{said}");
}

#[test]
fn programs_get_the_same_as_json() {
    let args = ["--rows", "rows.jsonl", "--format", "json", "--semantics", "not-unknown-is-true"];
    let said = explain("not (price > 1)", &args).expect(0).stdout;
    let said: Json = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["filter"], "not (price > 1)");
    assert_eq!(
        said["tree"][0],
        json!({"depth": 0, "text": "not", "type": "truth value", "number": 1})
    );
    assert_eq!(said["tree"][2]["type"], "FLOAT column, nullable");
    assert_eq!(said["sql"][0]["backend"], "DuckDB");
    assert!(said["sql"][0]["sql"].as_str().is_some_and(|sql| sql.starts_with("NOT (")));
    assert_eq!(said["switches"][0]["switch"], "not-unknown-is-true");
    assert_eq!(
        said["rows"]["rows"][1],
        json!({"key": 2, "truths": ["U", "U"], "turned": ["T", "U"]})
    );
    assert_eq!(said["rows"]["matching"], json!([1]));
    assert_eq!(said["rows"]["matching_turned"], json!([1, 2]));
}

#[test]
fn places_types_and_what_sql_cannot_say() {
    let filter = "array_length(tags) + 1 > 2 or tags[0] in [\"a\"] or 0.5 < price <= 2 \
                  or tags == [\"a\"] or x[\"y\"] * 2 == 3 or json_contains(x, 1)";
    let said = explain(filter, &[]).expect(0).stdout;
    shows(
        &said,
        &[
            "VARCHAR, element 0 of the column tags",
            "ARRAY<VARCHAR> column",
            "JSON, [\"x\"][\"y\"] in the dynamic field $meta",
            "number, if the JSON holds one",
            "0.5 < price <= 2",
            "float-compares-as-double",
            "json-contains-int-misses-double",
        ],
    );
    assert!(!said.contains("matches:"), "{said}");
    let args = ["--rows", "rows.jsonl"];
    let said = explain("text_match(note, 'sale')", &args).expect(0).stdout;
    shows(&said, &["cannot be expressed in SQL: judged by the model alone\n  ", "matches: 1\n"]);
}

#[test]
fn what_is_asked_of_structs_is_told_member_by_member() {
    let sandbox = sandbox();
    let schema = json!({"dynamic": true, "fields": [
        {"name": "id", "type": "INT64", "primary": true},
        {"name": "parts", "type": "ARRAY<STRUCT>", "members": [
            {"name": "n", "type": "INT8"},
            {"name": "f", "type": "FLOAT"},
        ]},
        {"name": "vector", "type": "FLOAT_VECTOR(2)"},
    ]});
    sandbox.write("schema.json", &schema.to_string());
    let rows = r#"{"id": 1, "parts": [{"n": 1, "f": 0.5}, {"n": 2, "f": 0.1}]}
{"id": 2, "parts": []}
"#;
    sandbox.write("rows.jsonl", rows);
    let args = ["--rows", "rows.jsonl", "--semantics", "match-all-of-none-is-false"];
    let filter = "id > 0 and match_all(parts, $[f] > 0.1 or $[n] % 2 == 0)";
    let said = run(command(&sandbox, filter, &args)).expect(0).stdout;
    shows(
        &said,
        &[
            "match_all(parts, …)",
            "ARRAY<STRUCT> column",
            "FLOAT member",
            "INT8 member",
            "judged by the model alone",
            "match-all-of-none-is-false, in `match_all(",
            "float-compares-as-double, in `$[f] > 0.1`",
            "T, turned F",
            "matches: 1, 2\n",
            "with match-all-of-none-is-false: 1\n",
        ],
    );
    let said = run(command(&sandbox, "element_filter(parts, $[n] == 1)", &args)).expect(0).stdout;
    shows(&said, &["undefined: element_filter in a query", "matches: no row\n"]);
    let said = run(command(&sandbox, "match_any(parts, $[m] == 1)", &args)).expect(2);
    shows(&said.stderr, &["no member of the structs that are asked"]);
}

#[test]
fn undefined_answers_say_why() {
    let said = explain("id / (id - 1) == 1", &["--rows", "rows.jsonl"]).expect(0).stdout;
    shows(&said, &["undefined: division by a zero in a column", "matches: 3\n"]);
}

#[test]
fn a_filter_that_is_none_is_pointed_at() {
    let run = explain("price = 1", &[]).expect(2);
    assert_eq!(
        run.stderr,
        "error: cannot parse the filter:\n  price = 1\n        ^ equality is written `==`\n  write `==`\n"
    );
    assert_eq!(run.stdout, "");
    let said = explain("price = 1", &["--format", "json"]).expect(2).stdout;
    let said: Json = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["error"]["position"], 6);
    assert_eq!(said["error"]["suggestion"], "==");
}

#[test]
fn a_filter_without_a_meaning_is_pointed_at() {
    let run = explain("price == 1 and tags > 3", &[]).expect(2);
    shows(&run.stderr, &["  (price == 1) and (tags > 3)\n                    ^^^^ a whole array"]);
    let run = explain("id == 1 and price == 'x'", &[]).expect(2);
    shows(&run.stderr, &["\n                 ^^^^^^^^^^^^ \"x\" has another type"]);
    let said = explain("tags > 3", &["--format", "json"]).expect(2).stdout;
    let said: Json = serde_json::from_str(&said).expect("JSON");
    assert_eq!((&said["error"]["position"], &said["error"]["length"]), (&json!(0), &json!(4)));
}

#[test]
fn a_case_brings_its_rows() {
    let sandbox = Sandbox::new();
    let rows = json!([{"id": 1, "price": 2.0, "tags": [], "vector": [0.0, 0.0]}]);
    let case = json!({
        "format": "milvus-difftest/case", "version": 1,
        "schema": schema(), "operations": [{"insert": rows}], "checks": [],
    });
    sandbox.write("schema.json", &case.to_string());
    let said = run(command(&sandbox, "price == 2", &[])).expect(0).stdout;
    shows(&said, &["matches: 1\n"]);
    sandbox.write("rows.json", "[{\"id\": 7, \"price\": 2, \"tags\": []}]");
    let said = run(command(&sandbox, "price == 2", &["--rows", "rows.json"])).expect(0).stdout;
    shows(&said, &["matches: 7\n"]);
}

#[test]
fn files_and_options_that_are_wrong() {
    for (file, text, args, wanted) in [
        ("schema.json", "{", &[][..], "schema.json: it is no JSON: EOF"),
        ("schema.json", "{}", &[], "neither a case nor a schema like {\"fields\""),
        ("schema.json", "{\"fields\": []}", &[], "0 primary fields"),
        ("schema.json", "{\"format\": \"x\"}", &[], "not a usable case"),
        ("rows.jsonl", "{\"id\": 1}\n{", &["--rows", "rows.jsonl"], "row 2: it is no JSON"),
        ("rows.jsonl", "[1", &["--rows", "rows.jsonl"], "no JSON array of rows"),
        ("rows.jsonl", "7", &["--rows", "rows.jsonl"], "row 1: "),
        ("rows.jsonl", "{\"price\": 1}", &["--rows", "rows.jsonl"], "row 1: "),
        ("other", "", &["--rows", "missing"], "cannot read missing"),
        ("other", "", &["--semantics", "no-such"], "no-such"),
        ("other", "", &["--format", "xml"], "xml"),
        ("other", "", &["--collection", "c"], "--collection"),
    ] {
        let sandbox = sandbox();
        sandbox.write(file, text);
        let run = run(command(&sandbox, "id == 1", args)).expect(2);
        shows(&run.stderr, &[wanted]);
    }
    let sandbox = Sandbox::new();
    let run = run(sandbox.command(&["explain", "id == 1"])).expect(2);
    shows(&run.stderr, &["--schema"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_of_a_collection_that_exists() {
    let engine = simulated(&[]);
    let (uri, deadline) = (engine.uri(), Duration::from_secs(20));
    let options = ConnectOptions { uri: uri.clone(), token: None, deadline };
    let milvus = Milvus::connect(&options).await.expect("it answers");
    let schema: Schema = serde_json::from_value(schema()).expect("a schema");
    milvus.create("things", &schema).await.expect("a collection");
    assert_eq!(milvus.schema("things").await.expect("it is there"), schema);
    let sandbox = Sandbox::new();
    let explain = |collection: &str, uri: &str| {
        let args = ["explain", "price > 1 or x > 1", "--collection", collection, "--target", uri];
        sandbox.command(&args)
    };
    let said = run(explain("things", &uri)).expect(0).stdout;
    shows(&said, &["FLOAT column, nullable", "the dynamic field"]);
    run(explain("nothing", &uri)).expect(3);
    run(explain("things", "http://127.0.0.1:1")).expect(3);
}
