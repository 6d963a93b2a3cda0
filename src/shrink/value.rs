//! Plainer values: every candidate is less complex than what it replaces.

use half::{bf16, f16};
use serde_json::{Map, Number, Value as Json};

use super::size;
use crate::filter::{Interval, Literal};
use crate::value::{Key, Value};

/// Plainer values of the same type.
pub(super) fn values(value: &Value) -> Vec<Value> {
    let candidates: Vec<Value> = match value {
        // A null that does not matter becomes a value.
        Value::Null => Vec::new(),
        Value::Bool(_) => vec![Value::Bool(false)],
        Value::Int(i) => ints(*i).into_iter().map(Value::Int).collect(),
        Value::Float(x) => {
            floats(f64::from(*x)).into_iter().map(|x| Value::Float(x as f32)).collect()
        }
        Value::Double(x) => floats(*x).into_iter().map(Value::Double).collect(),
        Value::Text(s) => texts(s).into_iter().map(Value::Text).collect(),
        // Milvus wants an object at the top.
        Value::Json(j) => jsons(j).into_iter().filter(Json::is_object).map(Value::Json).collect(),
        Value::Array(items) => lists(items, values).into_iter().map(Value::Array).collect(),
        Value::Timestamp(micros) => ints(*micros).into_iter().map(Value::Timestamp).collect(),
        Value::Geometry(_) => {
            let plain = ["POINT (0 0)", "POINT (1 2)", "POLYGON ((0 0, 1 0, 1 1, 0 0))"];
            plain.map(|text| Value::Geometry(text.to_owned())).into()
        }
        Value::Structs(structs) => lists(structs, |members| {
            let one = |(name, value): (&String, &Value)| {
                let with = |plainer| {
                    let mut members = members.clone();
                    members.insert(name.clone(), plainer);
                    members
                };
                values(value).into_iter().map(with).collect::<Vec<_>>()
            };
            members.iter().flat_map(one).collect()
        })
        .into_iter()
        .map(Value::Structs)
        .collect(),
        Value::Vector(items) => zeros(items, &0.0).into_iter().map(Value::Vector).collect(),
        Value::BinaryVector(items) => {
            zeros(items, &0).into_iter().map(Value::BinaryVector).collect()
        }
        Value::Float16Vector(items) => {
            zeros(items, &f16::ZERO).into_iter().map(Value::Float16Vector).collect()
        }
        Value::BFloat16Vector(items) => {
            zeros(items, &bf16::ZERO).into_iter().map(Value::BFloat16Vector).collect()
        }
        Value::Int8Vector(items) => zeros(items, &0).into_iter().map(Value::Int8Vector).collect(),
        Value::SparseVector(values) => {
            let without = |at: &u32| {
                let mut fewer = values.clone();
                fewer.remove(at);
                fewer
            };
            let mut all: Vec<_> = values.keys().map(without).collect();
            all.retain(|fewer| !fewer.is_empty());
            all.push([(0, 1.0)].into());
            all.into_iter().map(Value::SparseVector).collect()
        }
    };
    let before = size::value(value);
    candidates.into_iter().filter(|candidate| size::value(candidate) < before).collect()
}

/// Plainer literals of the same kind.
pub(super) fn literals(literal: &Literal) -> Vec<Literal> {
    let candidates: Vec<Literal> = match literal {
        Literal::Bool(_) => vec![Literal::Bool(false)],
        Literal::Int(i) => ints(*i).into_iter().map(Literal::Int).collect(),
        Literal::Float(x) => floats(*x).into_iter().map(Literal::Float).collect(),
        Literal::Text(s) => texts(s).into_iter().map(Literal::Text).collect(),
        Literal::List(items) => lists(items, literals).into_iter().map(Literal::List).collect(),
        Literal::Timestamp(micros) => ints(*micros).into_iter().map(Literal::Timestamp).collect(),
        Literal::Interval(interval) => vec![
            Literal::Interval(Interval { months: 0, days: 1, micros: 0 }),
            Literal::Interval(Interval { months: 0, ..*interval }),
            Literal::Interval(Interval { micros: 0, ..*interval }),
        ],
        Literal::Template(_) => Vec::new(),
    };
    let before = size::literal(literal);
    candidates.into_iter().filter(|candidate| size::literal(candidate) < before).collect()
}

/// Plainer keys.
pub(super) fn keys(key: &Key) -> Vec<Key> {
    match key {
        Key::Int(i) => ints(*i).into_iter().map(Key::Int).collect(),
        Key::Text(s) => texts(s).into_iter().map(Key::Text).collect(),
    }
}

/// Plainer JSON values.
pub(super) fn jsons(json: &Json) -> Vec<Json> {
    let candidates: Vec<Json> = match json {
        Json::Null => vec![Json::from(0)],
        Json::Bool(_) => vec![Json::Bool(false), Json::from(0)],
        Json::Number(n) => match n.as_i64() {
            Some(i) => ints(i).into_iter().map(Json::from).collect(),
            None => {
                let x = n.as_f64().unwrap_or_default();
                let ints = [Json::from(0), Json::from(1), Json::from(x as i64)];
                let floats = floats(x).into_iter().filter_map(Number::from_f64).map(Json::Number);
                ints.into_iter().chain(floats).collect()
            }
        },
        Json::String(s) => texts(s).into_iter().map(Json::from).collect(),
        Json::Array(items) => {
            let mut all: Vec<Json> = lists(items, jsons).into_iter().map(Json::from).collect();
            all.push(Json::from(0));
            all
        }
        Json::Object(members) => {
            let mut all: Vec<Json> = objects(members).into_iter().map(Json::Object).collect();
            all.push(Json::from(0));
            all
        }
    };
    let before = size::json(json);
    candidates.into_iter().filter(|candidate| size::json(candidate) < before).collect()
}

/// One member less, or one member plainer.
pub(super) fn objects(members: &Map<String, Json>) -> Vec<Map<String, Json>> {
    let mut all = Vec::new();
    if members.len() > 1 {
        all.push(Map::new());
    }
    for (key, value) in members {
        let mut without = members.clone();
        without.shift_remove(key);
        all.push(without);
        for plainer in jsons(value) {
            let mut with = members.clone();
            with.insert(key.clone(), plainer);
            all.push(with);
        }
    }
    all
}

fn lists<T: Clone>(items: &[T], plainer: impl Fn(&T) -> Vec<T>) -> Vec<Vec<T>> {
    let mut all = Vec::new();
    if items.len() > 1 {
        all.push(Vec::new());
    }
    for (i, item) in items.iter().enumerate() {
        let mut without = items.to_vec();
        without.remove(i);
        all.push(without);
        for candidate in plainer(item) {
            let mut with = items.to_vec();
            with[i] = candidate;
            all.push(with);
        }
    }
    all
}

/// All components zero, or one of them.
fn zeros<T: Copy>(items: &[T], zero: &T) -> Vec<Vec<T>> {
    let one = |i: usize| {
        let mut with = items.to_vec();
        with[i] = *zero;
        with
    };
    std::iter::once(vec![*zero; items.len()]).chain((0..items.len()).map(one)).collect()
}

fn ints(i: i64) -> Vec<i64> {
    // Besides halving: the limits themselves, from which values just beyond them come down.
    let mut all = vec![0, 1, i.checked_neg().unwrap_or(i64::MAX), i / 2, i / 16, i - i.signum()];
    all.retain(|candidate| *candidate != i);
    all.sort_unstable();
    all.dedup();
    all
}

fn floats(x: f64) -> Vec<f64> {
    let mut all = vec![0.0, 1.0, 0.1, 0.5, x.trunc() + 0.0, -x, x / 2.0];
    all.retain(|candidate| {
        candidate.is_finite() && *candidate != x && !is_negative_zero(*candidate)
    });
    all
}

fn is_negative_zero(x: f64) -> bool {
    x == 0.0 && x.is_sign_negative()
}

fn texts(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut all = vec![String::new(), "a".to_owned()];
    // Long strings by halves, short ones letter by letter.
    let half = chars.len() / 2;
    all.push(chars[..half].iter().collect());
    all.push(chars[half..].iter().collect());
    if chars.len() <= 16 {
        for i in 0..chars.len() {
            let mut without = chars.clone();
            without.remove(i);
            all.push(without.into_iter().collect());
            let mut plainer = chars.clone();
            plainer[i] = 'a';
            all.push(plainer.into_iter().collect());
        }
    }
    all.retain(|candidate| candidate != text);
    all.dedup();
    all
}
