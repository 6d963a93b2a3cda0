//! How many rows the model judges in a second, on one core.
//!
//! `cargo bench --bench model`; what it measures is told in `docs/performance.md`.

mod common;

use common::{Bench, Clock};
use milvus_difftest::filter::{Columns, Semantics, check, evaluate, parse};
use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
use milvus_difftest::value::{Row, Value};
use serde_json::json;

const ROWS: usize = 100_000;

fn schema() -> Schema {
    let scalar = |name: &str, scalar| Field::new(name, DataType::Scalar(scalar)).nullable();
    let fields = vec![
        Field::new("id", DataType::Scalar(Scalar::Int64)).primary(),
        scalar("a", Scalar::Int64),
        scalar("b", Scalar::Int32),
        scalar("c", Scalar::VarChar),
        scalar("d", Scalar::Double),
        scalar("f", Scalar::Float),
        Field::new("list", DataType::Array(Scalar::Int32)).nullable(),
        Field::new("j", DataType::Json).nullable(),
        Field::new("vec", DataType::FloatVector { dim: 2 }),
    ];
    Schema { fields, dynamic: true }
}

/// Rows that are all different, one null in ten.
fn rows() -> Vec<Row> {
    let mut state: u64 = 1;
    let mut below = move |bound: u64| {
        // Knuth's linear congruence; its upper bits are good enough here.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let row = |id: usize| {
        let mut row = Row::default();
        row.fields.insert("id".to_owned(), Value::Int(id as i64));
        let words = ["x", "xa", "abc", "日本", "lorem ipsum", ""];
        let text = format!("{}{}", words[below(6) as usize], below(1000));
        let document = json!({
            "n": below(20), "s": words[below(6) as usize], "deep": {"x": below(100) as f64 / 4.0},
            "list": [below(5), below(5)],
        });
        let values = [
            ("a", Value::Int(below(11) as i64)),
            ("b", Value::Int(below(10) as i64)),
            ("c", Value::Text(text)),
            ("d", Value::Double(below(1000) as f64 / 8.0)),
            ("f", Value::Float(below(1000) as f32 / 8.0)),
            ("list", Value::Array((0..below(6)).map(|i| Value::Int(i as i64)).collect())),
            ("j", Value::Json(document)),
        ];
        for (name, value) in values {
            let value = if below(10) == 0 { Value::Null } else { value };
            row.fields.insert(name.to_owned(), value);
        }
        row.fields.insert("vec".to_owned(), Value::Vector(vec![0.0, 1.0]));
        row.dynamic.insert("n".to_owned(), json!(below(20)));
        row
    };
    (0..ROWS).map(row).collect()
}

const SCALARS: f64 = 20e6;
const JSON: f64 = 2e6;

fn main() {
    let mut bench = Bench::new(Clock::Thread);
    let (schema, rows) = (schema(), rows());
    let columns = Columns::new(&schema, &rows);
    let mixed = "a > 5 and (b in [1, 2, 3] or c like \"x%\") and not (d is null)";
    for (text, target) in [
        (mixed, SCALARS),
        ("a == 5", SCALARS),
        ("1 < d <= 100.5", SCALARS),
        ("f not in [0.125, 3, 100.5]", SCALARS),
        ("c in [\"x1\", \"xa2\", \"abc3\"]", SCALARS),
        ("c like \"%em%5%\"", SCALARS),
        ("a < b or d > f", SCALARS),
        ("a * 2 + b > 11", SCALARS),
        ("f / 3 < 10.1", SCALARS),
        ("j[\"n\"] > 5", JSON),
        ("j[\"deep\"][\"x\"] < 5.5 and j[\"s\"] like \"x%\"", JSON),
        ("j[\"s\"] in [\"x\", \"abc\"] or not exists j[\"none\"]", JSON),
        ("j[\"n\"] + 1 == 7", JSON),
        ("json_contains(j[\"list\"], 3)", JSON),
        ("n > 5 and $meta[\"n\"] < 9", JSON),
        ("array_contains(list, 3) and array_length(list) < 5", JSON),
    ] {
        let filter = parse(text).expect("a filter");
        check(&schema, &filter).expect("a filter of this schema");
        let name = format!("columns: {text}");
        bench.measure(&name, "row-filters/s", Some(target), || {
            std::hint::black_box(columns.evaluate(&filter, Semantics::canonical()).matching());
            ROWS
        });
    }
    for text in [mixed, "j[\"n\"] > 5"] {
        let filter = parse(text).expect("a filter");
        bench.measure(&format!("first filter: {text}"), "row-filters/s", None, || {
            let columns = Columns::new(&schema, &rows);
            std::hint::black_box(columns.evaluate(&filter, Semantics::canonical()).matching());
            ROWS
        });
        bench.measure(&format!("rows: {text}"), "row-filters/s", None, || {
            for row in &rows[..10_000] {
                let _ =
                    std::hint::black_box(evaluate(&filter, &schema, row, Semantics::canonical()));
            }
            10_000
        });
    }
    bench.finish();
}
