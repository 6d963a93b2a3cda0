//! Every entity of both sides, compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};

use super::collection::{Client, Collection, DiffClient};
use super::error::ClientError;
use super::pages::{MAX_PAGE, Pages, Range, ranges};
use super::turns::Need;
use crate::backend::{BackendError, Digest, KeySet, Selection};
use crate::compare::{Change, Diff};
use crate::milvus::Consistency;
use crate::schema::Schema;
use crate::value::{Key, Row, Value};

/// How entities are compared.
#[derive(Clone)]
pub struct EntityOptions {
    /// So many entities at a time.
    pub batch_size: usize,
    /// So many batches at once. Memory holds so many batches of both sides.
    pub jobs: usize,
    /// So many differences are kept; the rest is counted.
    pub keep: usize,
    /// How far components of FLOAT16 and BFLOAT16 vectors may be from each other, relative to the
    /// greater one; everything else must be the same to the bit.
    pub tolerance: f32,
    /// Whether the backend may say what a range holds by the digests that it keeps beside its rows
    /// since they were written. Rows are then read from it in those ranges alone that differ. What
    /// somebody changes in the backend's tables by hand is not seen.
    pub by_digests: bool,
    /// Where the comparison writes down how far it has come, and takes up an earlier one.
    pub resume: Option<PathBuf>,
    /// Told after every batch how many ranges are done, of how many, and how many entities of the
    /// backend they had.
    pub progress: Option<Arc<dyn Fn(Progress) + Send + Sync>>,
}

/// How far a comparison has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Ranges that are done.
    pub done: usize,
    /// Of so many.
    pub ranges: usize,
    /// Entities of the backend that were compared.
    pub entities: u64,
}

impl Default for EntityOptions {
    fn default() -> EntityOptions {
        EntityOptions {
            batch_size: 4096,
            jobs: 2,
            keep: 1000,
            tolerance: 0.0,
            by_digests: false,
            resume: None,
            progress: None,
        }
    }
}

/// What a comparison of all entities found.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct EntityComparison {
    /// The collection.
    pub collection: String,
    /// Entities of the backend.
    pub backend_entities: u64,
    /// Entities that Milvus returned.
    pub milvus_entities: u64,
    /// What Milvus's `count(*)` says, which may be something else.
    pub milvus_count: u64,
    /// Keys that Milvus lacks.
    pub missing: u64,
    /// Keys that only Milvus has, or has more than once.
    pub extra: u64,
    /// Values that differ.
    pub changed: u64,
    /// Rows of Milvus without a key.
    pub keyless: u64,
    /// The first of all these.
    pub diff: Diff,
}

impl EntityComparison {
    /// Whether both sides are the same, and Milvus's count, too.
    pub fn is_same(&self) -> bool {
        self.missing == 0
            && self.extra == 0
            && self.changed == 0
            && self.keyless == 0
            && self.diff.is_empty()
            && self.milvus_count == self.backend_entities
    }
}

impl fmt::Display for EntityComparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, backend, milvus) =
            (&self.collection, self.backend_entities, self.milvus_entities);
        if self.is_same() {
            return write!(f, "{name}: the same {backend} entities on both sides");
        }
        write!(
            f,
            "{name}: {backend} entities in the backend, {milvus} in Milvus (its count says {}): {} \
             missing in Milvus, {} only there, {} values changed",
            self.milvus_count, self.missing, self.extra, self.changed
        )?;
        match self.diff.is_empty() {
            true => Ok(()),
            false => write!(f, "\n{}", self.diff.table()),
        }
    }
}

/// What the backend has in a range.
enum Expected {
    Rows(Vec<Row>),
    Digest(Digest),
}

/// Up to which of the client's writes Milvus has been read strongly. Until the next write, whatever
/// has arrived is enough: a strong read waits for the server's next tick, and there is one for each
/// range. What differs for want of freshness is read once more, strongly.
struct Seen(AtomicU64);

impl Default for Seen {
    fn default() -> Seen {
        Seen(AtomicU64::new(u64::MAX))
    }
}

impl Seen {
    fn consistency(&self, writes: u64) -> Consistency {
        match self.0.load(Ordering::Relaxed) == writes {
            true => Consistency::Eventually,
            false => Consistency::Strong,
        }
    }
}

/// A comparison that was interrupted, or goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    collection: String,
    bounds: Vec<Key>,
    done: BTreeSet<usize>,
    tally: Tally,
}

/// What was found so far, in a memory that does not grow with it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Tally {
    backend: u64,
    milvus: u64,
    missing: u64,
    extra: u64,
    changed: u64,
    keyless: u64,
    /// The first keys of all these.
    differing: BTreeSet<Key>,
}

impl Tally {
    fn add(&mut self, other: Tally, keep: usize) {
        self.backend += other.backend;
        self.milvus += other.milvus;
        self.missing += other.missing;
        self.extra += other.extra;
        self.changed += other.changed;
        self.keyless += other.keyless;
        self.differing.extend(other.differing);
        while self.differing.len() > keep {
            self.differing.pop_last();
        }
    }
}

impl DiffClient {
    /// Compares all entities, every value of them, range by range in the order of their keys. A
    /// difference is reported if it is there again when its keys are read once more.
    ///
    /// Other tasks of this client may write in between: each range is compared as it is then.
    /// Memory holds [`EntityOptions::jobs`] batches of both sides, and [`EntityOptions::keep`] keys
    /// that differ, however many there are.
    ///
    /// # Errors
    /// If either side fails. With [`EntityOptions::resume`] the comparison goes on from there when
    /// it is called again.
    pub async fn compare_entities(
        &self,
        collection: &str,
        options: &EntityOptions,
    ) -> Result<EntityComparison, ClientError> {
        let collection = self.0.collection(collection)?;
        let client = &*self.0;
        let mut state = client.begin(&collection, options).await?;
        let ranges = ranges(&state.bounds);
        let left = (0..ranges.len()).filter(|at| !state.done.contains(at));
        let left: Vec<(usize, Range)> = left.map(|at| (at, ranges[at].clone())).collect();
        let seen = Seen::default();
        let mut parts = stream::iter(left)
            .map(|(at, range)| {
                let (collection, seen) = (&collection, &seen);
                async move { (at, client.compare_range(collection, range, options, seen).await) }
            })
            .buffer_unordered(options.jobs.max(1));
        while let Some((at, part)) = parts.next().await {
            state.tally.add(part?, options.keep);
            state.done.insert(at);
            if let Some(progress) = &options.progress {
                let (done, ranges) = (state.done.len(), ranges.len());
                progress(Progress { done, ranges, entities: state.tally.backend });
            }
            if let Some(path) = &options.resume
                && state.done.len().is_multiple_of(SAVED_AFTER)
            {
                state.save(path)?;
            }
        }
        drop(parts);
        let compared = client.conclude(&collection, &state, options).await?;
        if let Some(path) = &options.resume {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(unusable(path, &error.to_string()));
                }
                _ => {}
            }
        }
        Ok(compared)
    }
}

/// The state is saved after so many ranges.
const SAVED_AFTER: usize = 16;

fn unusable(path: &Path, reason: &str) -> ClientError {
    ClientError::Options(format!("cannot use {}: {reason}", path.display()))
}

impl State {
    fn load(path: &Path, collection: &str) -> Result<Option<State>, ClientError> {
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| unusable(path, &error.to_string()))?,
        };
        let state: State =
            serde_json::from_str(&text).map_err(|error| unusable(path, &error.to_string()))?;
        if state.collection != collection {
            let reason = format!("it is about the collection '{}'", state.collection);
            return Err(unusable(path, &reason));
        }
        Ok(Some(state))
    }

    /// Writes it beside the file and puts it in its place, so that there always is a whole one.
    fn save(&self, path: &Path) -> Result<(), ClientError> {
        let write = || -> Result<(), std::io::Error> {
            let text = serde_json::to_string(self)?;
            let mut beside = path.to_owned().into_os_string();
            beside.push(".new");
            std::fs::write(&beside, text)?;
            std::fs::rename(&beside, path)
        };
        write().map_err(|error| unusable(path, &error.to_string()))
    }
}

impl Client {
    async fn begin(
        &self,
        collection: &Collection,
        options: &EntityOptions,
    ) -> Result<State, ClientError> {
        if let Some(path) = &options.resume
            && let Some(state) = State::load(path, collection.name())?
        {
            return Ok(state);
        }
        let table = collection.table.clone();
        let step = options.batch_size.clamp(1, MAX_PAGE - 1);
        let bounds = self
            .sessions
            .run(move |backend| Box::pin(async move { backend.bounds(&table, step).await }));
        Ok(State {
            collection: collection.name().to_owned(),
            bounds: bounds.await?,
            done: BTreeSet::new(),
            tally: Tally::default(),
        })
    }

    async fn compare_range(
        &self,
        collection: &Collection,
        range: Range,
        options: &EntityOptions,
        seen: &Seen,
    ) -> Result<Tally, ClientError> {
        let _turn = self.turn(collection, || Need::Read).await?;
        // With the turn, so that nobody writes.
        let writes = collection.number.load(Ordering::Relaxed);
        // Room for as many again: a range that is full has to be looked into.
        let size = (2 * options.batch_size).min(MAX_PAGE);
        let pages = Pages::new(self, collection, "", None, range.clone(), size);
        let mut pages = pages.with(seen.consistency(writes));
        let (first, backend) =
            tokio::join!(pages.next(), self.expected(collection, range.clone(), options));
        if first.is_ok() {
            seen.0.store(writes, Ordering::Relaxed);
        }
        let mut tally = Tally::default();
        let mut backend = Some(backend?);
        let mut page = first?;
        while let Some((covered, milvus)) = page {
            let expected = match backend.take() {
                Some(expected) if covered == range => expected,
                _ => self.expected(collection, covered.clone(), options).await?,
            };
            let schema = collection.schema();
            let expected = match expected {
                Expected::Rows(rows) => rows,
                Expected::Digest(digest) if Digest::of(schema, &milvus) == digest => {
                    let rows = digest.rows;
                    let found = Tally { backend: rows, milvus: rows, ..Tally::default() };
                    tally.add(found, options.keep);
                    page = pages.next().await?;
                    continue;
                }
                Expected::Digest(_) => self.select_range(collection, covered).await?,
            };
            let diff = differences(schema, &expected, &milvus, options.tolerance);
            let mut found = Tally {
                backend: expected.len() as u64,
                milvus: milvus.len() as u64,
                keyless: diff.keyless as u64,
                ..Tally::default()
            };
            if !diff.is_empty() {
                let diff = self.again(collection, &keys(&diff), options.tolerance).await?;
                found.missing = diff.missing.len() as u64;
                found.extra = diff.extra.len() as u64;
                found.changed = diff.changed.len() as u64;
                found.differing = keys(&diff).into_iter().collect();
            }
            tally.add(found, options.keep);
            page = pages.next().await?;
        }
        Ok(tally)
    }

    async fn expected(
        &self,
        collection: &Collection,
        range: Range,
        options: &EntityOptions,
    ) -> Result<Expected, BackendError> {
        if !options.by_digests {
            return Ok(Expected::Rows(self.select_range(collection, range).await?));
        }
        let (table, (after, upto)) = (collection.table.clone(), range);
        let digest = self.sessions.run(move |backend| {
            Box::pin(async move { backend.digest(&table, KeySet::Range { after, upto }).await })
        });
        Ok(Expected::Digest(digest.await?))
    }

    /// What still differs when some keys are read once more on both sides.
    async fn again(
        &self,
        collection: &Collection,
        keys: &[Key],
        tolerance: f32,
    ) -> Result<Diff, ClientError> {
        const AT_ONCE: usize = 1000;
        let schema = collection.schema();
        let mut all = Diff::default();
        for keys in keys.chunks(AT_ONCE) {
            let (table, asked) = (collection.table.clone(), keys.to_vec());
            let select = self.sessions.run(move |backend| {
                Box::pin(async move {
                    let keys = KeySet::These(&asked);
                    backend.select(&table, Selection { keys, ..Selection::default() }).await
                })
            });
            let options = self.query_options(Consistency::Strong);
            let (milvus, backend) = tokio::join!(
                self.milvus.query_keys(collection.name(), schema, keys, options),
                select
            );
            let diff = differences(schema, &backend?, &milvus?, tolerance);
            all.missing.extend(diff.missing);
            all.extra.extend(diff.extra);
            all.changed.extend(diff.changed);
        }
        Ok(all)
    }

    async fn conclude(
        &self,
        collection: &Collection,
        state: &State,
        options: &EntityOptions,
    ) -> Result<EntityComparison, ClientError> {
        let milvus_count = self.milvus_count(collection).await?;
        // With their values as they are now.
        let tally = &state.tally;
        let shown: Vec<Key> = tally.differing.iter().cloned().collect();
        let diff = self.again(collection, &shown, options.tolerance).await?;
        Ok(EntityComparison {
            collection: collection.name().to_owned(),
            backend_entities: tally.backend,
            milvus_entities: tally.milvus,
            milvus_count,
            missing: tally.missing,
            extra: tally.extra,
            changed: tally.changed,
            keyless: tally.keyless,
            diff,
        })
    }
}

fn keys(diff: &Diff) -> Vec<Key> {
    let changed = diff.changed.iter().map(|change| &change.key);
    let keys: BTreeSet<&Key> = diff.missing.iter().chain(&diff.extra).chain(changed).collect();
    keys.into_iter().cloned().collect()
}

/// What differs, but for what is within the tolerance.
fn differences(schema: &Schema, expected: &[Row], actual: &[Row], tolerance: f32) -> Diff {
    let expected: BTreeMap<Key, &Row> =
        expected.iter().filter_map(|row| Some((row.key(schema)?, row))).collect();
    let mut diff = Diff::rows(schema, &expected, actual);
    if tolerance > 0.0 {
        diff.changed.retain(|change| !is_close(change, tolerance));
    }
    diff
}

fn is_close(Change { expected, actual, .. }: &Change, tolerance: f32) -> bool {
    let halves = |value: &Value| -> Option<Vec<f32>> {
        match value {
            Value::Float16Vector(items) => Some(items.iter().map(|x| x.to_f32()).collect()),
            Value::BFloat16Vector(items) => Some(items.iter().map(|x| x.to_f32()).collect()),
            _ => None,
        }
    };
    let (Some(a), Some(b)) = (halves(expected), halves(actual)) else { return false };
    a.len() == b.len()
        && a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= tolerance * a.abs().max(b.abs()))
}
