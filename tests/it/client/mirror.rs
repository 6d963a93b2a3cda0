//! What a client writes, asks and compares.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use milvus_difftest::backend::{Backend, DuckDb};
use milvus_difftest::client::{ClientError, DiffClient, EntityOptions, Query};
use milvus_difftest::engine::simulated::{Disturbance, Fault, SimulatedMilvus, SimulatedOptions};
use milvus_difftest::milvus::{ConnectOptions, Milvus};
use milvus_difftest::value::{Key, META, Row, Value};

use super::world::{NAME, row, schema};

fn engine(faults: &[Fault]) -> SimulatedMilvus {
    let faults = faults.to_vec();
    SimulatedMilvus::start(SimulatedOptions { faults, ..Default::default() }).unwrap()
}

async fn filled(engine: &SimulatedMilvus) -> DiffClient {
    let client = DiffClient::builder().uri(engine.uri()).connect().await.unwrap();
    let schema = schema(false);
    client.create_collection(NAME, &schema).await.unwrap();
    let rows: Vec<Row> = (0..100).map(|id| row(&schema, id, id % 10)).collect();
    client.insert(NAME, &rows).await.unwrap();
    client
}

async fn behind_its_back(engine: &SimulatedMilvus) -> Milvus {
    let deadline = Duration::from_secs(10);
    let options = ConnectOptions { uri: engine.uri(), token: None, deadline };
    Milvus::connect(&options).await.unwrap()
}

#[tokio::test]
async fn a_row_that_is_missing_added_or_changed_is_seen_wherever_it_is() {
    let engine = engine(&[]);
    let client = filled(&engine).await;
    let schema = schema(false);
    let small = EntityOptions { batch_size: 7, ..EntityOptions::default() };
    let same = client.compare_entities(NAME, &small).await.unwrap();
    assert!(same.is_same(), "{same}");
    assert_eq!(same.to_string(), "things: the same 100 entities on both sides");
    assert_eq!((same.backend_entities, same.milvus_entities, same.milvus_count), (100, 100, 100));

    let milvus = behind_its_back(&engine).await;
    // The first, one in the middle and the last; new ones before, between and behind; values.
    milvus.delete(NAME, &schema, &[0, 50, 99].map(Key::Int)).await.unwrap();
    let new = [-5, 1000, 2000].map(|id| row(&schema, id, 1));
    milvus.insert(NAME, &schema, &new).await.unwrap();
    let mut vector = row(&schema, 20, 0);
    vector.fields.insert("vec".to_owned(), Value::Vector(vec![0.5, -0.0]));
    let mut dynamic = row(&schema, 30, 0);
    dynamic.dynamic.insert("other".to_owned(), 1.into());
    milvus.upsert(NAME, &schema, &[vector, dynamic, row(&schema, 40, 7)]).await.unwrap();

    for (batch_size, by_digests) in
        [1, 7, 33, 100, 4096].into_iter().flat_map(|n| [(n, false), (n, true)])
    {
        let options = EntityOptions { batch_size, by_digests, ..EntityOptions::default() };
        let found = client.compare_entities(NAME, &options).await.unwrap();
        assert!(!found.is_same());
        assert_eq!(found.diff.missing, [0, 50, 99].map(Key::Int), "{batch_size}");
        assert_eq!(found.diff.extra, [-5, 1000, 2000].map(Key::Int), "{batch_size}");
        let changed: Vec<_> =
            found.diff.changed.iter().map(|c| (c.key.clone(), c.field.as_str())).collect();
        let expected = [(20, "vec"), (30, META), (40, "n"), (40, "vec"), (40, META)];
        assert_eq!(changed, expected.map(|(key, field)| (Key::Int(key), field)), "{batch_size}");
        assert_eq!((found.missing, found.extra, found.changed), (3, 3, 5));
    }

    let compared = client.compare_query(NAME, "n == 0").await.unwrap();
    // Row 40 has another n now.
    assert_eq!(compared.diff.missing, [0, 40, 50].map(Key::Int));
    assert!(compared.is_divergence());
    let text = compared.to_string();
    assert!(text.contains("Milvus returned 7 rows, the backend 10"), "{text}");
    let counts = client.count_and_read(NAME).await.unwrap();
    assert!(counts.is_same(), "as many, though others: {counts}");
    let counts = client.count(NAME, Some("n == 0")).await.unwrap();
    assert_eq!(counts.to_string(), "Milvus 7, backend 10");
    assert!(!counts.is_same());
}

/// Not read at all: what is changed behind the backend's back leaves its digest as it was.
#[tokio::test]
async fn rows_with_the_same_digest_are_not_read() {
    let engine = engine(&[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reference.duckdb");
    let builder = || {
        let backend = format!("duckdb:{}", file.display());
        DiffClient::builder().uri(engine.uri()).backend(backend)
    };
    let client = builder().connect().await.unwrap();
    client.create_collection(NAME, &schema(false)).await.unwrap();
    let rows: Vec<Row> = (0..100).map(|id| row(&schema(false), id, id % 10)).collect();
    client.insert(NAME, &rows).await.unwrap();
    client.close().await;
    let database = duckdb::Connection::open(&file).unwrap();
    let by_hand = format!("UPDATE \"{NAME}\" SET n = 77 WHERE id IN (30, 60, 90)");
    assert_eq!(database.execute(&by_hand, []).unwrap(), 3);
    database.close().unwrap();

    let client = builder().connect().await.unwrap();
    let options = EntityOptions { batch_size: 10, keep: 2, ..EntityOptions::default() };
    let read = client.compare_entities(NAME, &options).await.unwrap();
    assert_eq!((read.changed, read.diff.changed.len()), (3, 2), "two are kept: {read}");
    let options = EntityOptions { by_digests: true, ..options };
    let not_read = client.compare_entities(NAME, &options).await.unwrap();
    assert!(not_read.is_same(), "{not_read}");
    assert_eq!((not_read.backend_entities, not_read.milvus_entities), (100, 100));

    // In a range that differs, rows are read.
    behind_its_back(&engine).await.delete(NAME, &schema(false), &[Key::Int(61)]).await.unwrap();
    let found = client.compare_entities(NAME, &options).await.unwrap();
    assert_eq!((found.missing, found.changed, found.milvus_entities), (1, 1, 99), "{found}");
}

#[tokio::test]
async fn the_order_of_an_answer_does_not_matter_and_its_multiplicity_does() {
    let twice = engine(&[Fault::DuplicateRow]);
    let client = filled(&twice).await;
    let compared = client.compare_query(NAME, "n < 5").await.unwrap();
    assert_eq!(compared.diff.extra.len(), 1, "{compared}");
    let pair = client.query(NAME, "n < 5").await.unwrap();
    assert_eq!(pair.milvus.as_ref().unwrap().len(), 51);
    assert!(pair.milvus.unwrap().is_sorted_by_key(|row| row.get("id").to_json().as_i64()));
    assert_eq!(pair.backend.len(), 50);
    assert_eq!(pair.model.unwrap().len(), 50);
}

#[tokio::test]
async fn a_count_that_lies_is_told_from_the_rows() {
    let engine = engine(&[Fault::CountOffByOne]);
    let client = DiffClient::builder().uri(engine.uri()).connect().await.unwrap();
    client.create_collection(NAME, &schema(false)).await.unwrap();
    client.insert(NAME, &[row(&schema(false), 1, 1)]).await.unwrap();
    let counts = client.count_and_read(NAME).await.unwrap();
    assert_eq!(counts.to_string(), "Milvus 2 (1 when all are read), backend 1");
    let entities = client.compare_entities(NAME, &EntityOptions::default()).await.unwrap();
    assert!(!entities.is_same() && entities.diff.is_empty(), "{entities}");
}

#[tokio::test]
async fn queries_take_fields_pages_and_spellings() {
    let engine = engine(&[]);
    let client = filled(&engine).await;
    let fields = Some(vec!["n".to_owned()]);
    let query = Query { fields, ..Query::from("k LIKE \"it's%\" && n in [3]") };
    let pair = client.query(NAME, query.clone()).await.unwrap();
    assert!(pair.diff().unwrap().is_empty());
    let names: Vec<_> = pair.backend[0].fields.keys().collect();
    assert_eq!(names, ["id", "n"]);
    assert!(pair.backend[0].dynamic.is_empty());
    assert_eq!(pair.backend, pair.milvus.unwrap());

    let page = Query { limit: Some(4), offset: 8, ..query.clone() };
    let pair = client.query(NAME, page).await.unwrap();
    assert_eq!(pair.milvus.as_ref().unwrap().len(), 2);
    assert_eq!(pair.backend.len(), 10);
    assert!(pair.diff().unwrap().is_empty());

    for wrong in [
        Query { fields: Some(vec!["nowhere".to_owned()]), ..query.clone() },
        Query { offset: 3, ..query },
        Query::from("n <"),
        Query::from("n == \"a\""),
    ] {
        assert!(client.query(NAME, wrong.clone()).await.is_err(), "{wrong:?}");
    }
    let pages_ignored = Query { limit: Some(5), offset: 5, ..Query::from("n == 3") };
    let lossy = SimulatedMilvus::start(SimulatedOptions {
        faults: vec![Fault::DropLastMatch],
        ..Default::default()
    });
    let lossy = lossy.unwrap();
    let client = filled(&lossy).await;
    let compared = client.compare_query(NAME, pages_ignored).await.unwrap();
    assert_eq!(compared.diff.missing.len(), 1, "a page that is too short: {compared}");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_anything_is_written() {
    let engine = engine(&[]);
    let client = filled(&engine).await;
    let schema = schema(false);
    let mut wrong = row(&schema, 500, 1);
    wrong.fields.insert("vec".to_owned(), Value::Vector(vec![1.0]));
    let error = client.insert(NAME, &[row(&schema, 501, 1), wrong]).await.unwrap_err();
    assert!(error.to_string().starts_with("row 1 does not fit 'things': "), "{error}");
    let error = client.insert(NAME, &[row(&schema, 502, 1), row(&schema, 3, 1)]).await.unwrap_err();
    assert!(matches!(&error, ClientError::Exists { keys, .. } if *keys == [Key::Int(3)]));
    let error = client.insert(NAME, &[row(&schema, 502, 1), row(&schema, 502, 2)]).await;
    assert!(matches!(error.unwrap_err(), ClientError::Exists { .. }));
    let error = client.delete(NAME, &[Key::Text("x".to_owned())]).await.unwrap_err();
    assert!(matches!(error, ClientError::Row { .. }), "{error}");
    assert!(client.delete_where(NAME, "n ==").await.is_err());
    assert!(client.delete_where(NAME, "vec == 1").await.is_err());
    let error = client.insert("nowhere", &[]).await.unwrap_err();
    assert!(error.to_string().contains("no collection 'nowhere'"), "{error}");
    let error = client.create_collection(NAME, &schema).await.unwrap_err();
    assert!(error.to_string().contains("already, in the backend"), "{error}");
    // Of nothing, nothing.
    client.insert(NAME, &[]).await.unwrap();
    client.delete(NAME, &[]).await.unwrap();
    let same = client.compare_entities(NAME, &EntityOptions::default()).await.unwrap();
    assert!(same.is_same() && same.backend_entities == 100, "{same}");
}

#[tokio::test]
async fn a_collection_is_on_both_sides_or_on_neither() {
    let engine = engine(&[]);
    let milvus = behind_its_back(&engine).await;
    let schema = schema(false);
    milvus.create(NAME, &schema).await.unwrap();
    let client = DiffClient::builder().uri(engine.uri()).connect().await.unwrap();
    let error = client.create_collection(NAME, &schema).await.unwrap_err();
    assert!(error.to_string().contains("already, in Milvus"), "{error}");
    assert!(client.collections().is_empty());
    assert!(milvus.has_collection(NAME).await.unwrap(), "somebody else's");
    milvus.drop_collection(NAME).await.unwrap();
    client.create_collection(NAME, &schema).await.unwrap();
    assert_eq!(client.collections(), [NAME]);
    assert_eq!(client.schema(NAME).unwrap(), schema);
    client.drop_collection(NAME).await.unwrap();
    client.drop_collection(NAME).await.unwrap();
    assert!(!milvus.has_collection(NAME).await.unwrap());
    client.create_collection(NAME, &schema).await.unwrap();

    // Milvus refuses this one, and the backend forgets it.
    engine.disturb("CreateIndex", Disturbance::Refused);
    let error = client.create_collection("other", &schema).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused(_)), "{error}");
    assert_eq!(client.collections(), [NAME]);
    assert!(!milvus.has_collection("other").await.unwrap());
    client.create_collection("other", &schema).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_leave_both_sides_the_same() {
    let engine = engine(&[]);
    let client = filled(&engine).await;
    let writers = (0..8_i64).map(|writer| {
        let client = client.clone();
        tokio::spawn(async move {
            let schema = schema(false);
            for round in 0..20 {
                let key = |k: i64| (writer * 7 + round * 3 + k) % 120;
                let rows: Vec<Row> =
                    (0..5).map(|k| row(&schema, key(k), writer * 1000 + round)).collect();
                client.upsert(NAME, &rows).await.unwrap();
                client.delete(NAME, &[Key::Int(key(2))]).await.unwrap();
                if round % 5 == 0 {
                    let compared = client.compare_query(NAME, "n >= 0").await.unwrap();
                    assert!(compared.is_same(), "{compared}");
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let same = client.compare_entities(NAME, &EntityOptions::default()).await.unwrap();
    assert!(same.is_same(), "{same}");
}

#[tokio::test]
async fn a_comparison_goes_on_where_it_was_interrupted() {
    let engine = engine(&[]);
    let client = filled(&engine).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("comparison.json");
    let ranges = Arc::new(AtomicUsize::new(0));
    let options = |engine: Option<Arc<SimulatedMilvus>>| {
        let ranges = ranges.clone();
        EntityOptions {
            batch_size: 1,
            jobs: 1,
            resume: Some(path.clone()),
            progress: Some(Arc::new(move |progress| {
                ranges.fetch_add(1, Ordering::Relaxed);
                // In the middle of it Milvus is gone.
                if progress.done == 60
                    && let Some(engine) = &engine
                {
                    engine.disturb("Query", Disturbance::DownBefore);
                }
            })),
            ..EntityOptions::default()
        }
    };
    let engine = Arc::new(engine);
    let error = client.compare_entities(NAME, &options(Some(engine.clone()))).await.unwrap_err();
    assert!(matches!(error, ClientError::Milvus(_)), "{error}");
    engine.revive();
    let same = client.compare_entities(NAME, &options(None)).await.unwrap();
    assert!(same.is_same() && same.backend_entities == 100, "{same}");
    let ranges = ranges.load(Ordering::Relaxed);
    assert!((101..150).contains(&ranges), "{ranges} ranges in both attempts");
    assert!(!path.exists(), "it is done");

    std::fs::write(&path, "{}").unwrap();
    let error = client.compare_entities(NAME, &options(None)).await.unwrap_err();
    assert!(error.to_string().contains("comparison.json"), "{error}");
}

#[tokio::test]
async fn a_backend_in_a_file_knows_its_collections_again() {
    let engine = engine(&[]);
    let folder = tempfile::tempdir().unwrap();
    let schema = schema(false);
    let client = DiffClient::duckdb(engine.uri(), folder.path()).await.unwrap();
    client.create_collection(NAME, &schema).await.unwrap();
    client.insert(NAME, &[row(&schema, 1, 1)]).await.unwrap();
    client.close().await;
    let client = DiffClient::duckdb(engine.uri(), folder.path()).await.unwrap();
    assert_eq!(client.collections(), [NAME]);
    client.insert(NAME, &[row(&schema, 2, 2)]).await.unwrap();
    let same = client.compare_entities(NAME, &EntityOptions::default()).await.unwrap();
    assert!(same.is_same() && same.backend_entities == 2, "{same}");
    client.close().await;
    let mut file = DuckDb::open(&folder.path().join("reference.duckdb")).unwrap();
    let table = milvus_difftest::backend::Table::new(NAME, schema);
    assert_eq!(file.scan(&table).await.unwrap().len(), 2);
}
