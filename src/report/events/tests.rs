use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use half::{bf16, f16};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::apply::{Carried, Steps};
use crate::campaign::{Expectation, Kind, Replayed, Standing};
use crate::case::Case;
use crate::compare::{Change, Diff};
use crate::filter::grammar::everything;
use crate::finding::Finding;
use crate::oracle::Oracle;
use crate::value::{Key, Value};
use crate::verdict::{Actual, Class, Divergence, Doubt, Expected, Judges};

fn case() -> Case {
    let file = json!({
        "format": "milvus-difftest/case", "version": 1,
        "schema": {"fields": [
            {"name": "id", "type": "VARCHAR", "primary": true},
            {"name": "float_0", "type": "FLOAT", "nullable": true},
        ], "dynamic": true},
        "operations": [
            {"insert": [{"id": "a\n", "float_0": 0.1, "$meta": {"k": {"1": [1e300, null]}}}, {"id": "b"}]},
            {"upsert": [{"id": "b", "float_0": 16777216.0}]},
            "flush",
            {"delete": ["a\n"]},
        ],
        "checks": [{"page": {"filter": "float_0 < 0.1 && id != \"é\"", "limit": 3, "offset": 1}}],
    });
    Case::from_json(&file.to_string()).unwrap().0
}

/// A value of every type, and those that JSON has no word for.
fn values() -> Vec<Value> {
    let structs = BTreeMap::from([("m".to_owned(), Value::Int(-1)), ("n".to_owned(), Value::Null)]);
    vec![
        Value::Null,
        Value::Bool(true),
        Value::Int(i64::MIN),
        Value::Float(0.1),
        Value::Float(-0.0),
        Value::Float(f32::MAX),
        Value::Float(f32::NAN),
        Value::Float(f32::NEG_INFINITY),
        Value::Double(f64::MIN_POSITIVE / 4.0),
        Value::Double(f64::INFINITY),
        Value::Text("\u{0}\"\u{2028}".to_owned()),
        Value::Json(serde_json::Value::Null),
        Value::Json(json!({"a": [1, 1.0, -0.0, u64::MAX, {"null": null}]})),
        Value::Array(vec![Value::Int(1), Value::Null, Value::Text("x".to_owned())]),
        Value::Timestamp(-1),
        Value::Geometry("POINT (0 0)".to_owned()),
        Value::Structs(vec![structs, BTreeMap::new()]),
        Value::Vector(vec![0.1, f32::NAN]),
        Value::BinaryVector(vec![0, 255]),
        Value::Float16Vector(vec![f16::MAX, f16::from_f32(0.1), f16::INFINITY]),
        Value::BFloat16Vector(vec![bf16::MAX, bf16::from_f32(0.1)]),
        Value::Int8Vector(vec![-128, 127]),
        Value::SparseVector(BTreeMap::from([(0, 0.5), (u32::MAX, 1.0)])),
    ]
}

fn steps() -> Steps {
    let unproven = BTreeMap::from([("no such call".to_owned(), 2)]);
    Steps::from([("flush".to_owned(), Carried { done: 3, unproven })])
}

fn finding(expected: Expected, actual: Actual, judges: Judges) -> Event {
    Event::Found(Box::new(Finding {
        shape: "ExtraRows <FLOAT".to_owned(),
        oracle: Oracle::Paging,
        seen_as: "ExtraRows and".to_owned(),
        case: case(),
        divergence: Divergence { class: Class::ExtraRows, expected, actual, judges },
        sql: Some("\"float_0\" < 0.1".to_owned()),
        engine: "v2.6.0".to_owned(),
        backend: String::new(),
        count: 3,
        minimal: false,
        evaluations: 17,
        seconds_to_first: 0.1,
        seed: Some(u64::MAX),
        number: Some(12),
    }))
}

/// Every event, and everything that can be in one.
fn events() -> Vec<Event> {
    let cells = everything(true);
    let mut events = vec![
        Event::Started {
            seed: u64::MAX,
            engine: "v2.6.0".to_owned(),
            backend: "DuckDB v2.0.0".to_owned(),
            dialect: "milvus-2.6".to_owned(),
            cells: cells.clone(),
            jobs: 2,
        },
        Event::Resumed { elapsed: Duration::from_millis(1), jobs: 1 },
        Event::Steered { case: 0, dropped: 1, kept: 2 },
        Event::Recognised {
            case: 3,
            oracle: Oracle::Reference,
            titles: vec!["one".to_owned(), "another".to_owned()],
            seen_as: "shape".to_owned(),
        },
        Event::Fixed { title: "a title".to_owned() },
        Event::CaseDone {
            number: 5,
            digest: u64::MAX - 1,
            parents: vec![3, 4],
            cells: cells.iter().copied().zip(1..).collect(),
            refused: cells.into_iter().take(1).zip(1..).collect(),
            reached: ["add on INT8? | INVERTED | sealed | some".to_owned()].into(),
            steps: steps(),
        },
        Event::CaseDone {
            number: 6,
            digest: 0,
            parents: Vec::new(),
            cells: BTreeMap::new(),
            refused: BTreeMap::new(),
            reached: BTreeSet::new(),
            steps: BTreeMap::new(),
        },
        Event::Repeated { case: 1, shape: "a".to_owned(), seen_as: "b".to_owned() },
        Event::Unexplored { case: 9 },
        Event::Unstable { case: 9, what: "a\nb".to_owned() },
        Event::Restarted { case: 9, reason: "it died".to_owned() },
        Event::Finished {
            elapsed: Duration::from_nanos(61_123_456_789),
            interrupted: true,
            error: Some("gone".to_owned()),
        },
        Event::Finished { elapsed: Duration::ZERO, interrupted: false, error: None },
    ];
    let doubts = [
        None,
        Some(Doubt::Undefined("open".to_owned())),
        Some(Doubt::Unrepeatable("not again".to_owned())),
    ];
    let kinds = [Kind::Pass, Kind::Divergence, Kind::Known, Kind::Inconclusive, Kind::Unsupported];
    for (kind, doubt) in kinds.into_iter().zip(doubts.into_iter().cycle()) {
        for (selective, class) in [(None, None), (Some(true), Some(Class::Hang))] {
            events.push(Event::Checked {
                case: 1 << 40,
                oracle: Oracle::Reference,
                kind,
                doubt: doubt.clone(),
                selective,
                class,
                model_alone: selective.is_some(),
                known: selective.map(|_| "title".to_owned()).into_iter().collect(),
            });
        }
    }
    let keys = vec![Key::Int(i64::MIN), Key::Text("5".to_owned())];
    let change = |value: Value| Change {
        key: Key::Text(String::new()),
        field: "$meta".to_owned(),
        expected: value,
        actual: Value::Null,
    };
    let diff = Diff {
        missing: keys.clone(),
        extra: Vec::new(),
        changed: values().into_iter().map(change).collect(),
        keyless: 1,
    };
    let differs = Actual::Differs { keys: keys.clone(), diff };
    events.push(Event::Gate { cases: 3, alone: true, deny_fixed: false });
    let wrong = Divergence {
        class: Class::ExtraRows,
        expected: Expected::Rows(keys.clone()),
        actual: differs.clone(),
        judges: Judges::Both,
    };
    let whole = Replayed {
        name: "corpora/a".to_owned(),
        file: Some("corpora/a/case.json".into()),
        title: Some("A".to_owned()),
        expected: Expectation::Known(vec!["a".to_owned(), "b".to_owned()]),
        standing: Standing::Changed,
        asked: Some("id == \"\"".to_owned()),
        divergence: Some(Box::new(wrong)),
        known: vec!["c".to_owned()],
        reason: None,
        restarts: vec!["it died\nits log".to_owned()],
        elapsed: Duration::from_millis(1500),
    };
    let bare = Replayed {
        file: None,
        title: None,
        expected: Expectation::Fails(Class::Crash),
        standing: Standing::Inconclusive,
        asked: None,
        divergence: None,
        known: Vec::new(),
        reason: Some("overflow".to_owned()),
        restarts: Vec::new(),
        ..whole.clone()
    };
    let right =
        Replayed { expected: Expectation::Right, standing: Standing::AsExpected, ..bare.clone() };
    events.extend([whole, bare, right].map(|replayed| Event::Replayed(Box::new(replayed))));
    events.extend([
        finding(Expected::Rows(keys.clone()), differs, Judges::Both),
        finding(Expected::Count(3), Actual::Count(u64::MAX), Judges::ModelAlone),
        finding(Expected::Refused, Actual::Rows(keys), Judges::Both),
        finding(Expected::Accepted, Actual::Error("no\nway".to_owned()), Judges::Both),
    ]);
    events
}

fn written(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("events.jsonl");
    let log = LockedLog::open(&path).unwrap().begin(&json!({"seed": 1}), None).unwrap();
    for event in events() {
        let found = matches!(event, Event::Found(_)).then_some(Path::new("runs/1/extra-rows"));
        log.write("milvus-2.6", &event, found).unwrap();
    }
    path
}

#[test]
fn every_event_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let Events { run, records, torn } = read(&written(&folder)).unwrap();
    assert!(!torn);
    assert_eq!(run, json!({"seed": 1}));
    assert_eq!(records.len(), events().len());
    assert!(records.iter().map(|record| record.seconds).is_sorted());
    for (record, event) in records.iter().zip(events()) {
        assert_eq!(format!("{:?}", record.event), format!("{event:?}"));
        assert_eq!(record.target, "milvus-2.6");
        let found = matches!(event, Event::Found(_));
        assert_eq!(record.folder.is_some(), found);
    }
}

#[test]
fn the_names_of_events_are_those_that_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(written(&folder)).unwrap();
    let lines = text.lines().skip(1).map(|line| serde_json::from_str::<Json>(line).unwrap());
    let names: BTreeSet<String> =
        lines.map(|line| line["event"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, Event::NAMES.map(str::to_owned).into());
}

#[test]
fn a_torn_last_line_is_left_out_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(&folder);
    let bytes = fs::read(&path).unwrap();
    let header = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for end in (header..=bytes.len()).step_by(97).chain([bytes.len() - 1]) {
        fs::write(&path, &bytes[..end]).unwrap();
        let whole = bytes[header..end].iter().filter(|byte| **byte == b'\n').count();
        let read = read(&path).unwrap();
        assert_eq!(read.records.len(), whole, "{end}");
        assert_eq!(read.torn, bytes[end - 1] != b'\n', "{end}");
    }
}

#[test]
fn what_is_new_is_ignored_and_what_is_broken_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let message = |text: &str| {
        fs::write(&path, text).unwrap();
        read(&path).unwrap_err().to_string()
    };
    let header = r#"{"format": "milvus-difftest/events", "version": 1, "new": 1}"#;
    let good = r#"{"seconds": 1, "target": "a", "event": "fixed", "known": "b", "new": 1}"#;
    let new = r#"{"seconds": 1, "target": "a", "event": "invented"}"#;
    fs::write(&path, format!("{header}\n{new}\n{good}\n")).unwrap();
    assert_eq!(read(&path).unwrap().records.len(), 1);

    for text in ["", "{}\n", "no\n", header, r#"{"format": "x", "version": 1}"#] {
        assert!(message(text).contains("is no file of events"), "{text}");
    }
    let newer = message("{\"format\": \"milvus-difftest/events\", \"version\": 2}\n");
    assert!(newer.contains("format version 2") && newer.contains("update"), "{newer}");
    for (line, reason) in [
        ("{", "EOF"),
        ("[]", "expected a map"),
        ("{}", "it has no event"),
        (r#"{"target": "a", "event": "fixed", "known": "b"}"#, "it has no seconds"),
        (r#"{"seconds": 1, "event": "fixed", "known": "b"}"#, "it has no target"),
        (r#"{"seconds": 1, "target": "a", "event": "fixed"}"#, "missing field `known`"),
    ] {
        let message = message(&format!("{header}\n{good}\n{line}\n{good}\n"));
        assert!(message.contains("line 3 of") && message.contains(reason), "{message}");
    }
    let cells = r#"{"seconds": 1, "target": "a", "event": "case_done", "case": 1, "digest": "0",
        "cells": {"flying": 1}}"#;
    let message = message(&format!("{header}\n{}\n", cells.replace('\n', "")));
    assert!(message.contains("flying"), "{message}");
    let missing = read(&folder.path().join("missing")).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read"), "{missing}");
}
