//! The model on columns against the model on rows, which is the definition.

use milvus_difftest::case::Check;
use milvus_difftest::filter::{Columns, Expr, Semantics, Switch, Truth, evaluate, parse};
use milvus_difftest::generate::{Options, case_with};
use milvus_difftest::milvus::Dialect;
use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
use milvus_difftest::value::{Row, Value};

/// What was compared, so that a test says something only if there was enough of it.
#[derive(Default)]
struct Compared {
    filters: usize,
    undefined: usize,
    truths: [usize; 3],
}

impl Compared {
    fn compare(&mut self, schema: &Schema, rows: &[Row], filter: &Expr, semantics: Semantics) {
        let columns = Columns::new(schema, rows);
        let truths = columns.evaluate(filter, semantics);
        let mut first = None;
        let mut matching = 0;
        for (i, row) in rows.iter().enumerate() {
            let expected = evaluate(filter, schema, row, semantics);
            assert_eq!(truths.on(i), Some(expected.clone()), "{filter} on {}", row.to_json());
            matching += usize::from(expected == Ok(Truth::True));
            match expected {
                Ok(truth) => self.truths[truth as usize] += 1,
                Err(why) => {
                    self.undefined += 1;
                    first.get_or_insert(why);
                }
            }
        }
        assert_eq!(truths.on(rows.len()), None);
        assert_eq!(truths.defined().err(), first, "{filter}");
        assert_eq!(truths.matching(), matching, "{filter}");
        self.filters += 1;
    }
}

#[test]
fn columns_and_rows_agree_on_every_row() {
    let mut compared = Compared::default();
    for (dialect, seed, count) in [("simulated", 11, 60), ("milvus-2.6", 12, 20)] {
        let dialect = Dialect::load(dialect).expect("a built-in dialect");
        let options = Options { beyond_dialect: true, ..Options::default() };
        for number in 0..count {
            let case = case_with(seed, number, &dialect, &options).unwrap();
            let mut rows: Vec<Row> = case.rows().into_values().collect();
            // Lists are looked through in one way on few rows, and in another on many.
            if number % 3 == 0 {
                rows.truncate(40);
            }
            for filter in case.checks.iter().filter_map(Check::filter) {
                let semantics = Semantics::canonical();
                compared.compare(&case.schema, &rows, filter, semantics);
                // Its parts too: what a conjunction is not, one of them may be.
                for part in filter.children() {
                    compared.compare(&case.schema, &rows, part, semantics);
                }
            }
        }
    }
    let Compared { filters, undefined, truths } = compared;
    assert!(filters > 5000, "{filters}");
    assert!(undefined > 1000, "{undefined}");
    assert!(truths.iter().all(|count| *count > 10_000), "{truths:?}");
}

#[test]
fn a_switch_is_heeded() {
    let dialect = Dialect::load("simulated").expect("a built-in dialect");
    let mut compared = Compared::default();
    for (number, switch) in Switch::ALL.iter().enumerate() {
        let case = case_with(13, number as u64, &dialect, &Options::default()).unwrap();
        let rows: Vec<Row> = case.rows().into_values().take(30).collect();
        for filter in case.checks.iter().filter_map(Check::filter).take(10) {
            let semantics = Semantics::canonical().with(*switch);
            compared.compare(&case.schema, &rows, filter, semantics);
        }
    }
    assert!(compared.filters > 300, "{}", compared.filters);
}

fn schema() -> Schema {
    let scalar = |name: &str, scalar| Field::new(name, DataType::Scalar(scalar)).nullable();
    let fields = vec![
        Field::new("id", DataType::Scalar(Scalar::Int64)).primary(),
        scalar("b", Scalar::Bool),
        scalar("i", Scalar::Int64),
        scalar("f", Scalar::Float),
        scalar("d", Scalar::Double),
        scalar("s", Scalar::VarChar),
        Field::new("t", DataType::Timestamptz).nullable(),
        Field::new("a", DataType::Array(Scalar::Float)).nullable(),
        Field::new("j", DataType::Json).nullable(),
    ];
    Schema { fields, dynamic: true }
}

/// Every value in every field, whether it fits or not; over more rows than are looked at together.
#[test]
fn values_of_other_types_and_many_rows_change_nothing() {
    let schema = schema();
    let values = [
        Value::Null,
        Value::Bool(true),
        Value::Int(2),
        Value::Int(i64::MAX),
        Value::Int(0),
        Value::Float(0.1),
        Value::Float(-0.0),
        Value::Float(f32::NAN),
        Value::Double(0.1),
        Value::Double(f64::NAN),
        Value::Double(2.0 / 3.0),
        Value::Text("2".to_owned()),
        Value::Text("日本%".to_owned()),
        Value::Timestamp(5),
        Value::Json(serde_json::json!({"k": [1, "2", null], "n": 2})),
        Value::Json(serde_json::json!({"k": [[], {}]})),
        Value::Array(vec![Value::Float(2.0), Value::Float(0.1)]),
        Value::Array(vec![Value::Text("2".to_owned())]),
    ];
    let mut rows = Vec::new();
    for at in 0..1500 {
        let value = |shift: usize| values[(at + at / values.len() * shift) % values.len()].clone();
        let fields = schema.fields.iter().enumerate();
        let mut row = Row {
            fields: fields.map(|(shift, field)| (field.name.clone(), value(shift))).collect(),
            ..Row::default()
        };
        row.dynamic.insert("x".to_owned(), value(20).to_json());
        rows.push(row);
    }
    let mut compared = Compared::default();
    for filter in [
        "b",
        "not b",
        "b == true or b in [false]",
        "i == 2",
        "2 <= i",
        "i != 2.5",
        "1 < i <= 9223372036854775807",
        "i in [2, 0]",
        "i not in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]",
        "i in [2, 2.5]",
        "i in []",
        "i + 1 > 2",
        "1 - i > 2",
        "5 / i > 2",
        "i % 2 == 0",
        "-i < 0 and ~i < 0",
        "i * i == 4",
        "(i & 2) == 2",
        "i < f",
        "f >= i",
        "f == 0.1",
        "f in [0.1, 0]",
        "f not in [0.1, 0, 1, 2, 3, 4, 5, 6, 7, 8]",
        "f / 3 < 0.0333333",
        "f * d == 0.01",
        "f == \"x\"",
        "f > 1e300",
        "d == 0.1",
        "d in [0.1, 0.6666666666666666]",
        "d / 3 == 0.2222222222222222",
        "d / 0.1 >= 1",
        "d == f or d < i",
        "d % 2 == 0",
        "s == \"2\" and s < \"3\"",
        "s in [\"2\", \"3\"]",
        "s in [\"2\", \"3\", \"4\", \"5\", \"6\", \"7\", \"8\", \"9\", \"a\", \"b\"]",
        "s like \"2%\" or s like \"%本%\" or s like \"_\"",
        "s like \"日本\\\\%\"",
        "text_match(s, \"2\") or phrase_match(s, \"2\")",
        "text_match(s, \"2 3\", minimum_should_match=2)",
        "text_match(i, \"2\")",
        "s < j",
        "t == ISO \"1970-01-01T00:00:00.000005Z\"",
        "t + INTERVAL \"P1D\" > ISO \"1970-01-01T00:00:00Z\"",
        "a[0] == 2",
        "a[1] in [0.1, 2]",
        "a[0] / 3 > 0.5",
        "a[7] != 1",
        "array_length(a) + 1 == 3",
        "array_length(a) in [1, 2]",
        "array_contains(a, 2)",
        "array_contains_all(a, [2, \"2\"])",
        "array_contains_any(a, [2, 0.1])",
        "a == [2.0, 0.1]",
        "j[\"n\"] == 2",
        "j[\"n\"] + 1 == 3",
        "2 < j[\"n\"]",
        "j[\"k\"][1] like \"2\"",
        "j[\"k\"][0] in [1, 2]",
        "exists j[\"k\"]",
        "j[\"k\"] is null",
        "json_contains(j[\"k\"], 1)",
        "json_contains_all(j[\"k\"], [1, \"2\"])",
        "json_contains_any(j[\"k\"], [7, []])",
        "array_length(j[\"k\"]) == 3",
        "x == 2 or x like \"2\"",
        "x is not null",
        "x[\"k\"] in []",
        "$meta[\"x\"] > 1 and exists $meta[\"x\"]",
        "b is null or i is null or f is null or d is null or s is null or t is null",
        "a is null or j is not null",
        "true and 1 < 2",
        "1 < \"a\"",
        "1 / 0 == 1",
        "nowhere[0] == 1",
        "vec == 1",
        "(i > 2 and s like \"a%\") or not (d is null)",
    ] {
        let filter = parse(filter).unwrap();
        compared.compare(&schema, &rows, &filter, Semantics::canonical());
    }
    assert!(compared.undefined > 1000, "{}", compared.undefined);
}
