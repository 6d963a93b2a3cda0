//! The model: a three-valued evaluator, written independently of every SQL lowering.

use std::cmp::Ordering;

use serde_json::{Number, Value as Json};

use super::ast::{BinaryOp, Expr, FieldPath, Function, Literal, Quantifier, Step};
use super::check::{Place, TypeError, resolve};
use super::semantics::Semantics;
use crate::schema::Schema;
use crate::value::{Row, Value, compare_numbers};

/// A truth value of Kleene's logic. A query returns the rows whose filter is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// True.
    True,
    /// False.
    False,
    /// Unknown: a null was involved.
    Unknown,
}

impl Truth {
    fn not(self) -> Truth {
        match self {
            Truth::True => Truth::False,
            Truth::False => Truth::True,
            Truth::Unknown => Truth::Unknown,
        }
    }

    fn and(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::False, _) | (_, Truth::False) => Truth::False,
            (Truth::True, Truth::True) => Truth::True,
            _ => Truth::Unknown,
        }
    }
}

impl From<bool> for Truth {
    fn from(b: bool) -> Truth {
        if b { Truth::True } else { Truth::False }
    }
}

/// A filter whose answer the documentation leaves open, so that nothing can be blamed for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undefined {
    /// 64-bit overflow (milvus#48440).
    #[error("integer arithmetic overflows")]
    Overflow,
    /// A result or a rounded literal that is infinite or not a number.
    #[error("float arithmetic leaves the finite range")]
    NotFinite,
    /// `exists` on a container that holds nothing but empty containers.
    #[error("exists on a container of empty containers")]
    HollowContainer,
    /// The filter does not fit the schema.
    #[error(transparent)]
    Type(#[from] TypeError),
}

/// Evaluates a filter that [`check`](super::check()) accepts, on one row.
///
/// ```
/// use milvus_difftest::filter::{Semantics, Truth, evaluate, parse};
/// use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
/// use milvus_difftest::value::Row;
/// let n = Field::new("n", DataType::Scalar(Scalar::Int8)).nullable();
/// let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
/// let schema = Schema { fields: vec![id, n], dynamic: false };
/// let row = Row::from_json(&schema, &serde_json::json!({"id": 1, "n": null})).unwrap();
/// let filter = parse("not (n == 5)").unwrap();
/// let truth = evaluate(&filter, &schema, &row, &Semantics::canonical());
/// assert_eq!(truth, Ok(Truth::Unknown));
/// ```
pub fn evaluate(
    expr: &Expr,
    schema: &Schema,
    row: &Row,
    semantics: &Semantics,
) -> Result<Truth, Undefined> {
    Evaluator { schema, row, semantics }.truth(expr)
}

struct Evaluator<'a> {
    schema: &'a Schema,
    row: &'a Row,
    semantics: &'a Semantics,
}

/// What an operand is on this row.
enum Operand<'a> {
    /// A null column: the term is unknown.
    Null,
    /// An array index out of range.
    OutOfRange,
    Bool(bool),
    Int(i64),
    Float(f32),
    Double(f64),
    Text(&'a str),
    /// A place in JSON; `None` when it is missing.
    Json(Option<&'a Json>),
}

impl<'a> Evaluator<'a> {
    fn truth(&self, expr: &Expr) -> Result<Truth, Undefined> {
        match expr {
            Expr::Not(inner) => Ok(match self.truth(inner)? {
                Truth::Unknown if !self.semantics.not_unknown_is_unknown => Truth::True,
                truth => truth.not(),
            }),
            Expr::Binary { op: BinaryOp::And, left, right } => {
                Ok(self.truth(left)?.and(self.truth(right)?))
            }
            Expr::Binary { op: BinaryOp::Or, left, right } => {
                Ok(self.truth(left)?.not().and(self.truth(right)?.not()).not())
            }
            Expr::Binary { op, left, right } => match (&**left, &**right) {
                (operand, Expr::Literal(literal)) => self.compare(*op, operand, literal),
                (Expr::Literal(literal), operand) => {
                    self.compare(op.mirrored().unwrap_or(*op), operand, literal)
                }
                (left, right) => self.compare_columns(*op, left, right),
            },
            Expr::In { operand, list, negated } => {
                let truth = self.is_in(operand, list)?;
                Ok(if *negated { truth.not() } else { truth })
            }
            Expr::Like { operand, pattern } => self.like(operand, pattern),
            Expr::IsNull { operand, negated } => {
                let null = match resolve(self.schema, operand)? {
                    Place::Json(..) => !self.exists(operand)?,
                    Place::Column(field, _)
                    | Place::Array(field, _)
                    | Place::Element(field, ..)
                    | Place::JsonColumn(field) => *self.row.get(&field.name) == Value::Null,
                };
                Ok(Truth::from(null != *negated))
            }
            Expr::Exists(path) => Ok(self.exists(path)?.into()),
            Expr::Call { function, operand, argument } => {
                self.contains(*function, operand, argument.as_ref())
            }
            Expr::Literal(_) | Expr::Field(_) => Err(self.not_a_predicate(expr)),
        }
    }

    fn not_a_predicate(&self, expr: &Expr) -> Undefined {
        match super::check::check(self.schema, expr) {
            Err(error) => error.into(),
            Ok(()) => Undefined::NotFinite,
        }
    }

    fn operand(&self, expr: &Expr) -> Result<Operand<'a>, Undefined> {
        match expr {
            Expr::Field(path) => self.place(path),
            Expr::Call { function: Function::ArrayLength, operand, .. } => {
                match resolve(self.schema, operand)? {
                    Place::Array(field, _) => Ok(match self.row.get(&field.name) {
                        Value::Array(items) => Operand::Int(items.len() as i64),
                        _ => Operand::Null,
                    }),
                    _ => Err(self.not_a_predicate(expr)),
                }
            }
            Expr::Binary { op, left, right } => match (&**left, &**right) {
                (operand, Expr::Literal(literal)) => {
                    self.arithmetic(*op, self.operand(operand)?, literal)
                }
                // Only `+` and `*` take their constant first, and they commute.
                (Expr::Literal(literal), operand) => {
                    self.arithmetic(*op, self.operand(operand)?, literal)
                }
                _ => Err(self.not_a_predicate(expr)),
            },
            _ => Err(self.not_a_predicate(expr)),
        }
    }

    fn place(&self, path: &FieldPath) -> Result<Operand<'a>, Undefined> {
        Ok(match resolve(self.schema, path)? {
            Place::Column(field, _) => scalar(self.row.get(&field.name)),
            Place::Element(field, _, index) => match self.row.get(&field.name) {
                Value::Array(items) => match items.get(index as usize) {
                    // Elements of ARRAY<FLOAT> compare as doubles, unlike FLOAT columns.
                    Some(Value::Float(x)) => Operand::Double(f64::from(*x)),
                    Some(item) => scalar(item),
                    None => Operand::OutOfRange,
                },
                _ => Operand::Null,
            },
            Place::Json(field, steps) => match field.map(|f| self.row.get(&f.name)) {
                Some(Value::Json(json)) => Operand::Json(descend(json, &steps)),
                Some(_) => Operand::Null,
                None => Operand::Json(match steps.split_first() {
                    Some((Step::Key(key), rest)) => {
                        self.row.dynamic.get(key).and_then(|json| descend(json, rest))
                    }
                    _ => None,
                }),
            },
            Place::Array(..) | Place::JsonColumn(_) => {
                return Err(self.not_a_predicate(&Expr::Field(path.clone())));
            }
        })
    }

    fn arithmetic(
        &self,
        op: BinaryOp,
        operand: Operand<'a>,
        literal: &Literal,
    ) -> Result<Operand<'a>, Undefined> {
        match operand {
            Operand::Int(a) => {
                let Literal::Int(b) = *literal else { return Err(Undefined::NotFinite) };
                if op == BinaryOp::Div && !self.semantics.int_division_truncates {
                    return Ok(Operand::Double(a as f64 / b as f64));
                }
                let result = match op {
                    BinaryOp::Add => a.checked_add(b),
                    BinaryOp::Sub => a.checked_sub(b),
                    BinaryOp::Mul => a.checked_mul(b),
                    BinaryOp::Div => a.checked_div(b),
                    BinaryOp::Mod => a.checked_rem(b),
                    _ => None,
                };
                result.map(Operand::Int).ok_or(Undefined::Overflow)
            }
            Operand::Float(a) if self.semantics.float_literal_is_rounded => {
                let b = as_f32(literal)?;
                let result = match op {
                    BinaryOp::Add => a + b,
                    BinaryOp::Sub => a - b,
                    BinaryOp::Mul => a * b,
                    BinaryOp::Div => a / b,
                    _ => f32::NAN,
                };
                if result.is_finite() {
                    Ok(Operand::Float(result))
                } else {
                    Err(Undefined::NotFinite)
                }
            }
            Operand::Float(_) | Operand::Double(_) => {
                let a = match operand {
                    Operand::Float(a) => f64::from(a),
                    Operand::Double(a) => a,
                    _ => f64::NAN,
                };
                let b = as_f64(literal)?;
                let result = match op {
                    BinaryOp::Add => a + b,
                    BinaryOp::Sub => a - b,
                    BinaryOp::Mul => a * b,
                    BinaryOp::Div => a / b,
                    _ => f64::NAN,
                };
                if result.is_finite() {
                    Ok(Operand::Double(result))
                } else {
                    Err(Undefined::NotFinite)
                }
            }
            other => Ok(other),
        }
    }

    fn compare(&self, op: BinaryOp, operand: &Expr, literal: &Literal) -> Result<Truth, Undefined> {
        let operand = self.operand(operand)?;
        Ok(match (&operand, literal) {
            (Operand::Null, _) => Truth::Unknown,
            (Operand::OutOfRange, _) => {
                if self.semantics.index_out_of_range_is_false {
                    Truth::False
                } else {
                    Truth::Unknown
                }
            }
            (Operand::Json(json), literal) => self.compare_json(op, *json, literal),
            (operand, literal) => match self.order(operand, literal)? {
                Some(ordering) => Truth::from(op.holds(ordering) == Some(true)),
                None => return Err(Undefined::NotFinite),
            },
        })
    }

    /// How a typed value orders against a literal.
    fn order(
        &self,
        operand: &Operand<'_>,
        literal: &Literal,
    ) -> Result<Option<Ordering>, Undefined> {
        Ok(match (operand, literal) {
            (Operand::Bool(a), Literal::Bool(b)) => Some(a.cmp(b)),
            (Operand::Int(a), Literal::Int(b)) => Some(a.cmp(b)),
            (Operand::Text(a), Literal::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Operand::Float(a), literal) if self.semantics.float_literal_is_rounded => {
                a.partial_cmp(&as_f32(literal)?)
            }
            (Operand::Float(a), literal) => f64::from(*a).partial_cmp(&as_f64(literal)?),
            (Operand::Double(a), literal) => a.partial_cmp(&as_f64(literal)?),
            _ => None,
        })
    }

    fn compare_json(&self, op: BinaryOp, json: Option<&Json>, literal: &Literal) -> Truth {
        let ordering = match (json, literal) {
            (Some(Json::Number(a)), Literal::Int(_) | Literal::Float(_)) => {
                number(literal).and_then(|b| compare_numbers(a, &b))
            }
            (Some(Json::Bool(a)), Literal::Int(_) | Literal::Float(_))
                if !self.semantics.json_bool_is_not_a_number =>
            {
                number(literal).and_then(|b| compare_numbers(&Number::from(u8::from(*a)), &b))
            }
            (Some(Json::String(a)), Literal::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Some(Json::Bool(a)), Literal::Bool(b)) => Some(a.cmp(b)),
            _ => None,
        };
        match ordering {
            Some(ordering) => Truth::from(op.holds(ordering) == Some(true)),
            None if self.semantics.json_mismatch_is_two_valued => Truth::from(op == BinaryOp::Ne),
            None => Truth::Unknown,
        }
    }

    fn compare_columns(&self, op: BinaryOp, left: &Expr, right: &Expr) -> Result<Truth, Undefined> {
        let ordering = match (self.operand(left)?, self.operand(right)?) {
            (Operand::Null, _) | (_, Operand::Null) => return Ok(Truth::Unknown),
            (Operand::Bool(a), Operand::Bool(b)) => Some(a.cmp(&b)),
            (Operand::Text(a), Operand::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Operand::Int(a), Operand::Int(b)) => Some(a.cmp(&b)),
            // The usual arithmetic conversions of C++, as in the server's CompareExpr.
            (Operand::Int(a), Operand::Float(b)) => (a as f32).partial_cmp(&b),
            (Operand::Float(a), Operand::Int(b)) => a.partial_cmp(&(b as f32)),
            (Operand::Int(a), Operand::Double(b)) => (a as f64).partial_cmp(&b),
            (Operand::Double(a), Operand::Int(b)) => a.partial_cmp(&(b as f64)),
            (Operand::Float(a), Operand::Float(b)) => a.partial_cmp(&b),
            (Operand::Float(a), Operand::Double(b)) => f64::from(a).partial_cmp(&b),
            (Operand::Double(a), Operand::Float(b)) => a.partial_cmp(&f64::from(b)),
            (Operand::Double(a), Operand::Double(b)) => a.partial_cmp(&b),
            _ => None,
        };
        let ordering = ordering.ok_or(Undefined::NotFinite)?;
        Ok(Truth::from(op.holds(ordering) == Some(true)))
    }

    fn is_in(&self, operand: &Expr, list: &[Literal]) -> Result<Truth, Undefined> {
        let operand = self.operand(operand)?;
        if list.is_empty() {
            return Ok(Truth::False);
        }
        let mut found = false;
        for literal in list {
            found |= match &operand {
                Operand::Null if self.semantics.null_in_list_is_unknown => {
                    return Ok(Truth::Unknown);
                }
                Operand::Null | Operand::OutOfRange => false,
                Operand::Json(json) => {
                    self.compare_json(BinaryOp::Eq, *json, literal) == Truth::True
                }
                operand => self.order(operand, literal)? == Some(Ordering::Equal),
            };
        }
        Ok(found.into())
    }

    fn like(&self, operand: &Expr, pattern: &str) -> Result<Truth, Undefined> {
        Ok(match self.operand(operand)? {
            Operand::Null => Truth::Unknown,
            Operand::Text(text) => like(text, pattern, self.semantics).into(),
            Operand::Json(Some(Json::String(text))) => like(text, pattern, self.semantics).into(),
            _ => Truth::False,
        })
    }

    /// Whether a path leads to something: null, `{}` and `[]` do not count (Milvus 2.6).
    fn exists(&self, path: &FieldPath) -> Result<bool, Undefined> {
        let Operand::Json(Some(json)) = self.place(path)? else { return Ok(false) };
        let children: Vec<&Json> = match json {
            Json::Null => return Ok(false),
            Json::Array(items) => items.iter().collect(),
            Json::Object(members) => members.values().collect(),
            _ => return Ok(true),
        };
        if children.is_empty() {
            Ok(!self.semantics.exists_needs_content)
        } else if children.iter().all(|child| is_hollow(child)) {
            Err(Undefined::HollowContainer)
        } else {
            Ok(true)
        }
    }

    fn contains(
        &self,
        function: Function,
        path: &FieldPath,
        argument: Option<&Literal>,
    ) -> Result<Truth, Undefined> {
        let call = || {
            let (operand, argument) = (path.clone(), argument.cloned());
            Expr::Call { function, operand, argument }
        };
        let (Some(quantifier), Some(argument)) = (function.quantifier(), argument) else {
            return Err(self.not_a_predicate(&call()));
        };
        let wanted = match argument {
            Literal::List(items) => items.as_slice(),
            single => std::slice::from_ref(single),
        };
        let null =
            if self.semantics.null_contains_is_unknown { Truth::Unknown } else { Truth::False };
        let mut found = Vec::new();
        match resolve(self.schema, path)? {
            Place::Array(field, _) => {
                let Value::Array(items) = self.row.get(&field.name) else { return Ok(null) };
                for literal in wanted {
                    let mut hit = false;
                    for item in items {
                        let operand = match item {
                            Value::Float(x) => Operand::Double(f64::from(*x)),
                            item => scalar(item),
                        };
                        hit |= self.order(&operand, literal)? == Some(Ordering::Equal);
                    }
                    found.push(hit);
                }
            }
            Place::Json(..) => {
                let items = match self.place(path)? {
                    Operand::Null => return Ok(null),
                    Operand::Json(Some(Json::Array(items))) => items,
                    _ => return Ok(Truth::False),
                };
                for literal in wanted {
                    let equal =
                        |item| self.compare_json(BinaryOp::Eq, Some(item), literal) == Truth::True;
                    found.push(items.iter().any(equal));
                }
            }
            _ => return Err(self.not_a_predicate(&call())),
        }
        Ok(match quantifier {
            Quantifier::Any => found.contains(&true),
            Quantifier::One | Quantifier::All => !found.contains(&false),
        }
        .into())
    }
}

fn scalar(value: &Value) -> Operand<'_> {
    match value {
        Value::Bool(b) => Operand::Bool(*b),
        Value::Int(i) => Operand::Int(*i),
        Value::Float(x) => Operand::Float(*x),
        Value::Double(x) => Operand::Double(*x),
        Value::Text(s) => Operand::Text(s),
        _ => Operand::Null,
    }
}

/// Follows JSON steps. As in JSON pointers, an index also names an object's member and a key of
/// digits an array's element: that is how the server reads them.
fn descend<'a>(json: &'a Json, steps: &[Step]) -> Option<&'a Json> {
    steps.iter().try_fold(json, |json, step| match (json, step) {
        (Json::Object(members), Step::Key(key)) => members.get(key),
        (Json::Object(members), Step::Index(index)) => members.get(&index.to_string()),
        (Json::Array(items), Step::Index(index)) => items.get(*index as usize),
        (Json::Array(items), Step::Key(key)) => {
            // RFC 6901: digits without leading zeros; `parse` alone would also take "01" and "+1".
            let index = key.parse::<usize>().ok()?;
            items.get(index).filter(|_| index.to_string() == *key)
        }
        _ => None,
    })
}

fn is_hollow(json: &Json) -> bool {
    match json {
        Json::Null => true,
        Json::Array(items) => items.iter().all(is_hollow),
        Json::Object(members) => members.values().all(is_hollow),
        _ => false,
    }
}

fn number(literal: &Literal) -> Option<Number> {
    match literal {
        Literal::Int(i) => Some(Number::from(*i)),
        Literal::Float(x) => Number::from_f64(*x),
        _ => None,
    }
}

fn as_f32(literal: &Literal) -> Result<f32, Undefined> {
    let rounded = match literal {
        Literal::Int(i) => *i as f32,
        Literal::Float(x) => *x as f32,
        _ => f32::NAN,
    };
    if rounded.is_finite() { Ok(rounded) } else { Err(Undefined::NotFinite) }
}

fn as_f64(literal: &Literal) -> Result<f64, Undefined> {
    match literal {
        Literal::Int(i) => Ok(*i as f64),
        Literal::Float(x) => Ok(*x),
        _ => Err(Undefined::NotFinite),
    }
}

/// Whole-string, case-sensitive LIKE: `%` is any run, `_` one character.
fn like(text: &str, pattern: &str, semantics: &Semantics) -> bool {
    enum Part {
        Run,
        One,
        Exactly(char),
    }
    let mut parts = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        parts.push(match c {
            '%' => Part::Run,
            '_' => Part::One,
            '\\' if semantics.like_backslash_escapes => match chars.next() {
                Some(escaped) => Part::Exactly(escaped),
                None => return false,
            },
            c => Part::Exactly(c),
        });
    }
    // reachable[i]: the parts so far match the first i characters.
    let text: Vec<char> = text.chars().collect();
    let mut reachable = vec![false; text.len() + 1];
    reachable[0] = true;
    for part in parts {
        if let Part::Run = part {
            let first = reachable.iter().position(|r| *r).unwrap_or(reachable.len());
            reachable[first..].fill(true);
        } else {
            for i in (1..reachable.len()).rev() {
                let fits = match part {
                    Part::Exactly(c) => text[i - 1] == c,
                    _ => true,
                };
                reachable[i] = reachable[i - 1] && fits;
            }
            reachable[0] = false;
        }
    }
    reachable[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::compare_int_double;

    #[test]
    fn like_follows_the_documentation() {
        let like = |text, pattern| like(text, pattern, &Semantics::canonical());
        assert!(like("abc", "a%") && like("abc", "%c") && like("abc", "%b%") && like("abc", "a_c"));
        assert!(like("", "%") && like("", "") && !like("a", "") && !like("abc", "ab"));
        assert!(like("a%c", "a\\%c") && !like("abc", "a\\%c") && like("日本", "_本"));
        assert!(like("a\\b", "a\\\\b") && like("aXbXc", "a%X%c") && !like("ABC", "abc"));
    }

    #[test]
    fn integers_compare_exactly_with_doubles() {
        let cases =
            [(1, 1.5, Ordering::Less), (2, 1.5, Ordering::Greater), (-1, -1.5, Ordering::Greater)];
        for (int, double, ordering) in cases {
            assert_eq!(compare_int_double(int, double), Some(ordering));
        }
    }
}
