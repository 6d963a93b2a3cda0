//! Typed values and entities, as Milvus stores them.
//!
//! Nothing here knows a server or SQL. A [`Row`] is one entity: its declared fields, and the keys
//! that went into the dynamic field.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use half::{bf16, f16};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value as Json};

pub use self::geometry::Geometry;
pub(crate) use self::typed::Typed;
use crate::schema::{DataType, Field, Scalar, Schema};

mod geometry;
pub(crate) mod timestamp;
mod typed;

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
    /// TIMESTAMPTZ: microseconds since the beginning of 1970 in UTC.
    Timestamp(i64),
    /// GEOMETRY: well-known text.
    Geometry(String),
    /// An ARRAY of STRUCT: the members of each, by name.
    Structs(Vec<BTreeMap<String, Value>>),
    /// FLOAT_VECTOR.
    Vector(Vec<f32>),
    /// BINARY_VECTOR: eight dimensions a byte.
    BinaryVector(Vec<u8>),
    /// FLOAT16_VECTOR.
    Float16Vector(Vec<f16>),
    /// BFLOAT16_VECTOR.
    BFloat16Vector(Vec<bf16>),
    /// INT8_VECTOR.
    Int8Vector(Vec<i8>),
    /// SPARSE_FLOAT_VECTOR: values by dimension.
    SparseVector(BTreeMap<u32, f32>),
}

impl Value {
    /// Whether two values are the same: floats by their bits, JSON by parsed value, geometries by
    /// their coordinates.
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
            (Value::Vector(a), Value::Vector(b)) => all(a, b, |a, b| a.to_bits() == b.to_bits()),
            (Value::Float16Vector(a), Value::Float16Vector(b)) => {
                all(a, b, |a, b| a.to_bits() == b.to_bits())
            }
            (Value::BFloat16Vector(a), Value::BFloat16Vector(b)) => {
                all(a, b, |a, b| a.to_bits() == b.to_bits())
            }
            (Value::SparseVector(a), Value::SparseVector(b)) => {
                all(a, b, |a, b| a.0 == b.0 && a.1.to_bits() == b.1.to_bits())
            }
            (Value::Array(a), Value::Array(b)) => all(a, b, |a, b| a.same(b)),
            (Value::Structs(a), Value::Structs(b)) => {
                all(a, b, |a, b| all(a, b, |a, b| a.0 == b.0 && a.1.same(b.1)))
            }
            (Value::Json(a), Value::Json(b)) => same_json(a, b),
            (Value::Geometry(a), Value::Geometry(b)) => {
                a == b || Geometry::parse(a).is_some_and(|a| Some(a) == Geometry::parse(b))
            }
            _ => self == other,
        }
    }

    /// Whether a field can hold this value, or turns it into one that it can: a null into its
    /// default.
    pub fn fits(&self, field: &Field) -> bool {
        let short = |scalar: &Value| match scalar {
            Value::Text(text) => text.len() <= field.max_length() as usize,
            _ => true,
        };
        let dims = |len: usize| Some(len) == field.data_type.dim().map(|dim| dim as usize);
        let room = |len: usize| len <= field.max_capacity() as usize;
        match (self, &field.data_type) {
            (Value::Null, _) => field.is_optional(),
            (value, DataType::Scalar(scalar)) => value.is(*scalar) && short(value),
            (Value::Array(items), DataType::Array(scalar)) => {
                room(items.len()) && items.iter().all(|i| i.is(*scalar) && short(i))
            }
            (Value::Json(_), DataType::Json) => true,
            (Value::Timestamp(micros), DataType::Timestamptz) => timestamp::RANGE.contains(micros),
            (Value::Geometry(text), DataType::Geometry) => Geometry::parse(text).is_some(),
            (Value::Structs(structs), DataType::StructArray) => {
                room(structs.len())
                    && structs.iter().all(|members| {
                        members.len() == field.members.len()
                            && field.members.iter().all(|member| {
                                members.get(&member.name).is_some_and(|value| value.fits(member))
                            })
                    })
            }
            (Value::Vector(items), DataType::FloatVector { .. }) => {
                dims(items.len()) && items.iter().all(|x| x.is_finite())
            }
            (Value::BinaryVector(bytes), DataType::BinaryVector { .. }) => dims(8 * bytes.len()),
            (Value::Float16Vector(items), DataType::Float16Vector { .. }) => {
                dims(items.len()) && items.iter().all(|x| x.is_finite())
            }
            (Value::BFloat16Vector(items), DataType::BFloat16Vector { .. }) => {
                dims(items.len()) && items.iter().all(|x| x.is_finite())
            }
            (Value::Int8Vector(items), DataType::Int8Vector { .. }) => dims(items.len()),
            // The rules of Milvus's `ValidateSparseFloatRows`; whether a vector without any value
            // is one, no documentation says.
            (Value::SparseVector(values), DataType::SparseVector) => {
                !values.is_empty()
                    && values.iter().all(|(at, x)| *at < u32::MAX && x.is_finite() && *x > 0.0)
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
            Value::Timestamp(micros) => Json::from(timestamp::to_text(*micros)),
            Value::Geometry(text) => Json::from(text.as_str()),
            Value::Structs(structs) => {
                let members = |members: &BTreeMap<String, Value>| {
                    let members =
                        members.iter().map(|(name, value)| (name.clone(), value.to_json()));
                    Json::Object(members.collect())
                };
                structs.iter().map(members).collect()
            }
            Value::Vector(items) => items.iter().map(|x| plain_float(*x)).collect(),
            Value::BinaryVector(bytes) => bytes.iter().copied().collect(),
            Value::Float16Vector(items) => items.iter().map(|x| plain_float(x.to_f32())).collect(),
            Value::BFloat16Vector(items) => items.iter().map(|x| plain_float(x.to_f32())).collect(),
            Value::Int8Vector(items) => items.iter().copied().collect(),
            Value::SparseVector(values) => {
                let values = values.iter().map(|(at, x)| (at.to_string(), plain_float(*x).into()));
                Json::Object(values.collect())
            }
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
            return if field.is_optional() { Ok(Value::Null) } else { Err(wrong()) };
        }
        let value = match field.data_type {
            DataType::Scalar(scalar) => scalar_from_json(scalar, json),
            DataType::Json => Some(Value::Json(json.clone())),
            DataType::Array(scalar) => {
                items(json, |item| scalar_from_json(scalar, item)).map(Value::Array)
            }
            DataType::Timestamptz => {
                json.as_str().and_then(timestamp::from_text).map(Value::Timestamp)
            }
            DataType::Geometry => json.as_str().map(|text| Value::Geometry(text.to_owned())),
            DataType::StructArray => {
                items(json, |item| members_from_json(field, item)).map(Value::Structs)
            }
            DataType::FloatVector { .. } => items(json, float_from_json).map(Value::Vector),
            DataType::BinaryVector { .. } => {
                items(json, |item| u8::try_from(item.as_u64()?).ok()).map(Value::BinaryVector)
            }
            DataType::Float16Vector { .. } => {
                items(json, |item| item.as_f64().map(f16::from_f64)).map(Value::Float16Vector)
            }
            DataType::BFloat16Vector { .. } => {
                items(json, |item| item.as_f64().map(bf16::from_f64)).map(Value::BFloat16Vector)
            }
            DataType::Int8Vector { .. } => {
                items(json, |item| i8::try_from(item.as_i64()?).ok()).map(Value::Int8Vector)
            }
            DataType::SparseVector => json.as_object().and_then(|values| {
                let value =
                    |(at, x): (&String, &Json)| Some((at.parse().ok()?, float_from_json(x)?));
                values.iter().map(value).collect::<Option<_>>().map(Value::SparseVector)
            }),
        };
        // Lengths of scalars are left to `Case::validate`, which says more about them.
        value.filter(|value| !field.is_vector() || value.fits(field)).ok_or_else(wrong)
    }

    /// The plainest value of a field other than null: zero, false, or empty.
    pub fn plain(field: &Field) -> Value {
        let dim = field.data_type.dim().unwrap_or_default() as usize;
        match field.data_type {
            DataType::Scalar(Scalar::Bool) => Value::Bool(false),
            DataType::Scalar(Scalar::Float) => Value::Float(0.0),
            DataType::Scalar(Scalar::Double) => Value::Double(0.0),
            DataType::Scalar(Scalar::VarChar) => Value::Text(String::new()),
            DataType::Scalar(_) => Value::Int(0),
            DataType::Json => Value::Json(Json::Object(Map::new())),
            DataType::Array(_) => Value::Array(Vec::new()),
            DataType::Timestamptz => Value::Timestamp(0),
            DataType::Geometry => Value::Geometry("POINT (0 0)".to_owned()),
            DataType::StructArray => Value::Structs(Vec::new()),
            DataType::FloatVector { .. } => Value::Vector(vec![0.0; dim]),
            DataType::BinaryVector { .. } => Value::BinaryVector(vec![0; dim / 8]),
            DataType::Float16Vector { .. } => Value::Float16Vector(vec![f16::ZERO; dim]),
            DataType::BFloat16Vector { .. } => Value::BFloat16Vector(vec![bf16::ZERO; dim]),
            DataType::Int8Vector { .. } => Value::Int8Vector(vec![0; dim]),
            DataType::SparseVector => Value::SparseVector(BTreeMap::from([(0, 1.0)])),
        }
    }

    /// Reads a moment in ISO 8601, with `Z` or an offset; `None` if it is none between the years 1
    /// and 9999, or finer than microseconds.
    ///
    /// ```
    /// use milvus_difftest::value::Value;
    /// assert_eq!(Value::timestamp("1970-01-01T00:00:00.5Z"), Some(Value::Timestamp(500_000)));
    /// ```
    pub fn timestamp(text: &str) -> Option<Value> {
        timestamp::from_text(text).map(Value::Timestamp)
    }
}

fn all<A: IntoIterator, B: IntoIterator>(
    a: A,
    b: B,
    same: impl Fn(A::Item, B::Item) -> bool,
) -> bool
where
    A::IntoIter: ExactSizeIterator,
    B::IntoIter: ExactSizeIterator,
{
    let (a, b) = (a.into_iter(), b.into_iter());
    a.len() == b.len() && a.zip(b).all(|(a, b)| same(a, b))
}

fn items<T>(json: &Json, item: impl Fn(&Json) -> Option<T>) -> Option<Vec<T>> {
    json.as_array()?.iter().map(item).collect()
}

fn members_from_json(field: &Field, json: &Json) -> Option<BTreeMap<String, Value>> {
    let members = json.as_object()?;
    let member = |(name, value): (&String, &Json)| {
        let member = field.members.iter().find(|member| member.name == *name)?;
        Some((name.clone(), Value::from_json(member, value).ok()?))
    };
    members.iter().map(member).collect()
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

/// A primary key, ordered and hashable; in JSON a number or a string.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
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

impl Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl From<Key> for Value {
    fn from(key: Key) -> Value {
        match key {
            Key::Int(i) => Value::Int(i),
            Key::Text(s) => Value::Text(s),
        }
    }
}

/// One entity.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    /// Values by field name; a field that is absent is null, or has its default.
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

    /// Finds out whether a collection of that schema can take the row. A key that the engine assigns
    /// may be missing.
    ///
    /// ```
    /// use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
    /// use milvus_difftest::value::{Row, Value};
    /// let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
    /// let schema = Schema { fields: vec![id], dynamic: false };
    /// let mut row = Row::default();
    /// assert!(row.validate(&schema).is_err());
    /// row.fields.insert("id".to_owned(), Value::Int(1));
    /// assert!(row.validate(&schema).is_ok());
    /// ```
    pub fn validate(&self, schema: &Schema) -> Result<(), ValueError> {
        self.validate_given(schema, |field| {
            !(field.auto_id && *self.get(&field.name) == Value::Null)
        })
    }

    /// Finds out whether the row can be a change to one: it has the key, and whatever else it has
    /// fits.
    pub fn validate_part(&self, schema: &Schema) -> Result<(), ValueError> {
        self.validate_given(schema, |field| field.primary || self.fields.contains_key(&field.name))
    }

    fn validate_given(
        &self,
        schema: &Schema,
        is_due: impl Fn(&Field) -> bool,
    ) -> Result<(), ValueError> {
        let wrong = |field: &str, expected: String, found: &Value| ValueError {
            field: field.to_owned(),
            expected,
            found: found.to_string().chars().take(80).collect(),
        };
        if let Some(name) = self.fields.keys().find(|name| schema.field(name).is_none()) {
            return Err(wrong(name, "not in the schema".to_owned(), self.get(name)));
        }
        if !schema.dynamic && !self.dynamic.is_empty() {
            let dynamic = Value::Json(Json::Object(self.dynamic.clone()));
            return Err(wrong(META, "not in the schema".to_owned(), &dynamic));
        }
        for field in schema.fields.iter().filter(|field| is_due(field)) {
            let value = self.get(&field.name);
            if !value.fits(field) {
                return Err(wrong(&field.name, field.data_type.to_string(), value));
            }
        }
        Ok(())
    }

    /// The row as Milvus stores it: with the default wherever a field that has one is left out or
    /// null.
    pub fn stored(&self, schema: &Schema) -> Row {
        let mut row = self.clone();
        for field in schema.fields.iter().filter(|field| field.default.is_some()) {
            if *row.get(&field.name) == Value::Null {
                row.fields.insert(field.name.clone(), field.absent());
            }
        }
        row
    }

    /// The row after a partial upsert: with the fields and the dynamic keys that the other one has,
    /// each replaced as a whole (documentation, Upsert Entities, merge mode).
    ///
    /// ```
    /// use milvus_difftest::value::{Row, Value};
    /// let mut row = Row::default();
    /// row.fields.insert("n".to_owned(), Value::Int(1));
    /// row.dynamic.insert("colour".to_owned(), "red".into());
    /// let mut change = Row::default();
    /// change.fields.insert("n".to_owned(), Value::Null);
    /// change.dynamic.insert("size".to_owned(), 5.into());
    /// let row = row.merged(&change);
    /// assert_eq!(row.get("n"), &Value::Null);
    /// assert_eq!(row.dynamic.len(), 2);
    /// ```
    pub fn merged(&self, change: &Row) -> Row {
        let mut row = self.clone();
        row.fields.extend(change.fields.clone());
        row.dynamic.extend(change.dynamic.clone());
        row
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
        for field in schema.fields.iter().filter(|f| !f.is_optional()) {
            if !row.fields.contains_key(&field.name) {
                return Err(wrong(&field.name, "required", &Json::Null));
            }
        }
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_compare_exactly_with_doubles() {
        let cases =
            [(1, 1.5, Ordering::Less), (2, 1.5, Ordering::Greater), (-1, -1.5, Ordering::Greater)];
        for (int, double, ordering) in cases {
            assert_eq!(compare_int_double(int, double), Some(ordering));
        }
    }
}
