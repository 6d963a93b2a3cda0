//! The oracles by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::case::{Check, Maintenance, Relation};

/// What tells right answers from wrong ones.
///
/// ```
/// use milvus_difftest::oracle::Oracle;
/// assert_eq!("partition".parse(), Ok(Oracle::Partition));
/// assert_eq!(Oracle::ALL.len(), 15);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Oracle {
    /// The model and the reference databases, which agree on the rows, values and counts.
    Reference,
    /// The rows where a filter is true, where it is false and where it is unknown make the whole
    /// (ternary logic partitioning).
    Partition,
    /// A filter, against the filter's answer on what the target returns without it
    /// (non-optimising reference).
    Projection,
    /// A filter that means the same.
    Rewrite,
    /// A filter with its constants sent beside it.
    Template,
    /// Pages, and an iteration by key, cover exactly the query.
    Paging,
    /// The count, the query and the iteration find as many.
    Count,
    /// A search finds the nearest of the rows that match, and no other row.
    Search,
    /// A level of consistency shows what it must, and nothing that never was.
    Consistency,
    /// With an index and without.
    Index,
    /// In memory, and sealed and flushed.
    Segment,
    /// Before and after a compaction.
    Compaction,
    /// Before and after the collection is released and loaded.
    Reload,
    /// Before and after the engine is restarted in an orderly way.
    Restart,
    /// Writes that were acknowledged are there after the engine was killed.
    Durability,
}

impl Oracle {
    /// All of them.
    pub const ALL: [Oracle; 15] = [
        Oracle::Reference,
        Oracle::Partition,
        Oracle::Projection,
        Oracle::Rewrite,
        Oracle::Template,
        Oracle::Paging,
        Oracle::Count,
        Oracle::Search,
        Oracle::Consistency,
        Oracle::Index,
        Oracle::Segment,
        Oracle::Compaction,
        Oracle::Reload,
        Oracle::Restart,
        Oracle::Durability,
    ];

    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Oracle::Reference => "reference",
            Oracle::Partition => "partition",
            Oracle::Projection => "projection",
            Oracle::Rewrite => "rewrite",
            Oracle::Template => "template",
            Oracle::Paging => "paging",
            Oracle::Count => "count",
            Oracle::Search => "search",
            Oracle::Consistency => "consistency",
            Oracle::Index => "index",
            Oracle::Segment => "segment",
            Oracle::Compaction => "compaction",
            Oracle::Reload => "reload",
            Oracle::Restart => "restart",
            Oracle::Durability => "durability",
        }
    }
}

impl fmt::Display for Oracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No oracle has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no oracle '{name}'; there are {}", Oracle::ALL.map(Oracle::name).join(", "))]
pub struct UnknownOracle {
    /// The name.
    pub name: String,
}

impl FromStr for Oracle {
    type Err = UnknownOracle;

    fn from_str(name: &str) -> Result<Oracle, UnknownOracle> {
        let found = Oracle::ALL.into_iter().find(|oracle| oracle.name() == name);
        found.ok_or_else(|| UnknownOracle { name: name.to_owned() })
    }
}

impl Check {
    /// What judges it.
    pub fn oracle(&self) -> Oracle {
        match self {
            Check::Entities
            | Check::Query(_)
            | Check::Count(_)
            | Check::CountAll
            | Check::Page { .. }
            | Check::Refused(_)
            | Check::QueryOrRefusal(_) => Oracle::Reference,
            Check::Search { .. } => Oracle::Search,
            Check::In { check, .. } => check.oracle(),
            Check::Agree { relation, .. } => match relation {
                Relation::Partition => Oracle::Partition,
                Relation::Projection => Oracle::Projection,
                Relation::Rewrite(_) => Oracle::Rewrite,
                Relation::Template => Oracle::Template,
                Relation::Paging(_) => Oracle::Paging,
                Relation::Counts => Oracle::Count,
                Relation::Consistency(_) => Oracle::Consistency,
                Relation::After(step) => match step {
                    Maintenance::Index { .. }
                    | Maintenance::Rebuild { .. }
                    | Maintenance::DropIndex { .. } => Oracle::Index,
                    Maintenance::Flush => Oracle::Segment,
                    Maintenance::Compact => Oracle::Compaction,
                    Maintenance::Reload => Oracle::Reload,
                    Maintenance::Restart => Oracle::Restart,
                    Maintenance::Kill | Maintenance::KillInWrite { .. } => Oracle::Durability,
                },
            },
        }
    }
}
