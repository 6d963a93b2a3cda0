use std::collections::BTreeMap;

use half::{bf16, f16};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value as Json, json};

use super::{assert_same, every_type, file, read, with, write};
use crate::dump::arrow::datatypes::{DataType as ArrowType, Schema as ArrowSchema};
use crate::dump::{
    Format, MAX_JSON_DEPTH, Reader, SCHEMA_KEY, TYPE_KEY, Writer, arrow_schema, embedded_schema,
    from_batch, to_batch,
};
use crate::generate;
use crate::milvus::Dialect;
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{Row, Value};

fn round_trip(schema: &Schema, rows: &[Row]) {
    let batch = to_batch(schema, rows).unwrap();
    assert_same(schema, rows, &from_batch(schema, &batch).unwrap());
    let (start, rest) = (rows.len() / 3, rows.len() - rows.len() / 3);
    let slice = from_batch(schema, &batch.slice(start, rest)).unwrap();
    assert_same(schema, &rows[start..], &slice);
    let folder = tempfile::tempdir().unwrap();
    for format in Format::ALL {
        let path = file(folder.path(), format);
        assert_eq!(write(&path, schema, rows).unwrap(), rows.len() as u64);
        assert_same(schema, rows, &read(&path, Some(schema)).unwrap());
        if matches!(format, Format::Parquet | Format::Arrow) {
            assert_eq!(Reader::open(&path, None).unwrap().schema(), schema);
            assert_same(schema, rows, &read(&path, None).unwrap());
        }
    }
}

fn check(schemas: BoxedStrategy<Schema>, cases: u32) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRunner::deterministic().new_rng();
    let strategy = schemas.prop_flat_map(|schema| {
        let rows = generate::rows(&schema, 60);
        (Just(schema), rows)
    });
    let mut runner = TestRunner::new_with_rng(config, rng);
    runner
        .run(&strategy, |(schema, rows)| {
            round_trip(&schema, &rows);
            Ok(())
        })
        .unwrap();
}

#[test]
fn random_rows_of_random_schemas_are_read_back() {
    check(generate::schemas(&Dialect::everything()), 60);
}

#[test]
fn random_rows_of_every_type_are_read_back() {
    check(Just(every_type()).boxed(), 20);
}

/// What generators leave out because engines disagree on it.
#[test]
fn values_at_the_limits_are_read_back() {
    let mut schema = every_type();
    schema.fields.retain(|field| !field.name.starts_with('n'));
    let plain = |id: i64| {
        let mut row = Row::default();
        for field in &schema.fields {
            row.fields.insert(field.name.clone(), Value::plain(field));
        }
        row.fields.insert("id".to_owned(), Value::Int(id));
        row
    };
    let floats = [-0.0, f32::from_bits(1), -f32::from_bits(1), f32::MAX, f32::MIN_POSITIVE, 0.1];
    let doubles = [-0.0, f64::from_bits(1), f64::MAX, -f64::MIN_POSITIVE, 0.1, 1e23];
    let halves = [f16::NEG_ZERO, f16::from_bits(1), f16::MAX];
    let brains = [bf16::NEG_ZERO, bf16::from_bits(1), bf16::MAX];
    let mut json =
        json!({"u": u64::MAX, "z": -0.0, "e": [], "n": null, "a": {"": ""}, "i": i64::MIN});
    for _ in 0..MAX_JSON_DEPTH - 2 {
        json = json!([json]);
    }
    let texts =
        ["", "\"", ",", "\n", "\r\n", "\r", " ", "\u{feff}", "\0", "null", "\\N", "'", "é\u{301}"];
    let mut rows = Vec::new();
    for (i, text) in texts.into_iter().enumerate() {
        let mut row = plain(if i == 0 { i64::MIN } else { i64::MAX - i as i64 });
        let mut set = |data_type: DataType, value: Value| {
            let field = schema.fields.iter().find(|f| f.data_type == data_type && !f.primary);
            row.fields.insert(field.unwrap().name.clone(), value);
        };
        let (float, double) = (floats[i % floats.len()], doubles[i % doubles.len()]);
        set(DataType::Scalar(Scalar::VarChar), Value::Text(text.to_owned()));
        set(DataType::Scalar(Scalar::Float), Value::Float(float));
        set(DataType::Scalar(Scalar::Double), Value::Double(double));
        let texts = vec![Value::Text(text.to_owned()), Value::Text(String::new())];
        set(DataType::Array(Scalar::VarChar), Value::Array(texts));
        set(DataType::Array(Scalar::Float), Value::Array(vec![Value::Float(float); i]));
        set(DataType::Array(Scalar::Double), Value::Array(vec![Value::Double(double); i]));
        set(DataType::Json, Value::Json(json.clone()));
        // Of a kind that this crate does not compute with.
        set(DataType::Geometry, Value::Geometry("LINESTRING (0 0, 1 1)".to_owned()));
        set(DataType::Timestamptz, Value::Timestamp(-62_135_596_800_000_000 + i as i64));
        set(DataType::FloatVector { dim: 3 }, Value::Vector(floats[..3].to_vec()));
        set(DataType::Float16Vector { dim: 3 }, Value::Float16Vector(halves.to_vec()));
        set(DataType::BFloat16Vector { dim: 3 }, Value::BFloat16Vector(brains.to_vec()));
        let sparse = BTreeMap::from([(0, f32::from_bits(1)), (u32::MAX - 1, f32::MAX)]);
        set(DataType::SparseVector, Value::SparseVector(sparse));
        row.dynamic.insert(text.to_owned(), json["none"].clone());
        row.dynamic.insert("deep".to_owned(), json.clone());
        rows.push(row);
    }
    round_trip(&schema, &rows);
    round_trip(&schema, &[]);
}

#[test]
fn every_json_number_of_64_bits_is_read_back() {
    let schema = with(Field::new("j", DataType::Json));
    let numbers = [json!(u64::MAX), json!(i64::MIN), json!(1), json!(1.0), json!(-0.0), json!("")];
    let row =
        |(json, id): (Json, i64)| Row::from_json(&schema, &json!({"id": id, "j": json})).unwrap();
    round_trip(&schema, &numbers.into_iter().zip(0..).map(row).collect::<Vec<_>>());
}

/// A JSON null is a value of a JSON column; only JSON lines have no words for it.
#[test]
fn a_json_null_is_no_null() {
    let schema = with(Field::new("j", DataType::Json).nullable());
    let row = |id, value| Row {
        fields: BTreeMap::from([("id".to_owned(), Value::Int(id)), ("j".to_owned(), value)]),
        ..Row::default()
    };
    let rows = [row(1, Value::Json(Json::Null)), row(2, Value::Null)];
    let folder = tempfile::tempdir().unwrap();
    for format in [Format::Parquet, Format::Arrow, Format::Csv] {
        let path = file(folder.path(), format);
        write(&path, &schema, &rows).unwrap();
        assert_eq!(read(&path, Some(&schema)).unwrap(), rows);
    }
    let error = write(&file(folder.path(), Format::JsonLines), &schema, &rows).unwrap_err();
    assert!(
        error.to_string().starts_with("row 1, column 'j': expected JSON other than"),
        "{error}"
    );
}

/// Pieces become batches, batches row groups, and none of this shows in what is read.
#[test]
fn many_rows_are_read_in_the_pieces_asked_for() {
    let schema = with(Field::new("v", DataType::FloatVector { dim: 512 }));
    let row = |id: i64| Row {
        fields: BTreeMap::from([
            ("id".to_owned(), Value::Int(id)),
            ("v".to_owned(), Value::Vector(vec![id as f32; 512])),
        ]),
        ..Row::default()
    };
    let rows: Vec<Row> = (0..20_000).map(row).collect();
    let folder = tempfile::tempdir().unwrap();
    for format in [Format::Parquet, Format::Arrow] {
        let path = file(folder.path(), format);
        let mut writer = Writer::create(&path, format, &schema).unwrap();
        writer.write(&rows).unwrap();
        assert_eq!(writer.finish().unwrap(), 20_000);
        let mut reader = Reader::open(&path, None).unwrap();
        let mut left = &rows[..];
        for most in [1, 0, 8191, 3, 9000, 100_000] {
            let read = reader.read(most).unwrap().unwrap();
            assert_eq!(read.len(), most.max(1).min(left.len()));
            let (now, later) = left.split_at(read.len());
            assert!(now == read, "{format}");
            left = later;
        }
        assert_eq!(reader.read(1).unwrap(), None);
        assert_eq!(reader.read(1).unwrap(), None);
    }
}

#[test]
fn columns_have_the_types_that_people_expect() {
    let schema = every_type();
    let arrow = arrow_schema(&schema);
    assert_eq!(arrow.fields().len(), schema.fields.len() + 1);
    for (field, column) in schema.fields.iter().zip(arrow.fields()) {
        assert_eq!(column.name(), &field.name);
        assert_eq!(column.metadata()[TYPE_KEY], field.data_type.to_string());
        assert_eq!(column.is_nullable(), field.is_optional());
        let expected = match field.data_type {
            DataType::FloatVector { .. } | DataType::BFloat16Vector { .. } => {
                "FixedSizeList(3 x non-null Float32"
            }
            DataType::Float16Vector { .. } => "FixedSizeList(3 x non-null Float16",
            DataType::BinaryVector { .. } => "FixedSizeBinary(2)",
            DataType::Timestamptz => "Timestamp(µs, \"UTC\")",
            DataType::Array(Scalar::Int16) => "List(non-null Int16",
            DataType::SparseVector => "\"index\": non-null UInt32, \"value\": non-null Float32",
            DataType::Json | DataType::Geometry => "Utf8",
            _ => continue,
        };
        let found = column.data_type().to_string();
        assert!(found.contains(expected), "{found}, not {expected}");
    }
    assert_eq!(arrow.field_with_name("$meta").unwrap().data_type(), &ArrowType::Utf8);
    assert_eq!(embedded_schema(&arrow).unwrap(), Some(schema));
    assert_eq!(embedded_schema(&ArrowSchema::empty()).unwrap(), None);
    let mut spoilt = arrow;
    spoilt.metadata.insert(SCHEMA_KEY.to_owned(), r#"{"fields": []}"#.to_owned());
    assert!(embedded_schema(&spoilt).is_err());
}

#[test]
fn csv_is_what_it_says() {
    let mut schema = with(Field::new("s", DataType::Scalar(Scalar::VarChar)).nullable());
    schema.fields.push(Field::new("t", DataType::Timestamptz));
    schema.fields.push(Field::new("v", DataType::FloatVector { dim: 2 }));
    schema.dynamic = true;
    let rows = [
        json!({"id": 1, "s": "", "t": "2024-02-29T12:00:00Z", "v": [0.1, -0.0], "$meta": {"k": "x"}}),
        json!({"id": 2, "s": null, "t": "1969-12-31T23:59:59.999999Z", "v": [1, 2]}),
        json!({"id": 3, "s": "say \"a\nb\"", "t": "1970-01-01T00:00:00Z", "v": [1e30, 2]}),
    ];
    let rows: Vec<Row> = rows.iter().map(|row| Row::from_json(&schema, row).unwrap()).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), Format::Csv);
    write(&path, &schema, &rows).unwrap();
    let expected = "id,s,t,v,$meta\n\
        1,\"\",2024-02-29T12:00:00Z,\"[0.1,-0.0]\",\"{\"\"k\"\":\"\"x\"\"}\"\n\
        2,,1969-12-31T23:59:59.999999Z,\"[1.0,2.0]\",\n\
        3,\"say \"\"a\nb\"\"\",1970-01-01T00:00:00Z,\"[1e+30,2.0]\",\n";
    assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    // As spreadsheets write it: a byte order mark, line breaks of two characters, another order.
    let other = "\u{feff}v,t,id\r\n\"[1, 2]\",1970-01-01T01:00:00+01:00,4\r\n";
    std::fs::write(&path, other).unwrap();
    let row = json!({"id": 4, "t": "1970-01-01T00:00:00Z", "v": [1, 2]});
    assert_eq!(read(&path, Some(&schema)).unwrap(), [Row::from_json(&schema, &row).unwrap()]);
}
