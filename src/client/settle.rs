//! Writes of which nobody knows whether Milvus has them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::catalog::Intent;
use super::collection::{Client, Collection, DiffClient, to_the_end};
use super::error::ClientError;
use super::turns::{Need, Turn};
use crate::backend::{BackendError, KeySet, Selection, Table};
use crate::compare::Diff;
use crate::milvus::{Consistency, MilvusError};
use crate::schema::Schema;
use crate::value::{Key, META, Row, Value};

/// How often a server is asked again that does not answer.
const RETRY: Duration = Duration::from_millis(200);

/// As many keys fit into one filter.
const KEYS: usize = 1000;

/// A write that is in doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Doubt {
    /// The collection.
    pub collection: String,
    /// The write, as in `an insert of 3 rows`.
    pub write: String,
    /// The keys concerned; `None` if the engine assigns them.
    pub keys: Option<Vec<Key>>,
    /// Why it could not be settled.
    pub reason: String,
}

/// The writes to a collection that are in doubt.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    open: Mutex<BTreeMap<u64, (Intent, String)>>,
    /// Those that are settled and not yet struck out of the catalog.
    settled: Mutex<Vec<u64>>,
}

impl Doubts {
    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, (Intent, String)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, number: u64, intent: Intent, reason: String) {
        self.open().insert(number, (intent, reason));
    }

    fn is_empty(&self) -> bool {
        self.open().is_empty()
    }

    fn settled(&self) -> MutexGuard<'_, Vec<u64>> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DiffClient {
    /// The writes that are in doubt. Their collections take no others until they are settled.
    pub fn in_doubt(&self) -> Vec<Doubt> {
        let collections = self.0.collections();
        let doubts = collections.values().flat_map(|collection| {
            let open = collection.doubts.open();
            let doubts = open.values().map(|(intent, reason)| Doubt {
                collection: collection.name().to_owned(),
                write: intent.what.clone(),
                keys: intent.keys.clone(),
                reason: reason.clone(),
            });
            doubts.collect::<Vec<_>>()
        });
        doubts.collect()
    }

    /// Settles the writes to a collection that are in doubt: brings Milvus to what the backend
    /// holds. The next write does the same.
    ///
    /// # Errors
    /// [`ClientError::InDoubt`] if that is not possible yet.
    pub async fn settle(&self, collection: &str) -> Result<(), ClientError> {
        let collection = self.0.collection(collection)?;
        let client = self.0.clone();
        to_the_end(async move {
            let _turn = collection.turns.take(Need::All).await;
            client.settle(&collection).await
        })
        .await
    }
}

impl Client {
    /// Learns of the collections, and settles what an earlier client left.
    pub(super) async fn recover(&self) -> Result<(), ClientError> {
        for (name, schema) in self.catalog.collections().await? {
            let collection = Collection::new(Table::new(&name, schema));
            for (number, intent) in self.catalog.begun(&name).await? {
                let reason = "the client that wrote it came to its end".to_owned();
                collection.doubts.add(number, intent, reason);
            }
            match self.settle(&collection).await {
                Ok(()) => {}
                // It stays on the list.
                Err(error @ ClientError::InDoubt { .. }) => {
                    tracing::warn!(collection = name, %error, "not settled");
                }
                Err(error) => return Err(error),
            }
            self.collections().insert(name, collection);
        }
        Ok(())
    }

    /// Waits for a turn at a collection that is not in doubt.
    pub(super) async fn turn(
        &self,
        collection: &Collection,
        need: impl Fn() -> Need,
    ) -> Result<Turn, ClientError> {
        loop {
            if !collection.doubts.is_empty() {
                let _turn = collection.turns.take(Need::All).await;
                self.settle(collection).await?;
            }
            let turn = collection.turns.take(need()).await;
            if collection.doubts.is_empty() {
                return Ok(turn);
            }
        }
    }

    /// Settles what is in doubt, for somebody who is alone with the collection.
    async fn settle(&self, collection: &Collection) -> Result<(), ClientError> {
        let open: Vec<_> = collection.doubts.open().clone().into_iter().collect();
        for (number, (intent, _)) in open {
            match self.reconcile(collection, &intent).await {
                Ok(()) => {
                    collection.doubts.open().remove(&number);
                    self.strike_out(collection, number).await;
                }
                Err(reason) => {
                    collection.doubts.add(number, intent.clone(), reason.clone());
                    return Err(ClientError::InDoubt {
                        collection: collection.name().to_owned(),
                        write: intent.what,
                        reason,
                    });
                }
            }
        }
        Ok(())
    }

    /// Notes that both sides have a write, or neither. It is struck out of the catalog together with
    /// others: one that is looked into without need is found to be settled.
    pub(super) async fn strike_out(&self, collection: &Collection, number: u64) {
        const TOGETHER: usize = 32;
        let many = {
            let mut settled = collection.doubts.settled();
            settled.push(number);
            settled.len() >= TOGETHER
        };
        if many {
            self.tidy(collection).await;
        }
    }

    /// Strikes settled writes out of the catalog.
    pub(super) async fn tidy(&self, collection: &Collection) {
        let settled = std::mem::take(&mut *collection.doubts.settled());
        if settled.is_empty() || self.sessions.location().is_none() {
            return;
        }
        if let Err(error) = self.catalog.end(collection.name(), &settled).await {
            // They are looked into once more by the next client, and no harm is done.
            tracing::warn!(%error, "settled writes stay in the catalog");
        }
    }

    /// Whether Milvus has all of a write on which it did not answer well.
    ///
    /// The error says why nobody can know.
    pub(super) async fn has_written(
        &self,
        collection: &Collection,
        intent: &Intent,
        after: &[Row],
        error: &MilvusError,
    ) -> Result<bool, String> {
        // Who refuses has decided; anything else may still be on its way.
        if is_refusal(error) {
            return Ok(false);
        }
        let keys = intent.keys.as_deref().unwrap_or_default();
        let before = self.held(collection, keys).await.map_err(|error| error.to_string())?;
        let schema = collection.schema();
        let after: BTreeMap<Key, &Row> =
            after.iter().filter_map(|row| Some((row.key(schema)?, row))).collect();
        let actual = self.read_back(collection, keys).await?;
        if is_all(schema, keys, &before, &after, &actual) {
            return Ok(true);
        }
        sleep(self.options.quiet).await;
        let actual = self.read_back(collection, keys).await?;
        Ok(is_all(schema, keys, &before, &after, &actual))
    }

    /// Brings Milvus to what the backend holds of a write's keys, or both to what the write wanted
    /// if it is to be repeated. The error says why that is not possible.
    pub(super) async fn reconcile(
        &self,
        collection: &Collection,
        intent: &Intent,
    ) -> Result<(), String> {
        self.bring_back(collection, intent, intent.forward, self.options.quiet).await
    }

    /// The same after a failure. What was refused is not repeated, nor on its way.
    pub(super) async fn take_back(
        &self,
        collection: &Collection,
        intent: &Intent,
        refused: bool,
    ) -> Result<(), String> {
        match refused {
            true => self.bring_back(collection, intent, false, Duration::ZERO).await,
            false => self.reconcile(collection, intent).await,
        }
    }

    /// The same; both sides must stay the same for so long.
    async fn bring_back(
        &self,
        collection: &Collection,
        intent: &Intent,
        forward: bool,
        quiet: Duration,
    ) -> Result<(), String> {
        let said = |error: BackendError| error.to_string();
        if let (true, Some(keys)) = (forward, &intent.keys) {
            let (table, keys) = (collection.table.clone(), keys.clone());
            let delete = self
                .sessions
                .run(move |backend| Box::pin(async move { backend.delete(&table, &keys).await }));
            delete.await.map_err(said)?;
        }
        let until = Instant::now() + self.options.settle_within;
        let mut was_same = quiet.is_zero();
        let mut values = true;
        loop {
            let keys = match &intent.keys {
                Some(keys) => keys,
                None => &self.only_in_milvus(collection).await?,
            };
            let truth = self.held(collection, keys).await.map_err(said)?;
            let actual = self.read_back(collection, keys).await?;
            match self.mend(collection, &truth, &actual, values).await {
                // The same, and once more after a while: then nothing is on its way.
                Ok(true) if was_same => return Ok(()),
                Ok(true) => {
                    was_same = true;
                    sleep(quiet).await;
                    continue;
                }
                // An engine may alter what it stores: then they differ however often they are
                // written, which is for comparisons to show.
                Ok(false) => values = false,
                Err(MilvusError::Unavailable { .. } | MilvusError::Deadline { .. }) => {
                    sleep(RETRY).await;
                }
                Err(error) => return Err(error.to_string()),
            }
            was_same = quiet.is_zero();
            if Instant::now() > until {
                let wait = humantime::format_duration(self.options.settle_within);
                return Err(format!("after {wait} Milvus still has other rows than the backend"));
            }
        }
    }

    /// Writes to Milvus what it lacks and deletes what it has too many of; whether there was
    /// nothing to do. Values count only if asked for.
    async fn mend(
        &self,
        collection: &Collection,
        truth: &BTreeMap<Key, Row>,
        actual: &[Row],
        values: bool,
    ) -> Result<bool, MilvusError> {
        let (name, schema) = (collection.name(), collection.schema());
        let expected = truth.iter().map(|(key, row)| (key.clone(), row)).collect();
        let diff = Diff::rows(schema, &expected, actual);
        let surplus: BTreeSet<Key> = diff.extra.iter().cloned().collect();
        let surplus: Vec<Key> = surplus.into_iter().collect();
        let changed = diff.changed.iter().filter(|_| values).map(|change| &change.key);
        let lacking: BTreeSet<&Key> = diff.missing.iter().chain(&surplus).chain(changed).collect();
        let lacking: Vec<Row> =
            lacking.into_iter().filter_map(|key| truth.get(key)).cloned().collect();
        for keys in surplus.chunks(KEYS) {
            self.milvus.delete(name, schema, keys).await?;
        }
        if !lacking.is_empty() && !schema.primary().auto_id {
            self.milvus.upsert(name, schema, &lacking).await?;
        }
        Ok(surplus.is_empty() && lacking.is_empty())
    }

    /// What Milvus has under some keys. It is asked until it answers, for as long as a client waits
    /// for that.
    async fn read_back(&self, collection: &Collection, keys: &[Key]) -> Result<Vec<Row>, String> {
        let until = Instant::now() + self.options.settle_within;
        loop {
            let mut rows = Vec::new();
            let mut failed = None;
            for keys in keys.chunks(KEYS) {
                match self.rows_by_key(collection, keys).await {
                    Ok(more) => rows.extend(more),
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
            let Some(error) = failed else { return Ok(rows) };
            if Instant::now() > until {
                return Err(format!("its keys cannot be read back: {error}"));
            }
            if let MilvusError::Rejected { .. } = error {
                // An engine that was started again may have to load it first.
                if let Err(error) = self.milvus.load(collection.name()).await {
                    tracing::debug!(%error, "cannot be loaded");
                }
            }
            sleep(RETRY).await;
        }
    }

    async fn rows_by_key(
        &self,
        collection: &Collection,
        keys: &[Key],
    ) -> Result<Vec<Row>, MilvusError> {
        let options = self.query_options(Consistency::Strong);
        self.milvus.query_keys(collection.name(), collection.schema(), keys, options).await
    }

    /// What the backend holds under some keys.
    pub(super) async fn held(
        &self,
        collection: &Collection,
        keys: &[Key],
    ) -> Result<BTreeMap<Key, Row>, BackendError> {
        let (table, keys) = (collection.table.clone(), keys.to_vec());
        let select = self.sessions.run(move |backend| {
            Box::pin(async move {
                let keys = KeySet::These(&keys);
                backend.select(&table, Selection { keys, ..Selection::default() }).await
            })
        });
        let rows = select.await?.into_iter();
        Ok(rows.filter_map(|row| Some((row.key(collection.schema())?, row))).collect())
    }

    /// Whether the backend holds these rows and no others under these keys.
    pub(super) async fn holds(
        &self,
        collection: &Collection,
        keys: &[Key],
        rows: &[Row],
    ) -> Result<bool, ClientError> {
        let held: Vec<Row> = self.held(collection, keys).await?.into_values().collect();
        let schema = collection.schema();
        let wanted = rows.iter().filter_map(|row| Some((row.key(schema)?, row))).collect();
        Ok(Diff::rows(schema, &wanted, &held).is_empty())
    }

    /// The keys that Milvus has and the backend has not.
    async fn only_in_milvus(&self, collection: &Collection) -> Result<Vec<Key>, String> {
        let until = Instant::now() + self.options.settle_within;
        loop {
            let error = match self.keys_of_both(collection).await {
                Ok((milvus, backend)) => {
                    let backend: BTreeSet<Key> = backend.into_iter().collect();
                    let only = milvus.into_iter().filter(|key| !backend.contains(key));
                    return Ok(only.collect());
                }
                Err(error) => error,
            };
            if Instant::now() > until {
                return Err(format!("its keys cannot be read back: {error}"));
            }
            if let Err(error) = self.milvus.load(collection.name()).await {
                tracing::debug!(%error, "cannot be loaded");
            }
            sleep(RETRY).await;
        }
    }
}

/// Whether the server has answered that it does not do it.
pub(super) fn is_refusal(error: &MilvusError) -> bool {
    matches!(
        error,
        MilvusError::Rejected { .. } | MilvusError::Denied { .. } | MilvusError::Unsendable { .. }
    )
}

/// Whether Milvus has all of a write: of every key what makes the difference.
///
/// Not whether its rows are to the bit what was written: an engine that alters values would be
/// taken for one that has not written. That the next comparison shows.
fn is_all(
    schema: &Schema,
    keys: &[Key],
    before: &BTreeMap<Key, Row>,
    after: &BTreeMap<Key, &Row>,
    actual: &[Row],
) -> bool {
    let mut found: BTreeMap<Key, Vec<&Row>> = BTreeMap::new();
    for row in actual {
        if let Some(key) = row.key(schema) {
            found.entry(key).or_default().push(row);
        }
    }
    keys.iter().all(|key| {
        let found = found.get(key).map(Vec::as_slice).unwrap_or_default();
        match (before.get(key), after.get(key), found) {
            (_, None, found) => found.is_empty(),
            (None, Some(_), found) => found.len() == 1,
            (Some(before), Some(after), [found]) => {
                differing(schema, before, after).all(|(before, after, name)| {
                    let value = value(found, name);
                    value.same(&after) || !value.same(&before)
                })
            }
            _ => false,
        }
    })
}

/// The fields in which two rows differ.
fn differing<'a>(
    schema: &'a Schema,
    before: &'a Row,
    after: &'a Row,
) -> impl Iterator<Item = (Value, Value, &'a str)> {
    let names = schema.fields.iter().map(|field| field.name.as_str()).chain([META]);
    let values = names.map(|name| (value(before, name), value(after, name), name));
    values.filter(|(before, after, _)| !before.same(after))
}

fn value(row: &Row, name: &str) -> Value {
    match name {
        META => Value::Json(serde_json::Value::Object(row.dynamic.clone())),
        name => row.get(name).clone(),
    }
}
