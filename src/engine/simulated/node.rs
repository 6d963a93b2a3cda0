//! The state of a simulated Milvus and the calls that read and change it.

use std::collections::{BTreeMap, BTreeSet};

use milvus::proto::{common, milvus as pb, schema as schema_pb};
use prost::Message as _;

use super::codec;
use super::collection::{Collection, Output};
use super::fault::Fault;
use super::life::Life;
use super::reply::{Reply, invalid, no_index, not_found, not_loaded, ok};
use super::sabotage::Sabotage;
use super::server::{Freshness, VERSION};
use super::template;
use crate::filter::{Switch, parse};
use crate::schema::Field;
use crate::value::{Key, Row};

/// One server.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) collections: BTreeMap<String, Collection>,
    /// What aliases stand for.
    pub(super) aliases: BTreeMap<String, String>,
    /// The rows of collections that were dropped, on a server that keeps them.
    dropped: BTreeMap<String, BTreeMap<Key, Row>>,
    pub(super) sabotage: Sabotage,
    /// Counts calls: ids and timestamps come from here, so that runs repeat exactly.
    pub(super) clock: u64,
    pub(super) lags: bool,
    /// Whether what a strong read has shown all later reads show.
    catches_up: bool,
    pub(super) last_query: Option<Freshness>,
}

impl Node {
    pub(super) fn new(faults: Vec<Fault>, lags: bool) -> Node {
        let catches_up = !lags;
        let lags = lags || faults.contains(&Fault::SessionForgotten);
        let sabotage = Sabotage::new(faults);
        Node {
            collections: BTreeMap::new(),
            aliases: BTreeMap::new(),
            dropped: BTreeMap::new(),
            sabotage,
            clock: 0,
            lags,
            catches_up,
            last_query: None,
        }
    }

    /// What reads need.
    pub(super) fn parts(&self) -> (&BTreeMap<String, Collection>, &Sabotage) {
        (&self.collections, &self.sabotage)
    }

    /// Whether the server goes down instead of serving this call.
    pub(super) fn dies_in(&self, call: &str) -> bool {
        self.sabotage.is_fatal(call)
    }

    /// The rows of every collection.
    pub(super) fn rows(&self) -> BTreeMap<String, BTreeMap<Key, Row>> {
        self.collections.iter().map(|(name, c)| (name.clone(), c.rows.clone())).collect()
    }

    /// Of the rows that have changed since then, every second is again as it was.
    pub(super) fn undo_every_second_row(&mut self, before: BTreeMap<String, BTreeMap<Key, Row>>) {
        for (name, before) in before {
            let Some(collection) = self.collections.get_mut(&name) else { continue };
            let keys: BTreeSet<Key> =
                before.keys().chain(collection.rows.keys()).cloned().collect();
            let changed =
                keys.into_iter().filter(|key| before.get(key) != collection.rows.get(key));
            for key in changed.collect::<Vec<_>>().into_iter().step_by(2) {
                match before.get(&key) {
                    Some(row) => collection.rows.insert(key, row.clone()),
                    None => collection.rows.remove(&key),
                };
            }
        }
    }

    /// A hybrid timestamp: milliseconds in the upper 46 bits.
    pub(super) fn tick(&mut self) -> u64 {
        const START: u64 = 1_750_000_000_000;
        self.clock += 1;
        (START + self.clock) << 18
    }

    /// Whether it has that fault.
    pub(super) fn has(&self, fault: Fault) -> bool {
        self.sabotage.has(fault)
    }

    pub(super) fn collection(&mut self, name: &str) -> Reply<&mut Collection> {
        self.collections.get_mut(name).ok_or_else(|| not_found(name))
    }

    pub(super) fn connect(&mut self, _: pb::ConnectRequest) -> Reply<pb::ConnectResponse> {
        let server_info =
            common::ServerInfo { build_tags: VERSION.to_owned(), ..Default::default() };
        let identifier = self.tick() as i64;
        Ok(pb::ConnectResponse { status: ok(), server_info: Some(server_info), identifier })
    }

    pub(super) fn get_version(
        &mut self,
        _: pb::GetVersionRequest,
    ) -> Reply<pb::GetVersionResponse> {
        Ok(pb::GetVersionResponse { status: ok(), version: VERSION.to_owned() })
    }

    pub(super) fn check_health(
        &mut self,
        _: pb::CheckHealthRequest,
    ) -> Reply<pb::CheckHealthResponse> {
        Ok(pb::CheckHealthResponse { status: ok(), is_healthy: true, ..Default::default() })
    }

    pub(super) fn alloc_timestamp(
        &mut self,
        _: pb::AllocTimestampRequest,
    ) -> Reply<pb::AllocTimestampResponse> {
        Ok(pb::AllocTimestampResponse { status: ok(), timestamp: self.tick() })
    }

    pub(super) fn create_collection(
        &mut self,
        request: pb::CreateCollectionRequest,
    ) -> Reply<common::Status> {
        let name = request.collection_name;
        let described = schema_pb::CollectionSchema::decode(request.schema.as_slice());
        let described = described.map_err(|error| invalid(error.to_string()))?;
        let schema = codec::decode_schema(&described).map_err(invalid)?;
        if let Some(existing) = self.collections.get(&name) {
            return if existing.schema == schema {
                Ok(common::Status::default())
            } else {
                Err(invalid(format!("collection {name} exists with another schema")))
            };
        }
        let created = self.tick();
        let forgets = self.sabotage.has(Fault::OptionsForgotten);
        let mut collection = Collection {
            id: created as i64,
            created,
            schema,
            described: codec::with_field_ids(&name, described),
            properties: request.properties,
            indexes: Vec::new(),
            shards: if forgets { 1 } else { request.shards_num.max(1) },
            consistency_level: if forgets { 0 } else { request.consistency_level },
            loaded: false,
            replicas: 0,
            rows: BTreeMap::new(),
            written: 0,
            rows_before: BTreeMap::new(),
            misplaced: BTreeSet::new(),
            dead: Vec::new(),
            unindexed: BTreeMap::new(),
            partitions: BTreeSet::new(),
            released: BTreeSet::new(),
            homes: BTreeMap::new(),
            life: Life::default(),
            sealed: false,
            cached: BTreeSet::new(),
        };
        let kept = self.dropped.remove(&name);
        if let (Some(kept), true) = (kept, self.sabotage.has(Fault::RecreatedKeepsRows)) {
            collection.rows = kept;
        }
        self.collections.insert(name, collection);
        Ok(common::Status::default())
    }

    pub(super) fn describe_collection(
        &mut self,
        request: pb::DescribeCollectionRequest,
    ) -> Reply<pb::DescribeCollectionResponse> {
        let collection = self.collection(&request.collection_name)?;
        Ok(pb::DescribeCollectionResponse {
            status: ok(),
            schema: Some(collection.described.clone()),
            collection_id: collection.id,
            created_timestamp: collection.created,
            created_utc_timestamp: collection.created >> 18,
            update_timestamp: collection.created,
            shards_num: collection.shards,
            consistency_level: collection.consistency_level,
            num_partitions: 1 + collection.partitions.len() as i64,
            properties: collection.properties.clone(),
            collection_name: request.collection_name,
            db_name: "default".to_owned(),
            ..Default::default()
        })
    }

    pub(super) fn has_collection(
        &mut self,
        request: pb::HasCollectionRequest,
    ) -> Reply<pb::BoolResponse> {
        let value = self.collections.contains_key(&request.collection_name);
        Ok(pb::BoolResponse { status: ok(), value })
    }

    pub(super) fn show_collections(
        &mut self,
        _: pb::ShowCollectionsRequest,
    ) -> Reply<pb::ShowCollectionsResponse> {
        let all = || self.collections.values();
        Ok(pb::ShowCollectionsResponse {
            status: ok(),
            collection_names: self.collections.keys().cloned().collect(),
            collection_ids: all().map(|c| c.id).collect(),
            created_timestamps: all().map(|c| c.created).collect(),
            created_utc_timestamps: all().map(|c| c.created >> 18).collect(),
            query_service_available: all().map(|c| c.loaded).collect(),
            shards_num: all().map(|_| 1).collect(),
            ..Default::default()
        })
    }

    /// Dropping what is not there succeeds, as it does in Milvus.
    pub(super) fn drop_collection(
        &mut self,
        request: pb::DropCollectionRequest,
    ) -> Reply<common::Status> {
        let name = request.collection_name;
        if self.aliases.values().any(|collection| *collection == name) {
            return Err(invalid(format!("unable to drop the collection {name}: it has aliases")));
        }
        if let Some(dropped) = self.collections.remove(&name)
            && self.sabotage.has(Fault::RecreatedKeepsRows)
        {
            self.dropped.insert(name, dropped.rows);
        }
        Ok(common::Status::default())
    }

    pub(super) fn create_index(
        &mut self,
        request: pb::CreateIndexRequest,
    ) -> Reply<common::Status> {
        let index_id = self.tick() as i64;
        let forgets = self.sabotage.has(Fault::OptionsForgotten);
        let collection = self.collection(&request.collection_name)?;
        let field_name = request.field_name;
        let Some(field) = collection.schema.field(&field_name) else {
            return Err(invalid(format!("cannot create an index: no field {field_name}")));
        };
        let mut params = request.extra_params;
        if forgets {
            if !field.is_vector() {
                return Ok(common::Status::default());
            }
            params.retain(|pair| pair.key != "params");
        }
        let index_name = match request.index_name.as_str() {
            "" => field_name.clone(),
            name => name.to_owned(),
        };
        collection.indexes.retain(|index| index.index_name != index_name);
        if !field.is_vector() {
            collection.life.indexed(&field_name, &collection.rows);
        }
        collection.indexes.push(pb::IndexDescription {
            index_name,
            index_id,
            params,
            field_name,
            state: common::IndexState::Finished.into(),
            ..Default::default()
        });
        Ok(common::Status::default())
    }

    pub(super) fn describe_index(
        &mut self,
        request: pb::DescribeIndexRequest,
    ) -> Reply<pb::DescribeIndexResponse> {
        let collection = self.collection(&request.collection_name)?;
        let asked = |index: &&pb::IndexDescription| {
            (request.field_name.is_empty() || index.field_name == request.field_name)
                && (request.index_name.is_empty() || index.index_name == request.index_name)
        };
        let rows = collection.rows.len() as i64;
        let described = collection.indexes.iter().filter(asked).cloned();
        let index_descriptions: Vec<_> = described
            .map(|index| pb::IndexDescription { indexed_rows: rows, total_rows: rows, ..index })
            .collect();
        if index_descriptions.is_empty() {
            return Err(no_index("index not found"));
        }
        Ok(pb::DescribeIndexResponse { status: ok(), index_descriptions })
    }

    pub(super) fn load_collection(
        &mut self,
        request: pb::LoadCollectionRequest,
    ) -> Reply<common::Status> {
        let forgets = self.sabotage.has(Fault::OptionsForgotten);
        let stays = self.sabotage.has(Fault::ReleasedForGood);
        let collection = self.collection(&request.collection_name)?;
        if stays && !collection.loaded && !collection.rows.is_empty() {
            return Err(no_index("the file of an index is empty"));
        }
        let indexed = |field: &Field| collection.indexes.iter().any(|i| i.field_name == field.name);
        if collection.schema.fields.iter().any(|field| field.is_vector() && !indexed(field)) {
            return Err(no_index("a vector field has no index"));
        }
        collection.loaded = true;
        collection.released.clear();
        collection.replicas = if forgets { 1 } else { request.replica_number.max(1) };
        Ok(common::Status::default())
    }

    pub(super) fn release_collection(
        &mut self,
        request: pb::ReleaseCollectionRequest,
    ) -> Reply<common::Status> {
        let Node { collections, sabotage, .. } = self;
        let name = &request.collection_name;
        let collection = collections.get_mut(name).ok_or_else(|| not_found(name))?;
        collection.loaded = false;
        collection.life.released(sabotage, &mut collection.rows);
        Ok(common::Status::default())
    }

    pub(super) fn drop_index(&mut self, request: pb::DropIndexRequest) -> Reply<common::Status> {
        let collection = self.collection(&request.collection_name)?;
        let named = |index: &pb::IndexDescription| {
            index.index_name == request.index_name || index.field_name == request.field_name
        };
        for index in collection.indexes.extract_if(.., |index| named(index)) {
            if let Some((last, _)) = collection.rows.last_key_value() {
                collection.unindexed.insert(index.field_name.clone(), last.clone());
            }
            collection.life.unindexed(&index.field_name);
        }
        Ok(common::Status::default())
    }

    /// Everything is in one segment, which is sealed by a flush.
    pub(super) fn get_persistent_segment_info(
        &mut self,
        request: pb::GetPersistentSegmentInfoRequest,
    ) -> Reply<pb::GetPersistentSegmentInfoResponse> {
        let collection = self.collection(&request.collection_name)?;
        let segment = pb::PersistentSegmentInfo {
            segment_id: collection.id + 1,
            collection_id: collection.id,
            num_rows: collection.rows.len() as i64,
            state: match collection.sealed {
                true => common::SegmentState::Flushed.into(),
                false => common::SegmentState::Growing.into(),
            },
            ..Default::default()
        };
        Ok(pb::GetPersistentSegmentInfoResponse { status: ok(), infos: vec![segment] })
    }

    pub(super) fn manual_compaction(
        &mut self,
        request: pb::ManualCompactionRequest,
    ) -> Reply<pb::ManualCompactionResponse> {
        let compaction_id = self.tick() as i64;
        let Node { collections, sabotage, .. } = self;
        let name = &request.collection_name;
        let collection = collections.get_mut(name).ok_or_else(|| not_found(name))?;
        collection.life.compacted(sabotage, &mut collection.rows);
        Ok(pb::ManualCompactionResponse { status: ok(), compaction_id, compaction_plan_count: 1 })
    }

    pub(super) fn get_compaction_state(
        &mut self,
        _: pb::GetCompactionStateRequest,
    ) -> Reply<pb::GetCompactionStateResponse> {
        Ok(pb::GetCompactionStateResponse {
            status: ok(),
            state: common::CompactionState::Completed.into(),
            completed_plan_no: 1,
            ..Default::default()
        })
    }

    /// Goes down and comes back with what it has stored. Nothing is loaded then.
    pub(super) fn restart(&mut self) {
        let Node { collections, sabotage, .. } = self;
        for collection in collections.values_mut() {
            collection.loaded = false;
            collection.life.restarted(sabotage, &mut collection.rows);
        }
    }

    pub(super) fn get_replicas(
        &mut self,
        request: pb::GetReplicasRequest,
    ) -> Reply<pb::GetReplicasResponse> {
        let collection = self.collection(&request.collection_name)?;
        let replica = |id| pb::ReplicaInfo {
            replica_id: id,
            collection_id: collection.id,
            ..Default::default()
        };
        let replicas = (0..i64::from(collection.replicas)).map(replica).collect();
        Ok(pb::GetReplicasResponse { status: ok(), replicas })
    }

    pub(super) fn get_load_state(
        &mut self,
        request: pb::GetLoadStateRequest,
    ) -> Reply<pb::GetLoadStateResponse> {
        let state = match self.collections.get(&request.collection_name) {
            None => common::LoadState::NotExist,
            Some(collection) if collection.loaded => common::LoadState::Loaded,
            Some(_) => common::LoadState::NotLoad,
        };
        Ok(pb::GetLoadStateResponse { status: ok(), state: state.into() })
    }

    pub(super) fn get_loading_progress(
        &mut self,
        request: pb::GetLoadingProgressRequest,
    ) -> Reply<pb::GetLoadingProgressResponse> {
        let collection = self.collection(&request.collection_name)?;
        if !collection.loaded {
            return Err(not_loaded(&request.collection_name));
        }
        Ok(pb::GetLoadingProgressResponse { status: ok(), progress: 100, refresh_progress: 100 })
    }

    pub(super) fn flush(&mut self, request: pb::FlushRequest) -> Reply<pb::FlushResponse> {
        let Node { collections, sabotage, .. } = self;
        for name in &request.collection_names {
            let collection = collections.get_mut(name).ok_or_else(|| not_found(name))?;
            collection.sealed = true;
            collection.life.flushed(sabotage, &mut collection.rows);
        }
        Ok(pb::FlushResponse { status: ok(), db_name: request.db_name, ..Default::default() })
    }

    pub(super) fn query(&mut self, mut request: pb::QueryRequest) -> Reply<pb::QueryResults> {
        if !request.expr_template_values.is_empty() {
            let values = std::mem::take(&mut request.expr_template_values);
            request.expr = template::bound(&request.expr, values, &self.sabotage)?;
        }
        request.collection_name = self.resolved(&request.collection_name);
        let session_ts = self.tick();
        let freshness = Freshness {
            consistency_level: request.consistency_level,
            guarantee_timestamp: request.guarantee_timestamp,
        };
        self.last_query = Some(freshness);
        let Node { collections, sabotage, lags, catches_up, .. } = self;
        let name = &request.collection_name;
        let collection = collections.get_mut(name).ok_or_else(|| not_found(name))?;
        if !collection.loaded {
            return Err(not_loaded(name));
        }
        if sabotage.has(Fault::AnswersAreCached) {
            let matches = collection.select(&collection.rows, sabotage, &request.expr)?;
            let keys = matches.into_iter().map(|(key, _)| key.clone()).collect();
            let keys = collection.life.remembered(sabotage, &request.expr, keys);
            collection.cached = keys.into_iter().collect();
        }
        for name in &request.partition_names {
            collection.require_partition(name)?;
        }
        let must_show = match request.consistency_level() {
            common::ConsistencyLevel::Strong => true,
            common::ConsistencyLevel::Session if sabotage.has(Fault::SessionForgotten) => false,
            common::ConsistencyLevel::Session => request.guarantee_timestamp >= collection.written,
            _ => false,
        };
        if must_show && *lags && *catches_up {
            collection.caught_up();
        }
        let collection = &*collection;
        let output = collection.output(&request.output_fields)?;
        let visible = match *lags && !must_show {
            true => &collection.rows_before,
            false => &collection.rows,
        };
        let matches = collection.select(visible, sabotage, &request.expr)?;
        let counts_all = request.expr.is_empty()
            && matches!(output, Output::Count)
            && sabotage.has(Fault::Turned(Switch::CountIgnoresPartitions));
        let is_asked = |key: &Key| {
            let everywhere = counts_all || sabotage.has(Fault::PartitionsIgnored);
            everywhere || collection.is_in(&request.partition_names, key)
        };
        let matches = matches.into_iter().filter(|(key, _)| is_asked(key));
        let rows = matches.filter(|(key, _)| {
            !sabotage.has(Fault::AnswersAreCached) || collection.cached.contains(*key)
        });
        let rows = rows.map(|(_, row)| row);
        let mut rows: Vec<_> =
            rows.filter(|row| !sabotage.is_lost(&collection.schema, row)).collect();
        sabotage.tamper_matches(&mut rows);

        let (output_fields, fields_data) = match output {
            Output::Count => {
                let excess = i64::from(sabotage.has(Fault::CountOffByOne));
                (request.output_fields, vec![codec::encode_count(rows.len() as i64 + excess)])
            }
            Output::Fields { fields, dynamic } => {
                let (offset, limit) = page(&request.query_params)?;
                let keys = parse(&request.expr).ok();
                let key = &collection.schema.primary().name;
                let keys = keys.is_some_and(|expr| expr.list_of(key).is_some())
                    && sabotage.has(Fault::Turned(Switch::KeyListIgnoresPage));
                let offset = if sabotage.has(Fault::OffsetIgnored) { 0 } else { offset };
                let (offset, limit) = if keys { (0, usize::MAX) } else { (offset, limit) };
                let page = rows.into_iter().skip(offset).take(limit);
                let mut rows: Vec<_> = page.cloned().collect();
                let iterates = request.query_params.iter().any(|pair| pair.key == "iterator");
                if iterates
                    && rows.len() == limit
                    && limit > 0
                    && sabotage.has(Fault::IterationSkips)
                {
                    rows.remove(0);
                }
                sabotage.tamper_values(&mut rows, &fields);
                let schema = &collection.schema;
                let columns = fields.iter().map(|field| codec::encode_column(schema, field, &rows));
                let meta = (!dynamic.is_empty()).then(|| codec::encode_dynamic(schema, &rows));
                let names = fields.iter().map(|field| field.name.clone()).chain(dynamic);
                (names.collect(), columns.chain(meta).collect())
            }
        };
        Ok(pb::QueryResults {
            status: ok(),
            output_fields,
            primary_field_name: collection.schema.primary().name.clone(),
            collection_name: request.collection_name,
            fields_data,
            session_ts,
            ..Default::default()
        })
    }
}

/// The offset and the limit among a query's parameters.
fn page(params: &[common::KeyValuePair]) -> Reply<(usize, usize)> {
    let get = |key: &str, absent: usize| match params.iter().find(|pair| pair.key == key) {
        None => Ok(absent),
        Some(pair) => {
            pair.value.parse().map_err(|_| invalid(format!("{key} [{}] is invalid", pair.value)))
        }
    };
    Ok((get("offset", 0)?, get("limit", usize::MAX)?))
}
