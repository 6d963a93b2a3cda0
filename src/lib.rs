//! Property-based differential testing of Milvus.
#![deny(missing_docs)]

pub mod apply;
pub mod backend;
pub mod case;
pub mod compare;
pub mod engine;
pub mod filter;
pub mod finding;
pub mod generate;
pub mod milvus;
mod oracle;
pub mod report;
pub mod schema;
pub mod shrink;
pub mod triage;
pub mod value;
pub mod verdict;
