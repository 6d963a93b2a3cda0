//! Creating and loading collections, with indexes and whatever else can be asked for, and finding
//! out whether the server has made what it was asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use milvus::proto::common::KeyValuePair;
use milvus::proto::milvus::{
    CreateCollectionRequest, CreateIndexRequest, DescribeCollectionRequest, DescribeIndexRequest,
    GetLoadingProgressRequest, GetReplicasRequest, IndexDescription,
};
use milvus::v2::prelude as sdk;
use prost::Message as _;
use serde_json::{Map, Value as Json};
use tokio::time::{Instant, sleep, timeout};

use super::connection::Milvus;
use super::dialect::CallFeature;
use super::encode;
use super::error::{MilvusError, check_status};
use super::query::Consistency;
use crate::schema::{DataType, Field, Schema};

/// How often a collection that is being loaded or changed is looked at.
pub(super) const LOAD_POLL: Duration = Duration::from_millis(15);

/// Milvus's code for an index that is not there.
const NO_INDEX: i32 = 700;

/// An index of one field, in Milvus's own names (documentation, "Index Explained").
///
/// ```
/// use milvus_difftest::milvus::Index;
/// let graph = Index::new("vec", "HNSW").metric("COSINE").param("M", 16).param("efConstruction", 100);
/// assert_eq!(graph.to_string(), "HNSW COSINE {\"M\":16,\"efConstruction\":100} on 'vec'");
/// let words = Index::new("name", "INVERTED");
/// assert_eq!(words.to_string(), "INVERTED on 'name'");
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Index {
    /// The field.
    pub field: String,
    /// The type: `HNSW`, `INVERTED`.
    pub index_type: String,
    /// The metric: `COSINE`. A vector's index has one in any case: L2, IP for sparse and HAMMING for
    /// binary vectors unless it is given.
    pub metric: Option<String>,
    /// The parameters, by their names.
    pub params: BTreeMap<String, Json>,
}

impl Index {
    /// An index of that type on a field.
    pub fn new(field: impl Into<String>, index_type: impl Into<String>) -> Index {
        let (field, index_type) = (field.into(), index_type.into());
        Index { field, index_type, metric: None, params: BTreeMap::new() }
    }

    /// With that metric.
    pub fn metric(self, metric: impl Into<String>) -> Index {
        Index { metric: Some(metric.into()), ..self }
    }

    /// With one parameter more.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<Json>) -> Index {
        self.params.insert(name.into(), value.into());
        self
    }

    /// What the documentation has for each kind of vector, exact where there is such.
    pub(super) fn of(vector: &Field) -> Index {
        let index = |index_type| Index {
            metric: vector.metric().map(str::to_owned),
            ..Index::new(&vector.name, index_type)
        };
        match vector.data_type {
            DataType::SparseVector => index("SPARSE_INVERTED_INDEX"),
            DataType::BinaryVector { .. } => index("BIN_FLAT"),
            // The only one for these.
            DataType::Int8Vector { .. } => index("HNSW").param("M", 16).param("efConstruction", 64),
            _ => index("FLAT"),
        }
    }

    /// One of that kind on a vector that is exact: of the kinds with lists, with one list.
    pub(super) fn exact(vector: &Field, kind: &str) -> Index {
        let index =
            Index { index_type: kind.to_owned(), params: BTreeMap::new(), ..Index::of(vector) };
        match kind {
            "IVF_FLAT" => index.param("nlist", 1),
            _ => index,
        }
    }

    /// As a server describes it: parameters side by side with the rest, or together as JSON.
    pub(super) fn described(description: IndexDescription) -> Index {
        let mut index = Index::new(description.field_name, "");
        for KeyValuePair { key, value } in description.params {
            match key.as_str() {
                "index_type" => index.index_type = value,
                "metric_type" => index.metric = Some(value),
                "params" => match serde_json::from_str::<Map<String, Json>>(&value) {
                    Ok(params) => index.params.extend(params),
                    Err(_) => drop(index.params.insert(key, Json::String(value))),
                },
                _ => drop(index.params.insert(key, Json::String(value))),
            }
        }
        index
    }

    /// The first thing in which a described index is not this one. What the server adds of its own,
    /// as the dimension, is no difference.
    pub(super) fn difference(&self, found: &Index) -> Option<String> {
        let field = &self.field;
        if !self.index_type.eq_ignore_ascii_case(&found.index_type) {
            let (found, wanted) = (&found.index_type, &self.index_type);
            return Some(format!("the index on '{field}' is {found}, not {wanted}"));
        }
        if let Some(wanted) = &self.metric {
            let found = found.metric.as_deref().unwrap_or("none");
            if !wanted.eq_ignore_ascii_case(found) {
                return Some(format!(
                    "the index on '{field}' has the metric {found}, not {wanted}"
                ));
            }
        }
        let other = |(name, wanted): (&String, &Json)| match found.params.get(name) {
            None => {
                Some(format!("the index on '{field}' has no {name}, and {wanted} was asked for"))
            }
            Some(found) if same_param(wanted, found) => None,
            Some(found) => Some(format!(
                "the index on '{field}' has {name} {}, not {}",
                plain(found),
                plain(wanted)
            )),
        };
        self.params.iter().find_map(other)
    }
}

impl std::fmt::Display for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.index_type)?;
        if let Some(metric) = &self.metric {
            write!(f, " {metric}")?;
        }
        if !self.params.is_empty() {
            write!(f, " {}", params(self))?;
        }
        write!(f, " on '{}'", self.field)
    }
}

fn params(index: &Index) -> Json {
    index.params.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Servers give parameters back as text.
fn same_param(wanted: &Json, found: &Json) -> bool {
    let (wanted, found) = (plain(wanted), plain(found));
    let same_number = match (wanted.parse::<f64>(), found.parse::<f64>()) {
        (Ok(wanted), Ok(found)) => wanted.to_bits() == found.to_bits(),
        _ => false,
    };
    wanted == found || same_number
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What a new collection is to have beside its schema. By default every vector has an index, exact
/// where there is such, and the rest is left to the server.
///
/// ```
/// use milvus_difftest::milvus::{Consistency, CreateOptions, Index};
/// let options = CreateOptions::default()
///     .index(Index::new("vec", "HNSW").param("M", 16).param("efConstruction", 100))
///     .index(Index::new("name", "INVERTED"))
///     .shards(2)
///     .consistency(Consistency::Bounded);
/// assert_eq!(options.indexes.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct CreateOptions {
    /// Indexes, at most one for each field. Vectors without one get that of the default.
    pub indexes: Vec<Index>,
    /// How many shards.
    pub shards: Option<u16>,
    /// The consistency of reads that ask for none. Those of this crate always do.
    pub consistency: Option<Consistency>,
    /// In how many replicas it is loaded.
    pub replicas: Option<u16>,
}

impl CreateOptions {
    /// With one index more.
    pub fn index(mut self, index: Index) -> CreateOptions {
        self.indexes.push(index);
        self
    }

    /// With so many shards.
    pub fn shards(self, shards: u16) -> CreateOptions {
        CreateOptions { shards: Some(shards), ..self }
    }

    /// With that consistency of reads that ask for none.
    pub fn consistency(self, consistency: Consistency) -> CreateOptions {
        CreateOptions { consistency: Some(consistency), ..self }
    }

    /// Loaded in so many replicas.
    pub fn replicas(self, replicas: u16) -> CreateOptions {
        CreateOptions { replicas: Some(replicas), ..self }
    }

    /// Finds out whether they make sense for a schema; the message says what does not.
    pub(crate) fn validate(&self, schema: &Schema) -> Result<(), String> {
        for (position, index) in self.indexes.iter().enumerate() {
            if schema.field(&index.field).is_none() {
                return Err(format!("an index on '{}', which is no field", index.field));
            }
            let earlier = self.indexes.iter().take(position);
            if earlier.into_iter().any(|other| other.field == index.field) {
                return Err(format!("two indexes on '{}'", index.field));
            }
        }
        match (self.shards, self.replicas) {
            (Some(0), _) => Err("no shards: there must be one at least".to_owned()),
            (_, Some(0)) => Err("no replicas: there must be one at least".to_owned()),
            _ => Ok(()),
        }
    }

    /// What an engine must have for them.
    pub(crate) fn features(&self) -> impl Iterator<Item = CallFeature> {
        let asked = [
            self.shards.map(|_| CallFeature::Shards),
            self.consistency.map(|_| CallFeature::ConsistencyLevel),
            self.replicas.map(|_| CallFeature::Replicas),
        ];
        asked.into_iter().flatten()
    }
}

impl Milvus {
    /// Creates a collection with an index on each vector, exact where there is one, and loads it.
    pub async fn create(&self, collection: &str, schema: &Schema) -> Result<(), MilvusError> {
        self.create_with(collection, schema, &CreateOptions::default()).await
    }

    /// Creates a collection with these options, and loads it.
    pub async fn create_with(
        &self,
        collection: &str,
        schema: &Schema,
        options: &CreateOptions,
    ) -> Result<(), MilvusError> {
        const OPERATION: &str = "create collection";
        let request = CreateCollectionRequest {
            collection_name: collection.to_owned(),
            schema: encode::schema(collection, schema).encode_to_vec(),
            shards_num: options.shards.map_or(0, i32::from),
            consistency_level: options.consistency.unwrap_or(Consistency::Strong).wire().into(),
            ..CreateCollectionRequest::default()
        };
        let mut raw = self.raw.clone();
        let status = self.call_raw(OPERATION, raw.create_collection(request)).await?;
        check_status(OPERATION, Some(&status))?;
        for field in &schema.fields {
            match options.indexes.iter().find(|index| index.field == field.name) {
                Some(index) => self.create_index(collection, field, index).await?,
                None if field.is_vector() => {
                    self.create_index(collection, field, &Index::of(field)).await?;
                }
                None => {}
            }
        }
        self.load_in(collection, options.replicas.unwrap_or(1)).await
    }

    pub(super) async fn create_index(
        &self,
        collection: &str,
        field: &Field,
        index: &Index,
    ) -> Result<(), MilvusError> {
        const OPERATION: &str = "create index";
        let metric = index.metric.as_deref().or(field.metric());
        let params = (!index.params.is_empty()).then(|| params(index).to_string());
        let given = [
            ("index_type", Some(index.index_type.as_str())),
            ("metric_type", metric),
            ("params", params.as_deref()),
        ];
        let pair = |(key, value): (&str, Option<&str>)| {
            Some(KeyValuePair { key: key.to_owned(), value: value?.to_owned() })
        };
        let request = CreateIndexRequest {
            collection_name: collection.to_owned(),
            field_name: field.name.clone(),
            extra_params: given.into_iter().filter_map(pair).collect(),
            ..CreateIndexRequest::default()
        };
        let mut raw = self.raw.clone();
        let status = self.call_raw(OPERATION, raw.create_index(request)).await?;
        check_status(OPERATION, Some(&status))
    }

    /// The indexes of a collection, as the server describes them.
    pub async fn indexes(&self, collection: &str) -> Result<Vec<Index>, MilvusError> {
        const OPERATION: &str = "describe indexes";
        let request = DescribeIndexRequest {
            collection_name: collection.to_owned(),
            ..DescribeIndexRequest::default()
        };
        let mut raw = self.raw.clone();
        let response = self.call_raw(OPERATION, raw.describe_index(request)).await?;
        match check_status(OPERATION, response.status.as_ref()) {
            Err(MilvusError::Rejected { code: NO_INDEX, .. }) => return Ok(Vec::new()),
            checked => checked?,
        }
        Ok(response.index_descriptions.into_iter().map(Index::described).collect())
    }

    /// The first thing in which a collection is not what these options ask for, as the server
    /// describes it; `None` if there is none.
    pub async fn departure(
        &self,
        collection: &str,
        options: &CreateOptions,
    ) -> Result<Option<String>, MilvusError> {
        const OPERATION: &str = "describe collection";
        if options.shards.is_some() || options.consistency.is_some() {
            let request = DescribeCollectionRequest {
                collection_name: collection.to_owned(),
                ..DescribeCollectionRequest::default()
            };
            let mut raw = self.raw.clone();
            let found = self.call_raw(OPERATION, raw.describe_collection(request)).await?;
            check_status(OPERATION, found.status.as_ref())?;
            let shards = options.shards.map_or(found.shards_num, i32::from);
            if shards != found.shards_num {
                return Ok(Some(format!("it has {} shards, not {shards}", found.shards_num)));
            }
            if let Some(wanted) = options.consistency
                && wanted.wire() != found.consistency_level()
            {
                let found = found.consistency_level().as_str_name().to_ascii_lowercase();
                return Ok(Some(format!("its consistency is {found}, not {wanted}")));
            }
        }
        if let Some(wanted) = options.replicas {
            let found = self.replicas(collection).await?;
            if usize::from(wanted) != found {
                return Ok(Some(format!("it has {found} replicas, not {wanted}")));
            }
        }
        if options.indexes.is_empty() {
            return Ok(None);
        }
        let found = self.indexes(collection).await?;
        let departure = |wanted: &Index| match found.iter().find(|f| f.field == wanted.field) {
            Some(found) => wanted.difference(found),
            None => Some(format!("there is no index on '{}'", wanted.field)),
        };
        Ok(options.indexes.iter().find_map(departure))
    }

    async fn replicas(&self, collection: &str) -> Result<usize, MilvusError> {
        const OPERATION: &str = "count replicas";
        let request = GetReplicasRequest {
            collection_name: collection.to_owned(),
            ..GetReplicasRequest::default()
        };
        let mut raw = self.raw.clone();
        let response = self.call_raw(OPERATION, raw.get_replicas(request)).await?;
        check_status(OPERATION, response.status.as_ref())?;
        Ok(response.replicas.len())
    }

    /// Loads a collection, which an engine may have released when it was started again, and waits
    /// for it, more closely than the SDK, which looks twice a second.
    pub async fn load(&self, collection: &str) -> Result<(), MilvusError> {
        self.load_in(collection, 1).await
    }

    async fn load_in(&self, collection: &str, replicas: u16) -> Result<(), MilvusError> {
        const OPERATION: &str = "load";
        let until = Instant::now() + self.deadline;
        let request = sdk::LoadCollectionRequest::builder()
            .collection_name(collection)
            .replica_number(i32::from(replicas))
            .sync(false)
            .build()
            .map_err(|error| MilvusError::from_sdk(OPERATION, self.deadline, error))?;
        self.call(OPERATION, self.sdk.load_collection(request)).await?;
        let late = MilvusError::Deadline { operation: OPERATION, after: self.deadline };
        loop {
            let request = GetLoadingProgressRequest {
                collection_name: collection.to_owned(),
                ..GetLoadingProgressRequest::default()
            };
            let left = until.saturating_duration_since(Instant::now());
            let mut raw = self.raw.clone();
            let progress = timeout(left, raw.get_loading_progress(request))
                .await
                .map_err(|_| late.clone())?
                .map_err(|status| MilvusError::from_status(OPERATION, self.deadline, &status))?
                .into_inner();
            // Milvus Lite 2.4 leaves the status out of its answer, which is all the same that it is
            // done. An answer without anything says nothing.
            if progress.status.is_some() || progress.progress < 100 {
                check_status(OPERATION, progress.status.as_ref())?;
            }
            if progress.progress >= 100 {
                return Ok(());
            }
            if Instant::now() + LOAD_POLL >= until {
                return Err(late);
            }
            sleep(LOAD_POLL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(params: &[(&str, &str)]) -> Index {
        let pair = |(key, value): &(&str, &str)| KeyValuePair {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        };
        Index::described(IndexDescription {
            field_name: "vec".to_owned(),
            params: params.iter().map(pair).collect(),
            ..IndexDescription::default()
        })
    }

    /// As Milvus Lite 3.2.2 and Milvus 2.3.5, as Milvus Lite 2.5.1, and as no server.
    #[test]
    fn an_index_is_compared_as_servers_describe_it() {
        let (kind, metric) = (("index_type", "HNSW"), ("metric_type", "COSINE"));
        let asked = Index::new("vec", "HNSW").metric("COSINE").param("M", 16).param("drop", 0.2);
        for (found, difference) in [
            (vec![kind, metric, ("params", r#"{"M": 16, "drop": 0.20}"#)], None),
            (vec![("M", "16"), ("drop", "0.2"), kind, metric, ("dim", "4")], None),
            (vec![("index_type", "hnsw"), metric, ("M", "16"), ("drop", "0.20")], None),
            (vec![("index_type", "FLAT"), metric], Some("the index on 'vec' is FLAT, not HNSW")),
            (
                vec![kind, ("metric_type", "L2"), ("M", "16")],
                Some("the index on 'vec' has the metric L2, not COSINE"),
            ),
            (
                vec![kind, ("M", "16"), ("drop", "0.2")],
                Some("the index on 'vec' has the metric none, not COSINE"),
            ),
            (
                vec![kind, metric, ("params", r#"{"M": 18, "drop": 0.2}"#)],
                Some("the index on 'vec' has M 18, not 16"),
            ),
            (
                vec![kind, metric, ("M", "16"), ("params", "unreadable")],
                Some("the index on 'vec' has no drop, and 0.2 was asked for"),
            ),
        ] {
            let found = asked.difference(&described(&found));
            assert_eq!(found.as_deref(), difference);
        }
        // What was not asked for is no difference.
        let found = described(&[("index_type", "INVERTED"), ("metric_type", "NONE")]);
        assert_eq!(Index::new("vec", "INVERTED").difference(&found), None);
    }

    #[test]
    fn options_that_make_no_sense_are_said() {
        let id = Field::new("id", DataType::Scalar(crate::schema::Scalar::Int64)).primary();
        let schema = Schema { fields: vec![id], dynamic: false };
        let none = CreateOptions::default;
        for (options, reason) in [
            (none().index(Index::new("x", "FLAT")), "an index on 'x', which is no field"),
            (
                none().index(Index::new("id", "INVERTED")).index(Index::new("id", "STL_SORT")),
                "two indexes on 'id'",
            ),
            (none().shards(0), "no shards: there must be one at least"),
            (none().replicas(0), "no replicas: there must be one at least"),
        ] {
            assert_eq!(options.validate(&schema), Err(reason.to_owned()));
        }
        assert_eq!(none().index(Index::new("id", "STL_SORT")).shards(1).validate(&schema), Ok(()));
    }
}
