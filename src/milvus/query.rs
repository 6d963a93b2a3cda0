//! Queries over the raw protocol: the SDK's decoder loses rows (whole answers with an empty array
//! from C++ servers, see docs/measurements.md).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use milvus::proto::common::{ConsistencyLevel, KeyValuePair};
use milvus::proto::milvus::{QueryRequest, QueryResults};

use super::connection::Milvus;
use super::decode;
use super::error::{MilvusError, check_status};
use crate::schema::Schema;
use crate::value::{META, Row};

/// How fresh an answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// Sees every acknowledged write. Costs up to 200 ms on a standalone server.
    Strong,
    /// Sees what has arrived. Enough once a [`Consistency::Strong`] read has followed the writes.
    Eventually,
}

impl Milvus {
    /// The rows that match, with every field of the schema.
    pub async fn query(
        &self,
        collection: &str,
        schema: &Schema,
        filter: &str,
        consistency: Consistency,
        deadline: Duration,
    ) -> Result<Vec<Row>, MilvusError> {
        let mut output: Vec<String> = schema.fields.iter().map(|f| f.name.clone()).collect();
        if schema.dynamic {
            output.push(META.to_owned());
        }
        let results = self.raw_query(collection, filter, output, consistency, deadline).await?;
        decode::rows(schema, &results.fields_data)
            .map_err(|reason| MilvusError::Malformed { operation: "query", reason })
    }

    /// `count(*)` of the rows that match.
    pub async fn count(
        &self,
        collection: &str,
        filter: &str,
        consistency: Consistency,
        deadline: Duration,
    ) -> Result<u64, MilvusError> {
        let output = vec!["count(*)".to_owned()];
        let results = self.raw_query(collection, filter, output, consistency, deadline).await?;
        decode::count(&results.fields_data)
            .map_err(|reason| MilvusError::Malformed { operation: "count", reason })
    }

    async fn raw_query(
        &self,
        collection: &str,
        filter: &str,
        output_fields: Vec<String>,
        consistency: Consistency,
        deadline: Duration,
    ) -> Result<QueryResults, MilvusError> {
        const OPERATION: &str = "query";
        let (level, guarantee_timestamp) = match consistency {
            // What the SDK's Strong comes to: the server's clock must have passed this moment.
            // The lower 18 bits of a timestamp are a counter, the rest milliseconds.
            Consistency::Strong => (ConsistencyLevel::Strong, now_in_milliseconds() << 18),
            Consistency::Eventually => (ConsistencyLevel::Eventually, 1),
        };
        // Servers refuse a filter that is always true unless there is a limit.
        let query_params = if filter.is_empty() && output_fields != ["count(*)"] {
            vec![KeyValuePair { key: "limit".to_owned(), value: MAX_ROWS.to_string() }]
        } else {
            Vec::new()
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
        let response = tokio::time::timeout(deadline, raw.query(request)).await;
        let response = response
            .map_err(|_| MilvusError::Deadline { operation: OPERATION, after: deadline })?
            .map_err(|status| MilvusError::from_status(OPERATION, &status))?
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
