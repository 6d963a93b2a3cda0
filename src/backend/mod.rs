//! Reference databases: the same rows and the same filters, answered by somebody else's engine.
//!
//! A [`Backend`] keeps one table per collection. Filters reach it as trees and leave as SQL that
//! [`sql`] writes for the database's [`SqlDialect`](sql::SqlDialect), with the meaning that
//! [`Semantics::canonical`](crate::filter::Semantics::canonical) describes. That lowering shares
//! nothing with the evaluator but what comes before either: type checker, name resolution, and the
//! folding of constants. So each is a check of the other.
//!
//! ```
//! use milvus_difftest::backend::{Backend, DuckDb, Table};
//! use milvus_difftest::filter::parse;
//! use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
//! use milvus_difftest::value::{Key, Row};
//! use serde_json::json;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
//! let n = Field::new("n", DataType::Scalar(Scalar::Int8)).nullable();
//! let table = Table::new("items", Schema { fields: vec![id, n], dynamic: false });
//! let five = Row::from_json(&table.schema, &json!({"id": 1, "n": 5}))?;
//! let null = Row::from_json(&table.schema, &json!({"id": 2, "n": null}))?;
//!
//! let mut backend = DuckDb::in_memory()?;
//! backend.create_table(&table).await?;
//! backend.upsert(&table, &[five, null]).await?;
//! assert_eq!(backend.query(&table, &parse("not (n > 7)")?).await?, [Key::Int(1)]);
//! # Ok(())
//! # }
//! ```

mod clickhouse;
mod digest;
mod duckdb;
mod error;
mod request;
mod row;
mod select;
pub mod sql;
#[cfg(test)]
mod tests;

use futures::future::BoxFuture;

pub use self::clickhouse::{ClickHouse, ClickHouseDialect, ClickHouseOptions};
pub use self::digest::Digest;
pub use self::duckdb::{DuckDb, DuckDbDialect};
pub use self::error::BackendError;
pub use self::request::{Change, KeySet, Selection, Staged};
use crate::filter::Expr;
use crate::schema::Schema;
use crate::value::{Key, Row};

/// A collection's counterpart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The name. Databases may fold its case, so that names must differ by more.
    pub name: String,
    /// The collection's schema.
    pub schema: Schema,
}

impl Table {
    /// A table of that name for collections of that schema.
    pub fn new(name: impl Into<String>, schema: Schema) -> Table {
        Table { name: name.into(), schema }
    }
}

/// What every operation of a backend returns.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, BackendError>>;

/// A row's key, and what conditions are on it.
#[cfg(test)]
type Truths = (Key, Vec<Option<bool>>);

/// A reference database.
pub trait Backend: Send {
    /// The database and its version, as it tells them itself: `DuckDB v2.0.0`.
    fn name(&self) -> String;

    /// Where it is, without credentials: a path or an address; `None` if it goes with this process.
    fn location(&self) -> Option<String>;

    /// Another session on the same database. What one has committed all others see.
    fn session(&self) -> Result<Box<dyn Backend>, BackendError>;

    /// Creates an empty table. One of that name must not exist.
    fn create_table<'a>(&'a mut self, table: &'a Table) -> Answer<'a, ()>;

    /// Whether there is a table of that name.
    fn has_table<'a>(&'a mut self, table: &'a Table) -> Answer<'a, bool>;

    /// Drops a table; fine if there is none.
    fn drop_table<'a>(&'a mut self, table: &'a Table) -> Answer<'a, ()>;

    /// Prepares a change of which nobody sees anything before it is committed.
    fn stage<'a>(&'a mut self, table: &'a Table, change: Change<'a>)
    -> Answer<'a, Box<dyn Staged>>;

    /// Rows with their values, to the bit, sorted by key.
    fn select<'a>(&'a mut self, table: &'a Table, selection: Selection<'a>)
    -> Answer<'a, Vec<Row>>;

    /// The keys of the rows on which `filter` is true, sorted.
    fn query<'a>(&'a mut self, table: &'a Table, filter: &'a Expr) -> Answer<'a, Vec<Key>>;

    /// How many rows there are, or on how many `filter` is true.
    fn count<'a>(&'a mut self, table: &'a Table, filter: Option<&'a Expr>) -> Answer<'a, u64> {
        Box::pin(async move {
            let selection = Selection { filter, fields: Some(&[]), ..Selection::default() };
            Ok(self.select(table, selection).await?.len() as u64)
        })
    }

    /// Every `step`-th key in their order, the first after `step` rows: the bounds of ranges with
    /// as many rows each.
    fn bounds<'a>(&'a mut self, table: &'a Table, step: usize) -> Answer<'a, Vec<Key>> {
        Box::pin(async move {
            let keys = select::keys(self, table).await?;
            Ok(keys.into_iter().skip(step.max(1) - 1).step_by(step.max(1)).collect())
        })
    }

    /// The digest of the rows with these keys. Databases keep the digest of each row beside it, so
    /// that they combine them without reading a value.
    fn digest<'a>(&'a mut self, table: &'a Table, keys: KeySet<'a>) -> Answer<'a, Digest> {
        Box::pin(async move {
            let selection = Selection { keys, ..Selection::default() };
            Ok(Digest::of(&table.schema, &self.select(table, selection).await?))
        })
    }

    /// So many keys, drawn at random, sorted; every database draws the same with the same seed. All
    /// of them if there are no more.
    fn draw<'a>(&'a mut self, table: &'a Table, count: usize, seed: u64) -> Answer<'a, Vec<Key>> {
        Box::pin(async move {
            let mut keys = select::keys(self, table).await?;
            keys.sort_by_cached_key(|key| select::lot(key, seed));
            keys.truncate(count);
            keys.sort_unstable();
            Ok(keys)
        })
    }

    /// The SQL that [`Backend::query`] would run: it stands for itself, without parameters.
    fn explain(&self, table: &Table, filter: &Expr) -> Result<String, BackendError>;

    /// Inserts rows, replacing those that have the same keys; all of them or, on an error, none.
    /// When a key occurs twice the last row counts.
    fn upsert<'a>(&'a mut self, table: &'a Table, rows: &'a [Row]) -> Answer<'a, ()> {
        Box::pin(async move { self.stage(table, Change::Upsert(rows)).await?.commit().await })
    }

    /// Deletes rows by key; keys that no row has are ignored.
    fn delete<'a>(&'a mut self, table: &'a Table, keys: &'a [Key]) -> Answer<'a, ()> {
        Box::pin(async move { self.stage(table, Change::Delete(keys)).await?.commit().await })
    }

    /// Every row with every value, to the bit, sorted by key.
    fn scan<'a>(&'a mut self, table: &'a Table) -> Answer<'a, Vec<Row>> {
        self.select(table, Selection::default())
    }
}
