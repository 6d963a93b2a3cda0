mod dialect;
mod values;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use duckdb::types::ValueRef;
use duckdb::{Config, Connection};

pub use self::dialect::DuckDbDialect;
use self::dialect::identifier;
use self::values::{column_type, decode, decode_dynamic, decode_key, encode};
use super::row::{DIGEST, checked, columns, selected, wrong};
use super::select::{bounds_statement, conditions, key_in};
use super::sql::{Constant, SqlDialect, lower};
use super::{Answer, Backend, BackendError, Change, Digest, KeySet, Selection, Staged, Table};
use crate::filter::Expr;
use crate::value::{Key, Row};

/// How much of a file DuckDB keeps in memory, where it would take most of what the machine has.
/// Whatever needs more for a while goes to a folder beside the file.
const MEMORY: &str = "128MB";

/// DuckDB, in this process.
///
/// Its futures never wait: a call blocks for the milliseconds that a statement takes on a few
/// hundred rows, which is less than handing it to another thread would be worth.
pub struct DuckDb {
    connection: Connection,
    name: String,
    /// Where it is, unless it is in memory.
    file: Option<String>,
}

impl DuckDb {
    /// A database in memory, gone when this value is dropped.
    pub fn in_memory() -> Result<DuckDb, BackendError> {
        DuckDb::connect(None, Connection::open_in_memory_with_flags)
    }

    /// A database in a file, which is created if there is none.
    pub fn open(path: &Path) -> Result<DuckDb, BackendError> {
        DuckDb::connect(Some(path.display().to_string()), |config| {
            Connection::open_with_flags(path, config)
        })
    }

    fn connect(
        file: Option<String>,
        open: impl FnOnce(Config) -> duckdb::Result<Connection>,
    ) -> Result<DuckDb, BackendError> {
        let opened = || {
            let config = Config::default()
                // What is not linked in shall fail, not be fetched.
                .enable_autoload_extension(false)?
                .with("autoinstall_known_extensions", "false")?
                // Campaigns run one database per worker; its own threads would only compete.
                .threads(1)?;
            let config = match file {
                Some(_) => config.max_memory(MEMORY)?,
                None => config,
            };
            let connection = open(config)?;
            let version = connection.version()?;
            Ok((connection, version))
        };
        let (connection, version) =
            opened().map_err(|error: duckdb::Error| BackendError::Open {
                backend: "DuckDB".to_owned(),
                place: file.clone().unwrap_or_else(|| ":memory:".to_owned()),
                reason: error.to_string(),
            })?;
        Ok(DuckDb { connection, name: format!("DuckDB {version}"), file })
    }

    fn failed(&self, task: &str, table: &Table, sql: &str, error: &dyn Display) -> BackendError {
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
        read: impl Fn(&[ValueRef<'_>]) -> Result<T, BackendError>,
    ) -> Result<Vec<T>, BackendError> {
        let failed = |error| self.failed(task, table, sql, &error);
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let columns = row.as_ref().column_count();
            let columns = (0..columns).map(|i| row.get_ref(i)).collect::<duckdb::Result<Vec<_>>>();
            all.push(read(&columns.map_err(failed)?)?);
        }
        Ok(all)
    }

    /// Another connection to the same database.
    fn connected(&self) -> Result<DuckDb, BackendError> {
        let connection = self.connection.try_clone().map_err(|error| BackendError::Open {
            backend: self.name.clone(),
            place: self.file.clone().unwrap_or_else(|| ":memory:".to_owned()),
            reason: error.to_string(),
        })?;
        Ok(DuckDb { connection, name: self.name.clone(), file: self.file.clone() })
    }

    fn stage_now(&self, table: &Table, change: Change<'_>) -> Result<Transaction, BackendError> {
        // A connection has one transaction at a time.
        let session = self.connected()?;
        let begun = !change.is_empty();
        let transaction = Transaction { session, table: table.clone(), begun };
        let session = &transaction.session;
        if !begun {
            return Ok(transaction);
        }
        session.execute("write to", table, "BEGIN")?;
        match change {
            Change::Insert(rows) => session.append(table, &latest(table, rows)?)?,
            Change::Upsert(rows) => {
                let rows = latest(table, rows)?;
                session.execute("write to", table, &delete_statement(table, rows.keys()))?;
                session.append(table, &rows)?;
            }
            Change::Delete(keys) => {
                session.execute("delete from", table, &delete_statement(table, keys))?;
            }
        }
        Ok(transaction)
    }

    fn append(&self, table: &Table, rows: &Latest<'_>) -> Result<(), BackendError> {
        // What DuckDB takes at once; of a longer batch it would copy all lists for each part.
        const AT_ONCE: usize = 2048;
        let sql = format!("INSERT INTO {} -- {} rows", identifier(&table.name), rows.len());
        let failed = |error| self.failed("write to", table, &sql, &error);
        let mut appender = self.connection.appender(&table.name).map_err(failed)?;
        let rows: Vec<&Row> = rows.values().copied().collect();
        for rows in rows.chunks(AT_ONCE) {
            let batch = encode(&table.schema, rows);
            let batch = batch.map_err(|error| self.failed("write to", table, &sql, &error))?;
            appender.append_record_batch(batch).map_err(failed)?;
        }
        appender.flush().map_err(failed)
    }

    fn select_now(
        &self,
        table: &Table,
        selection: &Selection<'_>,
    ) -> Result<Vec<Row>, BackendError> {
        let schema = &table.schema;
        let columns = selected(schema, selection.fields);
        let list = columns.iter().map(|name| DuckDbDialect.column(schema, name));
        let list = list.collect::<Vec<_>>().join(", ");
        let conditions = conditions(&DuckDbDialect, schema, selection)?;
        let mut sql = format!("SELECT {list} FROM {}{conditions}", identifier(&table.name));
        if let Some(limit) = selection.limit {
            let key = DuckDbDialect.column(schema, &schema.primary().name);
            sql.push_str(&format!(" ORDER BY {key} LIMIT {limit}"));
        }
        let mut rows = self.read("read", table, &sql, |values| {
            let mut row = Row::default();
            for (name, value) in columns.iter().zip(values.iter().copied()) {
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

    /// The keys that a statement selects.
    fn keys(&self, task: &str, table: &Table, sql: &str) -> Result<Vec<Key>, BackendError> {
        let key = table.schema.primary();
        let mut keys = self.read(task, table, sql, |values| {
            decode_key(key, values.first().copied().unwrap_or(ValueRef::Null))
        })?;
        keys.sort_unstable();
        Ok(keys)
    }

    fn number(&self, task: &str, table: &Table, sql: &str) -> Result<u64, BackendError> {
        let numbers = self.read(task, table, sql, |values| match *values {
            [ValueRef::BigInt(n)] => Ok(u64::try_from(n).unwrap_or_default()),
            _ => Err(wrong("count", "a number", format_args!("{values:?}"))),
        })?;
        Ok(numbers.into_iter().sum())
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
            let mut values = values.iter().copied();
            let found = decode_key(key, values.next().unwrap_or(ValueRef::Null))?;
            let truths = values.map(|value| match value {
                ValueRef::Boolean(truth) => Some(truth),
                ValueRef::Null => None,
                other => panic!("a condition is {other:?}"),
            });
            Ok((found, truths.collect()))
        })
    }
}

/// A transaction on a connection of its own; dropped, it rolls back.
struct Transaction {
    session: DuckDb,
    table: Table,
    /// Not if there is nothing to write.
    begun: bool,
}

impl Staged for Transaction {
    fn commit(self: Box<Self>) -> Answer<'static, ()> {
        let done = self.end("COMMIT");
        Box::pin(std::future::ready(done))
    }

    fn withdraw(self: Box<Self>) -> Answer<'static, ()> {
        let done = self.end("ROLLBACK");
        Box::pin(std::future::ready(done))
    }
}

impl Transaction {
    fn end(&self, sql: &str) -> Result<(), BackendError> {
        match self.begun {
            true => self.session.execute("write to", &self.table, sql),
            false => Ok(()),
        }
    }
}

/// The last row of each key.
type Latest<'a> = BTreeMap<Key, &'a Row>;

fn latest<'a>(table: &Table, rows: &'a [Row]) -> Result<Latest<'a>, BackendError> {
    rows.iter().map(|row| Ok((checked(&table.schema, row)?, row))).collect()
}

impl Backend for DuckDb {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn location(&self) -> Option<String> {
        self.file.clone()
    }

    fn session(&self) -> Result<Box<dyn Backend>, BackendError> {
        Ok(Box::new(self.connected()?))
    }

    fn create_table<'a>(&'a mut self, table: &'a Table) -> Answer<'a, ()> {
        let sql = create_statement(table);
        Box::pin(async move { self.execute("create", table, &sql) })
    }

    fn drop_table<'a>(&'a mut self, table: &'a Table) -> Answer<'a, ()> {
        let sql = format!("DROP TABLE IF EXISTS {}", identifier(&table.name));
        Box::pin(async move { self.execute("drop", table, &sql) })
    }

    fn has_table<'a>(&'a mut self, table: &'a Table) -> Answer<'a, bool> {
        let sql = format!(
            "SELECT count(*) FROM duckdb_tables() WHERE lower(table_name) = lower({})",
            DuckDbDialect.constant(Constant::Text(&table.name))
        );
        Box::pin(async move { Ok(self.number("look for", table, &sql)? > 0) })
    }

    fn stage<'a>(
        &'a mut self,
        table: &'a Table,
        change: Change<'a>,
    ) -> Answer<'a, Box<dyn Staged>> {
        Box::pin(async move {
            let staged: Box<dyn Staged> = Box::new(self.stage_now(table, change)?);
            Ok(staged)
        })
    }

    fn select<'a>(
        &'a mut self,
        table: &'a Table,
        selection: Selection<'a>,
    ) -> Answer<'a, Vec<Row>> {
        Box::pin(async move { self.select_now(table, &selection) })
    }

    fn query<'a>(&'a mut self, table: &'a Table, filter: &'a Expr) -> Answer<'a, Vec<Key>> {
        Box::pin(async move { self.keys("filter", table, &self.explain(table, filter)?) })
    }

    fn count<'a>(&'a mut self, table: &'a Table, filter: Option<&'a Expr>) -> Answer<'a, u64> {
        Box::pin(async move {
            let selection = Selection { filter, ..Selection::default() };
            let conditions = conditions(&DuckDbDialect, &table.schema, &selection)?;
            let sql = format!("SELECT count(*) FROM {}{conditions}", identifier(&table.name));
            self.number("count", table, &sql)
        })
    }

    fn bounds<'a>(&'a mut self, table: &'a Table, step: usize) -> Answer<'a, Vec<Key>> {
        Box::pin(async move {
            let key = DuckDbDialect.column(&table.schema, &table.schema.primary().name);
            let sql = bounds_statement(&key, &identifier(&table.name), step);
            self.keys("divide", table, &sql)
        })
    }

    fn digest<'a>(&'a mut self, table: &'a Table, keys: KeySet<'a>) -> Answer<'a, Digest> {
        Box::pin(async move {
            let selection = Selection { keys, ..Selection::default() };
            let conditions = conditions(&DuckDbDialect, &table.schema, &selection)?;
            let sql = format!(
                "SELECT count(*), coalesce(bit_xor({}), 0)::UBIGINT FROM {}{conditions}",
                identifier(DIGEST),
                identifier(&table.name)
            );
            let digests = self.read("sum up", table, &sql, |values| match *values {
                [ValueRef::BigInt(rows), ValueRef::UBigInt(bits)] => {
                    Ok(Digest { rows: u64::try_from(rows).unwrap_or_default(), bits })
                }
                _ => Err(wrong("digest", "two numbers", format_args!("{values:?}"))),
            })?;
            Ok(digests.into_iter().next().unwrap_or_default())
        })
    }

    fn draw<'a>(&'a mut self, table: &'a Table, count: usize, seed: u64) -> Answer<'a, Vec<Key>> {
        Box::pin(async move {
            let key = DuckDbDialect.column(&table.schema, &table.schema.primary().name);
            let sql = format!(
                "SELECT {key} FROM {} ORDER BY sha256('{seed}/' || {key}) LIMIT {count}",
                identifier(&table.name)
            );
            self.keys("draw from", table, &sql)
        })
    }

    fn explain(&self, table: &Table, filter: &Expr) -> Result<String, BackendError> {
        let condition = lower(&DuckDbDialect, &table.schema, filter)?;
        let key = DuckDbDialect.column(&table.schema, &table.schema.primary().name);
        Ok(format!("SELECT {key} FROM {} WHERE {condition}", identifier(&table.name)))
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
    let digest = identifier(DIGEST);
    format!("CREATE TABLE {} ({columns}, {digest} UBIGINT)", identifier(&table.name))
}

fn delete_statement<'a>(table: &Table, keys: impl IntoIterator<Item = &'a Key>) -> String {
    let condition = key_in(&DuckDbDialect, &table.schema, keys);
    format!("DELETE FROM {} WHERE {condition}", identifier(&table.name))
}
