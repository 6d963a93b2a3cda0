//! Writes to a simulated Milvus.

use std::collections::BTreeMap;
use std::slice;

use milvus::proto::{milvus as pb, schema as schema_pb};

use super::codec;
use super::fault::Fault;
use super::node::Node;
use super::reply::{Reply, invalid, not_found, ok};
use crate::case::DEFAULT_PARTITION;
use crate::filter::{Switch, parse};
use crate::schema::{DataType, Scalar, Schema};
use crate::value::{Key, Row, Value};

/// Assigned keys are large, as Milvus's are, which it makes of the time.
const FIRST_ASSIGNED: i64 = 450_000_000_000_000_000;

impl Node {
    /// An insert replaces the row of a key that exists, as in Milvus Lite 3.
    pub(super) fn insert(&mut self, request: pb::InsertRequest) -> Reply<pb::MutationResult> {
        let count = request.num_rows as usize;
        let mut stored = count;
        if self.sabotage.has(Fault::LostInsert) && count >= 2 {
            stored -= 1;
        }
        let result = self.write(
            (&request.collection_name, &request.partition_name),
            &request.fields_data,
            count,
            Kind::Insert,
            |rows, new| {
                rows.extend(new.into_iter().take(stored));
            },
        )?;
        Ok(pb::MutationResult { insert_cnt: count as i64, ..result })
    }

    /// Deletes what is replaced, on a server that does so long before it writes.
    pub(super) fn begin_upsert(&mut self, request: &pb::UpsertRequest) -> bool {
        if !self.sabotage.has(Fault::UpsertIsTorn) || request.partial_update {
            return false;
        }
        let Ok(collection) = self.collection(&request.collection_name) else { return false };
        let schema = &collection.schema;
        let rows = codec::decode_rows(schema, &request.fields_data, request.num_rows as usize);
        for key in rows.into_iter().flatten().filter_map(|row| row.key(schema)) {
            collection.rows.remove(&key);
        }
        true
    }

    pub(super) fn upsert(&mut self, request: pb::UpsertRequest) -> Reply<pb::MutationResult> {
        if self.collection(&request.collection_name)?.schema.primary().auto_id {
            return Err(invalid("upserts of assigned keys are not simulated"));
        }
        let kind = if request.partial_update { Kind::PartialUpsert } else { Kind::Upsert };
        let count = request.num_rows as usize;
        let stale = self.sabotage.has(Fault::StaleAfterUpsert);
        let merges = self.sabotage.has(Fault::Turned(Switch::UpsertKeepsDynamicKeys));
        let result = self.write(
            (&request.collection_name, &request.partition_name),
            &request.fields_data,
            count,
            kind,
            |rows, new| {
                let new = new.into_iter();
                let kept: Vec<_> = new.filter(|(k, _)| !(stale && rows.contains_key(k))).collect();
                for (key, mut row) in kept {
                    if let Some(old) = rows.get(&key).filter(|_| merges) {
                        let mut dynamic = old.dynamic.clone();
                        dynamic.append(&mut row.dynamic);
                        row.dynamic = dynamic;
                    }
                    rows.insert(key, row);
                }
            },
        )?;
        Ok(pb::MutationResult { upsert_cnt: count as i64, ..result })
    }

    fn write(
        &mut self,
        (name, partition): (&str, &str),
        columns: &[schema_pb::FieldData],
        count: usize,
        kind: Kind,
        store: impl FnOnce(&mut BTreeMap<Key, Row>, Vec<(Key, Row)>),
    ) -> Reply<pb::MutationResult> {
        let timestamp = self.tick();
        let Node { collections, sabotage, clock, lags, .. } = self;
        let collection = collections.get_mut(name).ok_or_else(|| not_found(name))?;
        collection.require_partition(partition)?;
        let schema = &collection.schema;
        let mut rows = codec::decode_rows(schema, columns, count).map_err(invalid)?;
        if kind == Kind::PartialUpsert {
            for row in &mut rows {
                if let Some(old) = row.key(schema).and_then(|key| collection.rows.get(&key)) {
                    let old = match sabotage.has(Fault::PartialUpsertForgets) {
                        true => blank(schema),
                        false => old.clone(),
                    };
                    let given = std::mem::replace(row, old);
                    row.fields.extend(given.fields);
                    row.dynamic.extend(given.dynamic);
                }
            }
        }
        codec::require(schema, &rows).map_err(invalid)?;
        if sabotage.has(Fault::Turned(Switch::UpsertKeepsOmittedDefaults)) {
            for row in &mut rows {
                let old = row.key(schema).and_then(|key| collection.rows.get(&key));
                for field in schema.fields.iter().filter(|field| field.default.is_some()) {
                    if let (Some(old), Value::Null) = (old, row.get(&field.name)) {
                        row.fields.insert(field.name.clone(), old.get(&field.name).clone());
                    }
                }
            }
        }
        sabotage.fill_defaults(schema, &mut rows);
        let primary = schema.primary();
        if primary.auto_id {
            for row in &mut rows {
                *clock += 1;
                let key = FIRST_ASSIGNED + *clock as i64;
                let key = match primary.data_type {
                    DataType::Scalar(Scalar::VarChar) => Key::Text(key.to_string()),
                    _ => Key::Int(key),
                };
                row.fields.insert(primary.name.clone(), key.into());
            }
        }
        let keyed = rows.into_iter().map(|row| row.key(schema).map(|key| (key, row)));
        let keyed = keyed.collect::<Option<Vec<_>>>();
        let keyed = keyed.ok_or_else(|| invalid("a row has no primary key"))?;
        let mut keys: Vec<_> = keyed.iter().map(|(key, _)| key.clone()).collect();
        if primary.auto_id && sabotage.has(Fault::AssignedKeysReversed) {
            keys.reverse();
        }
        if sabotage.has(Fault::Turned(Switch::DeadRowsAreComputed)) {
            let replaced = keys.iter().filter_map(|key| collection.rows.get(key));
            collection.dead.extend(replaced.cloned());
        }
        for key in &keys {
            match partition {
                "" | DEFAULT_PARTITION => collection.homes.remove(key),
                name => collection.homes.insert(key.clone(), name.to_owned()),
            };
            match kind != Kind::Insert
                && sabotage.has(Fault::Turned(Switch::UpsertPartitionsByPrimaryKey))
            {
                true => collection.misplaced.insert(key.clone()),
                false => collection.misplaced.remove(key),
            };
        }
        collection.write_begins(timestamp, *lags);
        let before = collection.rows.clone();
        store(&mut collection.rows, keyed);
        collection.life.written(sabotage, before, &mut collection.rows);
        collection.sealed = false;
        Ok(mutation(&collection.schema, &keys, timestamp))
    }

    pub(super) fn delete(&mut self, request: pb::DeleteRequest) -> Reply<pb::MutationResult> {
        let timestamp = self.tick();
        let Node { collections, sabotage, lags, .. } = self;
        let name = &request.collection_name;
        let collection = collections.get_mut(name).ok_or_else(|| not_found(name))?;
        if request.expr.trim().is_empty() {
            return Err(invalid("a delete needs a filter"));
        }
        collection.require_partition(&request.partition_name)?;
        let everywhere = request.partition_name.is_empty()
            || sabotage.has(Fault::Turned(Switch::DeleteIgnoresPartition));
        let place = if everywhere { &[][..] } else { slice::from_ref(&request.partition_name) };
        let matches = collection.select(&collection.rows, sabotage, &request.expr)?.into_iter();
        let meant = matches.map(|(key, _)| key).filter(|key| collection.is_in(place, key));
        let mut keys: Vec<_> = meant.cloned().collect();
        let listed = parse(&request.expr).ok();
        let key = &collection.schema.primary().name;
        let listed = listed.is_some_and(|expr| expr.list_of(key).is_some());
        if sabotage.has(Fault::DeleteWhereDeletesOne) && !listed {
            keys.truncate(1);
        }
        let before = collection.rows.clone();
        collection.write_begins(timestamp, *lags);
        if !sabotage.has(Fault::LostDelete) {
            let gone: Vec<Row> =
                keys.iter().filter_map(|key| collection.rows.remove(key)).collect();
            if sabotage.has(Fault::Turned(Switch::DeadRowsAreComputed)) {
                collection.dead.extend(gone);
            }
        }
        collection.life.written(sabotage, before, &mut collection.rows);
        let result = mutation(&collection.schema, &keys, timestamp);
        Ok(pb::MutationResult { delete_cnt: keys.len() as i64, ..result })
    }
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Insert,
    Upsert,
    PartialUpsert,
}

/// A row with nothing in it but what must be.
fn blank(schema: &Schema) -> Row {
    let plain = schema.fields.iter().filter(|field| !field.nullable);
    let fields = plain.map(|field| (field.name.clone(), Value::plain(field))).collect();
    Row { fields, ..Row::default() }
}

fn mutation(schema: &Schema, keys: &[Key], timestamp: u64) -> pb::MutationResult {
    pb::MutationResult {
        status: ok(),
        i_ds: Some(codec::encode_keys(schema, keys)),
        succ_index: (0..keys.len() as u32).collect(),
        acknowledged: true,
        timestamp,
        ..Default::default()
    }
}
