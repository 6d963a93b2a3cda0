//! Queries over the raw protocol: the SDK's decoder loses rows (whole answers with an empty array
//! from C++ servers, see docs/measurements.md).

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use milvus::proto::common::{ConsistencyLevel, KeyValuePair};
use milvus::proto::milvus::{QueryRequest, QueryResults};
use milvus::proto::schema::TemplateValue;
use serde::{Deserialize, Serialize};

use super::connection::Milvus;
use super::decode;
use super::encode::template;
use super::error::{MilvusError, check_status};
use super::write::keys_filter;
use crate::filter::Literal;
use crate::schema::Schema;
use crate::value::{Key, META, Row};

/// How fresh an answer must be: the levels of Milvus's documentation, "Consistency Level".
///
/// ```
/// use milvus_difftest::milvus::Consistency;
/// assert_eq!("bounded".parse::<Consistency>()?, Consistency::Bounded);
/// assert_eq!(Consistency::Session.to_string(), "session");
/// # Ok::<(), milvus_difftest::milvus::UnknownConsistency>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// Sees every acknowledged write. Costs up to 200 ms on a standalone server.
    Strong,
    /// Sees what was written through the same connection or its clones. Before the first write it
    /// is as [`Consistency::Eventually`], as in Milvus's own clients.
    Session,
    /// Sees what was written some time ago: five seconds, unless the server is set otherwise.
    Bounded,
    /// Sees what has arrived. Enough once a [`Consistency::Strong`] read has followed the writes.
    Eventually,
}

impl Consistency {
    /// Every level, the strictest first.
    pub const ALL: [Consistency; 4] =
        [Consistency::Strong, Consistency::Session, Consistency::Bounded, Consistency::Eventually];

    fn name(self) -> &'static str {
        match self {
            Consistency::Strong => "strong",
            Consistency::Session => "session",
            Consistency::Bounded => "bounded",
            Consistency::Eventually => "eventually",
        }
    }

    /// As pymilvus calls it: `Session`.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Consistency::Strong => "Strong",
            Consistency::Session => "Session",
            Consistency::Bounded => "Bounded",
            Consistency::Eventually => "Eventually",
        }
    }

    pub(super) fn wire(self) -> ConsistencyLevel {
        match self {
            Consistency::Strong => ConsistencyLevel::Strong,
            Consistency::Session => ConsistencyLevel::Session,
            Consistency::Bounded => ConsistencyLevel::Bounded,
            Consistency::Eventually => ConsistencyLevel::Eventually,
        }
    }

    /// The server's clock must have passed this. 0, 1 and 2 are not moments but what Milvus's
    /// clients send; it takes them for "now", "no matter" and "some time ago". What is now is for
    /// the server to say: if this machine's clock were ahead of it, it would wait until it is not,
    /// and if it were behind, later writes might not be seen.
    pub(super) fn guarantee(self, last_write: Option<u64>) -> u64 {
        match self {
            Consistency::Strong => 0,
            Consistency::Session => last_write.unwrap_or(1),
            Consistency::Bounded => 2,
            Consistency::Eventually => 1,
        }
    }
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Consistency {
    type Err = UnknownConsistency;

    fn from_str(name: &str) -> Result<Consistency, UnknownConsistency> {
        let level = Consistency::ALL.into_iter().find(|level| level.name() == name);
        level.ok_or_else(|| UnknownConsistency(name.chars().take(40).collect()))
    }
}

/// A name that no level of consistency has.
#[derive(Debug, Clone, thiserror::Error)]
#[error("unknown consistency '{0}': expected strong, session, bounded or eventually")]
pub struct UnknownConsistency(String);

/// How a query is asked.
#[derive(Debug, Clone, Copy)]
pub struct QueryOptions<'a> {
    /// How fresh the answer must be.
    pub consistency: Consistency,
    /// How long it may take.
    pub deadline: Duration,
    /// So many rows at most, after so many others.
    pub page: Option<(u32, u32)>,
    /// The partitions that are looked at; all of them if none is named.
    pub partitions: &'a [String],
}

/// What few queries have beside their options.
#[derive(Default)]
struct Asking {
    /// The next so many rows of an iteration.
    batch: Option<u32>,
    /// Values of templates.
    values: HashMap<String, TemplateValue>,
}

impl Milvus {
    /// The rows that match, with every field of the schema.
    pub async fn query(
        &self,
        collection: &str,
        schema: &Schema,
        filter: &str,
        options: QueryOptions<'_>,
    ) -> Result<Vec<Row>, MilvusError> {
        let mut output: Vec<String> = schema.fields.iter().map(|f| f.name.clone()).collect();
        if schema.dynamic {
            output.push(META.to_owned());
        }
        let results =
            self.raw_query(collection, filter, output, options, Asking::default()).await?;
        decode::rows(schema, &results.fields_data)
            .map_err(|reason| MilvusError::Malformed { operation: "query", reason })
    }

    /// The next rows of an iteration by key, at most so many: `filter` lets only later keys pass.
    /// It is sent with the parameters that pymilvus 2.4 to 3.0 sends for its `query_iterator`, by
    /// which a server knows that the smallest keys are wanted.
    ///
    /// # Errors
    /// If the server refuses, or answers what is no such rows.
    pub async fn query_batch(
        &self,
        collection: &str,
        schema: &Schema,
        filter: &str,
        options: QueryOptions<'_>,
        batch: u32,
    ) -> Result<Vec<Row>, MilvusError> {
        let key: Vec<_> = schema.fields.iter().filter(|field| field.primary).cloned().collect();
        let output = key.iter().map(|field| field.name.clone()).collect();
        let part = Schema { fields: key, dynamic: false };
        let asking = Asking { batch: Some(batch), ..Asking::default() };
        let results = self.raw_query(collection, filter, output, options, asking).await?;
        decode::rows(&part, &results.fields_data)
            .map_err(|reason| MilvusError::Malformed { operation: "query", reason })
    }

    /// The rows that match, with these fields alone, `$meta` for the dynamic one, and the key.
    pub async fn query_fields(
        &self,
        collection: &str,
        schema: &Schema,
        filter: &str,
        fields: &[String],
        options: QueryOptions<'_>,
    ) -> Result<Vec<Row>, MilvusError> {
        let asked = |name: &str| fields.iter().any(|field| field == name);
        let part = Schema {
            fields: schema.fields.iter().filter(|f| f.primary || asked(&f.name)).cloned().collect(),
            dynamic: schema.dynamic && asked(META),
        };
        self.query(collection, &part, filter, options).await
    }

    /// The keys of the rows that match a filter with templates, whose values are sent beside it.
    ///
    /// # Errors
    /// If the server refuses, or if a value cannot be sent.
    pub async fn query_bound(
        &self,
        collection: &str,
        schema: &Schema,
        filter: &str,
        values: &BTreeMap<String, Literal>,
        options: QueryOptions<'_>,
    ) -> Result<Vec<Row>, MilvusError> {
        let part = Schema { fields: vec![schema.primary().clone()], dynamic: false };
        let output = vec![schema.primary().name.clone()];
        let value = |(name, value): (&String, &Literal)| match template(value) {
            Some(value) => Ok((name.clone(), value)),
            None => Err(MilvusError::Unsendable {
                operation: "query",
                reason: format!("the value of {{{name}}} is no constant, nor a list of one type"),
            }),
        };
        let values = values.iter().map(value).collect::<Result<_, _>>()?;
        let asking = Asking { values, ..Asking::default() };
        let results = self.raw_query(collection, filter, output, options, asking).await?;
        decode::rows(&part, &results.fields_data)
            .map_err(|reason| MilvusError::Malformed { operation: "query", reason })
    }

    /// The rows with these keys, with every field of the schema.
    pub async fn query_keys(
        &self,
        collection: &str,
        schema: &Schema,
        keys: &[Key],
        options: QueryOptions<'_>,
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
        options: QueryOptions<'_>,
    ) -> Result<u64, MilvusError> {
        let output = vec!["count(*)".to_owned()];
        let results =
            self.raw_query(collection, filter, output, options, Asking::default()).await?;
        decode::count(&results.fields_data)
            .map_err(|reason| MilvusError::Malformed { operation: "count", reason })
    }

    /// Whether a read with this consistency must show every write of this connection.
    pub fn must_show_own_writes(&self, collection: &str, consistency: Consistency) -> bool {
        match consistency {
            Consistency::Strong => true,
            // Unless the server has said when that was, this machine's clock is all there is to
            // go by, and it may be behind the server's.
            Consistency::Session => self.session.is_told(collection),
            Consistency::Bounded | Consistency::Eventually => false,
        }
    }

    async fn raw_query(
        &self,
        collection: &str,
        filter: &str,
        output_fields: Vec<String>,
        options: QueryOptions<'_>,
        asking: Asking,
    ) -> Result<QueryResults, MilvusError> {
        const OPERATION: &str = "query";
        let guarantee_timestamp =
            options.consistency.guarantee(self.session.last_write(collection));
        let parameter =
            |key: &str, value: u32| KeyValuePair { key: key.to_owned(), value: value.to_string() };
        let flag = |key: &str| KeyValuePair { key: key.to_owned(), value: "True".to_owned() };
        let query_params = match (asking.batch, options.page) {
            (Some(batch), _) => {
                let flags = [flag("iterator"), flag("reduce_stop_for_best")];
                let page = [parameter("limit", batch), parameter("offset", 0)];
                flags.into_iter().chain(page).collect()
            }
            (None, Some((limit, offset))) => {
                vec![parameter("limit", limit), parameter("offset", offset)]
            }
            // Servers refuse a filter that is always true unless there is a limit.
            (None, None) if filter.is_empty() && output_fields != ["count(*)"] => {
                vec![parameter("limit", MAX_ROWS)]
            }
            (None, None) => Vec::new(),
        };
        let request = QueryRequest {
            collection_name: collection.to_owned(),
            expr: filter.to_owned(),
            partition_names: options.partitions.to_vec(),
            output_fields,
            guarantee_timestamp,
            consistency_level: options.consistency.wire().into(),
            query_params,
            expr_template_values: asking.values,
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
