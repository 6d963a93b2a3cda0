//! One question to both sides.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::collection::{Client, Collection, DiffClient};
use super::error::ClientError;
use super::pages::{MAX_PAGE, Pages, Range, ranges};
use super::turns::Need;
use crate::backend::{BackendError, KeySet, Selection};
use crate::compare::Diff;
use crate::filter::{Expr, Semantics, Truth, Undefined, check, evaluate, parse};
use crate::milvus::{Consistency, MilvusError, QueryOptions};
use crate::schema::Schema;
use crate::value::{Key, META, Row};

/// What to ask both sides. A filter alone is one, too: `"price < 10".into()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The filter, which Milvus gets as it is written here; empty for every row.
    pub filter: String,
    /// These fields alone, `$meta` for the dynamic one, and the key in any case; without a list,
    /// every field.
    pub fields: Option<Vec<String>>,
    /// At most so many rows. Which, Milvus does not promise.
    pub limit: Option<u32>,
    /// Without the first so many; only with a limit.
    pub offset: u32,
    /// How fresh Milvus's answer must be. One of more rows than Milvus returns at once is always read
    /// with [`Consistency::Strong`].
    pub consistency: Consistency,
}

impl From<&str> for Query {
    fn from(filter: &str) -> Query {
        Query {
            filter: filter.to_owned(),
            fields: None,
            limit: None,
            offset: 0,
            consistency: Consistency::Strong,
        }
    }
}

/// What both sides answer. Nothing is left out or evened up; both are sorted by key.
#[derive(Debug)]
#[non_exhaustive]
pub struct QueryPair {
    /// Milvus's rows, or why there are none.
    pub milvus: Result<Vec<Row>, MilvusError>,
    /// The rows that match in the backend, all of them also when Milvus was asked for a page.
    pub backend: Vec<Row>,
    /// The keys, of the rows that either side names, on which the model says that the filter is
    /// true of the backend's row.
    pub model: Result<Vec<Key>, Undefined>,
    schema: Schema,
    page: Option<(u32, u32)>,
}

impl QueryPair {
    /// What differs between Milvus's rows and the backend's. Of a page, every row must be one of
    /// the backend's, and as many must be there as the backend has for it.
    ///
    /// # Errors
    /// Milvus's, if it has not answered.
    pub fn diff(&self) -> Result<Diff, MilvusError> {
        let actual = self.milvus.as_ref().map_err(Clone::clone)?;
        let keyed = |row| Some((Row::key(row, &self.schema)?, row));
        let expected: BTreeMap<Key, &Row> = self.backend.iter().filter_map(keyed).collect();
        let mut diff = Diff::rows(&self.schema, &expected, actual);
        if let Some((limit, offset)) = self.page {
            let wanted = expected.len().saturating_sub(offset as usize).min(limit as usize);
            let found = actual.len().saturating_sub(diff.extra.len() + diff.keyless);
            diff.missing.truncate(wanted.saturating_sub(found));
        }
        Ok(diff)
    }

    /// Whether the backend and the model say the same of every row; they do not share code.
    fn references_agree(&self) -> bool {
        let backend = self.backend.iter().filter_map(|row| row.key(&self.schema));
        self.model.as_ref().is_ok_and(|model| backend.eq(model.iter().cloned()))
    }
}

/// Both sides' answers to one query, judged.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// The collection.
    pub collection: String,
    /// The filter.
    pub filter: String,
    /// How many rows Milvus returned.
    pub milvus_rows: usize,
    /// How many rows match in the backend.
    pub backend_rows: usize,
    /// What differs, and did again when both were asked once more.
    pub diff: Diff,
    /// Milvus's error, if it answered with one.
    pub error: Option<String>,
    /// Why nothing can be blamed on Milvus although it differs: the documentation leaves the answer
    /// open.
    pub undefined: Option<String>,
}

impl Comparison {
    /// Whether both sides are the same.
    pub fn is_same(&self) -> bool {
        self.diff.is_empty() && self.error.is_none()
    }

    /// Whether they differ in something that the documentation defines.
    pub fn is_divergence(&self) -> bool {
        !self.is_same() && self.undefined.is_none()
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (collection, filter) = (&self.collection, &self.filter);
        let (milvus, backend) = (self.milvus_rows, self.backend_rows);
        match &self.error {
            Some(error) => write!(f, "{collection}: `{filter}`: {error}")?,
            None if self.diff.is_empty() => {
                write!(f, "{collection}: `{filter}`: the same {milvus} rows on both sides")?;
            }
            None => write!(
                f,
                "{collection}: `{filter}`: Milvus returned {milvus} rows, the backend {backend}\n{}",
                self.diff.table()
            )?,
        }
        match &self.undefined {
            Some(reason) => write!(f, "\nno defect of Milvus, for this is left open: {reason}"),
            None => Ok(()),
        }
    }
}

/// How many entities each side has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// What Milvus's `count(*)` says.
    pub milvus: u64,
    /// How many rows Milvus returned when all were read, if they were.
    pub milvus_read: Option<u64>,
    /// The backend's.
    pub backend: u64,
}

impl Counts {
    /// Whether all say the same.
    pub fn is_same(&self) -> bool {
        self.milvus == self.backend && self.milvus_read.is_none_or(|read| read == self.backend)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Milvus {}", self.milvus)?;
        if let Some(read) = self.milvus_read {
            write!(f, " ({read} when all are read)")?;
        }
        write!(f, ", backend {}", self.backend)
    }
}

impl DiffClient {
    /// Asks both sides.
    ///
    /// # Errors
    /// If the filter does not fit, or the backend fails. What Milvus says to it is part of the
    /// answer.
    pub async fn query(
        &self,
        collection: &str,
        query: impl Into<Query>,
    ) -> Result<QueryPair, ClientError> {
        let collection = self.0.collection(collection)?;
        let query = query.into();
        let _turn = self.0.turn(&collection, || Need::Read).await?;
        self.0.query(&collection, &query).await
    }

    /// Asks both sides and compares; asks both once more if they differ. What may not be visible yet
    /// with the query's consistency is not held against Milvus: it is asked with
    /// [`Consistency::Strong`], too, before [`Comparison::undefined`] is said of a difference.
    ///
    /// # Errors
    /// If the filter does not fit, if Milvus cannot be asked, or if the backend fails or disagrees
    /// with the model.
    pub async fn compare_query(
        &self,
        collection: &str,
        query: impl Into<Query>,
    ) -> Result<Comparison, ClientError> {
        let name = collection;
        let collection = self.0.collection(name)?;
        let query = query.into();
        let _turn = self.0.turn(&collection, || Need::Read).await?;
        let mut pair = self.0.query(&collection, &query).await?;
        if !pair.diff().is_ok_and(|diff| diff.is_empty()) {
            pair = self.0.query(&collection, &query).await?;
        }
        let (diff, error) = match pair.diff() {
            Ok(diff) => (diff, None),
            Err(error) if is_answer(&error) => (Diff::default(), Some(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        let must_show = self.0.milvus.must_show_own_writes(name, query.consistency);
        let behind = !must_show && !diff.is_empty() && self.0.is_right(&collection, &query).await?;
        let undefined = match &pair.model {
            Err(undefined) => Some(undefined.to_string()),
            Ok(_) if behind && pair.references_agree() => Some(format!(
                "an answer with {} consistency may lack what was written last, and one with strong \
                 consistency is right",
                query.consistency
            )),
            Ok(_) if pair.references_agree() => None,
            Ok(model) => {
                return Err(ClientError::Conflict(format!(
                    "`{}` on '{name}' is true of {} rows for the model and of {} for {}",
                    query.filter,
                    model.len(),
                    pair.backend.len(),
                    self.0.sessions.name()
                )));
            }
        };
        Ok(Comparison {
            collection: name.to_owned(),
            filter: query.filter,
            milvus_rows: pair.milvus.as_ref().map_or(0, Vec::len),
            backend_rows: pair.backend.len(),
            diff,
            error,
            undefined,
        })
    }

    /// Counts the entities on both sides, all or those that match a filter.
    ///
    /// # Errors
    /// If the filter does not fit, or either side fails.
    pub async fn count(
        &self,
        collection: &str,
        filter: Option<&str>,
    ) -> Result<Counts, ClientError> {
        let collection = self.0.collection(collection)?;
        let _turn = self.0.turn(&collection, || Need::Read).await?;
        self.0.counts(&collection, filter.unwrap_or_default()).await
    }

    /// Counts the entities on both sides, and how many Milvus returns when all are read: engines
    /// have been seen to count otherwise.
    ///
    /// # Errors
    /// If either side fails.
    pub async fn count_and_read(&self, collection: &str) -> Result<Counts, ClientError> {
        let collection = self.0.collection(collection)?;
        let _turn = self.0.turn(&collection, || Need::Read).await?;
        let mut counts = self.0.counts(&collection, "").await?;
        let mut read = 0;
        let mut pages =
            Pages::new(&self.0, &collection, "", Some(Vec::new()), (None, None), MAX_PAGE);
        while let Some((_, rows)) = pages.next().await? {
            read += rows.len() as u64;
        }
        counts.milvus_read = Some(read);
        Ok(counts)
    }
}

impl Client {
    async fn counts(&self, collection: &Collection, filter: &str) -> Result<Counts, ClientError> {
        let expr = parsed(collection, filter)?;
        let options = self.query_options(Consistency::Strong);
        let (milvus, backend) = tokio::join!(
            self.milvus.count(collection.name(), filter, options),
            self.count_where(collection, expr.as_ref())
        );
        Ok(Counts { milvus: milvus?, milvus_read: None, backend: backend? })
    }

    pub(super) async fn count_where(
        &self,
        collection: &Collection,
        filter: Option<&Expr>,
    ) -> Result<u64, ClientError> {
        let (table, asked) = (collection.table.clone(), filter.cloned());
        let count = self.sessions.run(move |backend| {
            Box::pin(async move { backend.count(&table, asked.as_ref()).await })
        });
        match (count.await, filter) {
            (Err(BackendError::Inexpressible { .. }), Some(filter)) => {
                Ok(self.keys_where(collection, filter).await?.len() as u64)
            }
            (count, _) => Ok(count?),
        }
    }

    /// What Milvus's `count(*)` says of all entities.
    pub(super) async fn milvus_count(&self, collection: &Collection) -> Result<u64, MilvusError> {
        let options = self.query_options(Consistency::Strong);
        self.milvus.count(collection.name(), "", options).await
    }

    pub(super) fn query_options(&self, consistency: Consistency) -> QueryOptions<'static> {
        let deadline = self.options.deadline;
        QueryOptions { consistency, deadline, page: None, partitions: &[] }
    }

    async fn query(
        &self,
        collection: &Collection,
        query: &Query,
    ) -> Result<QueryPair, ClientError> {
        let expr = parsed(collection, &query.filter)?;
        let schema = collection.schema();
        if let Some(unknown) =
            query.fields.iter().flatten().find(|name| {
                schema.field(name).is_none() && (name.as_str() != META || !schema.dynamic)
            })
        {
            let name = collection.name();
            return Err(ClientError::Options(format!("'{name}' has no field '{unknown}'")));
        }
        if query.limit.is_none() && query.offset > 0 {
            return Err(ClientError::Options("an offset needs a limit".to_owned()));
        }
        let page = query.limit.map(|limit| (limit, query.offset));
        let (milvus, backend) = tokio::join!(
            self.ask_milvus(collection, query, page),
            self.rows_where(collection, expr.as_ref(), query.fields.as_deref())
        );
        let backend = backend?;
        // More than Milvus returns at once.
        let milvus = match (&milvus, page) {
            (Ok(_), None) if backend.len() >= MAX_PAGE => {
                self.ask_in_pages(collection, query).await
            }
            _ => milvus,
        };
        let milvus = milvus.map(|mut rows| {
            rows.sort_by_cached_key(|row| row.key(schema));
            rows
        });
        let model = self.model(collection, expr.as_ref(), &milvus, &backend).await?;
        let part = projected(schema, query.fields.as_deref());
        let mut pair = QueryPair { milvus, backend, model, schema: part, page };
        for row in &mut pair.backend {
            row.fields.retain(|name, _| pair.schema.field(name).is_some());
            if !pair.schema.dynamic {
                row.dynamic.clear();
            }
        }
        Ok(pair)
    }

    /// Whether Milvus answers a query well when it must show everything.
    async fn is_right(&self, collection: &Collection, query: &Query) -> Result<bool, ClientError> {
        let query = Query { consistency: Consistency::Strong, ..query.clone() };
        let pair = self.query(collection, &query).await?;
        Ok(pair.diff().is_ok_and(|diff| diff.is_empty()))
    }

    async fn ask_milvus(
        &self,
        collection: &Collection,
        query: &Query,
        page: Option<(u32, u32)>,
    ) -> Result<Vec<Row>, MilvusError> {
        let options = QueryOptions { page, ..self.query_options(query.consistency) };
        let (name, schema) = (collection.name(), collection.schema());
        match &query.fields {
            None => self.milvus.query(name, schema, &query.filter, options).await,
            Some(fields) => {
                self.milvus.query_fields(name, schema, &query.filter, fields, options).await
            }
        }
    }

    async fn ask_in_pages(
        &self,
        collection: &Collection,
        query: &Query,
    ) -> Result<Vec<Row>, MilvusError> {
        let fields = query.fields.clone();
        let mut pages = Pages::new(self, collection, &query.filter, fields, (None, None), MAX_PAGE);
        let mut rows = Vec::new();
        while let Some((_, more)) = pages.next().await? {
            rows.extend(more);
        }
        Ok(rows)
    }

    /// The backend's rows on which a filter is true, with the fields that are asked for and those
    /// that the filter looks at. What SQL cannot express the model says.
    async fn rows_where(
        &self,
        collection: &Collection,
        filter: Option<&Expr>,
        fields: Option<&[String]>,
    ) -> Result<Vec<Row>, ClientError> {
        let table = collection.table.clone();
        let asked = filter.cloned();
        let fields = fields.map(|fields| {
            let mut fields = fields.to_vec();
            fields.extend(filter.into_iter().flat_map(|filter| roots(&table.schema, filter)));
            fields
        });
        let select = self.sessions.run(move |backend| {
            Box::pin(async move {
                let selection = Selection {
                    filter: asked.as_ref(),
                    fields: fields.as_deref(),
                    ..Selection::default()
                };
                backend.select(&table, selection).await
            })
        });
        match (select.await, filter) {
            (Err(BackendError::Inexpressible { .. }), Some(filter)) => {
                let keys = self.keys_where(collection, filter).await?;
                Ok(self.held(collection, &keys).await?.into_values().collect())
            }
            (rows, _) => Ok(rows?),
        }
    }

    /// The keys of the backend's rows on which a filter is true.
    pub(super) async fn keys_where(
        &self,
        collection: &Collection,
        filter: &Expr,
    ) -> Result<Vec<Key>, ClientError> {
        let (table, asked) = (collection.table.clone(), filter.clone());
        let query = self
            .sessions
            .run(move |backend| Box::pin(async move { backend.query(&table, &asked).await }));
        match query.await {
            Err(BackendError::Inexpressible { .. }) => {}
            keys => return Ok(keys?),
        }
        let schema = collection.schema();
        let mut matching = Vec::new();
        for range in self.ranges(collection, MAX_PAGE).await? {
            for row in self.select_range(collection, range).await? {
                let truth = evaluate(filter, schema, &row, Semantics::canonical());
                let truth = truth.map_err(|undefined| {
                    ClientError::Options(format!(
                        "the answer to the filter is left open by the documentation: {undefined}"
                    ))
                })?;
                if truth == Truth::True {
                    matching.extend(row.key(schema));
                }
            }
        }
        Ok(matching)
    }

    async fn model(
        &self,
        collection: &Collection,
        filter: Option<&Expr>,
        milvus: &Result<Vec<Row>, MilvusError>,
        backend: &[Row],
    ) -> Result<Result<Vec<Key>, Undefined>, ClientError> {
        let schema = collection.schema();
        let found: BTreeSet<Key> = backend.iter().filter_map(|row| row.key(schema)).collect();
        let named = milvus.iter().flatten().filter_map(|row| row.key(schema));
        let others: Vec<Key> = named.filter(|key| !found.contains(key)).collect();
        let others = match others.is_empty() {
            true => BTreeMap::new(),
            false => self.held(collection, &others).await?,
        };
        let mut keys = Vec::new();
        for row in backend.iter().chain(others.values()) {
            let truth = match filter {
                None => Ok(Truth::True),
                Some(filter) => evaluate(filter, schema, row, Semantics::canonical()),
            };
            match truth {
                Ok(Truth::True) => keys.extend(row.key(schema)),
                Ok(_) => {}
                Err(undefined) => return Ok(Err(undefined)),
            }
        }
        keys.sort_unstable();
        Ok(Ok(keys))
    }

    /// The keys that each side has: Milvus's, and the backend's.
    pub(super) async fn keys_of_both(
        &self,
        collection: &Collection,
    ) -> Result<(Vec<Key>, Vec<Key>), ClientError> {
        let schema = collection.schema();
        let none = Some(Vec::new());
        let mut pages = Pages::new(self, collection, "", none, (None, None), MAX_PAGE);
        let mut milvus = Vec::new();
        while let Some((_, rows)) = pages.next().await? {
            milvus.extend(rows.iter().filter_map(|row| row.key(schema)));
        }
        let table = collection.table.clone();
        let keys = self.sessions.run(move |backend| {
            Box::pin(async move {
                let selection = Selection { fields: Some(&[]), ..Selection::default() };
                backend.select(&table, selection).await
            })
        });
        let backend = keys.await?;
        Ok((milvus, backend.iter().filter_map(|row| row.key(schema)).collect()))
    }

    /// The backend's rows in a range of keys.
    pub(super) async fn select_range(
        &self,
        collection: &Collection,
        (after, upto): Range,
    ) -> Result<Vec<Row>, BackendError> {
        let table = collection.table.clone();
        let select = self.sessions.run(move |backend| {
            Box::pin(async move {
                let keys = KeySet::Range { after, upto };
                backend.select(&table, Selection { keys, ..Selection::default() }).await
            })
        });
        select.await
    }

    /// Ranges that cover all keys there can be, with so many of the backend's rows in each.
    pub(super) async fn ranges(
        &self,
        collection: &Collection,
        rows: usize,
    ) -> Result<Vec<Range>, BackendError> {
        let table = collection.table.clone();
        let bounds = self
            .sessions
            .run(move |backend| Box::pin(async move { backend.bounds(&table, rows).await }));
        Ok(ranges(&bounds.await?))
    }
}

/// Whether an error is what the server says to a question, and not that there is none.
fn is_answer(error: &MilvusError) -> bool {
    matches!(error, MilvusError::Rejected { .. } | MilvusError::Malformed { .. })
}

/// A filter that fits the collection; `None` if there is none.
pub(super) fn parsed(collection: &Collection, filter: &str) -> Result<Option<Expr>, ClientError> {
    if filter.trim().is_empty() {
        return Ok(None);
    }
    let expr = parse(filter)?;
    check(collection.schema(), &expr)?;
    Ok(Some(expr))
}

fn projected(schema: &Schema, fields: Option<&[String]>) -> Schema {
    let Some(fields) = fields else { return schema.clone() };
    let asked = |name: &str| fields.iter().any(|field| field == name);
    Schema {
        fields: schema.fields.iter().filter(|f| f.primary || asked(&f.name)).cloned().collect(),
        dynamic: schema.dynamic && asked(META),
    }
}

/// The fields that a filter looks at.
fn roots(schema: &Schema, filter: &Expr) -> BTreeSet<String> {
    let mut roots = BTreeSet::new();
    filter.for_each_path(&mut |path| {
        let declared = schema.field(&path.root).is_some();
        roots.insert(if declared { path.root.clone() } else { META.to_owned() });
    });
    roots
}
