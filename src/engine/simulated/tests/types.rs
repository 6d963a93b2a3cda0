//! Every type of the schema on its way in and out, and the faults that only some of them show.

use std::collections::BTreeMap;

use super::*;
use crate::compare::Diff;
use crate::milvus::{ConnectOptions, Consistency, Milvus, QueryOptions};
use crate::value::Key;

fn everything() -> Schema {
    let schema = json!({"fields": [
        {"name": "id", "type": "INT64", "primary": true},
        {"name": "n", "type": "INT8", "default": 7},
        {"name": "s", "type": "VARCHAR", "nullable": true, "default": "x", "max_length": 8},
        {"name": "p", "type": "INT64", "partition_key": true},
        {"name": "t", "type": "TIMESTAMPTZ", "nullable": true, "default": "2024-02-29T00:00:00Z"},
        {"name": "g", "type": "GEOMETRY", "nullable": true},
        {"name": "st", "type": "ARRAY<STRUCT>", "max_capacity": 3, "members": [
            {"name": "i", "type": "INT32"},
            {"name": "s", "type": "VARCHAR", "max_length": 3},
        ]},
        {"name": "v", "type": "FLOAT_VECTOR(2)"},
        {"name": "vb", "type": "BINARY_VECTOR(16)"},
        {"name": "v16", "type": "FLOAT16_VECTOR(3)"},
        {"name": "vbf", "type": "BFLOAT16_VECTOR(2)"},
        {"name": "v8", "type": "INT8_VECTOR(2)"},
        {"name": "vs", "type": "SPARSE_FLOAT_VECTOR"},
    ]});
    serde_json::from_value(schema).unwrap()
}

fn with_assigned_keys() -> Schema {
    let mut schema = everything();
    schema.fields[0].auto_id = true;
    // Those who leave out the same fields travel together.
    schema.fields.retain(|field| field.default.is_none());
    schema
}

fn rows(schema: &Schema) -> Vec<Row> {
    let rows = [
        json!({
            "id": 1, "p": 1, "g": "POINT (0.5 -1.25)", "t": "0001-01-01T00:00:00.000001Z",
            "st": [{"i": 1, "s": "a"}, {"i": -2, "s": ""}],
            "v": [0.1, -0.0], "vb": [255, 1], "v16": [0.1, 6e-8, 65504.0], "vbf": [0.1, 1e-40],
            "v8": [-128, 127], "vs": {"0": 0.5, "4294967294": 0.1},
        }),
        json!({
            "id": 2, "p": 2, "n": -128, "s": null, "g": null, "t": null, "st": [],
            "v": [0.0, 1.0], "vb": [0, 0], "v16": [0.0, 0.0, 0.0], "vbf": [0.0, 0.0],
            "v8": [0, 0], "vs": {"7": 1.0},
        }),
        json!({
            "id": 3, "p": 3, "s": "日本", "g": "POLYGON ((0 0, 1 0, 1 1, 0 0))",
            "st": [{"i": 0, "s": "日"}], "v": [0.0, 1.0], "vb": [0, 128],
            "v16": [1.0, 2.0, 3.0], "vbf": [1.0, 2.0], "v8": [1, 2], "vs": {"0": 1e30},
        }),
    ];
    let parse = |row| {
        let mut row = Row::from_json(&everything(), row).unwrap();
        row.fields.retain(|name, _| schema.field(name).is_some());
        row
    };
    rows.iter().map(parse).collect()
}

/// The keys that an insert gave, and what differs from the expected rows in an answer with all of
/// them.
async fn round_trip(schema: &Schema, faults: &[Fault]) -> (Vec<Key>, Diff) {
    schema.validate().unwrap();
    let options = SimulatedOptions { faults: faults.to_vec(), ..Default::default() };
    let engine = SimulatedMilvus::start(options).unwrap();
    let deadline = Duration::from_secs(5);
    let options = ConnectOptions { uri: engine.uri(), token: None, deadline };
    let milvus = Milvus::connect(&options).await.unwrap();
    milvus.create(COLLECTION, schema).await.unwrap();
    let rows = rows(schema);
    let keys = milvus.insert(COLLECTION, schema, &rows).await.unwrap();
    let options =
        QueryOptions { consistency: Consistency::Strong, deadline, page: None, partitions: &[] };
    let answer = milvus.query(COLLECTION, schema, "", options).await.unwrap();
    let mut expected: Vec<Row> = rows.iter().map(|row| row.stored(schema)).collect();
    for (row, key) in expected.iter_mut().zip(&keys) {
        row.fields.insert("id".to_owned(), key.clone().into());
    }
    let expected: BTreeMap<_, _> = keys.iter().cloned().zip(&expected).collect();
    let diff = Diff::rows(schema, &expected, &answer);
    (keys, diff)
}

#[tokio::test]
async fn every_type_comes_back_to_the_bit() {
    let (keys, diff) = round_trip(&everything(), &[]).await;
    assert_eq!(keys, [1, 2, 3].map(Key::Int));
    assert!(diff.is_empty(), "{diff}");
}

#[tokio::test]
async fn assigned_keys_are_told_by_position() {
    let (keys, diff) = round_trip(&with_assigned_keys(), &[]).await;
    assert!(keys.iter().all(|key| *key > Key::Int(1000)), "{keys:?}");
    assert!(diff.is_empty(), "{diff}");
    let (_, diff) = round_trip(&with_assigned_keys(), &[Fault::AssignedKeysReversed]).await;
    assert!(!diff.is_empty());
}

#[tokio::test]
async fn faults_of_types_show_in_their_fields() {
    for (fault, fields) in [
        (Fault::VectorComponentOff, &["v", "v16", "v8", "vb", "vbf"][..]),
        (Fault::SparseEntryLost, &["vs"]),
        (Fault::HalfSubnormalLost, &["v16"]),
        (Fault::TimestampInMilliseconds, &["t"]),
        (Fault::GeometryWithoutFractions, &["g"]),
        (Fault::StructsReversed, &["st"]),
        (Fault::DefaultNotApplied, &["n", "s", "t"]),
    ] {
        let (_, diff) = round_trip(&everything(), &[fault]).await;
        let mut changed: Vec<_> = diff.changed.iter().map(|change| &change.field).collect();
        changed.sort();
        changed.dedup();
        assert_eq!(changed, fields, "{fault}");
        assert!(diff.missing.is_empty() && diff.extra.is_empty(), "{fault}");
    }
    let (_, diff) = round_trip(&everything(), &[Fault::PartitionKeyRowsLost]).await;
    assert_eq!(diff.missing, [1, 3].map(Key::Int));
}

/// The keys that a filter selects.
async fn selected(faults: &[Fault], filter: &str) -> Vec<Key> {
    let schema = everything();
    let options = SimulatedOptions { faults: faults.to_vec(), ..Default::default() };
    let engine = SimulatedMilvus::start(options).unwrap();
    let deadline = Duration::from_secs(5);
    let options = ConnectOptions { uri: engine.uri(), token: None, deadline };
    let milvus = Milvus::connect(&options).await.unwrap();
    milvus.create(COLLECTION, &schema).await.unwrap();
    milvus.insert(COLLECTION, &schema, &rows(&schema)).await.unwrap();
    let options =
        QueryOptions { consistency: Consistency::Strong, deadline, page: None, partitions: &[] };
    let answer = milvus.query(COLLECTION, &schema, filter, options).await.unwrap();
    answer.iter().filter_map(|row| row.key(&schema)).collect()
}

#[tokio::test]
async fn structs_are_counted() {
    let least = "match_least(st, $[i] > -3, threshold=1)";
    assert_eq!(selected(&[], least).await, [1, 3].map(Key::Int));
    assert_eq!(selected(&[Fault::ThresholdOffByOne], least).await, [1].map(Key::Int));
    let all = "match_all(st, $[i] == 0 and $[s] != '')";
    assert_eq!(selected(&[], all).await, [2, 3].map(Key::Int));
    let turned = Fault::Turned(Switch::MatchAllOfNoneIsFalse);
    assert_eq!(selected(&[turned], all).await, [3].map(Key::Int));
}

/// Whether the only check of a case diverges on an engine with these faults.
async fn diverges(case: &Json, faults: &[Fault]) -> bool {
    let mut case = case.clone();
    case["format"] = "milvus-difftest/case".into();
    case["version"] = 1.into();
    let (case, _) = crate::case::Case::from_json(&case.to_string()).unwrap();
    let options = SimulatedOptions { faults: faults.to_vec(), ..SimulatedOptions::default() };
    let engine = crate::engine::Engine::simulated(options).unwrap();
    let options = crate::campaign::WorkbenchOptions::default();
    let mut bench = crate::campaign::Workbench::new(engine, options).await.unwrap();
    let mut all =
        |_: &crate::case::Check, _: &crate::verdict::Verdict| std::ops::ControlFlow::Continue(());
    let verdicts = bench.judge(&case, &mut all).await.unwrap();
    bench.stop().await;
    match verdicts.as_slice() {
        [crate::verdict::Verdict::Pass { .. }] => false,
        [crate::verdict::Verdict::Divergence(_)] => true,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn some_switches_show_on_rows_of_their_own() {
    let schema = json!({"fields": [
        {"name": "id", "type": "INT64", "primary": true},
        {"name": "s", "type": "VARCHAR", "nullable": true},
        {"name": "g", "type": "GEOMETRY", "nullable": true},
        {"name": "n", "type": "INT8", "default": 5},
        {"name": "p", "type": "INT64", "partition_key": true},
        {"name": "v", "type": "FLOAT_VECTOR(2)"},
    ]});
    let row = |id: i64, n: Option<i64>, p: i64| {
        let mut row = json!({"id": id, "p": p, "v": [0.0, 0.0]});
        if let Some(n) = n {
            row["n"] = n.into();
        }
        row
    };
    let at = |id: i64, place: &str| {
        let mut row = row(id, None, 1);
        row["g"] = place.into();
        row
    };
    for (switch, operations, check) in [
        (
            Switch::UpsertKeepsOmittedDefaults,
            json!([{"insert": [row(1, Some(7), 1)]}, {"upsert": [row(1, None, 1)]}]),
            json!("entities"),
        ),
        (
            Switch::DeadRowsAreComputed,
            json!([{"insert": [row(1, Some(0), 1), row(2, Some(1), 1)]}, {"delete": [1]}]),
            json!({"query": "id / n == 2"}),
        ),
        (
            Switch::DeadRowsAreComputed,
            json!([{"insert": [row(1, Some(0), 1)]}, {"upsert": [row(1, Some(1), 1)]}]),
            json!({"query": "id / n == 2"}),
        ),
        (
            Switch::OrPrunesPartitions,
            json!([{"insert": [row(1, None, 1), row(2, None, 2)]}]),
            json!({"query": "p == 1 or id in [2]"}),
        ),
        (
            Switch::UpsertPartitionsByPrimaryKey,
            json!([{"upsert": [row(1, None, 2)]}]),
            json!({"query": "p == 2"}),
        ),
        (
            Switch::NullTextMatchIsFalse,
            json!([{"insert": [row(1, None, 1)]}]),
            json!({"query": "not (text_match(s, \"a\"))"}),
        ),
        (
            Switch::NullSpatialIsFalse,
            json!([{"insert": [row(1, None, 1)]}]),
            json!({"query": "not (st_isvalid(g))"}),
        ),
        (
            Switch::SpatialBoundaryIsInside,
            json!([{"insert": [at(1, "POINT (1 0)")]}]),
            json!({"query": "st_within(g, \"POLYGON ((0 0, 2 0, 2 2, 0 2, 0 0))\")"}),
        ),
        (
            Switch::SpatialDistanceIsPlanar,
            json!([{"insert": [at(1, "POINT (1 0)")]}]),
            json!({"query": "st_dwithin(g, \"POINT (0 0)\", 2)"}),
        ),
    ] {
        let case = json!({"schema": schema, "operations": operations, "checks": [check]});
        assert!(!diverges(&case, &[]).await, "{switch}");
        assert!(diverges(&case, &[Fault::Turned(switch)]).await, "{switch}");
    }
}
