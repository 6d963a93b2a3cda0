//! What is done to a collection that changes no answer, with what the server itself tells of it
//! afterwards: that is the proof that it was done.

use std::collections::BTreeMap;
use std::time::Duration;

use milvus::proto::common::{CompactionState, IndexState, LoadState, SegmentState};
use milvus::proto::milvus::{
    DescribeCollectionRequest, DescribeIndexRequest, DropIndexRequest, GetCompactionStateRequest,
    GetLoadStateRequest, GetPersistentSegmentInfoRequest, ManualCompactionRequest,
    ReleaseCollectionRequest,
};
use tokio::time::{Instant, sleep};

use super::connection::Milvus;
use super::create::Index;
use super::error::{MilvusError, check_status};
use crate::schema::Field;

/// How often a server is asked how far it is.
const POLL: Duration = Duration::from_millis(25);

/// How late a server may list segments that are sealed.
const LATE: Duration = Duration::from_millis(500);

/// What a server says of work that it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// It was done.
    Done,
    /// It was accepted, and the server does not say that it was done: in these words.
    Missing(String),
    /// It was refused, in these words.
    Refused(String),
}

impl Milvus {
    /// Seals and writes out what is in memory. Proven by the states of the segments: none that holds
    /// rows is growing. Servers list them late, so that they are given time to hold `rows` rows or
    /// more; if they never do, that is what the flush has come to, and for others to judge.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn flush_proven(&self, collection: &str, rows: u64) -> Result<Proof, MilvusError> {
        self.flush(collection).await?;
        let begun = Instant::now();
        loop {
            let states = match self.segments(collection).await {
                Ok(states) => states,
                Err(MilvusError::Rejected { reason, .. }) => return Ok(Proof::Missing(reason)),
                Err(error) => return Err(error),
            };
            let sealed = [SegmentState::Flushed, SegmentState::Sealed, SegmentState::Flushing];
            let held: u64 = sealed.iter().filter_map(|state| states.get(&i32::from(*state))).sum();
            let growing = states.get(&i32::from(SegmentState::Growing)).copied().unwrap_or(0);
            let waited = begun.elapsed();
            if growing == 0 && (held >= rows || held > 0 && waited >= LATE.min(self.deadline)) {
                return Ok(Proof::Done);
            }
            if waited >= self.deadline {
                return Ok(Proof::Missing(format!(
                    "of {rows} rows, {held} are in sealed segments and {growing} in growing ones"
                )));
            }
            sleep(POLL).await;
        }
    }

    /// How many rows the segments in each state hold, by the state's number.
    async fn segments(&self, collection: &str) -> Result<BTreeMap<i32, u64>, MilvusError> {
        const OPERATION: &str = "list segments";
        let request = GetPersistentSegmentInfoRequest {
            collection_name: collection.to_owned(),
            ..GetPersistentSegmentInfoRequest::default()
        };
        let mut raw = self.raw.clone();
        let call = raw.get_persistent_segment_info(request);
        let response = self.call_raw(OPERATION, call).await?;
        check_status(OPERATION, response.status.as_ref())?;
        let mut states = BTreeMap::new();
        for segment in response.infos {
            *states.entry(segment.state).or_default() +=
                u64::try_from(segment.num_rows).unwrap_or_default();
        }
        Ok(states)
    }

    /// Merges what is written out. Proven by the server's count of plans that were carried out.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn compact(&self, collection: &str) -> Result<Proof, MilvusError> {
        const OPERATION: &str = "compact";
        let mut raw = self.raw.clone();
        let request = ManualCompactionRequest {
            collection_id: self.collection_id(collection).await?,
            collection_name: collection.to_owned(),
            ..ManualCompactionRequest::default()
        };
        let begun = self.call_raw(OPERATION, raw.manual_compaction(request)).await?;
        check_status(OPERATION, begun.status.as_ref())?;
        let end = Instant::now() + self.deadline;
        loop {
            let request = GetCompactionStateRequest { compaction_id: begun.compaction_id };
            let state = self.call_raw(OPERATION, raw.get_compaction_state(request)).await?;
            check_status(OPERATION, state.status.as_ref())?;
            let (done, open) = (state.completed_plan_no, state.executing_plan_no);
            if state.state == i32::from(CompactionState::Completed) && open == 0 {
                return Ok(match done {
                    0 => Proof::Missing("there was nothing to compact".to_owned()),
                    _ => Proof::Done,
                });
            }
            if Instant::now() >= end {
                return Ok(Proof::Missing(format!(
                    "of its plans, {done} are completed and {open} being carried out"
                )));
            }
            sleep(POLL).await;
        }
    }

    /// Makes an index and waits until the server describes it as finished, for all rows if it tells
    /// their number.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn make_index(
        &self,
        collection: &str,
        field: &Field,
        index: &Index,
    ) -> Result<Proof, MilvusError> {
        const OPERATION: &str = "describe index";
        self.create_index(collection, field, index).await?;
        let end = Instant::now() + self.deadline;
        loop {
            let request = DescribeIndexRequest {
                collection_name: collection.to_owned(),
                field_name: field.name.clone(),
                ..DescribeIndexRequest::default()
            };
            let mut raw = self.raw.clone();
            let response = self.call_raw(OPERATION, raw.describe_index(request)).await?;
            check_status(OPERATION, response.status.as_ref())?;
            let mine = response.index_descriptions.into_iter().find(|d| d.field_name == field.name);
            let Some(mine) = mine else {
                return Ok(Proof::Missing(format!("no index of '{}' is described", field.name)));
            };
            let (state, indexed, total) = (mine.state, mine.indexed_rows, mine.total_rows);
            if state == i32::from(IndexState::Failed) {
                return Ok(Proof::Missing(mine.index_state_fail_reason));
            }
            if state == i32::from(IndexState::Finished) && indexed >= total {
                let found = Index::described(mine);
                return Ok(match index.difference(&found) {
                    None => Proof::Done,
                    Some(difference) => Proof::Missing(difference),
                });
            }
            if Instant::now() >= end {
                return Ok(Proof::Missing(format!("{indexed} of {total} rows are indexed")));
            }
            sleep(POLL).await;
        }
    }

    /// Drops the index of a field; for that the collection is released (documentation, "Drop index")
    /// and loaded again. Proven by its absence from what the server describes.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn drop_index(&self, collection: &str, field: &str) -> Result<Proof, MilvusError> {
        self.release(collection).await?;
        let dropped = self.drop_released_index(collection, field).await;
        // Also if it refuses.
        self.load(collection).await?;
        dropped?;
        let left = self.indexes(collection).await?;
        Ok(match left.iter().any(|index| index.field == field) {
            false => Proof::Done,
            true => Proof::Missing(format!("an index of '{field}' is described all the same")),
        })
    }

    /// Drops the index of a vector and makes another of that kind, one that is exact; for that the
    /// collection is released and loaded again. Proven as [`make_index`](Self::make_index) is. If the
    /// server refuses the kind, the vector has the index that it had at first.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn rebuild_index(
        &self,
        collection: &str,
        vector: &Field,
        kind: &str,
    ) -> Result<Proof, MilvusError> {
        self.release(collection).await?;
        let dropped = self.drop_released_index(collection, &vector.name).await;
        let made = match &dropped {
            Ok(()) => self.make_index(collection, vector, &Index::exact(vector, kind)).await,
            Err(error) => Err(error.clone()),
        };
        if dropped.is_ok() && made.is_err() {
            self.create_index(collection, vector, &Index::of(vector)).await?;
        }
        self.load(collection).await?;
        made
    }

    async fn drop_released_index(&self, collection: &str, field: &str) -> Result<(), MilvusError> {
        const OPERATION: &str = "drop index";
        let request = DropIndexRequest {
            collection_name: collection.to_owned(),
            field_name: field.to_owned(),
            index_name: field.to_owned(),
            ..DropIndexRequest::default()
        };
        let mut raw = self.raw.clone();
        let dropped = self.call_raw(OPERATION, raw.drop_index(request)).await?;
        check_status(OPERATION, Some(&dropped))
    }

    /// Releases a collection and loads it again. Proven by its state in between.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn reload(&self, collection: &str) -> Result<Proof, MilvusError> {
        self.release(collection).await?;
        let mut raw = self.raw.clone();
        let request = GetLoadStateRequest {
            collection_name: collection.to_owned(),
            ..GetLoadStateRequest::default()
        };
        let state = self.call_raw("load state", raw.get_load_state(request)).await?;
        check_status("load state", state.status.as_ref())?;
        let released = state.state == i32::from(LoadState::NotLoad);
        self.load(collection).await?;
        Ok(match released {
            true => Proof::Done,
            false => Proof::Missing("it is loaded after it was released".to_owned()),
        })
    }

    async fn release(&self, collection: &str) -> Result<(), MilvusError> {
        const OPERATION: &str = "release collection";
        let request = ReleaseCollectionRequest {
            collection_name: collection.to_owned(),
            ..ReleaseCollectionRequest::default()
        };
        let mut raw = self.raw.clone();
        let status = self.call_raw(OPERATION, raw.release_collection(request)).await?;
        check_status(OPERATION, Some(&status))
    }

    async fn collection_id(&self, collection: &str) -> Result<i64, MilvusError> {
        const OPERATION: &str = "describe collection";
        let request = DescribeCollectionRequest {
            collection_name: collection.to_owned(),
            ..DescribeCollectionRequest::default()
        };
        let mut raw = self.raw.clone();
        let response = self.call_raw(OPERATION, raw.describe_collection(request)).await?;
        check_status(OPERATION, response.status.as_ref())?;
        Ok(response.collection_id)
    }
}
