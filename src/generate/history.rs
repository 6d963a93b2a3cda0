//! Random histories: what happens to a collection between its creation and the last questions.
//!
//! In the words of proptest-state-machine: [`State`] is the reference machine, an operation is a
//! transition, and what is drawn here has its preconditions met in the state that it is applied to.

use std::collections::BTreeSet;

use super::filter::Chance;
use crate::case::{Check, Maintenance, Operation, State};
use crate::filter::Semantics;
use crate::milvus::{CallFeature, Dialect};
use crate::schema::{Field, Schema};
use crate::value::{Key, Row};

/// So many rows are at hand for what is written later.
pub(super) const MORE: usize = 12;
/// So many steps, at most, after the first inserts.
const STEPS: usize = 9;
/// One in so many histories has what is slow.
const SLOW: usize = 12;

/// One in so many writes is followed by a question at a level of consistency.
const AT_LEVEL: usize = 6;

/// What is asked in between.
pub(super) struct Questions<'a> {
    /// Anything.
    pub any: &'a mut dyn FnMut(&mut Chance) -> Option<Check>,
    /// What shows something right after a write, and later no more.
    pub at_level: &'a dyn Fn(&mut Chance) -> Option<Check>,
}

/// Inserts in batches, and in most cases a life after that.
pub(super) fn history(
    schema: &Schema,
    dialect: &Dialect,
    rows: Vec<Row>,
    more: Vec<Row>,
    chance: &mut Chance,
    questions: &mut Questions<'_>,
) -> Vec<Operation> {
    let mut all: Vec<Operation> = Vec::new();
    if !rows.is_empty() {
        let batch = rows.len().div_ceil(if chance.one_in(2) { 2 } else { 1 });
        all.extend(rows.chunks(batch).map(|rows| Operation::Insert(rows.to_vec())));
    }
    let mut steps: Vec<Kind> = Vec::new();
    let with_slow = chance.one_in(SLOW);
    if !chance.one_in(4) {
        steps.extend((0..chance.within(1, STEPS)).map(|_| Kind::any(chance)));
    }
    // What is known to matter to storage engines, somewhere in between.
    if chance.one_in(3) {
        let at = chance.within(0, steps.len());
        steps.splice(at..at, Kind::motif(chance));
    }
    Story::of(schema, dialect, with_slow, more, &all).tell(steps, &mut all, chance, questions);
    all
}

/// Goes on with a history by some steps.
pub(super) fn go_on(
    schema: &Schema,
    dialect: &Dialect,
    all: &mut Vec<Operation>,
    more: Vec<Row>,
    chance: &mut Chance,
    questions: &mut Questions<'_>,
) {
    let with_slow = chance.one_in(SLOW);
    let steps = match chance.one_in(2) {
        true => Kind::motif(chance),
        false => (0..chance.within(1, 4)).map(|_| Kind::any(chance)).collect(),
    };
    Story::of(schema, dialect, with_slow, more, all).tell(steps, all, chance, questions);
}

/// A step that changes no answer, of those that the dialect has.
pub(super) fn touch(schema: &Schema, dialect: &Dialect, chance: &mut Chance) -> Option<Operation> {
    let story = Story::of(schema, dialect, chance.one_in(SLOW), Vec::new(), &[]);
    match chance.below(6) {
        0 | 1 => story.index(chance),
        2 | 3 => story.offers(CallFeature::Flush, Maintenance::Flush),
        4 => story.offers(CallFeature::Compaction, Maintenance::Compact),
        _ => story.offers(CallFeature::Release, Maintenance::Reload),
    }
}

/// The kinds of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Insert,
    Upsert,
    Patch,
    Delete,
    DeleteWhere,
    Ask,
    Flush,
    Compact,
    Reload,
    Index,
    DropIndex,
    Restart,
    Kill,
    KillInWrite,
    Recreate,
}

impl Kind {
    /// One that is drawn by its weight.
    fn any(chance: &mut Chance) -> Kind {
        match chance.below(32) {
            0..4 => Kind::Insert,
            4..9 => Kind::Upsert,
            9..13 => Kind::Patch,
            13..17 => Kind::Delete,
            17..20 => Kind::DeleteWhere,
            20..24 => Kind::Ask,
            24..26 => Kind::Flush,
            26 => Kind::Compact,
            27 => Kind::Reload,
            28 => Kind::Index,
            29 => Kind::DropIndex,
            30 => chance.one_of([Kind::Restart, Kind::Kill]),
            _ => Kind::Recreate,
        }
    }

    /// Rows that are written out, changed, and read after something has touched what was written
    /// out; or that come again after they were gone.
    fn motif(chance: &mut Chance) -> Vec<Kind> {
        let change = chance.one_of([Kind::Delete, Kind::Upsert, Kind::Patch, Kind::DeleteWhere]);
        let touch = chance.one_of([Kind::Reload, Kind::Compact, Kind::Kill, Kind::Flush]);
        match chance.below(5) {
            0 | 1 => vec![Kind::Insert, Kind::Flush, change, touch],
            4 => vec![Kind::KillInWrite, chance.one_of([Kind::Insert, change])],
            2 => vec![Kind::Delete, touch, Kind::Insert],
            _ => vec![Kind::Index, change, Kind::Ask],
        }
    }
}

/// A history that is being told.
struct Story<'a> {
    schema: &'a Schema,
    dialect: &'a Dialect,
    with_slow: bool,
    state: State,
    /// Keys of rows that were deleted.
    gone: Vec<Key>,
    /// Rows that were not written yet.
    more: Vec<Row>,
    indexed: BTreeSet<String>,
}

impl<'a> Story<'a> {
    /// One that has come so far.
    fn of(
        schema: &'a Schema,
        dialect: &'a Dialect,
        with_slow: bool,
        more: Vec<Row>,
        past: &[Operation],
    ) -> Story<'a> {
        let mut story = Story {
            schema,
            dialect,
            with_slow,
            state: State::default(),
            gone: Vec::new(),
            more,
            indexed: BTreeSet::new(),
        };
        past.iter().for_each(|operation| story.take(operation));
        story
    }

    /// Goes on with steps of these kinds, where their preconditions are met.
    fn tell(
        mut self,
        steps: Vec<Kind>,
        all: &mut Vec<Operation>,
        chance: &mut Chance,
        questions: &mut Questions<'_>,
    ) {
        for kind in steps {
            let Some(operation) = self.step(kind, chance, questions.any) else { continue };
            self.take(&operation);
            let writes = !matches!(operation, Operation::Ask(_) | Operation::Maintain(_));
            all.push(operation);
            if writes && chance.one_in(AT_LEVEL) {
                all.extend((questions.at_level)(chance).map(Operation::Ask));
            }
        }
    }

    fn take(&mut self, operation: &Operation) {
        let before: Vec<Key> = self.state.rows.keys().cloned().collect();
        // What is drawn has a defined outcome.
        let _ = self.state.apply(self.schema, operation, Semantics::canonical());
        self.gone.extend(before.into_iter().filter(|key| !self.state.rows.contains_key(key)));
        match operation {
            Operation::Maintain(Maintenance::Index { field, .. }) => {
                self.indexed.insert(field.clone());
            }
            Operation::Maintain(Maintenance::DropIndex { field }) => {
                self.indexed.remove(field);
            }
            Operation::Recreate => self.indexed.clear(),
            _ => {}
        }
    }

    /// A step of that kind; `None` if its preconditions are not met.
    fn step(
        &mut self,
        kind: Kind,
        chance: &mut Chance,
        question: &mut dyn FnMut(&mut Chance) -> Option<Check>,
    ) -> Option<Operation> {
        match kind {
            Kind::Insert => self.insert(chance),
            Kind::Upsert => self.upsert(chance),
            Kind::Patch => self.patch(chance),
            Kind::Delete => self.delete(chance),
            Kind::DeleteWhere => self.delete_where(chance, question),
            Kind::Ask => question(chance).map(Operation::Ask),
            Kind::Flush => self.offers(CallFeature::Flush, Maintenance::Flush),
            Kind::Compact => self.offers(CallFeature::Compaction, Maintenance::Compact),
            Kind::Reload => self.offers(CallFeature::Release, Maintenance::Reload),
            Kind::Index => self.index(chance),
            Kind::DropIndex => {
                let field = pick(chance, &self.indexed.iter().cloned().collect::<Vec<_>>())?;
                Some(Operation::Maintain(Maintenance::DropIndex { field }))
            }
            Kind::Restart => self.offers(CallFeature::Restart, Maintenance::Restart),
            Kind::Kill => self.offers(CallFeature::Restart, Maintenance::Kill),
            Kind::KillInWrite => {
                // From before it arrives to after it is answered.
                let micros = chance.one_of([0, 300, 1_000, 2_000, 4_000, 8_000, 30_000]);
                let step = Maintenance::KillInWrite { micros };
                self.offers(CallFeature::Restart, step).filter(|_| !self.schema.primary().auto_id)
            }
            Kind::Recreate => Some(Operation::Recreate),
        }
    }

    fn offers(&self, feature: CallFeature, step: Maintenance) -> Option<Operation> {
        is_offered(self.dialect, feature, self.with_slow).then_some(Operation::Maintain(step))
    }

    /// New rows, and rows with the keys of those that were deleted.
    fn insert(&mut self, chance: &mut Chance) -> Option<Operation> {
        let mut rows: Vec<Row> = Vec::new();
        for _ in 0..chance.within(1, 3) {
            let Some(mut row) = self.more.pop() else { break };
            if let Some(key) = pick(chance, &self.gone)
                && chance.one_in(2)
            {
                row.fields.insert(self.schema.primary().name.clone(), key.into());
            }
            let key = row.key(self.schema)?;
            let taken = rows.iter().any(|other| other.key(self.schema).as_ref() == Some(&key));
            if !taken && !self.state.rows.contains_key(&key) {
                rows.push(row);
            }
        }
        (!rows.is_empty()).then_some(Operation::Insert(rows))
    }

    /// Rows in the place of others, and perhaps a new one.
    fn upsert(&mut self, chance: &mut Chance) -> Option<Operation> {
        if self.schema.primary().auto_id {
            return None;
        }
        let mut rows: Vec<Row> = Vec::new();
        for _ in 0..chance.within(1, 3) {
            let Some(mut row) = self.more.pop() else { break };
            if let (Some(key), false) = (self.any_key(chance), chance.one_in(5)) {
                row.fields.insert(self.schema.primary().name.clone(), key.into());
            }
            let key = row.key(self.schema)?;
            if !rows.iter().any(|other| other.key(self.schema).as_ref() == Some(&key)) {
                rows.push(row);
            }
        }
        (!rows.is_empty()).then_some(Operation::Upsert(rows))
    }

    /// Some fields of rows that exist, the same ones for all.
    fn patch(&mut self, chance: &mut Chance) -> Option<Operation> {
        if self.schema.primary().auto_id || !self.dialect.offers(CallFeature::PartialUpsert) {
            return None;
        }
        let key = &self.schema.primary().name;
        // Changing a partition key moves the row.
        let can = |field: &&Field| !field.primary && !field.partition_key;
        let fields: Vec<&Field> = self.schema.fields.iter().filter(can).collect();
        let given: Vec<&Field> = fields.iter().filter(|_| chance.one_in(2)).copied().collect();
        let mut rows: Vec<Row> = Vec::new();
        for _ in 0..chance.within(1, 2) {
            let Some(new) = self.more.pop() else { break };
            let old = self.any_key(chance)?;
            if rows.iter().any(|other| other.key(self.schema).as_ref() == Some(&old)) {
                continue;
            }
            let mut row = Row::default();
            row.fields.insert(key.clone(), old.into());
            // What has a default may be left out of a row.
            for field in given.iter().filter(|field| new.fields.contains_key(&field.name)) {
                row.fields.insert(field.name.clone(), new.get(&field.name).clone());
            }
            if self.schema.dynamic && given.len() % 2 == 1 {
                row.dynamic = new.dynamic;
            }
            rows.push(row);
        }
        (!rows.is_empty() && !given.is_empty()).then_some(Operation::Patch(rows))
    }

    fn delete(&mut self, chance: &mut Chance) -> Option<Operation> {
        let mut keys: Vec<Key> =
            (0..chance.within(1, 3)).filter_map(|_| self.any_key(chance)).collect();
        keys.sort();
        keys.dedup();
        (!keys.is_empty()).then_some(Operation::Delete(keys))
    }

    /// By a filter with a meaning on every row, that leaves some of them.
    fn delete_where(
        &mut self,
        chance: &mut Chance,
        question: &mut dyn FnMut(&mut Chance) -> Option<Check>,
    ) -> Option<Operation> {
        let Some(Check::Query(filter)) = question(chance) else { return None };
        let operation = Operation::DeleteWhere(filter);
        let mut after = self.state.clone();
        after.apply(self.schema, &operation, Semantics::canonical()).ok()?;
        let (before, after) = (self.state.rows.len(), after.rows.len());
        (after < before && after > 0).then_some(operation)
    }

    fn index(&self, chance: &mut Chance) -> Option<Operation> {
        // Where writing out takes long, so does what follows it.
        if !is_offered(self.dialect, CallFeature::Flush, self.with_slow) {
            return None;
        }
        let (field, kind) = any_index(self.schema, self.dialect, chance, &self.indexed)?;
        Some(Operation::Maintain(Maintenance::Index { field, kind }))
    }

    fn any_key(&self, chance: &mut Chance) -> Option<Key> {
        let keys: Vec<&Key> = self.state.rows.keys().collect();
        pick(chance, &keys).cloned()
    }
}

/// Whether a dialect has something, and not only slowly.
pub(super) fn is_offered(dialect: &Dialect, feature: CallFeature, with_slow: bool) -> bool {
    dialect.offers(feature) && (with_slow || !dialect.slow.contains(&feature))
}

/// A field without an index, and a kind of index that it can have.
pub(super) fn any_index(
    schema: &Schema,
    dialect: &Dialect,
    chance: &mut Chance,
    indexed: &BTreeSet<String>,
) -> Option<(String, String)> {
    let free = schema.payload().filter(|field| !indexed.contains(&field.name));
    let kinds: Vec<(String, String)> = free
        .flat_map(|field| {
            let kinds = dialect.indexes_of(field.data_type);
            kinds.map(|kind| (field.name.clone(), kind.to_owned()))
        })
        .collect();
    pick(chance, &kinds)
}

fn pick<T: Clone>(chance: &mut Chance, all: &[T]) -> Option<T> {
    if all.is_empty() { None } else { all.get(chance.below(all.len())).cloned() }
}
