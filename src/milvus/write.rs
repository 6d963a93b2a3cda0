//! Changing the rows of collections: what carries rows over the raw protocol, the rest through the
//! SDK.

use std::collections::{BTreeMap, BTreeSet};

use milvus::proto::milvus::{InsertRequest, MutationResult, UpsertRequest};
use milvus::proto::schema::i_ds::IdField;
use milvus::v2::prelude as sdk;
use tokio::time::sleep;

use super::connection::Milvus;
use super::encode;
use super::error::{MilvusError, check_status};
use crate::schema::Schema;
use crate::value::{Key, Row};

impl Milvus {
    /// Inserts rows whose keys are new, and returns the keys that they have now, in their order:
    /// with `auto_id` those that the engine has assigned.
    ///
    /// A field with a default that a row leaves out is left out of the request, for the engine to
    /// fill. Rows that leave out different ones take a request each.
    pub async fn insert(
        &self,
        collection: &str,
        schema: &Schema,
        rows: &[Row],
    ) -> Result<Vec<Key>, MilvusError> {
        self.insert_into(collection, "", schema, rows).await
    }

    /// The same into a partition; an empty name stands for the default one.
    pub async fn insert_into(
        &self,
        collection: &str,
        partition: &str,
        schema: &Schema,
        rows: &[Row],
    ) -> Result<Vec<Key>, MilvusError> {
        const OPERATION: &str = "insert";
        let mut keys = BTreeMap::new();
        for group in groups(schema, rows) {
            let request = InsertRequest {
                collection_name: collection.to_owned(),
                partition_name: partition.to_owned(),
                fields_data: columns(OPERATION, schema, &group)?,
                num_rows: group.len() as u32,
                ..InsertRequest::default()
            };
            let mut raw = self.raw.clone();
            let result = self.mutate(OPERATION, collection, raw.insert(request)).await?;
            let now = if schema.primary().auto_id {
                assigned(result, group.len())?
            } else {
                group.iter().filter_map(|(_, row)| row.key(schema)).collect()
            };
            keys.extend(group.iter().map(|(position, _)| *position).zip(now));
        }
        let keys: Vec<Key> = keys.into_values().collect();
        if keys.iter().collect::<BTreeSet<_>>().len() < rows.len() {
            let reason = "it gives one key to several rows".to_owned();
            return Err(MilvusError::Malformed { operation: OPERATION, reason });
        }
        Ok(keys)
    }

    /// Inserts rows, replacing those whose keys exist.
    pub async fn upsert(
        &self,
        collection: &str,
        schema: &Schema,
        rows: &[Row],
    ) -> Result<(), MilvusError> {
        self.upsert_into(collection, "", schema, rows).await
    }

    /// The same in a partition; an empty name stands for the default one.
    pub async fn upsert_into(
        &self,
        collection: &str,
        partition: &str,
        schema: &Schema,
        rows: &[Row],
    ) -> Result<(), MilvusError> {
        const OPERATION: &str = "upsert";
        for group in groups(schema, rows) {
            let request = UpsertRequest {
                collection_name: collection.to_owned(),
                partition_name: partition.to_owned(),
                fields_data: columns(OPERATION, schema, &group)?,
                num_rows: group.len() as u32,
                ..UpsertRequest::default()
            };
            let mut raw = self.raw.clone();
            self.mutate(OPERATION, collection, raw.upsert(request)).await?;
        }
        Ok(())
    }

    /// Changes the fields and the dynamic keys that rows have, and keeps the others; a row whose key
    /// does not exist is inserted, and must have all that an insert takes. Only engines with
    /// [`CallFeature::PartialUpsert`](super::CallFeature::PartialUpsert) understand it.
    ///
    /// The rows of one request must have the same fields (documentation, Upsert Entities): rows that
    /// have different ones take a request each.
    pub async fn upsert_partial(
        &self,
        collection: &str,
        schema: &Schema,
        rows: &[Row],
    ) -> Result<(), MilvusError> {
        self.upsert_partial_into(collection, "", schema, rows).await
    }

    /// The same in a partition; an empty name stands for the default one.
    pub async fn upsert_partial_into(
        &self,
        collection: &str,
        partition: &str,
        schema: &Schema,
        rows: &[Row],
    ) -> Result<(), MilvusError> {
        const OPERATION: &str = "partial upsert";
        let given = |row: &Row| (row.fields.keys().cloned().collect(), !row.dynamic.is_empty());
        let mut groups: BTreeMap<(Vec<String>, bool), Vec<&Row>> = BTreeMap::new();
        for row in rows {
            groups.entry(given(row)).or_default().push(row);
        }
        for group in groups.into_values() {
            let unsendable = |reason| MilvusError::Unsendable { operation: OPERATION, reason };
            let request = UpsertRequest {
                collection_name: collection.to_owned(),
                partition_name: partition.to_owned(),
                fields_data: encode::given(schema, &group).map_err(unsendable)?,
                num_rows: group.len() as u32,
                partial_update: true,
                ..UpsertRequest::default()
            };
            let mut raw = self.raw.clone();
            self.mutate(OPERATION, collection, raw.upsert(request)).await?;
        }
        Ok(())
    }

    /// Writes, and remembers when.
    async fn mutate(
        &self,
        operation: &'static str,
        collection: &str,
        call: impl Future<Output = Result<tonic::Response<MutationResult>, tonic::Status>>,
    ) -> Result<MutationResult, MilvusError> {
        let written = async {
            let result = self.call_raw(operation, call).await?;
            check_status(operation, result.status.as_ref())?;
            Ok(result)
        };
        match written.await {
            Ok(result) => {
                self.session.wrote(collection, result.timestamp);
                self.pause().await;
                Ok(result)
            }
            Err(error) => {
                self.session.may_have_written(collection);
                Err(error)
            }
        }
    }

    /// Deletes the rows with these keys.
    pub async fn delete(
        &self,
        collection: &str,
        schema: &Schema,
        keys: &[Key],
    ) -> Result<(), MilvusError> {
        self.delete_in(collection, "", schema, keys).await
    }

    /// Deletes those of the rows with these keys that are in a partition; an empty name stands for
    /// all of them (documentation, "Delete Entities").
    pub async fn delete_in(
        &self,
        collection: &str,
        partition: &str,
        schema: &Schema,
        keys: &[Key],
    ) -> Result<(), MilvusError> {
        if keys.is_empty() {
            return Ok(());
        }
        // Not `ids`: the SDK sends those as a template, which old engines cannot parse.
        self.delete_where_in(collection, partition, &keys_filter(schema, keys)).await
    }

    /// Deletes the rows that match a filter.
    pub async fn delete_where(&self, collection: &str, filter: &str) -> Result<(), MilvusError> {
        self.delete_where_in(collection, "", filter).await
    }

    /// Deletes the rows in a partition that match a filter; an empty name stands for all of them.
    pub async fn delete_where_in(
        &self,
        collection: &str,
        partition: &str,
        filter: &str,
    ) -> Result<(), MilvusError> {
        let request = sdk::DeleteRequest::builder()
            .collection_name(collection)
            .partition_name(partition)
            .filter(filter)
            .build()
            .map_err(|error| MilvusError::from_sdk("delete", self.deadline, error))?;
        match self.call("delete", self.sdk.delete(request)).await {
            Ok(deleted) => {
                self.session.wrote(collection, deleted.timestamp());
                self.pause().await;
                Ok(())
            }
            Err(error) => {
                self.session.may_have_written(collection);
                Err(error)
            }
        }
    }

    /// Seals and writes out what is in memory.
    pub async fn flush(&self, collection: &str) -> Result<(), MilvusError> {
        let request = sdk::FlushRequest::builder()
            .collection_names([collection])
            .build()
            .map_err(|error| MilvusError::from_sdk("flush", self.deadline, error))?;
        self.call("flush", self.sdk.flush(request)).await.map(drop)
    }

    /// Drops a collection.
    pub async fn drop_collection(&self, collection: &str) -> Result<(), MilvusError> {
        let request = sdk::DropCollectionRequest::builder()
            .collection_name(collection)
            .build()
            .map_err(|error| MilvusError::from_sdk("drop collection", self.deadline, error))?;
        self.session.forget(collection);
        self.call("drop collection", self.sdk.drop_collection(request)).await.map(drop)
    }

    async fn pause(&self) {
        if !self.write_pause.is_zero() {
            sleep(self.write_pause).await;
        }
    }
}

/// Rows with their positions.
type Group<'a> = Vec<(usize, &'a Row)>;

/// The rows by the fields with a default that they leave out.
fn groups<'a>(schema: &Schema, rows: &'a [Row]) -> Vec<Group<'a>> {
    let mut groups: BTreeMap<Vec<&str>, Group<'a>> = BTreeMap::new();
    for (position, row) in rows.iter().enumerate() {
        let with_default = schema.fields.iter().filter(|field| field.default.is_some());
        let names = with_default.map(|field| field.name.as_str());
        let omitted = names.filter(|name| !row.fields.contains_key(*name)).collect();
        groups.entry(omitted).or_default().push((position, row));
    }
    groups.into_values().collect()
}

fn columns(
    operation: &'static str,
    schema: &Schema,
    group: &Group<'_>,
) -> Result<Vec<milvus::proto::schema::FieldData>, MilvusError> {
    let rows: Vec<&Row> = group.iter().map(|(_, row)| *row).collect();
    encode::columns(schema, &rows).map_err(|reason| MilvusError::Unsendable { operation, reason })
}

/// The keys that an insert assigned, by position.
fn assigned(result: MutationResult, rows: usize) -> Result<Vec<Key>, MilvusError> {
    let keys: Vec<Key> = match result.i_ds.and_then(|ids| ids.id_field) {
        Some(IdField::IntId(ids)) => ids.data.into_iter().map(Key::Int).collect(),
        Some(IdField::StrId(ids)) => ids.data.into_iter().map(Key::Text).collect(),
        _ => Vec::new(),
    };
    if keys.len() == rows {
        return Ok(keys);
    }
    let reason = format!("it assigns {} keys to {rows} rows", keys.len());
    Err(MilvusError::Malformed { operation: "insert", reason })
}

/// A filter for the rows with these keys.
pub(crate) fn keys_filter(schema: &Schema, keys: &[Key]) -> String {
    use crate::filter::{Expr, Literal};
    let list = keys.iter().map(|key| match key {
        Key::Int(i) => Literal::Int(*i),
        Key::Text(text) => Literal::Text(text.clone()),
    });
    Expr::In {
        operand: Box::new(Expr::field(&schema.primary().name)),
        list: list.collect(),
        negated: false,
    }
    .to_string()
}
