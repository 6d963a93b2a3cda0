//! Property-based differential testing of Milvus.
#![deny(missing_docs)]

pub mod engine;
