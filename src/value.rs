//! Typed values and entities, as Milvus stores them.
//!
//! Nothing here knows a server or SQL. A [`Row`] is one entity: its declared fields, and the keys
//! that went into the dynamic field.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Number, Value as Json};

use crate::schema::{DataType, Field, Scalar, Schema};

/// The name under which Milvus keeps keys that no field declares.
pub const META: &str = "$meta";

/// One value of one field. The variant follows the field's type; [`Value::Null`] fits every
/// nullable field.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A null, or a value left out.
    Null,
    /// BOOL.
    Bool(bool),
    /// INT8, INT16, INT32 or INT64, within the range of its field.
    Int(i64),
    /// FLOAT: 32 bits.
    Float(f32),
    /// DOUBLE: 64 bits.
    Double(f64),
    /// VARCHAR.
    Text(String),
    /// JSON.
    Json(Json),
    /// ARRAY; the elements are scalars of the field's element type, never null.
    Array(Vec<Value>),
    /// FLOAT_VECTOR.
    Vector(Vec<f32>),
}

impl Value {
    /// Whether two values are the same: floats by their bits, JSON by parsed value.
    ///
    /// ```
    /// use milvus_difftest::value::Value;
    /// assert!(!Value::Float(0.0).same(&Value::Float(-0.0)));
    /// let (a, b) = (serde_json::json!({"k": 1}), serde_json::json!({"k": 1.0}));
    /// assert!(Value::Json(a).same(&Value::Json(b)));
    /// ```
    pub fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
            (Value::Double(a), Value::Double(b)) => a.to_bits() == b.to_bits(),
            (Value::Vector(a), Value::Vector(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
            }
            (Value::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Value::Json(a), Value::Json(b)) => same_json(a, b),
            _ => self == other,
        }
    }

    /// Whether a field can hold this value.
    pub fn fits(&self, field: &Field) -> bool {
        match (self, &field.data_type) {
            (Value::Null, _) => field.nullable,
            (value, DataType::Scalar(scalar)) => value.is(*scalar),
            (Value::Array(items), DataType::Array(scalar)) => items.iter().all(|i| i.is(*scalar)),
            (Value::Json(_), DataType::Json) => true,
            (Value::Vector(items), DataType::FloatVector { dim }) => {
                items.len() == usize::from(*dim) && items.iter().all(|x| x.is_finite())
            }
            _ => false,
        }
    }

    fn is(&self, scalar: Scalar) -> bool {
        match (self, scalar) {
            (Value::Bool(_), Scalar::Bool) | (Value::Text(_), Scalar::VarChar) => true,
            (Value::Int(i), scalar) => scalar.int_range().is_some_and(|range| range.contains(i)),
            (Value::Float(x), Scalar::Float) => x.is_finite(),
            (Value::Double(x), Scalar::Double) => x.is_finite(),
            _ => false,
        }
    }

    /// The plain JSON form used in case files and on the wire to Milvus.
    pub fn to_json(&self) -> Json {
        match self {
            Value::Null => Json::Null,
            Value::Bool(b) => Json::Bool(*b),
            Value::Int(i) => Json::from(*i),
            Value::Float(x) => Json::from(plain_float(*x)),
            Value::Double(d) => Json::from(*d),
            Value::Text(s) => Json::String(s.clone()),
            Value::Json(j) => j.clone(),
            Value::Array(items) => items.iter().map(Value::to_json).collect(),
            Value::Vector(items) => items.iter().map(|x| plain_float(*x)).collect(),
        }
    }

    /// Reads the plain JSON form back, as a value of `field`.
    pub fn from_json(field: &Field, json: &Json) -> Result<Value, ValueError> {
        let wrong = || ValueError {
            field: field.name.clone(),
            expected: field.data_type.to_string(),
            found: json.to_string().chars().take(80).collect(),
        };
        if json.is_null() {
            return if field.nullable { Ok(Value::Null) } else { Err(wrong()) };
        }
        match &field.data_type {
            DataType::Scalar(scalar) => scalar_from_json(*scalar, json).ok_or_else(wrong),
            DataType::Json => Ok(Value::Json(json.clone())),
            DataType::Array(scalar) => {
                let items = json.as_array().ok_or_else(wrong)?;
                let items = items.iter().map(|item| scalar_from_json(*scalar, item));
                Ok(Value::Array(items.collect::<Option<_>>().ok_or_else(wrong)?))
            }
            DataType::FloatVector { dim } => {
                let items = json.as_array().filter(|items| items.len() == *dim as usize);
                let items = items.ok_or_else(wrong)?.iter().map(float_from_json);
                Ok(Value::Vector(items.collect::<Option<_>>().ok_or_else(wrong)?))
            }
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The shortest form of a FLOAT, not the 17 digits of its widened double.
            Value::Float(x) => write!(f, "{x:?}"),
            Value::Array(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    let comma = if i > 0 { ", " } else { "" };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str("]")
            }
            other => write!(f, "{}", other.to_json()),
        }
    }
}

/// A JSON value that does not fit its field.
#[derive(Debug, Clone, thiserror::Error)]
#[error("field '{field}' is {expected}, which cannot hold {found}")]
pub struct ValueError {
    field: String,
    expected: String,
    found: String,
}

fn scalar_from_json(scalar: Scalar, json: &Json) -> Option<Value> {
    match scalar {
        Scalar::Bool => json.as_bool().map(Value::Bool),
        Scalar::Int8 | Scalar::Int16 | Scalar::Int32 | Scalar::Int64 => json
            .as_i64()
            .filter(|i| scalar.int_range().is_some_and(|r| r.contains(i)))
            .map(Value::Int),
        Scalar::Float => float_from_json(json).map(Value::Float),
        Scalar::Double => json.as_f64().map(Value::Double),
        Scalar::VarChar => json.as_str().map(|s| Value::Text(s.to_owned())),
    }
}

fn float_from_json(json: &Json) -> Option<f32> {
    json.as_f64().map(|d| d as f32).filter(|f| f.is_finite())
}

/// The double that a person would write for a FLOAT: 0.1, not 0.10000000149011612. Rounded to 32
/// bits it is the same.
fn plain_float(x: f32) -> f64 {
    let exact = f64::from(x);
    match x.to_string().parse::<f64>() {
        // The shortest form of the greatest FLOAT is a double beyond it.
        Ok(plain) if plain as f32 == x && plain.abs() <= f64::from(f32::MAX) => plain,
        _ => exact,
    }
}

fn same_json(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => compare_numbers(a, b) == Some(Ordering::Equal),
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_json(a, b))
        }
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same_json(a, b)))
        }
        _ => a == b,
    }
}

/// Compares two JSON numbers by their mathematical value, without rounding either. `None` only if
/// one is not a number, which JSON cannot write.
pub fn compare_numbers(a: &Number, b: &Number) -> Option<Ordering> {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        (Some(a), None) => compare_int_double(a, b.as_f64()?),
        (None, Some(b)) => compare_int_double(b, a.as_f64()?).map(Ordering::reverse),
        (None, None) => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

/// Compares an integer with a double exactly, as if both were real numbers.
///
/// ```
/// use milvus_difftest::value::compare_int_double;
/// use std::cmp::Ordering;
/// // 2^53 + 1 is not representable as a double.
/// assert_eq!(compare_int_double(9007199254740993, 9007199254740992.0), Some(Ordering::Greater));
/// ```
pub fn compare_int_double(int: i128, double: f64) -> Option<Ordering> {
    // 2^96 is far beyond every 64-bit integer and exactly representable.
    const BEYOND: f64 = 79_228_162_514_264_337_593_543_950_336.0;
    if double.is_nan() {
        None
    } else if double >= BEYOND {
        Some(Ordering::Less)
    } else if double <= -BEYOND {
        Some(Ordering::Greater)
    } else {
        let floor = double.floor();
        Some(int.cmp(&(floor as i128)).then(if double > floor {
            Ordering::Less
        } else {
            Ordering::Equal
        }))
    }
}

fn integer(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

/// A primary key, ordered and hashable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// An INT64 key.
    Int(i64),
    /// A VARCHAR key.
    Text(String),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Int(i) => write!(f, "{i}"),
            Key::Text(s) => write!(f, "{}", Json::String(s.clone())),
        }
    }
}

/// One entity.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    /// Values by field name; a field that is absent is null.
    pub fields: BTreeMap<String, Value>,
    /// The keys of the dynamic field.
    pub dynamic: Map<String, Json>,
}

impl Row {
    /// The value of a declared field; null when absent.
    pub fn get(&self, field: &str) -> &Value {
        self.fields.get(field).unwrap_or(&Value::Null)
    }

    /// The primary key, if the row has one of the right type.
    pub fn key(&self, schema: &Schema) -> Option<Key> {
        match self.get(&schema.primary().name) {
            Value::Int(i) => Some(Key::Int(*i)),
            Value::Text(s) => Some(Key::Text(s.clone())),
            _ => None,
        }
    }

    /// The row as one JSON object: fields by name, dynamic keys under `$meta` if there are any.
    pub fn to_json(&self) -> Json {
        let fields = self.fields.iter().map(|(name, value)| (name.clone(), value.to_json()));
        let mut object: Map<String, Json> = fields.collect();
        if !self.dynamic.is_empty() {
            object.insert(META.to_owned(), Json::Object(self.dynamic.clone()));
        }
        Json::Object(object)
    }

    /// Reads a row back; every value must fit its field in `schema`.
    pub fn from_json(schema: &Schema, json: &Json) -> Result<Row, ValueError> {
        let wrong = |field: &str, expected: &str, found: &Json| ValueError {
            field: field.to_owned(),
            expected: expected.to_owned(),
            found: found.to_string().chars().take(80).collect(),
        };
        let object = json.as_object().ok_or_else(|| wrong("(row)", "a JSON object", json))?;
        let mut row = Row::default();
        for (name, value) in object {
            if name == META && schema.dynamic {
                let keys = value.as_object().ok_or_else(|| wrong(META, "a JSON object", value))?;
                row.dynamic = keys.clone();
            } else {
                let field = schema.field(name);
                let field = field.ok_or_else(|| wrong(name, "not in the schema", value))?;
                row.fields.insert(name.clone(), Value::from_json(field, value)?);
            }
        }
        for field in schema.fields.iter().filter(|f| !f.nullable) {
            if !row.fields.contains_key(&field.name) {
                return Err(wrong(&field.name, "required", &Json::Null));
            }
        }
        Ok(row)
    }
}
