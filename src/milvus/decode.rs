//! Columns of the protocol as rows.
//!
//! Three ways of writing the same thing are understood: validity on the field or on its data,
//! values compacted to the valid ones or padded, and an empty array without any data (which is how
//! C++ servers send it).

use std::collections::BTreeMap;

use half::{bf16, f16};
use milvus::proto::schema::field_data::Field as Payload;
use milvus::proto::schema::scalar_field::Data;
use milvus::proto::schema::vector_field::Data as VectorData;
use milvus::proto::schema::{FieldData, ScalarField, VectorField};
use serde_json::Value as Json;

use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{META, Row, Value};

/// The rows of a query's answer. Every field of the schema must be there.
pub(super) fn rows(schema: &Schema, columns: &[FieldData]) -> Result<Vec<Row>, String> {
    let key = column(columns, &schema.primary().name);
    // Lite answers a query without matches with no columns, or with empty ones.
    let Some(key) = key else {
        return if columns.iter().all(|column| length(column) == 0) {
            Ok(Vec::new())
        } else {
            Err("the key column is missing".to_owned())
        };
    };
    let mut rows = vec![Row::default(); length(key)];
    if rows.is_empty() {
        return Ok(rows);
    }
    for field in &schema.fields {
        let column = column(columns, &field.name)
            .ok_or_else(|| format!("the column '{}' is missing", field.name))?;
        let values = values(field, column)
            .ok_or_else(|| format!("the column '{}' is not {}", field.name, field.data_type))?;
        if values.len() != rows.len() {
            let (values, rows) = (values.len(), rows.len());
            return Err(format!("the column '{}' has {values} values for {rows} rows", field.name));
        }
        for (row, value) in rows.iter_mut().zip(values) {
            row.fields.insert(field.name.clone(), value);
        }
    }
    if schema.dynamic {
        let column = columns.iter().find(|column| column.is_dynamic || column.field_name == META);
        let column = column.ok_or("the dynamic column is missing")?;
        let field = Field::new(META, DataType::Json);
        let values = values(&field, column).ok_or("the dynamic column is not JSON")?;
        if values.len() != rows.len() {
            return Err("the dynamic column has another number of rows".to_owned());
        }
        for (row, value) in rows.iter_mut().zip(values) {
            match value {
                Value::Json(Json::Object(members)) => row.dynamic = members,
                Value::Null => {}
                _ => return Err("the dynamic field of a row is not an object".to_owned()),
            }
        }
    }
    Ok(rows)
}

/// The number in the answer to `count(*)`.
pub(super) fn count(columns: &[FieldData]) -> Result<u64, String> {
    let data = columns.iter().find_map(|column| match &column.field {
        Some(Payload::Scalars(ScalarField { data: Some(Data::LongData(longs)), .. })) => {
            longs.data.first()
        }
        _ => None,
    });
    let count = data.ok_or("there is no number in it")?;
    u64::try_from(*count).map_err(|_| format!("the count is {count}"))
}

fn column<'a>(columns: &'a [FieldData], name: &str) -> Option<&'a FieldData> {
    columns.iter().find(|column| column.field_name == name)
}

/// How many rows a column covers, from its validity or its values.
fn length(column: &FieldData) -> usize {
    let valid = validity(column);
    if !valid.is_empty() {
        return valid.len();
    }
    match &column.field {
        Some(Payload::Scalars(ScalarField { data: Some(data), .. })) => match data {
            Data::BoolData(a) => a.data.len(),
            Data::IntData(a) => a.data.len(),
            Data::LongData(a) => a.data.len(),
            Data::FloatData(a) => a.data.len(),
            Data::DoubleData(a) => a.data.len(),
            Data::StringData(a) => a.data.len(),
            Data::JsonData(a) => a.data.len(),
            Data::ArrayData(a) => a.data.len(),
            _ => 0,
        },
        _ => 0,
    }
}

fn validity(column: &FieldData) -> &[bool] {
    match &column.field {
        Some(Payload::Scalars(scalars)) if !scalars.valid_data.is_empty() => &scalars.valid_data,
        _ => &column.valid_data,
    }
}

/// One value a row; `None` if the column holds another type.
fn values(field: &Field, column: &FieldData) -> Option<Vec<Value>> {
    let present = match (&field.data_type, &column.field) {
        (data_type, Some(Payload::Vectors(data))) => vectors(*data_type, data)?,
        (DataType::StructArray, Some(Payload::StructArrays(data))) => structs(field, &data.fields)?,
        (DataType::Timestamptz, Some(Payload::Scalars(data))) => match &data.data {
            Some(Data::TimestamptzData(moments)) => {
                moments.data.iter().copied().map(Value::Timestamp).collect()
            }
            Some(Data::StringData(texts)) => {
                let valid = validity(column);
                let moment = |(i, text): (usize, &String)| {
                    // Padding under a null need not be a moment.
                    let null = valid.len() == texts.data.len() && !valid[i];
                    if null { Some(Value::Null) } else { Value::timestamp(text) }
                };
                texts.data.iter().enumerate().map(moment).collect::<Option<_>>()?
            }
            None => Vec::new(),
            _ => return None,
        },
        (DataType::Geometry, Some(Payload::Scalars(data))) => match &data.data {
            Some(Data::GeometryWktData(texts)) => {
                texts.data.iter().cloned().map(Value::Geometry).collect()
            }
            Some(Data::StringData(texts)) => {
                texts.data.iter().cloned().map(Value::Geometry).collect()
            }
            None => Vec::new(),
            _ => return None,
        },
        (DataType::Scalar(scalar), Some(Payload::Scalars(data))) => scalars(*scalar, data)?,
        (DataType::Json, Some(Payload::Scalars(data))) => match &data.data {
            Some(Data::JsonData(documents)) => {
                let valid = validity(column);
                let parse = |(i, bytes): (usize, &Vec<u8>)| {
                    // Padding under a null need not be JSON.
                    let null = valid.len() == documents.data.len() && !valid[i];
                    if null {
                        return Some(Value::Null);
                    }
                    serde_json::from_slice(bytes).ok().map(Value::Json)
                };
                documents.data.iter().enumerate().map(parse).collect::<Option<_>>()?
            }
            None => Vec::new(),
            _ => return None,
        },
        (DataType::Array(element), Some(Payload::Scalars(data))) => match &data.data {
            Some(Data::ArrayData(arrays)) => {
                let arrays = arrays.data.iter();
                arrays.map(|a| scalars(*element, a).map(Value::Array)).collect::<Option<_>>()?
            }
            None => Vec::new(),
            _ => return None,
        },
        // No data at all: a column of nothing but nulls.
        (_, None) => Vec::new(),
        _ => return None,
    };
    spread(present, validity(column))
}

fn scalars(scalar: Scalar, field: &ScalarField) -> Option<Vec<Value>> {
    let Some(data) = &field.data else { return Some(Vec::new()) };
    Some(match (scalar, data) {
        (Scalar::Bool, Data::BoolData(a)) => a.data.iter().map(|b| Value::Bool(*b)).collect(),
        (Scalar::Int8 | Scalar::Int16 | Scalar::Int32, Data::IntData(a)) => {
            a.data.iter().map(|i| Value::Int(i64::from(*i))).collect()
        }
        (Scalar::Int64, Data::LongData(a)) => a.data.iter().map(|i| Value::Int(*i)).collect(),
        (Scalar::Float, Data::FloatData(a)) => a.data.iter().map(|x| Value::Float(*x)).collect(),
        (Scalar::Double, Data::DoubleData(a)) => a.data.iter().map(|x| Value::Double(*x)).collect(),
        (Scalar::VarChar, Data::StringData(a)) => {
            a.data.iter().map(|s| Value::Text(s.clone())).collect()
        }
        _ => return None,
    })
}

fn vectors(data_type: DataType, field: &VectorField) -> Option<Vec<Value>> {
    let Some(data) = &field.data else { return Some(Vec::new()) };
    let dim = data_type.dim().unwrap_or_default() as usize;
    // The bytes or numbers of each vector; `None` if the last is incomplete.
    fn whole<T>(items: &[T], each: usize) -> Option<std::slice::ChunksExact<'_, T>> {
        let chunks = items.chunks_exact(each.max(1));
        chunks.remainder().is_empty().then_some(chunks)
    }
    fn pairs(bytes: &[u8]) -> impl Iterator<Item = [u8; 2]> + '_ {
        bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]])
    }
    Some(match (data_type, data) {
        (DataType::FloatVector { .. }, VectorData::FloatVector(floats)) => {
            whole(&floats.data, dim)?.map(|v| Value::Vector(v.to_vec())).collect()
        }
        (DataType::BinaryVector { .. }, VectorData::BinaryVector(bytes)) => {
            whole(bytes, dim / 8)?.map(|v| Value::BinaryVector(v.to_vec())).collect()
        }
        (DataType::Float16Vector { .. }, VectorData::Float16Vector(bytes)) => {
            whole(bytes, 2 * dim)?
                .map(|v| Value::Float16Vector(pairs(v).map(f16::from_le_bytes).collect()))
                .collect()
        }
        (DataType::BFloat16Vector { .. }, VectorData::Bfloat16Vector(bytes)) => {
            whole(bytes, 2 * dim)?
                .map(|v| Value::BFloat16Vector(pairs(v).map(bf16::from_le_bytes).collect()))
                .collect()
        }
        (DataType::Int8Vector { .. }, VectorData::Int8Vector(bytes)) => whole(bytes, dim)?
            .map(|v| Value::Int8Vector(v.iter().map(|b| b.cast_signed()).collect()))
            .collect(),
        (DataType::SparseVector, VectorData::SparseFloatVector(vectors)) => {
            vectors.contents.iter().map(|bytes| sparse(bytes)).collect::<Option<_>>()?
        }
        _ => return None,
    })
}

/// Pairs of an index and a float, 32 bits each, little-endian.
fn sparse(bytes: &[u8]) -> Option<Value> {
    let mut values = BTreeMap::new();
    let chunks = bytes.chunks_exact(8);
    if !chunks.remainder().is_empty() {
        return None;
    }
    for chunk in chunks {
        let (at, x) = chunk.split_first_chunk()?;
        let x = f32::from_le_bytes(x.try_into().ok()?);
        // An index twice is no vector.
        if values.insert(u32::from_le_bytes(*at), x).is_some() {
            return None;
        }
    }
    Some(Value::SparseVector(values))
}

/// One list of structs a row, from one array a row and member.
fn structs(field: &Field, columns: &[FieldData]) -> Option<Vec<Value>> {
    let mut rows: Vec<Vec<BTreeMap<String, Value>>> = Vec::new();
    for (i, member) in field.members.iter().enumerate() {
        let DataType::Scalar(element) = member.data_type else { return None };
        // Servers prefix the name of the array to tell members apart.
        let qualified = format!("{}[{}]", field.name, member.name);
        let column = columns
            .iter()
            .find(|column| column.field_name == member.name || column.field_name == qualified)?;
        let Some(Payload::Scalars(ScalarField { data: Some(Data::ArrayData(arrays)), .. })) =
            &column.field
        else {
            return None;
        };
        if i == 0 {
            rows.resize(arrays.data.len(), Vec::new());
        }
        if arrays.data.len() != rows.len() {
            return None;
        }
        for (row, array) in rows.iter_mut().zip(&arrays.data) {
            let values = scalars(element, array)?;
            if i == 0 {
                row.resize(values.len(), BTreeMap::new());
            }
            if values.len() != row.len() {
                return None;
            }
            for (members, value) in row.iter_mut().zip(values) {
                members.insert(member.name.clone(), value);
            }
        }
    }
    Some(rows.into_iter().map(Value::Structs).collect())
}

/// Puts the nulls back between the values, which may be compacted or padded.
fn spread(present: Vec<Value>, valid: &[bool]) -> Option<Vec<Value>> {
    if valid.is_empty() {
        return Some(present);
    }
    let padded = present.len() == valid.len();
    if !padded && present.len() != valid.iter().filter(|valid| **valid).count() {
        return None;
    }
    let mut present = present.into_iter();
    let mut values = Vec::with_capacity(valid.len());
    for valid in valid {
        values.push(match (valid, padded) {
            (true, _) => present.next()?,
            (false, true) => {
                present.next()?;
                Value::Null
            }
            (false, false) => Value::Null,
        });
    }
    Some(values)
}
