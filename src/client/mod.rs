//! One write to both sides, one query to both: a client that mirrors a Milvus collection in a
//! reference database and compares the two.
//!
//! ```
//! use milvus_difftest::client::DiffClient;
//! use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
//! use milvus_difftest::value::Row;
//! use serde_json::json;
//!
//! # use milvus_difftest::engine::simulated::{SimulatedMilvus, SimulatedOptions};
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let engine = SimulatedMilvus::start(SimulatedOptions::default())?;
//! # let uri = engine.uri();
//! let client = DiffClient::builder().uri(uri).backend("duckdb").connect().await?;
//! let schema = Schema {
//!     fields: vec![
//!         Field::new("id", DataType::Scalar(Scalar::Int64)).primary(),
//!         Field::new("price", DataType::Scalar(Scalar::Double)).nullable(),
//!         Field::new("vec", DataType::FloatVector { dim: 2 }),
//!     ],
//!     dynamic: true,
//! };
//! client.create_collection("products", &schema).await?;
//! let row = |json| Row::from_json(&schema, &json);
//! client
//!     .insert("products", &[
//!         row(json!({"id": 1, "price": 9.5, "vec": [0, 1], "$meta": {"colour": "red"}}))?,
//!         row(json!({"id": 2, "price": null, "vec": [1, 0]}))?,
//!     ])
//!     .await?;
//! let comparison = client.compare_query("products", "price < 10").await?;
//! assert!(comparison.is_same(), "{comparison}");
//! # Ok(())
//! # }
//! ```
//!
//! # Writes
//!
//! A write is in doubt until both sides have answered. The backend prepares it where nobody sees it
//! (DuckDB in a transaction, ClickHouse in a table beside), Milvus is asked, and then the backend
//! makes it visible in one step.
//!
//! - Milvus refuses: the backend forgets it. Both sides are as before.
//! - The backend fails after Milvus accepted: Milvus is brought back to what the backend holds.
//! - Nobody knows whether Milvus wrote (a timeout, a lost connection, a dead engine): the keys are
//!   read back. If all of it is there, the backend follows, and [`Written::settled`] says so. If
//!   not, what is there is taken back, and the error says that nothing was written.
//! - While that cannot be done the collection is in doubt ([`DiffClient::in_doubt`]) and takes no
//!   writes. A list of the keys concerned lies beside the backend's tables, so that the next write,
//!   or the next client, settles it. Before that, the write's own process need not have ended well.
//!
//! An insert of keys that exist is refused unless [`OnDuplicate`] says otherwise. Writes to the same
//! key are sent one after the other, in the order in which they were called; writes to other keys go
//! side by side. A write goes on to its end when the future that waits for it is dropped.
//!
//! # Reading
//!
//! Queries and comparisons wait for the writes of the same client that came before them, and later
//! writes wait for them: what another process writes at the same time shows as a difference.

mod assert;
mod attach;
pub mod blocking;
mod builder;
mod catalog;
mod collection;
mod entities;
mod error;
mod filters;
mod info;
mod pages;
mod read;
mod sessions;
mod settle;
mod turns;
mod write;

pub use self::attach::{AttachOptions, Entities, Side, Source};
pub use self::builder::{Builder, OnDuplicate};
pub use self::collection::DiffClient;
pub use self::entities::{EntityComparison, EntityOptions, Progress};
pub use self::error::ClientError;
pub use self::filters::{FilterOptions, GeneratedFilter};
pub use self::info::{CollectionInfo, Info};
pub use self::read::{Comparison, Counts, Query, QueryPair};
pub use self::settle::Doubt;
pub use self::write::{Settled, Written};
pub use crate::milvus::{Consistency, CreateOptions, Index};
