//! Collection schemas: fields, their types and limits.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::value::Value;

/// A type that a column or an ARRAY element can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scalar {
    /// BOOL.
    Bool,
    /// INT8.
    Int8,
    /// INT16.
    Int16,
    /// INT32.
    Int32,
    /// INT64.
    Int64,
    /// FLOAT, 32 bits.
    Float,
    /// DOUBLE, 64 bits.
    Double,
    /// VARCHAR, UTF-8.
    VarChar,
}

impl Scalar {
    /// Every scalar type, in the order of Milvus's documentation.
    pub const ALL: [Scalar; 8] = [
        Scalar::Bool,
        Scalar::Int8,
        Scalar::Int16,
        Scalar::Int32,
        Scalar::Int64,
        Scalar::Float,
        Scalar::Double,
        Scalar::VarChar,
    ];

    /// The values that an integer type can hold; `None` for the others.
    pub fn int_range(self) -> Option<RangeInclusive<i64>> {
        match self {
            Scalar::Int8 => Some(i64::from(i8::MIN)..=i64::from(i8::MAX)),
            Scalar::Int16 => Some(i64::from(i16::MIN)..=i64::from(i16::MAX)),
            Scalar::Int32 => Some(i64::from(i32::MIN)..=i64::from(i32::MAX)),
            Scalar::Int64 => Some(i64::MIN..=i64::MAX),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Scalar::Bool => "BOOL",
            Scalar::Int8 => "INT8",
            Scalar::Int16 => "INT16",
            Scalar::Int32 => "INT32",
            Scalar::Int64 => "INT64",
            Scalar::Float => "FLOAT",
            Scalar::Double => "DOUBLE",
            Scalar::VarChar => "VARCHAR",
        }
    }
}

/// The type of a field. Written as `INT8`, `ARRAY<VARCHAR>`, `FLOAT_VECTOR(4)` in case files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum DataType {
    /// A scalar column.
    Scalar(Scalar),
    /// A JSON column.
    Json,
    /// An ARRAY of one scalar type.
    Array(Scalar),
    /// TIMESTAMPTZ: a moment, to the microsecond.
    Timestamptz,
    /// GEOMETRY: well-known text.
    Geometry,
    /// An ARRAY of STRUCT; what a struct consists of stands in [`Field::members`].
    StructArray,
    /// A FLOAT_VECTOR.
    FloatVector {
        /// Dimensions.
        dim: u16,
    },
    /// A BINARY_VECTOR, eight dimensions a byte.
    BinaryVector {
        /// Dimensions, a multiple of eight.
        dim: u32,
    },
    /// A FLOAT16_VECTOR: IEEE 754 half precision.
    Float16Vector {
        /// Dimensions.
        dim: u16,
    },
    /// A BFLOAT16_VECTOR: the upper half of a 32-bit float.
    BFloat16Vector {
        /// Dimensions.
        dim: u16,
    },
    /// An INT8_VECTOR.
    Int8Vector {
        /// Dimensions.
        dim: u16,
    },
    /// A SPARSE_FLOAT_VECTOR, whose dimension is not declared.
    SparseVector,
}

impl DataType {
    /// The greatest dimension of a vector; of a BINARY_VECTOR, eight times that (documentation,
    /// "Milvus limits").
    pub const MAX_DIM: u16 = 32_768;

    /// The names of all types, without dimensions and element types.
    pub const KINDS: [&str; 19] = [
        "BOOL",
        "INT8",
        "INT16",
        "INT32",
        "INT64",
        "FLOAT",
        "DOUBLE",
        "VARCHAR",
        "JSON",
        "ARRAY",
        "TIMESTAMPTZ",
        "GEOMETRY",
        "ARRAY<STRUCT>",
        "FLOAT_VECTOR",
        "BINARY_VECTOR",
        "FLOAT16_VECTOR",
        "BFLOAT16_VECTOR",
        "INT8_VECTOR",
        "SPARSE_FLOAT_VECTOR",
    ];

    /// The name without dimension and element type, for instance `ARRAY` or `FLOAT_VECTOR`.
    pub fn kind(self) -> &'static str {
        match self {
            DataType::Scalar(scalar) => scalar.name(),
            DataType::Json => "JSON",
            DataType::Array(_) => "ARRAY",
            DataType::Timestamptz => "TIMESTAMPTZ",
            DataType::Geometry => "GEOMETRY",
            DataType::StructArray => "ARRAY<STRUCT>",
            DataType::FloatVector { .. } => "FLOAT_VECTOR",
            DataType::BinaryVector { .. } => "BINARY_VECTOR",
            DataType::Float16Vector { .. } => "FLOAT16_VECTOR",
            DataType::BFloat16Vector { .. } => "BFLOAT16_VECTOR",
            DataType::Int8Vector { .. } => "INT8_VECTOR",
            DataType::SparseVector => "SPARSE_FLOAT_VECTOR",
        }
    }

    /// The dimensions of a dense vector; `None` for every other type.
    pub fn dim(self) -> Option<u32> {
        match self {
            DataType::BinaryVector { dim } => Some(dim),
            DataType::FloatVector { dim }
            | DataType::Float16Vector { dim }
            | DataType::BFloat16Vector { dim }
            | DataType::Int8Vector { dim } => Some(dim.into()),
            _ => None,
        }
    }

    /// Whether this is a vector, dense or sparse.
    pub fn is_vector(self) -> bool {
        self.dim().is_some() || self == DataType::SparseVector
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataType::Array(element) => write!(f, "ARRAY<{}>", element.name()),
            other => match other.dim() {
                Some(dim) => write!(f, "{}({dim})", other.kind()),
                None => f.write_str(other.kind()),
            },
        }
    }
}

impl From<DataType> for String {
    fn from(data_type: DataType) -> String {
        data_type.to_string()
    }
}

impl TryFrom<String> for DataType {
    type Error = UnknownType;

    fn try_from(text: String) -> Result<DataType, UnknownType> {
        text.parse()
    }
}

impl FromStr for DataType {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<DataType, UnknownType> {
        let scalar = |name: &str| Scalar::ALL.into_iter().find(|s| s.name() == name);
        let plain = [
            DataType::Json,
            DataType::Timestamptz,
            DataType::Geometry,
            DataType::StructArray,
            DataType::SparseVector,
        ];
        let parsed = match text.split_once('(') {
            Some((kind, dim)) => dim.strip_suffix(')').and_then(|dim| vector(kind, dim)),
            None => plain
                .into_iter()
                .find(|data_type| data_type.kind() == text)
                .or_else(|| inside(text, "ARRAY<", ">").and_then(scalar).map(DataType::Array))
                .or_else(|| scalar(text).map(DataType::Scalar)),
        };
        parsed.ok_or_else(|| UnknownType(text.chars().take(40).collect()))
    }
}

/// A dense vector type; `None` if there is none of that name and dimension.
fn vector(kind: &str, dim: &str) -> Option<DataType> {
    let wide: u32 = dim.parse().ok()?;
    if kind == "BINARY_VECTOR" {
        let fits = wide > 0 && wide <= 8 * u32::from(DataType::MAX_DIM) && wide.is_multiple_of(8);
        return fits.then_some(DataType::BinaryVector { dim: wide });
    }
    let dim = u16::try_from(wide).ok().filter(|dim| (1..=DataType::MAX_DIM).contains(dim))?;
    match kind {
        "FLOAT_VECTOR" => Some(DataType::FloatVector { dim }),
        "FLOAT16_VECTOR" => Some(DataType::Float16Vector { dim }),
        "BFLOAT16_VECTOR" => Some(DataType::BFloat16Vector { dim }),
        "INT8_VECTOR" => Some(DataType::Int8Vector { dim }),
        _ => None,
    }
}

fn inside<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.strip_prefix(start)?.strip_suffix(end)
}

/// A type name that Milvus does not have, or that this crate does not handle yet.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "unknown field type '{0}': expected BOOL, INT8, INT16, INT32, INT64, FLOAT, DOUBLE, VARCHAR, \
     ARRAY<one of these>, JSON, TIMESTAMPTZ, GEOMETRY, ARRAY<STRUCT>, SPARSE_FLOAT_VECTOR, or \
     FLOAT_VECTOR(dim), FLOAT16_VECTOR(dim), BFLOAT16_VECTOR(dim), INT8_VECTOR(dim) with dim up \
     to 32768, or BINARY_VECTOR(dim) with a multiple of 8"
)]
pub struct UnknownType(String);

/// One field of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// The name, `[A-Za-z_][A-Za-z0-9_]*`.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// Whether this is the primary key.
    #[serde(default, skip_serializing_if = "is_false")]
    pub primary: bool,
    /// Whether the field may be null (Milvus 2.5 and later).
    #[serde(default, skip_serializing_if = "is_false")]
    pub nullable: bool,
    /// What a row gets that omits the field or has a null there, in the form that values have in
    /// case files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Json>,
    /// Whether rows are spread over partitions by this field.
    #[serde(default, skip_serializing_if = "is_false")]
    pub partition_key: bool,
    /// Whether the engine assigns the keys. Those in a case are handles then: they name rows there
    /// and never reach the engine.
    #[serde(default, skip_serializing_if = "is_false")]
    pub auto_id: bool,
    /// The longest VARCHAR, as a value or an element, in bytes; see [`Field::max_length`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u32>,
    /// The longest ARRAY, in elements; see [`Field::max_capacity`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_capacity: Option<u32>,
    /// How nearness to a FLOAT_VECTOR is measured: L2 where it is not stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// What the structs of an [`DataType::StructArray`] consist of; empty for every other type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Field>,
}

/// How nearness is measured (documentation, "Metric Types").
///
/// ```
/// use milvus_difftest::schema::Metric;
/// assert_eq!(Metric::InnerProduct.name(), "IP");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Metric {
    /// The square of the Euclidean distance: the smaller, the nearer.
    L2,
    /// The inner product: the larger, the nearer.
    #[serde(rename = "IP")]
    InnerProduct,
    /// The cosine of the angle: the larger, the nearer.
    #[serde(rename = "COSINE")]
    Cosine,
}

impl Metric {
    /// Its name in Milvus.
    pub fn name(self) -> &'static str {
        match self {
            Metric::L2 => "L2",
            Metric::InnerProduct => "IP",
            Metric::Cosine => "COSINE",
        }
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Field {
    /// The `max_length` that VARCHAR fields and elements are created with unless they state one.
    pub const MAX_LENGTH: u32 = 4096;
    /// The `max_capacity` that ARRAY fields are created with unless they state one.
    pub const MAX_CAPACITY: u32 = 64;

    /// A field that is neither primary nor nullable nor anything else.
    pub fn new(name: impl Into<String>, data_type: DataType) -> Field {
        Field {
            name: name.into(),
            data_type,
            primary: false,
            nullable: false,
            default: None,
            partition_key: false,
            auto_id: false,
            max_length: None,
            max_capacity: None,
            metric: None,
            members: Vec::new(),
        }
    }

    /// The same field, as the primary key.
    pub fn primary(self) -> Field {
        Field { primary: true, ..self }
    }

    /// The same field, nullable.
    pub fn nullable(self) -> Field {
        Field { nullable: true, ..self }
    }

    /// The same field with a default value.
    pub fn or_default(self, default: impl Into<Json>) -> Field {
        Field { default: Some(default.into()), ..self }
    }

    /// Whether this is a vector field, which filters cannot use.
    pub fn is_vector(&self) -> bool {
        self.data_type.is_vector()
    }

    /// Whether a row may leave the field out or have a null there.
    pub fn is_optional(&self) -> bool {
        self.nullable || self.default.is_some()
    }

    /// What a row has that omits the field or gives a null: the default, else a null.
    pub fn absent(&self) -> Value {
        let default = self.default.as_ref().map(|json| Value::from_json(self, json));
        // A default that is none is ruled out by `Schema::validate`.
        default.and_then(Result::ok).unwrap_or(Value::Null)
    }

    /// The name of the metric of its index; `None` if it is no vector. Vectors that are sparse or
    /// binary have one that suits them.
    pub fn metric(&self) -> Option<&'static str> {
        Some(match self.data_type {
            _ if !self.is_vector() => return None,
            DataType::SparseVector => "IP",
            DataType::BinaryVector { .. } => "HAMMING",
            _ => self.metric.unwrap_or(Metric::L2).name(),
        })
    }

    /// The longest VARCHAR that fits, in bytes.
    pub fn max_length(&self) -> u32 {
        self.max_length.unwrap_or(Field::MAX_LENGTH)
    }

    /// The longest ARRAY that fits, in elements.
    pub fn max_capacity(&self) -> u32 {
        self.max_capacity.unwrap_or(Field::MAX_CAPACITY)
    }

    fn validate(&self) -> Result<(), InvalidSchema> {
        let name = &self.name;
        let invalid = |reason: String| Err(InvalidSchema(reason));
        let mut letters = name.chars();
        let starts = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        let word = starts && letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !word || name.len() > MAX_NAME {
            return invalid(format!("'{name}' is not a field name"));
        }
        let data_type = self.data_type;
        if self.nullable && (self.is_vector() || data_type == DataType::StructArray) {
            let what = if self.is_vector() { "vector" } else { "array of structs" };
            return invalid(format!("its {what} '{name}' is nullable"));
        }
        if self.auto_id && !self.primary {
            return invalid(format!("only a key is assigned, and '{name}' is none"));
        }
        let text = [DataType::Scalar(Scalar::VarChar), DataType::Array(Scalar::VarChar)];
        match self.max_length {
            Some(_) if !text.contains(&data_type) => {
                return invalid(format!("'{name}' is {data_type} and has no max_length"));
            }
            Some(length) if !(1..=65_535).contains(&length) => {
                return invalid(format!("the max_length of '{name}' is not within 1 and 65535"));
            }
            _ => {}
        }
        let array = matches!(data_type, DataType::Array(_) | DataType::StructArray);
        match self.max_capacity {
            Some(_) if !array => {
                return invalid(format!("'{name}' is {data_type} and has no max_capacity"));
            }
            Some(capacity) if !(1..=4096).contains(&capacity) => {
                return invalid(format!("the max_capacity of '{name}' is not within 1 and 4096"));
            }
            _ => {}
        }
        if self.metric.is_some() && !matches!(data_type, DataType::FloatVector { .. }) {
            return invalid(format!("'{name}' is {data_type} and has no metric to choose"));
        }
        if let Some(default) = &self.default {
            // Documentation, "Nullable & Default": scalar fields alone, and not the key.
            let scalar = matches!(
                data_type,
                DataType::Scalar(_) | DataType::Timestamptz | DataType::Geometry
            );
            if !scalar || self.primary {
                return invalid(format!("'{name}' is of a kind that has no default"));
            }
            let value = Value::from_json(&Field { nullable: false, ..self.clone() }, default);
            if !value.is_ok_and(|value| value.fits(self)) {
                return invalid(format!("the default of '{name}' is no {data_type}: {default}"));
            }
        }
        if self.partition_key {
            // Documentation, "Use Partition Key".
            let types = [DataType::Scalar(Scalar::Int64), DataType::Scalar(Scalar::VarChar)];
            if !types.contains(&data_type) || self.nullable || self.primary {
                return invalid(format!(
                    "its partition key '{name}' must be a required INT64 or VARCHAR other than \
                     the primary key"
                ));
            }
        }
        if (data_type == DataType::StructArray) == self.members.is_empty() {
            return invalid(format!("'{name}' is {data_type}, and its members do not suit that"));
        }
        for (i, member) in self.members.iter().enumerate() {
            member.validate()?;
            let plain = matches!(member.data_type, DataType::Scalar(_))
                && !member.primary
                && !member.is_optional()
                && !member.partition_key;
            if !plain {
                return invalid(format!(
                    "'{}' must be a plain scalar to be a member of '{name}'",
                    member.name
                ));
            }
            if self.members[..i].iter().any(|other| other.name == member.name) {
                return invalid(format!("'{name}' has the member '{}' twice", member.name));
            }
        }
        Ok(())
    }
}

/// The longest name of a field, and the most fields of a collection (documentation, "Milvus
/// limits").
const MAX_NAME: usize = 255;
const MAX_FIELDS: usize = 64;

/// A collection's schema. Exactly one field is primary; see [`Schema::validate`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// The fields, in order.
    pub fields: Vec<Field>,
    /// Whether undeclared keys are kept (Milvus's dynamic field).
    #[serde(default)]
    pub dynamic: bool,
}

impl Schema {
    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The primary key field.
    ///
    /// # Panics
    /// If the schema has no primary field, which [`Schema::validate`] rules out.
    pub fn primary(&self) -> &Field {
        let primary = self.fields.iter().find(|field| field.primary);
        primary.expect("a validated schema has a primary field")
    }

    /// Fields that are neither the key nor a vector: what a finding counts as its fields.
    pub fn payload(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| !field.primary && !field.is_vector())
    }

    /// Checks the rules that Milvus sets on schemas.
    ///
    /// ```
    /// use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
    /// let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
    /// assert!(Schema { fields: vec![id.clone()], dynamic: false }.validate().is_ok());
    /// assert!(Schema { fields: vec![id.clone(), id], dynamic: false }.validate().is_err());
    /// ```
    pub fn validate(&self) -> Result<(), InvalidSchema> {
        let invalid = |reason: String| Err(InvalidSchema(reason));
        let primaries: Vec<_> = self.fields.iter().filter(|field| field.primary).collect();
        let [primary] = primaries[..] else {
            return invalid(format!("it has {} primary fields, not one", primaries.len()));
        };
        let key_types = [DataType::Scalar(Scalar::Int64), DataType::Scalar(Scalar::VarChar)];
        if !key_types.contains(&primary.data_type) || primary.nullable {
            return invalid(format!(
                "its key '{}' must be a required INT64 or VARCHAR",
                primary.name
            ));
        }
        if self.fields.len() > MAX_FIELDS {
            return invalid(format!(
                "it has {} fields, and at most {MAX_FIELDS} fit",
                self.fields.len()
            ));
        }
        for (i, field) in self.fields.iter().enumerate() {
            field.validate()?;
            if self.fields[..i].iter().any(|other| other.name == field.name) {
                return invalid(format!("it declares '{}' twice", field.name));
            }
        }
        let partition_keys = self.fields.iter().filter(|field| field.partition_key).count();
        if partition_keys > 1 {
            return invalid(format!("it has {partition_keys} partition keys, not one"));
        }
        Ok(())
    }
}

/// A schema that Milvus would not create.
#[derive(Debug, Clone, thiserror::Error)]
#[error("invalid schema: {0}")]
pub struct InvalidSchema(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_round_trip_through_their_names() {
        let mut types = vec![
            DataType::Json,
            DataType::Timestamptz,
            DataType::Geometry,
            DataType::StructArray,
            DataType::FloatVector { dim: 4 },
            DataType::BinaryVector { dim: 262_144 },
            DataType::Float16Vector { dim: 32_768 },
            DataType::BFloat16Vector { dim: 1 },
            DataType::Int8Vector { dim: 3 },
            DataType::SparseVector,
        ];
        types.extend(Scalar::ALL.map(DataType::Scalar));
        types.extend(Scalar::ALL.map(DataType::Array));
        for data_type in types {
            assert_eq!(data_type.to_string().parse::<DataType>().unwrap(), data_type);
        }
        for wrong in [
            "ARRAY<JSON>",
            "ARRAY<TIMESTAMPTZ>",
            "FLOAT_VECTOR(0)",
            "FLOAT_VECTOR(32769)",
            "BINARY_VECTOR(12)",
            "BINARY_VECTOR(262152)",
            "SPARSE_FLOAT_VECTOR(2)",
            "INT8_VECTOR(2",
        ] {
            assert!(wrong.parse::<DataType>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn milvus_limits_hold() {
        let id = r#"{"name": "id", "type": "INT64", "primary": true}"#;
        let validate = |fields: &str| {
            let schema: Schema =
                serde_json::from_str(&format!(r#"{{"fields": [{fields}]}}"#)).unwrap();
            schema.validate()
        };
        for fine in [
            r#"{"name": "s", "type": "VARCHAR", "max_length": 65535, "default": "x"}"#,
            r#"{"name": "a", "type": "ARRAY<VARCHAR>", "max_length": 1, "max_capacity": 4096}"#,
            r#"{"name": "p", "type": "INT64", "partition_key": true}"#,
            r#"{"name": "t", "type": "TIMESTAMPTZ", "default": "1969-12-31T23:59:59.999999Z"}"#,
            r#"{"name": "n", "type": "INT8", "nullable": true, "default": -128}"#,
            r#"{"name": "st", "type": "ARRAY<STRUCT>", "members": [{"name": "m", "type": "BOOL"}]}"#,
            r#"{"name": "v", "type": "FLOAT_VECTOR(2)", "metric": "COSINE"}"#,
        ] {
            validate(&format!("{id}, {fine}")).unwrap_or_else(|error| panic!("{fine}: {error}"));
        }
        for wrong in [
            r#"{"name": "s", "type": "VARCHAR", "max_length": 65536}"#,
            r#"{"name": "s", "type": "VARCHAR", "max_length": 2, "default": "é!"}"#,
            r#"{"name": "n", "type": "INT8", "max_length": 1}"#,
            r#"{"name": "n", "type": "INT8", "default": 128}"#,
            r#"{"name": "n", "type": "INT8", "auto_id": true}"#,
            r#"{"name": "j", "type": "JSON", "default": {}}"#,
            r#"{"name": "a", "type": "ARRAY<INT8>", "max_capacity": 4097}"#,
            r#"{"name": "a", "type": "ARRAY<INT8>", "default": []}"#,
            r#"{"name": "p", "type": "INT32", "partition_key": true}"#,
            r#"{"name": "p", "type": "INT64", "partition_key": true, "nullable": true}"#,
            r#"{"name": "v", "type": "SPARSE_FLOAT_VECTOR", "nullable": true}"#,
            r#"{"name": "v", "type": "SPARSE_FLOAT_VECTOR", "metric": "IP"}"#,
            r#"{"name": "st", "type": "ARRAY<STRUCT>"}"#,
            r#"{"name": "1", "type": "INT8"}"#,
        ] {
            assert!(validate(&format!("{id}, {wrong}")).is_err(), "{wrong}");
        }
        let keys = r#"{"name": "p", "type": "INT64", "partition_key": true},
                      {"name": "q", "type": "INT64", "partition_key": true}"#;
        assert!(validate(&format!("{id}, {keys}")).is_err());
        let many = (0..63).map(|i| format!(r#"{{"name": "f{i}", "type": "BOOL"}}"#));
        let many = many.collect::<Vec<_>>().join(", ");
        assert!(validate(&format!("{id}, {many}")).is_ok());
        assert!(validate(&format!(r#"{id}, {many}, {{"name": "g", "type": "BOOL"}}"#)).is_err());
    }
}
