//! What a collection's history leaves behind on a server that forgets or remembers too much: faults
//! that show only after the right steps in the right order.

use std::collections::{BTreeMap, BTreeSet};

use super::fault::Fault;
use super::sabotage::Sabotage;
use crate::filter::{Expr, Literal};
use crate::schema::Schema;
use crate::value::{Key, Row, Value};

/// A collection's rows.
type Rows = BTreeMap<Key, Row>;

/// What is remembered of a collection's history.
#[derive(Debug, Default)]
pub(super) struct Life {
    /// The rows as the last flush has left them.
    flushed: Rows,
    /// Rows that were deleted and are not there again, as they were.
    deleted: Rows,
    /// Rows that were deleted after they were flushed.
    deleted_flushed: Rows,
    /// Rows that were replaced, as they were before.
    replaced: Rows,
    /// Keys that were deleted and inserted again.
    again: BTreeSet<Key>,
    /// The rows before the last write.
    before: Rows,
    /// The keys at the time at which a field was indexed.
    indexed: BTreeMap<String, BTreeSet<Key>>,
    /// The rows that were flushed before a field was added, and not written since.
    older: BTreeMap<String, BTreeSet<Key>>,
    /// What filters have answered.
    answers: BTreeMap<String, Vec<Key>>,
    /// How often it was written since it was loaded.
    compacted: bool,
}

impl Life {
    /// After a write, with the rows as they were before it.
    pub(super) fn written(&mut self, sabotage: &Sabotage, before: Rows, rows: &mut Rows) {
        let mut back = Rows::new();
        for (key, old) in &before {
            match rows.get(key) {
                None => {
                    if self.flushed.contains_key(key) {
                        self.deleted_flushed.insert(key.clone(), old.clone());
                        if sabotage.has(Fault::DeleteOfFlushedLost) {
                            back.insert(key.clone(), old.clone());
                        }
                    }
                    self.deleted.insert(key.clone(), old.clone());
                }
                Some(new) if new != old => {
                    if sabotage.has(Fault::UpsertOfFlushedLost) && self.flushed.contains_key(key) {
                        back.insert(key.clone(), old.clone());
                    }
                    self.replaced.insert(key.clone(), old.clone());
                }
                Some(_) => {}
            }
        }
        for keys in self.older.values_mut() {
            keys.retain(|key| rows.get(key) == before.get(key));
        }
        for key in rows.keys().filter(|key| !before.contains_key(*key)) {
            if self.deleted.remove(key).is_some() {
                self.again.insert(key.clone());
            }
            self.deleted_flushed.remove(key);
        }
        if sabotage.has(Fault::WriteAfterCompactionLost) && self.compacted {
            let new = rows.keys().find(|key| !before.contains_key(*key)).cloned();
            if let Some(key) = new {
                rows.remove(&key);
            }
        }
        rows.extend(back);
        self.before = before;
    }

    pub(super) fn flushed(&mut self, sabotage: &Sabotage, rows: &mut Rows) {
        if sabotage.has(Fault::FlushLosesLast) && rows.len() >= 2 {
            rows.pop_last();
        }
        if sabotage.has(Fault::FlushRevivesDeleted) {
            rows.append(&mut self.deleted);
        }
        self.flushed.clone_from(rows);
    }

    pub(super) fn compacted(&mut self, sabotage: &Sabotage, rows: &mut Rows) {
        self.compacted = true;
        if sabotage.has(Fault::CompactionRevivesDeleted) {
            rows.append(&mut self.deleted);
        }
        if sabotage.has(Fault::CompactionUndoesUpserts) {
            undo(rows, &mut self.replaced);
        }
    }

    pub(super) fn released(&mut self, sabotage: &Sabotage, rows: &mut Rows) {
        if sabotage.has(Fault::ReloadRevivesDeletedFlushed) {
            rows.append(&mut self.deleted_flushed);
        }
        if sabotage.has(Fault::ReloadUndoesUpserts) {
            undo(rows, &mut self.replaced);
        }
    }

    pub(super) fn restarted(&mut self, sabotage: &Sabotage, rows: &mut Rows) {
        if sabotage.has(Fault::RestartLosesLastWrite) {
            rows.clone_from(&self.before);
        }
        if sabotage.has(Fault::RestartLosesUnflushed) && !self.flushed.is_empty() {
            rows.retain(|key, _| self.flushed.contains_key(key));
        }
    }

    pub(super) fn indexed(&mut self, field: &str, rows: &Rows) {
        self.indexed.insert(field.to_owned(), rows.keys().cloned().collect());
    }

    pub(super) fn added(&mut self, field: &str) {
        self.older.insert(field.to_owned(), self.flushed.keys().cloned().collect());
    }

    pub(super) fn unindexed(&mut self, field: &str) {
        self.indexed.remove(field);
    }

    /// Whether a filter finds a row that matches.
    pub(super) fn is_found(
        &self,
        sabotage: &Sabotage,
        schema: &Schema,
        expr: &Expr,
        key: &Key,
        row: &Row,
    ) -> bool {
        if sabotage.has(Fault::AgainInsertedIsHidden) && self.again.contains(key) {
            return false;
        }
        if sabotage.has(Fault::AddedFieldMissesFlushed) {
            let older = self.older.iter().filter(|(_, keys)| keys.contains(key));
            let seen = older.fold(expr.clone(), |expr, (field, _)| blind(expr, field));
            if !sabotage.matches(schema, &seen, row) {
                return false;
            }
        }
        let mut found = true;
        expr.for_each_path(&mut |path| {
            let Some(keys) = self.indexed.get(&path.root) else { return };
            let negative = match row.get(&path.root) {
                Value::Int(i) => *i < 0,
                Value::Float(x) => *x < 0.0,
                Value::Double(x) => *x < 0.0,
                Value::Text(text) => text.is_empty(),
                _ => false,
            };
            let scalar = schema.field(&path.root).is_some_and(|field| !field.is_vector());
            found &= !(scalar && sabotage.has(Fault::IndexForgetsNegatives) && negative);
            found &= !(scalar && sabotage.has(Fault::IndexIsStale) && !keys.contains(key));
        });
        found
    }

    /// What a filter has answered before, on a server that does not ask again.
    pub(super) fn remembered(
        &mut self,
        sabotage: &Sabotage,
        filter: &str,
        keys: Vec<Key>,
    ) -> Vec<Key> {
        if !sabotage.has(Fault::AnswersAreCached) || filter.is_empty() {
            return keys;
        }
        self.answers.entry(filter.to_owned()).or_insert(keys).clone()
    }
}

/// A filter whose predicates on a field are false.
fn blind(expr: Expr, field: &str) -> Expr {
    match expr {
        Expr::Not(inner) => Expr::Not(Box::new(blind(*inner, field))),
        Expr::Binary { op, left, right } if op.is_logical() => {
            Expr::binary(blind(*left, field), op, blind(*right, field))
        }
        predicate if predicate.names(field) => Expr::Literal(Literal::Bool(false)),
        other => other,
    }
}

/// Brings back what was replaced, where it is still there.
fn undo(rows: &mut Rows, replaced: &mut Rows) {
    for (key, old) in std::mem::take(replaced) {
        if let Some(row) = rows.get_mut(&key) {
            *row = old;
        }
    }
}
