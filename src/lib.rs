//! Property-based differential testing of Milvus.
#![deny(missing_docs)]

pub mod engine;
pub mod filter;
pub mod milvus;
pub mod schema;
pub mod value;
