//! Creating collections and changing their rows, through the SDK.

use std::time::Duration;

use milvus::proto::milvus::GetLoadingProgressRequest;
use milvus::v2::prelude as sdk;
use tokio::time::{Instant, sleep, timeout};

use super::connection::Milvus;
use super::error::{MilvusError, check_status};
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{Key, Row};

/// How often a collection that is being loaded is looked at.
const LOAD_POLL: Duration = Duration::from_millis(15);

impl Milvus {
    /// Creates a collection with a FLAT index on each vector, and loads it.
    pub async fn create(&self, collection: &str, schema: &Schema) -> Result<(), MilvusError> {
        const OPERATION: &str = "create collection";
        let fields = schema.fields.iter().map(field).collect();
        let definition =
            sdk::CollectionSchema::new().fields(fields).enable_dynamic_field(schema.dynamic);
        let request = sdk::CreateCollectionRequest::builder()
            .collection_name(collection)
            .schema(definition)
            .build()
            .map_err(|error| MilvusError::from_sdk(OPERATION, self.deadline, error))?;
        self.call(OPERATION, self.sdk.create_collection(request)).await?;
        for vector in schema.fields.iter().filter(|field| field.is_vector()) {
            let index = sdk::IndexParam::new()
                .field_name(&vector.name)
                .index_type(sdk::IndexType::Flat)
                .metric_type(sdk::MetricType::L2);
            // The SDK's waiting uses a call that Milvus Lite does not have.
            let request = sdk::CreateIndexRequest::builder()
                .collection_name(collection)
                .index_param(index)
                .sync(false)
                .build()
                .map_err(|error| MilvusError::from_sdk("create index", self.deadline, error))?;
            self.call("create index", self.sdk.create_index(request)).await?;
        }
        self.load(collection).await
    }

    /// Loads a collection and waits for it, more closely than the SDK, which looks twice a second.
    async fn load(&self, collection: &str) -> Result<(), MilvusError> {
        const OPERATION: &str = "load";
        let until = Instant::now() + self.deadline;
        let request = sdk::LoadCollectionRequest::builder()
            .collection_name(collection)
            .sync(false)
            .build()
            .map_err(|error| MilvusError::from_sdk(OPERATION, self.deadline, error))?;
        self.call(OPERATION, self.sdk.load_collection(request)).await?;
        let late = MilvusError::Deadline { operation: OPERATION, after: self.deadline };
        loop {
            let request = GetLoadingProgressRequest {
                collection_name: collection.to_owned(),
                ..GetLoadingProgressRequest::default()
            };
            let left = until.saturating_duration_since(Instant::now());
            let mut raw = self.raw.clone();
            let progress = timeout(left, raw.get_loading_progress(request))
                .await
                .map_err(|_| late.clone())?
                .map_err(|status| MilvusError::from_status(OPERATION, &status))?
                .into_inner();
            check_status(OPERATION, progress.status.as_ref())?;
            if progress.progress >= 100 {
                return Ok(());
            }
            if Instant::now() + LOAD_POLL >= until {
                return Err(late);
            }
            sleep(LOAD_POLL).await;
        }
    }

    /// Inserts rows whose keys are new.
    pub async fn insert(&self, collection: &str, rows: &[Row]) -> Result<(), MilvusError> {
        if rows.is_empty() {
            return Ok(());
        }
        let request = self.rows("insert", collection, rows)?;
        self.call("insert", self.sdk.insert(request)).await?;
        self.pause().await
    }

    /// Inserts rows, replacing those whose keys exist.
    pub async fn upsert(&self, collection: &str, rows: &[Row]) -> Result<(), MilvusError> {
        if rows.is_empty() {
            return Ok(());
        }
        let request = sdk::UpsertRequest::builder()
            .insert(self.rows("upsert", collection, rows)?)
            .build()
            .map_err(|error| MilvusError::from_sdk("upsert", self.deadline, error))?;
        self.call("upsert", self.sdk.upsert(request)).await?;
        self.pause().await
    }

    /// Deletes the rows with these keys.
    pub async fn delete(
        &self,
        collection: &str,
        schema: &Schema,
        keys: &[Key],
    ) -> Result<(), MilvusError> {
        if keys.is_empty() {
            return Ok(());
        }
        // Not `ids`: the SDK sends those as a template, which old engines cannot parse.
        let request = sdk::DeleteRequest::builder()
            .collection_name(collection)
            .filter(keys_filter(schema, keys))
            .build()
            .map_err(|error| MilvusError::from_sdk("delete", self.deadline, error))?;
        self.call("delete", self.sdk.delete(request)).await?;
        self.pause().await
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
        self.call("drop collection", self.sdk.drop_collection(request)).await.map(drop)
    }

    async fn pause(&self) -> Result<(), MilvusError> {
        if !self.write_pause.is_zero() {
            sleep(self.write_pause).await;
        }
        Ok(())
    }

    fn rows(
        &self,
        operation: &'static str,
        collection: &str,
        rows: &[Row],
    ) -> Result<sdk::InsertRequest, MilvusError> {
        let rows = rows.iter().map(|row| {
            let fields = row.fields.iter().map(|(name, value)| (name.clone(), value.to_json()));
            // Dynamic keys go beside the declared ones.
            let dynamic = row.dynamic.iter().map(|(key, value)| (key.clone(), value.clone()));
            fields.chain(dynamic).collect::<sdk::EntityRow>()
        });
        sdk::InsertRequest::builder()
            .collection_name(collection)
            .rows(rows)
            .build()
            .map_err(|error| MilvusError::from_sdk(operation, self.deadline, error))
    }
}

fn field(field: &Field) -> sdk::FieldSchema {
    let schema = sdk::FieldSchema::new()
        .name(&field.name)
        .primary_key(field.primary)
        .nullable(field.nullable);
    match field.data_type {
        DataType::Scalar(Scalar::VarChar) => {
            schema.data_type(sdk::DataType::VarChar).max_length(Field::MAX_LENGTH)
        }
        DataType::Scalar(scalar) => schema.data_type(scalar_type(scalar)),
        DataType::Json => schema.data_type(sdk::DataType::Json),
        DataType::Array(element) => {
            let schema = schema
                .data_type(sdk::DataType::Array)
                .element_type(scalar_type(element))
                .max_capacity(Field::MAX_CAPACITY);
            match element {
                Scalar::VarChar => schema.max_length(Field::MAX_LENGTH),
                _ => schema,
            }
        }
        DataType::FloatVector { dim } => {
            schema.data_type(sdk::DataType::FloatVector).dimension(u32::from(dim))
        }
    }
}

fn scalar_type(scalar: Scalar) -> sdk::DataType {
    match scalar {
        Scalar::Bool => sdk::DataType::Bool,
        Scalar::Int8 => sdk::DataType::Int8,
        Scalar::Int16 => sdk::DataType::Int16,
        Scalar::Int32 => sdk::DataType::Int32,
        Scalar::Int64 => sdk::DataType::Int64,
        Scalar::Float => sdk::DataType::Float,
        Scalar::Double => sdk::DataType::Double,
        Scalar::VarChar => sdk::DataType::VarChar,
    }
}

fn keys_filter(schema: &Schema, keys: &[Key]) -> String {
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
