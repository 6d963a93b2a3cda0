//! A client, and the collections that it knows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::builder::{Builder, Options, reported};
use super::catalog::{self, Catalog};
use super::error::ClientError;
use super::sessions::Sessions;
use super::settle::Doubts;
use super::turns::{Need, Turns};
use crate::backend::{Selection, Table};
use crate::clock;
use crate::milvus::{CallFeature, CreateOptions, Dialect, Milvus, MilvusError};
use crate::reference::References;
use crate::schema::{Field, Schema};

/// A client of both sides. Its clones are the same client, for other tasks.
#[derive(Clone)]
pub struct DiffClient(pub(super) Arc<Client>);

impl std::fmt::Debug for DiffClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiffClient")
            .field("backend", &self.0.sessions.name())
            .finish_non_exhaustive()
    }
}

/// What the clones of a client share.
pub(super) struct Client {
    pub(super) milvus: Milvus,
    pub(super) dialect: Dialect,
    pub(super) sessions: Arc<Sessions>,
    pub(super) catalog: Catalog,
    pub(super) options: Options,
    pub(super) collections: Mutex<BTreeMap<String, Arc<Collection>>>,
    /// The server behind the backend, if it was started for this client.
    pub(super) references: Mutex<Option<References>>,
}

/// A collection and its table.
pub(super) struct Collection {
    pub(super) table: Arc<Table>,
    pub(super) turns: Turns,
    pub(super) doubts: Doubts,
    /// The next write's.
    pub(super) number: AtomicU64,
}

impl Collection {
    pub(super) fn new(table: Table) -> Arc<Collection> {
        // Greater than those of earlier clients.
        let number = u64::try_from(clock::since_epoch().as_micros()).unwrap_or_default();
        Arc::new(Collection {
            table: Arc::new(table),
            turns: Turns::default(),
            doubts: Doubts::default(),
            number: AtomicU64::new(number),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.table.name
    }

    pub(super) fn schema(&self) -> &Schema {
        &self.table.schema
    }
}

impl Client {
    pub(super) fn collections(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Collection>>> {
        self.collections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn collection(&self, name: &str) -> Result<Arc<Collection>, ClientError> {
        let found = self.collections().get(name).cloned();
        found.ok_or_else(|| ClientError::NoCollection(name.to_owned()))
    }

    /// An error unless the engine has it.
    pub(super) fn require(&self, feature: CallFeature) -> Result<(), ClientError> {
        if self.dialect.offers(feature) {
            return Ok(());
        }
        let with = Dialect::all()?.into_iter().filter(|dialect| dialect.offers(feature));
        Err(ClientError::Lacks {
            feature: feature.to_string(),
            engine: reported(&self.milvus).to_owned(),
            dialect: self.dialect.name.clone(),
            has: with.map(|dialect| dialect.name).collect(),
        })
    }
}

impl DiffClient {
    /// A client with all of its options.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A client with DuckDB as its backend, in the file `reference.duckdb` of a folder.
    ///
    /// # Errors
    /// If either side cannot be reached or used.
    pub async fn duckdb(uri: impl Into<String>, folder: &Path) -> Result<DiffClient, ClientError> {
        std::fs::create_dir_all(folder).map_err(|error| {
            ClientError::Options(format!("cannot create {}: {error}", folder.display()))
        })?;
        let file = folder.join("reference.duckdb");
        DiffClient::builder().uri(uri).backend(format!("duckdb:{}", file.display())).connect().await
    }

    /// The names of the collections that the backend has, sorted.
    pub fn collections(&self) -> Vec<String> {
        self.0.collections().keys().cloned().collect()
    }

    /// The schema of a collection.
    ///
    /// # Errors
    /// If the backend has none of that name.
    pub fn schema(&self, collection: &str) -> Result<Schema, ClientError> {
        Ok(self.0.collection(collection)?.schema().clone())
    }

    /// Creates a collection on both sides, with an index on each vector, and loads it. On an error
    /// neither side has it.
    ///
    /// # Errors
    /// If either side has one of that name or refuses, or if the schema that Milvus then reports is
    /// another one.
    pub async fn create_collection(&self, name: &str, schema: &Schema) -> Result<(), ClientError> {
        self.create_collection_with(name, schema, &CreateOptions::default()).await
    }

    /// Creates a collection on both sides with indexes and the like, and loads it. On an error
    /// neither side has it.
    ///
    /// Whatever is asked for is read back from Milvus, which may have made something else without a
    /// word. All fields are loaded: the client compares all of them, and reads them back when it
    /// does not know whether it has written.
    ///
    /// ```
    /// use milvus_difftest::client::{ClientError, CreateOptions, DiffClient, Index};
    /// use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
    ///
    /// # use milvus_difftest::engine::simulated::{SimulatedMilvus, SimulatedOptions};
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let engine = SimulatedMilvus::start(SimulatedOptions::default())?;
    /// # let uri = engine.uri();
    /// let client = DiffClient::builder().uri(uri).connect().await?;
    /// let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
    /// let name = Field::new("name", DataType::Scalar(Scalar::VarChar));
    /// let vec = Field::new("vec", DataType::FloatVector { dim: 2 });
    /// let schema = Schema { fields: vec![id, name, vec], dynamic: false };
    /// let graph = Index::new("vec", "HNSW").metric("COSINE");
    /// let options = CreateOptions::default()
    ///     .index(graph.param("M", 16).param("efConstruction", 100))
    ///     .index(Index::new("name", "INVERTED"))
    ///     .shards(2);
    /// client.create_collection_with("goods", &schema, &options).await?;
    ///
    /// let wrong = CreateOptions::default().index(Index::new("nmae", "INVERTED"));
    /// let error = client.create_collection_with("more", &schema, &wrong).await.unwrap_err();
    /// assert!(matches!(error, ClientError::Options(_)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`DiffClient::create_collection`]. [`ClientError::Options`] if the options do not fit the
    /// schema, [`ClientError::Lacks`] if the engine's version has no such options,
    /// [`ClientError::Refused`] if Milvus does not take them, and [`ClientError::OptionsDiffer`] if
    /// what it has made is something else.
    pub async fn create_collection_with(
        &self,
        name: &str,
        schema: &Schema,
        options: &CreateOptions,
    ) -> Result<(), ClientError> {
        let client = self.0.clone();
        let table = Table::new(name, schema.clone());
        let options = options.clone();
        to_the_end(async move { client.create(table, &options).await }).await
    }

    /// Drops a collection on both sides; fine if neither has it.
    ///
    /// # Errors
    /// If either side fails. Dropped on one side only, it can be dropped again.
    pub async fn drop_collection(&self, name: &str) -> Result<(), ClientError> {
        let client = self.0.clone();
        let name = name.to_owned();
        to_the_end(async move { client.drop_both(&name).await }).await
    }

    /// Waits for writes that go on, and ends the server behind the backend if it was started for
    /// this client.
    pub async fn close(self) {
        let collections: Vec<_> = self.0.collections().values().cloned().collect();
        for collection in collections {
            drop(collection.turns.take(Need::All).await);
            self.0.tidy(&collection).await;
        }
        let references = self.0.references.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(references) = references {
            references.close().await;
        }
    }
}

/// Runs something to its end, whether or not somebody still waits for it.
pub(super) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, ClientError>> + Send + 'static,
) -> Result<T, ClientError> {
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is being shut down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

impl Client {
    async fn create(&self, table: Table, options: &CreateOptions) -> Result<(), ClientError> {
        let name = table.name.clone();
        table.schema.validate().map_err(|error| ClientError::Options(error.to_string()))?;
        options.validate(&table.schema).map_err(|reason| {
            ClientError::Options(format!("'{name}' cannot be created with {reason}"))
        })?;
        for feature in options.features() {
            self.require(feature)?;
        }
        if name.eq_ignore_ascii_case(catalog::TABLE) {
            return Err(ClientError::Options(format!("'{name}' is the catalog's own name")));
        }
        let collection = Collection::new(table);
        let exists = |side: &str| ClientError::CollectionExists {
            collection: name.clone(),
            side: side.to_owned(),
        };
        let table = collection.table.clone();
        let taken = self.sessions.run(move |backend| {
            Box::pin(async move {
                if backend.has_table(&table).await? {
                    return Ok(true);
                }
                backend.create_table(&table).await?;
                Ok(false)
            })
        });
        if taken.await? {
            return Err(exists("in the backend"));
        }
        let created = self.create_in_milvus(&collection, options).await;
        let created = match created {
            Ok(()) => self.catalog.add(&collection.table).await.map_err(ClientError::from),
            Err(error) => Err(error),
        };
        match created {
            Ok(()) => {
                self.collections().insert(name, collection);
                Ok(())
            }
            Err(error) => {
                if !matches!(error, ClientError::CollectionExists { .. }) {
                    // One that was not created can be dropped all the same.
                    self.milvus.drop_collection(&name).await?;
                }
                self.drop_table(&collection).await?;
                Err(error)
            }
        }
    }

    async fn create_in_milvus(
        &self,
        collection: &Collection,
        options: &CreateOptions,
    ) -> Result<(), ClientError> {
        let name = collection.name();
        if self.milvus.has_collection(name).await? {
            let (collection, side) = (name.to_owned(), "in Milvus".to_owned());
            return Err(ClientError::CollectionExists { collection, side });
        }
        let created = self.milvus.create_with(name, collection.schema(), options).await;
        created.map_err(|error| match error {
            error @ MilvusError::Rejected { .. } => ClientError::Refused(error),
            error => ClientError::Milvus(error),
        })?;
        let reported = self.milvus.schema(name).await?;
        if let Some(difference) = difference(collection.schema(), &reported) {
            let collection = name.to_owned();
            return Err(ClientError::SchemaDiffers { collection, difference });
        }
        if let Some(difference) = self.milvus.departure(name, options).await? {
            let collection = name.to_owned();
            return Err(ClientError::OptionsDiffer { collection, difference });
        }
        // The table must be readable as what it was created as.
        let table = collection.table.clone();
        let read = self.sessions.run(move |backend| {
            Box::pin(async move {
                let selection = Selection { limit: Some(1), ..Selection::default() };
                backend.select(&table, selection).await
            })
        });
        read.await?;
        Ok(())
    }

    async fn drop_both(&self, name: &str) -> Result<(), ClientError> {
        let known = self.collections().get(name).cloned();
        let Some(collection) = known else {
            // The backend may not know it, or an earlier attempt has come half way.
            return Ok(self.milvus.drop_collection(name).await?);
        };
        let _turn = collection.turns.take(Need::All).await;
        self.milvus.drop_collection(name).await?;
        self.drop_table(&collection).await?;
        self.catalog.forget(name).await?;
        self.collections().remove(name);
        Ok(())
    }

    async fn drop_table(&self, collection: &Collection) -> Result<(), ClientError> {
        let table = collection.table.clone();
        let drop = self
            .sessions
            .run(move |backend| Box::pin(async move { backend.drop_table(&table).await }));
        Ok(drop.await?)
    }
}

/// The first thing in which two schemas differ. What a server need not report, lengths and defaults,
/// counts only if it does.
pub(super) fn difference(wanted: &Schema, reported: &Schema) -> Option<String> {
    if wanted.dynamic != reported.dynamic {
        let word = if reported.dynamic { "a" } else { "no" };
        return Some(format!("it has {word} dynamic field"));
    }
    for field in &reported.fields {
        if wanted.field(&field.name).is_none() {
            return Some(format!("it has the field '{}', too", field.name));
        }
    }
    for field in &wanted.fields {
        let Some(found) = reported.field(&field.name) else {
            return Some(format!("the field '{}' is missing", field.name));
        };
        if let Some(difference) = field_difference(field, found) {
            return Some(format!("the field '{}' {difference}", field.name));
        }
    }
    None
}

fn field_difference(wanted: &Field, found: &Field) -> Option<String> {
    let flags = [
        ("the primary key", wanted.primary, found.primary),
        ("nullable", wanted.nullable, found.nullable),
        ("assigned by the engine", wanted.auto_id, found.auto_id),
        ("the partition key", wanted.partition_key, found.partition_key),
    ];
    if wanted.data_type != found.data_type {
        return Some(format!("is {}, not {}", found.data_type, wanted.data_type));
    }
    if let Some((what, wanted, _)) = flags.iter().find(|(_, wanted, found)| wanted != found) {
        return Some(format!("is {}{what}", if *wanted { "not " } else { "" }));
    }
    let limits = [
        ("max_length", wanted.max_length(), found.max_length),
        ("max_capacity", wanted.max_capacity(), found.max_capacity),
    ];
    for (what, wanted, found) in limits {
        if let Some(found) = found.filter(|found| *found != wanted) {
            return Some(format!("has a {what} of {found}, not {wanted}"));
        }
    }
    if found.default.is_some() && !wanted.absent().same(&found.absent()) {
        return Some(format!("has the default {}, not {}", found.absent(), wanted.absent()));
    }
    let members = |field: &Field| -> Vec<_> {
        field.members.iter().map(|member| (member.name.clone(), member.data_type)).collect()
    };
    (members(wanted) != members(found)).then(|| "has other members".to_owned())
}
