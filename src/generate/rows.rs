//! Random rows, rich in boundary values.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value as Json};

use super::boundary;
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{Key, Row, Value};

/// Up to `most` rows with distinct keys.
pub fn rows(schema: &Schema, most: usize) -> BoxedStrategy<Vec<Row>> {
    let schema = schema.clone();
    // Small collections are quick and shrink well; large ones reach other code.
    let most = prop_oneof![
        6 => Just(most.min(24)),
        3 => Just(most.min(80)),
        1 => Just(most),
    ];
    most.prop_flat_map(move |most| {
        let schema = schema.clone();
        vec(row(&schema), 0..=most).prop_map(move |rows| {
            let keyed = rows.into_iter().filter_map(|row| Some((row.key(&schema)?, row)));
            keyed.collect::<BTreeMap<Key, Row>>().into_values().collect()
        })
    })
    .boxed()
}

/// One row.
pub(super) fn row(schema: &Schema) -> BoxedStrategy<Row> {
    let fields: Vec<_> = schema.fields.iter().map(value).collect();
    let names: Vec<String> = schema.fields.iter().map(|field| field.name.clone()).collect();
    let dynamic = if schema.dynamic { members().boxed() } else { Just(Map::new()).boxed() };
    (fields, dynamic)
        .prop_map(move |(values, dynamic)| Row {
            fields: names.iter().cloned().zip(values).collect(),
            dynamic: dynamic
                .into_iter()
                .map(|(key, v)| (format!("dyn_{key}"), v))
                .filter(
                    // A name in a filter, so nothing but a word.
                    |(key, _)| key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
                )
                .collect(),
        })
        .boxed()
}

/// A value of a field.
pub(super) fn value(field: &Field) -> BoxedStrategy<Value> {
    let present = match field.data_type {
        DataType::Scalar(scalar) if field.primary => key(scalar),
        DataType::Scalar(scalar) => scalars(scalar),
        DataType::Json => members().prop_map(|object| Value::Json(Json::Object(object))).boxed(),
        DataType::Array(element) => prop_oneof![
            1 => Just(Vec::new()),
            5 => vec(scalars(element), 0..=4),
        ]
        .prop_map(Value::Array)
        .boxed(),
        DataType::FloatVector { dim } => vec(-8i8..8, usize::from(dim))
            .prop_map(|v| Value::Vector(v.into_iter().map(|x| f32::from(x) / 4.0).collect()))
            .boxed(),
    };
    if field.nullable { prop_oneof![1 => Just(Value::Null), 3 => present].boxed() } else { present }
}

/// Keys: the greatest INT64 is left out, rows with it are invisible on Milvus 2.3; and the least,
/// which it cannot read in the filter that deletes them.
fn key(scalar: Scalar) -> BoxedStrategy<Value> {
    if scalar == Scalar::VarChar {
        let word = "[a-z]{1,6}".prop_map(Value::Text);
        let special: Vec<_> = boundary::TEXTS.iter().filter(|text| !text.is_empty()).collect();
        prop_oneof![4 => word, 1 => select(special).prop_map(|s| Value::Text((*s).to_owned()))]
            .boxed()
    } else {
        let mut limits = boundary::ints(scalar);
        limits.retain(|i| !matches!(*i, i64::MIN | i64::MAX));
        prop_oneof![4 => 0i64..1000, 1 => select(limits)].prop_map(Value::Int).boxed()
    }
}

fn scalars(scalar: Scalar) -> BoxedStrategy<Value> {
    match scalar {
        Scalar::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Scalar::Int8 | Scalar::Int16 | Scalar::Int32 | Scalar::Int64 => {
            let limits = boundary::ints(scalar);
            prop_oneof![2 => -5i64..=5, 2 => select(limits)].prop_map(Value::Int).boxed()
        }
        Scalar::Float => {
            let quarters = (-20i8..20).prop_map(|x| f32::from(x) / 4.0);
            prop_oneof![2 => select(boundary::floats()), 1 => quarters]
                .prop_map(|x| Value::Float(positive_zero(f64::from(x)) as f32))
                .boxed()
        }
        Scalar::Double => {
            let any = (-1_000_000i32..1_000_000).prop_map(|x| f64::from(x) / 7.0);
            prop_oneof![2 => select(&boundary::DOUBLES[..]), 1 => any]
                .prop_map(|x| Value::Double(positive_zero(x)))
                .boxed()
        }
        Scalar::VarChar => texts().prop_map(Value::Text).boxed(),
    }
}

fn positive_zero(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x }
}

fn texts() -> BoxedStrategy<String> {
    prop_oneof![
        6 => select(&boundary::TEXTS[..]).prop_map(str::to_owned),
        2 => "[ab]{0,3}",
        1 => Just("x".repeat(300)),
    ]
    .boxed()
}

/// The members of a JSON object; each key is missing from some rows.
fn members() -> BoxedStrategy<Map<String, Json>> {
    let member = prop::option::weighted(0.7, json());
    boundary::KEYS
        .iter()
        .map(|_| member.clone())
        .collect::<Vec<_>>()
        .prop_map(|values| {
            let members = boundary::KEYS.iter().zip(values);
            members.filter_map(|(key, value)| Some(((*key).to_owned(), value?))).collect()
        })
        .boxed()
}

/// A JSON value: mostly scalars, arrays of scalars, one level of nested objects.
fn json() -> BoxedStrategy<Json> {
    let scalar = select(boundary::json_scalars());
    let small =
        prop_oneof![(-3i64..=3).prop_map(Json::from), select(vec!["a", "b"]).prop_map(Json::from)];
    // Containers of nothing but nulls and empties are left out: whether they "exist" is undefined.
    let list = vec(small.clone(), 0..=3).prop_map(Json::from);
    let nested = (select(vec!["a", "n"]), prop_oneof![small.clone(), Just(Json::from(true))])
        .prop_map(|(key, value)| Json::Object(Map::from_iter([(key.to_owned(), value)])));
    prop_oneof![
        5 => scalar,
        4 => small,
        3 => list,
        2 => nested,
        1 => Just(Json::Object(Map::new())),
    ]
    .boxed()
}
