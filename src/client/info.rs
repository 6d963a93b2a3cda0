//! What a client is connected to.

use std::fmt;

use serde::Serialize;

use super::builder::reported;
use super::collection::DiffClient;
use super::error::ClientError;
use super::turns::Need;

/// What a client is connected to, and what is there. It holds no secrets.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Info {
    /// Milvus's version, as it reports it.
    pub milvus: String,
    /// The dialect by which filters are generated for it.
    pub dialect: String,
    /// The backend and its version.
    pub backend: String,
    /// Where the backend is: a path, or an address without credentials; `None` if it goes with this
    /// process.
    pub location: Option<String>,
    /// How the backend keeps a write from sight until Milvus has it.
    pub staging: &'static str,
    /// The collections.
    pub collections: Vec<CollectionInfo>,
}

/// One collection of a client.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct CollectionInfo {
    /// Its name.
    pub name: String,
    /// Its fields.
    pub fields: usize,
    /// How many rows the backend has.
    pub backend_rows: u64,
    /// How many Milvus counts; `None` if it cannot say.
    pub milvus_rows: Option<u64>,
    /// Writes that are in doubt.
    pub in_doubt: usize,
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Milvus   {} (dialect {})", self.milvus, self.dialect)?;
        let location = self.location.as_deref().unwrap_or("in memory");
        write!(f, "backend  {}, {location}; {}", self.backend, self.staging)?;
        for collection in &self.collections {
            let CollectionInfo { name, fields, backend_rows, .. } = collection;
            let milvus = match collection.milvus_rows {
                Some(rows) => rows.to_string(),
                None => "an unknown number".to_owned(),
            };
            write!(f, "\n{name}: {fields} fields, {backend_rows} rows, in Milvus {milvus}")?;
            if collection.in_doubt > 0 {
                write!(f, ", {} writes in doubt", collection.in_doubt)?;
            }
        }
        Ok(())
    }
}

impl DiffClient {
    /// What this client is connected to, and how many rows each collection has on both sides.
    ///
    /// # Errors
    /// If the backend fails.
    pub async fn info(&self) -> Result<Info, ClientError> {
        let client = &*self.0;
        let mut collections = Vec::new();
        let doubts = self.in_doubt();
        for name in self.collections() {
            let collection = client.collection(&name)?;
            let _turn = collection.turns.take(Need::Read).await;
            let milvus = client.milvus_count(&collection).await;
            collections.push(CollectionInfo {
                fields: collection.schema().fields.len(),
                backend_rows: client.count_where(&collection, None).await?,
                milvus_rows: milvus.ok(),
                in_doubt: doubts.iter().filter(|doubt| doubt.collection == name).count(),
                name,
            });
        }
        let backend = client.sessions.name();
        Ok(Info {
            milvus: reported(&client.milvus).to_owned(),
            dialect: client.dialect.name.clone(),
            backend: backend.to_owned(),
            location: client.sessions.location().map(str::to_owned),
            staging: match backend.split(' ').next() {
                Some("DuckDB") => "writes wait in a transaction",
                Some("ClickHouse") => "writes wait in a table beside",
                _ => "writes wait as it sees fit",
            },
            collections,
        })
    }
}
