//! The simulated Milvus as clients meet it: over the network, through the SDK and the raw protocol.

mod calls;
mod faults;
mod types;

use std::time::Duration;

use milvus::proto::common::KeyValuePair;
use milvus::proto::milvus as pb;
use milvus::proto::milvus::milvus_service_client::MilvusServiceClient;
use milvus::v2::ClientV2;
use milvus::v2::prelude::{
    CollectionSchema, ConnectConfig, CreateCollectionRequest, CreateIndexRequest, DeleteRequest,
    FieldSchema, IndexParam, IndexType, InsertRequest, LoadCollectionRequest, MetricType,
    RetryConfig, TelemetryConfig, UpsertRequest,
};
use milvus::v2::types::DataType as SdkType;
use serde_json::{Map, Value as Json, json};
use tonic::transport::Channel;

use super::codec;
use super::{Fault, SimulatedMilvus, SimulatedOptions};
use crate::filter::{Semantics, Switch, Truth, check, evaluate, parse};
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{Row, Value};

const COLLECTION: &str = "things";

/// Every type, nullable wherever Milvus allows it.
fn schema() -> Schema {
    let scalar = |name: &str, scalar| Field::new(name, DataType::Scalar(scalar)).nullable();
    let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
    let fields = vec![
        id,
        scalar("b", Scalar::Bool),
        scalar("i8", Scalar::Int8),
        scalar("i16", Scalar::Int16),
        scalar("i32", Scalar::Int32),
        scalar("i64", Scalar::Int64),
        scalar("f", Scalar::Float),
        scalar("d", Scalar::Double),
        scalar("s", Scalar::VarChar),
        Field::new("j", DataType::Json).nullable(),
        Field::new("numbers", DataType::Array(Scalar::Int16)).nullable(),
        Field::new("words", DataType::Array(Scalar::VarChar)).nullable(),
        Field::new("halves", DataType::Array(Scalar::Double)).nullable(),
        Field::new("vec", DataType::FloatVector { dim: 2 }),
    ];
    Schema { fields, dynamic: true }
}

/// Five rows; the third is null wherever it can be.
fn rows() -> Vec<Json> {
    vec![
        json!({
            "id": 1, "b": true, "i8": 5, "i16": 300, "i32": -70000, "i64": 9007199254740993_i64,
            "f": 0.1_f32, "d": 0.1, "s": "abc", "numbers": [1, 2, 3], "words": ["x", "y"], "halves": [2.5],
            "j": {"a": 1, "t": true, "n": null, "e": {}, "s": "10", "big": 9007199254740993_i64, "d": [1.0]},
            "vec": [0.5, -1.0], "$meta": {"key": "Word", "n": 7},
        }),
        json!({
            "id": 2, "b": false, "i8": 7, "i16": -7, "i32": 0, "i64": 0,
            "f": 0.5, "d": 1e300, "s": "xabc", "numbers": [], "words": ["y"], "halves": [-1.5],
            "j": {"a": "one", "l": [1, "1", [2]]}, "vec": [0.0, 0.0],
        }),
        json!({
            "id": 3, "b": null, "i8": null, "i16": null, "i32": null, "i64": null, "f": null,
            "d": null, "s": null, "numbers": null, "words": null, "halves": null, "j": null, "vec": [1.0, 2.0],
        }),
        json!({
            "id": 4, "b": false, "i8": -44, "i16": 44, "i32": 44, "i64": -44, "f": -2.5,
            "d": -2.5, "s": "a%c", "numbers": [2, 3], "words": ["X", "z"], "halves": [-1.5], "j": {"b": 3},
            "vec": [1.0, 2.0], "$meta": {"key": null, "n": 8},
        }),
        json!({
            "id": 5, "b": true, "i8": 9, "i16": 9, "i32": 9, "i64": 9, "f": 9.0, "d": 9.0,
            "s": "日本", "numbers": [9], "words": [], "halves": [-1.5], "j": {"a": 2}, "vec": [3.0, 4.0],
            "$meta": {"n": 9.5},
        }),
    ]
}

fn models() -> Vec<Row> {
    rows().iter().map(|row| Row::from_json(&schema(), row).unwrap()).collect()
}

/// The keys the evaluator expects; `None` if the filter is not one.
fn expected(filter: &str) -> Option<Vec<i64>> {
    let schema = schema();
    let expr = parse(filter).ok().filter(|expr| check(&schema, expr).is_ok())?;
    let truth = |row: &Row| evaluate(&expr, &schema, row, Semantics::canonical()).unwrap();
    Some(models().iter().filter(|row| truth(row) == Truth::True).map(key).collect())
}

fn key(row: &Row) -> i64 {
    match row.get("id") {
        Value::Int(id) => *id,
        other => panic!("not a key: {other}"),
    }
}

/// How the server met a call.
#[derive(Debug, PartialEq)]
enum Answer {
    Rows(Vec<Row>),
    Count(i64),
    Error(i32),
    Silence,
    Broken,
}

struct Fixture {
    engine: SimulatedMilvus,
    sdk: ClientV2,
    raw: MilvusServiceClient<Channel>,
}

fn config(engine: &SimulatedMilvus) -> ConnectConfig {
    ConnectConfig::new()
        .uri(engine.uri())
        .telemetry(TelemetryConfig::new().enabled(false))
        .rpc_timeout(Duration::from_secs(5))
        .retry(RetryConfig::new().max_attempts(1))
}

/// The generated client's own `connect` is hidden by the call of that name.
async fn connect(
    engine: &SimulatedMilvus,
) -> Result<MilvusServiceClient<Channel>, tonic::transport::Error> {
    let channel = Channel::from_shared(engine.uri()).unwrap().connect().await?;
    Ok(MilvusServiceClient::new(channel))
}

impl Fixture {
    async fn start(faults: &[Fault]) -> Fixture {
        let options = SimulatedOptions { faults: faults.to_vec(), ..Default::default() };
        let engine = SimulatedMilvus::start(options).unwrap();
        let sdk = ClientV2::new(&config(&engine)).await.unwrap();
        let raw = connect(&engine).await.unwrap();
        Fixture { engine, sdk, raw }
    }

    async fn filled(faults: &[Fault]) -> Fixture {
        let fixture = Fixture::start(faults).await;
        fixture.create().await.unwrap();
        fixture.load().await.unwrap();
        fixture.insert(rows()).await.unwrap();
        fixture
    }

    async fn create(&self) -> milvus::v2::error::Result<()> {
        let request =
            CreateCollectionRequest::builder().collection_name(COLLECTION).schema(sdk_schema());
        self.sdk.create_collection(request.build()?).await?;
        let index = IndexParam::new()
            .field_name("vec")
            .index_type(IndexType::Flat)
            .metric_type(MetricType::L2);
        let request = CreateIndexRequest::builder().collection_name(COLLECTION);
        self.sdk.create_index(request.index_params(vec![index]).build()?).await
    }

    async fn load(&self) -> milvus::v2::error::Result<()> {
        let request = LoadCollectionRequest::builder().collection_name(COLLECTION);
        self.sdk.load_collection(request.build()?).await
    }

    async fn insert(&self, rows: Vec<Json>) -> milvus::v2::error::Result<i64> {
        let rows = rows.into_iter().map(flat);
        let request = InsertRequest::builder().collection_name(COLLECTION).rows(rows).build()?;
        Ok(self.sdk.insert(request).await?.insert_count())
    }

    async fn upsert(&self, rows: Vec<Json>) -> milvus::v2::error::Result<i64> {
        let rows = rows.into_iter().map(flat);
        let insert = InsertRequest::builder().collection_name(COLLECTION).rows(rows).build()?;
        let request = UpsertRequest::builder().insert(insert).build()?;
        Ok(self.sdk.upsert(request).await?.upsert_count())
    }

    async fn delete(&self, filter: &str) -> milvus::v2::error::Result<i64> {
        let request = DeleteRequest::builder().collection_name(COLLECTION).filter(filter);
        Ok(self.sdk.delete(request.build()?).await?.delete_count())
    }

    async fn query_raw(
        &mut self,
        filter: &str,
        output: &[&str],
        params: &[(&str, &str)],
    ) -> Result<pb::QueryResults, tonic::Status> {
        let pair = |(key, value): &(&str, &str)| KeyValuePair {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        };
        let request = pb::QueryRequest {
            collection_name: COLLECTION.to_owned(),
            expr: filter.to_owned(),
            output_fields: output.iter().map(|name| (*name).to_owned()).collect(),
            query_params: params.iter().map(pair).collect(),
            ..Default::default()
        };
        Ok(self.raw.query(request).await?.into_inner())
    }

    async fn page(&mut self, filter: &str, params: &[(&str, &str)]) -> Answer {
        let query = self.query_raw(filter, &["*"], params);
        let results = match tokio::time::timeout(Duration::from_millis(500), query).await {
            Err(_) => return Answer::Silence,
            Ok(Err(_)) => return Answer::Broken,
            Ok(Ok(results)) => results,
        };
        let code = results.status.unwrap().code;
        if code != 0 {
            return Answer::Error(code);
        }
        let ids = results.fields_data.iter().find(|column| column.field_name == "id").unwrap();
        let count = column_length(ids);
        Answer::Rows(codec::decode_rows(&schema(), &results.fields_data, count).unwrap())
    }

    async fn query(&mut self, filter: &str) -> Answer {
        self.page(filter, &[]).await
    }

    async fn keys(&mut self, filter: &str) -> Vec<i64> {
        match self.query(filter).await {
            Answer::Rows(rows) => rows.iter().map(key).collect(),
            other => panic!("no rows for {filter}: {other:?}"),
        }
    }

    async fn count(&mut self, filter: &str) -> Answer {
        let results = self.query_raw(filter, &["count(*)"], &[]).await.unwrap();
        Answer::Count(longs(&results.fields_data[0])[0])
    }
}

fn longs(column: &milvus::proto::schema::FieldData) -> &[i64] {
    use milvus::proto::schema::{field_data::Field, scalar_field::Data};
    let Some(Field::Scalars(scalars)) = &column.field else { panic!("not scalars") };
    let Some(Data::LongData(longs)) = &scalars.data else { panic!("not INT64") };
    &longs.data
}

fn column_length(ids: &milvus::proto::schema::FieldData) -> usize {
    longs(ids).len()
}

/// The row as the SDK takes it: dynamic keys beside the fields.
fn flat(row: Json) -> Map<String, Json> {
    let Json::Object(mut row) = row else { panic!("not a row") };
    if let Some(Json::Object(keys)) = row.remove("$meta") {
        row.extend(keys);
    }
    row
}

fn sdk_schema() -> CollectionSchema {
    let sdk_type = |scalar| match scalar {
        Scalar::Bool => SdkType::Bool,
        Scalar::Int8 => SdkType::Int8,
        Scalar::Int16 => SdkType::Int16,
        Scalar::Int32 => SdkType::Int32,
        Scalar::Int64 => SdkType::Int64,
        Scalar::Float => SdkType::Float,
        Scalar::Double => SdkType::Double,
        Scalar::VarChar => SdkType::VarChar,
    };
    schema().fields.iter().fold(CollectionSchema::new().enable_dynamic_field(true), |all, field| {
        let new = FieldSchema::new()
            .name(field.name.as_str())
            .nullable(field.nullable)
            .primary_key(field.primary);
        let new = match field.data_type {
            DataType::Scalar(scalar) => new.data_type(sdk_type(scalar)),
            DataType::Json => new.data_type(SdkType::Json),
            DataType::Array(element) => {
                new.data_type(SdkType::Array).element_type(sdk_type(element)).max_capacity(16)
            }
            DataType::FloatVector { dim } => {
                new.data_type(SdkType::FloatVector).dimension(dim.into())
            }
            other => panic!("{other} is tested in `types`"),
        };
        let text = [DataType::Scalar(Scalar::VarChar), DataType::Array(Scalar::VarChar)];
        all.add_field(if text.contains(&field.data_type) { new.max_length(64) } else { new })
    })
}
