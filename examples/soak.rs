//! Writers and a checker on one collection, for as long as you like:
//! `cargo run --example soak [SECONDS] [URI]`.
//!
//! The writers insert, upsert and delete at random; meanwhile the checker compares. It must never
//! see a difference: comparisons wait for the writes before them. Without an address it runs
//! against the simulated Milvus of this crate.

use std::time::{Duration, Instant};

use milvus_difftest::client::{ClientError, DiffClient, EntityOptions};
use milvus_difftest::engine::simulated::{SimulatedMilvus, SimulatedOptions};
use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
use milvus_difftest::value::{Key, Row};
use rand::RngExt;
use serde_json::json;

const NAME: &str = "soak";
const WRITERS: usize = 4;
const KEYS: i64 = 2000;

fn row(schema: &Schema, id: i64) -> Row {
    let n: i64 = rand::rng().random_range(0..1000);
    let json = json!({"id": id, "n": n, "vec": [n, id]});
    Row::from_json(schema, &json).expect("it fits the schema")
}

async fn write(client: DiffClient, schema: Schema, until: Instant) -> Result<u64, ClientError> {
    let mut written = 0;
    while Instant::now() < until {
        let first = rand::rng().random_range(0..KEYS);
        let rows: Vec<Row> = (first..first + 20).map(|id| row(&schema, id)).collect();
        let deed = rand::rng().random_range(0..3);
        match deed {
            0 => match client.insert(NAME, &rows).await {
                // Some are there already, and so none were written.
                Err(ClientError::Exists { .. }) => continue,
                done => done?,
            },
            1 => client.upsert(NAME, &rows).await?,
            _ => client.delete(NAME, &[Key::Int(first), Key::Int(first + 1)]).await?,
        };
        written += 1;
    }
    Ok(written)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let simulated = SimulatedMilvus::start(SimulatedOptions::default())?;
    let mut args = std::env::args().skip(1);
    let seconds = args.next().map_or(Ok(5), |text| text.parse())?;
    let uri = args.next().unwrap_or_else(|| simulated.uri());
    let client = DiffClient::builder().uri(uri).connect().await?;
    let schema = Schema {
        fields: vec![
            Field::new("id", DataType::Scalar(Scalar::Int64)).primary(),
            Field::new("n", DataType::Scalar(Scalar::Int32)),
            Field::new("vec", DataType::FloatVector { dim: 2 }),
        ],
        dynamic: false,
    };
    client.drop_collection(NAME).await?;
    client.create_collection(NAME, &schema).await?;

    let until = Instant::now() + Duration::from_secs(seconds);
    let writers: Vec<_> =
        (0..WRITERS).map(|_| tokio::spawn(write(client.clone(), schema.clone(), until))).collect();
    let mut compared = 0;
    while Instant::now() < until {
        let bound = rand::rng().random_range(0..1000);
        let comparison = client.compare_query(NAME, format!("n < {bound}").as_str()).await?;
        assert!(comparison.is_same(), "{comparison}");
        compared += 1;
    }
    let mut written = 0;
    for writer in writers {
        written += writer.await??;
    }
    let entities = client.compare_entities(NAME, &EntityOptions::default()).await?;
    assert!(entities.is_same(), "{entities}");
    println!("{written} writes, {compared} comparisons; {entities}");
    client.drop_collection(NAME).await?;
    client.close().await;
    Ok(())
}
