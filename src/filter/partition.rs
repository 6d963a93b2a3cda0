//! Where an engine with a partition key keeps a row, and where it looks for one.
//!
//! Milvus hashes the partition key of a row to one of the collection's partitions, and a query that
//! names keys searches theirs alone (documentation, Use Partition Key). The canonical answer does
//! not depend on any of that; two [`Switch`](super::Switch)es do.

use std::collections::BTreeSet;

use super::ast::{Expr, Literal};
use super::check::{Place, resolve};
use super::fold::constant;
use super::operator::BinaryOp;
use crate::schema::Schema;
use crate::value::{Key, Row, Value};

/// How many partitions a collection with a partition key has, unless it is told otherwise
/// (measured on Milvus 2.3.5; documentation of that version).
const PARTITIONS: u32 = 64;

/// The partition that keeps what has this key.
pub(crate) fn partition_of(key: &Key) -> u32 {
    hash(key) % PARTITIONS
}

/// The partition that keeps a row; `None` without a partition key.
pub(crate) fn partition_of_row(schema: &Schema, row: &Row) -> Option<u32> {
    let field = schema.fields.iter().find(|field| field.partition_key)?;
    match row.get(&field.name) {
        Value::Int(i) => Some(partition_of(&Key::Int(*i))),
        Value::Text(text) => Some(partition_of(&Key::Text(text.clone()))),
        _ => None,
    }
}

/// The partitions that are searched for a filter; `None` for all of them. With `or_prunes`, those
/// are left out that no key names although another side of an `or` may be true there.
pub(crate) fn searched(schema: &Schema, expr: &Expr, or_prunes: bool) -> Option<BTreeSet<u32>> {
    let name = schema.fields.iter().find(|field| field.partition_key)?.name.as_str();
    let named = Search { schema, name, or_prunes }.named(expr);
    let keys: BTreeSet<u32> = named.keys.iter().filter_map(literal).collect();
    (!named.ranged && !named.keys.is_empty()).then_some(keys)
}

fn literal(literal: &Literal) -> Option<u32> {
    match literal {
        Literal::Int(i) => Some(partition_of(&Key::Int(*i))),
        Literal::Text(text) => Some(partition_of(&Key::Text(text.clone()))),
        _ => None,
    }
}

/// The keys that a filter names, and whether it may be true of others.
#[derive(Default)]
struct Named {
    keys: Vec<Literal>,
    ranged: bool,
}

impl Named {
    const fn ranged() -> Named {
        Named { keys: Vec::new(), ranged: true }
    }
}

struct Search<'a> {
    schema: &'a Schema,
    name: &'a str,
    or_prunes: bool,
}

impl Search<'_> {
    /// As the proxy of Milvus 2.3.5 collects them (`ParsePartitionKeys`): any comparison of one
    /// place with one constant makes the whole of an `or` unbounded, but no other term does.
    fn named(&self, expr: &Expr) -> Named {
        match expr {
            Expr::Binary { op: BinaryOp::And, left, right } => {
                let (mut left, right) = (self.named(left), self.named(right));
                left.keys.extend(right.keys);
                let ranged = left.keys.is_empty() && (left.ranged || right.ranged);
                Named { ranged, ..left }
            }
            Expr::Binary { op: BinaryOp::Or, left, right } => {
                let (mut left, right) = (self.named(left), self.named(right));
                let open = |side: &Named| side.ranged || !self.or_prunes && side.keys.is_empty();
                if open(&left) || open(&right) {
                    return Named::ranged();
                }
                left.keys.extend(right.keys);
                left
            }
            Expr::Not(inner) => {
                let inner = self.named(inner);
                Named { ranged: inner.ranged || !inner.keys.is_empty(), keys: Vec::new() }
            }
            Expr::In { operand, list, negated } if self.is_key(operand) => {
                match *negated && !list.is_empty() {
                    true => Named::ranged(),
                    false => Named { keys: list.clone(), ranged: false },
                }
            }
            Expr::Binary { op, left, right } if op.is_comparison() => {
                let constant = |side: &Expr| constant(side).ok().flatten();
                let (place, value) = match (constant(left), constant(right)) {
                    (None, Some(value)) => (left, value),
                    (Some(value), None) => (right, value),
                    _ => return Named::default(),
                };
                match place.as_ref() {
                    it if *op == BinaryOp::Eq && self.is_key(it) => {
                        Named { keys: vec![value], ranged: false }
                    }
                    Expr::Field(_) => Named::ranged(),
                    _ => Named::default(),
                }
            }
            // A pattern without wildcards is an equality.
            Expr::Like { operand, pattern }
                if self.is_key(operand) && !pattern.contains(['%', '_', '\\']) =>
            {
                Named { keys: vec![Literal::Text(pattern.clone())], ranged: false }
            }
            Expr::Like { .. } | Expr::Field(_) => Named::ranged(),
            _ => Named::default(),
        }
    }

    fn is_key(&self, expr: &Expr) -> bool {
        let Expr::Field(path) = expr else { return false };
        match resolve(self.schema, path) {
            Ok(Place::Column(field, _)) => field.name == self.name,
            _ => false,
        }
    }
}

/// The hash of a key: CRC-32 (IEEE) of up to 100 bytes of text, and MurmurHash3 (32 bits, seed 0)
/// of an integer's eight bytes, without the sign bit (measured on Milvus 2.3.5).
fn hash(key: &Key) -> u32 {
    match key {
        Key::Text(text) => crc32fast::hash(&text.as_bytes()[..text.len().min(100)]),
        Key::Int(i) => murmur3(*i) & 0x7fff_ffff,
    }
}

fn murmur3(key: i64) -> u32 {
    let mut hash = 0_u32;
    for word in [key as u32, (key >> 32) as u32] {
        let word = word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
        hash = (hash ^ word).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    hash ^= size_of::<i64>() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::parse;
    use crate::schema::{DataType, Field, Scalar};

    /// Where Milvus 2.3.5 had put twelve inserted rows, found by queries that name one key of each
    /// partition.
    #[test]
    fn keys_are_hashed_as_measured() {
        let texts = [63, 41, 19, 5, 38, 48, 10, 28, 13, 27, 13, 27];
        let ints = [48, 48, 24, 55, 12, 19, 8, 40, 17, 45, 35, 4];
        for (i, (text, int)) in texts.into_iter().zip(ints).enumerate() {
            assert_eq!(partition_of(&Key::Text(format!("k{i}"))), text);
            assert_eq!(partition_of(&Key::Int(i as i64 * 7 - 50)), int);
        }
    }

    #[test]
    fn the_partitions_of_named_keys_are_searched() {
        let mut fields = vec![
            Field::new("id", DataType::Scalar(Scalar::Int64)).primary(),
            Field::new("p", DataType::Scalar(Scalar::Int64)),
            Field::new("a", DataType::Array(Scalar::Int8)),
            Field::new("s", DataType::Scalar(Scalar::VarChar)),
        ];
        fields[1].partition_key = true;
        let schema = Schema { fields, dynamic: false };
        for (filter, sound, pruned) in [
            ("p == 1", Some(1), Some(1)),
            ("2 == p", Some(1), Some(1)),
            ("p in [1, 2]", Some(2), Some(2)),
            ("p > 1 and p == 1", Some(1), Some(1)),
            ("p != 1", None, None),
            ("p not in [1]", None, None),
            ("not (p == 1)", None, None),
            ("p == 1 or p == 2", Some(2), Some(2)),
            ("p == 1 or id > 2", None, None),
            ("p == 1 or id in [2]", None, Some(1)),
            ("p == 1 or id + 1 == 2", None, Some(1)),
            ("p == 1 or 2 < p < 3", None, Some(1)),
            ("p == 1 or array_contains(a, 1)", None, Some(1)),
            ("p == 1 or s like \"a\"", None, None),
            ("id in [1]", None, None),
        ] {
            let expr = parse(filter).unwrap();
            let count = |or_prunes| searched(&schema, &expr, or_prunes).map(|keys| keys.len());
            assert_eq!((count(false), count(true)), (sound, pruned), "{filter}");
        }
    }
}
