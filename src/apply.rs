//! The one door by which cases reach the engines: live a collection's life on both sides, and judge
//! each question where it is asked.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backend::{Backend, BackendError, Table};
use crate::case::{Case, Check, Maintenance, Operation, Scope, State};
use crate::compare::Diff;
use crate::engine::Engine;
use crate::filter::Semantics;
use crate::milvus::{Milvus, MilvusError, Proof};
use crate::oracle::{maintenance, reference, relation, search};
use crate::schema::Schema;
use crate::value::{Key, Row};
use crate::verdict::{Actual, Class, Divergence, Expected, Judges, Verdict};

mod situation;
mod torn;

pub use situation::Situation;

/// Both sides of the comparison.
pub struct Sides<'a> {
    /// The target.
    pub milvus: &'a Milvus,
    /// The reference databases, which must agree with the model and so with each other; without
    /// any the model judges alone.
    pub backends: &'a mut [Box<dyn Backend>],
    /// How long the target may think about one query before it counts as hung.
    pub query_deadline: Duration,
    /// The target's engine, for cases that restart it; without one they cannot.
    pub engine: Option<&'a mut Engine>,
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

/// A collection on both sides, as far as its case has come.
pub struct Applied<'a, 's> {
    pub(crate) sides: &'a mut Sides<'s>,
    /// The collection with all that it comes to have, as the references hold it from the beginning.
    pub(crate) table: Table,
    /// The fields that it has on the target by now.
    pub(crate) present: Schema,
    /// What the model holds.
    state: State,
    /// Whether there is another collection on the target, for aliases to point to.
    elsewhere: bool,
    /// What the question that is being judged is about, with the rows of the model in it; nothing
    /// where that is the whole.
    part: Option<(Scope, BTreeMap<Key, Row>)>,
    pub(crate) handles: Handles,
    refused: Option<Divergence>,
    /// Whether an answer has come since the last write that was sure to see it.
    pub(crate) settled: bool,
    /// Whether the databases were seen to hold what the model holds.
    verified: bool,
    asked: Vec<Verdict>,
    steps: Steps,
    situation: Situation,
    /// The next write is interrupted after so long.
    interruption: Option<Duration>,
}

/// What became of the steps of maintenance in histories, by [`Maintenance::name`].
pub type Steps = BTreeMap<String, Carried>;

/// How often a step was carried out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// By the server's own word.
    pub done: u64,
    /// Not so, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unproven: BTreeMap<String, u64>,
}

impl Carried {
    /// Takes others into account.
    pub fn add(&mut self, others: &Carried) {
        self.done += others.done;
        for (reason, count) in &others.unproven {
            *self.unproven.entry(reason.clone()).or_default() += count;
        }
    }
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

    /// What the case calls a key of an answer.
    pub(crate) fn name(&self, schema: &Schema, key: &Key) -> Key {
        match schema.primary().auto_id {
            true => self.assigned.get(key).unwrap_or(key).clone(),
            false => key.clone(),
        }
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

/// Creates a collection of that name on both sides and runs the case's operations, questions in
/// between included.
///
/// The name must be new to the process: the SDK caches schemas by name. A write that the target
/// refuses is not an error here; every check after it then has that as its verdict.
pub async fn apply<'a, 's>(
    case: &Case,
    collection: &str,
    sides: &'a mut Sides<'s>,
) -> Result<Applied<'a, 's>, ApplyError> {
    let mut applied = begin(case, collection, sides).await?;
    for operation in &case.operations {
        applied.operate(operation).await?;
    }
    applied.verify().await?;
    Ok(applied)
}

/// Creates the collection of a case under that name on both sides, empty.
pub(crate) async fn begin<'a, 's>(
    case: &Case,
    collection: &str,
    sides: &'a mut Sides<'s>,
) -> Result<Applied<'a, 's>, ApplyError> {
    let table = Table::new(collection, case.schema.clone());
    let present = case.schema_at(0);
    for backend in &mut *sides.backends {
        backend.create_table(&table).await?;
    }
    let refused = match sides.milvus.create(collection, &present).await {
        Ok(()) => None,
        Err(error) => Some(refusal(error, Expected::Accepted)?),
    };
    Ok(Applied {
        sides,
        table,
        present,
        state: State::default(),
        elsewhere: false,
        part: None,
        handles: Handles::default(),
        refused,
        settled: false,
        verified: false,
        asked: Vec::new(),
        steps: Steps::new(),
        situation: Situation::default(),
        interruption: None,
    })
}

/// What a target refused, or did not answer, as a divergence; an error if the target is gone.
pub(crate) fn refusal(error: MilvusError, expected: Expected) -> Result<Divergence, ApplyError> {
    let class = match &error {
        MilvusError::Rejected { .. } => Class::WronglyRejected,
        MilvusError::Deadline { .. } => Class::Hang,
        // The server accepted it, with an answer that makes no sense.
        MilvusError::Malformed { .. } => Class::WrongValue,
        _ => return Err(error.into()),
    };
    let actual = Actual::Error(error.to_string());
    Ok(Divergence { class, expected, actual, judges: Judges::Both })
}

/// Drops what a case may have made on a target, whose answer to that is no verdict: the aliases, by
/// the case's names for them, the collection, and the one that aliases may point to instead.
pub(crate) async fn discard(
    milvus: &Milvus,
    collection: &str,
    aliases: impl Iterator<Item = &String>,
    elsewhere: bool,
) {
    // What has an alias cannot be dropped.
    for alias in aliases {
        if let Err(error) = milvus.drop_alias(&alias_of(collection, alias)).await {
            tracing::debug!(collection, alias, %error, "could not drop the alias");
        }
    }
    let other = elsewhere.then(|| elsewhere_of(collection));
    for collection in other.as_deref().into_iter().chain([collection]) {
        if let Err(error) = milvus.drop_collection(collection).await {
            tracing::debug!(collection, %error, "could not drop the collection");
        }
    }
}

/// What an alias of a case is called on a target, whose aliases are those of all its collections.
fn alias_of(collection: &str, alias: &str) -> String {
    format!("{collection}_{alias}")
}

/// The collection that aliases point to when they do not point to a case's own.
fn elsewhere_of(collection: &str) -> String {
    format!("{collection}__elsewhere")
}

/// A server's reason without what is new each time: names of collections, numbers of requests.
pub(crate) fn in_general(reason: &str) -> String {
    match reason.split(['`', ':']).next().unwrap_or_default().trim() {
        "" => "the server does not say why".to_owned(),
        words => words.to_owned(),
    }
}

impl Applied<'_, '_> {
    /// The rows that the references hold, in the part of the collection that is asked about.
    pub(crate) fn rows(&self) -> &BTreeMap<Key, Row> {
        self.part.as_ref().map_or(&self.state.rows, |(_, rows)| rows)
    }

    /// The name by which the collection is asked.
    pub(crate) fn name_asked(&self) -> String {
        match &self.scope().alias {
            Some(alias) => alias_of(&self.table.name, alias),
            None => self.table.name.clone(),
        }
    }

    /// Loads what an engine may have released when it was started again.
    pub(crate) async fn load(&mut self) -> Result<(), MilvusError> {
        let collection = &self.table.name;
        self.sides.milvus.load(collection).await?;
        match self.elsewhere {
            true => self.sides.milvus.load(&elsewhere_of(collection)).await,
            false => Ok(()),
        }
    }

    /// The part of the collection that is asked about.
    pub(crate) fn scope(&self) -> &Scope {
        self.part.as_ref().map_or(Scope::WHOLE, |(scope, _)| scope)
    }

    /// Rows that were deleted or replaced since the collection was created.
    pub(crate) fn past(&self) -> impl Iterator<Item = &Row> {
        self.state.dead.iter()
    }

    /// Does the next operation on both sides. A question is judged; [`asked`](Self::asked) keeps the
    /// verdict.
    pub(crate) async fn operate(&mut self, operation: &Operation) -> Result<(), ApplyError> {
        if let Operation::Ask(check) = operation {
            let verdict = self.judge(check).await?;
            self.asked.push(verdict);
            return Ok(());
        }
        if self.refused.is_some() {
            return Ok(());
        }
        if !matches!(operation, Operation::Maintain(_)) {
            self.remember(operation).await?;
            (self.verified, self.settled) = (false, false);
        }
        let done = match (operation, self.interruption.take()) {
            (Operation::Maintain(Maintenance::KillInWrite { micros }), _) => {
                self.interruption = Some(Duration::from_micros(u64::from(*micros)));
                return Ok(());
            }
            (Operation::Maintain(step), _) => self.maintain(step).await,
            (write, Some(after)) if write.is_of_rows() => {
                return self.interrupted(write, after).await;
            }
            (write, _) => self.write(write).await,
        };
        match done {
            Ok(()) => self.situation.wrote(operation),
            Err(error) => {
                let expected = match operation {
                    Operation::Maintain(_) => Expected::CarriedOut,
                    _ => Expected::Accepted,
                };
                self.refused = Some(refusal(error, expected)?);
            }
        }
        Ok(())
    }

    /// A write in the middle of which the engine is killed.
    async fn interrupted(
        &mut self,
        operation: &Operation,
        after: Duration,
    ) -> Result<(), ApplyError> {
        match torn::write(self, operation, after).await {
            Ok((proof, wrong)) => {
                let step = Maintenance::KillInWrite { micros: after.as_micros() as u32 };
                self.count(&step, proof);
                self.situation.wrote(operation);
                self.refused = wrong;
            }
            Err(ApplyError::Target(error)) => {
                self.refused = Some(refusal(error, Expected::Accepted)?)
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// It changes no answer, whether it is done or not; which of the two is counted.
    async fn maintain(&mut self, step: &Maintenance) -> Result<(), MilvusError> {
        let proof = maintenance::carry_out(self, step).await?;
        self.count(step, proof);
        Ok(())
    }

    fn count(&mut self, step: &Maintenance, proof: Proof) {
        let carried = self.steps.entry(step.name().to_owned()).or_default();
        match proof {
            Proof::Done => carried.done += 1,
            Proof::Missing(reason) | Proof::Refused(reason) => {
                *carried.unproven.entry(in_general(&reason)).or_default() += 1;
            }
        }
    }

    /// On the side of the references.
    async fn remember(&mut self, operation: &Operation) -> Result<(), ApplyError> {
        let Applied { sides, table, state, .. } = self;
        let schema = table.schema.clone();
        // A database finds what matches by itself, but for partitions, of which it has none.
        let mut found = Vec::new();
        let place = operation.partition();
        if let Operation::DeleteWhere(filter) = operation.plain() {
            for backend in &mut *sides.backends {
                found.push(match backend.query(table, &filter.expr).await {
                    Ok(mut keys) => {
                        keys.retain(|key| place.is_none_or(|name| state.home(key) == name));
                        Some(keys)
                    }
                    Err(BackendError::Inexpressible { .. }) => None,
                    Err(error) => return Err(error.into()),
                });
            }
        }
        let before: BTreeSet<Key> = state.rows.keys().cloned().collect();
        if let Err(open) = state.apply(&schema, operation, Semantics::canonical()) {
            let text = format!("which rows are deleted is not defined: {open}");
            return Err(ApplyError::Conflict(Box::new(Conflict { check: None, text })));
        }
        let written: Vec<Row> = match operation.plain() {
            Operation::Patch(rows) => {
                let keys = rows.iter().filter_map(|row| row.key(&schema));
                keys.filter_map(|key| state.rows.get(&key).cloned()).collect()
            }
            operation => operation.rows().iter().map(|row| row.stored(&schema)).collect(),
        };
        let gone: Vec<Key> =
            before.into_iter().filter(|key| !state.rows.contains_key(key)).collect();
        for (number, backend) in sides.backends.iter_mut().enumerate() {
            match operation.plain() {
                Operation::Insert(_) | Operation::Upsert(_) | Operation::Patch(_) => {
                    backend.upsert(table, &written).await?;
                }
                Operation::Delete(keys) => {
                    backend.delete(table, if place.is_some() { &gone } else { keys }).await?;
                }
                Operation::DeleteWhere(_) => {
                    let own = found.get(number).cloned().flatten();
                    backend.delete(table, own.as_ref().unwrap_or(&gone)).await?;
                }
                Operation::Recreate => {
                    backend.drop_table(table).await?;
                    backend.create_table(table).await?;
                }
                // Databases have no partitions: what is in one that is dropped is for the model to
                // say.
                Operation::DropPartition(_) => backend.delete(table, &gone).await?,
                // Their table has it already: without a value for it, rows have its default.
                Operation::AddField(_)
                | Operation::CreatePartition(_)
                | Operation::CreateAlias(_)
                | Operation::AlterAlias { .. }
                | Operation::DropAlias(_)
                | Operation::Into { .. }
                | Operation::Maintain(_)
                | Operation::Ask(_) => {}
            }
        }
        Ok(())
    }

    /// On the target.
    async fn write(&mut self, operation: &Operation) -> Result<(), MilvusError> {
        let Applied { sides, table, present: schema, handles, elsewhere: is_there, .. } = self;
        let (milvus, collection) = (sides.milvus, &*table.name);
        let place = operation.partition().unwrap_or_default();
        match operation.plain() {
            Operation::Insert(rows) => {
                let keys = milvus.insert_into(collection, place, schema, rows).await?;
                handles.assign(schema, rows, keys);
            }
            Operation::Upsert(rows) => {
                milvus.upsert_into(collection, place, schema, rows).await?;
            }
            Operation::Patch(rows) => {
                milvus.upsert_partial_into(collection, place, schema, rows).await?;
            }
            Operation::AddField(name) => {
                if let Some(field) = table.schema.field(name) {
                    milvus.add_field(collection, field).await?;
                    schema.fields.push(field.clone());
                }
            }
            Operation::CreateAlias(name) => {
                milvus.create_alias(collection, &alias_of(collection, name)).await?;
            }
            Operation::AlterAlias { alias, elsewhere } => {
                let other = elsewhere_of(collection);
                if *elsewhere && !*is_there {
                    milvus.create(&other, &table.schema).await?;
                    *is_there = true;
                }
                let to = if *elsewhere { &other } else { collection };
                milvus.alter_alias(to, &alias_of(collection, alias)).await?;
            }
            Operation::DropAlias(name) => milvus.drop_alias(&alias_of(collection, name)).await?,
            Operation::CreatePartition(name) => milvus.create_partition(collection, name).await?,
            Operation::DropPartition(name) => milvus.drop_partition(collection, name).await?,
            Operation::Delete(keys) => {
                let keys = handles.keys(schema, keys);
                milvus.delete_in(collection, place, schema, &keys).await?;
            }
            Operation::DeleteWhere(filter) => {
                milvus.delete_where_in(collection, place, &filter.to_string()).await?;
            }
            Operation::Recreate => {
                milvus.drop_collection(collection).await?;
                milvus.create(collection, schema).await?;
            }
            Operation::Into { .. } | Operation::Maintain(_) | Operation::Ask(_) => {}
        }
        Ok(())
    }

    /// Finds out whether the databases hold what the model holds.
    async fn verify(&mut self) -> Result<(), ApplyError> {
        if self.verified {
            return Ok(());
        }
        let Applied { sides, table, state, .. } = self;
        let expected = state.rows.iter().map(|(key, row)| (key.clone(), row)).collect();
        let (mut wrong, mut right) = (Vec::new(), Vec::new());
        for backend in &mut *sides.backends {
            let stored = backend.scan(table).await?;
            let diff = Diff::rows(&table.schema, &expected, &stored);
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
        self.verified = true;
        Ok(())
    }

    /// Judges one check.
    pub async fn judge(&mut self, check: &Check) -> Result<Verdict, ApplyError> {
        if let Some(refused) = &self.refused {
            return Ok(Verdict::Divergence(Box::new(refused.clone())));
        }
        self.verify().await?;
        let scope = check.scope();
        self.part = (!scope.is_whole()).then(|| (scope.clone(), self.state.rows_in(scope)));
        let verdict = self.judge_part(check).await;
        self.part = None;
        verdict
    }

    async fn judge_part(&mut self, check: &Check) -> Result<Verdict, ApplyError> {
        match check.plain() {
            Check::Agree { relation, filter } => relation::judge(self, relation, filter).await,
            Check::Search { search, filter } => {
                search::judge(self, check, search, filter.as_ref()).await
            }
            _ => reference::judge(self, check).await,
        }
    }

    /// The verdicts on the questions in between, in order.
    pub fn asked(&self) -> &[Verdict] {
        &self.asked
    }

    /// Takes note of what the server has proved to have done; of a flush, of what it has answered.
    pub(crate) fn did(&mut self, step: &Maintenance) {
        self.situation.did(step);
    }

    /// What a question finds that is asked now.
    pub fn situation(&self) -> &Situation {
        &self.situation
    }

    /// What became of the steps of maintenance in the history.
    pub fn steps(&self) -> &Steps {
        &self.steps
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

    /// Drops the collection on both sides.
    pub async fn close(self) -> Result<(), BackendError> {
        let aliases = self.state.aliases.keys();
        discard(self.sides.milvus, &self.table.name, aliases, self.elsewhere).await;
        for backend in &mut *self.sides.backends {
            backend.drop_table(&self.table).await?;
        }
        Ok(())
    }
}
