//! Queries over the raw protocol: the SDK's decoder loses rows (whole answers with an empty array
//! from C++ servers, see docs/measurements.md).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use milvus::proto::common::{ConsistencyLevel, KeyValuePair};
use milvus::proto::milvus::{QueryRequest, QueryResults};

use super::connection::Milvus;
use super::decode;
use super::error::{MilvusError, check_status};
use super::write::keys_filter;
use crate::schema::Schema;
use crate::value::{Key, META, Row};

/// How fresh an answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// Sees every acknowledged write. Costs up to 200 ms on a standalone server.
    Strong,
    /// Sees what has arrived. Enough once a [`Consistency::Strong`] read has followed the writes.
    Eventually,
}

/// How a query is asked.
#[derive(Debug, Clone, Copy)]
pub struct QueryOptions {
    /// How fresh the answer must be.
    pub consistency: Consistency,
    /// How long it may take.
    pub deadline: Duration,
    /// So many rows at most, after so many others.
    pub page: Option<(u32, u32)>,
}

impl Milvus {
    /// The rows that match, with every field of the schema.
    pub async fn query(
        &self,
        collection: &str,
        schema: &Schema,
        filter: &str,
        options: QueryOptions,
    ) -> Result<Vec<Row>, MilvusError> {
        let mut output: Vec<String> = schema.fields.iter().map(|f| f.name.clone()).collect();
        if schema.dynamic {
            output.push(META.to_owned());
        }
        let results = self.raw_query(collection, filter, output, options).await?;
        decode::rows(schema, &results.fields_data)
            .map_err(|reason| MilvusError::Malformed { operation: "query", reason })
    }

    /// The rows that match, with these fields alone, `$meta` for the dynamic one, and the key.
    pub async fn query_fields(
        &self,
        collection: &str,
        schema: &Schema,
        filter: &str,
        fields: &[String],
        options: QueryOptions,
    ) -> Result<Vec<Row>, MilvusError> {
        let asked = |name: &str| fields.iter().any(|field| field == name);
        let part = Schema {
            fields: schema.fields.iter().filter(|f| f.primary || asked(&f.name)).cloned().collect(),
            dynamic: schema.dynamic && asked(META),
        };
        self.query(collection, &part, filter, options).await
    }

    /// The rows with these keys, with every field of the schema.
    pub async fn query_keys(
        &self,
        collection: &str,
        schema: &Schema,
        keys: &[Key],
        options: QueryOptions,
    ) -> Result<Vec<Row>, MilvusError> {
        match keys.is_empty() {
            true => Ok(Vec::new()),
            false => self.query(collection, schema, &keys_filter(schema, keys), options).await,
        }
    }

    /// `count(*)` of the rows that match.
    pub async fn count(
        &self,
        collection: &str,
        filter: &str,
        options: QueryOptions,
    ) -> Result<u64, MilvusError> {
        let output = vec!["count(*)".to_owned()];
        let results = self.raw_query(collection, filter, output, options).await?;
        decode::count(&results.fields_data)
            .map_err(|reason| MilvusError::Malformed { operation: "count", reason })
    }

    async fn raw_query(
        &self,
        collection: &str,
        filter: &str,
        output_fields: Vec<String>,
        options: QueryOptions,
    ) -> Result<QueryResults, MilvusError> {
        const OPERATION: &str = "query";
        let (level, guarantee_timestamp) = match options.consistency {
            // What the SDK's Strong comes to: the server's clock must have passed this moment.
            // The lower 18 bits of a timestamp are a counter, the rest milliseconds.
            Consistency::Strong => (ConsistencyLevel::Strong, now_in_milliseconds() << 18),
            Consistency::Eventually => (ConsistencyLevel::Eventually, 1),
        };
        let parameter =
            |key: &str, value: u32| KeyValuePair { key: key.to_owned(), value: value.to_string() };
        let query_params = match options.page {
            Some((limit, offset)) => vec![parameter("limit", limit), parameter("offset", offset)],
            // Servers refuse a filter that is always true unless there is a limit.
            None if filter.is_empty() && output_fields != ["count(*)"] => {
                vec![parameter("limit", MAX_ROWS)]
            }
            None => Vec::new(),
        };
        let request = QueryRequest {
            collection_name: collection.to_owned(),
            expr: filter.to_owned(),
            output_fields,
            guarantee_timestamp,
            consistency_level: level.into(),
            query_params,
            ..QueryRequest::default()
        };
        let mut raw = self.raw.clone();
        let begun = std::time::Instant::now();
        let response = tokio::time::timeout(options.deadline, raw.query(request)).await;
        tracing::trace!(operation = OPERATION, elapsed = ?begun.elapsed(), "called milvus");
        let response = response
            .map_err(|_| MilvusError::Deadline { operation: OPERATION, after: options.deadline })?
            .map_err(|status| MilvusError::from_status(OPERATION, options.deadline, &status))?
            .into_inner();
        check_status(OPERATION, response.status.as_ref())?;
        Ok(response)
    }
}

/// The most rows that servers return for one query (documentation, "Milvus limits").
const MAX_ROWS: u32 = 16384;

fn now_in_milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX >> 18)
}
