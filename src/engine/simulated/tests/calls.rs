//! A healthy server, call by call.

use milvus::proto::schema::{field_data, scalar_field};
use milvus::v2::error::Error;
use milvus::v2::prelude::{
    DescribeCollectionRequest, DropCollectionRequest, HasCollectionRequest, ListCollectionsRequest,
    QueryRequest, ReleaseCollectionRequest,
};

use super::*;
use crate::engine::simulated::VERSION;

#[tokio::test]
async fn every_value_comes_back_through_the_sdk() {
    let fixture = Fixture::filled(&[]).await;
    // The SDK cannot read empty arrays as C++ Milvus sends them, so the rows that have one stay out.
    let request = QueryRequest::builder().collection_name(COLLECTION).filter("id in [1, 3, 4]");
    let request = request.output_fields(["*"]).build().unwrap();
    let response = fixture.sdk.query(request).await.unwrap();
    let returned = response.results().get_output_rows().unwrap();
    let sent = rows().into_iter().filter(|row| [1, 3, 4].contains(&row["id"].as_i64().unwrap()));
    let sent: Vec<_> = sent.map(flat).collect();
    let returned = serde_json::to_value(returned).unwrap();
    assert_eq!(returned, serde_json::to_value(sent).unwrap());
}

#[tokio::test]
async fn every_value_comes_back_through_the_raw_protocol() {
    let mut fixture = Fixture::filled(&[]).await;
    assert_eq!(fixture.query("").await, Answer::Rows(models()));

    let results = fixture.query_raw("id in [1, 2, 3]", &["numbers", "key"], &[]).await.unwrap();
    let names: Vec<_> = results.fields_data.iter().map(|c| c.field_name.as_str()).collect();
    assert_eq!(names, ["id", "numbers", "$meta"]);
    let numbers = &results.fields_data[1];
    assert_eq!(numbers.valid_data, [true, true, false]);
    let Some(field_data::Field::Scalars(scalars)) = &numbers.field else { panic!() };
    let Some(scalar_field::Data::ArrayData(arrays)) = &scalars.data else { panic!() };
    assert_eq!(arrays.data.len(), 2, "only valid values are sent");
    assert_eq!(arrays.data[1].data, None, "an empty array has no data");
    assert!(results.fields_data[2].is_dynamic);
}

#[tokio::test]
async fn filters_answer_as_the_evaluator_does() {
    let mut fixture = Fixture::filled(&[]).await;
    for filter in [
        "id > 2",
        "i8 < 7 or s like \"%abc\"",
        "not (i16 == 9)",
        "n >= 8",
        "j[\"a\"] != 1",
        "numbers[0] == 2",
        "array_contains_any(words, [\"x\", \"z\"])",
        "key is null",
        "f == 0.1",
        "i64 == 9007199254740993",
    ] {
        assert_eq!(fixture.keys(filter).await, expected(filter).unwrap(), "{filter}");
        let count = expected(filter).unwrap().len() as i64;
        assert_eq!(fixture.count(filter).await, Answer::Count(count), "{filter}");
    }
    for filter in ["id >", "id == 'one'", "vec == 1", "id"] {
        assert_eq!(expected(filter), None);
        assert_eq!(fixture.query(filter).await, Answer::Error(1100), "{filter}");
    }
}

#[tokio::test]
async fn limit_and_offset_cut_a_page() {
    let mut fixture = Fixture::filled(&[]).await;
    let page = fixture.page("id >= 1", &[("offset", "1"), ("limit", "2")]).await;
    assert_eq!(page, Answer::Rows(models()[1..3].to_vec()));
    assert_eq!(fixture.page("id >= 1", &[("limit", "x")]).await, Answer::Error(1100));
}

#[tokio::test]
async fn writes_replace_and_remove_by_key() {
    let mut fixture = Fixture::filled(&[]).await;
    let mut row = rows()[2].clone();
    row["s"] = "new".into();
    let mut other = row.clone();
    other["id"] = 6.into();
    assert_eq!(fixture.upsert(vec![row.clone(), other]).await.unwrap(), 2);
    assert_eq!(fixture.keys("s == 'new'").await, [3, 6]);
    row["s"] = "newer".into();
    assert_eq!(fixture.insert(vec![row]).await.unwrap(), 1);
    assert_eq!(fixture.count("").await, Answer::Count(6));
    assert_eq!(fixture.delete("s like 'new%' and id < 6").await.unwrap(), 1);
    assert_eq!(fixture.keys("").await, [1, 2, 4, 5, 6]);
    assert!(fixture.delete("s <").await.is_err());
}

#[tokio::test]
async fn collections_have_a_life() {
    let mut fixture = Fixture::start(&[]).await;
    let sdk = fixture.sdk.clone();
    let version = fixture.raw.get_version(pb::GetVersionRequest {}).await.unwrap();
    assert_eq!(version.into_inner().version, VERSION);
    assert_eq!(fixture.query("").await, Answer::Error(100));
    assert!(fixture.load().await.is_err());
    fixture.create().await.unwrap();
    fixture.create().await.unwrap();
    assert_eq!(fixture.query("").await, Answer::Error(101));
    fixture.load().await.unwrap();
    assert_eq!(fixture.query("").await, Answer::Rows(Vec::new()));

    let has = || HasCollectionRequest::builder().collection_name(COLLECTION).build().unwrap();
    assert!(sdk.has_collection(has()).await.unwrap().exists());
    let list = sdk.list_collections(ListCollectionsRequest::builder().build().unwrap()).await;
    assert_eq!(list.unwrap().collection_names(), [COLLECTION]);
    let describe = DescribeCollectionRequest::builder().collection_name(COLLECTION);
    let described = sdk.describe_collection(describe.build().unwrap()).await.unwrap();
    assert_eq!(described.description().get_schema().get_fields().len(), schema().fields.len());
    assert!(described.description().is_dynamic_field_enabled());

    let release = ReleaseCollectionRequest::builder().collection_name(COLLECTION);
    sdk.release_collection(release.build().unwrap()).await.unwrap();
    assert_eq!(fixture.query("").await, Answer::Error(101));
    let drop = || DropCollectionRequest::builder().collection_name(COLLECTION).build().unwrap();
    sdk.drop_collection(drop()).await.unwrap();
    sdk.drop_collection(drop()).await.unwrap();
    assert!(!sdk.has_collection(has()).await.unwrap().exists());
}

#[tokio::test]
async fn fields_are_added() {
    let mut fixture = Fixture::filled(&[]).await;
    let field = |name: &str, nullable| milvus::proto::schema::FieldSchema {
        name: name.to_owned(),
        data_type: milvus::proto::schema::DataType::Int8.into(),
        nullable,
        ..Default::default()
    };
    for (field, code) in [(field("new", true), 0), (field("new", true), 1100)]
        .into_iter()
        .chain([(field("sure", false), 1100), (field("i8", true), 1100)])
    {
        let name = field.name.clone();
        let request = pb::AddCollectionFieldRequest {
            collection_name: COLLECTION.to_owned(),
            schema: prost::Message::encode_to_vec(&field),
            ..Default::default()
        };
        let status = fixture.raw.add_collection_field(request).await.unwrap().into_inner();
        assert_eq!(status.code, code, "{name}: {}", status.reason);
    }
    let results = fixture.query_raw("new is null", &["new"], &[]).await.unwrap();
    assert_eq!(results.fields_data[1].valid_data, [false; 5]);
    let describe = DescribeCollectionRequest::builder().collection_name(COLLECTION);
    let described = fixture.sdk.describe_collection(describe.build().unwrap()).await.unwrap();
    assert_eq!(described.description().get_schema().get_fields().len(), schema().fields.len() + 1);
}

#[tokio::test]
async fn a_token_is_asked_for() {
    let options = SimulatedOptions { token: Some("root:Milvus".to_owned()), ..Default::default() };
    let engine = SimulatedMilvus::start(options).unwrap();
    assert!(ClientV2::new(&config(&engine).token("root:Milvus")).await.is_ok());
    for wrong in [config(&engine), config(&engine).token("root:milvus")] {
        let Err(Error::Grpc(status)) = ClientV2::new(&wrong).await else { panic!("admitted") };
        assert_eq!(status.code(), tonic::Code::Unauthenticated);
    }
}

#[tokio::test]
async fn what_is_not_simulated_is_unimplemented() {
    let mut fixture = Fixture::start(&[]).await;
    let status = fixture.raw.get_metrics(pb::GetMetricsRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unimplemented);
}

#[tokio::test]
async fn stopping_frees_the_port_and_breaks_connections() {
    let Fixture { engine, mut raw, .. } = Fixture::start(&[]).await;
    let address = engine.uri().trim_start_matches("http://").to_owned();
    assert!(engine.is_running());
    engine.stop();
    assert!(raw.get_version(pb::GetVersionRequest {}).await.is_err());
    std::net::TcpListener::bind(address).unwrap();
}
