//! The system under test, as a client sees it: connection, writes, queries with an own decoder,
//! and what each engine version accepts (`dialect`, as data).

mod alias;
mod connection;
mod create;
mod decode;
mod describe;
pub mod dialect;
mod encode;
mod error;
mod field;
mod maintain;
mod partition;
mod query;
mod search;
mod session;
mod write;

pub use connection::{ConnectOptions, Milvus};
pub use create::{CreateOptions, Index};
pub use dialect::{CallFeature, Dialect, DialectError, SchemaFeature};
pub use error::{MilvusError, code_in};
pub use maintain::Proof;
pub use query::{Consistency, QueryOptions, UnknownConsistency};
pub use search::Nearest;
pub(crate) use write::keys_filter;
