//! Collection schemas: fields, their types and limits.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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
    /// A FLOAT_VECTOR.
    FloatVector {
        /// Dimensions.
        dim: u16,
    },
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataType::Scalar(scalar) => f.write_str(scalar.name()),
            DataType::Json => f.write_str("JSON"),
            DataType::Array(element) => write!(f, "ARRAY<{}>", element.name()),
            DataType::FloatVector { dim } => write!(f, "FLOAT_VECTOR({dim})"),
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
        let unknown = || UnknownType(text.chars().take(40).collect());
        let scalar = |name: &str| Scalar::ALL.into_iter().find(|s| s.name() == name);
        if text == "JSON" {
            Ok(DataType::Json)
        } else if let Some(element) = inside(text, "ARRAY<", ">") {
            scalar(element).map(DataType::Array).ok_or_else(unknown)
        } else if let Some(dim) = inside(text, "FLOAT_VECTOR(", ")") {
            let dim = dim.parse().ok().filter(|dim| *dim > 0);
            dim.map(|dim| DataType::FloatVector { dim }).ok_or_else(unknown)
        } else {
            scalar(text).map(DataType::Scalar).ok_or_else(unknown)
        }
    }
}

fn inside<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.strip_prefix(start)?.strip_suffix(end)
}

/// A type name that Milvus does not have, or that this crate does not handle yet.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "unknown field type '{0}': expected BOOL, INT8, INT16, INT32, INT64, FLOAT, DOUBLE, VARCHAR, \
     JSON, ARRAY<one of these scalars>, or FLOAT_VECTOR(dim)"
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
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Field {
    /// The `max_length` that VARCHAR fields and elements are created with, in bytes.
    pub const MAX_LENGTH: u32 = 4096;
    /// The `max_capacity` that ARRAY fields are created with, in elements.
    pub const MAX_CAPACITY: u32 = 64;

    /// A field that is neither primary nor nullable.
    pub fn new(name: impl Into<String>, data_type: DataType) -> Field {
        Field { name: name.into(), data_type, primary: false, nullable: false }
    }

    /// The same field, as the primary key.
    pub fn primary(self) -> Field {
        Field { primary: true, ..self }
    }

    /// The same field, nullable.
    pub fn nullable(self) -> Field {
        Field { nullable: true, ..self }
    }

    /// Whether this is a vector field, which filters cannot use.
    pub fn is_vector(&self) -> bool {
        matches!(self.data_type, DataType::FloatVector { .. })
    }
}

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
        for (i, field) in self.fields.iter().enumerate() {
            let mut letters = field.name.chars();
            let starts = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
            if !starts || !letters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return invalid(format!("'{}' is not a field name", field.name));
            }
            if self.fields[..i].iter().any(|other| other.name == field.name) {
                return invalid(format!("it declares '{}' twice", field.name));
            }
            if field.is_vector() && field.nullable {
                return invalid(format!("its vector '{}' is nullable", field.name));
            }
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
        let mut types = vec![DataType::Json, DataType::FloatVector { dim: 4 }];
        types.extend(Scalar::ALL.map(DataType::Scalar));
        types.extend(Scalar::ALL.map(DataType::Array));
        for data_type in types {
            assert_eq!(data_type.to_string().parse::<DataType>().unwrap(), data_type);
        }
        assert!("ARRAY<JSON>".parse::<DataType>().is_err());
        assert!("FLOAT_VECTOR(0)".parse::<DataType>().is_err());
    }
}
