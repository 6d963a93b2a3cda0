//! Searches for the nearest vectors.

use milvus::proto::common::{
    DslType, KeyValuePair, PlaceholderGroup, PlaceholderType, PlaceholderValue,
};
use milvus::proto::milvus::{SearchRequest, search_request::SearchInput};
use milvus::proto::schema::i_ds::IdField;
use prost::Message as _;

use super::connection::Milvus;
use super::error::{MilvusError, check_status};
use super::query::QueryOptions;
use crate::value::Key;

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Nearest<'a> {
    /// The field, a FLOAT_VECTOR.
    pub field: &'a str,
    /// As many numbers as its vectors have.
    pub near: &'a [f32],
    /// How nearness is measured: L2, IP, COSINE.
    pub metric: &'a str,
    /// So many rows, at most.
    pub limit: u32,
    /// Only rows whose score is better than this (documentation, "Range Search").
    pub radius: Option<f32>,
    /// Only rows whose score is no better than this.
    pub range_filter: Option<f32>,
    /// Only the best row of those with the same value in this field (documentation, "Grouping
    /// Search").
    pub group_by: Option<&'a str>,
}

impl Milvus {
    /// The keys of the nearest rows that match, with their scores, the nearest first. An empty
    /// filter lets all rows pass.
    ///
    /// # Errors
    /// If the server refuses, or if its answer is not that of a search.
    pub async fn search(
        &self,
        collection: &str,
        filter: &str,
        nearest: Nearest<'_>,
        options: QueryOptions<'_>,
    ) -> Result<Vec<(Key, f32)>, MilvusError> {
        const OPERATION: &str = "search";
        let bytes = nearest.near.iter().flat_map(|x| x.to_le_bytes()).collect();
        let placeholder = PlaceholderValue {
            tag: "$0".to_owned(),
            r#type: PlaceholderType::FloatVector.into(),
            values: vec![bytes],
            ..PlaceholderValue::default()
        };
        let group = PlaceholderGroup { placeholders: vec![placeholder] };
        let bounds = [("radius", nearest.radius), ("range_filter", nearest.range_filter)];
        let bounds = bounds.into_iter().filter_map(|(name, bound)| Some((name, bound?)));
        let bounds: Vec<String> =
            bounds.map(|(name, bound)| format!("\"{name}\": {bound}")).collect();
        let params = [
            ("anns_field", nearest.field.to_owned()),
            ("topk", nearest.limit.to_string()),
            ("metric_type", nearest.metric.to_owned()),
            ("params", format!("{{{}}}", bounds.join(", "))),
            ("round_decimal", "-1".to_owned()),
        ];
        let groups = nearest.group_by.map(|field| ("group_by_field", field.to_owned()));
        let request = SearchRequest {
            collection_name: collection.to_owned(),
            dsl: filter.to_owned(),
            dsl_type: DslType::BoolExprV1.into(),
            partition_names: options.partitions.to_vec(),
            search_params: params
                .into_iter()
                .chain(groups)
                .map(|(key, value)| KeyValuePair { key: key.to_owned(), value })
                .collect(),
            nq: 1,
            guarantee_timestamp: options.consistency.guarantee(None),
            consistency_level: options.consistency.wire().into(),
            search_input: Some(SearchInput::PlaceholderGroup(group.encode_to_vec())),
            ..SearchRequest::default()
        };
        let mut raw = self.raw.clone();
        let response = tokio::time::timeout(options.deadline, raw.search(request)).await;
        let response = response
            .map_err(|_| MilvusError::Deadline { operation: OPERATION, after: options.deadline })?
            .map_err(|status| MilvusError::from_status(OPERATION, options.deadline, &status))?
            .into_inner();
        check_status(OPERATION, response.status.as_ref())?;
        let results = response.results.unwrap_or_default();
        let keys: Vec<Key> = match results.ids.and_then(|ids| ids.id_field) {
            Some(IdField::IntId(ids)) => ids.data.into_iter().map(Key::Int).collect(),
            Some(IdField::StrId(ids)) => ids.data.into_iter().map(Key::Text).collect(),
            Some(IdField::UuidId(_)) => {
                let reason = "its keys are UUIDs, which this crate does not know".to_owned();
                return Err(MilvusError::Malformed { operation: OPERATION, reason });
            }
            None => Vec::new(),
        };
        if keys.len() != results.scores.len() {
            let reason = format!("it has {} keys and {} scores", keys.len(), results.scores.len());
            return Err(MilvusError::Malformed { operation: OPERATION, reason });
        }
        Ok(keys.into_iter().zip(results.scores).collect())
    }
}
