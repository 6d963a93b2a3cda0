//! What the operations of a case leave.

use std::collections::{BTreeMap, BTreeSet};

use super::{Case, Operation};
use crate::filter::{self, Semantics, Switch, Truth, Undefined, evaluate};
use crate::schema::Schema;
use crate::value::{Key, Row};

/// The reference machine of a collection: what it holds after some operations.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// The rows that are left.
    pub rows: BTreeMap<Key, Row>,
    /// Those of them that were last written by an upsert.
    pub upserted: BTreeSet<Key>,
    /// Rows that were deleted or replaced.
    pub dead: Vec<Row>,
}

impl State {
    /// The next operation, on an engine that takes some rules otherwise.
    ///
    /// # Errors
    /// If the documentation leaves open which rows a filter deletes: nothing is changed then.
    pub fn apply(
        &mut self,
        schema: &Schema,
        operation: &Operation,
        semantics: Semantics,
    ) -> Result<(), Undefined> {
        match operation {
            Operation::Insert(batch) => batch.iter().for_each(|row| {
                self.put(schema, row, false, |row, old| merged(schema, row, old, semantics));
            }),
            Operation::Upsert(batch) => batch.iter().for_each(|row| {
                self.put(schema, row, true, |row, old| merged(schema, row, old, semantics));
            }),
            Operation::Patch(batch) => batch.iter().for_each(|row| {
                self.put(schema, row, true, |row, old| match old {
                    Some(old) => old.merged(row).stored(schema),
                    None => row.stored(schema),
                });
            }),
            Operation::Delete(keys) => {
                // Keys are deleted by a filter that lists them.
                let escapes = !semantics.has(Switch::EscapesAreDropped);
                for key in keys {
                    match key {
                        Key::Text(text) if !escapes => {
                            self.remove(&Key::Text(filter::without_escapes(text)));
                        }
                        key => self.remove(key),
                    }
                }
            }
            Operation::DeleteWhere(filter) => {
                let mut gone = Vec::new();
                for (key, row) in &self.rows {
                    if evaluate(&filter.expr, schema, row, semantics)? == Truth::True {
                        gone.push(key.clone());
                    }
                }
                gone.iter().for_each(|key| self.remove(key));
            }
            Operation::Recreate => *self = State::default(),
            Operation::Maintain(_) | Operation::Ask(_) => {}
        }
        Ok(())
    }

    fn put(
        &mut self,
        schema: &Schema,
        row: &Row,
        upserts: bool,
        merge: impl Fn(&Row, Option<&Row>) -> Row,
    ) {
        let Some(key) = row.key(schema) else { return };
        let old = self.rows.remove(&key);
        let new = merge(row, old.as_ref());
        self.dead.extend(old);
        match upserts {
            true => self.upserted.insert(key.clone()),
            false => self.upserted.remove(&key),
        };
        self.rows.insert(key, new);
    }

    fn remove(&mut self, key: &Key) {
        self.dead.extend(self.rows.remove(key));
    }
}

/// A row as it is stored in the place of another.
fn merged(schema: &Schema, row: &Row, old: Option<&Row>, semantics: Semantics) -> Row {
    let Some(old) = old else { return row.stored(schema) };
    let mut row = row.clone();
    if semantics.has(Switch::UpsertKeepsOmittedDefaults) {
        for field in schema.fields.iter().filter(|f| f.default.is_some()) {
            let kept = || old.get(&field.name).clone();
            row.fields.entry(field.name.clone()).or_insert_with(kept);
        }
    }
    let mut row = row.stored(schema);
    if semantics.has(Switch::UpsertKeepsDynamicKeys) {
        let mut dynamic = old.dynamic.clone();
        dynamic.append(&mut row.dynamic);
        row.dynamic = dynamic;
    }
    row
}

impl Case {
    /// The rows that the operations leave, by key, as Milvus stores them.
    pub fn rows(&self) -> BTreeMap<Key, Row> {
        self.rows_under(Semantics::canonical())
    }

    /// The rows that the operations leave on an engine that takes some rules otherwise.
    pub fn rows_under(&self, semantics: Semantics) -> BTreeMap<Key, Row> {
        self.history(semantics).rows
    }

    /// How many rows there are at each question, in the order of [`questions`](Self::questions).
    pub(crate) fn rows_at_questions(&self) -> Vec<usize> {
        let mut state = State::default();
        let mut all = Vec::new();
        for operation in &self.operations {
            // A valid case has no deletion that is open by the documentation.
            let _ = state.apply(&self.schema, operation, Semantics::canonical());
            if let Operation::Ask(_) = operation {
                all.push(state.rows.len());
            }
        }
        all.extend(self.checks.iter().map(|_| state.rows.len()));
        all
    }

    /// What the operations leave on an engine that takes some rules otherwise, and how. Where such
    /// an engine refuses to delete, it deletes nothing.
    pub(crate) fn history(&self, semantics: Semantics) -> State {
        let mut state = State::default();
        for operation in &self.operations {
            // A valid case has no deletion that is open by the documentation.
            let _ = state.apply(&self.schema, operation, semantics);
        }
        state
    }
}
