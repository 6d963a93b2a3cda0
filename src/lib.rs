//! Property-based differential testing of Milvus.
#![deny(missing_docs)]

pub mod case;
pub mod compare;
pub mod engine;
pub mod filter;
pub mod generate;
pub mod milvus;
pub mod schema;
pub mod value;
