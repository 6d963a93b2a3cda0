//! Schemas in Arrow.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Fields, TimeUnit};

use super::DumpError;
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::META;

/// The key of a schema's metadata in Arrow under which the whole [`Schema`] stands, as JSON.
pub const SCHEMA_KEY: &str = "milvus-difftest:schema";

/// The key of a field's metadata in Arrow under which its type in Milvus stands, for instance
/// `BFLOAT16_VECTOR(8)`.
pub const TYPE_KEY: &str = "milvus-difftest:type";

/// The schema in Arrow: a column for each field, and `$meta` if there is a dynamic field.
///
/// ```
/// use milvus_difftest::dump::{TYPE_KEY, arrow_schema, embedded_schema};
/// use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
/// let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
/// let schema = Schema { fields: vec![id], dynamic: true };
/// let arrow = arrow_schema(&schema);
/// assert_eq!(arrow.field(0).metadata()[TYPE_KEY], "INT64");
/// assert_eq!(arrow.field(1).name(), "$meta");
/// assert_eq!(embedded_schema(&arrow).unwrap(), Some(schema));
/// ```
pub fn arrow_schema(schema: &Schema) -> arrow::datatypes::Schema {
    let meta = schema.dynamic.then(|| {
        let meta = ArrowField::new(META, ArrowType::Utf8, false);
        meta.with_metadata(type_metadata(&Field::new(META, DataType::Json)))
    });
    let fields: Fields = schema.fields.iter().map(arrow_field).chain(meta).collect();
    let json = serde_json::to_string(schema).expect("a schema is texts, numbers and flags");
    arrow::datatypes::Schema::new_with_metadata(
        fields,
        HashMap::from([(SCHEMA_KEY.to_owned(), json)]),
    )
}

/// The [`Schema`] that stands in the metadata of a schema in Arrow; `None` if none does.
///
/// # Errors
/// [`DumpError::Metadata`] and [`DumpError::Schema`] if what stands there is none.
pub fn embedded_schema(arrow: &arrow::datatypes::Schema) -> Result<Option<Schema>, DumpError> {
    let Some(json) = arrow.metadata().get(SCHEMA_KEY) else {
        return Ok(None);
    };
    let schema: Schema = serde_json::from_str(json).map_err(DumpError::Metadata)?;
    schema.validate()?;
    Ok(Some(schema))
}

/// What a column must be, for messages.
pub(super) fn expected(field: &Field) -> String {
    let (milvus, arrow) = (field.data_type, arrow_type(field));
    format!("{milvus}, which is {arrow} or converts to it without loss")
}

fn arrow_field(field: &Field) -> ArrowField {
    let arrow = ArrowField::new(&field.name, arrow_type(field), field.is_optional());
    arrow.with_metadata(type_metadata(field))
}

fn type_metadata(field: &Field) -> HashMap<String, String> {
    HashMap::from([(TYPE_KEY.to_owned(), field.data_type.to_string())])
}

fn arrow_type(field: &Field) -> ArrowType {
    match field.data_type {
        DataType::Scalar(scalar) => scalar_type(scalar),
        DataType::Json | DataType::Geometry => ArrowType::Utf8,
        DataType::Timestamptz => ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Array(scalar) => ArrowType::List(element(scalar_type(scalar))),
        DataType::StructArray => {
            ArrowType::List(element(ArrowType::Struct(member_fields(&field.members))))
        }
        DataType::FloatVector { dim } | DataType::BFloat16Vector { dim } => {
            ArrowType::FixedSizeList(element(ArrowType::Float32), dim.into())
        }
        DataType::Float16Vector { dim } => {
            ArrowType::FixedSizeList(element(ArrowType::Float16), dim.into())
        }
        DataType::Int8Vector { dim } => {
            ArrowType::FixedSizeList(element(ArrowType::Int8), dim.into())
        }
        // At most 32768 bytes.
        DataType::BinaryVector { dim } => {
            ArrowType::FixedSizeBinary(i32::try_from(dim / 8).unwrap_or(i32::MAX))
        }
        DataType::SparseVector => ArrowType::List(element(ArrowType::Struct(sparse_fields()))),
    }
}

fn scalar_type(scalar: Scalar) -> ArrowType {
    match scalar {
        Scalar::Bool => ArrowType::Boolean,
        Scalar::Int8 => ArrowType::Int8,
        Scalar::Int16 => ArrowType::Int16,
        Scalar::Int32 => ArrowType::Int32,
        Scalar::Int64 => ArrowType::Int64,
        Scalar::Float => ArrowType::Float32,
        Scalar::Double => ArrowType::Float64,
        Scalar::VarChar => ArrowType::Utf8,
    }
}

/// What a list consists of, under the name that Parquet's specification asks for.
pub(super) fn element(arrow: ArrowType) -> Arc<ArrowField> {
    Arc::new(ArrowField::new("element", arrow, false))
}

pub(super) fn member_fields(members: &[Field]) -> Fields {
    members.iter().map(arrow_field).collect()
}

pub(super) fn sparse_fields() -> Fields {
    let index = ArrowField::new("index", ArrowType::UInt32, false);
    Fields::from(vec![index, ArrowField::new("value", ArrowType::Float32, false)])
}
