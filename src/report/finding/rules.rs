//! The rules that make the expected answer the right one: which of them a filter touches.

use crate::filter::check::Place::{self, Column};
use crate::filter::check::resolve;
use crate::filter::elements;
use crate::filter::{BinaryOp, Elements, Expr, FieldPath, Literal};
use crate::schema::{Field, Scalar, Schema};

/// A rule of Milvus's filter language.
pub(super) struct Rule {
    /// A few words.
    pub(super) name: &'static str,
    /// Whether one node of a filter is subject to it.
    applies: fn(&Schema, &Expr) -> bool,
    /// The rule in a sentence or two.
    pub(super) sentence: &'static str,
    /// Where that is said, in Markdown.
    pub(super) source: &'static str,
}

const BASIC: &str = "[Basic Operators](https://milvus.io/docs/basic-operators.md)";
const NULLABLE: &str = "[Nullable & Default](https://milvus.io/docs/nullable-and-default.md)";
const JSON: &str = "[JSON Operators](https://milvus.io/docs/json-operators.md)";
const TIMES: &str = "[TIMESTAMPTZ Field](https://milvus.io/docs/timestamptz-field.md)";
const STRUCTS: &str = "[StructArray Operators](https://milvus.io/docs/struct-array-operators.md)";
const SERVER: &str = "the filter evaluation of the Milvus server; the documentation leaves it open";

/// Every rule, in the order in which a reader needs them.
const RULES: &[Rule] = &[
    Rule {
        name: "FLOAT literals",
        applies: |schema, node| {
            compared(node).is_some_and(|(operand, literals)| {
                !literals.is_empty()
                    && matches!(place(schema, operand), Some(Column(_, Scalar::Float)))
            })
        },
        sentence: "A literal compared with a FLOAT column is rounded to 32 bits first, so that \
                   `f == 0.1` finds the row that was inserted with 0.1.",
        source: "[milvus#47994](https://github.com/milvus-io/milvus/issues/47994)",
    },
    Rule {
        name: "FLOAT elements",
        applies: |schema, node| match node {
            Expr::Call { operand, arguments, .. } if !arguments.is_empty() => {
                matches!(resolve(schema, operand), Ok(Place::Array(_, Scalar::Float)))
            }
            node => compared(node).is_some_and(|(operand, _)| {
                matches!(place(schema, operand), Some(Place::Element(_, Scalar::Float, _)))
            }),
        },
        sentence: "An element of an ARRAY of FLOAT is widened to a double and compared with the \
                   literal as it is written.",
        source: SERVER,
    },
    Rule {
        name: "Integer literals",
        applies: |schema, node| {
            compared(node).is_some_and(|(operand, literals)| {
                let Some(Column(_, scalar)) = place(schema, operand) else { return false };
                let beyond = |literal: &&Literal| match literal {
                    Literal::Int(i) => scalar.int_range().is_some_and(|range| !range.contains(i)),
                    _ => false,
                };
                literals.iter().any(beyond)
            })
        },
        sentence: "A literal beyond the range of the column's type compares by its value and does \
                   not wrap around.",
        source: SERVER,
    },
    Rule {
        name: "Null is unknown",
        applies: |schema, node| match node {
            Expr::Call { operand, .. } => nullable(schema, operand),
            Expr::IsNull { .. } | Expr::Exists(_) => false,
            node => operands(node).any(|path| nullable(schema, path)),
        },
        sentence: "A comparison, arithmetic, `in`, `not in`, `like`, `array_length` or a contains \
                   function on a null is neither true nor false but unknown. A query returns only \
                   the rows on which the filter is true.",
        source: NULLABLE,
    },
    Rule {
        name: "Negation",
        applies: |schema, node| matches!(node, Expr::Not(_)) && any_nullable(schema, node),
        sentence: "`not` of unknown is unknown, so that a null matches neither a term nor its \
                   negation.",
        source: NULLABLE,
    },
    Rule {
        name: "And, or",
        applies: |schema, node| is_logical(node) && any_nullable(schema, node),
        sentence: "`false and unknown` is false and `true or unknown` is true; every other `and` \
                   or `or` with an unknown side is unknown.",
        source: NULLABLE,
    },
    Rule {
        name: "Null tests",
        applies: |schema, node| match node {
            Expr::IsNull { operand, .. } => !in_json(schema, operand),
            _ => false,
        },
        sentence: "`is null` and `is not null` are true or false on every row, never unknown.",
        source: BASIC,
    },
    Rule {
        name: "Empty lists",
        applies: |_, node| matches!(node, Expr::In { list, .. } if list.is_empty()),
        sentence: "`in []` is false and `not in []` is true on every row, nulls included.",
        source: SERVER,
    },
    Rule {
        name: "Missing JSON keys",
        applies: |schema, node| {
            compared(node)
                .is_some_and(|(operand, _)| matches!(place(schema, operand), Some(Place::Json(..))))
        },
        sentence: "Against a JSON key that is missing, null, or of another type than the literal, \
                   `==`, `<`, `<=`, `>`, `>=` and `in` are false, and `!=` and `not in` are true.",
        source: "[milvus#47164](https://github.com/milvus-io/milvus/issues/47164)",
    },
    Rule {
        name: "JSON numbers",
        applies: |schema, node| json_meets(schema, node, is_number),
        sentence: "JSON integers and doubles compare by their numeric value: 1 equals 1.0.",
        source: JSON,
    },
    Rule {
        name: "JSON booleans",
        applies: |schema, node| {
            json_meets(schema, node, |literal| {
                is_number(literal) || matches!(literal, Literal::Bool(_))
            })
        },
        sentence: "JSON `true` and `false` are not the numbers 1 and 0.",
        source: JSON,
    },
    Rule {
        name: "Exists",
        applies: |schema, node| match node {
            Expr::Exists(_) => true,
            Expr::IsNull { operand, .. } => in_json(schema, operand),
            _ => false,
        },
        sentence: "`exists` is false on a missing key, on null, and on an empty `{}` or `[]`. \
                   `is null` on a JSON key is its opposite.",
        source: SERVER,
    },
    Rule {
        name: "JSON contains",
        applies: |schema, node| match node {
            Expr::Call { function, operand, .. } if function.quantifier().is_some() => {
                in_json(schema, operand)
            }
            _ => false,
        },
        sentence: "The `json_contains` functions are false where the key is missing or holds no \
                   array.",
        source: JSON,
    },
    Rule {
        name: "Array index",
        applies: |schema, node| {
            compared(node).is_some_and(|(operand, _)| {
                matches!(place(schema, operand), Some(Place::Element(..)))
            })
        },
        sentence: "An index beyond the end of an array makes the comparison false, `!=` included.",
        source: SERVER,
    },
    Rule {
        name: "Integer division",
        applies: |schema, node| arithmetic(schema, node, BinaryOp::Div),
        sentence: "The division of an integer column truncates towards zero: -7 / 2 is -3.",
        source: SERVER,
    },
    Rule {
        name: "Modulo",
        applies: |schema, node| arithmetic(schema, node, BinaryOp::Mod),
        sentence: "The result of `%` has the sign of the dividend.",
        source: "[milvus#36054](https://github.com/milvus-io/milvus/issues/36054)",
    },
    Rule {
        name: "Integer arithmetic",
        applies: |schema, node| {
            [BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul]
                .into_iter()
                .any(|op| arithmetic(schema, node, op))
        },
        sentence: "Integer arithmetic is done in 64 bits: on an INT8 column, 127 + 1 is 128.",
        source: SERVER,
    },
    Rule {
        name: "Columns of two types",
        applies: |schema, node| match node {
            Expr::Binary { op, left, right } if op.is_comparison() => {
                match (place(schema, left), place(schema, right)) {
                    (Some(Column(_, a)), Some(Column(_, b))) => a != b,
                    _ => false,
                }
            }
            _ => false,
        },
        sentence: "Two numeric columns compare in the type that C++ converts them to: an integer \
                   with a FLOAT in 32 bits, with a DOUBLE in 64 bits.",
        source: SERVER,
    },
    Rule {
        name: "String order",
        applies: |_, node| match node {
            Expr::Binary { op, left, right } => {
                let text = |side: &Expr| matches!(side, Expr::Literal(Literal::Text(_)));
                !matches!(op, BinaryOp::Eq | BinaryOp::Ne) && (text(left) || text(right))
            }
            _ => false,
        },
        sentence: "Strings are ordered by their UTF-8 bytes.",
        source: SERVER,
    },
    Rule {
        name: "Times",
        applies: |schema, node| match node {
            Expr::Binary { op, .. } if op.is_comparison() => {
                let mut any = false;
                node.for_each_path(&mut |path| {
                    any |= matches!(resolve(schema, path), Ok(Place::Timestamp(_)));
                });
                any
            }
            _ => false,
        },
        sentence: "A TIMESTAMPTZ is a moment in UTC, to the microsecond; it compares by the \
                   moment, whatever the offset of the literal. An interval moves it, and a day of \
                   an interval has 24 hours.",
        source: TIMES,
    },
    Rule {
        name: "Like",
        applies: |_, node| matches!(node, Expr::Like { .. }),
        sentence: "`like` is case-sensitive and matches the whole string; `%` is any run of \
                   characters, `_` is one character.",
        source: BASIC,
    },
    Rule {
        name: "Like on JSON",
        applies: |schema, node| match node {
            Expr::Like { operand, .. } => {
                matches!(place(schema, operand), Some(Place::Json(..)))
            }
            _ => false,
        },
        sentence: "`like` is false on a JSON key that is missing or holds no string.",
        source: SERVER,
    },
    Rule {
        name: "Like escapes",
        applies: |_, node| matches!(node, Expr::Like { pattern, .. } if pattern.contains('\\')),
        sentence: "A backslash in a pattern takes the next character literally. In the filter it \
                   is itself escaped, and written `\\\\`.",
        source: BASIC,
    },
    Rule {
        name: "Structs that match",
        applies: |_, node| matches!(node, Expr::Elements { .. }),
        sentence: "The `match_` functions count the structs of an array of which the predicate is \
                   true; all its members are those of one struct.",
        source: STRUCTS,
    },
    Rule {
        name: "No structs",
        applies: |_, node| {
            matches!(node, Expr::Elements { elements: Elements::All | Elements::Any, .. })
        },
        sentence: "On an empty array of structs `match_all` is true and `match_any` is false.",
        source: STRUCTS,
    },
];

/// The rules that a filter touches.
pub(super) fn touched<'a>(
    schema: &'a Schema,
    filter: &'a Expr,
) -> impl Iterator<Item = &'static Rule> + 'a {
    RULES.iter().filter(move |rule| {
        let mut applies = false;
        elements::for_each_node(schema, filter, &mut |schema, node| {
            applies |= (rule.applies)(schema, node);
        });
        applies
    })
}

/// The operand of a comparison with literals, or of `in`.
fn compared(node: &Expr) -> Option<(&Expr, Vec<&Literal>)> {
    match node {
        Expr::Binary { op, left, right } if op.is_comparison() => match (&**left, &**right) {
            (operand, Expr::Literal(literal)) | (Expr::Literal(literal), operand) => {
                Some((operand, vec![literal]))
            }
            _ => None,
        },
        Expr::In { operand, list, .. } => Some((operand, list.iter().collect())),
        _ => None,
    }
}

/// The paths whose values a predicate looks at.
fn operands(node: &Expr) -> impl Iterator<Item = &FieldPath> {
    let mut paths = Vec::new();
    match node {
        Expr::Binary { op, .. } if op.is_comparison() => node.for_each_path(&mut |p| paths.push(p)),
        Expr::In { operand, list, .. } if !list.is_empty() => {
            operand.for_each_path(&mut |p| paths.push(p));
        }
        Expr::Like { operand, .. } => operand.for_each_path(&mut |p| paths.push(p)),
        Expr::Range { operand, .. } => paths.push(operand),
        _ => {}
    }
    paths.into_iter()
}

/// Where an operand leads, through arithmetic.
fn place<'a>(schema: &'a Schema, operand: &Expr) -> Option<Place<'a>> {
    match operand {
        Expr::Field(path) => resolve(schema, path).ok(),
        Expr::Binary { left, right, .. } => place(schema, left).or_else(|| place(schema, right)),
        _ => None,
    }
}

fn field<'a>(schema: &'a Schema, path: &FieldPath) -> Option<&'a Field> {
    schema.field(&path.root)
}

fn nullable(schema: &Schema, path: &FieldPath) -> bool {
    field(schema, path).is_some_and(|field| field.nullable)
}

fn any_nullable(schema: &Schema, node: &Expr) -> bool {
    let mut any = false;
    node.for_each_path(&mut |path| any |= nullable(schema, path));
    any
}

fn in_json(schema: &Schema, path: &FieldPath) -> bool {
    matches!(resolve(schema, path), Ok(Place::Json(..)))
}

fn is_number(literal: &Literal) -> bool {
    matches!(literal, Literal::Int(_) | Literal::Float(_))
}

fn is_logical(node: &Expr) -> bool {
    matches!(node, Expr::Binary { op, .. } if op.is_logical())
}

/// Whether a place in JSON is compared with such a literal, or searched for one.
fn json_meets(schema: &Schema, node: &Expr, wanted: fn(&Literal) -> bool) -> bool {
    match node {
        Expr::Call { function, operand, arguments } => {
            function.quantifier().is_some()
                && in_json(schema, operand)
                && arguments.iter().flat_map(Literal::items).any(wanted)
        }
        node => compared(node).is_some_and(|(operand, literals)| {
            matches!(place(schema, operand), Some(Place::Json(..)))
                && literals.into_iter().any(wanted)
        }),
    }
}

/// Whether this is that operator on an integer column.
fn arithmetic(schema: &Schema, node: &Expr, wanted: BinaryOp) -> bool {
    match node {
        Expr::Binary { op, .. } if *op == wanted => {
            matches!(place(schema, node), Some(Column(_, scalar)) if scalar.int_range().is_some())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::parse;

    #[test]
    fn every_rule_is_touched_by_its_filters_only() {
        let schema = serde_json::json!({"dynamic": true, "fields": [
            {"name": "id", "type": "INT64", "primary": true},
            {"name": "n", "type": "INT8", "nullable": true},
            {"name": "i", "type": "INT8"},
            {"name": "f", "type": "FLOAT"},
            {"name": "s", "type": "VARCHAR"},
            {"name": "af", "type": "ARRAY<FLOAT>"},
            {"name": "j", "type": "JSON"},
            {"name": "t", "type": "TIMESTAMPTZ"},
            {"name": "st", "type": "ARRAY<STRUCT>", "members": [{"name": "f", "type": "FLOAT"}]},
        ]});
        let schema: Schema = serde_json::from_value(schema).unwrap();
        let filters: [(&str, &[&str]); 25] = [
            ("id > 3", &[]),
            ("f == 0.1", &["FLOAT literals"]),
            ("(f * 2) in [0.1]", &["FLOAT literals"]),
            ("af[0] > 0.1", &["FLOAT elements", "Array index"]),
            ("array_contains(af, 0.1)", &["FLOAT elements"]),
            ("i < 300", &["Integer literals"]),
            ("n == 1", &["Null is unknown"]),
            ("not (n not in [1])", &["Null is unknown", "Negation"]),
            ("(n == 1) or (i == 1)", &["Null is unknown", "And, or"]),
            ("n is null", &["Null tests"]),
            ("n in []", &["Empty lists"]),
            ("j[\"k\"] == \"a\"", &["Missing JSON keys"]),
            ("x != 1", &["Missing JSON keys", "JSON numbers", "JSON booleans"]),
            ("exists j[\"k\"]", &["Exists"]),
            ("json_contains(j[\"k\"], true)", &["JSON booleans", "JSON contains"]),
            ("(i / 2) == 1", &["Integer division"]),
            ("(i % 2) == 1", &["Modulo"]),
            ("(i + 2) == 1", &["Integer arithmetic"]),
            ("i < f", &["Columns of two types"]),
            ("s <= \"a\"", &["String order"]),
            ("t + INTERVAL 'P1D' > ISO '2026-01-31T00:00:00Z'", &["Times"]),
            ("s like \"a\\\\%\"", &["Like", "Like escapes"]),
            ("x like \"a%\"", &["Like", "Like on JSON"]),
            ("match_all(st, $[f] > 0.1)", &["FLOAT literals", "Structs that match", "No structs"]),
            (
                "match_most(st, not ($[f] in []), threshold=1)",
                &["Empty lists", "Structs that match"],
            ),
        ];
        for (filter, names) in filters {
            let filter = parse(filter).unwrap();
            crate::filter::check(&schema, &filter).unwrap();
            let touched: Vec<&str> = touched(&schema, &filter).map(|rule| rule.name).collect();
            assert_eq!(touched, names, "{filter}");
        }
        let tested = |rule: &Rule| filters.iter().any(|(_, names)| names.contains(&rule.name));
        assert!(RULES.iter().all(tested));
    }
}
