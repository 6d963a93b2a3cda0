//! The client without a runtime.

use milvus_difftest::client::{Builder, CreateOptions, EntityOptions, Index, blocking};
use milvus_difftest::engine::simulated::{SimulatedMilvus, SimulatedOptions};
use milvus_difftest::value::{Key, Row};

use super::world::{NAME, row, schema};

#[test]
fn a_program_without_a_runtime_does_the_same() {
    let engine = SimulatedMilvus::start(SimulatedOptions::default()).unwrap();
    let client = blocking::DiffClient::connect(Builder::default().uri(engine.uri())).unwrap();
    let schema = schema(false);
    let options = CreateOptions::default().index(Index::new("n", "INVERTED"));
    client.create_collection_with(NAME, &schema, &options).unwrap();
    let rows: Vec<Row> = (0..10).map(|id| row(&schema, id, id)).collect();
    client.insert(NAME, &rows).unwrap();
    client.upsert(NAME, &rows[..2]).unwrap();
    client.upsert_partial(NAME, &rows[..2]).unwrap();
    client.delete(NAME, &[Key::Int(9)]).unwrap();
    client.delete_where(NAME, "n == 8").unwrap();
    assert!(client.compare_query(NAME, "n > 3").unwrap().is_same());
    let entities = client.compare_entities(NAME, &EntityOptions::default()).unwrap();
    assert!(entities.is_same() && entities.backend_entities == 8, "{entities}");
    assert_eq!(client.sample(NAME, 3, 1).unwrap().len(), 3);
    assert_eq!(client.info().unwrap().collections.len(), 1);
    client.drop_collection(NAME).unwrap();
    client.close();
}
