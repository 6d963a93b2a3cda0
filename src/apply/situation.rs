//! What a question finds: the indexes that are in force, and where the rows are.

use std::collections::BTreeMap;
use std::fmt;

use crate::case::{Maintenance, Operation};

/// What was done for a collection by the time that a question is asked of it: flushes, by the
/// server's answer to them; all else only where the server's metadata prove it.
///
/// ```
/// use milvus_difftest::apply::Situation;
/// assert_eq!(Situation::default().to_string(), "empty");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Situation {
    /// Kinds of indexes, by their fields.
    indexes: BTreeMap<String, String>,
    /// Whether there are rows that were written since the last flush.
    growing: bool,
    /// Whether there are rows that a flush has written out.
    sealed: bool,
    /// Whether something was deleted or replaced since the last compaction.
    deleted: bool,
}

impl Situation {
    /// The kind of a field's index, if it has one.
    pub fn index_of(&self, field: &str) -> Option<&str> {
        self.indexes.get(field).map(String::as_str)
    }

    pub(super) fn wrote(&mut self, operation: &Operation) {
        match operation.plain() {
            Operation::Insert(_) => self.growing = true,
            Operation::Upsert(_) | Operation::Patch(_) => {
                (self.growing, self.deleted) = (true, true);
            }
            Operation::Delete(_) | Operation::DeleteWhere(_) | Operation::DropPartition(_) => {
                self.deleted = true;
            }
            Operation::Recreate => *self = Situation::default(),
            Operation::Into { .. }
            | Operation::AddField(_)
            | Operation::CreatePartition(_)
            | Operation::CreateAlias(_)
            | Operation::AlterAlias { .. }
            | Operation::DropAlias(_)
            | Operation::Maintain(_)
            | Operation::Ask(_) => {}
        }
    }

    /// The server has proved that it did this, or, of a flush, has said so.
    pub(super) fn did(&mut self, step: &Maintenance) {
        match step {
            Maintenance::Flush => {
                self.sealed |= self.growing;
                self.growing = false;
            }
            Maintenance::Compact => self.deleted = false,
            Maintenance::Index { field, kind } | Maintenance::Rebuild { field, kind } => {
                self.indexes.insert(field.clone(), kind.clone());
            }
            Maintenance::DropIndex { field } => {
                self.indexes.remove(field);
            }
            Maintenance::Reload | Maintenance::Restart | Maintenance::Kill => {}
            // It is done as a kill.
            Maintenance::KillInWrite { .. } => {}
        }
    }
}

/// Where the rows are: `growing`, `sealed`, both, or nowhere; and whether some are deleted.
impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.growing, self.sealed) {
            (false, false) => "empty",
            (true, false) => "growing",
            (false, true) => "sealed",
            (true, true) => "growing and sealed",
        })?;
        if self.deleted { f.write_str(" with deletions") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_grow_and_are_sealed() {
        let mut now = Situation::default();
        let mut seen = Vec::new();
        now.wrote(&Operation::Insert(Vec::new()));
        seen.push(now.to_string());
        now.did(&Maintenance::Flush);
        seen.push(now.to_string());
        now.wrote(&Operation::Upsert(Vec::new()));
        seen.push(now.to_string());
        now.did(&Maintenance::Compact);
        now.did(&Maintenance::Index { field: "a".into(), kind: "TRIE".into() });
        seen.push(now.to_string());
        assert_eq!(
            seen,
            ["growing", "sealed", "growing and sealed with deletions", "growing and sealed"]
        );
        assert_eq!((now.index_of("a"), now.index_of("b")), (Some("TRIE"), None));
        now.wrote(&Operation::Recreate);
        assert_eq!(now, Situation::default());
    }
}
