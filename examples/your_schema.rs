//! A difftest of one's own schema, as a program: what a project puts into a `#[tokio::test]`.
//!
//! ```sh
//! cargo run --example your_schema                                     # a simulated engine, seconds
//! cargo run --example your_schema milvus-lite-3.2.2                   # a real one, installed if need be
//! MILVUS_DIFFTEST_TIME=1m cargo run --example your_schema docker      # in a container, for a minute
//! ```
//!
//! If it finds something it panics with the shrunk case, and keeps that below
//! `difftest-regressions/`, to be asked first by the next run.

use milvus_difftest::difftest::DiffTest;
use milvus_difftest::difftest::proptest::prelude::*;
use milvus_difftest::engine::simulated::SimulatedOptions;
use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
use milvus_difftest::value::Row;
use serde_json::json;

/// The collection as the project creates it.
fn schema() -> Schema {
    Schema {
        fields: vec![
            Field::new("sku", DataType::Scalar(Scalar::Int64)).primary(),
            Field::new("title", DataType::Scalar(Scalar::VarChar)),
            Field::new("price", DataType::Scalar(Scalar::Double)).nullable(),
            Field::new("embedding", DataType::FloatVector { dim: 2 }),
        ],
        dynamic: true,
    }
}

/// Rows as the project has them. Without this, they are made of limits and special cases.
fn rows() -> impl Strategy<Value = Row> + Send + Sync {
    let price = prop::option::of((0..10_000i32).prop_map(|cents| f64::from(cents) / 100.0));
    let row = (0..500i64, "(red|green) (shoe|hat)s?", price, prop::bool::ANY);
    row.prop_map(|(sku, title, price, sale)| {
        let dynamic = json!({"sale": sale});
        let row = json!({"sku": sku, "title": title, "price": price, "embedding": [0, 1], "$meta": dynamic});
        Row::from_json(&schema(), &row).expect("a row of the schema")
    })
}

#[tokio::main]
async fn main() {
    let test = DiffTest::new("products", schema())
        .rows(rows())
        .cases(3) // a collection each, with up to 300 rows
        .weight("like", 0.2); // a fifth of the filters with `like` that there would be
    let test = match std::env::args().nth(1) {
        Some(engine) => test.engine(engine),
        None => test.simulated(SimulatedOptions::default()),
    };
    let report = test.run().await;
    println!("{report}");
}
