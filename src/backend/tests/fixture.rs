//! One table, and rows of values at the edges of their types.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value as Json, json};
use tokio::runtime::Runtime;

use crate::backend::sql::SqlDialect;
use crate::backend::{
    Answer, Backend, ClickHouse, ClickHouseDialect, ClickHouseOptions, DuckDb, DuckDbDialect,
    Table, Truths,
};
use crate::engine::{ClickHouseServer, EmbeddedOptions, install_clickhouse};
use crate::filter::{Expr, Semantics, Truth, evaluate};
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{Key, META, Row};

/// A database under test.
pub(super) trait Database: Backend {
    /// Its SQL.
    fn dialect(&self) -> &'static dyn SqlDialect;

    /// For each row, what each of some conditions is on it.
    fn truths<'a>(&'a self, table: &'a Table, conditions: &'a [String]) -> Answer<'a, Vec<Truths>>;
}

impl Database for DuckDb {
    fn dialect(&self) -> &'static dyn SqlDialect {
        &DuckDbDialect
    }

    fn truths<'a>(&'a self, table: &'a Table, conditions: &'a [String]) -> Answer<'a, Vec<Truths>> {
        let truths = DuckDb::truths(self, table, conditions);
        Box::pin(std::future::ready(truths))
    }
}

impl Database for ClickHouse {
    fn dialect(&self) -> &'static dyn SqlDialect {
        &ClickHouseDialect
    }

    fn truths<'a>(&'a self, table: &'a Table, conditions: &'a [String]) -> Answer<'a, Vec<Truths>> {
        Box::pin(ClickHouse::truths(self, table, conditions))
    }
}

pub(super) fn duckdb() -> Box<dyn Database> {
    Box::new(DuckDb::in_memory().unwrap())
}

/// A database of its own on the embedded server that all tests of this process share.
pub(super) async fn clickhouse() -> Box<dyn Database> {
    static SERVER: LazyLock<(Runtime, ClickHouseServer)> = LazyLock::new(|| {
        // Not a test's runtime, which would end with the test.
        let start = || {
            let runtime = Runtime::new().unwrap();
            let server = runtime.block_on(async {
                let options = EmbeddedOptions::default();
                install_clickhouse(&options, &|step| println!("{step}")).await?.start().await
            });
            (runtime, server.unwrap())
        };
        std::thread::spawn(start).join().unwrap()
    });
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let server = &SERVER.1;
    let options = ClickHouseOptions {
        user: Some(server.user().to_owned()),
        password: Some(server.password().clone()),
        ..ClickHouseOptions::new(server.url())
    };
    let database = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let admin = ClickHouse::connect(options.clone()).await.unwrap();
    admin.run(&format!("CREATE DATABASE {database}")).await.unwrap();
    let options = ClickHouseOptions { database: Some(database), ..options };
    Box::new(ClickHouse::connect(options).await.unwrap())
}

/// Every database, empty.
pub(super) async fn databases() -> [Box<dyn Database>; 2] {
    [duckdb(), clickhouse().await]
}

/// Every type, nullable, and again required where the SQL differs; names that differ by case only.
pub(super) fn table() -> Table {
    let nullable = |name: &str, data_type| Field::new(name, data_type).nullable();
    let scalar = |name: &str, scalar| nullable(name, DataType::Scalar(scalar));
    let array = |name: &str, scalar| nullable(name, DataType::Array(scalar));
    let fields = vec![
        Field::new("id", DataType::Scalar(Scalar::Int64)).primary(),
        Field::new("v", DataType::FloatVector { dim: 2 }),
        scalar("b", Scalar::Bool),
        scalar("i8", Scalar::Int8),
        scalar("i16", Scalar::Int16),
        scalar("i32", Scalar::Int32),
        scalar("i64", Scalar::Int64),
        scalar("f", Scalar::Float),
        scalar("d", Scalar::Double),
        scalar("s", Scalar::VarChar),
        scalar("S", Scalar::VarChar),
        array("ab", Scalar::Bool),
        array("a8", Scalar::Int8),
        array("ai", Scalar::Int64),
        array("af", Scalar::Float),
        array("ad", Scalar::Double),
        array("at", Scalar::VarChar),
        nullable("t", DataType::Timestamptz),
        Field::new("u", DataType::Timestamptz),
        nullable("j", DataType::Json),
        Field::new("r", DataType::Json),
        // DuckDB would bind it to a lambda's parameter.
        Field::new("e", DataType::Scalar(Scalar::Int64)),
    ];
    Table::new("fixture", Schema { fields, dynamic: true })
}

/// The values of a field that the rows take in turn. The lengths share few factors, so that the
/// fields' values meet in many combinations.
pub(super) fn pool(field: &str) -> Vec<Json> {
    let strings = || {
        json!([
            null,
            "",
            "a",
            "abc",
            "a_c",
            "a%c",
            "a\\b",
            "it's",
            "say \"hi\"",
            "Z",
            "é",
            "e\u{301}",
            "日本",
            "👩‍👩‍👧",
            "A",
            "a\nb",
            "a\u{a0}b",
            "$$x$$",
            "nul\u{0}",
            "--",
            "%",
            "_",
            "\\"
        ])
    };
    let kinds = || {
        json!([
            1, 1.0, 1.5, 0, 0.1, 0.5, -1, 2, 9007199254740992_i64, 9007199254740993_i64,
            9007199254740994_i64, 9007199254740992.0, 9007199254740994.0, i64::MAX, i64::MIN,
            u64::MAX, 9223372036854775808_u64, 1.8446744073709552e19, 9.223372036854776e18,
            1e300, -1e300, 5e-324, -0.0, true, false, null, "", "1", "a", "a\\b", "it's", "true",
            "日本", "null", "[1]", "nul\u{0}", [], {}, [1, "a"], {"x": 5}, {"x": null, "y": 1}
        ])
    };
    let lists = || {
        json!([
            [], [1], [1, "a", null, true, [1], {"x": 1}], [1.0, 2.5], ["a", "it's"], "a", null,
            [9007199254740993_i64], [9007199254740992.0, u64::MAX], [false], {"1": 1}, ["1", ""]
        ])
    };
    let pick = |pool: &Json, i: usize| pool[i % pool.as_array().map_or(1, Vec::len)].clone();
    let values = match field {
        "v" => json!([[0.1, -0.0], [1e-45, 3.4028235e38], [0.0, 16777216.0]]),
        "b" => json!([null, true, false, true, false]),
        "i8" => json!([null, -128, 127, -7, 7, 0, 1, -1]),
        "i16" => json!([null, -32768, 32767, 300, 0, 1]),
        "i32" => json!([null, i32::MIN, i32::MAX, 16777216, 16777217, 0, 1, -16777217, 5]),
        "i64" => json!([
            null,
            i64::MIN + 1,
            i64::MAX,
            9007199254740992_i64,
            9007199254740993_i64,
            16777217,
            -9007199254740993_i64,
            0,
            1,
            -7,
            i64::MIN,
            16777216
        ]),
        "f" => json!([
            null,
            0.1,
            0.3,
            16777216.0,
            0.0,
            -0.0,
            3.0,
            1e-45,
            3.4028235e38,
            -1.5,
            0.5,
            1e9,
            16777218.0,
            0.2
        ]),
        "d" => json!([
            null,
            0.1,
            0.30000000000000004,
            9007199254740992.0,
            0.0,
            -0.0,
            5e-324,
            f64::MAX,
            -1.5,
            0.5,
            16777216.0,
            9007199254740994.0,
            0.10000000149011612,
            1.0,
            9.223372036854776e18
        ]),
        "s" | "S" => strings(),
        "ab" => json!([null, [], [true], [false, true], [false]]),
        "a8" => json!([null, [], [1], [127, -128], [44, 1, 2]]),
        "ai" => json!([
            null,
            [],
            [1],
            [1, 2],
            [2, 1, 1],
            [9007199254740993_i64],
            [i64::MAX, i64::MIN],
            [7, 3]
        ]),
        "af" => json!([null, [], [0.1], [0.5, 1.0], [16777216.0, 0.0], [-0.0], [1.0]]),
        "ad" => json!([null, [], [0.1, 0.5], [0.0], [9007199254740992.0], [-0.0, 1e300]]),
        "at" => json!([
            null,
            [],
            ["a"],
            ["", "a"],
            ["abc", "it's"],
            ["日本", "a\\b", "a_c"],
            ["\"", "nul\u{0}"]
        ]),
        "t" | "u" => json!([
            if field == "t" { Json::Null } else { json!("1970-01-01T00:00:00Z") },
            "1969-12-31T23:59:59.999999Z",
            "1970-01-01T00:00:00.000001Z",
            "2024-02-28T23:00:00.5Z",
            "2024-02-29T01:00:00Z",
            "2024-03-01T00:00:00Z",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999999Z",
            "2024-02-29T00:00:00Z"
        ]),
        "j" | "r" => (0..60)
            .map(|i| {
                let nested = json!({"x": pick(&kinds(), i * 3 + 1), "1": "one"});
                match i % 8 {
                    7 if field == "j" => Json::Null,
                    6 => json!({}),
                    5 => json!({"o": nested, "a/b": [1]}),
                    4 => json!({"l": pick(&lists(), i), "k": pick(&kinds(), i)}),
                    _ => json!({"k": pick(&kinds(), i), "o": nested, "l": pick(&lists(), i)}),
                }
            })
            .collect(),
        META => kinds(),
        _ => json!([0, 1]),
    };
    values.as_array().cloned().unwrap_or_default()
}

/// The rows, in the order of their keys.
pub(super) fn rows() -> Vec<Row> {
    let schema = table().schema;
    let pools: Vec<_> = schema.fields.iter().map(|field| (field, pool(&field.name))).collect();
    let dynamic = pool(META);
    (0..120)
        .map(|id: usize| {
            let mut row = json!({"id": id});
            for (shift, (field, pool)) in pools.iter().enumerate().skip(1) {
                row[&field.name] = pool[(id + id / pool.len() * shift) % pool.len()].clone();
            }
            if id % 4 != 3 {
                row[META] = json!({"dyn": dynamic[id % dynamic.len()]});
            }
            Row::from_json(&schema, &row).unwrap()
        })
        .collect()
}

/// The databases, which hold the rows.
pub(super) async fn filled() -> ([Box<dyn Database>; 2], Table, Vec<Row>) {
    let (table, rows) = (table(), rows());
    let mut databases = databases().await;
    for backend in &mut databases {
        backend.create_table(&table).await.unwrap();
        backend.upsert(&table, &rows).await.unwrap();
    }
    (databases, table, rows)
}

/// Asserts that the database and the model find the same rows. Returns how many filters that
/// compared: none if the model leaves the filter undefined on some row.
pub(super) async fn agree(
    backend: &mut dyn Database,
    table: &Table,
    rows: &[Row],
    filter: &Expr,
) -> usize {
    let mut expected: Vec<Key> = Vec::new();
    for row in rows {
        match evaluate(filter, &table.schema, row, Semantics::canonical()) {
            Ok(Truth::True) => expected.extend(row.key(&table.schema)),
            Ok(_) => {}
            Err(_) => return 0,
        }
    }
    let sql = backend.explain(table, filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
    let found = backend.query(table, filter).await;
    let found = found.unwrap_or_else(|error| panic!("{filter}: {error}"));
    let differing: Vec<_> = rows
        .iter()
        .filter(|row| {
            let key = row.key(&table.schema);
            key.as_ref().is_some_and(|key| expected.contains(key) != found.contains(key))
        })
        .map(|row| row.to_json().to_string())
        .collect();
    assert!(
        differing.is_empty() && found.len() == expected.len(),
        "{}: {filter}\n{sql}\n{} rows by the model, {} by the database; they differ on\n{}",
        backend.name(),
        expected.len(),
        found.len(),
        differing.join("\n")
    );
    1
}
