//! The protocol's columns and schemas, as the crate's rows and schemas, and back.
//!
//! Encoded as C++ Milvus does: a nullable column carries its valid values only, an empty array has
//! no data at all, dynamic keys travel as one JSON column named `$meta`.

use std::collections::BTreeMap;

use half::{bf16, f16};
use milvus::proto::schema::{self as pb, field_data, scalar_field, vector_field};

use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{Key, META, Row, Value};

/// Field ids below this belong to the server's own columns.
const FIRST_FIELD_ID: i64 = 100;

/// Reads the schema of a new collection; the message is for the client.
pub(super) fn decode_schema(schema: &pb::CollectionSchema) -> Result<Schema, String> {
    let fields = schema.fields.iter().filter(|field| !field.is_dynamic).map(decode_field);
    let structs = schema.struct_array_fields.iter().map(decode_struct_array);
    let schema = Schema {
        fields: fields.chain(structs).collect::<Result<_, _>>()?,
        dynamic: schema.enable_dynamic_field,
    };
    schema.validate().map_err(|error| error.to_string())?;
    Ok(schema)
}

/// Reads one field of a schema; the message is for the client.
pub(super) fn decode_field(field: &pb::FieldSchema) -> Result<Field, String> {
    let unsupported = |what: &str| Err(format!("field {}: {what} is not simulated", field.name));
    let param = |key: &str| {
        let pair = field.type_params.iter().find(|pair| pair.key == key);
        pair.and_then(|pair| pair.value.parse::<u32>().ok())
    };
    let data_type = match field.data_type() {
        pb::DataType::Json => DataType::Json,
        pb::DataType::Timestamptz => DataType::Timestamptz,
        pb::DataType::Geometry => DataType::Geometry,
        pb::DataType::SparseFloatVector => DataType::SparseVector,
        pb::DataType::Array => match scalar(field.element_type()) {
            Some(element) => DataType::Array(element),
            None => return unsupported(field.element_type().as_str_name()),
        },
        other => match (scalar(other), param("dim")) {
            (Some(scalar), _) => DataType::Scalar(scalar),
            (None, Some(dim)) => match dense(other, dim) {
                Some(vector) => vector,
                None => return Err(format!("field {}: invalid dimension {dim}", field.name)),
            },
            (None, None) => return unsupported(other.as_str_name()),
        },
    };
    let mut decoded = Field::new(&field.name, data_type);
    decoded.primary = field.is_primary_key;
    decoded.nullable = field.nullable;
    decoded.auto_id = field.auto_id;
    decoded.partition_key = field.is_partition_key;
    decoded.max_length = param("max_length");
    decoded.max_capacity = param("max_capacity");
    if let Some(default) = &field.default_value {
        use pb::value_field::Data;
        let default = match (data_type, &default.data) {
            (DataType::Scalar(Scalar::Bool), Some(Data::BoolData(b))) => Value::Bool(*b),
            (DataType::Scalar(Scalar::Int64), Some(Data::LongData(i))) => Value::Int(*i),
            (DataType::Scalar(_), Some(Data::IntData(i))) => Value::Int((*i).into()),
            (DataType::Scalar(Scalar::Float), Some(Data::FloatData(x))) => Value::Float(*x),
            (DataType::Scalar(Scalar::Double), Some(Data::DoubleData(x))) => Value::Double(*x),
            (DataType::Scalar(Scalar::VarChar), Some(Data::StringData(s))) => {
                Value::Text(s.clone())
            }
            (DataType::Geometry, Some(Data::StringData(s))) => Value::Geometry(s.clone()),
            (DataType::Timestamptz, Some(Data::TimestamptzData(i))) => Value::Timestamp(*i),
            (DataType::Timestamptz, Some(Data::StringData(s))) => match Value::timestamp(s) {
                Some(moment) => moment,
                None => return Err(format!("field {}: {s} is no moment", field.name)),
            },
            _ => return Err(format!("field {}: a default of another type", field.name)),
        };
        decoded.default = Some(default.to_json());
    }
    Ok(decoded)
}

fn dense(data_type: pb::DataType, wide: u32) -> Option<DataType> {
    let dim = u16::try_from(wide).ok().filter(|dim| (1..=DataType::MAX_DIM).contains(dim));
    match data_type {
        pb::DataType::BinaryVector if wide > 0 && wide.is_multiple_of(8) => {
            Some(DataType::BinaryVector { dim: wide })
        }
        pb::DataType::FloatVector => Some(DataType::FloatVector { dim: dim? }),
        pb::DataType::Float16Vector => Some(DataType::Float16Vector { dim: dim? }),
        pb::DataType::BFloat16Vector => Some(DataType::BFloat16Vector { dim: dim? }),
        pb::DataType::Int8Vector => Some(DataType::Int8Vector { dim: dim? }),
        _ => None,
    }
}

fn decode_struct_array(array: &pb::StructArrayFieldSchema) -> Result<Field, String> {
    let mut decoded = Field::new(&array.name, DataType::StructArray);
    for member in &array.fields {
        let member = decode_field(member)?;
        let DataType::Array(element) = member.data_type else {
            return Err(format!("member {}: {} is not simulated", member.name, member.data_type));
        };
        decoded.max_capacity = member.max_capacity;
        let data_type = DataType::Scalar(element);
        decoded.members.push(Field { data_type, max_capacity: None, ..member });
    }
    Ok(decoded)
}

/// The schema as `DescribeCollection` returns it: as it was given, and with the fields' ids.
pub(super) fn with_field_ids(name: &str, mut schema: pb::CollectionSchema) -> pb::CollectionSchema {
    schema.name = name.to_owned();
    let members = schema.struct_array_fields.iter_mut().flat_map(|array| &mut array.fields);
    for (id, field) in (FIRST_FIELD_ID..).zip(schema.fields.iter_mut().chain(members)) {
        field.field_id = id;
    }
    schema
}

/// A field more in such a description, with the next id.
pub(super) fn describe_field(schema: &mut pb::CollectionSchema, mut field: pb::FieldSchema) {
    let members = schema.struct_array_fields.iter().flat_map(|array| &array.fields);
    let ids = schema.fields.iter().chain(members).map(|field| field.field_id);
    field.field_id = ids.max().map_or(FIRST_FIELD_ID, |last| last + 1);
    schema.fields.push(field);
}

/// What the rows of an insert or upsert give; the message is for the client.
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
            let values = decode_column(&Field::new(META, DataType::Json), column, count);
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
        if field.auto_id {
            return Err(format!("field {name} takes no values: its keys are assigned"));
        }
        let values = decode_column(field, column, count)
            .ok_or_else(|| format!("the data of field {name} is not {}", field.data_type))?;
        for (row, value) in rows.iter_mut().zip(values) {
            row.fields.insert(name.clone(), value);
        }
    }
    Ok(rows)
}

/// Finds out whether rows have what they must have; the message is for the client.
pub(super) fn require(schema: &Schema, rows: &[Row]) -> Result<(), String> {
    for field in schema.fields.iter().filter(|field| !field.is_optional() && !field.auto_id) {
        if rows.iter().any(|row| *row.get(&field.name) == Value::Null) {
            return Err(format!("field {} is required, but a row has no value", field.name));
        }
    }
    Ok(())
}

fn decode_column(field: &Field, column: &pb::FieldData, count: usize) -> Option<Vec<Value>> {
    let (values, inner_valid) = match column.field.as_ref() {
        None => (Vec::new(), &column.valid_data),
        Some(field_data::Field::Scalars(data)) => {
            (decode_scalars(&field.data_type, data.data.as_ref())?, &data.valid_data)
        }
        Some(field_data::Field::Vectors(data)) => {
            (decode_vectors(field.data_type, data.data.as_ref()?)?, &data.valid_data)
        }
        Some(field_data::Field::StructArrays(data)) => {
            (decode_structs(field, &data.fields, count)?, &column.valid_data)
        }
    };
    if values.iter().any(|value| !value.fits(field)) {
        return None;
    }
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

fn decode_vectors(data_type: DataType, data: &vector_field::Data) -> Option<Vec<Value>> {
    use vector_field::Data;
    let dim = data_type.dim().unwrap_or_default() as usize;
    let bytes = |bytes: &[u8], size: usize, read: &dyn Fn(&[u8]) -> Value| {
        let chunks = bytes.chunks_exact(size);
        chunks.remainder().is_empty().then(|| chunks.map(read).collect())
    };
    match (data_type, data) {
        (DataType::FloatVector { .. }, Data::FloatVector(floats)) => {
            let chunks = floats.data.chunks_exact(dim);
            let whole = chunks.remainder().is_empty();
            whole.then(|| chunks.map(|v| Value::Vector(v.to_vec())).collect())
        }
        (DataType::BinaryVector { .. }, Data::BinaryVector(data)) => {
            bytes(data, dim / 8, &|v| Value::BinaryVector(v.to_vec()))
        }
        (DataType::Float16Vector { .. }, Data::Float16Vector(data)) => bytes(data, 2 * dim, &|v| {
            Value::Float16Vector(v.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b)).collect())
        }),
        (DataType::BFloat16Vector { .. }, Data::Bfloat16Vector(data)) => {
            bytes(data, 2 * dim, &|v| {
                let items = v.as_chunks().0.iter();
                Value::BFloat16Vector(items.map(|b| bf16::from_le_bytes(*b)).collect())
            })
        }
        (DataType::Int8Vector { .. }, Data::Int8Vector(data)) => {
            bytes(data, dim, &|v| Value::Int8Vector(v.iter().map(|b| b.cast_signed()).collect()))
        }
        (DataType::SparseVector, Data::SparseFloatVector(sparse)) => {
            let entry = |[a, b, c, d, e, f, g, h]: &[u8; 8]| {
                (u32::from_le_bytes([*a, *b, *c, *d]), f32::from_le_bytes([*e, *f, *g, *h]))
            };
            let vector = |content: &Vec<u8>| {
                let (entries, rest) = content.as_chunks();
                let entries: Vec<_> = entries.iter().map(entry).collect();
                let sorted = entries.is_sorted_by(|a, b| a.0 < b.0);
                (rest.is_empty() && sorted)
                    .then(|| Value::SparseVector(entries.into_iter().collect()))
            };
            sparse.contents.iter().map(vector).collect()
        }
        _ => None,
    }
}

fn decode_structs(field: &Field, columns: &[pb::FieldData], count: usize) -> Option<Vec<Value>> {
    let mut rows: Vec<Vec<BTreeMap<String, Value>>> = vec![Vec::new(); count];
    for member in &field.members {
        let DataType::Scalar(element) = member.data_type else { return None };
        let column = columns.iter().find(|column| column.field_name == member.name)?;
        let Some(field_data::Field::Scalars(data)) = &column.field else { return None };
        let arrays = decode_scalars(&DataType::Array(element), data.data.as_ref())?;
        if arrays.len() != count {
            return None;
        }
        for (row, array) in rows.iter_mut().zip(arrays) {
            let Value::Array(items) = array else { return None };
            row.resize(row.len().max(items.len()), BTreeMap::new());
            for (members, item) in row.iter_mut().zip(items) {
                members.insert(member.name.clone(), item);
            }
        }
    }
    Some(rows.into_iter().map(Value::Structs).collect())
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
        (DataType::Timestamptz, Some(Data::StringData(column))) => {
            column.data.iter().map(|text| Value::timestamp(text)).collect()
        }
        (DataType::Geometry, Some(Data::GeometryWktData(column))) => {
            Some(column.data.iter().map(|text| Value::Geometry(text.clone())).collect())
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
        DataType::StructArray => encode_structs(field, values),
        data_type if data_type.is_vector() => encode_vectors(data_type, values),
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

fn encode_vectors<'a>(
    data_type: DataType,
    values: impl Iterator<Item = &'a Value>,
) -> field_data::Field {
    use vector_field::Data;
    let mut dim = i64::from(data_type.dim().unwrap_or_default());
    let (mut floats, mut bytes, mut contents) = (Vec::new(), Vec::new(), Vec::new());
    for value in values {
        match value {
            Value::Vector(items) => floats.extend_from_slice(items),
            Value::BinaryVector(items) => bytes.extend_from_slice(items),
            Value::Float16Vector(items) => bytes.extend(items.iter().flat_map(|x| x.to_le_bytes())),
            Value::BFloat16Vector(items) => {
                bytes.extend(items.iter().flat_map(|x| x.to_le_bytes()));
            }
            Value::Int8Vector(items) => bytes.extend(items.iter().map(|x| x.cast_unsigned())),
            Value::SparseVector(entries) => {
                let last = entries.keys().next_back().map_or(0, |at| i64::from(*at) + 1);
                dim = dim.max(last);
                let entry = |(at, x): (&u32, &f32)| [at.to_le_bytes(), x.to_le_bytes()].concat();
                contents.push(entries.iter().flat_map(entry).collect());
            }
            _ => {}
        }
    }
    let data = match data_type {
        DataType::BinaryVector { .. } => Data::BinaryVector(bytes),
        DataType::Float16Vector { .. } => Data::Float16Vector(bytes),
        DataType::BFloat16Vector { .. } => Data::Bfloat16Vector(bytes),
        DataType::Int8Vector { .. } => Data::Int8Vector(bytes),
        DataType::SparseVector => Data::SparseFloatVector(pb::SparseFloatArray { contents, dim }),
        _ => Data::FloatVector(pb::FloatArray { data: floats }),
    };
    field_data::Field::Vectors(pb::VectorField { dim, data: Some(data), ..Default::default() })
}

fn encode_structs<'a>(field: &Field, values: impl Iterator<Item = &'a Value>) -> field_data::Field {
    let structs = values.filter_map(|value| match value {
        Value::Structs(structs) => Some(structs),
        _ => None,
    });
    let structs: Vec<_> = structs.collect();
    let member = |member: &Field| {
        let DataType::Scalar(element) = member.data_type else { return pb::FieldData::default() };
        let arrays = structs.iter().map(|structs| {
            let items = structs.iter().filter_map(|members| members.get(&member.name).cloned());
            Value::Array(items.collect())
        });
        let arrays: Vec<_> = arrays.collect();
        let data = Some(encode_scalars(&DataType::Array(element), arrays.iter()));
        pb::FieldData {
            r#type: pb::DataType::Array.into(),
            field_name: member.name.clone(),
            field: Some(field_data::Field::Scalars(pb::ScalarField { data, ..Default::default() })),
            ..Default::default()
        }
    };
    let fields = field.members.iter().map(member).collect();
    field_data::Field::StructArrays(pb::StructArrayField { fields })
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
        DataType::Timestamptz => {
            let text = |moment: &Value| moment.to_json().as_str().unwrap_or_default().to_owned();
            column!(StringData, StringArray, moment @ Value::Timestamp(_) => text(moment))
        }
        DataType::Geometry => {
            column!(GeometryWktData, GeometryWktArray, Value::Geometry(text) => text.clone())
        }
        // Vectors and structs are columns of another kind.
        _ => {
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
