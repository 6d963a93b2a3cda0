//! A finding: a shrunk divergence, with everything that a report of it needs.

use serde::{Deserialize, Serialize};

use crate::case::Case;
use crate::oracle::Oracle;
use crate::verdict::Divergence;

/// A shrunk divergence.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finding {
    /// Findings of the same shape are one; see [`crate::triage::shape`].
    pub shape: String,
    /// What found it.
    pub oracle: Oracle,
    /// The shape that its first divergence had before it was shrunk.
    pub seen_as: String,
    /// The shrunk case. It has one check, or none when a write was refused.
    #[serde(rename = "reproduction", with = "as_file")]
    pub case: Case,
    /// What the target does on it.
    #[serde(flatten)]
    pub divergence: Divergence,
    /// The reference's SQL for the check's filter.
    pub sql: Option<String>,
    /// The engine, as it reported itself: `milvus_lite-3.2.2`.
    pub engine: String,
    /// The reference database: `DuckDB v2.0.0`.
    pub backend: String,
    /// How many divergences had this shape.
    pub count: u64,
    /// Whether no single step makes the case smaller; else the shrinking budget ended first.
    pub minimal: bool,
    /// Cases judged while shrinking.
    pub evaluations: usize,
    /// From the campaign's start to the first divergence of this shape.
    pub seconds_to_first: f64,
    /// The campaign's seed; none of a case that no campaign made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The case's number in the campaign.
    #[serde(rename = "case", default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
}

impl Finding {
    /// Where it is from: `seed 7, case 12`, or `a saved case`.
    pub fn origin(&self) -> String {
        match (self.seed, self.number) {
            (Some(seed), Some(number)) => format!("seed {seed}, case {number}"),
            _ => "a saved case".to_owned(),
        }
    }

    /// Nodes of the filter; 0 if there is none.
    pub fn nodes(&self) -> usize {
        crate::shrink::size(&self.case).nodes
    }

    /// The filter's text; empty if there is none.
    pub fn filter_text(&self) -> String {
        let filter = self.case.checks.first().and_then(|check| check.filter());
        filter.map(ToString::to_string).unwrap_or_default()
    }

    /// Rows written.
    pub fn rows(&self) -> usize {
        crate::shrink::size(&self.case).rows
    }

    /// Operations, questions in between included.
    pub fn operations(&self) -> usize {
        self.case.operations.len()
    }

    /// Fields besides the key and vectors, the dynamic field included.
    pub fn fields(&self) -> usize {
        self.case.schema.payload().count() + usize::from(self.case.schema.dynamic)
    }
}

/// Cases as in case files.
mod as_file {
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::Value as Json;

    use super::Case;

    pub fn serialize<S: Serializer>(case: &Case, serializer: S) -> Result<S::Ok, S::Error> {
        let json: Json = serde_json::from_str(&case.to_json(None)).map_err(S::Error::custom)?;
        json.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Case, D::Error> {
        let json = Json::deserialize(deserializer)?;
        let (case, _) = Case::from_json(&json.to_string()).map_err(D::Error::custom)?;
        Ok(case)
    }
}
