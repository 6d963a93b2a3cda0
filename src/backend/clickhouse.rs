mod dialect;
mod options;
mod stage;
mod values;

use std::collections::BTreeMap;

use clickhouse::{Client, Compression};
use tokio::time::timeout;

pub use self::dialect::ClickHouseDialect;
use self::dialect::{column_name, identifier, text};
pub use self::options::ClickHouseOptions;
use self::stage::Stages;
use self::values::{DYNAMIC_TYPE, Reader, Writer, column_type};
use super::digest::row_digest;
use super::row::{DIGEST, checked, columns, misfit, selected, wrong};
use super::select::{bounds_statement, conditions};
use super::sql::{SqlDialect, lower};
use super::{Answer, Backend, BackendError, Change, Digest, KeySet, Selection, Staged, Table};
use crate::clock;
use crate::filter::Expr;
use crate::schema::Schema;
use crate::secret::redact;
use crate::value::{Key, Row, Value};

/// Columns that no field has; see [`column_name`].
const VERSION: &str = "~version";
const DELETED: &str = "~deleted";

/// Values as bytes, with the columns' names and types, which both sides check.
const FORMAT: &str = "RowBinaryWithNamesAndTypes";

/// What every statement runs with.
const SETTINGS: &[(&str, &str)] = &[
    // Generated filters are long, and nested as deep as they like.
    ("max_query_size", "1073741824"),
    ("max_parser_depth", "100000"),
    ("max_parser_backtracks", "0"),
    ("max_ast_depth", "100000"),
    ("max_ast_elements", "100000000"),
    ("max_expanded_ast_elements", "100000000"),
    // Expressions are compiled after some hundred statements, which then wait for seconds; every
    // filter is new and a few hundred rows long.
    ("compile_expressions", "0"),
    // A null in or beside a list is unknown, as in SQL.
    ("transform_null_in", "0"),
    // Long chains of comparisons would become sets, in which -0.0 is not 0.0.
    ("optimize_min_equality_disjunction_chain_length", "1000000000"),
    ("optimize_min_inequality_conjunction_chain_length", "1000000000"),
    // What fails half-way shall fail as a whole, with a status that says so.
    ("wait_end_of_query", "1"),
    // A write is done when it is answered, is one block however many rows it has, and is not taken
    // for another one with the same rows.
    ("async_insert", "0"),
    ("insert_deduplicate", "0"),
    ("max_insert_block_size", "1073741824"),
    ("min_insert_block_size_rows", "0"),
    ("min_insert_block_size_bytes", "0"),
    ("input_format_parallel_parsing", "0"),
    // The types that the rows say they have must be the table's.
    ("input_format_with_names_use_header", "1"),
    ("input_format_with_types_use_header", "1"),
];

/// On a cluster, too, reads see all writes before them: a write waits for most replicas, and one
/// after the other, without which a replica could not know what it lacks.
const CLUSTER_SETTINGS: &[(&str, &str)] = &[
    ("distributed_foreground_insert", "1"),
    ("insert_quorum", "auto"),
    ("insert_quorum_parallel", "0"),
    ("select_sequential_consistency", "1"),
];

/// ClickHouse, over HTTP: a server, a cluster, a container or the embedded engine.
///
/// Rows are never changed in place, which ClickHouse does behind the caller's back and at its
/// leisure. Every write is one INSERT of versions: an upsert writes new ones, a delete ones that are
/// marked as deleted, and reading takes the newest of each key (`ReplacingMergeTree`, `FINAL`)
/// without the marked ones. A write is all or nothing because it is one block in one partition,
/// whatever its number of rows, and such a block becomes visible as one part, by one rename. It is
/// visible when it is answered.
///
/// On a cluster each table is whole on one shard, which its name picks, so that all this holds
/// there, too; the shards share the tables among them. It needs the macros `{shard}` and
/// `{replica}`, as replicated tables always do.
pub struct ClickHouse {
    client: Client,
    options: ClickHouseOptions,
    name: String,
    /// The last one that was written.
    version: u64,
    stages: Stages,
}

impl ClickHouse {
    /// Connects to a server, which must answer.
    pub async fn connect(options: ClickHouseOptions) -> Result<ClickHouse, BackendError> {
        let compression = if options.compression { Compression::Lz4 } else { Compression::None };
        let mut client = Client::default()
            .with_url(&options.url)
            .with_compression(compression)
            // A password without a name beside it is refused.
            .with_user(options.user.as_deref().unwrap_or("default"))
            .with_product_info("milvus-difftest", env!("CARGO_PKG_VERSION"));
        if let Some(password) = &options.password {
            client = client.with_password(password.expose());
        }
        if let Some(database) = &options.database {
            client = client.with_database(database);
        }
        for (name, value) in SETTINGS {
            client.set_setting(*name, *value);
        }
        for (name, value) in CLUSTER_SETTINGS.iter().filter(|_| options.cluster.is_some()) {
            client.set_setting(*name, *value);
        }
        let mut connected = ClickHouse {
            client,
            options,
            name: "ClickHouse".to_owned(),
            version: 0,
            stages: Stages::default(),
        };
        let open = |reason: String| BackendError::Open {
            backend: "ClickHouse".to_owned(),
            place: redact(&connected.options.url),
            reason,
        };
        let silent = |failure: Failure| open(failure.reason);
        let sql = "SELECT version()";
        let bytes = connected.fetched(sql).await.map_err(silent)?;
        let mut reader = Reader::new(&bytes, &["String".to_owned()]).map_err(open)?;
        let version = reader.text().map(String::from_utf8_lossy);
        let version = version.ok_or_else(|| open("it tells no version".to_owned()))?.into_owned();
        connected.name = format!("ClickHouse {version}");
        Ok(connected)
    }

    async fn patiently<T>(
        &self,
        work: impl Future<Output = Result<T, clickhouse::error::Error>>,
    ) -> Result<T, Failure> {
        match timeout(self.options.patience, work).await {
            Ok(done) => done.map_err(|error| Failure {
                reason: redact(&reason(&error)),
                unreachable: matches!(error, clickhouse::error::Error::Network(_)),
            }),
            Err(_) => {
                let patience = humantime::format_duration(self.options.patience);
                Err(Failure { reason: format!("none within {patience}"), unreachable: true })
            }
        }
    }

    async fn fetched(&self, sql: &str) -> Result<Vec<u8>, Failure> {
        // Raw: a question mark stands for itself.
        let query = self.client.query_raw(sql);
        let fetch = async { Ok(query.fetch_bytes(FORMAT)?.collect().await?.to_vec()) };
        self.patiently(fetch).await
    }

    fn failed(&self, task: &str, table: &Table, sql: &str, failure: Failure) -> BackendError {
        let (backend, task) = (self.name.clone(), format!("{task} '{}'", table.name));
        let Failure { reason, unreachable } = failure;
        match unreachable {
            true => BackendError::Unreachable { backend, task, reason },
            false => BackendError::Statement { backend, task, reason, sql: sql.to_owned() },
        }
    }

    async fn execute(
        &self,
        task: &str,
        table: &Table,
        statements: &[String],
    ) -> Result<(), BackendError> {
        for sql in statements {
            let done = self.patiently(self.client.query_raw(sql).execute()).await;
            done.map_err(|reason| self.failed(task, table, sql, reason))?;
        }
        Ok(())
    }

    /// Runs a statement and reads each row, whose columns are of these types.
    async fn read<T>(
        &self,
        task: &str,
        table: &Table,
        sql: &str,
        types: &[String],
        mut read: impl FnMut(&mut Reader<'_>) -> Result<T, BackendError>,
    ) -> Result<Vec<T>, BackendError> {
        let failed = |reason| self.failed(task, table, sql, reason);
        let bytes = self.fetched(sql).await.map_err(failed)?;
        let failed = |reason| self.failed(task, table, sql, Failure { reason, unreachable: false });
        let mut reader = Reader::new(&bytes, types).map_err(failed)?;
        let mut rows = Vec::new();
        while !reader.is_empty() {
            rows.push(read(&mut reader)?);
        }
        Ok(rows)
    }

    /// Writes versions of rows, in one block: their columns but the last two, and whether they are
    /// deleted.
    async fn insert(
        &mut self,
        task: &str,
        table: &Table,
        rows: Versions,
    ) -> Result<(), BackendError> {
        let Versions { mut columns, rows, deleted } = rows;
        // Newer than all before it, also than those of an earlier process.
        let now = u64::try_from(clock::since_epoch().as_nanos()).unwrap_or(u64::MAX);
        self.version = now.max(self.version + 1);
        columns.push((VERSION.to_owned(), "UInt64".to_owned()));
        columns.push((DELETED.to_owned(), "UInt8".to_owned()));
        let mut body = Writer::default();
        body.header(&columns);
        let mut body = body.bytes().to_vec();
        for row in &rows {
            body.extend_from_slice(row.bytes());
            body.extend_from_slice(&self.version.to_le_bytes());
            body.push(u8::from(deleted));
        }
        let names: Vec<_> = columns.iter().map(|(name, _)| identifier(name)).collect();
        let names = names.join(", ");
        let sql = format!("INSERT INTO {} ({names}) FORMAT {FORMAT}", identifier(&table.name));
        let insert = async {
            let mut insert = self.client.insert_formatted_with(&sql).buffered();
            insert.write_buffered(&body);
            insert.end().await
        };
        let sql = format!("{sql} -- {} rows", rows.len());
        self.patiently(insert).await.map_err(|reason| self.failed(task, table, &sql, reason))
    }

    async fn write(&mut self, table: &Table, change: Change<'_>) -> Result<(), BackendError> {
        match versions(&table.schema, change)? {
            rows if rows.rows.is_empty() => Ok(()),
            rows => self.insert("write to", table, rows).await,
        }
    }

    fn connected(&self) -> ClickHouse {
        ClickHouse {
            client: self.client.clone(),
            options: self.options.clone(),
            name: self.name.clone(),
            version: self.version,
            stages: self.stages.clone(),
        }
    }

    async fn select_now(
        &self,
        table: &Table,
        selection: &Selection<'_>,
    ) -> Result<Vec<Row>, BackendError> {
        let schema = &table.schema;
        let names = selected(schema, selection.fields);
        let columns = names.iter().map(|name| stored_column(schema, name));
        let (list, types): (Vec<_>, Vec<_>) = columns.unzip();
        let list: Vec<_> = list.iter().map(|name| identifier(name)).collect();
        let mut sql = format!(
            "SELECT {} FROM {} FINAL{}",
            list.join(", "),
            identifier(&table.name),
            conditions(&ClickHouseDialect, schema, selection)?
        );
        if let Some(limit) = selection.limit {
            let key = ClickHouseDialect.column(schema, &schema.primary().name);
            sql.push_str(&format!(" ORDER BY {key} LIMIT {limit}"));
        }
        let mut rows = self
            .read("read", table, &sql, &types, |reader| {
                let mut row = Row::default();
                for name in &names {
                    match schema.field(name) {
                        Some(field) => {
                            row.fields.insert(field.name.clone(), reader.value(field)?);
                        }
                        None => row.dynamic = reader.dynamic()?,
                    }
                }
                Ok(row)
            })
            .await?;
        rows.sort_by_cached_key(|row| row.key(schema));
        Ok(rows)
    }

    /// The keys that a statement selects.
    async fn keys(&self, task: &str, table: &Table, sql: &str) -> Result<Vec<Key>, BackendError> {
        let types = [column_type(table.schema.primary())];
        let read = |reader: &mut Reader<'_>| key(&table.schema, reader);
        let mut keys = self.read(task, table, sql, &types, read).await?;
        keys.sort_unstable();
        Ok(keys)
    }

    async fn number(&self, task: &str, table: &Table, sql: &str) -> Result<u64, BackendError> {
        let read = |reader: &mut Reader<'_>| {
            let bytes = reader.fixed::<8>();
            bytes.map(u64::from_le_bytes).ok_or_else(|| wrong("count", "a number", "cut short"))
        };
        let numbers = self.read(task, table, sql, &["UInt64".to_owned()], read).await?;
        Ok(numbers.into_iter().sum())
    }

    /// Runs a statement that is about no table.
    #[cfg(test)]
    pub(super) async fn run(&self, sql: &str) -> Result<(), String> {
        let done = self.patiently(self.client.query_raw(sql).execute()).await;
        done.map_err(|failure| failure.reason)
    }

    /// Every row's key, with what each of some conditions is on it: many answers for one statement.
    #[cfg(test)]
    pub(super) async fn truths(
        &self,
        table: &Table,
        conditions: &[String],
    ) -> Result<Vec<super::Truths>, BackendError> {
        let primary = table.schema.primary();
        let mut list = vec![identifier(&column_name(&primary.name))];
        let mut types = vec![column_type(primary)];
        for condition in conditions {
            list.push(format!("CAST({condition} AS Nullable(Bool))"));
            types.push("Nullable(Bool)".to_owned());
        }
        let sql = format!("SELECT {} FROM {} FINAL", list.join(", "), identifier(&table.name));
        let read = |reader: &mut Reader<'_>| {
            let key = key(&table.schema, reader)?;
            let mut truth = || match reader.is_null().unwrap() {
                true => None,
                false => Some(reader.fixed::<1>().unwrap() == [1]),
            };
            Ok((key, conditions.iter().map(|_| truth()).collect()))
        };
        self.read("filter", table, &sql, &types, read).await
    }
}

fn key(schema: &Schema, reader: &mut Reader<'_>) -> Result<Key, BackendError> {
    let primary = schema.primary();
    match reader.value(primary)? {
        Value::Int(i) => Ok(Key::Int(i)),
        Value::Text(s) => Ok(Key::Text(s)),
        other => Err(misfit(primary, other)),
    }
}

/// What became of a statement that was not done.
struct Failure {
    reason: String,
    /// Whether the server did not even say so.
    unreachable: bool,
}

/// All that a failure says of itself: that of the connection stands behind "network error".
fn reason(error: &clickhouse::error::Error) -> String {
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let text = error.to_string();
        if !reason.contains(&text) {
            reason.push_str(": ");
            reason.push_str(&text);
        }
        source = error.source();
    }
    reason
}

impl Backend for ClickHouse {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn location(&self) -> Option<String> {
        let database = self.options.database.as_deref().unwrap_or_default();
        Some(format!("{}/{database}", redact(&self.options.url).trim_end_matches('/')))
    }

    fn session(&self) -> Result<Box<dyn Backend>, BackendError> {
        Ok(Box::new(self.connected()))
    }

    fn create_table<'a>(&'a mut self, table: &'a Table) -> Answer<'a, ()> {
        let sql = create_statements(table, &table.name, self.options.cluster.as_deref());
        Box::pin(async move { self.execute("create", table, &sql).await })
    }

    fn has_table<'a>(&'a mut self, table: &'a Table) -> Answer<'a, bool> {
        let sql = format!(
            "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = {}",
            text(&table.name)
        );
        Box::pin(async move { Ok(self.number("look for", table, &sql).await? > 0) })
    }

    fn drop_table<'a>(&'a mut self, table: &'a Table) -> Answer<'a, ()> {
        Box::pin(async move {
            for table in self.stages.take(table).iter().chain([table]) {
                let sql = drop_statements(table, self.options.cluster.as_deref());
                self.execute("drop", table, &sql).await?;
            }
            Ok(())
        })
    }

    fn stage<'a>(
        &'a mut self,
        table: &'a Table,
        change: Change<'a>,
    ) -> Answer<'a, Box<dyn Staged>> {
        Box::pin(async move {
            let staged: Box<dyn Staged> = Box::new(self.stage_now(table, change).await?);
            Ok(staged)
        })
    }

    // At once and without a table beside.
    fn upsert<'a>(&'a mut self, table: &'a Table, rows: &'a [Row]) -> Answer<'a, ()> {
        Box::pin(self.write(table, Change::Upsert(rows)))
    }

    fn delete<'a>(&'a mut self, table: &'a Table, keys: &'a [Key]) -> Answer<'a, ()> {
        Box::pin(self.write(table, Change::Delete(keys)))
    }

    fn select<'a>(
        &'a mut self,
        table: &'a Table,
        selection: Selection<'a>,
    ) -> Answer<'a, Vec<Row>> {
        Box::pin(async move { self.select_now(table, &selection).await })
    }

    fn query<'a>(&'a mut self, table: &'a Table, filter: &'a Expr) -> Answer<'a, Vec<Key>> {
        Box::pin(async move { self.keys("filter", table, &select_statement(table, filter)?).await })
    }

    fn count<'a>(&'a mut self, table: &'a Table, filter: Option<&'a Expr>) -> Answer<'a, u64> {
        Box::pin(async move {
            let selection = Selection { filter, ..Selection::default() };
            let conditions = conditions(&ClickHouseDialect, &table.schema, &selection)?;
            let sql = format!("SELECT count() FROM {} FINAL{conditions}", identifier(&table.name));
            self.number("count", table, &sql).await
        })
    }

    fn bounds<'a>(&'a mut self, table: &'a Table, step: usize) -> Answer<'a, Vec<Key>> {
        Box::pin(async move {
            let key = ClickHouseDialect.column(&table.schema, &table.schema.primary().name);
            let source = format!("{} FINAL", identifier(&table.name));
            self.keys("divide", table, &bounds_statement(&key, &source, step)).await
        })
    }

    fn digest<'a>(&'a mut self, table: &'a Table, keys: KeySet<'a>) -> Answer<'a, Digest> {
        Box::pin(async move {
            let selection = Selection { keys, ..Selection::default() };
            let conditions = conditions(&ClickHouseDialect, &table.schema, &selection)?;
            let sql = format!(
                "SELECT count(), groupBitXor({}) FROM {} FINAL{conditions}",
                identifier(DIGEST),
                identifier(&table.name)
            );
            let types = vec!["UInt64".to_owned(); 2];
            let read = |reader: &mut Reader<'_>| {
                let mut number = || reader.fixed::<8>().map(u64::from_le_bytes);
                match (number(), number()) {
                    (Some(rows), Some(bits)) => Ok(Digest { rows, bits }),
                    _ => Err(wrong("digest", "two numbers", "cut short")),
                }
            };
            let digests = self.read("sum up", table, &sql, &types, read).await?;
            Ok(digests.into_iter().next().unwrap_or_default())
        })
    }

    fn draw<'a>(&'a mut self, table: &'a Table, count: usize, seed: u64) -> Answer<'a, Vec<Key>> {
        Box::pin(async move {
            let key = ClickHouseDialect.column(&table.schema, &table.schema.primary().name);
            let sql = format!(
                "SELECT {key} FROM {} FINAL ORDER BY SHA256(concat('{seed}/', toString({key}))) LIMIT \
                 {count}",
                identifier(&table.name)
            );
            self.keys("draw from", table, &sql).await
        })
    }

    fn explain(&self, table: &Table, filter: &Expr) -> Result<String, BackendError> {
        select_statement(table, filter)
    }
}

/// Rows as they are written: their columns but the last two.
struct Versions {
    columns: Vec<(String, String)>,
    rows: Vec<Writer>,
    deleted: bool,
}

fn versions(schema: &Schema, change: Change<'_>) -> Result<Versions, BackendError> {
    let keys = match change {
        Change::Insert(rows) | Change::Upsert(rows) => {
            let mut latest = BTreeMap::new();
            for row in rows {
                let key = checked(schema, row)?;
                let mut encoded = Writer::default();
                for field in &schema.fields {
                    encoded.value(field, row.get(&field.name))?;
                }
                if schema.dynamic {
                    let dynamic = serde_json::Value::Object(row.dynamic.clone());
                    encoded.text(dynamic.to_string().as_bytes());
                }
                encoded.fixed(row_digest(schema, row).to_le_bytes());
                latest.insert(key, encoded);
            }
            let mut columns = stored_columns(schema);
            columns.push((DIGEST.to_owned(), "UInt64".to_owned()));
            let rows = latest.into_values().collect();
            return Ok(Versions { columns, rows, deleted: false });
        }
        Change::Delete(keys) => keys,
    };
    let key = schema.primary();
    let mut rows = Vec::with_capacity(keys.len());
    for value in keys {
        let mut row = Writer::default();
        row.value(key, &value.clone().into())?;
        rows.push(row);
    }
    // Every other column gets its type's default, and is never read.
    let columns = vec![(column_name(&key.name), column_type(key))];
    Ok(Versions { columns, rows, deleted: true })
}

/// The columns' names and types, in order, without those that no field has.
fn stored_columns(schema: &Schema) -> Vec<(String, String)> {
    columns(schema).into_iter().map(|name| stored_column(schema, name)).collect()
}

fn stored_column(schema: &Schema, name: &str) -> (String, String) {
    let ty = schema.field(name).map_or(DYNAMIC_TYPE.to_owned(), column_type);
    (column_name(name), ty)
}

/// The table itself; on a cluster that of each replica, and the one that leads to them, on the
/// shard that the name of its home picks.
fn create_statements(table: &Table, home: &str, cluster: Option<&str>) -> Vec<String> {
    let mut columns: Vec<_> = stored_columns(&table.schema)
        .into_iter()
        .map(|(name, ty)| format!("{} {ty}", identifier(&name)))
        .collect();
    columns.push(format!("{} UInt64", identifier(DIGEST)));
    columns.push(format!("{} UInt64", identifier(VERSION)));
    columns.push(format!("{} UInt8", identifier(DELETED)));
    let columns = columns.join(", ");
    let name = identifier(&table.name);
    let key = identifier(&column_name(&table.schema.primary().name));
    let engine = format!("ReplacingMergeTree({}, {})", identifier(VERSION), identifier(DELETED));
    let Some(cluster) = cluster else {
        return vec![format!("CREATE TABLE {name} ({columns}) ENGINE = {engine} ORDER BY {key}")];
    };
    let part = identifier(&part_name(table));
    let on = format!("ON CLUSTER {}", text(cluster));
    vec![
        format!("CREATE TABLE {part} {on} ({columns}) ENGINE = Replicated{engine} ORDER BY {key}"),
        format!(
            "CREATE TABLE {name} {on} ({columns}) ENGINE = Distributed({}, currentDatabase(), {}, \
             cityHash64({}))",
            text(cluster),
            text(&part_name(table)),
            text(home)
        ),
    ]
}

/// The table of each replica.
fn part_name(table: &Table) -> String {
    format!("{}~part", table.name)
}

pub(super) fn select_statement(table: &Table, filter: &Expr) -> Result<String, BackendError> {
    let condition = lower(&ClickHouseDialect, &table.schema, filter)?;
    let key = ClickHouseDialect.column(&table.schema, &table.schema.primary().name);
    Ok(format!("SELECT {key} FROM {} FINAL WHERE {condition}", identifier(&table.name)))
}

fn drop_statements(table: &Table, cluster: Option<&str>) -> Vec<String> {
    // At once: else it stays on the disk for eight minutes, and a replicated one's name is taken.
    let drop = |name: &str, on: &str| format!("DROP TABLE IF EXISTS {}{on} SYNC", identifier(name));
    match cluster {
        None => vec![drop(&table.name, "")],
        Some(cluster) => {
            let on = format!(" ON CLUSTER {}", text(cluster));
            vec![drop(&table.name, &on), drop(&part_name(table), &on)]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{DataType, Field, Scalar};

    #[test]
    fn a_cluster_gets_a_table_for_each_replica_and_one_that_leads_there() {
        let fields = vec![
            Field::new("id", DataType::Scalar(Scalar::Int64)).primary(),
            Field::new("tags", DataType::Array(Scalar::VarChar)).nullable(),
        ];
        let table = Table::new("it's", Schema { fields, dynamic: true });
        let columns = r#"("id" Int64, "tags" Array(Array(String)), "$meta" String, "~digest" UInt64, "~version" UInt64, "~deleted" UInt8)"#;
        assert_eq!(
            create_statements(&table, "it's", Some("c'1")),
            [
                format!(
                    r#"CREATE TABLE "it's~part" ON CLUSTER 'c\'1' {columns} ENGINE = ReplicatedReplacingMergeTree("~version", "~deleted") ORDER BY "id""#
                ),
                format!(
                    r#"CREATE TABLE "it's" ON CLUSTER 'c\'1' {columns} ENGINE = Distributed('c\'1', currentDatabase(), 'it\'s~part', cityHash64('it\'s'))"#
                ),
            ]
        );
        assert_eq!(
            drop_statements(&table, Some("c'1")),
            [
                r#"DROP TABLE IF EXISTS "it's" ON CLUSTER 'c\'1' SYNC"#,
                r#"DROP TABLE IF EXISTS "it's~part" ON CLUSTER 'c\'1' SYNC"#,
            ]
        );
    }
}
