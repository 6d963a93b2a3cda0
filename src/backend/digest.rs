//! What many rows are, in a few bytes: rows that differ have other digests, so that those which do
//! not differ need not be fetched.

use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha256};

use crate::schema::Schema;
use crate::value::{Row, Value};

/// How many rows there are, and the digests of all of them combined.
///
/// ```
/// use milvus_difftest::backend::Digest;
/// use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
/// use milvus_difftest::value::Row;
/// use serde_json::json;
/// let fields = vec![
///     Field::new("id", DataType::Scalar(Scalar::Int64)).primary(),
///     Field::new("n", DataType::Scalar(Scalar::Double)),
/// ];
/// let schema = Schema { fields, dynamic: false };
/// let row = |n: f64| Row::from_json(&schema, &json!({"id": 1, "n": n})).unwrap();
/// let of = |n: f64| Digest::of(&schema, &[row(n)]);
/// assert_eq!(of(0.5), of(0.5));
/// assert_ne!(of(0.0), of(-0.0));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest {
    /// How many rows.
    pub rows: u64,
    /// The exclusive or of their digests.
    pub bits: u64,
}

impl Digest {
    /// The digest of some rows, whatever their order.
    pub fn of<'a>(schema: &Schema, rows: impl IntoIterator<Item = &'a Row>) -> Digest {
        rows.into_iter().fold(Digest::default(), |Digest { rows: count, bits }, row| Digest {
            rows: count + 1,
            bits: bits ^ row_digest(schema, row),
        })
    }
}

/// The digest of a row: the first eight bytes of the SHA-256 of its values, in the order of the
/// fields. Values that [are the same](Value::same) have the same, but for geometries in other
/// spellings, whose rows are then compared one by one.
pub(super) fn row_digest(schema: &Schema, row: &Row) -> u64 {
    let mut bytes = Vec::with_capacity(256);
    for field in &schema.fields {
        write(&mut bytes, row.get(&field.name));
    }
    if schema.dynamic {
        write_object(&mut bytes, &row.dynamic);
    }
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(&bytes));
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// A kind, a length where there can be several, and the bits.
fn write(to: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => to.push(0),
        Value::Bool(b) => to.extend([1, u8::from(*b)]),
        Value::Int(i) => kind(to, 2, &i.to_le_bytes()),
        Value::Float(x) => kind(to, 3, &x.to_bits().to_le_bytes()),
        Value::Double(x) => kind(to, 4, &x.to_bits().to_le_bytes()),
        Value::Text(text) => sized(to, 5, text.as_bytes()),
        Value::Json(json) => {
            to.push(6);
            write_json(to, json);
        }
        Value::Array(items) => {
            kind(to, 7, &length(items.len()));
            items.iter().for_each(|item| write(to, item));
        }
        Value::Timestamp(micros) => kind(to, 8, &micros.to_le_bytes()),
        Value::Geometry(text) => sized(to, 9, text.as_bytes()),
        Value::Structs(structs) => {
            kind(to, 10, &length(structs.len()));
            for members in structs {
                to.extend(length(members.len()));
                for (name, value) in members {
                    sized(to, 5, name.as_bytes());
                    write(to, value);
                }
            }
        }
        Value::Vector(items) => {
            kind(to, 11, &length(items.len()));
            to.extend(items.iter().flat_map(|x| x.to_bits().to_le_bytes()));
        }
        Value::Float16Vector(items) => {
            kind(to, 12, &length(items.len()));
            to.extend(items.iter().flat_map(|x| x.to_bits().to_le_bytes()));
        }
        Value::BFloat16Vector(items) => {
            kind(to, 13, &length(items.len()));
            to.extend(items.iter().flat_map(|x| x.to_bits().to_le_bytes()));
        }
        Value::BinaryVector(bytes) => sized(to, 14, bytes),
        Value::Int8Vector(items) => {
            kind(to, 15, &length(items.len()));
            to.extend(items.iter().flat_map(|x| x.to_le_bytes()));
        }
        Value::SparseVector(items) => {
            kind(to, 16, &length(items.len()));
            for (at, x) in items {
                to.extend(at.to_le_bytes());
                to.extend(x.to_bits().to_le_bytes());
            }
        }
    }
}

/// Numbers by their value and objects whatever the order of their keys, as they are compared.
fn write_json(to: &mut Vec<u8>, json: &Json) {
    match json {
        Json::Null => to.push(0),
        Json::Bool(b) => to.extend([1, u8::from(*b)]),
        Json::Number(number) => {
            let exact = number.as_i64().map(i128::from).or(number.as_u64().map(i128::from));
            let double = number.as_f64().unwrap_or(f64::NAN);
            // A double that is an integer, and no greater than `i128` can be.
            let whole = double.fract() == 0.0 && double.abs() < 1e38;
            match exact.or(whole.then_some(double as i128)) {
                Some(i) => kind(to, 2, &i.to_le_bytes()),
                None => kind(to, 4, &double.to_bits().to_le_bytes()),
            }
        }
        Json::String(text) => sized(to, 5, text.as_bytes()),
        Json::Array(items) => {
            kind(to, 7, &length(items.len()));
            items.iter().for_each(|item| write_json(to, item));
        }
        Json::Object(object) => write_object(to, object),
    }
}

fn write_object(to: &mut Vec<u8>, object: &Map<String, Json>) {
    kind(to, 10, &length(object.len()));
    let mut entries: Vec<_> = object.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    for (key, value) in entries {
        sized(to, 5, key.as_bytes());
        write_json(to, value);
    }
}

fn kind(to: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    to.push(kind);
    to.extend(bytes);
}

fn sized(to: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    to.push(kind);
    to.extend(length(bytes.len()));
    to.extend(bytes);
}

fn length(length: usize) -> [u8; 8] {
    (length as u64).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::case::Operation;
    use crate::generate;
    use crate::milvus::Dialect;

    fn bytes(json: &Json) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_json(&mut bytes, json);
        bytes
    }

    #[test]
    fn json_is_told_apart_as_it_is_compared() {
        let documents = [
            json!(1),
            json!(1.0),
            json!(-0.0),
            json!(0),
            json!(1e300),
            json!(u64::MAX),
            json!(18446744073709551615.0),
            json!(9007199254740993_i64),
            json!(9007199254740992.0),
            json!("1"),
            json!([1]),
            json!([[1]]),
            json!({"a": 1, "b": [2]}),
            json!({"b": [2.0], "a": 1}),
            json!({"a": 1}),
            json!({}),
            json!([]),
            json!(null),
            json!(2e300),
            json!(1e38),
            json!(-1e300),
            json!(0.5),
        ];
        for a in &documents {
            for b in &documents {
                let same = Value::Json(a.clone()).same(&Value::Json(b.clone()));
                assert_eq!(bytes(a) == bytes(b), same, "{a} and {b}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_digest_changes_with_every_value(seed: u64) {
            let case = generate::case(seed, 0, &Dialect::everything());
            let rows: Vec<&Row> = case.operations.iter().flat_map(|operation| match operation.plain() {
                Operation::Insert(rows) | Operation::Upsert(rows) => rows.as_slice(),
                _ => &[],
            }).collect();
            let key = case.schema.primary();
            for row in &rows {
                let digest = row_digest(&case.schema, row);
                prop_assert_eq!(digest, row_digest(&case.schema, &(*row).clone()));
                // One value at a time.
                for (other, field) in rows.iter().flat_map(|other| case.schema.fields.iter().map(move |field| (other, field))) {
                    let value = other.get(&field.name);
                    if field.name == key.name || value.same(row.get(&field.name)) {
                        continue;
                    }
                    let mut changed = (*row).clone();
                    changed.fields.insert(field.name.clone(), value.clone());
                    prop_assert_ne!(digest, row_digest(&case.schema, &changed));
                }
            }
        }
    }
}
