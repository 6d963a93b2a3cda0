//! How many filters and cases the generator makes in a second, on one core.
//!
//! `cargo bench --bench generator`; what it measures is told in `docs/performance.md`.

mod common;

use common::{Bench, Clock};
use milvus_difftest::generate::{FILTERS, case, filters, rows};
use milvus_difftest::milvus::Dialect;
use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
use milvus_difftest::value::Row;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

fn runner() -> TestRunner {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    TestRunner::new_with_rng(Config::default(), rng)
}

/// A key and one field of each scalar type, half of them nullable.
fn scalars() -> Schema {
    let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
    let fields = Scalar::ALL.iter().enumerate().map(|(i, scalar)| {
        let field = Field::new(format!("field_{i}"), DataType::Scalar(*scalar));
        if i % 2 == 0 { field.nullable() } else { field }
    });
    let vector = Field::new("vec", DataType::FloatVector { dim: 2 });
    let fields = std::iter::once(id).chain(fields).chain([vector]).collect();
    Schema { fields, dynamic: false }
}

/// The same with a JSON field, an array and dynamic keys.
fn everything() -> Schema {
    let mut schema = scalars();
    schema.fields.push(Field::new("json", DataType::Json).nullable());
    schema.fields.push(Field::new("array", DataType::Array(Scalar::Int32)).nullable());
    schema.dynamic = true;
    schema
}

fn sample(schema: &Schema, count: usize) -> Vec<Row> {
    let mut runner = runner();
    let strategy = rows(schema, 300);
    let mut sample = Vec::new();
    while sample.len() < count {
        sample.extend(strategy.new_tree(&mut runner).expect("no rejections").current());
    }
    sample.truncate(count);
    sample
}

fn main() {
    let mut bench = Bench::new(Clock::Thread);
    let dialect = Dialect::load("milvus-2.6").expect("a built-in dialect");
    for (name, schema, count, target) in [
        ("filters on 8 scalar fields, 50 rows as sample", scalars(), 50, Some(200_000.0)),
        ("filters on 8 scalar fields, 200 rows as sample", scalars(), 200, None),
        ("filters on JSON, arrays and scalars, 50 rows as sample", everything(), 50, None),
        ("filters on JSON, arrays and scalars, 200 rows as sample", everything(), 200, None),
    ] {
        let rows = sample(&schema, count);
        let strategy = filters(&schema, &rows, &dialect);
        let mut runner = runner();
        bench.measure(name, "filters/s", target, || {
            for _ in 0..100 {
                let filter = strategy.new_tree(&mut runner).expect("no rejections").current();
                std::hint::black_box(filter);
            }
            100
        });
    }
    let mut number = 0;
    bench.measure("filters of whole cases, schema and rows included", "filters/s", None, || {
        std::hint::black_box(case(1, number % 200, &dialect));
        number += 1;
        FILTERS
    });
    bench.finish();
}
