//! The steps of a case.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Check;
use crate::filter::Filter;
use crate::schema::{DataType, Field};
use crate::value::{Key, Row};

/// One step in the life of a collection.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// Inserts rows with new keys.
    Insert(Vec<Row>),
    /// Inserts rows, replacing those whose keys exist.
    Upsert(Vec<Row>),
    /// Changes the given fields of rows that exist, and keeps the others (partial upsert).
    Patch(Vec<Row>),
    /// An insert, an upsert or a partial upsert into a partition, or a deletion of what is in it;
    /// without it, rows go into the default one, and are deleted wherever they are.
    Into {
        /// The partition.
        partition: String,
        /// The write.
        write: Box<Operation>,
    },
    /// Deletes the rows with these keys.
    Delete(Vec<Key>),
    /// Deletes the rows that match.
    DeleteWhere(Filter),
    /// Drops the collection and creates it again under its name, empty.
    Recreate,
    /// Adds a field of the schema, which the collection has not got until then. The rows that are
    /// there have its default value, or null (documentation, "Add Fields to an Existing
    /// Collection"). A collection that is created again later is created with it.
    AddField(String),
    /// Makes an alias of the collection.
    CreateAlias(String),
    /// Points an alias to another collection, an empty one of the same schema, or back to this one.
    AlterAlias {
        /// The alias.
        alias: String,
        /// Whether to the other one.
        elsewhere: bool,
    },
    /// Drops an alias.
    DropAlias(String),
    /// Makes a partition.
    CreatePartition(String),
    /// Drops a partition with its rows.
    DropPartition(String),
    /// What changes no answer.
    Maintain(Maintenance),
    /// A question in between, which is judged as those at the end are.
    Ask(Check),
}

impl Operation {
    /// The rows that it writes.
    pub fn rows(&self) -> &[Row] {
        match self {
            Operation::Insert(rows) | Operation::Upsert(rows) | Operation::Patch(rows) => rows,
            Operation::Into { write, .. } => write.rows(),
            _ => &[],
        }
    }

    /// The rows that it writes, to change them.
    pub fn rows_mut(&mut self) -> &mut [Row] {
        match self {
            Operation::Insert(rows) | Operation::Upsert(rows) | Operation::Patch(rows) => rows,
            Operation::Into { write, .. } => write.rows_mut(),
            _ => &mut [],
        }
    }

    /// The keys that it deletes, to change them; `None` if it deletes none by their keys.
    pub(crate) fn deleted_mut(&mut self) -> Option<&mut Vec<Key>> {
        match self {
            Operation::Delete(keys) => Some(keys),
            Operation::Into { write, .. } => write.deleted_mut(),
            _ => None,
        }
    }

    /// The filter by which it deletes rows, to change it.
    pub(crate) fn filter_mut(&mut self) -> Option<&mut Filter> {
        match self {
            Operation::DeleteWhere(filter) => Some(filter),
            Operation::Into { write, .. } => write.filter_mut(),
            _ => None,
        }
    }

    /// Whether it deletes rows, by their keys or by a filter.
    pub(crate) fn deletes(&self) -> bool {
        matches!(self.plain(), Operation::Delete(_) | Operation::DeleteWhere(_))
    }

    /// What it does, wherever that is: of a write into a partition, the write.
    pub fn plain(&self) -> &Operation {
        match self {
            Operation::Into { write, .. } => write.plain(),
            other => other,
        }
    }

    /// Whether it writes or deletes rows.
    pub fn is_of_rows(&self) -> bool {
        matches!(
            self.plain(),
            Operation::Insert(_)
                | Operation::Upsert(_)
                | Operation::Patch(_)
                | Operation::Delete(_)
                | Operation::DeleteWhere(_)
        )
    }

    /// The partition that it writes into or deletes from, if it names one.
    pub fn partition(&self) -> Option<&str> {
        match self {
            Operation::Into { partition, .. } => Some(partition),
            _ => None,
        }
    }

    /// The same write or deletion, in that partition if there is one.
    pub fn into_partition(self, partition: Option<&str>) -> Operation {
        match partition {
            Some(name) => Operation::Into { partition: name.to_owned(), write: Box::new(self) },
            None => self,
        }
    }

    /// Whether it is about a field: a row that it writes has it, a filter uses it, or it names it.
    pub(crate) fn names(&self, field: &str) -> bool {
        match self.plain() {
            Operation::DeleteWhere(filter) => filter.expr.names(field),
            Operation::AddField(name) => name == field,
            Operation::Maintain(step) => step.field() == Some(field),
            Operation::Ask(check) => check.names(field),
            write => write.rows().iter().any(|row| row.fields.contains_key(field)),
        }
    }

    /// Whether a field can be added to a collection: it may be null, for the rows that are there,
    /// and is no vector and no key. The documentation ("Add Fields to an Existing Collection",
    /// <https://milvus.io/docs/add-fields-to-an-existing-collection.md>) has scalars; vectors came
    /// with 2.6.18, and arrays of structs are added by another call.
    pub(crate) fn can_add(field: &Field) -> bool {
        let key = field.primary || field.partition_key;
        field.nullable && !key && !field.is_vector() && field.data_type != DataType::StructArray
    }

    /// The same with other rows; `None` if it writes none.
    pub fn with_rows(&self, rows: Vec<Row>) -> Option<Operation> {
        match self {
            Operation::Insert(_) => Some(Operation::Insert(rows)),
            Operation::Upsert(_) => Some(Operation::Upsert(rows)),
            Operation::Patch(_) => Some(Operation::Patch(rows)),
            Operation::Into { partition, write } => {
                Some(write.with_rows(rows)?.into_partition(Some(partition)))
            }
            _ => None,
        }
    }
}

/// What is done to a collection, or to its engine, that changes no answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Maintenance {
    /// Seals and writes out what is in memory.
    Flush,
    /// Merges what is written out, and leaves out what is deleted.
    Compact,
    /// Makes an index of a scalar field.
    Index {
        /// The field.
        field: String,
        /// The kind in Milvus's own names, as `INVERTED`.
        kind: String,
    },
    /// Drops the index of a vector, and makes another, which is exact. The collection is released
    /// for that, and loaded again.
    Rebuild {
        /// The field.
        field: String,
        /// The kind in Milvus's own names, as `FLAT`.
        kind: String,
    },
    /// Drops the index of a field.
    DropIndex {
        /// The field.
        field: String,
    },
    /// Releases the collection and loads it again.
    Reload,
    /// Ends the engine in an orderly way and starts it again with its data.
    Restart,
    /// Kills the engine and starts it again with its data.
    Kill,
    /// Kills the engine in the middle of the next write, and starts it again with its data.
    KillInWrite {
        /// So long after the write was begun, in microseconds.
        micros: u32,
    },
}

impl Maintenance {
    /// The field that it is about, if it is about one.
    pub(crate) fn field(&self) -> Option<&str> {
        match self {
            Maintenance::Index { field, .. }
            | Maintenance::Rebuild { field, .. }
            | Maintenance::DropIndex { field } => Some(field),
            _ => None,
        }
    }

    /// What it is called in figures.
    pub fn name(&self) -> &'static str {
        match self {
            Maintenance::Flush => "flush",
            Maintenance::Compact => "compact",
            Maintenance::Index { .. } => "index",
            Maintenance::Rebuild { .. } => "rebuild",
            Maintenance::DropIndex { .. } => "drop-index",
            Maintenance::Reload => "reload",
            Maintenance::Restart => "restart",
            Maintenance::Kill => "kill",
            Maintenance::KillInWrite { .. } => "kill-in-write",
        }
    }
}

impl fmt::Display for Maintenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Maintenance::Flush => f.write_str("flush"),
            Maintenance::Compact => f.write_str("compact"),
            Maintenance::Index { field, kind } => write!(f, "index '{field}' ({kind})"),
            Maintenance::Rebuild { field, kind } => {
                write!(f, "drop the index of '{field}' and make it anew ({kind})")
            }
            Maintenance::DropIndex { field } => write!(f, "drop the index of '{field}'"),
            Maintenance::Reload => f.write_str("release and load"),
            Maintenance::Restart => f.write_str("restart the engine"),
            Maintenance::Kill => f.write_str("kill the engine and start it again"),
            Maintenance::KillInWrite { micros } => write!(
                f,
                "kill the engine {micros} µs after the next write is begun, and start it again"
            ),
        }
    }
}
