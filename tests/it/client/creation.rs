//! Indexes and the other options of new collections: they are what was asked for, or neither side
//! has the collection.

use milvus_difftest::backend::{Backend, ClickHouse, DuckDb};
use milvus_difftest::client::{
    ClientError, Consistency, CreateOptions, DiffClient, EntityOptions, Index,
};
use milvus_difftest::engine::Engine;
use milvus_difftest::engine::simulated::{Disturbance, Fault, SimulatedMilvus, SimulatedOptions};
use milvus_difftest::milvus::{ConnectOptions, Milvus};
use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
use milvus_difftest::value::Row;
use serde_json::json;

use super::world;

const NAME: &str = "created";

fn schema() -> Schema {
    let scalar = |name: &str, scalar| Field::new(name, DataType::Scalar(scalar));
    let fields = vec![
        scalar("id", Scalar::Int64).primary(),
        scalar("n", Scalar::Int64),
        scalar("word", Scalar::VarChar),
        Field::new("vec", DataType::FloatVector { dim: 4 }),
    ];
    Schema { fields, dynamic: false }
}

fn row(id: i64) -> Row {
    let json = json!({"id": id, "n": id % 7, "word": format!("w{}", id % 5), "vec": [id, 1, 2, 3]});
    Row::from_json(&schema(), &json).unwrap()
}

fn options() -> CreateOptions {
    CreateOptions::default()
}

fn graph() -> Index {
    Index::new("vec", "HNSW").metric("COSINE").param("M", 16).param("efConstruction", 100)
}

async fn client(uri: &str, backend: Box<dyn Backend>) -> DiffClient {
    DiffClient::builder().uri(uri).backend_with(backend).connect().await.unwrap()
}

async fn milvus(uri: &str) -> Milvus {
    let deadline = std::time::Duration::from_secs(30);
    let options = ConnectOptions { uri: uri.to_owned(), token: None, deadline };
    Milvus::connect(&options).await.unwrap()
}

/// Creates, writes, compares and drops.
async fn works(what: &str, uri: &str, client: &DiffClient, options: &CreateOptions) {
    let what = format!("{what}: {options:?}");
    let created = client.create_collection_with(NAME, &schema(), options).await;
    created.unwrap_or_else(|error| panic!("{what}: {error}"));
    let milvus = milvus(uri).await;
    assert_eq!(milvus.departure(NAME, options).await.unwrap(), None, "{what}");
    let found = milvus.indexes(NAME).await.unwrap();
    for field in ["vec"].into_iter().chain(options.indexes.iter().map(|i| i.field.as_str())) {
        assert!(found.iter().any(|index| index.field == field), "{what}: {found:?}");
    }
    client.insert(NAME, &(0..60).map(row).collect::<Vec<_>>()).await.unwrap();
    for filter in ["n == 3", "word == \"w2\""] {
        let compared = client.compare_query(NAME, filter).await.unwrap();
        assert!(compared.is_same() && compared.backend_rows > 5, "{what}: {compared}");
    }
    let same = client.compare_entities(NAME, &EntityOptions::default()).await.unwrap();
    assert!(same.is_same() && same.backend_entities == 60, "{what}: {same}");
    client.drop_collection(NAME).await.unwrap();
}

/// Fails, and leaves nothing on either side.
async fn fails(uri: &str, client: &DiffClient, options: &CreateOptions) -> ClientError {
    let error = client.create_collection_with(NAME, &schema(), options).await.unwrap_err();
    assert_eq!(client.collections(), Vec::<String>::new(), "{error}");
    assert!(!milvus(uri).await.has_collection(NAME).await.unwrap(), "{error}");
    error
}

/// What an engine makes and what it refuses, with either backend.
async fn on(engine: &Engine, made: &[CreateOptions], refused: &[CreateOptions]) {
    let folder = tempfile::tempdir().unwrap();
    let file = DuckDb::open(&folder.path().join("reference.duckdb")).unwrap();
    let server = world::clickhouse().await;
    let clickhouse = ClickHouse::connect(world::options(&server)).await.unwrap();
    let backends: [Box<dyn Backend>; 2] = [Box::new(file), Box::new(clickhouse)];
    for backend in backends {
        let what = format!("{} with {}", engine.version().unwrap_or_default(), backend.name());
        let client = client(engine.uri(), backend).await;
        for options in refused {
            let error = fails(engine.uri(), &client, options).await;
            assert!(matches!(error, ClientError::Refused(_)), "{what}: {options:?}: {error}");
        }
        // Nothing is left of what was refused.
        for options in made {
            works(&what, engine.uri(), &client, options).await;
        }
        client.close().await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_milvus_lite_3() {
    let engine = world::started("milvus-lite-3.2.2").await;
    let made = [
        options().index(graph()).index(Index::new("n", "INVERTED")),
        options().index(Index::new("vec", "IVF_FLAT").param("nlist", 16)),
        options().index(Index::new("word", "INVERTED")),
    ];
    let refused = [
        options().index(Index::new("n", "STL_SORT")),
        options().index(Index::new("vec", "FLAT").metric("HAMMING")),
    ];
    on(&engine, &made, &refused).await;
    lacks(&engine, &[options().shards(2), options().replicas(1)]).await;
    lacks(&engine, &[options().consistency(Consistency::Strong)]).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_milvus_lite_2() {
    let engine = world::started("milvus-lite-2.5.1").await;
    let made = [
        options().index(Index::new("vec", "IVF_FLAT").metric("IP").param("nlist", 16)),
        options().index(Index::new("n", "INVERTED")).index(Index::new("word", "INVERTED")),
    ];
    let refused = [options().index(graph()), options().index(Index::new("n", "STL_SORT"))];
    on(&engine, &made, &refused).await;
    lacks(&engine, &[options().shards(2), options().replicas(1)]).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_milvus_2_3() {
    let engine = world::started("milvus-2.3.5").await;
    let made = [
        options()
            .index(graph())
            .index(Index::new("n", "STL_SORT"))
            .index(Index::new("word", "Trie"))
            .shards(2)
            .consistency(Consistency::Eventually)
            .replicas(1),
        options().consistency(Consistency::Session),
    ];
    let refused = [
        options().index(Index::new("n", "INVERTED")),
        options().index(graph().param("M", 1_000_000)),
        // A standalone server has one node to load it on.
        options().replicas(2),
    ];
    on(&engine, &made, &refused).await;
    engine.stop().await;
}

/// The engine is not asked for what it would forget without a word.
async fn lacks(engine: &Engine, asked: &[CreateOptions]) {
    let client = client(engine.uri(), Box::new(DuckDb::in_memory().unwrap())).await;
    for options in asked {
        let error = fails(engine.uri(), &client, options).await;
        let ClientError::Lacks { has, .. } = &error else { panic!("{options:?}: {error}") };
        assert!(has.contains(&"milvus-2.3".to_owned()), "{error}");
    }
    client.close().await;
}

fn simulated(faults: Vec<Fault>) -> SimulatedMilvus {
    SimulatedMilvus::start(SimulatedOptions { faults, ..Default::default() }).unwrap()
}

fn everything() -> CreateOptions {
    options()
        .index(graph())
        .index(Index::new("word", "INVERTED"))
        .shards(3)
        .consistency(Consistency::Bounded)
        .replicas(2)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_is_made() {
    let engine = simulated(vec![]);
    let client = client(&engine.uri(), Box::new(DuckDb::in_memory().unwrap())).await;
    works("simulated", &engine.uri(), &client, &everything()).await;
    works("simulated", &engine.uri(), &client, &options()).await;
}

#[tokio::test]
async fn an_engine_that_forgets_options_is_found_and_left() {
    let engine = simulated(vec![Fault::OptionsForgotten]);
    let client = client(&engine.uri(), Box::new(DuckDb::in_memory().unwrap())).await;
    for (options, difference) in [
        (options().shards(3), "it has 1 shards, not 3"),
        (options().consistency(Consistency::Bounded), "its consistency is strong, not bounded"),
        (options().replicas(2), "it has 1 replicas, not 2"),
        (options().index(graph()), "the index on 'vec' has no M, and 16 was asked for"),
        (options().index(Index::new("word", "INVERTED")), "there is no index on 'word'"),
    ] {
        let error = fails(&engine.uri(), &client, &options).await;
        let text = error.to_string();
        assert!(matches!(error, ClientError::OptionsDiffer { .. }), "{text}");
        assert!(text.ends_with(difference), "{text}");
    }
    // What it does not forget it may keep.
    let kept = options().shards(1).consistency(Consistency::Strong).replicas(1);
    works("simulated", &engine.uri(), &client, &kept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_side_has_it_whatever_fails() {
    let engine = simulated(vec![]);
    let client = client(&engine.uri(), Box::new(DuckDb::in_memory().unwrap())).await;
    for call in [
        "CreateCollection",
        "CreateIndex",
        "LoadCollection",
        "GetLoadingProgress",
        "DescribeCollection",
        "GetReplicas",
        "DescribeIndex",
    ] {
        for disturbance in [Disturbance::Refused, Disturbance::LostBefore, Disturbance::LostAfter] {
            engine.disturb(call, disturbance);
            let error = fails(&engine.uri(), &client, &everything()).await;
            let text = format!("{call}, {disturbance:?}: {error}");
            assert!(matches!(error, ClientError::Refused(_) | ClientError::Milvus(_)), "{text}");
            assert_eq!(engine.disturbances_left(), 0, "{text}");
        }
    }
    works("simulated", &engine.uri(), &client, &everything()).await;

    for wrong in [
        options().index(Index::new("nowhere", "INVERTED")),
        options().index(graph()).index(Index::new("vec", "FLAT")),
        options().shards(0),
    ] {
        let error = fails(&engine.uri(), &client, &wrong).await;
        assert!(matches!(error, ClientError::Options(_)), "{error}");
    }
}
