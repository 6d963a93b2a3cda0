//! A small collection, what happens to it, and an account of it that shares no code with the client.

use std::time::Duration;

use milvus_difftest::backend::{Backend, ClickHouse, ClickHouseOptions};
use milvus_difftest::client::{ClientError, DiffClient, EntityOptions, OnDuplicate, Written};
use milvus_difftest::engine::{
    ClickHouseServer, EmbeddedOptions, Engine, EngineKind, install, install_clickhouse,
};
use milvus_difftest::milvus::{ConnectOptions, Consistency, Milvus, QueryOptions};
use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
use milvus_difftest::value::{Key, Row, Value};
use serde_json::json;

pub const NAME: &str = "things";

pub fn schema(auto_id: bool) -> Schema {
    let mut id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
    id.auto_id = auto_id;
    let fields = vec![
        id,
        Field::new("n", DataType::Scalar(Scalar::Int64)).nullable(),
        Field::new("vec", DataType::FloatVector { dim: 2 }),
    ];
    Schema { fields, dynamic: true }
}

pub fn row(schema: &Schema, id: i64, n: i64) -> Row {
    let mut json = json!({"n": n, "vec": [0.5, n], "$meta": {"k": format!("it's {n}")}});
    if !schema.primary().auto_id {
        json["id"] = json!(id);
    } else {
        // Only `Row::from_json` asks for it.
        json["id"] = json!(0);
    }
    let mut row = Row::from_json(schema, &json).unwrap();
    if schema.primary().auto_id {
        row.fields.remove("id");
    }
    row
}

/// The writes that are tried. Rows 1 to 9 are there before, with `n` ten times their key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Rows 10 to 13.
    Insert,
    /// Rows 8 to 11, two of which exist.
    Upsert,
    /// Rows 8 to 11 again, by inserting them.
    Replace,
    /// Of rows 6 to 9, `n` alone.
    UpsertPartial,
    /// Rows 3, 4, 5 and one that does not exist.
    Delete,
    /// Rows 3, 4 and 5.
    DeleteWhere,
    /// Four more rows, with keys from the engine.
    InsertAssigned,
    /// The first three rows of those with keys from the engine.
    DeleteAssigned,
}

impl Deed {
    pub const ALL: [Deed; 8] = [
        Deed::Insert,
        Deed::Upsert,
        Deed::Replace,
        Deed::UpsertPartial,
        Deed::Delete,
        Deed::DeleteWhere,
        Deed::InsertAssigned,
        Deed::DeleteAssigned,
    ];

    pub fn auto_id(self) -> bool {
        matches!(self, Deed::InsertAssigned | Deed::DeleteAssigned)
    }

    /// The call that Milvus gets.
    pub fn call(self) -> &'static str {
        match self {
            Deed::Insert | Deed::InsertAssigned => "Insert",
            Deed::Upsert | Deed::Replace | Deed::UpsertPartial => "Upsert",
            Deed::Delete | Deed::DeleteWhere | Deed::DeleteAssigned => "Delete",
        }
    }

    pub async fn perform(self, client: &DiffClient) -> Result<Written, ClientError> {
        let schema = schema(self.auto_id());
        let rows = |ids: std::ops::RangeInclusive<i64>| -> Vec<Row> {
            ids.map(|id| row(&schema, id, id * 100)).collect()
        };
        match self {
            Deed::Insert => client.insert(NAME, &rows(10..=13)).await,
            Deed::Upsert => client.upsert(NAME, &rows(8..=11)).await,
            Deed::Replace => client.insert(NAME, &rows(8..=11)).await,
            Deed::UpsertPartial => {
                let change = |id: i64| {
                    let fields = [("id", id), ("n", id * 100)];
                    let fields = fields.map(|(name, i)| (name.to_owned(), Value::Int(i)));
                    Row { fields: fields.into(), ..Row::default() }
                };
                let changes: Vec<Row> = (6..=9).map(change).collect();
                client.upsert_partial(NAME, &changes).await
            }
            Deed::Delete => client.delete(NAME, &[3, 4, 5, 77].map(Key::Int)).await,
            Deed::DeleteWhere => client.delete_where(NAME, "n >= 30 and n <= 50").await,
            Deed::InsertAssigned => client.insert(NAME, &rows(10..=13)).await,
            Deed::DeleteAssigned => client.delete_where(NAME, "n <= 30").await,
        }
    }

    /// The values of `n`, sorted, before and after: with keys from the engine, they tell the rows
    /// apart.
    pub fn account(self) -> (Vec<i64>, Vec<i64>) {
        let before: Vec<i64> = (1..=9).map(|id| id * 10).collect();
        let mut after = before.clone();
        match self {
            Deed::Insert | Deed::InsertAssigned => after.extend([1000, 1100, 1200, 1300]),
            Deed::Upsert | Deed::Replace => {
                after.truncate(7);
                after.extend([800, 900, 1000, 1100]);
            }
            Deed::UpsertPartial => {
                after.truncate(5);
                after.extend([600, 700, 800, 900]);
            }
            Deed::Delete | Deed::DeleteWhere => drop(after.drain(2..5)),
            Deed::DeleteAssigned => drop(after.drain(..3)),
        }
        (before, after)
    }
}

/// An engine of the test's own.
pub async fn started(name: &str) -> Engine {
    let kind: EngineKind = name.parse().unwrap();
    let options = EmbeddedOptions { kind, ..EmbeddedOptions::default() };
    install(&options, &|_| ()).await.unwrap().start().await.unwrap()
}

/// A ClickHouse of the test's own.
pub async fn clickhouse() -> ClickHouseServer {
    let installation = install_clickhouse(&EmbeddedOptions::default(), &|_| ()).await;
    installation.unwrap().start().await.unwrap()
}

/// How to reach it.
pub fn options(server: &ClickHouseServer) -> ClickHouseOptions {
    ClickHouseOptions {
        user: Some(server.user().to_owned()),
        password: Some(server.password().clone()),
        ..ClickHouseOptions::new(server.url())
    }
}

/// A backend in a database of its own there.
pub async fn database(server: &ClickHouseServer, name: &str) -> Box<dyn Backend> {
    let admin = clickhouse::Client::default()
        .with_url(server.url())
        .with_user(server.user())
        .with_password(server.password().expose());
    admin.query(&format!("CREATE DATABASE {name}")).execute().await.unwrap();
    let options = ClickHouseOptions { database: Some(name.to_owned()), ..options(server) };
    Box::new(ClickHouse::connect(options).await.unwrap())
}

/// A client that loses patience soon, but not with a busy machine.
pub async fn client(uri: &str, backend: Box<dyn Backend>, deed: Deed) -> DiffClient {
    let policy = match deed {
        Deed::Replace => OnDuplicate::Replace,
        _ => OnDuplicate::Refuse,
    };
    let client = DiffClient::builder()
        .uri(uri)
        .backend_with(backend)
        .deadline(Duration::from_millis(1500))
        .settle_within(Duration::from_secs(2))
        .quiet(Duration::from_millis(800))
        .on_duplicate(policy)
        .connect();
    client.await.unwrap()
}

/// The collection with its nine rows.
pub async fn found(client: &DiffClient, deed: Deed) {
    let schema = schema(deed.auto_id());
    client.create_collection(NAME, &schema).await.unwrap();
    let rows: Vec<Row> = (1..=9).map(|id| row(&schema, id, id * 10)).collect();
    client.insert(NAME, &rows).await.unwrap();
}

/// What Milvus has: every `n`, sorted.
pub async fn in_milvus(uri: &str, deed: Deed) -> Vec<i64> {
    let deadline = Duration::from_secs(10);
    let options = ConnectOptions { uri: uri.to_owned(), token: None, deadline };
    let milvus = Milvus::connect(&options).await.unwrap();
    let options =
        QueryOptions { consistency: Consistency::Strong, deadline, page: None, partitions: &[] };
    let schema = schema(deed.auto_id());
    let rows = milvus.query(NAME, &schema, "", options).await.unwrap();
    if deed == Deed::UpsertPartial {
        // Whatever has become of `n`.
        for got in &rows {
            let Some(Key::Int(id)) = got.key(&schema) else { panic!("{got:?}") };
            let first = row(&schema, id, id * 10);
            assert_eq!((got.get("vec"), &got.dynamic), (first.get("vec"), &first.dynamic));
        }
    }
    numbers(rows.iter())
}

/// What the client's backend has: every `n`, sorted. It must be the same as in Milvus.
pub async fn in_backend(what: &str, client: &DiffClient) -> Vec<i64> {
    let pair = client.query(NAME, "").await.unwrap();
    let diff = pair.diff().unwrap();
    assert!(diff.is_empty(), "{what}: {diff}");
    let compared = client.compare_entities(NAME, &EntityOptions::default()).await.unwrap();
    assert!(compared.is_same(), "{what}: {compared}");
    numbers(pair.backend.iter())
}

fn numbers<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<i64> {
    let number = |row: &Row| row.get("n").to_json().as_i64().unwrap();
    let mut all: Vec<i64> = rows.map(number).collect();
    all.sort_unstable();
    all
}

/// Both sides must have had the deed, or neither.
pub async fn assert_whole(
    what: &str,
    uri: &str,
    client: &DiffClient,
    deed: Deed,
    outcome: &Result<Written, ClientError>,
) {
    let (before, after) = deed.account();
    let expected = if outcome.is_ok() { &after } else { &before };
    assert_eq!(&in_backend(what, client).await, expected, "{what}: the backend after {outcome:?}");
    assert_eq!(&in_milvus(uri, deed).await, expected, "{what}: Milvus after {outcome:?}");
    assert_eq!(client.in_doubt(), [], "{what}");
}
