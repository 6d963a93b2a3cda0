//! The schema of a collection that exists.

use milvus::v2::prelude as sdk;

use super::connection::Milvus;
use super::error::MilvusError;
use crate::schema::{DataType, Field, Scalar, Schema};

impl Milvus {
    /// The schema of a collection, which need not have been made by this crate. A field whose type
    /// this crate does not handle is an error.
    pub async fn schema(&self, collection: &str) -> Result<Schema, MilvusError> {
        const OPERATION: &str = "describe collection";
        let request = sdk::DescribeCollectionRequest::builder()
            .collection_name(collection)
            .build()
            .map_err(|error| MilvusError::from_sdk(OPERATION, self.deadline, error))?;
        let response = self.call(OPERATION, self.sdk.describe_collection(request)).await?;
        let described = response.description().get_schema();
        let unreadable = |reason| MilvusError::Malformed { operation: OPERATION, reason };
        let declared = described.get_fields().iter().filter(|field| !field.is_dynamic());
        let fields = declared.map(field).collect::<Result<_, _>>().map_err(unreadable)?;
        let schema = Schema { fields, dynamic: described.is_dynamic_field_enabled() };
        schema.validate().map_err(|error| unreadable(error.to_string()))?;
        Ok(schema)
    }
}

fn field(field: &sdk::FieldSchema) -> Result<Field, String> {
    let name = field.get_name();
    let unknown = || format!("the field '{name}' has a type that this release does not handle");
    let data_type = match field.get_data_type() {
        sdk::DataType::Json => DataType::Json,
        sdk::DataType::Array => {
            let element = field.get_element_type().and_then(scalar);
            DataType::Array(element.ok_or_else(unknown)?)
        }
        sdk::DataType::FloatVector => {
            let dim = u16::try_from(field.get_dimension()).ok().filter(|dim| *dim > 0);
            DataType::FloatVector { dim: dim.ok_or_else(unknown)? }
        }
        other => DataType::Scalar(scalar(other).ok_or_else(unknown)?),
    };
    let mut read = Field::new(name, data_type);
    read.primary = field.is_primary_key();
    read.nullable = field.is_nullable();
    Ok(read)
}

fn scalar(data_type: sdk::DataType) -> Option<Scalar> {
    match data_type {
        sdk::DataType::Bool => Some(Scalar::Bool),
        sdk::DataType::Int8 => Some(Scalar::Int8),
        sdk::DataType::Int16 => Some(Scalar::Int16),
        sdk::DataType::Int32 => Some(Scalar::Int32),
        sdk::DataType::Int64 => Some(Scalar::Int64),
        sdk::DataType::Float => Some(Scalar::Float),
        sdk::DataType::Double => Some(Scalar::Double),
        sdk::DataType::VarChar => Some(Scalar::VarChar),
        _ => None,
    }
}
