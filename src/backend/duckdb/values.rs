//! Values on their way into DuckDB and out of it. The types decide, never the values: DuckDB would
//! store a string in an integer column if it looks like one.

use duckdb::types::Value as Duck;
use half::{bf16, f16};
use serde_json::{Map, Value as Json};

use crate::backend::BackendError;
use crate::backend::row::{checked, misfit, wrong};
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
        DataType::FloatVector { .. } => "FLOAT[]".to_owned(),
        DataType::Int8Vector { .. } => "TINYINT[]".to_owned(),
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

/// A row's key, and its values in the order of the columns.
pub(super) fn encode_row(schema: &Schema, row: &Row) -> Result<(Key, Vec<Duck>), BackendError> {
    let key = checked(schema, row)?;
    let mut columns = Vec::with_capacity(schema.fields.len() + 1);
    for field in &schema.fields {
        let value = row.get(&field.name);
        columns.push(encode(field, value).ok_or_else(|| misfit(field, value))?);
    }
    if schema.dynamic {
        columns.push(Duck::Text(Json::Object(row.dynamic.clone()).to_string()));
    }
    Ok((key, columns))
}

fn encode(field: &Field, value: &Value) -> Option<Duck> {
    match (field.data_type, value) {
        (_, Value::Null) => Some(Duck::Null),
        (DataType::Scalar(scalar), value) => encode_scalar(scalar, value),
        (DataType::Json, Value::Json(json)) => Some(Duck::Text(json.to_string())),
        (DataType::Array(element), Value::Array(items)) => {
            let items = items.iter().map(|item| encode_scalar(element, item));
            items.collect::<Option<_>>().map(Duck::List)
        }
        (_, Value::Timestamp(micros)) => Some(Duck::BigInt(*micros)),
        (_, Value::Geometry(text)) => Some(Duck::Text(text.clone())),
        (_, Value::Structs(_)) => Some(Duck::Text(value.to_json().to_string())),
        (_, Value::Vector(items)) => {
            Some(Duck::List(items.iter().copied().map(Duck::Float).collect()))
        }
        (_, Value::Int8Vector(items)) => {
            Some(Duck::List(items.iter().copied().map(Duck::TinyInt).collect()))
        }
        (_, Value::BinaryVector(bytes)) => Some(Duck::Blob(bytes.clone())),
        (_, Value::Float16Vector(items)) => {
            Some(Duck::Blob(items.iter().flat_map(|x| x.to_le_bytes()).collect()))
        }
        (_, Value::BFloat16Vector(items)) => {
            Some(Duck::Blob(items.iter().flat_map(|x| x.to_le_bytes()).collect()))
        }
        (_, Value::SparseVector(values)) => {
            let pairs = values.iter().flat_map(|(at, x)| [at.to_le_bytes(), x.to_le_bytes()]);
            Some(Duck::Blob(pairs.flatten().collect()))
        }
        _ => None,
    }
}

fn encode_scalar(scalar: Scalar, value: &Value) -> Option<Duck> {
    match (scalar, value) {
        (Scalar::Bool, Value::Bool(b)) => Some(Duck::Boolean(*b)),
        (Scalar::Int8, Value::Int(i)) => i8::try_from(*i).ok().map(Duck::TinyInt),
        (Scalar::Int16, Value::Int(i)) => i16::try_from(*i).ok().map(Duck::SmallInt),
        (Scalar::Int32, Value::Int(i)) => i32::try_from(*i).ok().map(Duck::Int),
        (Scalar::Int64, Value::Int(i)) => Some(Duck::BigInt(*i)),
        (Scalar::Float, Value::Float(x)) => Some(Duck::Float(*x)),
        (Scalar::Double, Value::Double(x)) => Some(Duck::Double(*x)),
        (Scalar::VarChar, Value::Text(s)) => Some(Duck::Text(s.clone())),
        _ => None,
    }
}

/// A column's value as the field's.
pub(super) fn decode(field: &Field, value: Duck) -> Result<Value, BackendError> {
    let decoded = match (field.data_type, &value) {
        (_, Duck::Null) => Some(Value::Null),
        (DataType::Scalar(scalar), value) => decode_scalar(scalar, value),
        (DataType::Json, Duck::Text(json)) => serde_json::from_str(json).ok().map(Value::Json),
        (DataType::Array(element), Duck::List(items)) => {
            let items = items.iter().map(|item| decode_scalar(element, item));
            items.collect::<Option<_>>().map(Value::Array)
        }
        (DataType::Timestamptz, Duck::BigInt(micros)) => Some(Value::Timestamp(*micros)),
        (DataType::Geometry, Duck::Text(text)) => Some(Value::Geometry(text.clone())),
        (DataType::StructArray, Duck::Text(json)) => {
            serde_json::from_str(json).ok().and_then(|json| Value::from_json(field, &json).ok())
        }
        (DataType::FloatVector { .. }, Duck::List(items)) => {
            let items = items.iter().map(|item| match item {
                Duck::Float(x) => Some(*x),
                _ => None,
            });
            items.collect::<Option<_>>().map(Value::Vector)
        }
        (DataType::Int8Vector { .. }, Duck::List(items)) => {
            let items = items.iter().map(|item| match item {
                Duck::TinyInt(x) => Some(*x),
                _ => None,
            });
            items.collect::<Option<_>>().map(Value::Int8Vector)
        }
        (DataType::BinaryVector { .. }, Duck::Blob(bytes)) => {
            Some(Value::BinaryVector(bytes.clone()))
        }
        (DataType::Float16Vector { .. }, Duck::Blob(bytes)) => {
            let (items, _) = bytes.as_chunks();
            Some(Value::Float16Vector(items.iter().map(|b| f16::from_le_bytes(*b)).collect()))
        }
        (DataType::BFloat16Vector { .. }, Duck::Blob(bytes)) => {
            let (items, _) = bytes.as_chunks();
            Some(Value::BFloat16Vector(items.iter().map(|b| bf16::from_le_bytes(*b)).collect()))
        }
        (DataType::SparseVector, Duck::Blob(bytes)) => {
            let (pairs, _) = bytes.as_chunks::<8>();
            let pair = |[a, b, c, d, e, f, g, h]: &[u8; 8]| {
                (u32::from_le_bytes([*a, *b, *c, *d]), f32::from_le_bytes([*e, *f, *g, *h]))
            };
            Some(Value::SparseVector(pairs.iter().map(pair).collect()))
        }
        _ => None,
    };
    decoded.ok_or_else(|| misfit(field, format_args!("{value:?}")))
}

fn decode_scalar(scalar: Scalar, value: &Duck) -> Option<Value> {
    match (scalar, value) {
        (Scalar::Bool, Duck::Boolean(b)) => Some(Value::Bool(*b)),
        (Scalar::Int8, Duck::TinyInt(i)) => Some(Value::Int((*i).into())),
        (Scalar::Int16, Duck::SmallInt(i)) => Some(Value::Int((*i).into())),
        (Scalar::Int32, Duck::Int(i)) => Some(Value::Int((*i).into())),
        (Scalar::Int64, Duck::BigInt(i)) => Some(Value::Int(*i)),
        (Scalar::Float, Duck::Float(x)) => Some(Value::Float(*x)),
        (Scalar::Double, Duck::Double(x)) => Some(Value::Double(*x)),
        (Scalar::VarChar, Duck::Text(s)) => Some(Value::Text(s.clone())),
        _ => None,
    }
}

/// The dynamic field's column.
pub(super) fn decode_dynamic(value: Duck) -> Result<Map<String, Json>, BackendError> {
    let object = match &value {
        Duck::Text(json) => serde_json::from_str(json).ok(),
        _ => None,
    };
    object.ok_or_else(|| wrong(META, "a JSON object", format_args!("{value:?}")))
}

/// The key's column.
pub(super) fn decode_key(field: &Field, value: Duck) -> Result<Key, BackendError> {
    match value {
        Duck::BigInt(i) => Ok(Key::Int(i)),
        Duck::Text(s) => Ok(Key::Text(s)),
        other => Err(misfit(field, format_args!("{other:?}"))),
    }
}
