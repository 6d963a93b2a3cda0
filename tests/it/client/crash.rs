//! A real engine is killed in the middle of writes, and started again with what it has stored.

use std::time::Duration;

use milvus_difftest::backend::DuckDb;
use milvus_difftest::client::{ClientError, DiffClient, EntityOptions, Settled, Written};
use milvus_difftest::engine::Engine;
use milvus_difftest::milvus::{ConnectOptions, Milvus};
use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
use milvus_difftest::value::{Key, Row};
use serde_json::json;

use super::world;

const NAME: &str = "crashed";
const ROWS: i64 = 2000;
const DEADLINE: Duration = Duration::from_secs(20);

fn schema() -> Schema {
    let fields = vec![
        Field::new("id", DataType::Scalar(Scalar::Int64)).primary(),
        Field::new("n", DataType::Scalar(Scalar::Int64)),
        Field::new("vec", DataType::FloatVector { dim: 32 }),
    ];
    Schema { fields, dynamic: false }
}

fn rows(first: i64, n: i64) -> Vec<Row> {
    let row = |id| json!({"id": id, "n": n, "vec": vec![id as f64; 32]});
    let row = |id| Row::from_json(&schema(), &row(id)).unwrap();
    (first..first + ROWS).map(row).collect()
}

/// Writes, kills, and looks at what the client makes of it: whatever it says of the write, both
/// sides have what it says, once it can say it. Returns whether a write was not acknowledged.
async fn killed_after(engine: &mut Engine, pause: Duration) -> bool {
    let what = format!("{}, killed after {pause:?}", engine.version().unwrap_or_default());
    let folder = tempfile::tempdir().unwrap();
    let backend = Box::new(DuckDb::open(&folder.path().join("reference.duckdb")).unwrap());
    let client = DiffClient::builder()
        .uri(engine.uri())
        .deadline(DEADLINE)
        .backend_with(backend)
        .connect()
        .await
        .unwrap();
    client.create_collection(NAME, &schema()).await.unwrap();
    client.insert(NAME, &rows(0, 1)).await.unwrap();

    // New rows, and rows that were there.
    let (insert, replaced) = (rows(ROWS, 2), rows(ROWS / 2, 3));
    let (inserted, upserted, resumed) = tokio::join!(
        client.insert(NAME, &insert[..ROWS as usize / 2]),
        client.upsert(NAME, &replaced[..100]),
        async {
            tokio::time::sleep(pause).await;
            engine.resume().await
        }
    );
    resumed.unwrap();
    // Milvus Lite 3 has released it.
    let options = ConnectOptions { uri: engine.uri().to_owned(), token: None, deadline: DEADLINE };
    Milvus::connect(&options).await.unwrap().load(NAME).await.unwrap();
    let acknowledged = |done: &Result<Written, ClientError>| {
        done.as_ref().is_ok_and(|written| written.settled == Settled::Acknowledged)
    };
    let interrupted = !acknowledged(&inserted) || !acknowledged(&upserted);
    client.settle(NAME).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(client.in_doubt().is_empty(), "{what}");
    for (done, filter, wanted) in [(inserted, "n == 2", ROWS as u64 / 2), (upserted, "n == 3", 100)]
    {
        let counts = client.count(NAME, Some(filter)).await.unwrap();
        match done {
            Ok(_) => assert_eq!(counts.backend, wanted, "{what}"),
            Err(ClientError::InDoubt { .. }) => assert!([0, wanted].contains(&counts.backend)),
            Err(error) => assert_eq!(counts.backend, 0, "{what}: {error}"),
        }
    }
    let compared = client.compare_entities(NAME, &EntityOptions::default()).await.unwrap();
    assert!(compared.is_same(), "{what}: {compared}");
    let gone = client.delete(NAME, &[Key::Int(0)]).await;
    gone.unwrap_or_else(|error| panic!("{what}: {error}"));
    client.drop_collection(NAME).await.unwrap();
    client.close().await;
    interrupted
}

async fn on(name: &str, pauses: &[u64]) {
    let mut engine = world::started(name).await;
    let mut interrupted = 0;
    for pause in pauses {
        let pause = Duration::from_millis(*pause);
        interrupted += usize::from(killed_after(&mut engine, pause).await);
    }
    assert!(interrupted > 0, "{name} was never killed in the middle of a write");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn milvus_lite_3_is_killed() {
    on("milvus-lite-3.2.2", &[0, 3, 10, 30, 80]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn milvus_lite_2_is_killed() {
    on("milvus-lite-2.5.1", &[0, 3, 10, 30, 80]).await;
}

/// Once, for it waits until the sessions of the one that was killed have expired in etcd.
#[tokio::test(flavor = "multi_thread")]
async fn milvus_2_3_is_killed() {
    on("milvus-2.3.5", &[0]).await;
}
