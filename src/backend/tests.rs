//! The databases against the model, on rows with the values that lowerings get wrong.

mod agreement;
mod fixture;
mod random;
mod store;

use serde_json::json;

use self::fixture::{agree, databases, filled, rows, table};
use super::clickhouse::select_statement;
use super::sql::{Constant, SqlType};
use super::{Backend, BackendError, DuckDb, Table};
use crate::filter::{
    BinaryOp, Bound, Elements, Expr, FieldPath, Function, Literal, Step, UnaryOp, check, parse,
};
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{Key, Row, Value};

/// One term per construct and trap. Each is asked as it stands and negated, which tells unknown
/// from false.
const TERMS: &[&str] = &[
    // Integers: every comparison, both orders, literals beyond the column's type.
    "i8 == 127",
    "i8 != 127",
    "i8 < 300",
    "i8 > -129",
    "-128 <= i8",
    "0 > i16",
    "i32 >= 2147483647",
    "i64 == 9223372036854775807",
    "i64 > -9223372036854775807",
    "i8 in [1, 300, -128]",
    "i64 not in [0, 9007199254740993]",
    "i64 in []",
    "i64 not in []",
    // Arithmetic that would overflow a narrower type.
    "i8 + 1 == 128",
    "i8 * 1000 <= -1000",
    "2 * i32 == 4294967294",
    "i16 - 1 < -32768",
    "i8 / 2 == -3",
    "i8 / -2 == 3",
    "i8 % 2 == -1",
    "i8 % -4 == 3",
    "i64 % 1000 in [807, -7, 0]",
    // FLOAT in 32 bits, DOUBLE in 64.
    "f == 0.1",
    "f > 0.1",
    "f == 16777217",
    "f in [0.1, 16777217, 3]",
    "f + 0.2 == 0.3",
    "f * 3 > 0.3",
    "f / 3 == 0.033333335",
    "f - 0.1 == 0",
    "f == 0.10000000149011612",
    "d == 0.1",
    "d + 0.2 == 0.3",
    "d == 9007199254740993",
    "d in [0.1, 9007199254740993]",
    "d != 0.1",
    "d == 0.0",
    "d < 5e-324",
    "d >= 1.7976931348623157e308",
    // Columns with columns, converted as in C++.
    "i32 == f",
    "f < i64",
    "i64 == d",
    "d > i8",
    "f == d",
    "d <= f",
    "i8 != i64",
    "s == S",
    "s < S",
    "b == b",
    // Booleans and strings.
    "b == true",
    "b != true",
    "b < true",
    "b in [false]",
    "s == \"it's\"",
    "s >= \"Z\"",
    "s < \"é\"",
    "s != \"\"",
    "s in [\"\", \"a\\\\b\", \"日本\", \"say \\\"hi\\\"\"]",
    "s like \"%\"",
    "s like \"\"",
    "s like \"a_c\"",
    "s like \"_\"",
    "s like \"__\"",
    "s like \"_本\"",
    "s like \"%\\\\%%\"",
    "s like \"a\\\\_c\"",
    "s like \"a\\\\\\\\b\"",
    "s like \"%'%\"",
    "s like \"\\\\a%\"",
    "S like \"A%\"",
    // Nulls.
    "s is null",
    "i8 is not null",
    "j is null",
    "ai is null",
    "id is null",
    "i8 == 1 or s is null",
    "i8 == 1 and s is not null",
    // Arrays.
    "ai[0] == 1",
    "ai[0] != 1",
    "ai[63] != 1",
    "ai[1] in [2, 3]",
    "ai[4] not in [2]",
    "a8[0] < 300",
    "af[0] == 0.1",
    "af[0] == 0.10000000149011612",
    "ad[0] == 0.1",
    "at[0] like \"a%\"",
    "at[1] == \"it's\"",
    "ab[0] == true",
    "array_length(ai) == 0",
    "array_length(at) > 1",
    "array_length(ai) in [0, 3]",
    "array_contains(ai, 9007199254740993)",
    "array_contains(a8, 300)",
    "array_contains(af, 0.1)",
    "array_contains(af, 0.5)",
    "array_contains(af, 16777217)",
    "array_contains(ad, 0)",
    "array_contains(ab, false)",
    "array_contains_all(ai, [1, 1, 2])",
    "array_contains_any(ai, [7, 2])",
    "array_contains_all(at, [\"\", \"a\"])",
    "array_contains_any(at, [\"it's\", \"日本\"])",
    // JSON: kinds, missing keys, exact numbers.
    "j[\"k\"] == 1",
    "j[\"k\"] != 1",
    "j[\"k\"] < 1.5",
    "j[\"k\"] >= 1.0",
    "j[\"k\"] == 1.5",
    "j[\"k\"] == 9007199254740992.0",
    "j[\"k\"] == 9007199254740993",
    "j[\"k\"] != 9007199254740993",
    "j[\"k\"] < 9007199254740993",
    "j[\"k\"] > 9007199254740993",
    "j[\"k\"] >= 9007199254740992.0",
    "j[\"k\"] > 9223372036854775807",
    "j[\"k\"] <= 9.223372036854775807e18",
    "j[\"k\"] < 1.8446744073709552e19",
    "j[\"k\"] == 1e300",
    "j[\"k\"] < -1e300",
    "j[\"k\"] == 0",
    "j[\"k\"] == true",
    "j[\"k\"] != false",
    "j[\"k\"] > false",
    "j[\"k\"] == \"1\"",
    "j[\"k\"] < \"b\"",
    "j[\"k\"] != \"it's\"",
    "j[\"k\"] in [1, 2, 9007199254740993]",
    "j[\"k\"] in [1.0, 0.5]",
    "j[\"k\"] not in [\"1\", \"a\\\\b\"]",
    "j[\"k\"] in [true]",
    "j[\"k\"] like \"%\"",
    "j[\"k\"] like \"a\\\\\\\\b\"",
    "j[\"o\"][\"x\"] == 5",
    "j[\"o\"][1] == \"one\"",
    "j[\"l\"][0] == 1",
    "j[\"l\"][\"1\"] == \"a\"",
    "j[\"l\"][\"01\"] == \"a\"",
    "j[\"l\"][\"+1\"] != \"a\"",
    "j[\"l\"][9] != 1",
    "exists j[\"k\"]",
    "exists j[\"o\"][\"x\"]",
    "exists j[\"gone\"]",
    "j[\"k\"] is null",
    "j[\"k\"] is not null",
    "json_contains(j[\"l\"], 1)",
    "json_contains(j[\"l\"], \"a\")",
    "json_contains(j[\"l\"], true)",
    "json_contains(j[\"l\"], 9007199254740993)",
    "json_contains_all(j[\"l\"], [1, \"a\"])",
    "json_contains_any(j[\"l\"], [2.5, \"z\", false])",
    "json_contains_any(j[\"k\"], [1])",
    "json_contains(r[\"l\"], 1)",
    "r[\"k\"] == 1",
    // The dynamic field.
    "dyn == 1",
    "dyn != 1",
    "$meta[\"dyn\"] < \"b\"",
    "dyn[\"x\"] == 5",
    "exists dyn",
    "dyn is null",
    "json_contains(dyn, 1)",
    "dyn in [1, 2]",
    "dyn not in [1, 2]",
];

#[tokio::test]
async fn every_construct_agrees_with_the_model() {
    let (databases, table, rows) = filled().await;
    for mut backend in databases {
        let mut asked = 0;
        for text in TERMS {
            let filter = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            check(&table.schema, &filter).unwrap();
            asked += agree(&mut *backend, &table, &rows, &filter).await;
            asked += agree(&mut *backend, &table, &rows, &Expr::Not(Box::new(filter))).await;
        }
        // Filters that the model leaves undefined on some row prove nothing.
        assert!(asked > TERMS.len() * 2 * 9 / 10, "only {asked} filters could be compared");
    }
}

#[tokio::test]
async fn json_keys_are_taken_as_they_are() {
    let keys = [
        "a/b",
        "m~n",
        "~1",
        "it's",
        "say \"hi\"",
        "a\\b",
        "日本",
        "$",
        "*",
        "a.b",
        "",
        " ",
        "nul\0",
    ];
    let schema = Schema {
        fields: vec![
            Field::new("id", DataType::Scalar(Scalar::Int64)).primary(),
            Field::new("j", DataType::Json),
        ],
        dynamic: true,
    };
    let table = Table::new("keys", schema);
    let rows: Vec<Row> = (0..)
        .zip(keys)
        .map(|(id, key)| {
            Row::from_json(&table.schema, &json!({"id": id, "j": {key: 1}, "$meta": {key: 1}}))
        })
        .collect::<Result<_, _>>()
        .unwrap();
    for mut backend in databases().await {
        backend.create_table(&table).await.unwrap();
        backend.upsert(&table, &rows).await.unwrap();
        for (id, key) in (0..).zip(keys) {
            for root in ["j", "$meta"] {
                let path =
                    FieldPath { root: root.to_owned(), steps: vec![Step::Key(key.to_owned())] };
                let equal = Expr::binary(
                    Expr::Field(path.clone()),
                    BinaryOp::Eq,
                    Expr::Literal(Literal::Int(1)),
                );
                for filter in [equal, Expr::Exists(path)] {
                    let keys = backend.query(&table, &filter).await.unwrap();
                    assert_eq!(keys, [Key::Int(id)], "{filter}");
                }
            }
        }
    }
}

/// Names and strings that would end a literal or an identifier, were they not quoted.
#[tokio::test]
async fn nothing_in_a_filter_is_run_as_sql() {
    let evil = [
        "'; DROP TABLE evil; --",
        "\"; DROP TABLE evil; --",
        "\" IS NULL OR TRUE OR \"",
        "' OR TRUE OR '",
        "') OR TRUE OR ('",
        "\\' OR TRUE --",
        "$$ OR TRUE $$",
        "/* ",
        "?",
        "$1",
        "{0}",
        "\\",
        "'",
        "\"",
    ];
    let mut fields = vec![Field::new("id", DataType::Scalar(Scalar::Int64)).primary()];
    fields.extend(evil.map(|name| Field::new(name, DataType::Scalar(Scalar::VarChar))));
    fields.push(Field::new("list", DataType::Array(Scalar::VarChar)));
    fields.push(Field::new("json", DataType::Json));
    let table = Table::new("evil", Schema { fields, dynamic: true });
    let rows: Vec<Row> = (0..)
        .zip(evil)
        .map(|(id, text)| {
            let mut row =
                json!({"id": id, "list": [text], "json": {text: [text]}, "$meta": {text: text}});
            for name in evil {
                row[name] = if name == text { json!(text) } else { json!("innocent") };
            }
            Row::from_json(&table.schema, &row).unwrap()
        })
        .collect();
    for mut backend in databases().await {
        backend.create_table(&table).await.unwrap();
        backend.upsert(&table, &rows).await.unwrap();
        let literal = |text: &str| Literal::Text(text.to_owned());
        for (id, text) in (0..).zip(evil) {
            let key = |root: &str| FieldPath {
                root: root.to_owned(),
                steps: vec![Step::Key(text.to_owned())],
            };
            let equal = |path: FieldPath| {
                Expr::binary(Expr::Field(path), BinaryOp::Eq, Expr::Literal(literal(text)))
            };
            let call = |function, operand| Expr::Call {
                function,
                operand,
                arguments: vec![literal(text)],
            };
            let column = Box::new(Expr::field(text));
            let escaped = text.replace('\\', "\\\\");
            let filters = [
                equal(FieldPath::new(text)),
                equal(key("$meta")),
                Expr::Exists(key("json")),
                Expr::In { operand: column.clone(), list: vec![literal(text)], negated: false },
                Expr::Like { operand: column, pattern: escaped },
                call(Function::ArrayContains, FieldPath::new("list")),
                call(Function::JsonContains, key("json")),
                Expr::binary(
                    Expr::Field(FieldPath::new("list")),
                    BinaryOp::Eq,
                    Expr::Literal(Literal::List(vec![literal(text)])),
                ),
            ];
            for filter in filters {
                let keys = backend.query(&table, &filter).await.unwrap();
                assert_eq!(keys, [Key::Int(id)], "{filter}");
            }
        }
        assert_eq!(backend.scan(&table).await.unwrap(), rows);
    }
}

/// The lowering folds constants as the type checker does. Here the databases compute them.
#[tokio::test]
async fn constants_fold_as_sql_computes_them() {
    let (databases, table, _) = filled().await;
    for backend in databases {
        let dialect = backend.dialect();
        let sql = |literal: &Literal| match literal {
            Literal::Int(i) => dialect.cast(&dialect.constant(Constant::Int(*i)), SqlType::Int),
            Literal::Float(x) => dialect.constant(Constant::Double(*x)),
            other => panic!("{other}"),
        };
        let mut conditions = Vec::new();
        let mut compare = |a: Literal, op: BinaryOp, b: Literal, ty: SqlType| {
            let in_type = |literal: &Literal| match (ty, literal) {
                (SqlType::Double, Literal::Int(_)) => dialect.cast(&sql(literal), ty),
                _ => sql(literal),
            };
            let computed = dialect.arithmetic(op, ty, &in_type(&a), &in_type(&b));
            let folded = Expr::binary(Expr::Literal(a), op, Expr::Literal(b));
            let Ok(Some(constant)) = crate::filter::fold::constant(&folded) else {
                panic!("{folded} does not fold");
            };
            conditions.push(format!("{computed} = {}", sql(&constant)));
        };
        use BinaryOp::{Add, BitAnd, BitOr, BitXor, Div, Mod, Mul, Pow, Sub};
        let (int, float) = (Literal::Int, Literal::Float);
        let numbers = [7, -7, 2, -2, 3, 1_000_003, -1_000_003, 255, 1 << 31];
        for (a, b) in numbers.iter().flat_map(|a| numbers.map(|b| (*a, b))) {
            for op in [Add, Sub, Mul, Div, Mod, BitAnd, BitOr, BitXor] {
                compare(int(a), op, int(b), SqlType::Int);
            }
            let (x, y) = (a as f64 / 10.0, b as f64 / 3.0);
            for op in [Add, Sub, Mul] {
                compare(float(x), op, float(y), SqlType::Double);
            }
            compare(float(x), Div, int(b), SqlType::Double);
        }
        for (a, b) in [(2, 10), (3, -2), (-2, 3), (10, 18)] {
            compare(int(a), Pow, int(b), SqlType::Double);
        }
        let found = backend.truths(&table, &conditions).await.unwrap();
        let truths = conditions.iter().zip(&found[0].1);
        let wrong: Vec<_> = truths.filter(|(_, truth)| **truth != Some(true)).collect();
        assert!(wrong.is_empty(), "{}: {wrong:#?}", backend.name());
    }
}

#[tokio::test]
async fn rows_come_back_to_the_bit() {
    let (databases, table, rows) = filled().await;
    for mut backend in databases {
        let scanned = backend.scan(&table).await.unwrap();
        assert_eq!(scanned.len(), rows.len());
        for (scanned, row) in scanned.iter().zip(&rows) {
            for field in &table.schema.fields {
                let (back, sent) = (scanned.get(&field.name), row.get(&field.name));
                assert!(back.same(sent), "{}: {back} is not {sent}", field.name);
            }
            let dynamic = Value::Json(scanned.dynamic.clone().into());
            assert!(dynamic.same(&Value::Json(row.dynamic.clone().into())));
        }
    }
}

#[tokio::test]
async fn what_filters_cannot_see_comes_back_to_the_bit_too() {
    let fields = json!([
        {"name": "id", "type": "INT64", "primary": true},
        {"name": "t", "type": "TIMESTAMPTZ", "nullable": true},
        {"name": "g", "type": "GEOMETRY"},
        {"name": "st", "type": "ARRAY<STRUCT>", "members": [
            {"name": "i", "type": "INT64"}, {"name": "f", "type": "FLOAT"},
            {"name": "s", "type": "VARCHAR"},
        ]},
        {"name": "vb", "type": "BINARY_VECTOR(16)"},
        {"name": "v16", "type": "FLOAT16_VECTOR(3)"},
        {"name": "vbf", "type": "BFLOAT16_VECTOR(3)"},
        {"name": "v8", "type": "INT8_VECTOR(2)"},
        {"name": "vs", "type": "SPARSE_FLOAT_VECTOR"},
    ]);
    let schema: Schema = serde_json::from_value(json!({"fields": fields})).unwrap();
    let rows = [
        json!({
            "id": 1, "t": "0001-01-01T00:00:00Z", "g": "POINT (1e-7 -0.30000000000000004)",
            "st": [
                {"i": 9007199254740993_i64, "f": 0.1, "s": "it's \"\u{0}"},
                {"i": i64::MIN, "f": -0.0, "s": ""},
            ],
            "vb": [0, 255], "v16": [6e-8, -0.0, 65504.0], "vbf": [1e-40, 0.1, 3.3e38],
            "v8": [-128, 127], "vs": {"4294967294": 1e-45, "0": 3.4e38},
        }),
        json!({
            "id": 2, "t": "9999-12-31T23:59:59.999999Z", "st": [],
            "g": "POLYGON ((0 0, 1 0, 1 1, 0 0))", "vb": [128, 1], "v16": [0.1, 1.0, -2.0],
            "vbf": [1.0, 2.0, -0.0], "v8": [0, 1], "vs": {"7": 0.1},
        }),
        json!({
            "id": 3, "t": null, "st": [], "g": "POINT (0 0)", "vb": [0, 0], "v16": [0, 0, 0],
            "vbf": [0, 0, 0], "v8": [0, 0], "vs": {"0": 1},
        }),
    ];
    let rows = rows.map(|row| Row::from_json(&schema, &row).unwrap());
    let table = Table::new("unseen", schema.clone());
    for mut backend in databases().await {
        backend.create_table(&table).await.unwrap();
        backend.upsert(&table, &rows).await.unwrap();
        let stored = backend.scan(&table).await.unwrap();
        assert_eq!(stored.len(), rows.len());
        for (stored, row) in stored.iter().zip(&rows) {
            for field in &schema.fields {
                let (back, sent) = (stored.get(&field.name), row.get(&field.name));
                assert!(back.same(sent), "{}: {back} is not {sent}", field.name);
            }
        }
    }
}

#[tokio::test]
async fn writes_replace_delete_and_fail_as_a_whole() {
    let schema = Schema {
        fields: vec![
            Field::new("id", DataType::Scalar(Scalar::VarChar)).primary(),
            Field::new("n", DataType::Scalar(Scalar::Int8)),
        ],
        dynamic: false,
    };
    let table = Table::new("a \"table\"; it's", schema);
    let row = |id: &str, n: i64| Row {
        fields: [("id", Value::Text(id.to_owned())), ("n", Value::Int(n))]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        ..Row::default()
    };
    for mut backend in databases().await {
        backend.create_table(&table).await.unwrap();
        backend.upsert(&table, &[row("it's", 1), row("b\0c", 2), row("it's", 3)]).await.unwrap();
        backend.upsert(&table, &[row("d", 4), row("it's", 5)]).await.unwrap();
        let expected = [row("b\0c", 2), row("d", 4), row("it's", 5)];
        assert_eq!(backend.scan(&table).await.unwrap(), expected);

        // The first row would have fitted.
        let error = backend.upsert(&table, &[row("d", 6), row("e", 128)]).await.unwrap_err();
        assert!(matches!(error, BackendError::Value { .. }), "{error}");
        assert_eq!(backend.scan(&table).await.unwrap(), expected);

        // This one fails in the database; in DuckDB after the old row was deleted.
        let mut other = table.clone();
        other.schema.fields[1].data_type = DataType::Scalar(Scalar::VarChar);
        let mut text = row("d", 0);
        text.fields.insert("n".to_owned(), Value::Text("x".to_owned()));
        let error = backend.upsert(&other, &[text]).await.unwrap_err();
        assert!(matches!(error, BackendError::Statement { .. }), "{error}");
        assert_eq!(backend.scan(&table).await.unwrap(), expected);

        let keys = ["b\0c", "it's", "gone"].map(|key| Key::Text(key.to_owned()));
        backend.delete(&table, &keys).await.unwrap();
        assert_eq!(backend.scan(&table).await.unwrap(), [row("d", 4)]);
        backend.drop_table(&table).await.unwrap();
        backend.drop_table(&table).await.unwrap();
        let error = backend.scan(&table).await.unwrap_err();
        assert!(error.to_string().contains("could not read"), "{error}");
        backend.create_table(&table).await.unwrap();
        assert_eq!(backend.scan(&table).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_file_keeps_its_rows() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("reference.duckdb");
    let (table, rows) = (table(), rows());
    let mut backend = DuckDb::open(&path).unwrap();
    assert!(backend.name().starts_with("DuckDB v"), "{}", backend.name());
    backend.create_table(&table).await.unwrap();
    backend.upsert(&table, &rows).await.unwrap();
    drop(backend);
    let mut backend = DuckDb::open(&path).unwrap();
    assert_eq!(backend.scan(&table).await.unwrap().len(), rows.len());
}

#[tokio::test]
async fn what_no_type_fits_is_an_error() {
    let (databases, table, _) = filled().await;
    for mut backend in databases {
        for text in [
            "i8 == \"a\"",
            "ai[\"x\"] == 1",
            "v == 1",
            "i8",
            "s like \"a\\\\\"",
            "(r[\"k\"] + 1) + 1 == 3",
        ] {
            let filter = parse(text).unwrap();
            let error = backend.query(&table, &filter).await.unwrap_err();
            assert!(matches!(error, BackendError::Filter(_)), "{text}: {error}");
        }
        // What the checker leaves to the rows: undefined in the model, and no panic here.
        let length = Expr::Call {
            function: Function::ArrayLength,
            operand: FieldPath::new("ai"),
            arguments: Vec::new(),
        };
        let filter = Expr::binary(length, BinaryOp::Lt, Expr::Literal(Literal::Int(i64::MIN)));
        assert_eq!(backend.query(&table, &filter).await.unwrap(), []);
        for text in
            ["i64 * 9223372036854775807 in [1]", "f > 1e300", "d * 1e300 > 0", "f * 1e38 > 0"]
        {
            backend.query(&table, &parse(text).unwrap()).await.unwrap();
        }
    }
}

/// One filter for each construct that is easier built than written.
fn unparsed() -> Vec<Expr> {
    use BinaryOp::{Add, BitAnd, BitXor, Div, Eq, Ge, Gt, Le, Mod, Mul, Ne, Pow};
    let int = |i| Expr::Literal(Literal::Int(i));
    let path =
        |root: &str, steps: &[Step]| FieldPath { root: root.to_owned(), steps: steps.to_vec() };
    let at = |root: &str, index| Expr::Field(path(root, &[Step::Index(index)]));
    let k = || path("j", &[Step::Key("k".to_owned())]);
    let column = |name: &str| Expr::field(name);
    let list = |items: &[i64]| Literal::List(items.iter().copied().map(Literal::Int).collect());
    let unary = |op, operand| Expr::Unary { op, operand: Box::new(operand) };
    let call = |function, operand, arguments| Expr::Call { function, operand, arguments };
    let bound = |i, inclusive| Bound { value: Literal::Int(i), inclusive };
    let sum = Expr::binary(column("i8"), Add, int(1));
    let length = call(Function::ArrayLength, k(), Vec::new());
    vec![
        column("b"),
        Expr::Literal(Literal::Bool(true)),
        Expr::binary(int(1), Eq, Expr::Literal(Literal::Float(1.0))),
        Expr::binary(column("d"), Gt, Expr::binary(int(2), Pow, int(3))),
        Expr::binary(Expr::binary(column("i8"), BitAnd, int(6)), Eq, int(2)),
        Expr::binary(Expr::binary(int(-1), BitXor, sum.clone()), Eq, int(2)),
        Expr::binary(unary(UnaryOp::BitNot, column("i64")), Le, int(i64::MIN)),
        Expr::binary(unary(UnaryOp::Negate, sum.clone()), Ge, int(5)),
        Expr::binary(
            Expr::binary(column("i8"), Mul, column("i16")),
            Eq,
            Expr::binary(column("i32"), Mod, column("i64")),
        ),
        Expr::binary(Expr::binary(column("i64"), Add, column("f")), Le, column("d")),
        Expr::binary(Expr::binary(at("ai", 0), Div, column("i8")), Eq, int(3)),
        Expr::Range {
            operand: FieldPath::new("i8"),
            low: bound(1, false),
            high: bound(7, true),
            descending: false,
        },
        Expr::binary(Expr::Literal(list(&[1, 2])), Eq, column("ai")),
        Expr::binary(column("af"), Ne, Expr::Literal(list(&[]))),
        Expr::binary(Expr::Field(k()), Ne, Expr::Literal(list(&[1, 2]))),
        Expr::binary(length, Ge, int(2)),
        Expr::binary(Expr::binary(Expr::Field(k()), Add, int(1)), Eq, int(3)),
        call(Function::ArrayContainsAll, FieldPath::new("ai"), vec![list(&[])]),
        call(Function::JsonContainsAll, k(), vec![list(&[])]),
        call(Function::JsonContains, k(), vec![list(&[1, 2])]),
    ]
}

#[tokio::test]
async fn what_sql_cannot_express_is_told_from_what_is_wrong() {
    let mut databases = databases().await;
    let schema = json!({"fields": [
        {"name": "id", "type": "INT64", "primary": true},
        {"name": "s", "type": "VARCHAR"},
        {"name": "st", "type": "ARRAY<STRUCT>", "members": [{"name": "i", "type": "INT8"}]},
    ]});
    let table = Table::new("structs", serde_json::from_value(schema).unwrap());
    for backend in &mut databases {
        backend.create_table(&table).await.unwrap();
    }
    let words = Expr::Call {
        function: Function::TextMatch,
        operand: FieldPath::new("s"),
        arguments: vec![Literal::Text("a".to_owned())],
    };
    let member = Expr::binary(
        Expr::Field(FieldPath::member("i")),
        BinaryOp::Gt,
        Expr::Literal(Literal::Int(1)),
    );
    let structs = |elements| Expr::Elements {
        elements,
        field: "st".to_owned(),
        predicate: Box::new(member.clone()),
    };
    for (part, name) in [
        (words, "text_match"),
        (structs(Elements::All), "match_all"),
        (structs(Elements::Exact(1)), "match_exact"),
    ] {
        let filter = Expr::Not(Box::new(part));
        for backend in &mut databases {
            let error = backend.query(&table, &filter).await.unwrap_err();
            assert!(matches!(error, BackendError::Inexpressible { .. }), "{error}");
            assert!(error.to_string().contains(&format!("SQL cannot express {name}")), "{error}");
        }
    }
}

#[test]
fn the_sql_is_what_it_was() {
    let (duckdb, table) = (DuckDb::in_memory().unwrap(), table());
    let filters = [
        "i8 < 300",
        "7 >= i64",
        "i8 / 2 == -3",
        "f * 3 <= 0.1",
        "d in [0.1, 3]",
        "i64 not in []",
        "i32 == f",
        "f > d",
        "not (b == true) and (s is null or S != \"it's\")",
        "s like \"a\\\\_%\"",
        "ai[0] != 1",
        "af[2] < 0.1",
        "array_length(at) > 1",
        "array_contains(a8, 300)",
        "array_contains_all(af, [0.5, 1])",
        "array_contains_any(at, [\"x\", \"y\"])",
        "j[\"a/b\"][0] == 1",
        "j[\"k\"] < 9007199254740993",
        "j[\"k\"] != 1.5",
        "r[\"k\"] in [\"a\", \"b\"]",
        "j[\"k\"] like \"%x\"",
        "exists j[\"k\"]",
        "$meta[\"dyn\"] == true",
        "dyn is null",
        "json_contains(j[\"l\"], 1)",
        "json_contains_any(dyn, [1, \"a\"])",
        "json_contains_all(r[\"l\"], [1, 2])",
    ];
    let (mut duckdb_sql, mut clickhouse_sql) = (String::new(), String::new());
    for filter in filters.iter().map(|filter| parse(filter).unwrap()).chain(unparsed()) {
        let sql = duckdb.explain(&table, &filter).unwrap();
        duckdb_sql.push_str(&format!("{filter}\n  {sql}\n\n"));
        let sql = select_statement(&table, &filter).unwrap();
        clickhouse_sql.push_str(&format!("{filter}\n  {sql}\n\n"));
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        insta::assert_snapshot!("duckdb_sql", duckdb_sql);
        insta::assert_snapshot!("clickhouse_sql", clickhouse_sql);
    });
}
