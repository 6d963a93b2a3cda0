//! A real engine is killed in the middle of writes, and started again with what it has stored.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use milvus_difftest::backend::DuckDb;
use milvus_difftest::client::{ClientError, DiffClient, EntityOptions, Settled, Written};
use milvus_difftest::engine::{Ending, Engine};
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

fn rows(first: i64, count: i64, n: i64) -> Vec<Row> {
    let row = |id| json!({"id": id, "n": n, "vec": vec![id as f64; 32]});
    let row = |id| Row::from_json(&schema(), &row(id)).unwrap();
    (first..first + count).map(row).collect()
}

/// As many rows are written at once.
const BATCH: i64 = 100;

/// Writes one batch after the other until one is not acknowledged: how many were, and what became
/// of that one. There is none if another writer had the turn when the engine was killed.
async fn until_killed(
    killed: &AtomicBool,
    mut write: impl AsyncFnMut(i64) -> Result<Written, ClientError>,
) -> (i64, Option<Result<Written, ClientError>>) {
    for batch in 0.. {
        if killed.load(Ordering::Relaxed) {
            return (batch, None);
        }
        match write(batch).await {
            Ok(written) if written.settled == Settled::Acknowledged => {}
            interrupted => return (batch, Some(interrupted)),
        }
    }
    unreachable!("it is killed before that")
}

/// Writes, kills, and looks at what the client makes of it: whatever it says of a write, both sides
/// have what it says, once it can say it.
async fn killed_after(engine: &mut Engine, pause: Duration) {
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
    client.insert(NAME, &rows(0, ROWS, 1)).await.unwrap();

    // New rows, and rows that were there.
    let killed = AtomicBool::new(false);
    let (inserted, upserted, resumed) = tokio::join!(
        until_killed(&killed, async |batch| {
            client.insert(NAME, &rows(ROWS + batch * BATCH, BATCH, 2)).await
        }),
        until_killed(&killed, async |batch| {
            client.upsert(NAME, &rows(batch * BATCH % ROWS, BATCH, 3 + batch)).await
        }),
        async {
            tokio::time::sleep(pause).await;
            let resumed = engine.resume(Ending::Killed).await;
            killed.store(true, Ordering::Relaxed);
            resumed
        }
    );
    resumed.unwrap();
    // Milvus Lite 3 has released it.
    let options = ConnectOptions { uri: engine.uri().to_owned(), token: None, deadline: DEADLINE };
    Milvus::connect(&options).await.unwrap().load(NAME).await.unwrap();
    client.settle(NAME).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(client.in_doubt().is_empty(), "{what}");
    for (filter, acknowledged, interrupted) in [
        ("n == 2".to_owned(), inserted.0 * BATCH, inserted.1),
        (format!("n == {}", 3 + upserted.0), 0, upserted.1),
    ] {
        let found = client.count(NAME, Some(&filter)).await.unwrap().backend as i64;
        let allowed = match &interrupted {
            Some(Ok(_)) => vec![acknowledged + BATCH],
            Some(Err(ClientError::InDoubt { .. })) => vec![acknowledged, acknowledged + BATCH],
            Some(Err(_)) | None => vec![acknowledged],
        };
        assert!(allowed.contains(&found), "{what}: {found} of {allowed:?}: {interrupted:?}");
    }
    let compared = client.compare_entities(NAME, &EntityOptions::default()).await.unwrap();
    assert!(compared.is_same(), "{what}: {compared}");
    let gone = client.delete(NAME, &[Key::Int(0)]).await;
    gone.unwrap_or_else(|error| panic!("{what}: {error}"));
    client.drop_collection(NAME).await.unwrap();
    client.close().await;
}

async fn on(name: &str, pauses: &[u64]) {
    let mut engine = world::started(name).await;
    for pause in pauses {
        killed_after(&mut engine, Duration::from_millis(*pause)).await;
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn milvus_lite_3_is_killed() {
    on("milvus-lite-3.2.2", &[0, 5, 20, 50, 100]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn milvus_lite_2_is_killed() {
    on("milvus-lite-2.5.1", &[0, 5, 20, 50, 100]).await;
}

/// Once, for it waits until the sessions of the one that was killed have expired in etcd.
#[tokio::test(flavor = "multi_thread")]
async fn milvus_2_3_is_killed() {
    on("milvus-2.3.5", &[20]).await;
}
