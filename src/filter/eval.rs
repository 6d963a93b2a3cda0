//! The model: a three-valued evaluator, written independently of every SQL lowering.

mod columns;
mod compare;
mod operand;

use std::cmp::Ordering;

use serde_json::Value as Json;

pub use self::columns::{Columns, Truths};
use self::operand::{Operand, as_f32, as_f64, element, is_hollow};
use super::ast::{Bound, Expr, FieldPath, Literal};
use super::check::{Place, TypeError, resolve};
use super::elements;
use super::fold::constant_under;
use super::operator::{BinaryOp, Function, Quantifier};
use super::semantics::{Semantics, Switch};
use super::{like, spatial, text};
use crate::schema::Schema;
use crate::value::{Key, Row, Value};

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
    pub(crate) fn not(self) -> Truth {
        match self {
            Truth::True => Truth::False,
            Truth::False => Truth::True,
            Truth::Unknown => Truth::Unknown,
        }
    }

    pub(crate) fn and(self, other: Truth) -> Truth {
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
    /// 64-bit overflow (milvus#48440), or a time beyond the years that timestamps have.
    #[error("integer arithmetic overflows")]
    Overflow,
    /// A timestamp moved by months from the end of one, or by months and days whose order matters.
    #[error("months added to the end of a month")]
    MonthEnd,
    /// A result or a rounded literal that is infinite or not a number.
    #[error("float arithmetic leaves the finite range")]
    NotFinite,
    /// A comparison that turns on the last bit of a quotient, which compilers may round otherwise.
    #[error("a comparison that turns on the last bit of a quotient")]
    Quotient,
    /// A division by a column that is zero on this row.
    #[error("division by a zero in a column")]
    ZeroInColumn,
    /// `exists` on a container that holds nothing but empty containers.
    #[error("exists on a container of empty containers")]
    HollowContainer,
    /// Arithmetic on JSON in which one constant is an integer and the other is not.
    #[error("arithmetic on JSON that mixes integer and float constants")]
    MixedJson,
    /// Text that the documentation does not tell how to split into words.
    #[error("text matching beyond ASCII words, or with slop")]
    Analyzer,
    /// A polygon that is none, a distance near its bound or to a polygon, or a boundary that only
    /// exact arithmetic could place.
    #[error("a geometry whose relation the documentation leaves open")]
    Geometry,
    /// A row with structs that match `element_filter`: what a query answers then is left open.
    #[error("element_filter in a query, on a row with elements that match")]
    ElementLevel,
    /// An engine with this switch turned refuses the query because of this row.
    #[error("refused by an engine with the switch '{0}'")]
    Refused(Switch),
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
/// let truth = evaluate(&filter, &schema, &row, Semantics::canonical());
/// assert_eq!(truth, Ok(Truth::Unknown));
/// ```
pub fn evaluate(
    expr: &Expr,
    schema: &Schema,
    row: &Row,
    semantics: Semantics,
) -> Result<Truth, Undefined> {
    let evaluator = Evaluator { schema, row, semantics };
    if semantics.has(Switch::EscapesAreDropped) {
        let mut misread = expr.clone();
        drop_escapes(&mut misread);
        return evaluator.truth(&misread);
    }
    evaluator.truth(expr)
}

/// The keys of the rows on which a filter is true by the canon, in the order of the rows.
pub(crate) fn matching<'a>(
    expr: &Expr,
    schema: &Schema,
    rows: impl IntoIterator<Item = (&'a Key, &'a Row)>,
) -> Result<Vec<Key>, Undefined> {
    let (keys, rows): (Vec<&Key>, Vec<&Row>) = rows.into_iter().unzip();
    let truths = Columns::new(schema, rows).evaluate(expr, Semantics::canonical());
    Ok(truths.select(keys)?.into_iter().cloned().collect())
}

/// A string literal as an engine reads it that drops the backslash of escapes.
pub(crate) fn without_escapes(text: &str) -> String {
    text.replace('\n', "n").replace('\r', "r").replace('\t', "t")
}

/// The filter as an engine reads it that drops the backslash of escapes.
fn drop_escapes(expr: &mut Expr) {
    fn literal(it: &mut Literal) {
        match it {
            Literal::Text(text) => *text = without_escapes(text),
            Literal::List(items) => items.iter_mut().for_each(literal),
            _ => {}
        }
    }
    expr.for_each_literal_mut(&mut literal);
    if let Expr::Like { pattern, .. } = expr {
        *pattern = without_escapes(pattern);
    }
    for child in expr.children_mut() {
        drop_escapes(child);
    }
}

struct Evaluator<'a> {
    schema: &'a Schema,
    row: &'a Row,
    semantics: Semantics,
}

impl<'a> Evaluator<'a> {
    fn truth(&self, expr: &Expr) -> Result<Truth, Undefined> {
        match expr {
            Expr::Literal(Literal::Bool(b)) => Ok(Truth::from(*b)),
            Expr::Field(path) => match self.place(path)? {
                Operand::Bool(b) => Ok(b.into()),
                Operand::Null => Ok(Truth::Unknown),
                _ => Err(self.not_a_predicate(expr)),
            },
            Expr::Not(inner) => Ok(match self.truth(inner)? {
                Truth::Unknown if self.has(Switch::NotUnknownIsTrue) => Truth::True,
                truth => truth.not(),
            }),
            Expr::Binary { op: BinaryOp::And, left, right } => {
                Ok(self.truth(left)?.and(self.truth(right)?))
            }
            Expr::Binary { op: BinaryOp::Or, left, right } => {
                Ok(self.truth(left)?.not().and(self.truth(right)?.not()).not())
            }
            Expr::Binary { op, left, right } if op.is_comparison() => {
                self.comparison(expr, *op, left, right)
            }
            Expr::Range { operand, low, high, descending } => {
                self.range(operand, low, high, *descending)
            }
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
                    | Place::Timestamp(field)
                    | Place::Geometry(field)
                    | Place::Structs(field)
                    | Place::JsonColumn(field) => *self.row.get(&field.name) == Value::Null,
                };
                Ok(Truth::from(null != *negated))
            }
            Expr::Exists(path) => Ok(self.exists(path)?.into()),
            Expr::Call { function, operand, arguments } => match function {
                Function::TextMatch | Function::PhraseMatch => match self.place(operand)? {
                    Operand::Null if self.has(Switch::NullTextMatchIsFalse) => Ok(Truth::False),
                    Operand::Null => Ok(Truth::Unknown),
                    Operand::Text(value) => text::matches(*function, value, arguments)
                        .map(Truth::from)
                        .ok_or(Undefined::Analyzer),
                    _ => Err(self.not_a_predicate(expr)),
                },
                function if function.is_spatial() => {
                    let Place::Geometry(field) = resolve(self.schema, operand)? else {
                        return Err(self.not_a_predicate(expr));
                    };
                    match self.row.get(&field.name) {
                        Value::Geometry(value) => {
                            spatial::holds(*function, value, arguments, self.semantics)
                                .map(Truth::from)
                                .ok_or(Undefined::Geometry)
                        }
                        _ if self.has(Switch::NullSpatialIsFalse) => Ok(Truth::False),
                        _ => Ok(Truth::Unknown),
                    }
                }
                _ => self.contains(expr, *function, operand, arguments),
            },
            Expr::Elements { elements, field, predicate } => {
                let asked = (*elements, field.as_str(), &**predicate);
                elements::truth(self.schema, self.row, self.semantics, asked)
            }
            Expr::Literal(_) | Expr::Unary { .. } | Expr::Binary { .. } => {
                Err(self.not_a_predicate(expr))
            }
        }
    }

    fn has(&self, switch: Switch) -> bool {
        self.semantics.has(switch)
    }

    fn constant(&self, expr: &Expr) -> Result<Option<Literal>, TypeError> {
        constant_under(expr, self.semantics)
    }

    fn not_a_predicate(&self, expr: &Expr) -> Undefined {
        match super::check::check(self.schema, expr) {
            Err(error) => error.into(),
            Ok(()) => TypeError::new(expr, "it has no value on its own").into(),
        }
    }

    fn range(
        &self,
        operand: &FieldPath,
        low: &Bound,
        high: &Bound,
        descending: bool,
    ) -> Result<Truth, Undefined> {
        let swapped = descending && self.has(Switch::DescendingRangeSwapsBounds);
        let (from, to) =
            if swapped { (high.inclusive, low.inclusive) } else { (low.inclusive, high.inclusive) };
        if let Place::Element(..) = resolve(self.schema, operand)? {
            self.refuse_mixed(&[low.value.clone(), high.value.clone()])?;
        }
        let operand = self.place(operand)?;
        let above = if from { BinaryOp::Ge } else { BinaryOp::Gt };
        let below = if to { BinaryOp::Le } else { BinaryOp::Lt };
        let above = self.compare(above, &operand, &low.value)?;
        Ok(above.and(self.compare(below, &operand, &high.value)?))
    }

    /// `a == [1, 2]`: element by element, in order. What is no array neither equals one nor, unlike
    /// a scalar of another type, differs from it (server, UnaryExpr on arrays).
    fn equals_array(
        &self,
        expr: &Expr,
        op: BinaryOp,
        operand: &Expr,
        items: &[Literal],
    ) -> Result<Truth, Undefined> {
        let Expr::Field(path) = operand else { return Err(self.not_a_predicate(expr)) };
        let equal = match resolve(self.schema, path)? {
            Place::Array(field, _) => match self.row.get(&field.name) {
                Value::Array(values) => {
                    let mut equal = values.len() == items.len();
                    for (value, item) in values.iter().zip(items) {
                        equal &= self.order(&element(value), item)? == Some(Ordering::Equal);
                    }
                    equal
                }
                _ => return Ok(Truth::Unknown),
            },
            _ => match self.place(path)? {
                Operand::Null => return Ok(Truth::Unknown),
                Operand::Json(Some(Json::Array(values))) => {
                    let pairs = values.iter().zip(items);
                    values.len() == items.len()
                        && pairs
                            .into_iter()
                            .all(|(value, item)| self.json_element_equals(value, item))
                }
                Operand::Json(_) => return Ok(Truth::False),
                _ => return Err(self.not_a_predicate(expr)),
            },
        };
        Ok(Truth::from(equal == (op == BinaryOp::Eq)))
    }

    fn is_in(&self, operand: &Expr, list: &[Literal]) -> Result<Truth, Undefined> {
        if matches!(operand, Expr::Field(path) if matches!(resolve(self.schema, path)?, Place::Element(..)))
        {
            self.refuse_mixed(list)?;
        }
        let operand = self.operand(operand)?;
        if let Operand::Json(Some(Json::Array(_) | Json::Object(_))) = operand
            && self.has(Switch::ContainerInListIsRefused)
        {
            return Err(Undefined::Refused(Switch::ContainerInListIsRefused));
        }
        let missing = matches!(operand, Operand::Json(None | Some(Json::Null)));
        if list.is_empty() {
            let unknown = (missing || matches!(operand, Operand::Null))
                && self.has(Switch::NullInEmptyListIsUnknown);
            return Ok(if unknown { Truth::Unknown } else { Truth::False });
        }
        if missing && self.has(Switch::JsonMissingInListIsUnknown) {
            return Ok(Truth::Unknown);
        }
        let mut found = false;
        for literal in list {
            found |= match &operand {
                Operand::Null if self.has(Switch::NullInListIsFalse) => false,
                Operand::Null => return Ok(Truth::Unknown),
                Operand::OutOfRange => return Ok(self.out_of_range()),
                Operand::Json(Some(json)) => self.json_equals(json, literal),
                Operand::Json(None) => false,
                Operand::Float(x) if self.has(Switch::FloatInListAsDouble) => {
                    f64::from(*x) == as_f64(literal)?
                }
                Operand::Float(x) => *x == as_f32(literal)?,
                operand => self.compare(BinaryOp::Eq, operand, literal)? == Truth::True,
            };
        }
        Ok(found.into())
    }

    /// Stops on an engine that refuses lists with both integers and floats.
    fn refuse_mixed(&self, list: &[Literal]) -> Result<(), Undefined> {
        let any = |wanted: fn(&Literal) -> bool| list.iter().any(wanted);
        let mixed =
            any(|it| matches!(it, Literal::Int(_))) && any(|it| matches!(it, Literal::Float(_)));
        if mixed && self.has(Switch::MixedNumbersAreRefused) {
            return Err(Undefined::Refused(Switch::MixedNumbersAreRefused));
        }
        Ok(())
    }

    fn like(&self, operand: &Expr, pattern: &str) -> Result<Truth, Undefined> {
        let matches = |text| Truth::from(like::matches(text, pattern, self.semantics));
        Ok(match self.operand(operand)? {
            Operand::Null => Truth::Unknown,
            Operand::OutOfRange => self.out_of_range(),
            Operand::Text(text) => matches(text),
            Operand::Json(Some(Json::String(text))) => matches(text),
            Operand::Json(None | Some(Json::Null)) if self.has(Switch::JsonMissingIsUnknown) => {
                Truth::Unknown
            }
            _ => Truth::False,
        })
    }

    /// Whether a path leads to something: null, `{}` and `[]` do not count (Milvus 2.6).
    fn exists(&self, path: &FieldPath) -> Result<bool, Undefined> {
        let Operand::Json(Some(json)) = self.place(path)? else { return Ok(false) };
        let children: Vec<&Json> = match json {
            Json::Null => return Ok(self.has(Switch::ExistsOnNull)),
            Json::Array(items) => items.iter().collect(),
            Json::Object(members) => members.values().collect(),
            _ => return Ok(true),
        };
        if children.is_empty() {
            Ok(self.has(Switch::ExistsOnEmpty))
        } else if children.iter().all(|child| is_hollow(child)) {
            Err(Undefined::HollowContainer)
        } else {
            Ok(true)
        }
    }

    fn contains(
        &self,
        expr: &Expr,
        function: Function,
        path: &FieldPath,
        arguments: &[Literal],
    ) -> Result<Truth, Undefined> {
        let (Some(quantifier), [argument]) = (function.quantifier(), arguments) else {
            return Err(self.not_a_predicate(expr));
        };
        let wanted = match quantifier {
            Quantifier::One => std::slice::from_ref(argument),
            _ => argument.items(),
        };
        self.refuse_mixed(wanted)?;
        let booleans = wanted.iter().any(|literal| matches!(literal, Literal::Bool(_)));
        if booleans && quantifier != Quantifier::One && self.has(Switch::BooleansInListAreRefused) {
            return Err(Undefined::Refused(Switch::BooleansInListAreRefused));
        }
        let null =
            if self.has(Switch::NullContainsIsFalse) { Truth::False } else { Truth::Unknown };
        let mut found = Vec::new();
        match resolve(self.schema, path)? {
            Place::Array(field, _) => {
                let Value::Array(items) = self.row.get(&field.name) else { return Ok(null) };
                for literal in wanted {
                    let mut hit = false;
                    for item in items {
                        let mut operand = element(item);
                        if let (Operand::Double(x), Literal::Int(_)) = (&mut operand, literal)
                            && self.has(Switch::ContainsTruncatesElements)
                        {
                            *x = x.trunc();
                        }
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
                let misses = |item: &Json, literal: &Literal| {
                    self.has(Switch::JsonContainsIntMissesDouble)
                        && matches!(literal, Literal::Int(_))
                        && item.is_f64()
                };
                for literal in wanted {
                    let equal = |item| !misses(item, literal) && self.json_equals(item, literal);
                    found.push(items.iter().any(equal));
                }
            }
            _ => return Err(self.not_a_predicate(expr)),
        }
        Ok(match quantifier {
            Quantifier::Any => found.contains(&true),
            Quantifier::One | Quantifier::All => !found.contains(&false),
        }
        .into())
    }
}
