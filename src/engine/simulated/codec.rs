//! The protocol's columns and schemas, as the crate's rows and schemas, and back.
//!
//! Encoded as C++ Milvus does: a nullable column carries its valid values only, an empty array has
//! no data at all, dynamic keys travel as one JSON column named `$meta`.

use milvus::proto::schema::{self as pb, field_data, scalar_field, vector_field};

use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{Key, META, Row, Value};

/// Field ids below this belong to the server's own columns.
const FIRST_FIELD_ID: i64 = 100;

/// Reads the schema of a new collection; the message is for the client.
pub(super) fn decode_schema(schema: &pb::CollectionSchema) -> Result<Schema, String> {
    let fields = schema.fields.iter().filter(|field| !field.is_dynamic).map(decode_field);
    let schema =
        Schema { fields: fields.collect::<Result<_, _>>()?, dynamic: schema.enable_dynamic_field };
    schema.validate().map_err(|error| error.to_string())?;
    Ok(schema)
}

fn decode_field(field: &pb::FieldSchema) -> Result<Field, String> {
    let unsupported = |what: &str| Err(format!("field {}: {what} is not simulated", field.name));
    if field.auto_id || field.default_value.is_some() {
        return unsupported("a value given by the server");
    }
    let data_type = match field.data_type() {
        pb::DataType::Json => DataType::Json,
        pb::DataType::Array => match scalar(field.element_type()) {
            Some(element) => DataType::Array(element),
            None => return unsupported(field.element_type().as_str_name()),
        },
        pb::DataType::FloatVector => {
            let dim = field.type_params.iter().find(|pair| pair.key == "dim");
            match dim.and_then(|pair| pair.value.parse().ok()) {
                Some(dim) => DataType::FloatVector { dim },
                None => return unsupported("a vector without dim"),
            }
        }
        other => match scalar(other) {
            Some(scalar) => DataType::Scalar(scalar),
            None => return unsupported(other.as_str_name()),
        },
    };
    let (primary, nullable) = (field.is_primary_key, field.nullable);
    Ok(Field { name: field.name.clone(), data_type, primary, nullable })
}

/// The schema as `DescribeCollection` returns it: as it was given, and with the fields' ids.
pub(super) fn with_field_ids(name: &str, mut schema: pb::CollectionSchema) -> pb::CollectionSchema {
    schema.name = name.to_owned();
    for (id, field) in (FIRST_FIELD_ID..).zip(&mut schema.fields) {
        field.field_id = id;
    }
    schema
}

/// The rows of an insert or upsert; the message is for the client.
pub(super) fn decode_rows(
    schema: &Schema,
    columns: &[pb::FieldData],
    count: usize,
) -> Result<Vec<Row>, String> {
    let mut rows = vec![Row::default(); count];
    for column in columns {
        let name = &column.field_name;
        if column.is_dynamic || name == META {
            if !schema.dynamic {
                return Err("the collection has no dynamic field".to_owned());
            }
            let values = decode_column(&DataType::Json, column, count);
            for (row, value) in rows.iter_mut().zip(values.ok_or("malformed dynamic field")?) {
                match value {
                    Value::Json(serde_json::Value::Object(keys)) => row.dynamic = keys,
                    Value::Null => {}
                    _ => return Err("the dynamic field takes JSON objects".to_owned()),
                }
            }
            continue;
        }
        let field = schema.field(name).ok_or_else(|| format!("field {name} does not exist"))?;
        let values = decode_column(&field.data_type, column, count)
            .ok_or_else(|| format!("the data of field {name} is not {}", field.data_type))?;
        for (row, value) in rows.iter_mut().zip(values) {
            row.fields.insert(name.clone(), value);
        }
    }
    for field in schema.fields.iter().filter(|field| !field.nullable) {
        if rows.iter().any(|row| *row.get(&field.name) == Value::Null) {
            return Err(format!("field {} is required, but a row has no value", field.name));
        }
    }
    Ok(rows)
}

fn decode_column(data_type: &DataType, column: &pb::FieldData, count: usize) -> Option<Vec<Value>> {
    let (values, inner_valid) = match column.field.as_ref() {
        None => (Vec::new(), &column.valid_data),
        Some(field_data::Field::Scalars(field)) => {
            (decode_scalars(data_type, field.data.as_ref())?, &field.valid_data)
        }
        Some(field_data::Field::Vectors(field)) => {
            let DataType::FloatVector { dim } = *data_type else { return None };
            let Some(vector_field::Data::FloatVector(floats)) = &field.data else { return None };
            let vectors = floats.data.chunks_exact(dim.into());
            let whole = vectors.remainder().is_empty();
            (
                vectors.filter(|_| whole).map(|v| Value::Vector(v.to_vec())).collect(),
                &field.valid_data,
            )
        }
        Some(_) => return None,
    };
    let valid =
        if column.valid_data.is_empty() { inner_valid } else { &column.valid_data }.as_slice();
    if valid.is_empty() {
        return (values.len() == count).then_some(values);
    }
    // Clients send either one value a row or only the valid ones.
    let compacted = values.len() != valid.len();
    let mut values = values.into_iter();
    let spread = valid.iter().map(|valid| match valid {
        true => values.next(),
        false if compacted => Some(Value::Null),
        false => values.next().map(|_| Value::Null),
    });
    spread.collect::<Option<Vec<_>>>().filter(|spread| spread.len() == count)
}

fn decode_scalars(data_type: &DataType, data: Option<&scalar_field::Data>) -> Option<Vec<Value>> {
    use scalar_field::Data;
    let int = |scalar: &Scalar, i: i64| {
        scalar.int_range().filter(|range| range.contains(&i)).map(|_| Value::Int(i))
    };
    match (data_type, data) {
        (_, None) => Some(Vec::new()),
        (DataType::Scalar(Scalar::Bool), Some(Data::BoolData(column))) => {
            Some(column.data.iter().map(|b| Value::Bool(*b)).collect())
        }
        (
            DataType::Scalar(scalar @ (Scalar::Int8 | Scalar::Int16 | Scalar::Int32)),
            Some(Data::IntData(column)),
        ) => column.data.iter().map(|i| int(scalar, i64::from(*i))).collect(),
        (DataType::Scalar(Scalar::Int64), Some(Data::LongData(column))) => {
            Some(column.data.iter().map(|i| Value::Int(*i)).collect())
        }
        (DataType::Scalar(Scalar::Float), Some(Data::FloatData(column))) => {
            Some(column.data.iter().map(|x| Value::Float(*x)).collect())
        }
        (DataType::Scalar(Scalar::Double), Some(Data::DoubleData(column))) => {
            Some(column.data.iter().map(|x| Value::Double(*x)).collect())
        }
        (DataType::Scalar(Scalar::VarChar), Some(Data::StringData(column))) => {
            Some(column.data.iter().map(|s| Value::Text(s.clone())).collect())
        }
        (DataType::Json, Some(Data::JsonData(column))) => {
            let parse = |bytes: &Vec<u8>| serde_json::from_slice(bytes).map(Value::Json).ok();
            column.data.iter().map(parse).collect()
        }
        (DataType::Array(element), Some(Data::ArrayData(column))) => {
            let element = DataType::Scalar(*element);
            let array = |field: &pb::ScalarField| {
                decode_scalars(&element, field.data.as_ref()).map(Value::Array)
            };
            column.data.iter().map(array).collect()
        }
        _ => None,
    }
}

/// One declared field of a result.
pub(super) fn encode_column(schema: &Schema, field: &Field, rows: &[Row]) -> pb::FieldData {
    let values = rows.iter().map(|row| row.get(&field.name));
    let valid = values.clone().map(|value| *value != Value::Null);
    let valid_data = if field.nullable { valid.collect() } else { Vec::new() };
    let values = values.filter(|value| **value != Value::Null);
    let data = match field.data_type {
        DataType::FloatVector { dim } => {
            let floats = values.filter_map(|value| match value {
                Value::Vector(floats) => Some(floats),
                _ => None,
            });
            let data = floats.flatten().copied().collect();
            field_data::Field::Vectors(pb::VectorField {
                dim: dim.into(),
                data: Some(vector_field::Data::FloatVector(pb::FloatArray { data })),
                ..Default::default()
            })
        }
        data_type => {
            let data = Some(encode_scalars(&data_type, values));
            field_data::Field::Scalars(pb::ScalarField { data, ..Default::default() })
        }
    };
    let position = schema.fields.iter().position(|other| other.name == field.name);
    pb::FieldData {
        r#type: wire_type(&field.data_type).into(),
        field_name: field.name.clone(),
        field_id: position.map_or(0, |position| FIRST_FIELD_ID + position as i64),
        valid_data,
        field: Some(data),
        ..Default::default()
    }
}

/// The dynamic field of a result: every key, whichever were asked for.
pub(super) fn encode_dynamic(schema: &Schema, rows: &[Row]) -> pb::FieldData {
    let objects = rows.iter().map(|row| Value::Json(row.dynamic.clone().into()));
    let objects: Vec<_> = objects.collect();
    let data = Some(encode_scalars(&DataType::Json, objects.iter()));
    pb::FieldData {
        r#type: pb::DataType::Json.into(),
        field_name: META.to_owned(),
        field_id: FIRST_FIELD_ID + schema.fields.len() as i64,
        is_dynamic: true,
        field: Some(field_data::Field::Scalars(pb::ScalarField { data, ..Default::default() })),
        ..Default::default()
    }
}

/// The single value of a `count(*)`.
pub(super) fn encode_count(count: i64) -> pb::FieldData {
    let data = Some(scalar_field::Data::LongData(pb::LongArray { data: vec![count] }));
    pb::FieldData {
        r#type: pb::DataType::Int64.into(),
        field_name: "count(*)".to_owned(),
        field: Some(field_data::Field::Scalars(pb::ScalarField { data, ..Default::default() })),
        ..Default::default()
    }
}

/// Values of one type as a column; a value of another type is left out.
fn encode_scalars<'a>(
    data_type: &DataType,
    values: impl Iterator<Item = &'a Value>,
) -> scalar_field::Data {
    use scalar_field::Data;
    macro_rules! column {
        ($data:ident, $array:ident, $pattern:pat => $value:expr) => {
            Data::$data(pb::$array {
                data: values
                    .filter_map(|value| match value {
                        $pattern => Some($value),
                        _ => None,
                    })
                    .collect(),
            })
        };
    }
    match data_type {
        DataType::Scalar(Scalar::Bool) => column!(BoolData, BoolArray, Value::Bool(b) => *b),
        DataType::Scalar(Scalar::Int8 | Scalar::Int16 | Scalar::Int32) => {
            column!(IntData, IntArray, Value::Int(i) => *i as i32)
        }
        DataType::Scalar(Scalar::Int64) => column!(LongData, LongArray, Value::Int(i) => *i),
        DataType::Scalar(Scalar::Float) => column!(FloatData, FloatArray, Value::Float(x) => *x),
        DataType::Scalar(Scalar::Double) => {
            column!(DoubleData, DoubleArray, Value::Double(x) => *x)
        }
        DataType::Scalar(Scalar::VarChar) => {
            column!(StringData, StringArray, Value::Text(s) => s.clone())
        }
        DataType::Array(element) => {
            let array = |items: &[Value]| {
                let encode = || encode_scalars(&DataType::Scalar(*element), items.iter());
                let data = (!items.is_empty()).then(encode);
                pb::ScalarField { data, ..Default::default() }
            };
            let arrays = values.filter_map(|value| match value {
                Value::Array(items) => Some(array(items)),
                _ => None,
            });
            let element_type = wire_type(&DataType::Scalar(*element)).into();
            Data::ArrayData(pb::ArrayArray { data: arrays.collect(), element_type })
        }
        DataType::Json | DataType::FloatVector { .. } => {
            column!(JsonData, JsonArray, Value::Json(json) => json.to_string().into_bytes())
        }
    }
}

/// The keys that a write touched.
pub(super) fn encode_keys(schema: &Schema, keys: &[Key]) -> pb::IDs {
    let texts = keys.iter().filter_map(|key| match key {
        Key::Text(text) => Some(text.clone()),
        Key::Int(_) => None,
    });
    let ints = keys.iter().filter_map(|key| match key {
        Key::Int(int) => Some(*int),
        Key::Text(_) => None,
    });
    let id_field = match schema.primary().data_type {
        DataType::Scalar(Scalar::VarChar) => {
            pb::i_ds::IdField::StrId(pb::StringArray { data: texts.collect() })
        }
        _ => pb::i_ds::IdField::IntId(pb::LongArray { data: ints.collect() }),
    };
    pb::IDs { id_field: Some(id_field) }
}

fn scalar(data_type: pb::DataType) -> Option<Scalar> {
    Scalar::ALL.into_iter().find(|scalar| wire_type(&DataType::Scalar(*scalar)) == data_type)
}

fn wire_type(data_type: &DataType) -> pb::DataType {
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
        DataType::FloatVector { .. } => pb::DataType::FloatVector,
    }
}
