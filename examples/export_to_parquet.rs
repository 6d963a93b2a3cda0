//! What a collection holds, as a Parquet file and as Arrow batches:
//! `cargo run --example export_to_parquet [FILE]`.

use std::path::PathBuf;

use milvus_difftest::client::{DiffClient, Side};
use milvus_difftest::dump::{Format, to_batch};
use milvus_difftest::engine::simulated::{SimulatedMilvus, SimulatedOptions};
use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
use milvus_difftest::value::Row;
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let simulated = SimulatedMilvus::start(SimulatedOptions::default())?;
    let client = DiffClient::builder().uri(simulated.uri()).connect().await?;
    let schema = Schema {
        fields: vec![
            Field::new("id", DataType::Scalar(Scalar::Int64)).primary(),
            Field::new("tags", DataType::Array(Scalar::VarChar)).nullable(),
            Field::new("vec", DataType::FloatVector { dim: 2 }),
        ],
        dynamic: false,
    };
    client.create_collection("goods", &schema).await?;
    let row =
        |id: i64| Row::from_json(&schema, &json!({"id": id, "tags": ["a", "b"], "vec": [id, 0.5]}));
    client.insert("goods", &(0..100).map(row).collect::<Result<Vec<Row>, _>>()?).await?;

    let file =
        std::env::args().nth(1).map_or_else(|| PathBuf::from("goods.parquet"), PathBuf::from);
    let rows = client.export("goods", Side::Milvus, &file, Format::Parquet).await?;
    println!("{}: {rows} rows", file.display());

    let mut entities = client.entities("goods", Side::Backend).await?;
    while let Some(rows) = entities.next().await? {
        let batch = to_batch(&schema, &rows)?;
        println!("a batch of {} rows and {} columns", batch.num_rows(), batch.num_columns());
    }
    client.close().await;
    Ok(())
}
