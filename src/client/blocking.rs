//! The client for programs without a runtime: the same calls, which return when they are done.
//!
//! ```
//! use milvus_difftest::client::{Builder, blocking};
//! # use milvus_difftest::engine::simulated::{SimulatedMilvus, SimulatedOptions};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let engine = SimulatedMilvus::start(SimulatedOptions::default())?;
//! # let uri = engine.uri();
//! let client = blocking::DiffClient::connect(Builder::default().uri(uri))?;
//! assert!(client.collections().is_empty());
//! client.close();
//! # Ok(())
//! # }
//! ```

use std::path::Path;

use tokio::runtime::Runtime;

use super::{
    AttachOptions, Builder, ClientError, Comparison, Counts, CreateOptions, Doubt,
    EntityComparison, EntityOptions, FilterOptions, GeneratedFilter, Info, Query, QueryPair, Side,
    Written,
};
use crate::dump::Format;
use crate::schema::Schema;
use crate::value::{Key, Row};

/// A [`DiffClient`](super::DiffClient) with threads of its own. Not for asynchronous code, in which
/// it would panic.
#[derive(Debug)]
pub struct DiffClient {
    client: super::DiffClient,
    runtime: Runtime,
}

impl DiffClient {
    /// Connects to both sides; see [`Builder::connect`].
    ///
    /// # Errors
    /// If either side cannot be reached or used.
    pub fn connect(builder: Builder) -> Result<DiffClient, ClientError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| ClientError::Options(format!("cannot start threads: {error}")))?;
        let client = runtime.block_on(builder.connect())?;
        Ok(DiffClient { client, runtime })
    }

    /// See [`DiffClient::collections`](super::DiffClient::collections).
    pub fn collections(&self) -> Vec<String> {
        self.client.collections()
    }

    /// See [`DiffClient::schema`](super::DiffClient::schema).
    ///
    /// # Errors
    /// As there.
    pub fn schema(&self, collection: &str) -> Result<Schema, ClientError> {
        self.client.schema(collection)
    }

    /// See [`DiffClient::in_doubt`](super::DiffClient::in_doubt).
    pub fn in_doubt(&self) -> Vec<Doubt> {
        self.client.in_doubt()
    }

    /// See [`DiffClient::close`](super::DiffClient::close).
    pub fn close(self) {
        self.runtime.block_on(self.client.close());
    }

    /// See [`DiffClient::create_collection`](super::DiffClient::create_collection).
    ///
    /// # Errors
    /// As there.
    pub fn create_collection(&self, name: &str, schema: &Schema) -> Result<(), ClientError> {
        self.runtime.block_on(self.client.create_collection(name, schema))
    }

    /// See [`DiffClient::create_collection_with`](super::DiffClient::create_collection_with).
    ///
    /// # Errors
    /// As there.
    pub fn create_collection_with(
        &self,
        name: &str,
        schema: &Schema,
        options: &CreateOptions,
    ) -> Result<(), ClientError> {
        self.runtime.block_on(self.client.create_collection_with(name, schema, options))
    }

    /// See [`DiffClient::drop_collection`](super::DiffClient::drop_collection).
    ///
    /// # Errors
    /// As there.
    pub fn drop_collection(&self, name: &str) -> Result<(), ClientError> {
        self.runtime.block_on(self.client.drop_collection(name))
    }

    /// See [`DiffClient::insert`](super::DiffClient::insert).
    ///
    /// # Errors
    /// As there.
    pub fn insert(&self, collection: &str, rows: &[Row]) -> Result<Written, ClientError> {
        self.runtime.block_on(self.client.insert(collection, rows))
    }

    /// See [`DiffClient::upsert`](super::DiffClient::upsert).
    ///
    /// # Errors
    /// As there.
    pub fn upsert(&self, collection: &str, rows: &[Row]) -> Result<Written, ClientError> {
        self.runtime.block_on(self.client.upsert(collection, rows))
    }

    /// See [`DiffClient::upsert_partial`](super::DiffClient::upsert_partial).
    ///
    /// # Errors
    /// As there.
    pub fn upsert_partial(&self, collection: &str, rows: &[Row]) -> Result<Written, ClientError> {
        self.runtime.block_on(self.client.upsert_partial(collection, rows))
    }

    /// See [`DiffClient::delete`](super::DiffClient::delete).
    ///
    /// # Errors
    /// As there.
    pub fn delete(&self, collection: &str, keys: &[Key]) -> Result<Written, ClientError> {
        self.runtime.block_on(self.client.delete(collection, keys))
    }

    /// See [`DiffClient::delete_where`](super::DiffClient::delete_where).
    ///
    /// # Errors
    /// As there.
    pub fn delete_where(&self, collection: &str, filter: &str) -> Result<Written, ClientError> {
        self.runtime.block_on(self.client.delete_where(collection, filter))
    }

    /// See [`DiffClient::query`](super::DiffClient::query).
    ///
    /// # Errors
    /// As there.
    pub fn query(
        &self,
        collection: &str,
        query: impl Into<Query>,
    ) -> Result<QueryPair, ClientError> {
        self.runtime.block_on(self.client.query(collection, query))
    }

    /// See [`DiffClient::compare_query`](super::DiffClient::compare_query).
    ///
    /// # Errors
    /// As there.
    pub fn compare_query(
        &self,
        collection: &str,
        query: impl Into<Query>,
    ) -> Result<Comparison, ClientError> {
        self.runtime.block_on(self.client.compare_query(collection, query))
    }

    /// See [`DiffClient::count`](super::DiffClient::count).
    ///
    /// # Errors
    /// As there.
    pub fn count(&self, collection: &str, filter: Option<&str>) -> Result<Counts, ClientError> {
        self.runtime.block_on(self.client.count(collection, filter))
    }

    /// See [`DiffClient::count_and_read`](super::DiffClient::count_and_read).
    ///
    /// # Errors
    /// As there.
    pub fn count_and_read(&self, collection: &str) -> Result<Counts, ClientError> {
        self.runtime.block_on(self.client.count_and_read(collection))
    }

    /// See [`DiffClient::compare_entities`](super::DiffClient::compare_entities).
    ///
    /// # Errors
    /// As there.
    pub fn compare_entities(
        &self,
        collection: &str,
        options: &EntityOptions,
    ) -> Result<EntityComparison, ClientError> {
        self.runtime.block_on(self.client.compare_entities(collection, options))
    }

    /// See [`DiffClient::attach`](super::DiffClient::attach).
    ///
    /// # Errors
    /// As there.
    pub fn attach(&self, name: &str, options: &AttachOptions) -> Result<u64, ClientError> {
        self.runtime.block_on(self.client.attach(name, options))
    }

    /// See [`DiffClient::export`](super::DiffClient::export).
    ///
    /// # Errors
    /// As there.
    pub fn export(
        &self,
        collection: &str,
        side: Side,
        path: &Path,
        format: Format,
    ) -> Result<u64, ClientError> {
        self.runtime.block_on(self.client.export(collection, side, path, format))
    }

    /// See [`DiffClient::sample`](super::DiffClient::sample).
    ///
    /// # Errors
    /// As there.
    pub fn sample(
        &self,
        collection: &str,
        count: usize,
        seed: u64,
    ) -> Result<Vec<Row>, ClientError> {
        self.runtime.block_on(self.client.sample(collection, count, seed))
    }

    /// See [`DiffClient::filters`](super::DiffClient::filters).
    ///
    /// # Errors
    /// As there.
    pub fn filters(
        &self,
        collection: &str,
        options: &FilterOptions,
    ) -> Result<Vec<GeneratedFilter>, ClientError> {
        self.runtime.block_on(self.client.filters(collection, options))
    }

    /// See [`DiffClient::settle`](super::DiffClient::settle).
    ///
    /// # Errors
    /// As there.
    pub fn settle(&self, collection: &str) -> Result<(), ClientError> {
        self.runtime.block_on(self.client.settle(collection))
    }

    /// See [`DiffClient::info`](super::DiffClient::info).
    ///
    /// # Errors
    /// As there.
    pub fn info(&self) -> Result<Info, ClientError> {
        self.runtime.block_on(self.client.info())
    }
}
