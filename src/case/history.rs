//! What the operations of a case leave.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::{Case, Check, DEFAULT_PARTITION, Operation, Scope};
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
    /// The partitions beside the default one.
    pub partitions: BTreeSet<String>,
    /// The aliases, and whether each points to another collection, which is empty.
    pub aliases: BTreeMap<String, bool>,
    /// The rows outside of the default partition, and where they are.
    homes: BTreeMap<Key, String>,
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
        let place = operation.partition();
        let limit = place.filter(|_| !semantics.has(Switch::DeleteIgnoresPartition));
        match operation.plain() {
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
            Operation::CreateAlias(name) => drop(self.aliases.insert(name.clone(), false)),
            Operation::AlterAlias { alias, elsewhere } => {
                self.aliases.insert(alias.clone(), *elsewhere);
            }
            Operation::DropAlias(name) => drop(self.aliases.remove(name)),
            Operation::CreatePartition(name) => {
                self.partitions.insert(name.clone());
            }
            Operation::DropPartition(name) => {
                self.partitions.remove(name);
                let homes = &self.homes;
                self.rows.retain(|key, _| homes.get(key) != Some(name));
                self.homes.retain(|_, home| home != name);
            }
            Operation::Delete(keys) => {
                // Keys are deleted by a filter that lists them.
                let escapes = !semantics.has(Switch::EscapesAreDropped);
                for key in keys {
                    let key = match key {
                        Key::Text(text) if !escapes => {
                            Cow::Owned(Key::Text(filter::without_escapes(text)))
                        }
                        key => Cow::Borrowed(key),
                    };
                    if limit.is_none_or(|name| self.home(&key) == name) {
                        self.remove(&key);
                    }
                }
            }
            Operation::DeleteWhere(filter) => {
                let mut gone = Vec::new();
                let is_meant = |key: &Key| limit.is_none_or(|name| self.home(key) == name);
                for (key, row) in self.rows.iter().filter(|(key, _)| is_meant(key)) {
                    if evaluate(&filter.expr, schema, row, semantics)? == Truth::True {
                        gone.push(key.clone());
                    }
                }
                gone.iter().for_each(|key| self.remove(key));
            }
            Operation::Recreate => *self = State::default(),
            // A write into a partition is none of its own. Rows that were written without a field
            // have what it has by default already.
            Operation::Into { .. }
            | Operation::AddField(_)
            | Operation::Maintain(_)
            | Operation::Ask(_) => {}
        }
        for key in operation.rows().iter().filter_map(|row| row.key(schema)) {
            match place.filter(|name| *name != DEFAULT_PARTITION) {
                Some(name) => self.homes.insert(key, name.to_owned()),
                None => self.homes.remove(&key),
            };
        }
        Ok(())
    }

    /// Whether there is a partition of that name.
    pub fn has_partition(&self, name: &str) -> bool {
        name == DEFAULT_PARTITION || self.partitions.contains(name)
    }

    /// The partition of a row that there is.
    pub fn home(&self, key: &Key) -> &str {
        self.homes.get(key).map_or(DEFAULT_PARTITION, String::as_str)
    }

    /// Whether a row that there is belongs to that part of the collection.
    pub fn is_in(&self, scope: &Scope, key: &Key) -> bool {
        let named = |home: &str| scope.partitions.iter().any(|name| name == home);
        let elsewhere = scope.alias.as_ref().and_then(|alias| self.aliases.get(alias));
        elsewhere != Some(&true) && (scope.partitions.is_empty() || named(self.home(key)))
    }

    /// The rows of that part of the collection.
    pub fn rows_in(&self, scope: &Scope) -> BTreeMap<Key, Row> {
        let rows = self.rows.iter().filter(|(key, _)| self.is_in(scope, key));
        rows.map(|(key, row)| (key.clone(), row.clone())).collect()
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
        self.homes.remove(key);
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

    /// The rows that a check is about, of those that the operations leave.
    pub(crate) fn rows_asked(&self, check: &Check) -> BTreeMap<Key, Row> {
        self.history(Semantics::canonical()).rows_in(check.scope())
    }

    /// How many rows there are at each question, in the order of [`questions`](Self::questions).
    pub(crate) fn rows_at_questions(&self) -> Vec<usize> {
        let mut state = State::default();
        let mut all = Vec::new();
        for operation in &self.operations {
            // A valid case has no deletion that is open by the documentation.
            let _ = state.apply(&self.schema, operation, Semantics::canonical());
            if let Operation::Ask(check) = operation {
                all.push(state.rows_in(check.scope()).len());
            }
        }
        all.extend(self.checks.iter().map(|check| state.rows_in(check.scope()).len()));
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
