//! Adopting a collection that exists, and taking entities out of either side.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::catalog;
use super::collection::{Client, Collection, DiffClient, difference, to_the_end};
use super::error::ClientError;
use super::pages::{MAX_PAGE, Pages, Range};
use super::turns::Need;
use crate::backend::Table;
use crate::dump::{DumpError, Format, Reader, Writer};
use crate::schema::Schema;
use crate::value::{Key, Row};

/// Where the entities of a collection come from that is attached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Source {
    /// Milvus itself. Comparisons then find what changes from now on, and not what is wrong already.
    #[default]
    Milvus,
    /// A dump of what was written: the honest source of expected values. One without a schema, as
    /// JSON lines, has the one that Milvus reports.
    Dump(PathBuf),
}

/// How a collection is attached.
#[derive(Clone)]
pub struct AttachOptions {
    /// Where the entities come from.
    pub source: Source,
    /// So many entities at a time.
    pub batch_size: usize,
    /// Told after every batch how many entities there are so far.
    pub progress: Option<Arc<dyn Fn(u64) + Send + Sync>>,
}

impl Default for AttachOptions {
    fn default() -> AttachOptions {
        AttachOptions { source: Source::Milvus, batch_size: 4096, progress: None }
    }
}

/// How far an attachment has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Place {
    source: String,
    /// The last key that was taken, of Milvus.
    after: Option<Key>,
    rows: u64,
}

/// One of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Side {
    /// Milvus.
    Milvus,
    /// The backend.
    #[default]
    Backend,
}

impl DiffClient {
    /// Adopts a collection that Milvus has: takes its schema and its entities into the backend. If
    /// that is interrupted, it goes on from there when it is called again. Returns how many
    /// entities the backend has then.
    ///
    /// # Errors
    /// If the backend has it already, if Milvus has none of that name or one that this crate cannot
    /// handle, if a dump has another schema, or if either side fails.
    pub async fn attach(&self, name: &str, options: &AttachOptions) -> Result<u64, ClientError> {
        let (client, name, options) = (self.0.clone(), name.to_owned(), options.clone());
        to_the_end(async move { client.attach(&name, &options).await }).await
    }

    /// Writes the entities of a collection to a file, sorted by key, and returns how many there
    /// were. The file is there once it is whole.
    ///
    /// # Errors
    /// If the side or the file fails.
    pub async fn export(
        &self,
        collection: &str,
        side: Side,
        path: &Path,
        format: Format,
    ) -> Result<u64, ClientError> {
        let mut entities = self.entities(collection, side).await?;
        let mut writer = Writer::create(path, format, &self.schema(collection)?)?;
        while let Some(rows) = entities.next().await? {
            writer.write(&rows)?;
        }
        Ok(writer.finish()?)
    }

    /// The entities of a collection, batch by batch, sorted by key. Other tasks of this client may
    /// write in between.
    ///
    /// # Errors
    /// If the backend fails.
    pub async fn entities(&self, collection: &str, side: Side) -> Result<Entities, ClientError> {
        let collection = self.0.collection(collection)?;
        let mut left = match side {
            Side::Milvus => vec![(None, None)],
            Side::Backend => self.0.ranges(&collection, BATCH).await?,
        };
        left.reverse();
        Ok(Entities { client: self.0.clone(), collection, side, left })
    }

    /// Entities of the backend, drawn at random, sorted by key: the same with the same seed,
    /// whatever the backend. All of them if there are no more.
    ///
    /// # Errors
    /// If the backend fails.
    pub async fn sample(
        &self,
        collection: &str,
        count: usize,
        seed: u64,
    ) -> Result<Vec<Row>, ClientError> {
        let collection = self.0.collection(collection)?;
        let _turn = self.0.turn(&collection, || Need::Read).await?;
        let table = collection.table.clone();
        let draw = self
            .0
            .sessions
            .run(move |backend| Box::pin(async move { backend.draw(&table, count, seed).await }));
        let keys = draw.await?;
        Ok(self.0.held(&collection, &keys).await?.into_values().collect())
    }
}

/// So many entities at a time.
const BATCH: usize = 4096;

/// The entities of one side; see [`DiffClient::entities`].
pub struct Entities {
    client: Arc<Client>,
    collection: Arc<Collection>,
    side: Side,
    /// What is left, the next last.
    left: Vec<Range>,
}

impl Entities {
    /// The next entities; `None` after the last.
    /// [`dump::to_batch`](crate::dump::to_batch) makes an Arrow `RecordBatch` of them.
    ///
    /// # Errors
    /// If the side fails.
    pub async fn next(&mut self) -> Result<Option<Vec<Row>>, ClientError> {
        while let Some(range) = self.left.pop() {
            let _turn = self.client.turn(&self.collection, || Need::Read).await?;
            let rows = match self.side {
                Side::Backend => self.client.select_range(&self.collection, range).await?,
                Side::Milvus => {
                    let (client, collection) = (&*self.client, &*self.collection);
                    let (_, upto) = range.clone();
                    let mut pages = Pages::new(client, collection, "", None, range, BATCH);
                    let Some(((_, last), rows)) = pages.next().await? else { continue };
                    if last != upto {
                        self.left.push((last, upto));
                    }
                    rows
                }
            };
            if !rows.is_empty() {
                return Ok(Some(rows));
            }
        }
        Ok(None)
    }
}

impl Client {
    async fn attach(&self, name: &str, options: &AttachOptions) -> Result<u64, ClientError> {
        if self.collections().contains_key(name) {
            let (collection, side) = (name.to_owned(), "in the backend".to_owned());
            return Err(ClientError::CollectionExists { collection, side });
        }
        if name.eq_ignore_ascii_case(catalog::TABLE) {
            return Err(ClientError::Options(format!("'{name}' is the catalog's own name")));
        }
        if !self.milvus.has_collection(name).await? {
            return Err(ClientError::Options(format!("Milvus has no collection '{name}'")));
        }
        let reported = self.milvus.schema(name).await?;
        let reader = match &options.source {
            Source::Milvus => None,
            Source::Dump(path) => Some(opened(path, &reported, name)?),
        };
        let schema = reader.as_ref().map_or(reported, |reader| reader.schema().clone());
        let collection = Collection::new(Table::new(name, schema));
        let source = match &options.source {
            Source::Milvus => "milvus".to_owned(),
            Source::Dump(path) => path.display().to_string(),
        };
        let mut place = match self.catalog.attaching(name).await? {
            Some(place) if place.source == source => place,
            Some(place) => {
                return Err(ClientError::Options(format!(
                    "'{name}' is half attached from {}: go on with that, or drop its table",
                    place.source
                )));
            }
            None => {
                let table = collection.table.clone();
                let create = self.sessions.run(move |backend| {
                    Box::pin(async move { backend.create_table(&table).await })
                });
                create.await?;
                Place { source, after: None, rows: 0 }
            }
        };
        self.catalog.attach(name, &place).await?;
        let size = options.batch_size.clamp(2, MAX_PAGE);
        self.milvus.load(name).await?;
        match reader {
            None => {
                let range = (place.after.clone(), None);
                let mut pages = Pages::new(self, &collection, "", None, range, size);
                while let Some(((_, upto), rows)) = pages.next().await? {
                    place.after = upto;
                    self.take(&collection, rows, &mut place, options).await?;
                }
            }
            Some(mut reader) => {
                let mut skip = place.rows;
                while let Some(mut rows) = reader.read(size)? {
                    let known = usize::try_from(skip).unwrap_or(usize::MAX).min(rows.len());
                    skip -= known as u64;
                    rows.drain(..known);
                    self.take(&collection, rows, &mut place, options).await?;
                }
            }
        }
        self.catalog.add(&collection.table).await?;
        self.catalog.attached(name).await?;
        let rows = self.count_where(&collection, None).await?;
        self.collections().insert(name.to_owned(), collection);
        Ok(rows)
    }

    /// Writes rows to the backend alone, and down that they are there.
    async fn take(
        &self,
        collection: &Collection,
        rows: Vec<Row>,
        place: &mut Place,
        options: &AttachOptions,
    ) -> Result<(), ClientError> {
        let (table, count) = (collection.table.clone(), rows.len() as u64);
        // Those of an interrupted attempt may be there already.
        let upsert = self
            .sessions
            .run(move |backend| Box::pin(async move { backend.upsert(&table, &rows).await }));
        upsert.await?;
        place.rows += count;
        self.catalog.attach(collection.name(), place).await?;
        if let Some(progress) = &options.progress {
            progress(place.rows);
        }
        Ok(())
    }
}

fn opened(path: &Path, reported: &Schema, name: &str) -> Result<Reader, ClientError> {
    let reader = match Reader::open(path, None) {
        Err(DumpError::NoSchema { .. }) => Reader::open(path, Some(reported))?,
        reader => reader?,
    };
    match difference(reader.schema(), reported) {
        None => Ok(reader),
        Some(difference) => {
            Err(ClientError::SchemaDiffers { collection: name.to_owned(), difference })
        }
    }
}
