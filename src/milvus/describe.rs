//! Collections that exist: which there are, and their schemas.

use milvus::proto::common::KeyValuePair;
use milvus::proto::milvus::{
    DescribeCollectionRequest, HasCollectionRequest, ShowCollectionsRequest,
};
use milvus::proto::schema::{self as pb, value_field};
use serde_json::Value as Json;

use super::connection::Milvus;
use super::error::{MilvusError, check_status};
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::Value;

impl Milvus {
    /// The schema of a collection, which need not have been made by this crate. A field whose type
    /// this crate does not handle is an error.
    pub async fn schema(&self, collection: &str) -> Result<Schema, MilvusError> {
        const OPERATION: &str = "describe collection";
        let request = DescribeCollectionRequest {
            collection_name: collection.to_owned(),
            ..DescribeCollectionRequest::default()
        };
        let mut raw = self.raw.clone();
        let response = self.call_raw(OPERATION, raw.describe_collection(request)).await?;
        check_status(OPERATION, response.status.as_ref())?;
        let unreadable = |reason| MilvusError::Malformed { operation: OPERATION, reason };
        let described =
            response.schema.ok_or_else(|| unreadable("there is no schema in it".to_owned()))?;
        let schema = schema(&described).map_err(unreadable)?;
        schema.validate().map_err(|error| unreadable(error.to_string()))?;
        Ok(schema)
    }

    /// Whether there is a collection of that name.
    pub async fn has_collection(&self, collection: &str) -> Result<bool, MilvusError> {
        const OPERATION: &str = "look for a collection";
        let request = HasCollectionRequest {
            collection_name: collection.to_owned(),
            ..HasCollectionRequest::default()
        };
        let mut raw = self.raw.clone();
        let response = self.call_raw(OPERATION, raw.has_collection(request)).await?;
        check_status(OPERATION, response.status.as_ref())?;
        Ok(response.value)
    }

    /// The names of all collections, sorted.
    pub async fn collections(&self) -> Result<Vec<String>, MilvusError> {
        const OPERATION: &str = "list collections";
        let mut raw = self.raw.clone();
        let request = ShowCollectionsRequest::default();
        let response = self.call_raw(OPERATION, raw.show_collections(request)).await?;
        check_status(OPERATION, response.status.as_ref())?;
        let mut names = response.collection_names;
        names.sort_unstable();
        Ok(names)
    }
}

#[expect(deprecated, reason = "Milvus Lite and Milvus before 2.4 have auto_id there alone")]
fn schema(described: &pb::CollectionSchema) -> Result<Schema, String> {
    let mut fields = Vec::new();
    // Some servers list the dynamic field among the others.
    for declared in described.fields.iter().filter(|field| !field.is_dynamic) {
        let mut read = field(declared)?;
        read.auto_id |= read.primary && described.auto_id;
        fields.push(read);
    }
    for array in &described.struct_array_fields {
        let mut read = Field::new(&array.name, DataType::StructArray);
        for member in &array.fields {
            let mut member = field(member)?;
            let DataType::Array(element) = member.data_type else {
                return Err(unknown(&format!("{}.{}", array.name, member.name)));
            };
            member.data_type = DataType::Scalar(element);
            read.max_capacity = member.max_capacity.take();
            // Some servers put the name of the array before it.
            let prefix = format!("{}[", array.name);
            if let Some(name) = member.name.strip_prefix(&prefix) {
                member.name = name.trim_end_matches(']').to_owned();
            }
            read.members.push(member);
        }
        fields.push(read);
    }
    Ok(Schema { fields, dynamic: described.enable_dynamic_field })
}

fn unknown(name: &str) -> String {
    format!("the field '{name}' has a type that this release does not handle")
}

fn field(field: &pb::FieldSchema) -> Result<Field, String> {
    let name = &field.name;
    let unknown = || unknown(name);
    let parameter = |key: &str| parameter(&field.type_params, key);
    let dim = || parameter("dim").filter(|dim| *dim > 0).ok_or_else(unknown);
    let small = || dim().and_then(|dim| u16::try_from(dim).map_err(|_| unknown()));
    let data_type = match field.data_type() {
        pb::DataType::Json => DataType::Json,
        pb::DataType::Array => DataType::Array(scalar(field.element_type()).ok_or_else(unknown)?),
        pb::DataType::Timestamptz => DataType::Timestamptz,
        pb::DataType::Geometry => DataType::Geometry,
        pb::DataType::FloatVector => DataType::FloatVector { dim: small()? },
        pb::DataType::BinaryVector => DataType::BinaryVector { dim: dim()? },
        pb::DataType::Float16Vector => DataType::Float16Vector { dim: small()? },
        pb::DataType::BFloat16Vector => DataType::BFloat16Vector { dim: small()? },
        pb::DataType::Int8Vector => DataType::Int8Vector { dim: small()? },
        pb::DataType::SparseFloatVector => DataType::SparseVector,
        other => DataType::Scalar(scalar(other).ok_or_else(unknown)?),
    };
    let mut read = Field::new(name, data_type);
    read.primary = field.is_primary_key;
    read.auto_id = field.auto_id;
    read.partition_key = field.is_partition_key;
    read.nullable = field.nullable;
    if matches!(data_type, DataType::Scalar(Scalar::VarChar) | DataType::Array(Scalar::VarChar)) {
        // What fields are created with unless they state one goes without saying.
        read.max_length = parameter("max_length").filter(|most| *most != Field::MAX_LENGTH);
    }
    if matches!(data_type, DataType::Array(_)) {
        read.max_capacity = parameter("max_capacity").filter(|most| *most != Field::MAX_CAPACITY);
    }
    let default = field.default_value.as_ref().and_then(|value| value.data.as_ref());
    if let Some(data) = default {
        let value = default_value(data).ok_or_else(unknown)?;
        let value = match (data_type, value) {
            (DataType::Timestamptz, Value::Int(micros)) => Value::Timestamp(micros),
            (_, value) => value,
        };
        read.default = Some(value.to_json());
    }
    Ok(read)
}

fn parameter(parameters: &[KeyValuePair], key: &str) -> Option<u32> {
    parameters.iter().find(|pair| pair.key == key)?.value.parse().ok()
}

fn default_value(data: &value_field::Data) -> Option<Value> {
    use value_field::Data;
    match data {
        Data::BoolData(b) => Some(Value::Bool(*b)),
        Data::IntData(i) => Some(Value::Int((*i).into())),
        Data::LongData(i) | Data::TimestamptzData(i) => Some(Value::Int(*i)),
        Data::FloatData(x) => Some(Value::Float(*x)),
        Data::DoubleData(x) => Some(Value::Double(*x)),
        Data::StringData(text) => Some(Value::Text(text.clone())),
        Data::BytesData(bytes) => serde_json::from_slice::<Json>(bytes).ok().map(Value::Json),
        _ => None,
    }
}

fn scalar(data_type: pb::DataType) -> Option<Scalar> {
    match data_type {
        pb::DataType::Bool => Some(Scalar::Bool),
        pb::DataType::Int8 => Some(Scalar::Int8),
        pb::DataType::Int16 => Some(Scalar::Int16),
        pb::DataType::Int32 => Some(Scalar::Int32),
        pb::DataType::Int64 => Some(Scalar::Int64),
        pb::DataType::Float => Some(Scalar::Float),
        pb::DataType::Double => Some(Scalar::Double),
        pb::DataType::VarChar => Some(Scalar::VarChar),
        _ => None,
    }
}
