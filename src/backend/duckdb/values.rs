//! Values on their way into DuckDB and out of it. The types decide, never the values: DuckDB would
//! store a string in an integer column if it looks like one.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryBuilder, BooleanArray, FixedSizeListArray,
    ListArray, PrimitiveArray, RecordBatch, StringArray, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    Field as ArrowField, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};
use arrow::error::ArrowError;
use duckdb::types::{ListType, ValueRef};
use half::{bf16, f16};
use serde_json::{Map, Value as Json};

use crate::backend::BackendError;
use crate::backend::digest::row_digest;
use crate::backend::row::{misfit, wrong};
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{Key, META, Row, Value};

/// The SQL type of a field's column.
pub(super) fn column_type(data_type: DataType) -> String {
    match data_type {
        DataType::Scalar(scalar) => scalar_type(scalar).to_owned(),
        DataType::Json => "JSON".to_owned(),
        DataType::Array(element) => format!("{}[]", scalar_type(element)),
        // Microseconds, as Milvus has them: DuckDB's own TIMESTAMPTZ needs its ICU extension to be
        // read and written as text, and would compare the same numbers.
        DataType::Timestamptz => "BIGINT".to_owned(),
        // Its spatial extension normalises what it reads; here every coordinate must come back.
        DataType::Geometry => "VARCHAR".to_owned(),
        // As JSON text, but not of the type JSON, which would be free to write numbers anew.
        DataType::StructArray => "VARCHAR".to_owned(),
        // Of a list, DuckDB unpacks all 2048 values of a block for the one that is asked for; of an
        // array only that one.
        DataType::FloatVector { dim } => format!("FLOAT[{dim}]"),
        DataType::Int8Vector { dim } => format!("TINYINT[{dim}]"),
        // Floats of 16 bits and sparse vectors it has none of: the bytes then.
        DataType::BinaryVector { .. }
        | DataType::Float16Vector { .. }
        | DataType::BFloat16Vector { .. }
        | DataType::SparseVector => "BLOB".to_owned(),
    }
}

fn scalar_type(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Bool => "BOOLEAN",
        Scalar::Int8 => "TINYINT",
        Scalar::Int16 => "SMALLINT",
        Scalar::Int32 => "INTEGER",
        Scalar::Int64 => "BIGINT",
        Scalar::Float => "FLOAT",
        Scalar::Double => "DOUBLE",
        Scalar::VarChar => "VARCHAR",
    }
}

/// Rows that have been checked, as columns.
pub(super) fn encode(schema: &Schema, rows: &[&Row]) -> Result<RecordBatch, ArrowError> {
    let mut arrays = Vec::with_capacity(schema.fields.len() + 1);
    for field in &schema.fields {
        let values: Vec<&Value> = rows.iter().map(|row| row.get(&field.name)).collect();
        arrays.push(array(field, &values)?);
    }
    if schema.dynamic {
        let objects = rows.iter().map(|row| serde_json::to_string(&row.dynamic).ok());
        arrays.push(Arc::new(objects.collect::<StringArray>()));
    }
    let digests = rows.iter().map(|row| row_digest(schema, row));
    arrays.push(Arc::new(digests.collect::<UInt64Array>()));
    // By position: DuckDB's names may be others.
    let arrays = arrays.into_iter().enumerate();
    RecordBatch::try_from_iter_with_nullable(
        arrays.map(|(at, array)| (at.to_string(), array, true)),
    )
}

fn array(field: &Field, values: &[&Value]) -> Result<ArrayRef, ArrowError> {
    let texts = |read: fn(&Value) -> String| -> ArrayRef {
        let texts = values.iter().map(|value| (**value != Value::Null).then(|| read(value)));
        Arc::new(texts.collect::<StringArray>())
    };
    Ok(match field.data_type {
        DataType::Scalar(scalar) => scalars(scalar, values),
        DataType::Timestamptz => primitives::<Int64Type>(values, |value| match value {
            Value::Timestamp(micros) => Some(*micros),
            _ => None,
        }),
        DataType::Json | DataType::StructArray => texts(|value| match value {
            Value::Json(json) => json.to_string(),
            value => value.to_json().to_string(),
        }),
        DataType::Geometry => texts(|value| match value {
            Value::Geometry(text) => text.clone(),
            value => value.to_string(),
        }),
        DataType::Array(element) => {
            let lists = values.iter().map(|value| match value {
                Value::Array(items) => items.as_slice(),
                _ => &[],
            });
            let offsets = OffsetBuffer::from_lengths(lists.clone().map(<[Value]>::len));
            let items: Vec<&Value> = lists.flatten().collect();
            let items = scalars(element, &items);
            let element = Arc::new(ArrowField::new_list_field(items.data_type().clone(), true));
            Arc::new(ListArray::try_new(element, offsets, items, nulls(values))?)
        }
        DataType::FloatVector { dim } => dense::<Float32Type>(dim, values, |value| match value {
            Value::Vector(items) => Some(items),
            _ => None,
        })?,
        DataType::Int8Vector { dim } => dense::<Int8Type>(dim, values, |value| match value {
            Value::Int8Vector(items) => Some(items),
            _ => None,
        })?,
        DataType::BinaryVector { .. }
        | DataType::Float16Vector { .. }
        | DataType::BFloat16Vector { .. }
        | DataType::SparseVector => {
            let mut bytes = BinaryBuilder::with_capacity(values.len(), 0);
            values.iter().for_each(|value| bytes.append_option(bytes_of(value)));
            Arc::new(bytes.finish())
        }
    })
}

fn scalars(scalar: Scalar, values: &[&Value]) -> ArrayRef {
    fn int<T: TryFrom<i64>>(value: &Value) -> Option<T> {
        match value {
            Value::Int(i) => T::try_from(*i).ok(),
            _ => None,
        }
    }
    match scalar {
        Scalar::Bool => {
            let bits = values.iter().map(|value| match value {
                Value::Bool(b) => Some(*b),
                _ => None,
            });
            Arc::new(bits.collect::<BooleanArray>())
        }
        Scalar::Int8 => primitives::<Int8Type>(values, int),
        Scalar::Int16 => primitives::<Int16Type>(values, int),
        Scalar::Int32 => primitives::<Int32Type>(values, int),
        Scalar::Int64 => primitives::<Int64Type>(values, int),
        Scalar::Float => primitives::<Float32Type>(values, |value| match value {
            Value::Float(x) => Some(*x),
            _ => None,
        }),
        Scalar::Double => primitives::<Float64Type>(values, |value| match value {
            Value::Double(x) => Some(*x),
            _ => None,
        }),
        Scalar::VarChar => {
            let texts = values.iter().map(|value| match value {
                Value::Text(text) => Some(text),
                _ => None,
            });
            Arc::new(texts.collect::<StringArray>())
        }
    }
}

fn primitives<T: ArrowPrimitiveType>(
    values: &[&Value],
    read: impl Fn(&Value) -> Option<T::Native>,
) -> ArrayRef {
    Arc::new(values.iter().map(|value| read(value)).collect::<PrimitiveArray<T>>())
}

fn dense<T: ArrowPrimitiveType>(
    dim: u16,
    values: &[&Value],
    read: impl Fn(&Value) -> Option<&Vec<T::Native>>,
) -> Result<ArrayRef, ArrowError> {
    let mut items: Vec<T::Native> = Vec::with_capacity(usize::from(dim) * values.len());
    for value in values {
        match read(value) {
            Some(vector) => items.extend(vector),
            None => items.resize(items.len() + usize::from(dim), T::Native::default()),
        }
    }
    let items = PrimitiveArray::<T>::new(items.into(), None);
    let element = Arc::new(ArrowField::new_list_field(T::DATA_TYPE, true));
    let items = Arc::new(items);
    Ok(Arc::new(FixedSizeListArray::try_new(element, dim.into(), items, nulls(values))?))
}

fn bytes_of(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::BinaryVector(bytes) => Some(bytes.clone()),
        Value::Float16Vector(items) => Some(items.iter().flat_map(|x| x.to_le_bytes()).collect()),
        Value::BFloat16Vector(items) => Some(items.iter().flat_map(|x| x.to_le_bytes()).collect()),
        Value::SparseVector(values) => {
            let pairs = values.iter().flat_map(|(at, x)| [at.to_le_bytes(), x.to_le_bytes()]);
            Some(pairs.flatten().collect())
        }
        _ => None,
    }
}

fn nulls(values: &[&Value]) -> Option<NullBuffer> {
    let nulls: NullBuffer = values.iter().map(|value| **value != Value::Null).collect();
    Some(nulls).filter(|nulls| nulls.null_count() > 0)
}

/// A column's value as the field's.
pub(super) fn decode(field: &Field, value: ValueRef<'_>) -> Result<Value, BackendError> {
    decoded(field, value).ok_or_else(|| misfit(field, format_args!("{value:?}")))
}

fn decoded(field: &Field, value: ValueRef<'_>) -> Option<Value> {
    match (field.data_type, value) {
        (_, ValueRef::Null) => Some(Value::Null),
        (DataType::Scalar(scalar), value) => decode_scalar(scalar, value),
        (DataType::Json, ValueRef::Text(json)) => {
            serde_json::from_slice(json).ok().map(Value::Json)
        }
        (DataType::Array(element), ValueRef::List(ListType::Regular(lists), at)) => {
            let items = lists.value(at);
            let item = |at| decode_item(element, &items, at);
            (0..items.len()).map(item).collect::<Option<_>>().map(Value::Array)
        }
        (DataType::Timestamptz, ValueRef::BigInt(micros)) => Some(Value::Timestamp(micros)),
        (DataType::Geometry, ValueRef::Text(wkt)) => text(wkt).map(Value::Geometry),
        (DataType::StructArray, ValueRef::Text(json)) => {
            let json = serde_json::from_slice(json).ok()?;
            Value::from_json(field, &json).ok()
        }
        (DataType::FloatVector { .. }, ValueRef::Array(vectors, at)) => {
            vector::<Float32Type>(vectors, at).map(Value::Vector)
        }
        (DataType::Int8Vector { .. }, ValueRef::Array(vectors, at)) => {
            vector::<Int8Type>(vectors, at).map(Value::Int8Vector)
        }
        (DataType::BinaryVector { .. }, ValueRef::Blob(bytes)) => {
            Some(Value::BinaryVector(bytes.to_vec()))
        }
        (DataType::Float16Vector { .. }, ValueRef::Blob(bytes)) => {
            let (items, _) = bytes.as_chunks();
            Some(Value::Float16Vector(items.iter().map(|b| f16::from_le_bytes(*b)).collect()))
        }
        (DataType::BFloat16Vector { .. }, ValueRef::Blob(bytes)) => {
            let (items, _) = bytes.as_chunks();
            Some(Value::BFloat16Vector(items.iter().map(|b| bf16::from_le_bytes(*b)).collect()))
        }
        (DataType::SparseVector, ValueRef::Blob(bytes)) => {
            let (pairs, _) = bytes.as_chunks::<8>();
            let pair = |[a, b, c, d, e, f, g, h]: &[u8; 8]| {
                (u32::from_le_bytes([*a, *b, *c, *d]), f32::from_le_bytes([*e, *f, *g, *h]))
            };
            Some(Value::SparseVector(pairs.iter().map(pair).collect()))
        }
        _ => None,
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

fn decode_scalar(scalar: Scalar, value: ValueRef<'_>) -> Option<Value> {
    match (scalar, value) {
        (Scalar::Bool, ValueRef::Boolean(b)) => Some(Value::Bool(b)),
        (Scalar::Int8, ValueRef::TinyInt(i)) => Some(Value::Int(i.into())),
        (Scalar::Int16, ValueRef::SmallInt(i)) => Some(Value::Int(i.into())),
        (Scalar::Int32, ValueRef::Int(i)) => Some(Value::Int(i.into())),
        (Scalar::Int64, ValueRef::BigInt(i)) => Some(Value::Int(i)),
        (Scalar::Float, ValueRef::Float(x)) => Some(Value::Float(x)),
        (Scalar::Double, ValueRef::Double(x)) => Some(Value::Double(x)),
        (Scalar::VarChar, ValueRef::Text(s)) => text(s).map(Value::Text),
        _ => None,
    }
}

fn decode_item(scalar: Scalar, items: &ArrayRef, at: usize) -> Option<Value> {
    fn number<T: ArrowPrimitiveType>(items: &ArrayRef, at: usize) -> Option<T::Native> {
        items.as_primitive_opt::<T>().map(|items| items.value(at))
    }
    if items.is_null(at) {
        return None;
    }
    match scalar {
        Scalar::Bool => items.as_boolean_opt().map(|items| Value::Bool(items.value(at))),
        Scalar::Int8 => number::<Int8Type>(items, at).map(|i| Value::Int(i.into())),
        Scalar::Int16 => number::<Int16Type>(items, at).map(|i| Value::Int(i.into())),
        Scalar::Int32 => number::<Int32Type>(items, at).map(|i| Value::Int(i.into())),
        Scalar::Int64 => number::<Int64Type>(items, at).map(Value::Int),
        Scalar::Float => number::<Float32Type>(items, at).map(Value::Float),
        Scalar::Double => number::<Float64Type>(items, at).map(Value::Double),
        Scalar::VarChar => {
            items.as_string_opt::<i32>().map(|items| Value::Text(items.value(at).to_owned()))
        }
    }
}

fn vector<T: ArrowPrimitiveType>(
    vectors: &FixedSizeListArray,
    at: usize,
) -> Option<Vec<T::Native>> {
    let items = vectors.value(at);
    let items = items.as_primitive_opt::<T>().filter(|items| items.null_count() == 0)?;
    Some(items.values().to_vec())
}

/// The dynamic field's column.
pub(super) fn decode_dynamic(value: ValueRef<'_>) -> Result<Map<String, Json>, BackendError> {
    let object = match value {
        ValueRef::Text(json) => serde_json::from_slice(json).ok(),
        _ => None,
    };
    object.ok_or_else(|| wrong(META, "a JSON object", format_args!("{value:?}")))
}

/// The key's column.
pub(super) fn decode_key(field: &Field, value: ValueRef<'_>) -> Result<Key, BackendError> {
    let key = match value {
        ValueRef::BigInt(i) => Some(Key::Int(i)),
        ValueRef::Text(s) => text(s).map(Key::Text),
        _ => None,
    };
    key.ok_or_else(|| misfit(field, format_args!("{value:?}")))
}
