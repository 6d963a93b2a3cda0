mod dialect;
mod values;

use std::collections::BTreeMap;
use std::path::Path;

use duckdb::{Config, Connection, appender_params_from_iter, types::Value as Duck};

pub use self::dialect::DuckDbDialect;
use self::dialect::identifier;
use self::values::{column_type, decode, decode_dynamic, decode_key, encode_row};
use super::row::columns;
use super::sql::{Constant, SqlDialect, lower};
use super::{Answer, Backend, BackendError, Table};
use crate::filter::Expr;
use crate::value::{Key, Row};

/// DuckDB, in this process.
///
/// Its futures never wait: a call blocks for the milliseconds that a statement takes on a few
/// hundred rows, which is less than handing it to another thread would be worth.
pub struct DuckDb {
    connection: Connection,
    name: String,
}

impl DuckDb {
    /// A database in memory, gone when this value is dropped.
    pub fn in_memory() -> Result<DuckDb, BackendError> {
        DuckDb::connect(":memory:", Connection::open_in_memory_with_flags)
    }

    /// A database in a file, which is created if there is none.
    pub fn open(path: &Path) -> Result<DuckDb, BackendError> {
        DuckDb::connect(&path.display().to_string(), |config| {
            Connection::open_with_flags(path, config)
        })
    }

    fn connect(
        place: &str,
        open: impl FnOnce(Config) -> duckdb::Result<Connection>,
    ) -> Result<DuckDb, BackendError> {
        let opened = || {
            let config = Config::default()
                // What is not linked in shall fail, not be fetched.
                .enable_autoload_extension(false)?
                .with("autoinstall_known_extensions", "false")?
                // Campaigns run one database per worker; its own threads would only compete.
                .threads(1)?;
            let connection = open(config)?;
            let version = connection.version()?;
            Ok((connection, version))
        };
        let (connection, version) =
            opened().map_err(|error: duckdb::Error| BackendError::Open {
                backend: "DuckDB".to_owned(),
                place: place.to_owned(),
                reason: error.to_string(),
            })?;
        Ok(DuckDb { connection, name: format!("DuckDB {version}") })
    }

    fn failed(&self, task: &str, table: &Table, sql: &str, error: &duckdb::Error) -> BackendError {
        BackendError::Statement {
            backend: self.name.clone(),
            task: format!("{task} '{}'", table.name),
            reason: error.to_string(),
            sql: sql.to_owned(),
        }
    }

    fn execute(&self, task: &str, table: &Table, sql: &str) -> Result<(), BackendError> {
        let done = self.connection.execute_batch(sql);
        done.map_err(|error| self.failed(task, table, sql, &error))
    }

    /// Runs a statement and reads each row's columns, in order.
    fn read<T>(
        &self,
        task: &str,
        table: &Table,
        sql: &str,
        read: impl Fn(Vec<Duck>) -> Result<T, BackendError>,
    ) -> Result<Vec<T>, BackendError> {
        let failed = |error| self.failed(task, table, sql, &error);
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let columns = row.as_ref().column_count();
            let columns = (0..columns).map(|i| row.get(i)).collect::<duckdb::Result<_>>();
            all.push(read(columns.map_err(failed)?)?);
        }
        Ok(all)
    }

    fn upsert_now(&self, table: &Table, rows: &[Row]) -> Result<(), BackendError> {
        let schema = &table.schema;
        let mut latest = BTreeMap::new();
        for row in rows {
            let (key, columns) = encode_row(schema, row)?;
            latest.insert(key, columns);
        }
        if latest.is_empty() {
            return Ok(());
        }
        let delete = delete_statement(table, latest.keys());
        let append = format!("INSERT INTO {} -- {} rows", identifier(&table.name), latest.len());
        let during = |sql| move |error| self.failed("write to", table, sql, &error);
        // Dropped on an error, it rolls back. Unchecked: nobody else has this connection.
        let transaction = self.connection.unchecked_transaction().map_err(during("BEGIN"))?;
        transaction.execute_batch(&delete).map_err(during(&delete))?;
        let mut appender = transaction.appender(&table.name).map_err(during(&append))?;
        for columns in latest.into_values() {
            let columns = appender_params_from_iter(columns);
            appender.append_row(columns).map_err(during(&append))?;
        }
        appender.flush().map_err(during(&append))?;
        drop(appender);
        transaction.commit().map_err(during("COMMIT"))
    }

    fn scan_now(&self, table: &Table) -> Result<Vec<Row>, BackendError> {
        let schema = &table.schema;
        let columns = columns(schema);
        let list = columns.iter().map(|name| DuckDbDialect.column(schema, name));
        let list = list.collect::<Vec<_>>().join(", ");
        let sql = format!("SELECT {list} FROM {}", identifier(&table.name));
        let mut rows = self.read("read", table, &sql, |values| {
            let mut row = Row::default();
            for (name, value) in columns.iter().zip(values) {
                match schema.field(name) {
                    Some(field) => {
                        row.fields.insert(field.name.clone(), decode(field, value)?);
                    }
                    None => row.dynamic = decode_dynamic(value)?,
                }
            }
            Ok(row)
        })?;
        rows.sort_by_cached_key(|row| row.key(schema));
        Ok(rows)
    }

    /// Every row's key, with what each of some conditions is on it: many answers for one statement.
    #[cfg(test)]
    pub(super) fn truths(
        &self,
        table: &Table,
        conditions: &[String],
    ) -> Result<Vec<super::Truths>, BackendError> {
        let key = table.schema.primary();
        let column = DuckDbDialect.column(&table.schema, &key.name);
        let conditions = conditions.join(", ");
        let sql = format!("SELECT {column}, {conditions} FROM {}", identifier(&table.name));
        self.read("filter", table, &sql, |values| {
            let mut values = values.into_iter();
            let found = decode_key(key, values.next().unwrap_or(Duck::Null))?;
            let truths = values.map(|value| match value {
                Duck::Boolean(truth) => Some(truth),
                Duck::Null => None,
                other => panic!("a condition is {other:?}"),
            });
            Ok((found, truths.collect()))
        })
    }

    fn query_now(&self, table: &Table, filter: &Expr) -> Result<Vec<Key>, BackendError> {
        let sql = self.explain(table, filter)?;
        let key = table.schema.primary();
        let mut keys = self.read("filter", table, &sql, |mut values| {
            decode_key(key, values.pop().unwrap_or(Duck::Null))
        })?;
        keys.sort_unstable();
        Ok(keys)
    }
}

impl Backend for DuckDb {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn create_table<'a>(&'a mut self, table: &'a Table) -> Answer<'a, ()> {
        let sql = create_statement(table);
        Box::pin(async move { self.execute("create", table, &sql) })
    }

    fn upsert<'a>(&'a mut self, table: &'a Table, rows: &'a [Row]) -> Answer<'a, ()> {
        Box::pin(async move { self.upsert_now(table, rows) })
    }

    fn delete<'a>(&'a mut self, table: &'a Table, keys: &'a [Key]) -> Answer<'a, ()> {
        Box::pin(async move {
            if keys.is_empty() {
                return Ok(());
            }
            self.execute("delete from", table, &delete_statement(table, keys))
        })
    }

    fn query<'a>(&'a mut self, table: &'a Table, filter: &'a Expr) -> Answer<'a, Vec<Key>> {
        Box::pin(async move { self.query_now(table, filter) })
    }

    fn scan<'a>(&'a mut self, table: &'a Table) -> Answer<'a, Vec<Row>> {
        Box::pin(async move { self.scan_now(table) })
    }

    fn explain(&self, table: &Table, filter: &Expr) -> Result<String, BackendError> {
        let condition = lower(&DuckDbDialect, &table.schema, filter)?;
        let key = DuckDbDialect.column(&table.schema, &table.schema.primary().name);
        Ok(format!("SELECT {key} FROM {} WHERE {condition}", identifier(&table.name)))
    }

    fn drop_table<'a>(&'a mut self, table: &'a Table) -> Answer<'a, ()> {
        let sql = format!("DROP TABLE IF EXISTS {}", identifier(&table.name));
        Box::pin(async move { self.execute("drop", table, &sql) })
    }
}

/// The key has no PRIMARY KEY: deleting a key and inserting it again in one transaction would
/// violate DuckDB's index, which sees both.
fn create_statement(table: &Table) -> String {
    let schema = &table.schema;
    let columns = columns(schema).into_iter().map(|name| {
        let field = schema.field(name);
        let ty = field.map_or("JSON".to_owned(), |field| column_type(field.data_type));
        let null = if field.is_some_and(|field| field.nullable) { "" } else { " NOT NULL" };
        format!("{} {ty}{null}", DuckDbDialect.column(schema, name))
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    format!("CREATE TABLE {} ({columns})", identifier(&table.name))
}

fn delete_statement<'a>(table: &Table, keys: impl IntoIterator<Item = &'a Key>) -> String {
    let keys = keys.into_iter().map(|key| {
        DuckDbDialect.constant(match key {
            Key::Int(i) => Constant::Int(*i),
            Key::Text(s) => Constant::Text(s),
        })
    });
    let keys = keys.collect::<Vec<_>>().join(", ");
    let column = DuckDbDialect.column(&table.schema, &table.schema.primary().name);
    format!("DELETE FROM {} WHERE {column} IN ({keys})", identifier(&table.name))
}
