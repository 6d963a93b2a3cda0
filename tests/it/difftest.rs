//! Tests of a schema of one's own, on the default engine, and the assertion of the client.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use milvus_difftest::assert_same;
use milvus_difftest::client::DiffClient;
use milvus_difftest::difftest::DiffTest;
use milvus_difftest::engine::simulated::Fault;
use milvus_difftest::schema::Schema;
use milvus_difftest::value::Row;
use serde_json::json;

use crate::support::simulated;

fn schema() -> Schema {
    serde_json::from_value(json!({"fields": [
        {"name": "id", "type": "INT64", "primary": true},
        {"name": "price", "type": "DOUBLE", "nullable": true},
        {"name": "vec", "type": "FLOAT_VECTOR(2)"},
    ]}))
    .unwrap()
}

#[tokio::test]
async fn the_default_engine_answers_about_ones_own_schema() {
    let folder = tempfile::tempdir().unwrap();
    let test = DiffTest::new("prices", schema()).cases(2).filters(15).seed(1);
    let test = test.engine("milvus-lite-3.2.2").regressions(folder.path());
    let report = test.run().await;
    assert_eq!(report.summary.engine, "milvus_lite-3.2.2");
    assert_eq!(report.summary.cases, 2);
    assert!(report.summary.verdicts.pass > 0, "{report}");
}

/// The message of a panic, if there is one.
async fn panics(work: impl Future<Output = ()>) -> Option<String> {
    let panic = AssertUnwindSafe(work).catch_unwind().await.err()?;
    Some(panic.downcast_ref::<String>().expect("a message").clone())
}

#[tokio::test]
async fn the_assertion_shows_what_differs() {
    let rows: Vec<Row> = [json!(null), json!(5.0), json!(20.0)]
        .iter()
        .zip(1..)
        .map(|(price, id)| json!({"id": id, "price": price, "vec": [0, 1]}))
        .map(|row| Row::from_json(&schema(), &row).unwrap())
        .collect();
    for (faults, fails) in [(&[][..], false), (&[Fault::DropLastMatch], true)] {
        let engine = simulated(faults);
        let builder = DiffClient::builder().uri(engine.uri()).backend("duckdb");
        let client = builder.connect().await.unwrap();
        client.create_collection("products", &schema()).await.unwrap();
        client.insert("products", &rows).await.unwrap();
        let asked = panics(async { assert_same!(client, "products", "price >= 5") }).await;
        assert_eq!(asked.is_some(), fails, "{asked:?}");
        if let Some(text) = asked {
            assert!(text.contains("Milvus returned 1 rows, the backend 2"), "{text}");
        }
        let nonsense = panics(async { assert_same!(client, "products", "price >=") }).await;
        assert!(nonsense.is_some_and(|text| text.contains("could not be compared")));
    }
}
