//! Property-based differential testing of Milvus.
#![deny(missing_docs)]

pub mod backend;
pub mod engine;
pub mod filter;
pub mod schema;
pub mod value;
