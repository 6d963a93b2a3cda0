//! Filter corpora: filters for one schema and its rows, each with the answer that the references
//! agree on. Testers run them against engines of their own, with or without this tool.
//!
//! ```
//! use milvus_difftest::backend::{Backend, DuckDb};
//! use milvus_difftest::corpus::Corpus;
//! use milvus_difftest::milvus::Dialect;
//! use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
//! use milvus_difftest::value::Row;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
//! let price = Field::new("price", DataType::Scalar(Scalar::Double));
//! let schema = Schema { fields: vec![id, price], dynamic: false };
//! let row = |id, price| Row::from_json(&schema, &serde_json::json!({"id": id, "price": price}));
//! let rows = vec![row(1, 9.5)?, row(2, 20.0)?];
//! let mut databases: [Box<dyn Backend>; 1] = [Box::new(DuckDb::in_memory()?)];
//! let dialect = Dialect::everything();
//! let corpus = Corpus::generate(schema, rows, &dialect, 20, 7, &mut databases).await?;
//! assert_eq!(corpus.entries.len(), 20);
//! assert_eq!(Corpus::from_lines(&corpus.to_lines())?.entries, corpus.entries);
//! # Ok(())
//! # }
//! ```

mod build;
mod file;

pub use build::BuildError;
pub use file::{Corpus, CorpusError, Entry};
