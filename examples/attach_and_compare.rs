//! Adopt a collection that exists, and see later what has become of it:
//! `cargo run --example attach_and_compare URI COLLECTION [FOLDER]`.
//!
//! The first run takes the entities into a DuckDB in the folder; every later run compares.

use std::path::PathBuf;
use std::sync::Arc;

use milvus_difftest::client::{AttachOptions, DiffClient, EntityOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(uri), Some(collection)) = (args.next(), args.next()) else {
        return Err("give the address of a Milvus and the name of a collection".into());
    };
    let folder = args.next().map_or_else(|| PathBuf::from("attached"), PathBuf::from);
    let client = DiffClient::duckdb(uri, &folder).await?;
    if !client.collections().contains(&collection) {
        let options = AttachOptions {
            progress: Some(Arc::new(|entities| eprintln!("{entities} entities"))),
            ..AttachOptions::default()
        };
        let entities = client.attach(&collection, &options).await?;
        println!("{collection}: {entities} entities taken; run this again to compare");
        return Ok(());
    }
    let options = EntityOptions { batch_size: 8192, ..EntityOptions::default() };
    println!("{}", client.compare_entities(&collection, &options).await?);
    Ok(())
}
