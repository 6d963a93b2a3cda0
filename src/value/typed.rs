//! Values that can be read back without their fields.

use std::collections::BTreeMap;

use half::{bf16, f16};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value as Json;

use super::{Value, plain_float};

/// A value with the name of its type: `{"float": 0.1}`. What an engine answers need not fit its
/// field, so that the field alone would not say what it is.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Typed {
    Null,
    Bool(bool),
    Int(i64),
    Float(Real),
    Double(Real),
    Text(String),
    Json(Json),
    Array(Vec<Typed>),
    Timestamp(i64),
    Geometry(String),
    Structs(Vec<BTreeMap<String, Typed>>),
    FloatVector(Vec<Real>),
    BinaryVector(Vec<u8>),
    Float16Vector(Vec<Real>),
    Bfloat16Vector(Vec<Real>),
    Int8Vector(Vec<i8>),
    /// Pairs: the keys of JSON objects are texts.
    SparseFloatVector(Vec<(u32, Real)>),
}

impl From<&Value> for Typed {
    fn from(value: &Value) -> Typed {
        let typed = |values: &[Value]| values.iter().map(Typed::from).collect();
        match value {
            Value::Null => Typed::Null,
            Value::Bool(b) => Typed::Bool(*b),
            Value::Int(i) => Typed::Int(*i),
            Value::Float(x) => Typed::Float(Real::from(*x)),
            Value::Double(d) => Typed::Double(Real(*d)),
            Value::Text(text) => Typed::Text(text.clone()),
            Value::Json(json) => Typed::Json(json.clone()),
            Value::Array(items) => Typed::Array(typed(items)),
            Value::Timestamp(micros) => Typed::Timestamp(*micros),
            Value::Geometry(text) => Typed::Geometry(text.clone()),
            Value::Structs(structs) => {
                let member = |(name, value): (&String, &Value)| (name.clone(), value.into());
                Typed::Structs(structs.iter().map(|one| one.iter().map(member).collect()).collect())
            }
            Value::Vector(items) => Typed::FloatVector(items.iter().map(|x| (*x).into()).collect()),
            Value::BinaryVector(bytes) => Typed::BinaryVector(bytes.clone()),
            Value::Float16Vector(items) => {
                Typed::Float16Vector(items.iter().map(|x| x.to_f32().into()).collect())
            }
            Value::BFloat16Vector(items) => {
                Typed::Bfloat16Vector(items.iter().map(|x| x.to_f32().into()).collect())
            }
            Value::Int8Vector(items) => Typed::Int8Vector(items.clone()),
            Value::SparseVector(values) => {
                Typed::SparseFloatVector(values.iter().map(|(at, x)| (*at, (*x).into())).collect())
            }
        }
    }
}

impl From<Typed> for Value {
    fn from(typed: Typed) -> Value {
        match typed {
            Typed::Null => Value::Null,
            Typed::Bool(b) => Value::Bool(b),
            Typed::Int(i) => Value::Int(i),
            Typed::Float(x) => Value::Float(x.single()),
            Typed::Double(Real(d)) => Value::Double(d),
            Typed::Text(text) => Value::Text(text),
            Typed::Json(json) => Value::Json(json),
            Typed::Array(items) => Value::Array(items.into_iter().map(Value::from).collect()),
            Typed::Timestamp(micros) => Value::Timestamp(micros),
            Typed::Geometry(text) => Value::Geometry(text),
            Typed::Structs(structs) => {
                let member = |(name, value): (String, Typed)| (name, value.into());
                let one = |one: BTreeMap<_, _>| one.into_iter().map(member).collect();
                Value::Structs(structs.into_iter().map(one).collect())
            }
            Typed::FloatVector(items) => Value::Vector(items.iter().map(Real::single).collect()),
            Typed::BinaryVector(bytes) => Value::BinaryVector(bytes),
            Typed::Float16Vector(items) => {
                let half = |x: &Real| f16::from_f32(x.single());
                Value::Float16Vector(items.iter().map(half).collect())
            }
            Typed::Bfloat16Vector(items) => {
                let half = |x: &Real| bf16::from_f32(x.single());
                Value::BFloat16Vector(items.iter().map(half).collect())
            }
            Typed::Int8Vector(items) => Value::Int8Vector(items),
            Typed::SparseFloatVector(values) => {
                Value::SparseVector(values.iter().map(|(at, x)| (*at, x.single())).collect())
            }
        }
    }
}

/// A floating-point number; in JSON, which has finite numbers only, a text if it is none: `"NaN"`.
pub(crate) struct Real(f64);

impl Real {
    fn single(&self) -> f32 {
        self.0 as f32
    }
}

impl From<f32> for Real {
    fn from(x: f32) -> Real {
        Real(if x.is_finite() { plain_float(x) } else { f64::from(x) })
    }
}

impl Serialize for Real {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.is_finite() {
            true => serializer.serialize_f64(self.0),
            false => serializer.collect_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Real, D::Error> {
        let json = Json::deserialize(deserializer)?;
        let text = || json.as_str().and_then(|text| text.parse().ok());
        let real = json.as_f64().or_else(text).map(Real);
        real.ok_or_else(|| de::Error::custom(format!("{json} is no floating-point number")))
    }
}
