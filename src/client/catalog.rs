//! What a client keeps beside its tables: the collections' schemas, and writes that are in doubt.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::attach::Place;
use super::error::ClientError;
use super::sessions::Sessions;
use crate::backend::{BackendError, Change, Table};
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{Key, Row, Value};

/// The table. No collection can have its name.
pub(super) const TABLE: &str = "milvus_difftest_catalog";

/// A write that has begun, kept until both sides have answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Intent {
    /// What for people, as in `an insert of 3 rows`.
    pub what: String,
    /// The keys that it may change; `None` if the engine assigns them.
    pub keys: Option<Vec<Key>>,
    /// Whether it is to be repeated rather than taken back.
    pub forward: bool,
}

fn entry(id: String, body: Json) -> Row {
    let mut row = Row::default();
    row.fields.insert("id".to_owned(), Value::Text(id));
    row.fields.insert("body".to_owned(), Value::Json(body));
    row
}

/// The catalog of a client. It lasts as long as the backend.
#[derive(Clone)]
pub(super) struct Catalog {
    sessions: Arc<Sessions>,
    table: Arc<Table>,
}

impl Catalog {
    /// The catalog of a backend, which gets one if it has none.
    pub(super) async fn open(sessions: Arc<Sessions>) -> Result<Catalog, BackendError> {
        let fields = vec![
            Field::new("id", DataType::Scalar(Scalar::VarChar)).primary(),
            Field::new("body", DataType::Json),
        ];
        let table = Arc::new(Table::new(TABLE, Schema { fields, dynamic: false }));
        let catalog = Catalog { sessions, table };
        let table = catalog.table.clone();
        let create = catalog.sessions.run(move |backend| {
            Box::pin(async move {
                match backend.has_table(&table).await? {
                    true => Ok(()),
                    false => backend.create_table(&table).await,
                }
            })
        });
        create.await?;
        Ok(catalog)
    }

    async fn put(&self, id: String, body: Json) -> Result<(), BackendError> {
        let (table, row) = (self.table.clone(), entry(id, body));
        let put = self
            .sessions
            .run(move |backend| Box::pin(async move { backend.upsert(&table, &[row]).await }));
        put.await
    }

    async fn remove(&self, ids: Vec<String>) -> Result<(), BackendError> {
        let table = self.table.clone();
        let keys: Vec<Key> = ids.into_iter().map(Key::Text).collect();
        self.sessions
            .run(move |backend| Box::pin(async move { backend.delete(&table, &keys).await }))
            .await
    }

    /// Every entry whose name begins so, with the rest of its name.
    async fn entries(&self, prefix: &str) -> Result<Vec<(String, Json)>, BackendError> {
        let table = self.table.clone();
        let scan =
            self.sessions.run(move |backend| Box::pin(async move { backend.scan(&table).await }));
        let rows = scan.await?;
        let entries = rows.into_iter().filter_map(|mut row| {
            match (row.fields.remove("id"), row.fields.remove("body")) {
                (Some(Value::Text(id)), Some(Value::Json(body))) => {
                    Some((id.strip_prefix(prefix)?.to_owned(), body))
                }
                _ => None,
            }
        });
        Ok(entries.collect())
    }

    /// The collections and their schemas, by name.
    pub(super) async fn collections(&self) -> Result<Vec<(String, Schema)>, ClientError> {
        let mut collections = Vec::new();
        for (name, body) in self.entries("collection/").await? {
            let schema = body.get("schema").cloned().unwrap_or_default();
            let schema: Schema = serde_json::from_value(schema).map_err(|error| {
                ClientError::Catalog(format!("the schema of '{name}' is unreadable: {error}"))
            })?;
            schema.validate().map_err(|error| ClientError::Catalog(error.to_string()))?;
            collections.push((name, schema));
        }
        Ok(collections)
    }

    pub(super) async fn add(&self, table: &Table) -> Result<(), BackendError> {
        let body = json!({"schema": table.schema});
        self.put(format!("collection/{}", table.name), body).await
    }

    /// Forgets a collection, and the writes to it.
    pub(super) async fn forget(&self, name: &str) -> Result<(), BackendError> {
        let writes = self.entries(&format!("write/{name}/")).await?;
        let writes = writes.into_iter().map(|(rest, _)| format!("write/{name}/{rest}"));
        self.remove(writes.chain([format!("collection/{name}")]).collect()).await
    }

    /// How far a collection is attached that is not yet.
    pub(super) async fn attaching(&self, name: &str) -> Result<Option<Place>, ClientError> {
        let entries = self.entries("attach/").await?;
        let Some((_, body)) = entries.into_iter().find(|(rest, _)| rest == name) else {
            return Ok(None);
        };
        let place = serde_json::from_value(body);
        place.map(Some).map_err(|error| ClientError::Catalog(error.to_string()))
    }

    pub(super) async fn attach(&self, name: &str, place: &Place) -> Result<(), ClientError> {
        let body =
            serde_json::to_value(place).map_err(|error| ClientError::Catalog(error.to_string()))?;
        Ok(self.put(format!("attach/{name}"), body).await?)
    }

    pub(super) async fn attached(&self, name: &str) -> Result<(), BackendError> {
        self.remove(vec![format!("attach/{name}")]).await
    }

    /// Writes down that a write begins.
    pub(super) async fn begin(
        &self,
        collection: &str,
        number: u64,
        intent: &Intent,
    ) -> Result<(), ClientError> {
        let body = serde_json::to_value(intent)
            .map_err(|error| ClientError::Catalog(error.to_string()))?;
        // Numbers are new, so that there is nothing to replace.
        let row = entry(format!("write/{collection}/{number:020}"), body);
        let table = self.table.clone();
        let put = self.sessions.run(move |backend| {
            Box::pin(
                async move { backend.stage(&table, Change::Insert(&[row])).await?.commit().await },
            )
        });
        Ok(put.await?)
    }

    /// Strikes writes out that both sides have.
    pub(super) async fn end(&self, collection: &str, numbers: &[u64]) -> Result<(), BackendError> {
        let id = |number: &u64| format!("write/{collection}/{number:020}");
        self.remove(numbers.iter().map(id).collect()).await
    }

    /// The writes to a collection that have not been struck out, in their order.
    pub(super) async fn begun(&self, name: &str) -> Result<Vec<(u64, Intent)>, ClientError> {
        let mut begun = Vec::new();
        for (rest, body) in self.entries(&format!("write/{name}/")).await? {
            let unreadable = |reason: String| {
                ClientError::Catalog(format!("a write to '{name}' is unreadable: {reason}"))
            };
            let number = rest.parse().map_err(|_| unreadable(format!("its number is '{rest}'")))?;
            let intent =
                serde_json::from_value(body).map_err(|error| unreadable(error.to_string()))?;
            begun.push((number, intent));
        }
        Ok(begun)
    }
}
