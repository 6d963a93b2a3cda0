//! The one door by which cases reach the engines: write both sides, then judge each check.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::backend::{Backend, BackendError, Table};
use crate::case::{Case, Check, Operation};
use crate::compare::Diff;
use crate::milvus::{Milvus, MilvusError};
use crate::oracle::reference;
use crate::schema::Schema;
use crate::value::{Key, Row};
use crate::verdict::{Actual, Class, Divergence, Expected, Judges, Verdict};

/// Both sides of the comparison.
pub struct Sides<'a> {
    /// The target.
    pub milvus: &'a Milvus,
    /// The reference databases, which must agree with the model and so with each other; without
    /// any the model judges alone.
    pub backends: &'a mut [Box<dyn Backend>],
    /// How long the target may think about one query before it counts as hung.
    pub query_deadline: Duration,
}

/// Why a case could not be judged: nothing that can be blamed on an answer of the target.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The target is gone. Whether that is a crash is for whoever runs the engine to say.
    #[error(transparent)]
    Target(#[from] MilvusError),
    /// The reference database failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The references disagree.
    #[error("the references disagree: {0}")]
    Conflict(Box<Conflict>),
}

/// A disagreement of the references: a defect of this tool.
#[derive(Debug, Clone)]
pub struct Conflict {
    /// The check on which they disagree; `None` for the stored rows.
    pub check: Option<Check>,
    /// What each says.
    pub text: String,
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// A case whose writes were done on both sides, ready for its checks.
pub struct Applied<'a, 's> {
    pub(crate) sides: &'a mut Sides<'s>,
    pub(crate) table: Table,
    /// The model's rows.
    pub(crate) rows: BTreeMap<Key, Row>,
    pub(crate) handles: Handles,
    refused: Option<Divergence>,
    /// Whether an answer has come since the writes that was sure to see them.
    pub(crate) settled: bool,
}

/// Which of the case's keys stands for which key that the engine has assigned.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    /// By the engine's key.
    assigned: BTreeMap<Key, Key>,
}

impl Handles {
    fn assign(&mut self, schema: &Schema, rows: &[Row], keys: Vec<Key>) {
        if schema.primary().auto_id {
            let handles = rows.iter().filter_map(|row| row.key(schema));
            self.assigned.extend(keys.into_iter().zip(handles));
        }
    }

    /// The engine's keys of some of the case's.
    fn keys<'k>(&self, schema: &Schema, handles: &'k [Key]) -> Cow<'k, [Key]> {
        if !schema.primary().auto_id {
            return Cow::Borrowed(handles);
        }
        let assigned = self.assigned.iter().filter(|(_, handle)| handles.contains(handle));
        assigned.map(|(key, _)| key.clone()).collect()
    }

    /// Gives the rows of an answer the keys that the case has for them. A row with a key that was
    /// never assigned is left without one.
    pub(crate) fn restore(&self, schema: &Schema, rows: &mut [Row]) {
        let primary = schema.primary();
        if !primary.auto_id {
            return;
        }
        for row in rows {
            match row.key(schema).and_then(|key| self.assigned.get(&key)) {
                Some(handle) => row.fields.insert(primary.name.clone(), handle.clone().into()),
                None => row.fields.remove(&primary.name),
            };
        }
    }
}

/// Creates a collection of that name on both sides and runs the case's operations.
///
/// The name must be new to the process: the SDK caches schemas by name. A write that the target
/// refuses is not an error here; every check then has that as its verdict.
pub async fn apply<'a, 's>(
    case: &Case,
    collection: &str,
    sides: &'a mut Sides<'s>,
) -> Result<Applied<'a, 's>, ApplyError> {
    let table = Table::new(collection, case.schema.clone());
    let rows = case.rows();
    for backend in &mut *sides.backends {
        backend.create_table(&table).await?;
    }
    for operation in &case.operations {
        match operation {
            Operation::Insert(rows) | Operation::Upsert(rows) => {
                let rows: Vec<Row> = rows.iter().map(|row| row.stored(&case.schema)).collect();
                for backend in &mut *sides.backends {
                    backend.upsert(&table, &rows).await?;
                }
            }
            Operation::Delete(keys) => {
                for backend in &mut *sides.backends {
                    backend.delete(&table, keys).await?;
                }
            }
            Operation::Flush => {}
        }
    }
    let expected = rows.iter().map(|(key, row)| (key.clone(), row)).collect();
    let (mut wrong, mut right) = (Vec::new(), Vec::new());
    for backend in &mut *sides.backends {
        let stored = backend.scan(&table).await?;
        let diff = Diff::rows(&case.schema, &expected, &stored);
        let name = backend.name();
        match diff.is_empty() {
            true => right.push(format!("{name} does")),
            false => wrong.push(format!("{name} does not hold what was written: {diff}")),
        }
    }
    if !wrong.is_empty() {
        let text = [wrong, right].concat().join("; ");
        return Err(ApplyError::Conflict(Box::new(Conflict { check: None, text })));
    }
    let mut handles = Handles::default();
    let refused = match write(case, collection, sides.milvus, &mut handles).await {
        Ok(()) => None,
        Err(error) => Some(refusal(error)?),
    };
    Ok(Applied { sides, table, rows, handles, refused, settled: false })
}

async fn write(
    case: &Case,
    collection: &str,
    milvus: &Milvus,
    handles: &mut Handles,
) -> Result<(), MilvusError> {
    let schema = &case.schema;
    milvus.create(collection, schema).await?;
    for operation in &case.operations {
        match operation {
            Operation::Insert(rows) => {
                let keys = milvus.insert(collection, schema, rows).await?;
                handles.assign(schema, rows, keys);
            }
            Operation::Upsert(rows) => milvus.upsert(collection, schema, rows).await?,
            Operation::Delete(keys) => {
                milvus.delete(collection, schema, &handles.keys(schema, keys)).await?;
            }
            Operation::Flush => milvus.flush(collection).await?,
        }
    }
    Ok(())
}

/// A refused or unanswered write as a divergence; an error if the target is gone.
fn refusal(error: MilvusError) -> Result<Divergence, ApplyError> {
    let class = match &error {
        MilvusError::Rejected { .. } => Class::WronglyRejected,
        MilvusError::Deadline { .. } => Class::Hang,
        // The server accepted it, with an answer that makes no sense.
        MilvusError::Malformed { .. } => Class::WrongValue,
        _ => return Err(error.into()),
    };
    let actual = Actual::Error(error.to_string());
    Ok(Divergence { class, expected: Expected::Accepted, actual, judges: Judges::Both })
}

impl Applied<'_, '_> {
    /// Judges one check.
    pub async fn judge(&mut self, check: &Check) -> Result<Verdict, ApplyError> {
        match &self.refused {
            Some(refused) => Ok(Verdict::Divergence(Box::new(refused.clone()))),
            None => reference::judge(self, check).await,
        }
    }

    /// Whether a write was refused, which settles every check.
    pub fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// The SQL of a check, for each database that can express it, after the database's name.
    pub fn sql(&self, check: &Check) -> Vec<(String, String)> {
        let backends = self.sides.backends.iter();
        let sql = backends.filter_map(|backend| {
            Some((backend.name(), backend.explain(&self.table, check.filter()?).ok()?))
        });
        sql.collect()
    }

    /// Drops the collection on both sides. What the target says to that is no verdict.
    pub async fn close(self) -> Result<(), BackendError> {
        if let Err(error) = self.sides.milvus.drop_collection(&self.table.name).await {
            tracing::debug!(collection = self.table.name, %error, "could not drop the collection");
        }
        for backend in &mut *self.sides.backends {
            backend.drop_table(&self.table).await?;
        }
        Ok(())
    }
}
