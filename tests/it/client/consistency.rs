//! Levels of consistency: what a query asks for, and what a difference then means.

use milvus_difftest::backend::DuckDb;
use milvus_difftest::client::{Comparison, DiffClient, EntityOptions, Query};
use milvus_difftest::engine::simulated::{Disturbance, Fault, SimulatedMilvus, SimulatedOptions};
use milvus_difftest::milvus::Consistency;
use milvus_difftest::value::{Key, Row};

use super::world::{self, NAME, row, schema};

/// A server whose queries miss the last write unless they need to see it.
fn lagging(faults: Vec<Fault>) -> SimulatedMilvus {
    SimulatedMilvus::start(SimulatedOptions { faults, lags: true, ..Default::default() }).unwrap()
}

fn asked(consistency: Consistency) -> Query {
    Query { consistency, ..Query::from("n >= 0") }
}

async fn compared(client: &DiffClient, consistency: Consistency) -> Comparison {
    client.compare_query(NAME, asked(consistency)).await.unwrap()
}

/// Ten rows, and one more.
async fn filled(client: &DiffClient) {
    let schema = schema(false);
    client.create_collection(NAME, &schema).await.unwrap();
    let rows: Vec<Row> = (0..10).map(|id| row(&schema, id, id)).collect();
    client.insert(NAME, &rows).await.unwrap();
    client.insert(NAME, &[row(&schema, 10, 10)]).await.unwrap();
}

#[tokio::test]
async fn every_level_asks_for_what_it_means() {
    let engine = lagging(vec![]);
    let client = DiffClient::builder().uri(engine.uri()).connect().await.unwrap();
    filled(&client).await;
    // The simulated clock starts in June 2025 and goes on with the calls, so that its timestamps are
    // not this machine's.
    let (june, today) = (1_750_000_000_000_u64 << 18, 1_750_000_100_000_u64 << 18);
    for (level, number, rows, moments) in [
        // The server's own clock: this machine's may be wrong.
        (Consistency::Strong, 0, 11, 0..1),
        (Consistency::Session, 1, 11, june..today),
        (Consistency::Bounded, 2, 10, 2..3),
        (Consistency::Eventually, 3, 10, 1..2),
    ] {
        let pair = client.query(NAME, asked(level)).await.unwrap();
        assert_eq!(pair.milvus.unwrap().len(), rows, "{level}");
        let freshness = engine.last_query().unwrap();
        assert_eq!(freshness.consistency_level, number, "{level}");
        let moment = freshness.guarantee_timestamp;
        assert!(moments.contains(&moment), "{level}: {moment}");
    }
    // Every kind of write counts as the session's last.
    let schema = schema(false);
    let mut last = 0;
    for write in 0..4 {
        match write {
            0 => client.insert(NAME, &[row(&schema, 20, 20)]).await,
            1 => client.upsert(NAME, &[row(&schema, 20, 21)]).await,
            2 => client.upsert_partial(NAME, &[row(&schema, 20, 22)]).await,
            _ => client.delete(NAME, &[Key::Int(20)]).await,
        }
        .unwrap();
        let same = compared(&client, Consistency::Session).await;
        assert!(same.is_same(), "{write}: {same}");
        let moment = engine.last_query().unwrap().guarantee_timestamp;
        assert!(moment > last && moment < today, "{write}: {moment} after {last}");
        last = moment;
    }
}

#[tokio::test]
async fn what_need_not_be_visible_yet_is_no_defect() {
    let engine = lagging(vec![]);
    let client = DiffClient::builder().uri(engine.uri()).connect().await.unwrap();
    filled(&client).await;
    for level in Consistency::ALL {
        let found = compared(&client, level).await;
        let fresh = matches!(level, Consistency::Strong | Consistency::Session);
        assert_eq!(found.is_same(), fresh, "{level}: {found}");
        assert!(!found.is_divergence(), "{level}: {found}");
        if !fresh {
            assert_eq!(found.diff.missing, [Key::Int(10)], "{level}");
            let text = found.to_string();
            assert!(
                text.contains(&format!("an answer with {level} consistency may lack")),
                "{text}"
            );
        }
    }
    // Entities are always compared with strong consistency.
    let same = client.compare_entities(NAME, &EntityOptions::default()).await.unwrap();
    assert!(same.is_same(), "{same}");
}

#[tokio::test]
async fn what_is_wrong_at_every_level_is_a_defect() {
    let engine = lagging(vec![Fault::DropLastMatch]);
    let client = DiffClient::builder().uri(engine.uri()).connect().await.unwrap();
    filled(&client).await;
    for level in Consistency::ALL {
        let found = compared(&client, level).await;
        assert!(found.is_divergence(), "{level}: {found}");
    }
}

#[tokio::test]
async fn a_session_that_does_not_see_its_own_writes_is_a_defect() {
    let engine = lagging(vec![Fault::SessionForgotten]);
    let folder = tempfile::tempdir().unwrap();
    let client = DiffClient::duckdb(engine.uri(), folder.path()).await.unwrap();
    filled(&client).await;
    let found = compared(&client, Consistency::Session).await;
    assert!(found.is_divergence(), "{found}");
    client.close().await;

    // Another client has written nothing yet, and its sessions owe it nothing.
    let client = DiffClient::duckdb(engine.uri(), folder.path()).await.unwrap();
    let found = compared(&client, Consistency::Session).await;
    assert!(!found.is_same() && !found.is_divergence(), "{found}");
    // A write whose answer was lost: when it was, only this machine's clock can say.
    engine.disturb("Insert", Disturbance::LostAfter);
    client.insert(NAME, &[row(&schema(false), 30, 30)]).await.unwrap();
    let found = compared(&client, Consistency::Session).await;
    assert!(!found.is_same() && !found.is_divergence(), "{found}");
}

/// Every level has an answer, which in the end is the right one.
async fn answers_at_every_level(name: &str) {
    let engine = world::started(name).await;
    let client = DiffClient::builder()
        .uri(engine.uri())
        .backend_with(Box::new(DuckDb::in_memory().unwrap()))
        .connect()
        .await
        .unwrap();
    let mut schema = schema(false);
    // Not every engine has nulls.
    schema.fields[1].nullable = false;
    client.create_collection(NAME, &schema).await.unwrap();
    let rows: Vec<Row> = (0..50).map(|id| row(&schema, id, id)).collect();
    client.insert(NAME, &rows).await.unwrap();
    for round in 0..5 {
        client.upsert(NAME, &[row(&schema, round, 1000 + round)]).await.unwrap();
        client.delete(NAME, &[Key::Int(40 + round)]).await.unwrap();
        // The session's first: a strong answer would have brought the others up to date.
        for level in [Consistency::Session, Consistency::Strong] {
            let same = compared(&client, level).await;
            assert!(same.is_same(), "{name}: {level} in round {round}: {same}");
        }
    }
    for level in [Consistency::Bounded, Consistency::Eventually] {
        let begun = std::time::Instant::now();
        loop {
            let found = compared(&client, level).await;
            assert!(!found.is_divergence(), "{name}: {level}: {found}");
            if found.is_same() {
                break;
            }
            assert!(begun.elapsed().as_secs() < 20, "{name}: {level} is never right: {found}");
        }
    }
    client.close().await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_milvus_lite_3() {
    answers_at_every_level("milvus-lite-3.2.2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_milvus_lite_2() {
    answers_at_every_level("milvus-lite-2.5.1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_milvus_2_3() {
    answers_at_every_level("milvus-2.3.5").await;
}
