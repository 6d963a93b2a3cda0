//! Files that other programs have written, or would.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, DictionaryArray, FixedSizeListArray, Float32Builder, Float64Array,
    Int32Array, Int64Array, LargeListArray, LargeStringArray, ListArray, MapBuilder, RecordBatch,
    StringViewArray, TimestampMillisecondArray, TimestampNanosecondArray, UInt8Array,
    UInt32Builder, UInt64Array,
};
use arrow::datatypes::{Float32Type, Float64Type, Int32Type, Int64Type, UInt8Type};
use arrow_ipc::writer::FileWriter;
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use serde_json::json;

use super::{read, with};
use crate::dump::{DumpError, Reader, from_batch};
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::Row;

fn foreign() -> (Schema, RecordBatch, Vec<Row>) {
    let scalar = |name: &str, scalar| Field::new(name, DataType::Scalar(scalar));
    let mut schema = with(scalar("small", Scalar::Int8));
    schema.fields.extend([
        scalar("word", Scalar::VarChar).nullable(),
        scalar("text", Scalar::VarChar),
        scalar("x", Scalar::Float),
        scalar("absent", Scalar::Bool).nullable(),
        Field::new("json", DataType::Json),
        Field::new("at", DataType::Timestamptz),
        Field::new("nanos", DataType::Timestamptz),
        Field::new("array", DataType::Array(Scalar::Int16)).nullable(),
        Field::new("vec", DataType::FloatVector { dim: 2 }),
        Field::new("half", DataType::Float16Vector { dim: 2 }),
        Field::new("brain", DataType::BFloat16Vector { dim: 2 }),
        Field::new("bits", DataType::BinaryVector { dim: 16 }),
        Field::new("bytes", DataType::BinaryVector { dim: 16 }),
        Field::new("sparse", DataType::SparseVector),
    ]);
    let array = |list: ArrayRef| list;
    let mut sparse = MapBuilder::new(None, UInt32Builder::new(), Float32Builder::new());
    for at in [3, 1] {
        sparse.keys().append_value(at);
        sparse.values().append_value(0.5);
        sparse.append(true).unwrap();
    }
    let list = [Some(vec![Some(1i64), Some(2)]), None];
    let vec = [Some(vec![Some(0.5f64), Some(1.0)]), Some(vec![Some(2.0), Some(-0.0)])];
    let half = [Some(vec![Some(0.5f32), Some(1.0)]), Some(vec![Some(2.0), Some(0.25)])];
    let bytes = [Some(vec![Some(1u8), Some(2)]), Some(vec![Some(255), Some(0)])];
    let words: DictionaryArray<Int32Type> = [Some("a"), None].into_iter().collect();
    let millis = TimestampMillisecondArray::from(vec![0, -1]).with_timezone("+02:00");
    let nanos = TimestampNanosecondArray::from(vec![1000, -2000]).with_timezone("UTC");
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("vec", array(Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(vec))), true),
        ("id", array(Arc::new(Int32Array::from(vec![1, 2]))), true),
        ("small", array(Arc::new(UInt64Array::from(vec![127, 0]))), true),
        ("word", array(Arc::new(words)), true),
        ("text", array(Arc::new(LargeStringArray::from(vec!["", "b"]))), true),
        ("x", array(Arc::new(Float64Array::from(vec![0.5, -0.0]))), true),
        ("json", array(Arc::new(StringViewArray::from(vec![r#"{"a": 1}"#, "[1.0]"]))), true),
        ("at", array(Arc::new(millis)), true),
        ("nanos", array(Arc::new(nanos)), true),
        ("array", Arc::new(LargeListArray::from_iter_primitive::<Int64Type, _, _>(list)), true),
        ("half", Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(half.clone())), true),
        (
            "brain",
            Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(half, 2)),
            true,
        ),
        ("bits", Arc::new(BinaryArray::from(vec![&b"ab"[..], b"cd"])), true),
        ("bytes", Arc::new(ListArray::from_iter_primitive::<UInt8Type, _, _>(bytes)), true),
        ("sparse", Arc::new(sparse.finish()), true),
    ])
    .unwrap();
    let rows = [
        json!({
            "id": 1, "small": 127, "word": "a", "text": "", "x": 0.5, "json": {"a": 1},
            "at": "1970-01-01T00:00:00Z", "nanos": "1970-01-01T00:00:00.000001Z", "array": [1, 2],
            "vec": [0.5, 1], "half": [0.5, 1], "brain": [0.5, 1], "bits": [97, 98], "bytes": [1, 2],
            "sparse": {"3": 0.5},
        }),
        json!({
            "id": 2, "small": 0, "word": null, "text": "b", "x": -0.0, "json": [1.0],
            "at": "1969-12-31T23:59:59.999Z", "nanos": "1969-12-31T23:59:59.999998Z", "array": null,
            "vec": [2, -0.0], "half": [2, 0.25], "brain": [2, 0.25], "bits": [99, 100],
            "bytes": [255, 0], "sparse": {"1": 0.5},
        }),
    ];
    let rows = rows.iter().map(|row| Row::from_json(&schema, row).unwrap()).collect();
    (schema, batch, rows)
}

#[test]
fn a_parquet_file_without_a_schema_of_ours_is_read_with_one() {
    let (schema, batch, rows) = foreign();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    for skip in [false, true] {
        let options = ArrowWriterOptions::new().with_skip_arrow_metadata(skip);
        let file = File::create(&path).unwrap();
        let writer = ArrowWriter::try_new_with_options(file, batch.schema(), options);
        let mut writer = writer.unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        assert_eq!(read(&path, Some(&schema)).unwrap(), rows);
        let error = Reader::open(&path, None).err().unwrap();
        assert!(matches!(error, DumpError::NoSchema { .. }), "{error}");
    }
}

#[test]
fn an_arrow_file_without_a_schema_of_ours_is_read_with_one() {
    let (schema, batch, rows) = foreign();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.feather");
    let mut writer = FileWriter::try_new(File::create(&path).unwrap(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    assert_eq!(read(&path, Some(&schema)).unwrap(), rows);
    assert!(matches!(Reader::open(&path, None), Err(DumpError::NoSchema { .. })));
}

/// The message with which a column `c` is refused as a field of some type.
fn refusal(data_type: DataType, column: impl arrow::array::Array + 'static) -> String {
    let ids = Arc::new(Int64Array::from_iter_values(0..column.len() as i64));
    let columns: [(&str, ArrayRef); 2] = [("id", ids), ("c", Arc::new(column))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    from_batch(&with(Field::new("c", data_type)), &batch).unwrap_err().to_string()
}

#[test]
fn nothing_is_converted_with_a_loss() {
    let scalar = DataType::Scalar;
    for (data_type, column, message) in [
        (
            scalar(Scalar::Float),
            Arc::new(Float64Array::from(vec![0.5, 0.1])) as ArrayRef,
            "row 2, column 'c': expected FLOAT, found 0.1, which is finer",
        ),
        (
            scalar(Scalar::Double),
            Arc::new(Float64Array::from(vec![f64::NAN])),
            "row 1, column 'c': expected DOUBLE, found null",
        ),
        (
            scalar(Scalar::Int64),
            Arc::new(UInt64Array::from(vec![u64::MAX])),
            "row 1, column 'c': expected INT64, found 18446744073709551615",
        ),
        (
            scalar(Scalar::Int64),
            Arc::new(Int64Array::from(vec![Some(1), None])),
            "row 2, column 'c': expected INT64, found null",
        ),
        (
            DataType::Json,
            Arc::new(StringViewArray::from(vec!["{"])),
            "row 1, column 'c': expected JSON, found no JSON (EOF while parsing an object at line",
        ),
        (
            DataType::Timestamptz,
            Arc::new(TimestampNanosecondArray::from(vec![1]).with_timezone("UTC")),
            "row 1, column 'c': expected TIMESTAMPTZ, found 1 Nanoseconds since 1970",
        ),
        (
            DataType::Timestamptz,
            Arc::new(TimestampMillisecondArray::from(vec![1])),
            "column 'c' has the Arrow type Timestamp(ms): expected TIMESTAMPTZ, which is \
             Timestamp(µs, \"UTC\") or converts to it without loss",
        ),
        (
            scalar(Scalar::VarChar),
            Arc::new(UInt8Array::from(vec![1])),
            "column 'c' has the Arrow type UInt8: expected VARCHAR, which is Utf8 or converts",
        ),
        (
            scalar(Scalar::Bool),
            Arc::new(UInt8Array::from(vec![1])),
            "column 'c' has the Arrow type UInt8: expected BOOL, which is Boolean or converts",
        ),
        (
            DataType::FloatVector { dim: 2 },
            Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>([Some(vec![Some(1.0)])])),
            "row 1, column 'c': expected FLOAT_VECTOR(2), found [1.0]",
        ),
        (
            DataType::FloatVector { dim: 1 },
            Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>([Some(vec![None])])),
            "row 1, column 'c': expected FLOAT_VECTOR(1), found a null among its values",
        ),
        (
            DataType::BFloat16Vector { dim: 1 },
            Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>([Some(vec![Some(0.1)])])),
            "row 1, column 'c': expected BFLOAT16_VECTOR(1), found 0.1, which is finer",
        ),
        (
            DataType::Array(Scalar::Int8),
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(128)])])),
            "row 1, column 'c': expected ARRAY<INT8>, found [128]",
        ),
        (
            DataType::Array(Scalar::Int64),
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![None])])),
            "row 1, column 'c': expected ARRAY<INT64>, found [null]",
        ),
        (
            DataType::SparseVector,
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![None])])),
            "column 'c' has the Arrow type List(Int64): expected SPARSE_FLOAT_VECTOR, which is List",
        ),
    ] {
        let error = refusal(data_type, column);
        assert!(error.starts_with(message), "{error}");
    }
}
