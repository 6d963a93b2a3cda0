//! Random rows, rich in boundary values.

use std::collections::BTreeMap;

use half::{bf16, f16};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value as Json};

use super::boundary;
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{Key, Row, Value};

/// Up to `most` rows with distinct keys.
pub fn rows(schema: &Schema, most: usize) -> BoxedStrategy<Vec<Row>> {
    keyed(schema, row(schema), most)
}

/// Up to `most` of these rows, with distinct keys. One without a key is left in: it is wrong, and
/// must be seen.
pub(super) fn keyed(
    schema: &Schema,
    row: BoxedStrategy<Row>,
    most: usize,
) -> BoxedStrategy<Vec<Row>> {
    let schema = schema.clone();
    // Small collections are quick and shrink well; large ones reach other code.
    let most = prop_oneof![
        6 => Just(most.min(24)),
        3 => Just(most.min(80)),
        1 => Just(most),
    ];
    most.prop_flat_map(move |most| {
        let schema = schema.clone();
        vec(row.clone(), 0..=most).prop_map(move |rows| {
            let keyed = rows.into_iter().map(|row| (row.key(&schema), row));
            keyed.collect::<BTreeMap<Option<Key>, Row>>().into_values().collect()
        })
    })
    .boxed()
}

/// One row.
pub(super) fn row(schema: &Schema) -> BoxedStrategy<Row> {
    // A field with a default is left out of some rows.
    let written = |field: &Field| match field.default {
        Some(_) => prop::option::weighted(0.7, value(field)).boxed(),
        None => value(field).prop_map(Some).boxed(),
    };
    let fields: Vec<_> = schema.fields.iter().map(written).collect();
    let names: Vec<String> = schema.fields.iter().map(|field| field.name.clone()).collect();
    let dynamic = if schema.dynamic { members().boxed() } else { Just(Map::new()).boxed() };
    (fields, dynamic)
        .prop_map(move |(values, dynamic)| Row {
            fields: names
                .iter()
                .cloned()
                .zip(values)
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
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
    let capacity = field.max_capacity().min(4) as usize;
    let dim = field.data_type.dim().unwrap_or_default() as usize;
    let present = match field.data_type {
        DataType::Scalar(scalar) if field.primary => key(scalar),
        // `text_match` has a defined answer where a column holds nothing but plain words.
        DataType::Scalar(Scalar::VarChar) if is_plain(&field.name) => {
            select(&boundary::WORDS[..]).prop_map(|text| Value::Text(text.to_owned())).boxed()
        }
        DataType::Scalar(scalar) => scalars(scalar, field.max_length()),
        DataType::Json => members().prop_map(|object| Value::Json(Json::Object(object))).boxed(),
        DataType::Array(element) => prop_oneof![
            1 => Just(Vec::new()),
            5 => vec(scalars(element, field.max_length()), 0..=capacity),
        ]
        .prop_map(Value::Array)
        .boxed(),
        DataType::Timestamptz => {
            let any = (-10_000_000_000i64..10_000_000_000).prop_map(|i| i * 1_234_567);
            prop_oneof![2 => select(&boundary::MOMENTS[..]), 1 => any]
                .prop_map(Value::Timestamp)
                .boxed()
        }
        DataType::Geometry => {
            let point = (-1800i32..=1800, -900i32..=900).prop_map(|(x, y)| {
                format!("POINT ({} {})", f64::from(x) / 10.0, f64::from(y) / 10.0)
            });
            let any = select(&boundary::GEOMETRIES[..]).prop_map(str::to_owned);
            // Distances between points on the globe have a defined answer.
            let shapes = if is_plain(&field.name) { 0 } else { 2 };
            prop_oneof![shapes => any, 1 => point].prop_map(Value::Geometry).boxed()
        }
        DataType::StructArray => {
            let names: Vec<String> = field.members.iter().map(|m| m.name.clone()).collect();
            let members: Vec<_> = field.members.iter().map(value).collect();
            let members =
                members.prop_map(move |values| names.iter().cloned().zip(values).collect());
            vec(members, 0..=capacity).prop_map(Value::Structs).boxed()
        }
        DataType::FloatVector { .. } => {
            let quarters = (-8i8..8).prop_map(|x| f32::from(x) / 4.0);
            let component = prop_oneof![3 => quarters, 1 => select(&boundary::COMPONENTS[..])];
            vec(component, dim).prop_map(Value::Vector).boxed()
        }
        DataType::BinaryVector { .. } => {
            let byte = prop_oneof![1 => select(vec![0u8, 1, 0x80, 0xff]), 1 => any::<u8>()];
            vec(byte, dim / 8).prop_map(Value::BinaryVector).boxed()
        }
        // By their bits, all exponents but that of infinity and NaN.
        DataType::Float16Vector { .. } => {
            let any = any::<u16>().prop_map(f16::from_bits);
            let component = prop_oneof![2 => select(&boundary::HALVES[..]), 1 => any];
            let finite = |x: f16| if x.is_finite() { x } else { f16::ONE };
            vec(component.prop_map(finite), dim).prop_map(Value::Float16Vector).boxed()
        }
        DataType::BFloat16Vector { .. } => {
            let limits = boundary::COMPONENTS.map(bf16::from_f32);
            let component = prop_oneof![
                2 => (-8i8..8).prop_map(|x| bf16::from_f32(f32::from(x) / 4.0)),
                1 => select(limits.to_vec()),
                1 => Just(bf16::from_bits(1)),
            ];
            vec(component, dim).prop_map(Value::BFloat16Vector).boxed()
        }
        DataType::Int8Vector { .. } => {
            let component =
                prop_oneof![1 => any::<i8>(), 1 => select(vec![i8::MIN, -1, 0, i8::MAX])];
            vec(component, dim).prop_map(Value::Int8Vector).boxed()
        }
        DataType::SparseVector => {
            let at = prop_oneof![2 => 0u32..10, 1 => select(&boundary::INDEXES[..])];
            let positive = (1u8..=20).prop_map(|x| f32::from(x) / 4.0);
            let x = prop_oneof![3 => positive, 1 => select(vec![f32::MIN_POSITIVE, 0.1, 1e30])];
            prop::collection::btree_map(at, x, 1..=4).prop_map(Value::SparseVector).boxed()
        }
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

fn scalars(scalar: Scalar, max_length: u32) -> BoxedStrategy<Value> {
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
        Scalar::VarChar => texts(max_length as usize).prop_map(Value::Text).boxed(),
    }
}

fn positive_zero(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x }
}

/// Whether a column is one of the third that hold nothing but plain words or points on the globe.
fn is_plain(name: &str) -> bool {
    name.bytes().map(u32::from).sum::<u32>().is_multiple_of(3)
}

fn texts(max_length: usize) -> BoxedStrategy<String> {
    prop_oneof![
        6 => select(&boundary::TEXTS[..]).prop_map(str::to_owned),
        2 => "[ab]{0,3}",
        1 => Just("x".repeat(300)),
    ]
    .prop_map(move |mut text| {
        while text.len() > max_length {
            text.pop();
        }
        text
    })
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
    let element = prop_oneof![
        4 => small.clone(),
        1 => select(vec![-1.0, 1.0, 2.0, 2.5]).prop_map(Json::from),
    ];
    let list = vec(element, 0..=3).prop_map(Json::from);
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
