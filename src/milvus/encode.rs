//! Schemas and rows as the protocol has them.
//!
//! Not by the SDK's rows: it fills defaults in before the server sees that a field was left out.

use std::collections::BTreeMap;

use milvus::proto::common::KeyValuePair;
use milvus::proto::schema::scalar_field::Data;
use milvus::proto::schema::vector_field::Data as VectorData;
use milvus::proto::schema::{self as pb, field_data, value_field};
use serde_json::Value as Json;

use crate::filter::Literal;
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{META, Row, Value};

/// The schema of a new collection of that name.
pub(super) fn schema(name: &str, schema: &Schema) -> pb::CollectionSchema {
    let (structs, plain): (Vec<&Field>, Vec<&Field>) =
        schema.fields.iter().partition(|field| field.data_type == DataType::StructArray);
    let structs = structs.into_iter().map(|array| pb::StructArrayFieldSchema {
        name: array.name.clone(),
        // On the wire, a member is an ARRAY with an element for each struct.
        fields: array
            .members
            .iter()
            .map(|member| {
                let element = match member.data_type {
                    DataType::Scalar(scalar) => DataType::Array(scalar),
                    other => other,
                };
                let max_capacity = Some(array.max_capacity());
                field(&Field { data_type: element, max_capacity, ..member.clone() })
            })
            .collect(),
        ..Default::default()
    });
    #[expect(deprecated, reason = "the struct has a field that is")]
    pb::CollectionSchema {
        name: name.to_owned(),
        // Milvus Lite and Milvus before 2.4 read it here.
        auto_id: schema.primary().auto_id,
        fields: plain.into_iter().map(field).collect(),
        enable_dynamic_field: schema.dynamic,
        struct_array_fields: structs.collect(),
        ..Default::default()
    }
}

/// The schema of a field that is no array of structs.
pub(super) fn field(field: &Field) -> pb::FieldSchema {
    let data_type = field.data_type;
    let mut params = BTreeMap::new();
    if let Some(dim) = data_type.dim() {
        params.insert("dim", dim);
    }
    let element = match data_type {
        DataType::Array(element) => {
            params.insert("max_capacity", field.max_capacity());
            wire_type(DataType::Scalar(element))
        }
        _ => pb::DataType::None,
    };
    if matches!(data_type, DataType::Scalar(Scalar::VarChar) | DataType::Array(Scalar::VarChar)) {
        params.insert("max_length", field.max_length());
    }
    let pair =
        |(key, value): (&str, u32)| KeyValuePair { key: key.to_owned(), value: value.to_string() };
    pb::FieldSchema {
        name: field.name.clone(),
        is_primary_key: field.primary,
        data_type: wire_type(data_type).into(),
        type_params: params.into_iter().map(pair).collect(),
        auto_id: field.auto_id,
        element_type: element.into(),
        default_value: default(field),
        is_partition_key: field.partition_key,
        nullable: field.nullable,
        ..Default::default()
    }
}

fn default(field: &Field) -> Option<pb::ValueField> {
    use value_field::Data::{BoolData, DoubleData, FloatData, IntData, LongData, StringData};
    let data = match field.absent() {
        Value::Bool(b) => BoolData(b),
        Value::Int(i) if field.data_type == DataType::Scalar(Scalar::Int64) => LongData(i),
        // Within the range of its type, as `Schema::validate` has seen.
        Value::Int(i) => IntData(i32::try_from(i).ok()?),
        Value::Float(x) => FloatData(x),
        Value::Double(x) => DoubleData(x),
        Value::Text(text) | Value::Geometry(text) => StringData(text),
        // Servers take moments as clients write them, in ISO 8601.
        moment @ Value::Timestamp(_) => StringData(moment.to_json().as_str()?.to_owned()),
        _ => return None,
    };
    Some(pb::ValueField { data: Some(data) })
}

/// The columns of some rows, all of which leave out the same fields with a default: those columns
/// are left out, so that the server fills them. The message says what does not fit.
pub(super) fn columns(schema: &Schema, rows: &[&Row]) -> Result<Vec<pb::FieldData>, String> {
    let filled = |field: &Field| field.default.is_some() && !is_given(field, rows);
    chosen(schema, rows, |field| !field.auto_id && !filled(field), schema.dynamic)
}

/// The columns of what some rows have, all of them the same fields. One without dynamic keys has no
/// column for them.
pub(super) fn given(schema: &Schema, rows: &[&Row]) -> Result<Vec<pb::FieldData>, String> {
    let dynamic = rows.iter().any(|row| !row.dynamic.is_empty());
    chosen(schema, rows, |field| is_given(field, rows), dynamic)
}

fn is_given(field: &Field, rows: &[&Row]) -> bool {
    rows.iter().any(|row| row.fields.contains_key(&field.name))
}

fn chosen(
    schema: &Schema,
    rows: &[&Row],
    is_chosen: impl Fn(&Field) -> bool,
    dynamic: bool,
) -> Result<Vec<pb::FieldData>, String> {
    let mut columns = Vec::with_capacity(schema.fields.len() + 1);
    for field in schema.fields.iter().filter(|field| is_chosen(field)) {
        let column = column(field, rows);
        columns.push(column.ok_or_else(|| {
            format!("a value of the field '{}' is not {}", field.name, field.data_type)
        })?);
    }
    if dynamic {
        let objects = rows.iter().map(|row| Json::Object(row.dynamic.clone()));
        let data = objects.map(|object| object.to_string().into_bytes()).collect();
        columns.push(pb::FieldData {
            r#type: pb::DataType::Json.into(),
            field_name: META.to_owned(),
            is_dynamic: true,
            field: Some(scalars(Data::JsonData(pb::JsonArray { data }))),
            ..Default::default()
        });
    }
    Ok(columns)
}

fn column(field: &Field, rows: &[&Row]) -> Option<pb::FieldData> {
    let values: Vec<&Value> = rows.iter().map(|row| row.get(&field.name)).collect();
    let valid: Vec<bool> = values.iter().map(|value| **value != Value::Null).collect();
    let optional = field.is_optional();
    if !optional && valid.contains(&false) {
        return None;
    }
    let present: Vec<&Value> = values.into_iter().filter(|v| **v != Value::Null).collect();
    let payload = match field.data_type {
        DataType::StructArray => structs(field, &present)?,
        data_type if data_type.is_vector() => {
            field_data::Field::Vectors(vectors(data_type, &present)?)
        }
        data_type => scalars(scalar_data(data_type, &present)?),
    };
    Some(pb::FieldData {
        r#type: wire_type(field.data_type).into(),
        field_name: field.name.clone(),
        // Beside the values, not with them: older servers know no other place.
        valid_data: if optional { valid } else { Vec::new() },
        field: Some(payload),
        ..Default::default()
    })
}

/// A constant as it is sent beside a filter; `None` if it cannot be, as a list of several types.
pub(super) fn template(literal: &Literal) -> Option<pb::TemplateValue> {
    use pb::template_array_value::Data as Items;
    use pb::template_value::Val;

    let value = match literal {
        Literal::Bool(value) => Val::BoolVal(*value),
        Literal::Int(value) => Val::Int64Val(*value),
        Literal::Float(value) => Val::FloatVal(*value),
        Literal::Text(value) => Val::StringVal(value.clone()),
        Literal::List(list) => {
            // In one of these, whose names differ as those of the messages do.
            macro_rules! items {
                ($kind:ident, $data:ident, $array:ident) => {{
                    let mut items = pb::$array::default();
                    for literal in list {
                        let Literal::$kind(value) = literal else { return None };
                        items.data.push(value.clone());
                    }
                    Items::$data(items)
                }};
            }
            let data = match list.first()? {
                Literal::Bool(_) => items!(Bool, BoolData, BoolArray),
                Literal::Int(_) => items!(Int, LongData, LongArray),
                Literal::Float(_) => items!(Float, DoubleData, DoubleArray),
                Literal::Text(_) => items!(Text, StringData, StringArray),
                _ => return None,
            };
            Val::ArrayVal(pb::TemplateArrayValue { data: Some(data) })
        }
        Literal::Timestamp(_) | Literal::Interval(_) | Literal::Template(_) => return None,
    };
    Some(pb::TemplateValue { val: Some(value) })
}

fn scalars(data: Data) -> field_data::Field {
    field_data::Field::Scalars(pb::ScalarField { data: Some(data), ..Default::default() })
}

/// Reads one variant out of every value; `None` if one has another.
macro_rules! each {
    ($values:expr, $pattern:pat => $read:expr) => {
        $values
            .iter()
            .map(|value| match value {
                $pattern => Some($read),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
    };
}

fn scalar_data(data_type: DataType, values: &[&Value]) -> Option<Data> {
    Some(match data_type {
        DataType::Scalar(Scalar::Bool) => {
            Data::BoolData(pb::BoolArray { data: each!(values, Value::Bool(b) => *b)? })
        }
        DataType::Scalar(Scalar::Int8 | Scalar::Int16 | Scalar::Int32) => {
            let ints = each!(values, Value::Int(i) => i32::try_from(*i).ok()?)?;
            Data::IntData(pb::IntArray { data: ints })
        }
        DataType::Scalar(Scalar::Int64) => {
            Data::LongData(pb::LongArray { data: each!(values, Value::Int(i) => *i)? })
        }
        DataType::Scalar(Scalar::Float) => {
            Data::FloatData(pb::FloatArray { data: each!(values, Value::Float(x) => *x)? })
        }
        DataType::Scalar(Scalar::Double) => {
            Data::DoubleData(pb::DoubleArray { data: each!(values, Value::Double(x) => *x)? })
        }
        DataType::Scalar(Scalar::VarChar) => {
            Data::StringData(pb::StringArray { data: each!(values, Value::Text(s) => s.clone())? })
        }
        DataType::Json => {
            let data = each!(values, Value::Json(json) => json.to_string().into_bytes())?;
            Data::JsonData(pb::JsonArray { data })
        }
        DataType::Timestamptz => {
            let data = each!(values, v @ Value::Timestamp(_) => v.to_json().as_str()?.to_owned())?;
            Data::StringData(pb::StringArray { data })
        }
        DataType::Geometry => {
            let data = each!(values, Value::Geometry(text) => text.clone())?;
            Data::GeometryWktData(pb::GeometryWktArray { data })
        }
        DataType::Array(element) => {
            let arrays = each!(values, Value::Array(items) => {
                array(element, &items.iter().collect::<Vec<_>>())?
            })?;
            let element_type = wire_type(DataType::Scalar(element)).into();
            Data::ArrayData(pb::ArrayArray { data: arrays, element_type })
        }
        _ => return None,
    })
}

fn array(element: Scalar, items: &[&Value]) -> Option<pb::ScalarField> {
    let data = Some(scalar_data(DataType::Scalar(element), items)?);
    Some(pb::ScalarField { data, ..Default::default() })
}

/// Structs travel by member: an array of arrays for each.
fn structs(field: &Field, values: &[&Value]) -> Option<field_data::Field> {
    let mut fields = Vec::with_capacity(field.members.len());
    for member in &field.members {
        let DataType::Scalar(element) = member.data_type else { return None };
        let arrays = each!(values, Value::Structs(structs) => {
            let items = structs.iter().map(|members| members.get(&member.name));
            array(element, &items.collect::<Option<Vec<_>>>()?)?
        })?;
        let element_type = wire_type(member.data_type).into();
        fields.push(pb::FieldData {
            r#type: pb::DataType::Array.into(),
            field_name: member.name.clone(),
            field: Some(scalars(Data::ArrayData(pb::ArrayArray { data: arrays, element_type }))),
            ..Default::default()
        });
    }
    Some(field_data::Field::StructArrays(pb::StructArrayField { fields }))
}

fn vectors(data_type: DataType, values: &[&Value]) -> Option<pb::VectorField> {
    let mut dim = i64::from(data_type.dim().unwrap_or_default());
    let data = match data_type {
        DataType::FloatVector { .. } => {
            let data = each!(values, Value::Vector(items) => items.clone())?.concat();
            VectorData::FloatVector(pb::FloatArray { data })
        }
        DataType::BinaryVector { .. } => VectorData::BinaryVector(
            each!(values, Value::BinaryVector(bytes) => bytes.clone())?.concat(),
        ),
        DataType::Float16Vector { .. } => {
            let items = each!(values, Value::Float16Vector(items) => items.clone())?.concat();
            VectorData::Float16Vector(items.into_iter().flat_map(half::f16::to_le_bytes).collect())
        }
        DataType::BFloat16Vector { .. } => {
            let items = each!(values, Value::BFloat16Vector(items) => items.clone())?.concat();
            let bytes = items.into_iter().flat_map(half::bf16::to_le_bytes);
            VectorData::Bfloat16Vector(bytes.collect())
        }
        DataType::Int8Vector { .. } => {
            let items = each!(values, Value::Int8Vector(items) => items.clone())?.concat();
            VectorData::Int8Vector(items.into_iter().map(i8::cast_unsigned).collect())
        }
        DataType::SparseVector => {
            // Pairs of a 32-bit index and a 32-bit float, both little-endian, by index.
            let contents = each!(values, Value::SparseVector(values) => {
                let last = values.last_key_value().map_or(0, |(at, _)| i64::from(*at) + 1);
                dim = dim.max(last);
                let pairs = values.iter().flat_map(|(at, x)| [at.to_le_bytes(), x.to_le_bytes()]);
                pairs.flatten().collect()
            })?;
            VectorData::SparseFloatVector(pb::SparseFloatArray { contents, dim })
        }
        _ => return None,
    };
    Some(pb::VectorField { dim, data: Some(data), ..Default::default() })
}

fn wire_type(data_type: DataType) -> pb::DataType {
    match data_type {
        DataType::Scalar(Scalar::Bool) => pb::DataType::Bool,
        DataType::Scalar(Scalar::Int8) => pb::DataType::Int8,
        DataType::Scalar(Scalar::Int16) => pb::DataType::Int16,
        DataType::Scalar(Scalar::Int32) => pb::DataType::Int32,
        DataType::Scalar(Scalar::Int64) => pb::DataType::Int64,
        DataType::Scalar(Scalar::Float) => pb::DataType::Float,
        DataType::Scalar(Scalar::Double) => pb::DataType::Double,
        DataType::Scalar(Scalar::VarChar) => pb::DataType::VarChar,
        DataType::Json => pb::DataType::Json,
        DataType::Array(_) => pb::DataType::Array,
        DataType::Timestamptz => pb::DataType::Timestamptz,
        DataType::Geometry => pb::DataType::Geometry,
        DataType::StructArray => pb::DataType::ArrayOfStruct,
        DataType::FloatVector { .. } => pb::DataType::FloatVector,
        DataType::BinaryVector { .. } => pb::DataType::BinaryVector,
        DataType::Float16Vector { .. } => pb::DataType::Float16Vector,
        DataType::BFloat16Vector { .. } => pb::DataType::BFloat16Vector,
        DataType::Int8Vector { .. } => pb::DataType::Int8Vector,
        DataType::SparseVector => pb::DataType::SparseFloatVector,
    }
}
