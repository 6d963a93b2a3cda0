//! Searches of a simulated Milvus: every vector is looked at.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use milvus::proto::{common, milvus as pb, schema as schema_pb};
use prost::Message as _;

use super::fault::Fault;
use super::node::Node;
use super::reply::{Reply, invalid, not_found, not_loaded, ok};
use crate::value::{Key, Value};

fn score(metric: &str, vector: &[f32], near: &[f32]) -> f32 {
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    match metric {
        "IP" => product(vector, near),
        "COSINE" => {
            let lengths = product(vector, vector).sqrt() * product(near, near).sqrt();
            product(vector, near) / lengths
        }
        _ => vector.iter().zip(near).map(|(a, b)| (a - b) * (a - b)).sum(),
    }
}

/// The nearer before the further.
fn order(metric: &str, a: f64, b: f64) -> Ordering {
    match metric {
        "L2" => a.total_cmp(&b),
        _ => b.total_cmp(&a),
    }
}

impl Node {
    /// For one vector.
    pub(super) fn search(&mut self, mut request: pb::SearchRequest) -> Reply<pb::SearchResults> {
        request.collection_name = self.resolved(&request.collection_name);
        let (collections, sabotage) = self.parts();
        let name = &request.collection_name;
        let collection = collections.get(name).ok_or_else(|| not_found(name))?;
        if !collection.loaded {
            return Err(not_loaded(name));
        }
        let parameter = |key: &str| {
            let found = request.search_params.iter().find(|pair| pair.key == key);
            found.map(|pair| pair.value.as_str()).unwrap_or_default()
        };
        let limit: usize = parameter("topk").parse().map_err(|_| invalid("topk is no number"))?;
        let params: serde_json::Value = serde_json::from_str(parameter("params"))
            .map_err(|error| invalid(format!("params: {error}")))?;
        let bound = |name: &str| params.get(name).and_then(serde_json::Value::as_f64);
        let radius = bound("radius");
        let inner = bound("range_filter").filter(|_| !sabotage.has(Fault::RangeFilterIgnored));
        let group_by = parameter("group_by_field");
        if !group_by.is_empty() && collection.schema.field(group_by).is_none() {
            return Err(invalid(format!("field {group_by} not exist")));
        }
        let Some(pb::search_request::SearchInput::PlaceholderGroup(bytes)) = &request.search_input
        else {
            return Err(invalid("a search needs a vector"));
        };
        let group = common::PlaceholderGroup::decode(bytes.as_slice());
        let group = group.map_err(|error| invalid(error.to_string()))?;
        let near = group.placeholders.first().and_then(|placeholder| placeholder.values.first());
        let near: Vec<f32> = near
            .ok_or_else(|| invalid("a search needs a vector"))?
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect();
        let field = parameter("anns_field");
        let index = collection.indexes.iter().find(|index| index.field_name == field);
        let index = index.ok_or_else(|| invalid(format!("there is no index on {field}")))?;
        let metric = index.params.iter().find(|pair| pair.key == "metric_type");
        let metric = metric.map(|pair| pair.value.as_str()).unwrap_or_default();
        if metric != parameter("metric_type") {
            return Err(invalid(format!("metric type not match: expected={metric}")));
        }
        let by = match metric {
            "COSINE" if sabotage.has(Fault::CosineIsProduct) => "IP",
            metric => metric,
        };
        let filter = match sabotage.has(Fault::SearchIgnoresFilter) {
            true => "",
            false => &request.dsl,
        };
        for partition in &request.partition_names {
            collection.require_partition(partition)?;
        }
        let partitions: &[String] = match sabotage.has(Fault::PartitionsIgnored) {
            true => &[],
            false => &request.partition_names,
        };
        let matches = collection.select(&collection.rows, sabotage, filter)?;
        let mut scored: Vec<(f32, &Key)> = matches
            .into_iter()
            .filter(|(key, _)| collection.is_in(partitions, key))
            .filter_map(|(key, row)| match row.get(parameter("anns_field")) {
                Value::Vector(vector) => Some((score(by, vector, &near), key)),
                _ => None,
            })
            .filter(|(score, _)| {
                let score = f64::from(*score);
                radius.is_none_or(|radius| order(metric, score, radius).is_lt())
                    && inner.is_none_or(|inner| order(metric, score, inner).is_ge())
            })
            .collect();
        scored.sort_by(|a, b| order(metric, a.0.into(), b.0.into()).then(a.1.cmp(b.1)));
        if sabotage.has(Fault::SearchMissesNearest) && scored.len() >= 2 {
            scored.remove(0);
        }
        if sabotage.has(Fault::RebuiltIndexLacksLast) {
            let lost = collection.unindexed.get(field);
            scored.retain(|(_, key)| Some(*key) != lost);
        }
        if !group_by.is_empty() {
            let mut met = BTreeSet::new();
            let group =
                |key: &Key| collection.rows.get(key).map(|row| row.get(group_by).to_string());
            if sabotage.has(Fault::GroupsAreLast) {
                scored.reverse();
            }
            scored.retain(|(_, key)| met.insert(group(key)));
            scored.sort_by(|a, b| order(metric, a.0.into(), b.0.into()).then(a.1.cmp(b.1)));
        }
        scored.truncate(limit);
        if sabotage.has(Fault::SearchScoresAreRoots) {
            scored.iter_mut().for_each(|(score, _)| *score = score.sqrt());
        }
        let keys: Vec<Key> = scored.iter().map(|(_, key)| (*key).clone()).collect();
        let results = schema_pb::SearchResultData {
            num_queries: 1,
            top_k: limit as i64,
            scores: scored.iter().map(|(score, _)| *score).collect(),
            topks: vec![keys.len() as i64],
            ids: Some(super::codec::encode_keys(&collection.schema, &keys)),
            primary_field_name: collection.schema.primary().name.clone(),
            ..Default::default()
        };
        Ok(pb::SearchResults {
            status: ok(),
            results: Some(results),
            collection_name: request.collection_name,
            ..Default::default()
        })
    }
}
