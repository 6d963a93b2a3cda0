//! Comparing in tests.

/// Asks both sides of a [`DiffClient`](crate::client::DiffClient) a query, awaits their answers, and
/// panics with the table of differences if they are not the same; see
/// [`compare_query`](crate::client::DiffClient::compare_query). A difference that the documentation
/// leaves open is one, too, and the message says so.
///
/// ```
/// use milvus_difftest::assert_same;
/// use milvus_difftest::client::DiffClient;
/// # use milvus_difftest::engine::simulated::{SimulatedMilvus, SimulatedOptions};
/// # use milvus_difftest::schema::Schema;
/// # use milvus_difftest::value::Row;
/// # use serde_json::json;
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let engine = SimulatedMilvus::start(SimulatedOptions::default())?;
/// # let uri = engine.uri();
/// # let schema: Schema = serde_json::from_value(json!({"fields": [
/// #     {"name": "id", "type": "INT64", "primary": true},
/// #     {"name": "price", "type": "DOUBLE", "nullable": true},
/// #     {"name": "vec", "type": "FLOAT_VECTOR(2)"},
/// # ]}))?;
/// # let rows = [Row::from_json(&schema, &json!({"id": 1, "price": null, "vec": [0, 1]}))?];
/// let client = DiffClient::builder().uri(uri).backend("duckdb").connect().await?;
/// client.create_collection("products", &schema).await?;
/// client.insert("products", &rows).await?;
/// assert_same!(client, "products", "not (price > 10)");
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// If the answers differ, if Milvus gives none, or if the two cannot be compared.
#[macro_export]
macro_rules! assert_same {
    ($client:expr, $collection:expr, $query:expr $(,)?) => {
        match $client.compare_query($collection, $query).await {
            ::core::result::Result::Ok(comparison) if comparison.is_same() => {}
            ::core::result::Result::Ok(comparison) => {
                ::core::panic!("both sides should answer the same\n{comparison}")
            }
            ::core::result::Result::Err(error) => {
                ::core::panic!("both sides could not be compared: {error}")
            }
        }
    };
}
