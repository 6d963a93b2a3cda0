//! What can go wrong between a client, Milvus and the backend.

use crate::backend::BackendError;
use crate::dump::DumpError;
use crate::filter::{ParseError, TypeError};
use crate::milvus::{DialectError, MilvusError};
use crate::reference::ReferenceError;
use crate::value::Key;

/// Why a client could not do what it was asked. Unless it says otherwise, both sides are as they
/// were before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The options do not make a client.
    #[error("{0}")]
    Options(String),
    /// The client has no collection of that name.
    #[error(
        "there is no collection '{0}' here: create it with this client, or attach it if Milvus has \
         one already"
    )]
    NoCollection(String),
    /// There is one already, on either side.
    #[error("there is a collection '{collection}' already, {side}; drop it, or attach it")]
    CollectionExists {
        /// Its name.
        collection: String,
        /// Where: `in Milvus` or `in the backend`.
        side: String,
    },
    /// What Milvus says of a collection is not what it was created with.
    #[error("Milvus has another schema for '{collection}': {difference}")]
    SchemaDiffers {
        /// The collection.
        collection: String,
        /// The first thing that differs.
        difference: String,
    },
    /// Milvus has made a collection, but not with the options that it was to have.
    #[error("Milvus made '{collection}' otherwise than it was asked: {difference}")]
    OptionsDiffer {
        /// The collection.
        collection: String,
        /// The first thing that differs.
        difference: String,
    },
    /// A row does not fit the schema.
    #[error("row {position} does not fit '{collection}': {reason}")]
    Row {
        /// The collection.
        collection: String,
        /// Which row, from 0.
        position: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Keys that are to be inserted exist, or occur twice.
    #[error(
        "'{collection}' has rows with these keys already, or they are given twice: {}; upsert them, \
         or choose another policy for duplicates", listed(.keys)
    )]
    Exists {
        /// The collection.
        collection: String,
        /// The keys.
        keys: Vec<Key>,
    },
    /// The engine's version has not got what was asked for.
    #[error("{engine} has no {feature}, by the dialect {dialect}{}", others(.has))]
    Lacks {
        /// What: `partial upserts`.
        feature: String,
        /// The engine, by the version that it reports.
        engine: String,
        /// The dialect that says so.
        dialect: String,
        /// The built-in dialects whose engines have it.
        has: Vec<String>,
    },
    /// Milvus refused.
    #[error("{0}")]
    Refused(#[source] MilvusError),
    /// Milvus did not say whether it wrote. It was read back and had not, or what it had written
    /// was taken back.
    #[error("nothing was written: {0}")]
    NotWritten(#[source] MilvusError),
    /// Whether Milvus wrote is not known. The collection takes no writes until that is settled.
    #[error(
        "'{collection}' is in doubt since {write}: {reason}; it is settled with the next write, when \
         the client is opened again, or by `settle`"
    )]
    InDoubt {
        /// The collection.
        collection: String,
        /// The write, as in `an insert of 3 rows`.
        write: String,
        /// Why it cannot be settled now.
        reason: String,
    },
    /// A call to Milvus failed that changes nothing.
    #[error(transparent)]
    Milvus(#[from] MilvusError),
    /// The backend failed. What Milvus had accepted was taken back.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The backend cannot be had.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The filter cannot be read.
    #[error("cannot parse the filter: {0}")]
    Filter(#[from] ParseError),
    /// The filter does not fit the schema.
    #[error("the filter does not fit the schema: {0}")]
    Types(#[from] TypeError),
    /// The dialect cannot be read.
    #[error(transparent)]
    Dialect(#[from] DialectError),
    /// A dump cannot be read or written.
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// The references disagree with each other: a defect of this crate.
    #[error("the references disagree, which is a defect of milvus-difftest: {0}")]
    Conflict(String),
    /// What the backend holds about its collections cannot be read.
    #[error("the backend's catalog is damaged: {0}")]
    Catalog(String),
}

fn others(has: &[String]) -> String {
    match has {
        [] => String::new(),
        has => format!("; those of {} have", has.join(", ")),
    }
}

fn listed(keys: &[Key]) -> String {
    const SHOWN: usize = 10;
    let shown: Vec<_> = keys.iter().take(SHOWN).map(Key::to_string).collect();
    let more = keys.len().saturating_sub(SHOWN);
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
