use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value as Json, json};

use super::*;
use crate::case::{Case, Check, Maintenance, Operation, Relation};
use crate::compare::Diff;
use crate::filter::{Filter, parse};
use crate::value::{Key, Row, Value};
use crate::verdict::{Actual, Answer, Class, Divergence, Expected, Judges, Way};

fn case(schema: Json, operations: Json, checks: Json) -> Case {
    let file = json!({
        "format": "milvus-difftest/case", "version": 1,
        "schema": schema, "operations": operations, "checks": checks,
    });
    Case::from_json(&file.to_string()).unwrap().0
}

fn finding(case: Case, divergence: Divergence, sql: Option<&str>) -> Finding {
    Finding {
        shape: crate::triage::shape(&case, &divergence),
        seen_as: String::new(),
        oracle: crate::oracle::Oracle::Reference,
        case,
        divergence,
        sql: sql.map(str::to_owned),
        engine: "milvus_lite-3.2.2".to_owned(),
        backend: "DuckDB v2.0.0".to_owned(),
        count: 12,
        minimal: true,
        evaluations: 87,
        seconds_to_first: 0.5,
        seed: Some(42),
        number: Some(7),
    }
}

/// A divergence of an answer that has the rows of `answer`.
fn differs(case: &Case, class: Class, expected: &[i64], answer: Vec<Row>) -> Divergence {
    let rows = case.rows();
    let keys: Vec<Key> = expected.iter().copied().map(Key::Int).collect();
    let wanted: BTreeMap<Key, &Row> = keys.iter().map(|key| (key.clone(), &rows[key])).collect();
    let diff = Diff::rows(&case.schema, &wanted, &answer);
    let answered = answer.iter().filter_map(|row| row.key(&case.schema)).collect();
    Divergence {
        class,
        expected: Expected::Rows(keys),
        actual: Actual::Differs { keys: answered, diff },
        judges: Judges::Both,
    }
}

fn missing_rows() -> Finding {
    let case = case(
        json!({"fields": [
            {"name": "id", "type": "INT64", "primary": true},
            {"name": "float_0", "type": "FLOAT"},
            {"name": "vector", "type": "FLOAT_VECTOR(2)"},
        ]}),
        json!([{"insert": [{"id": 1, "float_0": 0.1, "vector": [0.0, 0.0]}]}]),
        json!([{"query": "float_0 == 0.1"}]),
    );
    let divergence = differs(&case, Class::MissingRows, &[1], Vec::new());
    let sql = "SELECT \"id\" FROM \"c\" WHERE \"float_0\" = CAST(0.1 AS FLOAT)";
    finding(case, divergence, Some(sql))
}

fn extra_rows() -> Finding {
    let case = case(
        json!({"fields": [
            {"name": "id", "type": "INT64", "primary": true},
            {"name": "int_0", "type": "INT32", "nullable": true},
            {"name": "text_0", "type": "VARCHAR"},
            {"name": "vector", "type": "FLOAT_VECTOR(2)"},
        ]}),
        json!([{"insert": [
            {"id": 1, "int_0": null, "text_0": "a|b", "vector": [0.0, 0.0]},
            {"id": 2, "int_0": 3, "text_0": "`", "vector": [0.0, 1.0]},
        ]}]),
        json!([{"query": "(int_0 not in [1, 2]) and (not (text_0 > \"z\"))"}]),
    );
    let answer = case.rows().into_values().collect();
    let divergence = differs(&case, Class::ExtraRows, &[2], answer);
    finding(case, divergence, None)
}

fn wrongly_rejected() -> Finding {
    let case = case(
        json!({"fields": [
            {"name": "id", "type": "INT64", "primary": true},
            {"name": "double_0", "type": "DOUBLE"},
            {"name": "vector", "type": "FLOAT_VECTOR(2)"},
        ]}),
        json!([{"insert": [{"id": 1, "double_0": 0.0, "vector": [0.0, 0.0]}]}]),
        json!([{"query": "double_0 < 9007199254740994"}]),
    );
    let error = "milvus rejected query: Integer value 9007199254740994 is outside of the range \
                 exactly representable by a IEEE 754 double precision value (code 1)";
    let divergence = Divergence {
        class: Class::WronglyRejected,
        expected: Expected::Rows(vec![Key::Int(1)]),
        actual: Actual::Error(error.to_owned()),
        judges: Judges::Both,
    };
    finding(case, divergence, None)
}

fn wrong_value() -> Finding {
    let case = case(
        json!({"dynamic": true, "fields": [
            {"name": "id", "type": "INT64", "primary": true},
            {"name": "float_0", "type": "FLOAT", "nullable": true},
            {"name": "json_0", "type": "JSON"},
            {"name": "texts_0", "type": "ARRAY<VARCHAR>"},
            {"name": "vector", "type": "FLOAT_VECTOR(2)"},
        ]}),
        json!([
            {"insert": [
                {"id": 1, "json_0": {}, "texts_0": [], "vector": [0.0, 0.0]},
                {"id": 2, "json_0": {}, "texts_0": [], "vector": [0.0, 0.0]},
            ]},
            "flush",
            {"upsert": [{
                "id": 1,
                "float_0": 0.1,
                "json_0": {"k": null, "b": true, "n": [1, 2.5, 18446744073709551615_u64]},
                "texts_0": ["\"#", "it's \"\\\" \n", "日本 \u{200b}\u{1f600}"],
                "vector": [0.1, -0.0],
                "$meta": {"x": null, "y": {"z": false}},
            }]},
            {"delete": [2]},
        ]),
        json!([{"query": "id > 0"}]),
    );
    let mut stale = case.rows().into_values().next().unwrap();
    stale.fields.insert("float_0".to_owned(), Value::Null);
    let divergence = differs(&case, Class::WrongValue, &[1], vec![stale]);
    finding(case, divergence, None)
}

fn torn() -> Finding {
    let rows =
        |ids: &[i64]| -> Json { ids.iter().map(|id| json!({"id": id, "v": [0.5, 1.0]})).collect() };
    let case = case(
        json!({"fields": [
            {"name": "id", "type": "INT64", "primary": true},
            {"name": "v", "type": "FLOAT_VECTOR(2)"},
        ]}),
        json!([
            {"insert": rows(&[1, 2])},
            {"maintain": {"kill_in_write": {"micros": 2000}}},
            {"upsert": rows(&[2, 3])},
        ]),
        json!(["entities"]),
    );
    let way = |what: &str, keys: &[i64]| Way {
        what: what.to_owned(),
        filter: None,
        answer: Answer::Rows(keys.iter().copied().map(Key::Int).collect()),
    };
    let divergence = Divergence {
        class: Class::SelfInconsistent,
        expected: Expected::Accepted,
        actual: Actual::Ways(vec![
            way("before the write", &[2]),
            way("after it, if it is carried out", &[2, 3]),
            way("when the engine was killed while it wrote", &[3]),
        ]),
        judges: Judges::Target,
    };
    finding(case, divergence, None)
}

fn every_type() -> Finding {
    let case = case(
        json!({"fields": [
            {"name": "id", "type": "INT64", "primary": true, "auto_id": true},
            {"name": "text_0", "type": "VARCHAR", "partition_key": true, "max_length": 8},
            {"name": "int8_0", "type": "INT8", "default": 7},
            {"name": "moment_0", "type": "TIMESTAMPTZ", "nullable": true,
                "default": "2024-02-29T00:00:00Z"},
            {"name": "place_0", "type": "GEOMETRY"},
            {"name": "structs_0", "type": "ARRAY<STRUCT>", "max_capacity": 3, "members": [
                {"name": "x", "type": "FLOAT"}, {"name": "s", "type": "VARCHAR"},
            ]},
            {"name": "bits", "type": "BINARY_VECTOR(16)"},
            {"name": "half", "type": "FLOAT16_VECTOR(2)"},
            {"name": "brain", "type": "BFLOAT16_VECTOR(2)"},
            {"name": "bytes", "type": "INT8_VECTOR(2)"},
            {"name": "sparse", "type": "SPARSE_FLOAT_VECTOR"},
        ]}),
        json!([
            {"insert": [
                {"id": 1, "text_0": "a", "place_0": "POINT (0.5 -1)", "structs_0": [],
                    "moment_0": null, "bits": [255, 1], "half": [0.1, 6e-8], "brain": [0.1, -0.0],
                    "bytes": [-128, 127], "sparse": {"4294967294": 0.1, "0": 2.0}},
                {"id": 2, "text_0": "b", "place_0": "POLYGON ((0 0, 1 0, 1 1, 0 0))",
                    "structs_0": [{"x": 0.1, "s": "a"}], "int8_0": 1,
                    "moment_0": "1969-12-31T23:59:59.999999Z", "bits": [0, 0], "half": [0, 0],
                    "brain": [0, 0], "bytes": [0, 0], "sparse": {"0": 1.0}},
            ]},
            {"delete": [2]},
        ]),
        json!(["entities"]),
    );
    let mut wrong = case.rows().into_values().next().unwrap();
    wrong.fields.insert("int8_0".to_owned(), Value::Int(0));
    let divergence = differs(&case, Class::WrongValue, &[1], vec![wrong]);
    finding(case, divergence, None)
}

/// Through an alias, after most of what can happen to partitions and aliases.
fn in_a_partition() -> Finding {
    let case = case(
        json!({"fields": [
            {"name": "id", "type": "INT64", "primary": true},
            {"name": "vector", "type": "FLOAT_VECTOR(2)", "metric": "IP"},
        ]}),
        json!([
            {"create_partition": "red"},
            {"create_partition": "blue"},
            {"into": {"partition": "red", "write": {"insert": [{"id": 1, "vector": [0.0, 0.0]}]}}},
            {"into": {"partition": "red", "write": {"upsert": [{"id": 2, "vector": [0.0, 1.0]}]}}},
            {"drop_partition": "blue"},
            {"create_alias": "latest"},
            {"alter_alias": {"alias": "latest", "elsewhere": true}},
            {"ask": {"in": {"alias": "latest", "check": "count_all"}}},
            {"alter_alias": {"alias": "latest", "elsewhere": false}},
            {"maintain": {"rebuild": {"field": "vector", "kind": "IVF_FLAT"}}},
        ]),
        json!([{"in": {"partitions": ["red"], "alias": "latest", "check": {"query": "id > 0"}}}]),
    );
    let divergence = differs(&case, Class::MissingRows, &[1, 2], Vec::new());
    finding(case, divergence, None)
}

/// Before and after the collection is created again, with another one for an alias.
fn with_added_fields() -> Finding {
    let case = case(
        json!({"fields": [
            {"name": "id", "type": "INT64", "primary": true},
            {"name": "five", "type": "INT8", "nullable": true, "default": 5},
            {"name": "tags", "type": "ARRAY<VARCHAR>", "nullable": true},
            {"name": "vector", "type": "FLOAT_VECTOR(1)"},
        ]}),
        json!([
            {"add_field": "five"},
            "recreate",
            {"insert": [{"id": 1, "five": 6, "vector": [0.0]}, {"id": 2, "vector": [0.0]}]},
            {"create_alias": "latest"},
            {"alter_alias": {"alias": "latest", "elsewhere": true}},
            {"maintain": {"kill_in_write": {"micros": 300}}},
            {"add_field": "tags"},
        ]),
        json!([{"query": "tags is null"}]),
    );
    let divergence = differs(&case, Class::MissingRows, &[1, 2], Vec::new());
    Finding { engine: "v2.6.16".to_owned(), ..finding(case, divergence, None) }
}

fn by_groups() -> Finding {
    let case = case(
        json!({"fields": [
            {"name": "id", "type": "INT64", "primary": true},
            {"name": "n", "type": "INT8"},
            {"name": "vector", "type": "FLOAT_VECTOR(1)"},
        ]}),
        json!([
            {"create_partition": "red"},
            {"into": {"partition": "red", "write": {"insert": [
                {"id": 1, "n": 5, "vector": [1.0]}, {"id": 2, "n": 5, "vector": [2.0]},
            ]}}},
        ]),
        json!([{"in": {"partitions": ["red"], "check": {"search": {"search": {
            "field": "vector", "near": [0.0], "limit": 3, "group_by": "n",
        }}}}}]),
    );
    let divergence = Divergence {
        class: Class::MissingRows,
        expected: Expected::Rows(vec![Key::Int(1)]),
        actual: Actual::Rows(vec![Key::Int(2)]),
        judges: Judges::Both,
    };
    let finding = finding(case, divergence, None);
    Finding { oracle: crate::oracle::Oracle::Search, ..finding }
}

#[test]
fn every_file_is_as_a_maintainer_reads_it() {
    let findings = [
        missing_rows(),
        extra_rows(),
        wrongly_rejected(),
        wrong_value(),
        every_type(),
        torn(),
        in_a_partition(),
        with_added_fields(),
        by_groups(),
    ];
    let folder = tempfile::tempdir().unwrap();
    for finding in findings {
        let written = write(folder.path(), &finding).unwrap();
        let mut text = String::new();
        for file in ["README.md", "repro.py", "repro.rs", "case.json"] {
            let content = fs::read_to_string(written.join(file)).unwrap();
            text.push_str(&format!("==> {file} <==\n{content}\n"));
        }
        let name = written.file_name().unwrap().to_str().unwrap();
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("../../../snapshots");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(format!("finding_{name}"), text));
    }
}

#[test]
fn the_rust_reproduction_compiles() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/sample_repro.rs");
    let sample = rust::test(&wrong_value());
    if std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
        fs::write(&path, &sample).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap();
    assert!(kept == sample, "run with INSTA_UPDATE=always to bring {} up to date", path.display());
}

/// Those of `corpora` are read by people, and would fall behind the library unnoticed.
#[test]
fn the_rust_reproductions_that_are_kept_are_of_today() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora");
    let renewed = std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always");
    let files = Case::files(&corpora).unwrap();
    assert!(files.len() > 50, "{}", files.len());
    for file in files {
        let (case, found) = Case::load(&file).unwrap();
        let finding = Finding { case, engine: found.unwrap().engine, ..missing_rows() };
        let path = file.with_file_name("repro.rs");
        let kept = fs::read_to_string(&path).unwrap();
        // The title above it is of what was answered, which is not in the case.
        let test = |text: &str| text[text.find("\nuse ").unwrap()..].to_owned();
        let (today, before) = (test(&rust::test(&finding)), test(&kept));
        if renewed && before != today {
            fs::write(&path, kept.replace(&before, &today)).unwrap();
            continue;
        }
        let path = path.display();
        assert!(before == today, "run with INSTA_UPDATE=always to bring {path} up to date");
    }
}

#[test]
fn another_engine_is_named_wherever_it_must_be_started() {
    for (engine, packages, name) in [
        ("v2.3.5-lite", "pip install pymilvus milvus==2.3.5\nmilvus-server &", "milvus-2.3.5"),
        (
            "milvus_lite-2.5.1",
            "pip install pymilvus milvus-lite==2.5.1 'setuptools<81'\n",
            "milvus-lite-2.5.1",
        ),
    ] {
        let finding = Finding { engine: engine.to_owned(), ..missing_rows() };
        let readme = readme::readme(&finding);
        assert!(readme.contains(packages), "{readme}");
        assert!(readme.contains(&format!("replay case.json --engine {name}\n")), "{readme}");
        let test = rust::test(&finding);
        let options =
            format!("EmbeddedOptions {{ kind: \"{name}\".parse()?, ..Default::default() }}");
        assert!(test.contains(&options), "{test}");
    }
}

#[test]
fn a_finding_seen_again_replaces_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut finding = missing_rows();
    let first = write(&folder.path().join("new"), &finding).unwrap();
    finding.count = 13;
    assert_eq!(write(&folder.path().join("new"), &finding).unwrap(), first);
    assert!(fs::read_to_string(first.join("README.md")).unwrap().contains("13 times"));
    assert_eq!(fs::read_dir(&first).unwrap().count(), 4);
    let (case, found) = Case::load(&first.join("case.json")).unwrap();
    assert_eq!((case, found.unwrap().seed), (finding.case, Some(42)));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = write(file.path(), &missing_rows()).unwrap_err().to_string();
    assert!(error.contains("missing-rows-float-cmp-number-"), "{error}");
}

#[test]
fn a_step_that_goes_wrong_is_named_and_done_by_the_script() {
    let mut finding = missing_rows();
    let (class, judges) = (Class::WronglyRejected, Judges::ModelAlone);
    let (expected, actual) = (Expected::CarriedOut, Actual::Error("no index file".to_owned()));
    finding.divergence = Divergence { class, expected, actual, judges };
    let filter = parse("float_0 == 0.1").unwrap().into();
    let relation = Relation::After(Maintenance::Reload);
    finding.case.checks = vec![Check::Agree { relation, filter }];
    let mut history = finding.clone();
    history.case.operations.push(Operation::Maintain(Maintenance::Reload));
    history.case.checks = vec![Check::Entities];
    for finding in [finding, history] {
        assert_eq!(title(&finding), "WronglyRejected: to release and load is refused");
        let readme = readme::readme(&finding);
        assert!(readme.contains("it is done, and the collection is loaded"), "{readme}");
        let script = python::script(&finding);
        let lines = script.lines().map(str::trim_start);
        let loads = lines.filter(|line| line.starts_with("client.load_collection(")).count();
        assert_eq!(loads, 1, "{script}");
        assert!(!script.contains("client.query("), "{script}");
        python("import ast, json, sys\nast.parse(json.load(sys.stdin))", &json!(script));
    }
}

#[test]
fn every_class_has_a_title_and_a_script() {
    let classes = [
        Class::MissingRows,
        Class::ExtraRows,
        Class::WrongValue,
        Class::WrongCount,
        Class::WronglyRejected,
        Class::WronglyAccepted,
        Class::Crash,
        Class::Hang,
        Class::SelfInconsistent,
        Class::ReferenceConflict,
    ];
    let error = || Actual::Error("no".to_owned());
    let mut scripts = Vec::new();
    for class in classes {
        for (expected, actual) in [
            (Expected::Rows(vec![Key::Int(1)]), error()),
            (Expected::Count(1), Actual::Count(2)),
            (Expected::Accepted, error()),
            (Expected::CarriedOut, error()),
            (Expected::Refused, Actual::Rows(vec![Key::Int(1)])),
        ] {
            let mut finding = missing_rows();
            let checks = match expected {
                Expected::Rows(_) => vec![Check::Query(parse("float_0 == 0.1").unwrap().into())],
                Expected::Count(_) => {
                    let filter: Filter = parse("float_0 == 0.1").unwrap().into();
                    match class {
                        Class::WrongCount => vec![Check::Page { filter, limit: 1, offset: 0 }],
                        _ => vec![Check::Count(filter)],
                    }
                }
                Expected::Refused => vec![Check::Refused(parse("float_0 == true").unwrap().into())],
                Expected::Accepted | Expected::CarriedOut | Expected::Agreement => Vec::new(),
            };
            finding.case.checks = checks;
            finding.divergence = Divergence { class, expected, actual, judges: Judges::ModelAlone };
            assert!(title(&finding).starts_with(&format!("{class}: ")), "{}", title(&finding));
            assert!(readme::readme(&finding).starts_with("# "));
            scripts.push(python::script(&finding));
        }
    }
    let more = [missing_rows(), extra_rows(), wrong_value(), every_type(), with_added_fields()];
    scripts.extend(more.iter().map(python::script));
    for script in &scripts {
        assert!(!script.contains('@'), "{script}");
    }
    // Without Python there is nothing to check the syntax with.
    let program = "import ast, json, sys\nfor text in json.load(sys.stdin): ast.parse(text)";
    python(program, &json!(scripts));
}

#[test]
fn values_survive_into_python() {
    let texts = ["", "a'b", "\"", "'\"", "\\n\n\r\t\0\u{7f}", "é日本", "\u{200b}\u{2028}\u{1f600}"];
    let value = json!({
        "texts": texts, "null": null, "bools": [true, false], "'\"\\": {},
        "numbers": [0, -1, i64::MIN, u64::MAX, 0.1, 1e300, 5e-324, -2.5, 1.0],
    });
    let program = "import ast, json, sys\n\
                   print(json.dumps(ast.literal_eval(json.load(sys.stdin)), ensure_ascii=False))";
    if let Some(output) = python(program, &json!(literal::json(&value))) {
        assert_eq!(serde_json::from_str::<Json>(&output).unwrap(), value);
    }
    let floats = [0.1_f32, 1.0, f32::MIN_POSITIVE, f32::MAX, 1e-45, 16_777_217.0, -0.0];
    for x in floats {
        let read: f64 = literal::value(&Value::Float(x)).parse().unwrap();
        assert_eq!((read as f32).to_bits(), x.to_bits());
    }
}

/// What a Python program prints for some input; `None` without a Python.
fn python(program: &str, input: &Json) -> Option<String> {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, input.to_string().as_bytes()).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let mut command = Command::new("python3");
    let output = command.args(["-c", program]).env("PYTHONIOENCODING", "utf-8").stdin(file);
    let output = output.output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}
