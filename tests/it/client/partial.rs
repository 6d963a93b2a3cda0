//! Partial upserts: what they change, what they keep, and what is refused.

use std::time::Duration;

use milvus_difftest::backend::{Backend, ClickHouse, DuckDb};
use milvus_difftest::client::{ClientError, DiffClient, EntityOptions, Written};
use milvus_difftest::engine::Engine;
use milvus_difftest::engine::simulated::{Disturbance, Fault, SimulatedMilvus, SimulatedOptions};
use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
use milvus_difftest::value::{Key, META, Row, Value};
use serde_json::{Map, Value as Json, json};

use super::world;

const NAME: &str = "partial";

/// What both the simulated engine and Milvus Lite 3 have.
fn schema() -> Schema {
    let scalar = |name: &str, scalar| Field::new(name, DataType::Scalar(scalar));
    let fields = vec![
        scalar("id", Scalar::Int64).primary(),
        scalar("n", Scalar::Int32).nullable(),
        Field { default: Some(json!(7)), ..scalar("d", Scalar::Int64) },
        scalar("text", Scalar::VarChar),
        Field::new("about", DataType::Json),
        Field::new("tags", DataType::Array(Scalar::Int64)),
        Field::new("vec", DataType::FloatVector { dim: 2 }),
    ];
    Schema { fields, dynamic: true }
}

fn whole(id: i64) -> Row {
    let json = json!({
        "id": id, "n": id * 10, "d": id, "text": format!("t{id}"), "about": {"a": id, "b": [1]},
        "tags": [id, 2], "vec": [id, 0.5], "$meta": {"k": id, "o": {"x": 1}},
    });
    Row::from_json(&schema(), &json).unwrap()
}

/// What is to change, in plain JSON.
fn change(json: Json) -> Row {
    let schema = schema();
    let Json::Object(mut given) = json else { panic!("no object: {json}") };
    let dynamic = given.remove(META).map(|keys| keys.as_object().cloned().unwrap());
    let value = |(name, json): (String, Json)| {
        let value = Value::from_json(schema.field(&name).unwrap(), &json).unwrap();
        (name, value)
    };
    let fields = given.into_iter().map(value).collect();
    Row { fields, dynamic: dynamic.unwrap_or_default() }
}

/// What a field of the row with a key is then.
type Effect = (i64, &'static str, Json);

/// Changes, and what the rows with keys 1 to 4 are by Milvus's documentation ("Upsert Entities",
/// "Nullable & Default") after each, where they differ from before: written down by hand.
fn script() -> Vec<(Json, Vec<Effect>)> {
    vec![
        (json!([{"id": 1, "n": -1}]), vec![(1, "n", json!(-1))]),
        (
            json!([{"id": 1, "n": null}, {"id": 2, "n": 5}]),
            vec![(1, "n", Json::Null), (2, "n", json!(5))],
        ),
        // Rows with other fields in one call.
        (
            json!([{"id": 3, "text": "é\"'"}, {"id": 1, "vec": [9, -0.0]}]),
            vec![(3, "text", json!("é\"'")), (1, "vec", json!([9.0, -0.0]))],
        ),
        // Its default.
        (json!([{"id": 4, "d": null}]), vec![(4, "d", json!(7))]),
        // JSON and arrays as a whole.
        (
            json!([{"id": 2, "about": {"c": 1}, "tags": []}]),
            vec![(2, "about", json!({"c": 1})), (2, "tags", json!([]))],
        ),
        // Dynamic keys are merged, and what is in them is not.
        (
            json!([{"id": 3, "$meta": {"k": "new", "z": null, "o": {"y": 2}}}]),
            vec![(3, META, json!({"k": "new", "z": null, "o": {"y": 2}}))],
        ),
        (
            json!([{"id": 3, "$meta": {"more": 1}}]),
            vec![(3, META, json!({"k": "new", "z": null, "o": {"y": 2}, "more": 1}))],
        ),
        // Nothing but the key changes nothing.
        (json!([{"id": 2}]), vec![]),
    ]
}

async fn client(uri: &str, backend: Box<dyn Backend>) -> DiffClient {
    let connect = DiffClient::builder()
        .uri(uri)
        .deadline(Duration::from_secs(60))
        .backend_with(backend)
        .connect();
    connect.await.unwrap()
}

fn changes(json: &Json) -> Vec<Row> {
    json.as_array().unwrap().iter().cloned().map(change).collect()
}

/// Both sides must be what the script says.
async fn does_as_documented(uri: &str, backend: Box<dyn Backend>) {
    let what = format!("{uri} with {}", backend.name());
    let schema = schema();
    let client = client(uri, backend).await;
    client.create_collection(NAME, &schema).await.unwrap();
    client.insert(NAME, &(1..=4).map(whole).collect::<Vec<_>>()).await.unwrap();
    let mut expected: Vec<Row> = (1..=4).map(whole).collect();
    for (json, differences) in script() {
        let written = client.upsert_partial(NAME, &changes(&json)).await;
        let Written { keys, .. } =
            written.unwrap_or_else(|error| panic!("{what}: {json}: {error}"));
        assert_eq!(keys.len(), json.as_array().unwrap().len(), "{what}: {json}");
        for (id, name, value) in differences {
            let row = &mut expected[usize::try_from(id - 1).unwrap()];
            match (name, value) {
                (META, Json::Object(keys)) => row.dynamic = keys,
                (name, value) => {
                    let value = Value::from_json(schema.field(name).unwrap(), &value).unwrap();
                    row.fields.insert(name.to_owned(), value);
                }
            }
        }
        let pair = client.query(NAME, "").await.unwrap();
        assert_eq!(pair.backend, expected, "{what}: the backend after {json}");
        let diff = pair.diff().unwrap();
        assert!(diff.is_empty(), "{what}: after {json}: {diff}");
    }
    // A row whose key does not exist is inserted, and must be a whole one.
    let mut new = whole(5);
    new.fields.remove("n");
    client.upsert_partial(NAME, &[new.clone(), change(json!({"id": 4, "n": 0}))]).await.unwrap();
    let error = client.upsert_partial(NAME, &[change(json!({"id": 6, "n": 1}))]).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("row 0 does not fit 'partial': no row has the key 6"), "{text}");
    let same = client.compare_entities(NAME, &EntityOptions::default()).await.unwrap();
    assert!(same.is_same() && same.backend_entities == 5, "{what}: {same}");
    client.drop_collection(NAME).await.unwrap();
    client.close().await;
}

async fn with_both_backends(uri: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = DuckDb::open(&folder.path().join("reference.duckdb")).unwrap();
    does_as_documented(uri, Box::new(file)).await;
    let server = world::clickhouse().await;
    let backend = ClickHouse::connect(world::options(&server)).await.unwrap();
    does_as_documented(uri, Box::new(backend)).await;
    server.stop().await;
}

fn simulated(faults: Vec<Fault>) -> SimulatedMilvus {
    SimulatedMilvus::start(SimulatedOptions { faults, ..Default::default() }).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_upsert_changes_what_it_has_and_keeps_the_rest() {
    let engine = simulated(vec![]);
    with_both_backends(&engine.uri()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_milvus_lite_3() {
    let engine = world::started("milvus-lite-3.2.2").await;
    with_both_backends(engine.uri()).await;
    engine.stop().await;
}

/// The engine is not even asked: Milvus Lite 2.5.1 loses the row of a partial upsert that it refuses.
async fn is_lacking_on(engine: &Engine) {
    let client = client(engine.uri(), Box::new(DuckDb::in_memory().unwrap())).await;
    let schema = world::schema(false);
    let mut fields = schema.fields.clone();
    fields[1].nullable = false;
    let schema = Schema { fields, ..schema };
    client.create_collection(NAME, &schema).await.unwrap();
    client.insert(NAME, &[world::row(&schema, 1, 1)]).await.unwrap();
    let change = Row {
        fields: [("id", 1), ("n", 2)].map(|(name, i)| (name.to_owned(), Value::Int(i))).into(),
        dynamic: Map::new(),
    };
    let error = client.upsert_partial(NAME, &[change]).await.unwrap_err();
    let ClientError::Lacks { has, .. } = &error else { panic!("{error}") };
    assert!(has.contains(&"milvus-2.6".to_owned()) && !has.contains(&"milvus-2.5".to_owned()));
    let same = client.compare_entities(NAME, &EntityOptions::default()).await.unwrap();
    assert!(same.is_same() && same.backend_entities == 1, "{same}");
    client.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_without_it_is_not_asked() {
    for name in ["milvus-lite-2.5.1", "milvus-2.3.5"] {
        let engine = world::started(name).await;
        is_lacking_on(&engine).await;
        engine.stop().await;
    }
}

async fn filled(engine: &SimulatedMilvus) -> DiffClient {
    let client = client(&engine.uri(), Box::new(DuckDb::in_memory().unwrap())).await;
    client.create_collection(NAME, &schema()).await.unwrap();
    client.insert(NAME, &[whole(1), whole(2)]).await.unwrap();
    client
}

#[tokio::test]
async fn an_engine_that_forgets_the_other_fields_is_found() {
    let engine = simulated(vec![Fault::PartialUpsertForgets]);
    let client = filled(&engine).await;
    client.upsert_partial(NAME, &[change(json!({"id": 1, "text": "new"}))]).await.unwrap();
    let found = client.compare_entities(NAME, &EntityOptions::default()).await.unwrap();
    assert!((found.missing, found.extra) == (0, 0) && !found.is_same(), "{found}");
    let mut changed: Vec<_> = found.diff.changed.iter().map(|c| c.field.as_str()).collect();
    changed.sort_unstable();
    assert_eq!(changed, [META, "about", "d", "n", "tags", "vec"], "{found}");
    assert!(found.diff.changed.iter().all(|c| c.key == Key::Int(1)), "{found}");
}

/// Rows with other fields take a request each: what the first has done is taken back.
#[tokio::test]
async fn half_of_a_call_is_taken_back() {
    let engine = simulated(vec![]);
    let client = filled(&engine).await;
    let rows = changes(&json!([{"id": 1, "n": 5}, {"id": 2, "text": "new"}]));
    for second in [Disturbance::Refused, Disturbance::LostBefore] {
        engine.disturb("Upsert", Disturbance::Nothing);
        engine.disturb("Upsert", second);
        let error = client.upsert_partial(NAME, &rows).await.unwrap_err();
        let right = match second {
            Disturbance::Refused => matches!(error, ClientError::Refused(_)),
            _ => matches!(error, ClientError::NotWritten(_)),
        };
        assert!(right, "{second:?}: {error}");
        assert_eq!(engine.disturbances_left(), 0, "{second:?}");
        let pair = client.query(NAME, "").await.unwrap();
        assert_eq!(pair.backend, [whole(1), whole(2)], "{second:?}");
        assert!(pair.diff().unwrap().is_empty(), "{second:?}");
    }
    client.upsert_partial(NAME, &rows).await.unwrap();
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_anything_is_written() {
    let engine = simulated(vec![]);
    let client = filled(&engine).await;
    let mut no_key = change(json!({"id": 1, "n": 5}));
    no_key.fields.remove("id");
    let mut unknown = change(json!({"id": 1}));
    unknown.fields.insert("nowhere".to_owned(), Value::Int(1));
    let mut wrong = change(json!({"id": 1}));
    wrong.fields.insert("text".to_owned(), Value::Null);
    let twice = changes(&json!([{"id": 1, "n": 5}, {"id": 1, "text": "x"}]));
    for rows in [vec![no_key], vec![unknown], vec![wrong], twice] {
        let error = client.upsert_partial(NAME, &rows).await.unwrap_err();
        assert!(matches!(error, ClientError::Row { .. }), "{error}");
    }
    let same = client.compare_entities(NAME, &EntityOptions::default()).await.unwrap();
    assert!(same.is_same(), "{same}");

    let assigned = world::schema(true);
    client.create_collection("assigned", &assigned).await.unwrap();
    let error = client.upsert_partial("assigned", &[Row::default()]).await.unwrap_err();
    assert!(matches!(error, ClientError::Row { .. } | ClientError::Options(_)), "{error}");
}
