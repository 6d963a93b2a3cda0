//! One write to both sides, one question to both: `cargo run --example quick_start [URI]`.
//!
//! Without an address it runs against the simulated Milvus of this crate.

use milvus_difftest::client::DiffClient;
use milvus_difftest::engine::simulated::{SimulatedMilvus, SimulatedOptions};
use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
use milvus_difftest::value::Row;
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let simulated = SimulatedMilvus::start(SimulatedOptions::default())?;
    let uri = std::env::args().nth(1).unwrap_or_else(|| simulated.uri());
    let client = DiffClient::builder().uri(uri).backend("duckdb").connect().await?;

    let schema = Schema {
        fields: vec![
            Field::new("id", DataType::Scalar(Scalar::Int64)).primary(),
            Field::new("price", DataType::Scalar(Scalar::Double)),
            Field::new("vec", DataType::FloatVector { dim: 4 }),
        ],
        dynamic: true,
    };
    client.drop_collection("quick_start").await?;
    client.create_collection("quick_start", &schema).await?;
    let rows = (0..1000).map(|id| {
        let price = f64::from(id) / 8.0;
        let vec = [id % 7, 1, 2, 3];
        let colour = ["red", "green", "blue"][id as usize % 3];
        Row::from_json(
            &schema,
            &json!({"id": id, "price": price, "vec": vec, "$meta": {"colour": colour}}),
        )
    });
    client.insert("quick_start", &rows.collect::<Result<Vec<Row>, _>>()?).await?;
    client.delete_where("quick_start", "price > 100").await?;

    for filter in ["price < 10", "colour == \"red\" and id % 2 == 0", "not (colour in [\"blue\"])"]
    {
        println!("{}", client.compare_query("quick_start", filter).await?);
    }
    println!("{}", client.compare_entities("quick_start", &Default::default()).await?);
    client.drop_collection("quick_start").await?;
    client.close().await;
    Ok(())
}
