//! Writes to both sides, or to neither.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::builder::OnDuplicate;
use super::catalog::Intent;
use super::collection::{Client, Collection, DiffClient, to_the_end};
use super::error::ClientError;
use super::settle::is_refusal;
use super::turns::Need;
use crate::backend::{BackendError, Change, KeySet, Selection, Staged};
use crate::filter::{Expr, check, parse};
use crate::milvus::{CallFeature, MilvusError};
use crate::schema::Schema;
use crate::value::{Key, Row, Value};

/// A write that both sides have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// The keys of the rows that were written or deleted; with `auto_id` those that the engine has
    /// assigned, in the order of the rows.
    pub keys: Vec<Key>,
    /// How that is known.
    pub settled: Settled,
}

/// How it is known that Milvus has a write.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settled {
    /// It said so.
    Acknowledged,
    /// It did not say so, for this reason, but the rows were there when they were read back.
    ReadBack(String),
}

/// What is to be written.
pub(super) enum Write {
    Insert(Vec<Row>),
    Upsert(Vec<Row>),
    UpsertPartial(Vec<Row>),
    Delete(Vec<Key>),
    /// The filter, and how it is written.
    DeleteWhere(Box<Expr>, String),
}

impl DiffClient {
    /// Inserts rows. See [`OnDuplicate`] for keys that exist.
    ///
    /// # Errors
    /// On every error but [`ClientError::InDoubt`] neither side has any of the rows.
    pub async fn insert(&self, collection: &str, rows: &[Row]) -> Result<Written, ClientError> {
        self.write(collection, Write::Insert(rows.to_vec())).await
    }

    /// Inserts rows, replacing those whose keys exist. When a key occurs twice the last row counts.
    ///
    /// # Errors
    /// On every error but [`ClientError::InDoubt`] both sides are as before.
    pub async fn upsert(&self, collection: &str, rows: &[Row]) -> Result<Written, ClientError> {
        self.write(collection, Write::Upsert(rows.to_vec())).await
    }

    /// Changes some fields of rows: each row here has its key and what is to change, and whatever it
    /// leaves out stays. Milvus's documentation (Upsert Entities, merge mode) says what a change is:
    ///
    /// - A field is replaced as a whole, also a JSON field, an ARRAY or an array of structs. One that
    ///   is given as [`Value::Null`] becomes null, or its default if it has one.
    /// - Dynamic keys are added to those that the row has, or replace them.
    /// - A row whose key does not exist is inserted, and must have all that an insert takes.
    ///
    /// ```
    /// use milvus_difftest::client::DiffClient;
    /// use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
    /// use milvus_difftest::value::{Row, Value};
    /// use serde_json::json;
    ///
    /// # use milvus_difftest::engine::simulated::{SimulatedMilvus, SimulatedOptions};
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let engine = SimulatedMilvus::start(SimulatedOptions::default())?;
    /// # let uri = engine.uri();
    /// let client = DiffClient::builder().uri(uri).connect().await?;
    /// let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
    /// let price = Field::new("price", DataType::Scalar(Scalar::Double));
    /// let vec = Field::new("vec", DataType::FloatVector { dim: 2 });
    /// let schema = Schema { fields: vec![id, price, vec], dynamic: true };
    /// client.create_collection("goods", &schema).await?;
    /// let lamp = json!({"id": 1, "price": 9.5, "vec": [0, 1], "$meta": {"colour": "red"}});
    /// client.insert("goods", &[Row::from_json(&schema, &lamp)?]).await?;
    ///
    /// let mut cheaper = Row::default();
    /// cheaper.fields.insert("id".to_owned(), Value::Int(1));
    /// cheaper.fields.insert("price".to_owned(), Value::Double(7.5));
    /// client.upsert_partial("goods", &[cheaper]).await?;
    /// let filter = r#"price == 7.5 and colour == "red""#;
    /// assert_eq!(client.compare_query("goods", filter).await?.milvus_rows, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Lacks`] if the engine's version has no partial upserts. [`ClientError::Row`] if
    /// a row does not fit, if a key is given twice, or if a row is to be inserted and lacks
    /// something. On every error but [`ClientError::InDoubt`] both sides are as before.
    pub async fn upsert_partial(
        &self,
        collection: &str,
        rows: &[Row],
    ) -> Result<Written, ClientError> {
        self.0.require(CallFeature::PartialUpsert)?;
        self.write(collection, Write::UpsertPartial(rows.to_vec())).await
    }

    /// Deletes rows by key; keys that no row has are ignored.
    ///
    /// # Errors
    /// On every error but [`ClientError::InDoubt`] both sides are as before.
    pub async fn delete(&self, collection: &str, keys: &[Key]) -> Result<Written, ClientError> {
        self.write(collection, Write::Delete(keys.to_vec())).await
    }

    /// Deletes the rows that match a filter. Milvus evaluates it for itself; the backend deletes
    /// what the filter means. Where the two differ, the next comparison shows it.
    ///
    /// # Errors
    /// On every error but [`ClientError::InDoubt`] both sides are as before.
    pub async fn delete_where(
        &self,
        collection: &str,
        filter: &str,
    ) -> Result<Written, ClientError> {
        let write = Write::DeleteWhere(Box::new(parse(filter)?), filter.to_owned());
        self.write(collection, write).await
    }

    async fn write(&self, name: &str, write: Write) -> Result<Written, ClientError> {
        let collection = self.0.collection(name)?;
        let client = self.0.clone();
        to_the_end(async move { client.write(collection, write).await }).await
    }
}

/// A write that has a turn: what each side is to do.
struct Plan {
    /// For people, as in `an insert of 3 rows`.
    what: String,
    /// The rows as they are to be.
    rows: Arc<Vec<Row>>,
    /// The keys to be deleted, or of the rows.
    keys: Vec<Key>,
    call: Call,
}

/// What is asked of Milvus.
enum Call {
    Insert,
    Upsert,
    /// What changes of the rows.
    UpsertPartial(Vec<Row>),
    Delete,
    DeleteWhere(String),
}

impl Client {
    fn need(&self, collection: &Collection, write: &Write) -> Need {
        let schema = collection.schema();
        match write {
            _ if !self.dialect.offers(CallFeature::ConcurrentWrites) => Need::All,
            Write::Insert(rows) | Write::Upsert(rows) | Write::UpsertPartial(rows) => {
                Need::Keys(rows.iter().filter_map(|row| row.key(schema)).collect())
            }
            Write::Delete(keys) => Need::Keys(keys.iter().cloned().collect()),
            Write::DeleteWhere(..) => Need::All,
        }
    }

    async fn write(
        self: Arc<Client>,
        collection: Arc<Collection>,
        write: Write,
    ) -> Result<Written, ClientError> {
        validate(&collection, &write)?;
        let auto_id = collection.schema().primary().auto_id;
        if let (Write::Upsert(_) | Write::UpsertPartial(_), true) = (&write, auto_id) {
            return Err(ClientError::Options(format!(
                "the engine assigns the keys of '{}': engines differ in what an upsert means then; \
                 delete and insert instead",
                collection.name()
            )));
        }
        let turn = self.turn(&collection, || self.need(&collection, &write)).await?;
        let plan = self.plan(&collection, write).await?;
        if plan.rows.is_empty() && plan.keys.is_empty() {
            return Ok(Written { keys: Vec::new(), settled: Settled::Acknowledged });
        }
        let number = collection.number.fetch_add(1, Ordering::Relaxed);
        let assigned = auto_id && matches!(plan.call, Call::Insert);
        // Rows whose keys were assigned cannot be put back.
        let forward = auto_id && !assigned;
        let keys = (!assigned).then(|| plan.keys.clone());
        let intent = Intent { what: plan.what.clone(), keys, forward };
        let lasts = self.sessions.location().is_some();
        let begun = async {
            match lasts {
                true => self.catalog.begin(collection.name(), number, &intent).await,
                false => Ok(()),
            }
        };
        let (allowed, begun) = tokio::join!(self.refuse_existing(&collection, &plan), begun);
        begun?;
        if let Err(error) = allowed {
            self.strike_out(&collection, number).await;
            return Err(error);
        }
        let done = match assigned {
            false => self.write_staged(&collection, &plan, &intent).await,
            true => match self.call(&collection, &plan).await {
                Ok(keys) => self.follow(&collection, &plan, &intent, keys).await,
                Err(error) => {
                    // Which rows it has stored shows once nobody else is about to store some.
                    drop(turn);
                    let _turn = collection.turns.take(Need::All).await;
                    match self.reconcile(&collection, &intent).await {
                        Err(reason) => Err(in_doubt(&collection, &intent, &reason)),
                        Ok(()) => Err(not_written(error)),
                    }
                }
            },
        };
        match &done {
            // Its intent stays.
            Err(ClientError::InDoubt { reason, .. }) => {
                collection.doubts.add(number, intent, reason.clone());
            }
            _ => self.strike_out(&collection, number).await,
        }
        done
    }

    /// The keys of the rows that a filter means.
    async fn matching(
        &self,
        collection: &Collection,
        filter: &Expr,
    ) -> Result<Vec<Key>, ClientError> {
        check(collection.schema(), filter)?;
        self.keys_where(collection, filter).await
    }

    async fn plan(&self, collection: &Collection, write: Write) -> Result<Plan, ClientError> {
        let schema = collection.schema();
        let keys_of = |rows: &[Row]| rows.iter().filter_map(|row| row.key(schema)).collect();
        let plan = match write {
            Write::Insert(rows) => {
                let what = counted("an insert", rows.len(), "row");
                let keys: Vec<Key> = keys_of(&rows);
                if schema.primary().auto_id {
                    Plan { what, rows: rows.into(), keys: Vec::new(), call: Call::Insert }
                } else if self.options.on_duplicate == OnDuplicate::Refuse {
                    Plan { what, rows: rows.into(), keys, call: Call::Insert }
                } else {
                    let (rows, keys) = latest(rows, schema);
                    Plan { what, rows: rows.into(), keys, call: Call::Upsert }
                }
            }
            Write::Upsert(rows) => {
                let what = counted("an upsert", rows.len(), "row");
                let (rows, keys) = latest(rows, schema);
                Plan { what, rows: rows.into(), keys, call: Call::Upsert }
            }
            Write::UpsertPartial(changes) => {
                let what = counted("a partial upsert", changes.len(), "row");
                let keys: Vec<Key> = keys_of(&changes);
                let rows = self.changed(collection, &keys, &changes).await?;
                Plan { what, rows: rows.into(), keys, call: Call::UpsertPartial(changes) }
            }
            Write::Delete(mut keys) => {
                keys.sort_unstable();
                keys.dedup();
                let what = counted("a delete", keys.len(), "key");
                Plan { what, rows: Arc::default(), keys, call: Call::Delete }
            }
            Write::DeleteWhere(filter, text) => {
                let keys = self.matching(collection, &filter).await?;
                let call = Call::DeleteWhere(text);
                Plan { what: "a delete by filter".to_owned(), rows: Arc::default(), keys, call }
            }
        };
        Ok(plan)
    }

    /// The rows with these keys after changes to them.
    async fn changed(
        &self,
        collection: &Collection,
        keys: &[Key],
        changes: &[Row],
    ) -> Result<Vec<Row>, ClientError> {
        let before = self.held(collection, keys).await?;
        let mut rows = Vec::with_capacity(changes.len());
        for (position, (key, change)) in keys.iter().zip(changes).enumerate() {
            rows.push(match before.get(key) {
                Some(row) => row.merged(change),
                None => {
                    change.validate(collection.schema()).map_err(|error| ClientError::Row {
                        collection: collection.name().to_owned(),
                        position,
                        reason: format!("no row has the key {key}, and to insert one: {error}"),
                    })?;
                    change.clone()
                }
            });
        }
        Ok(rows)
    }

    /// Refuses an insert of keys that are there, or there twice, if that is the policy.
    async fn refuse_existing(
        &self,
        collection: &Collection,
        Plan { keys, call, .. }: &Plan,
    ) -> Result<(), ClientError> {
        // Any other policy makes it an upsert.
        if !matches!(call, Call::Insert) || keys.is_empty() {
            return Ok(());
        }
        let mut seen = HashSet::new();
        let mut taken: BTreeSet<Key> =
            keys.iter().filter(|key| !seen.insert(*key)).cloned().collect();
        let table = collection.table.clone();
        let asked = keys.to_vec();
        let existing = self.sessions.run(move |backend| {
            Box::pin(async move {
                let keys = KeySet::These(&asked);
                let selection = Selection { keys, fields: Some(&[]), ..Selection::default() };
                backend.select(&table, selection).await
            })
        });
        taken.extend(existing.await?.iter().filter_map(|row| row.key(collection.schema())));
        match taken.is_empty() {
            true => Ok(()),
            false => Err(ClientError::Exists {
                collection: collection.name().to_owned(),
                keys: taken.into_iter().collect(),
            }),
        }
    }

    /// Asks Milvus. The keys that it has assigned, if it has.
    async fn call(&self, collection: &Collection, plan: &Plan) -> Result<Vec<Key>, MilvusError> {
        let (name, schema) = (collection.name(), collection.schema());
        match &plan.call {
            Call::Insert => self.milvus.insert(name, schema, &plan.rows).await,
            Call::Upsert => {
                self.milvus.upsert(name, schema, &plan.rows).await.map(|()| plan.keys.clone())
            }
            Call::UpsertPartial(changes) => {
                let upsert = self.milvus.upsert_partial(name, schema, changes);
                upsert.await.map(|()| plan.keys.clone())
            }
            Call::Delete => {
                self.milvus.delete(name, schema, &plan.keys).await.map(|()| plan.keys.clone())
            }
            Call::DeleteWhere(filter) => {
                self.milvus.delete_where(name, filter).await.map(|()| plan.keys.clone())
            }
        }
    }

    async fn stage(
        &self,
        collection: &Collection,
        call: &Call,
        rows: Arc<Vec<Row>>,
        keys: Vec<Key>,
    ) -> Result<Box<dyn Staged>, BackendError> {
        let table = collection.table.clone();
        let (inserts, deletes) = (matches!(call, Call::Insert), rows.is_empty());
        let stage = self.sessions.run(move |backend| {
            Box::pin(async move {
                let change = match (deletes, inserts) {
                    (true, _) => Change::Delete(&keys),
                    (false, true) => Change::Insert(&rows),
                    (false, false) => Change::Upsert(&rows),
                };
                backend.stage(&table, change).await
            })
        });
        stage.await
    }

    /// A write whose keys are known: both sides work at it at the same time.
    async fn write_staged(
        &self,
        collection: &Collection,
        plan: &Plan,
        intent: &Intent,
    ) -> Result<Written, ClientError> {
        let stored = stored(collection, &plan.rows);
        let (staged, answered) = tokio::join!(
            self.stage(collection, &plan.call, stored.clone(), plan.keys.clone()),
            self.call(collection, plan)
        );
        let (error, refused): (ClientError, bool) = match (staged, answered) {
            (Ok(staged), Ok(_)) => match self.sessions.commit(staged).await {
                Ok(()) => return Ok(written(plan, Settled::Acknowledged)),
                Err(error) => (error.into(), false),
            },
            (Ok(staged), Err(error)) => {
                match self.has_written(collection, intent, &stored, &error).await {
                    Ok(true) => match self.sessions.commit(staged).await {
                        Ok(()) => {
                            return Ok(written(plan, Settled::ReadBack(error.to_string())));
                        }
                        Err(failed) => (failed.into(), false),
                    },
                    found => {
                        self.withdraw(staged).await;
                        if let Err(reason) = found {
                            return Err(in_doubt(collection, intent, &reason));
                        }
                        let refused = is_refusal(&error);
                        (not_written(error), refused)
                    }
                }
            }
            (Err(error), Ok(_)) => (error.into(), false),
            (Err(error), Err(answer)) => (error.into(), is_refusal(&answer)),
        };
        // A commit that fails may have come through. Whatever the backend holds now counts.
        match self.take_back(collection, intent, refused).await {
            Err(reason) => Err(in_doubt(collection, intent, &reason)),
            Ok(()) if !refused && self.holds(collection, &plan.keys, &stored).await? => {
                Ok(written(plan, Settled::ReadBack(error.to_string())))
            }
            Ok(()) => Err(error),
        }
    }

    /// Forgets a staged change. One that could not be withdrawn is gone with its session.
    async fn withdraw(&self, staged: Box<dyn Staged>) {
        if let Err(error) = self.sessions.withdraw(staged).await {
            tracing::warn!(%error, "a staged change could not be withdrawn");
        }
    }

    /// The backend's part of an insert whose keys the engine has assigned.
    async fn follow(
        &self,
        collection: &Collection,
        plan: &Plan,
        intent: &Intent,
        keys: Vec<Key>,
    ) -> Result<Written, ClientError> {
        let primary = &collection.schema().primary().name;
        let mut rows = stored(collection, &plan.rows);
        for (row, key) in Arc::make_mut(&mut rows).iter_mut().zip(&keys) {
            row.fields.insert(primary.clone(), key.clone().into());
        }
        let staged = self.stage(collection, &plan.call, rows.clone(), Vec::new()).await;
        let done = match staged {
            Ok(staged) => self.sessions.commit(staged).await,
            Err(error) => Err(error),
        };
        let Err(error) = done else {
            return Ok(Written { keys, settled: Settled::Acknowledged });
        };
        let known = Intent { keys: Some(keys.clone()), ..intent.clone() };
        match self.reconcile(collection, &known).await {
            Err(reason) => Err(in_doubt(collection, intent, &reason)),
            Ok(()) if self.holds(collection, &keys, &rows).await? => {
                Ok(Written { keys, settled: Settled::ReadBack(error.to_string()) })
            }
            Ok(()) => Err(error.into()),
        }
    }
}

fn written(plan: &Plan, settled: Settled) -> Written {
    Written { keys: plan.keys.clone(), settled }
}

fn not_written(error: MilvusError) -> ClientError {
    match is_refusal(&error) {
        true => ClientError::Refused(error),
        false => ClientError::NotWritten(error),
    }
}

fn in_doubt(collection: &Collection, intent: &Intent, reason: &str) -> ClientError {
    ClientError::InDoubt {
        collection: collection.name().to_owned(),
        write: intent.what.clone(),
        reason: reason.to_owned(),
    }
}

/// The rows as Milvus stores them.
fn stored(collection: &Collection, rows: &Arc<Vec<Row>>) -> Arc<Vec<Row>> {
    let schema = collection.schema();
    match schema.fields.iter().any(|field| field.default.is_some()) {
        true => Arc::new(rows.iter().map(|row| row.stored(schema)).collect()),
        false => rows.clone(),
    }
}

/// The last row of each key, and the keys.
fn latest(rows: Vec<Row>, schema: &Schema) -> (Vec<Row>, Vec<Key>) {
    let rows: BTreeMap<Key, Row> =
        rows.into_iter().filter_map(|row| Some((row.key(schema)?, row))).collect();
    let (keys, rows) = rows.into_iter().unzip();
    (rows, keys)
}

fn counted(what: &str, number: usize, of: &str) -> String {
    format!("{what} of {number} {of}{}", if number == 1 { "" } else { "s" })
}

/// Finds rows and keys that do not fit before anything is written.
fn validate(collection: &Collection, write: &Write) -> Result<(), ClientError> {
    let schema = collection.schema();
    let wrong = |position: usize, reason: String| ClientError::Row {
        collection: collection.name().to_owned(),
        position,
        reason,
    };
    match write {
        Write::Insert(rows) | Write::Upsert(rows) => {
            for (position, row) in rows.iter().enumerate() {
                row.validate(schema).map_err(|error| wrong(position, error.to_string()))?;
            }
        }
        Write::UpsertPartial(rows) => {
            let mut seen = HashSet::new();
            for (position, row) in rows.iter().enumerate() {
                row.validate_part(schema).map_err(|error| wrong(position, error.to_string()))?;
                if let Some(key) = row.key(schema).filter(|key| !seen.insert(key.clone())) {
                    // No documentation says which of them counts.
                    return Err(wrong(position, format!("the key {key} is given twice")));
                }
            }
        }
        Write::Delete(keys) => {
            let field = schema.primary();
            for (position, key) in keys.iter().enumerate() {
                let value = Value::from(key.clone());
                if !value.fits(field) {
                    let reason = format!("{key} is no key of the type {}", field.data_type);
                    return Err(wrong(position, reason));
                }
            }
        }
        Write::DeleteWhere(..) => {}
    }
    Ok(())
}
