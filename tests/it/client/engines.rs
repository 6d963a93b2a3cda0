//! The client on the embedded engines, with either backend.

use std::time::Duration;

use milvus_difftest::backend::{Backend, ClickHouse, DuckDb};
use milvus_difftest::client::{
    AttachOptions, DiffClient, EntityOptions, FilterOptions, Side, Source,
};
use milvus_difftest::dump::Format;
use milvus_difftest::engine::Engine;
use milvus_difftest::milvus::{ConnectOptions, Milvus};
use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
use milvus_difftest::value::{Key, Row, Value};
use serde_json::json;

use super::world;

const NAME: &str = "products";

/// What all three engines have.
fn schema() -> Schema {
    let scalar = |name: &str, scalar| Field::new(name, DataType::Scalar(scalar));
    let fields = vec![
        scalar("sku", Scalar::VarChar).primary(),
        scalar("price", Scalar::Double),
        scalar("weight", Scalar::Float),
        scalar("stock", Scalar::Int32),
        scalar("sold", Scalar::Bool),
        Field::new("about", DataType::Json),
        Field::new("vec", DataType::FloatVector { dim: 8 }),
    ];
    Schema { fields, dynamic: true }
}

fn row(schema: &Schema, i: i64) -> Row {
    let json = json!({
        "sku": format!("sku-é-{i:04}"), "price": i as f64 / 7.0, "weight": 0.1 * i as f64,
        "stock": i % 50, "sold": i % 3 == 0, "about": {"tags": [i, "é\""], "n": i % 5},
        "vec": [i, 0.5, -0.0, 1e-3, 2, 3, 4, 5], "$meta": {"k": i % 4},
    });
    Row::from_json(schema, &json).unwrap()
}

/// No quotes: Milvus Lite 2.5.1 fails to upsert a row whose key has one.
fn sku(i: i64) -> Key {
    Key::Text(format!("sku-é-{i:04}"))
}

async fn client(engine: &Engine, backend: Box<dyn Backend>) -> DiffClient {
    let connect = DiffClient::builder()
        .uri(engine.uri())
        .deadline(Duration::from_secs(60))
        .backend_with(backend)
        .connect();
    connect.await.unwrap()
}

/// Everything a client does, and that a row on the wrong side shows.
async fn does_everything(engine: &Engine, backend: Box<dyn Backend>) {
    let what = format!("{} with {}", engine.version().unwrap_or_default(), backend.name());
    let schema = schema();
    let client = client(engine, backend).await;
    client.create_collection(NAME, &schema).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let rows: Vec<Row> = (0..300).map(|i| row(&schema, i)).collect();
    for rows in rows.chunks(100) {
        client.insert(NAME, rows).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    let changed: Vec<Row> = (10..20)
        .map(|i| {
            let mut row = row(&schema, i);
            row.fields.insert("stock".to_owned(), Value::Int(-i));
            row
        })
        .collect();
    client.upsert(NAME, &changed).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    client.delete(NAME, &[sku(0), sku(299), sku(9999)]).await.unwrap();
    let gone = client.delete_where(NAME, "stock == 7").await.unwrap();
    assert_eq!(gone.keys.len(), 6, "{what}");

    let small = EntityOptions { batch_size: 40, ..EntityOptions::default() };
    let same = client.compare_entities(NAME, &small).await.unwrap();
    assert!(same.is_same(), "{what}: {same}");
    assert_eq!(same.backend_entities, 292, "{what}");
    let small = EntityOptions { by_digests: true, ..small };
    let same = client.compare_entities(NAME, &small).await.unwrap();
    assert!(same.is_same() && same.milvus_entities == 292, "{what}, by digests: {same}");
    let counts = client.count_and_read(NAME).await.unwrap();
    assert!(counts.is_same(), "{what}: {counts}");
    for filter in ["stock < 0", "price >= 10 and sold == true", "about[\"n\"] == 3", "k == 1"] {
        let compared = client.compare_query(NAME, filter).await.unwrap();
        assert!(compared.is_same() && compared.backend_rows > 5, "{what}: {compared}");
    }

    // What every dialect can be asked is accepted.
    let options = FilterOptions { count: 30, selectivity: 0.05..=0.95, ..FilterOptions::default() };
    let filters = client.filters(NAME, &options).await.unwrap();
    assert_eq!(filters, client.filters(NAME, &options).await.unwrap(), "{what}");
    for found in &filters {
        assert!((15..=277).contains(&found.count), "{what}: {found:?}");
        let pair = client.query(NAME, found.filter.as_str()).await.unwrap();
        assert!(pair.milvus.is_ok(), "{what}: {}: {:?}", found.filter, pair.milvus);
        assert_eq!(pair.backend.len() as u64, found.count, "{what}: {}", found.filter);
    }
    let none = FilterOptions { weights: [("like".to_owned(), 0.0)].into(), ..options };
    let filters = client.filters(NAME, &none).await.unwrap();
    assert!(filters.iter().all(|found| !found.filter.to_lowercase().contains(" like ")), "{what}");

    let sample = client.sample(NAME, 5, 3).await.unwrap();
    assert_eq!(sample.len(), 5, "{what}");
    assert_eq!(sample, client.sample(NAME, 5, 3).await.unwrap(), "{what}");

    // Both sides give the same file, in the same order, and a dump is as good as the backend.
    let folder = tempfile::tempdir().unwrap();
    for format in Format::ALL {
        let file = |side: &str| folder.path().join(format!("{side}.{format}"));
        let (ours, theirs) = (file("backend"), file("milvus"));
        assert_eq!(client.export(NAME, Side::Backend, &ours, format).await.unwrap(), 292);
        assert_eq!(client.export(NAME, Side::Milvus, &theirs, format).await.unwrap(), 292);
        let read = |path| milvus_difftest::dump::Reader::open_as(path, format, Some(&schema));
        let rows = read(ours).unwrap().read(1000).unwrap().unwrap();
        let same = rows.iter().zip(read(theirs).unwrap().read(1000).unwrap().unwrap());
        let mut count = 0;
        for (ours, theirs) in same {
            count += 1;
            assert_eq!(ours.key(&schema), theirs.key(&schema), "{what}: {format}");
        }
        assert_eq!(count, 292, "{what}: {format}");
    }

    let info = client.info().await.unwrap();
    assert_eq!(info.collections.len(), 1, "{what}");
    assert_eq!(info.collections[0].milvus_rows, Some(292), "{what}: {info}");

    // Behind its back a row is lost, one is added and a value is changed.
    let deadline = Duration::from_secs(60);
    let options = ConnectOptions { uri: engine.uri().to_owned(), token: None, deadline };
    let milvus = Milvus::connect(&options).await.unwrap();
    milvus.delete(NAME, &schema, &[sku(150)]).await.unwrap();
    milvus.insert(NAME, &schema, &[row(&schema, 5000)]).await.unwrap();
    let mut other = row(&schema, 200);
    other
        .fields
        .insert("vec".to_owned(), Value::Vector(vec![200.0, 0.5, 0.0, 1e-3, 2.0, 3.0, 4.0, 5.0]));
    milvus.upsert(NAME, &schema, &[other]).await.unwrap();
    let found = client.compare_entities(NAME, &small).await.unwrap();
    assert_eq!(found.diff.missing, [sku(150)], "{what}: {found}");
    assert_eq!(found.diff.extra, [sku(5000)], "{what}: {found}");
    let changed: Vec<_> = found.diff.changed.iter().map(|c| (&c.key, c.field.as_str())).collect();
    assert_eq!(changed, [(&sku(200), "vec")], "{what}: {found}");

    // Adopted from the honest dump, another client sees the same; adopted from Milvus, nothing.
    let dump = folder.path().join("backend.parquet");
    for (source, differences) in [(Source::Dump(dump), 3), (Source::Milvus, 0)] {
        let other = self::client(engine, Box::new(DuckDb::in_memory().unwrap())).await;
        let options = AttachOptions { source, batch_size: 50, ..AttachOptions::default() };
        assert_eq!(other.attach(NAME, &options).await.unwrap(), 292, "{what}");
        let found = other.compare_entities(NAME, &small).await.unwrap();
        let all = found.missing + found.extra + found.changed;
        assert_eq!(all, differences, "{what}, attached from {:?}: {found}", options.source);
    }
    client.drop_collection(NAME).await.unwrap();
    client.close().await;
}

async fn on(engine: &str) {
    let engine = world::started(engine).await;
    let folder = tempfile::tempdir().unwrap();
    let file = DuckDb::open(&folder.path().join("reference.duckdb")).unwrap();
    does_everything(&engine, Box::new(file)).await;
    let server = world::clickhouse().await;
    let backend = ClickHouse::connect(world::options(&server)).await.unwrap();
    does_everything(&engine, Box::new(backend)).await;
    server.stop().await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_milvus_lite_3() {
    on("milvus-lite-3.2.2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_milvus_lite_2() {
    on("milvus-lite-2.5.1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_milvus_2_3() {
    on("milvus-2.3.5").await;
}
