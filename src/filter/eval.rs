//! The model: a three-valued evaluator, written independently of every SQL lowering.

use std::cmp::Ordering;

use serde_json::{Number, Value as Json};

use super::ast::{Bound, Expr, FieldPath, Interval, Literal, Step};
use super::check::{Place, TypeError, number, resolve};
use super::elements;
use super::fold::constant_under;
use super::operator::{BinaryOp, Function, Quantifier, UnaryOp};
use super::semantics::{Semantics, Switch};
use super::{like, spatial, text, time};
use crate::schema::{Scalar, Schema};
use crate::value::{Row, Value, compare_int_double, compare_numbers};

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
    Timestamp(i64),
    /// A place in JSON; `None` when it is missing.
    Json(Option<&'a Json>),
    /// A string or an array that an engine has repeated, where it should have been multiplied.
    Repeated,
    /// Arithmetic on a place in JSON.
    JsonNumber {
        /// `None` when the place holds no number.
        number: Option<Number>,
        /// Whether the place is missing or null.
        missing: bool,
        /// Whether the constant was an integer.
        integral: bool,
    },
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
                        Value::Geometry(value) => spatial::holds(*function, value, arguments)
                            .map(Truth::from)
                            .ok_or(Undefined::Geometry),
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

    fn comparison(
        &self,
        expr: &Expr,
        op: BinaryOp,
        left: &Expr,
        right: &Expr,
    ) -> Result<Truth, Undefined> {
        match (self.constant(left)?, self.constant(right)?) {
            (Some(a), Some(b)) => {
                let ordering = match (number(&a), number(&b)) {
                    (Some(a), Some(b)) => compare_numbers(&a, &b),
                    _ => self.order(&literal(&a), &b)?,
                };
                ordering
                    .map(|ordering| Truth::from(op.holds(ordering) == Some(true)))
                    .ok_or_else(|| self.not_a_predicate(expr))
            }
            (None, Some(Literal::List(items))) => self.equals_array(expr, op, left, &items),
            (Some(Literal::List(items)), None) => self.equals_array(expr, op, right, &items),
            (None, Some(literal)) => {
                self.refuse_inexact(left, &literal)?;
                self.compare_computed(op, left, &literal)
            }
            (Some(literal), None) => {
                let equality = matches!(op, BinaryOp::Eq | BinaryOp::Ne);
                let op = if equality && self.has(Switch::ReversedEqualityIsNegated) {
                    op.opposite()
                } else {
                    op.mirrored()
                };
                let op = op.ok_or_else(|| self.not_a_predicate(expr))?;
                self.refuse_inexact(right, &literal)?;
                self.compare_computed(op, right, &literal)
            }
            (None, None) => self.compare_columns(expr, op, left, right),
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
                        && pairs.into_iter().all(|(value, item)| self.json_equals(value, item))
                }
                Operand::Json(_) => return Ok(Truth::False),
                _ => return Err(self.not_a_predicate(expr)),
            },
        };
        Ok(Truth::from(equal == (op == BinaryOp::Eq)))
    }

    fn operand(&self, expr: &Expr) -> Result<Operand<'a>, Undefined> {
        match expr {
            Expr::Field(path) => self.place(path),
            Expr::Call { function: Function::ArrayLength, operand, .. } => {
                match resolve(self.schema, operand)? {
                    Place::Array(field, _) => Ok(match self.row.get(&field.name) {
                        Value::Array(items) => Operand::Int(items.len() as i64),
                        _ if self.has(Switch::NullLengthIsZero) => Operand::Int(0),
                        _ => Operand::Null,
                    }),
                    Place::Json(..) => Ok(match self.place(operand)? {
                        Operand::Json(Some(Json::Array(items))) => Operand::Int(items.len() as i64),
                        // What is no array has no elements (server, BinaryArithOpEvalRangeExpr).
                        Operand::Json(_) => Operand::Int(0),
                        _ => Operand::Null,
                    }),
                    _ => Err(self.not_a_predicate(expr)),
                }
            }
            Expr::Unary { op, operand } => match (self.operand(operand)?, op) {
                (Operand::Int(i), UnaryOp::Negate) => {
                    i.checked_neg().map(Operand::Int).ok_or(Undefined::Overflow)
                }
                (Operand::Int(i), UnaryOp::BitNot) => Ok(Operand::Int(!i)),
                (Operand::Float(x), UnaryOp::Negate) => Ok(Operand::Float(-x)),
                (Operand::Double(x), UnaryOp::Negate) => Ok(Operand::Double(-x)),
                (nothing @ (Operand::Null | Operand::OutOfRange), _) => Ok(nothing),
                _ => Err(self.not_a_predicate(expr)),
            },
            Expr::Binary { op, left, right } if !op.is_comparison() && !op.is_logical() => {
                let (a, b) = match (self.constant(left)?, self.constant(right)?) {
                    (None, Some(Literal::Interval(interval))) => {
                        return shifted(self.operand(left)?, *op, interval);
                    }
                    (None, Some(b)) => {
                        let a = self.operand(left)?;
                        let b = self.beside(&a, &b)?;
                        (a, b)
                    }
                    (Some(a), None) => {
                        let b = self.operand(right)?;
                        (self.beside(&b, &a)?, b)
                    }
                    _ => (self.operand(left)?, self.operand(right)?),
                };
                for (operand, other) in [(&a, right), (&b, left)] {
                    if let (Operand::Int(i), Some(beside)) = (operand, self.converted(other))
                        && self.refuses(*i, &beside)
                    {
                        return Err(Undefined::Refused(Switch::InexactConversionIsRefused));
                    }
                }
                self.arithmetic(expr, *op, a, b)
            }
            _ => Err(self.not_a_predicate(expr)),
        }
    }

    fn place(&self, path: &FieldPath) -> Result<Operand<'a>, Undefined> {
        Ok(match resolve(self.schema, path)? {
            Place::Column(field, _) | Place::Timestamp(field) => scalar(self.row.get(&field.name)),
            Place::Element(field, _, index) => match self.row.get(&field.name) {
                Value::Array(items) => match items.get(index as usize) {
                    Some(item) => element(item),
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
            Place::Array(..) | Place::JsonColumn(_) | Place::Geometry(_) | Place::Structs(_) => {
                return Err(self.not_a_predicate(&Expr::Field(path.clone())));
            }
        })
    }

    /// A constant as an operand of arithmetic: beside a FLOAT column it is rounded to 32 bits.
    fn beside(
        &self,
        other: &Operand<'_>,
        constant: &Literal,
    ) -> Result<Operand<'static>, Undefined> {
        if let Literal::Int(i) = constant
            && self.refuses(*i, other)
        {
            return Err(Undefined::Refused(Switch::InexactConversionIsRefused));
        }
        match (other, constant) {
            (Operand::Float(_), constant) if !self.has(Switch::FloatComputesAsDouble) => {
                as_f32(constant).map(Operand::Float)
            }
            (Operand::Float(_) | Operand::Double(_), constant) => {
                as_f64(constant).map(Operand::Double)
            }
            (_, Literal::Int(i)) => Ok(Operand::Int(*i)),
            (_, constant) => as_f64(constant).map(Operand::Double),
        }
    }

    /// With the usual arithmetic conversions of C++, as the server has them.
    fn arithmetic(
        &self,
        expr: &Expr,
        op: BinaryOp,
        left: Operand<'a>,
        right: Operand<'a>,
    ) -> Result<Operand<'a>, Undefined> {
        use Operand::{Double, Float, Int, Json, Null, OutOfRange};
        let in_doubles = self.has(Switch::FloatComputesAsDouble);
        match (left, right) {
            (Null, _) | (_, Null) => Ok(Null),
            (OutOfRange, _) | (_, OutOfRange) => Ok(OutOfRange),
            // A constant comes first only where the operator commutes.
            (Json(json), constant) | (constant, Json(json)) => {
                self.json_arithmetic(expr, op, json, &constant)
            }
            (Int(a), Int(b)) => {
                let result = self.int_arithmetic(op, a, b)?;
                Ok(match (result, self.narrow(expr)) {
                    (Int(i), Some(Scalar::Int8)) => Int(i64::from(i as i8)),
                    (Int(i), Some(Scalar::Int16)) => Int(i64::from(i as i16)),
                    (Int(i), Some(Scalar::Int32)) => Int(i64::from(i as i32)),
                    (result, _) => result,
                })
            }
            (Int(i), other) | (other, Int(i)) if self.refuses(i, &other) => {
                Err(Undefined::Refused(Switch::InexactConversionIsRefused))
            }
            (Float(a), Float(b)) if !in_doubles => float_arithmetic(op, a, b).map(Float),
            (Int(a), Float(b)) if !in_doubles => float_arithmetic(op, a as f32, b).map(Float),
            (Float(a), Int(b)) if !in_doubles => float_arithmetic(op, a, b as f32).map(Float),
            (a, b) => match (widened(&a), widened(&b)) {
                (Some(a), Some(b)) => double_arithmetic(op, a, b).map(Double),
                _ => Err(self.not_a_predicate(expr)),
            },
        }
    }

    /// The width in which an engine computes arithmetic between integer columns.
    fn narrow(&self, expr: &Expr) -> Option<Scalar> {
        if !self.has(Switch::NarrowArithmeticWraps) {
            return None;
        }
        match expr {
            Expr::Field(path) => match resolve(self.schema, path) {
                Ok(Place::Column(_, scalar)) => scalar.int_range().map(|_| scalar),
                _ => None,
            },
            Expr::Unary { operand, .. } => self.narrow(operand),
            // The scalars are in the order of their widths.
            Expr::Binary { left, right, .. } => self.narrow(left)?.max(self.narrow(right)?).into(),
            _ => None,
        }
    }

    fn int_arithmetic(&self, op: BinaryOp, a: i64, b: i64) -> Result<Operand<'a>, Undefined> {
        if b == 0 && matches!(op, BinaryOp::Div | BinaryOp::Mod) {
            return Err(Undefined::ZeroInColumn);
        }
        if op == BinaryOp::Div && self.has(Switch::IntDivisionIsReal) {
            if self.refuses(a, &Operand::Double(0.0)) || self.refuses(b, &Operand::Double(0.0)) {
                return Err(Undefined::Refused(Switch::InexactConversionIsRefused));
            }
            return Ok(Operand::Double(a as f64 / b as f64));
        }
        if op == BinaryOp::Mod && self.has(Switch::ModuloIsRounded) {
            return Ok(Operand::Int((a as f64 % b as f64) as i64));
        }
        let result = match op {
            BinaryOp::Add => a.checked_add(b),
            BinaryOp::Sub => a.checked_sub(b),
            BinaryOp::Mul => a.checked_mul(b),
            BinaryOp::Div => a.checked_div(b),
            BinaryOp::Mod => a.checked_rem(b),
            BinaryOp::BitAnd => Some(a & b),
            BinaryOp::BitOr => Some(a | b),
            BinaryOp::BitXor => Some(a ^ b),
            _ => None,
        };
        result.map(Operand::Int).ok_or(Undefined::Overflow)
    }

    /// The kind of the constant picks the type: beside an integer, JSON integers stay integers.
    fn json_arithmetic(
        &self,
        expr: &Expr,
        op: BinaryOp,
        json: Option<&Json>,
        constant: &Operand<'_>,
    ) -> Result<Operand<'a>, Undefined> {
        let integral = matches!(constant, Operand::Int(_));
        let number = match json {
            Some(Json::Number(number)) => number.clone(),
            Some(Json::Bool(b)) if self.has(Switch::JsonBoolIsNumber) => Number::from(u8::from(*b)),
            other => {
                let missing = matches!(other, None | Some(Json::Null));
                let repeats = op == BinaryOp::Mul
                    && integral
                    && matches!(other, Some(Json::String(_) | Json::Array(_)))
                    && self.has(Switch::JsonProductRepeats);
                if repeats {
                    return Ok(Operand::Repeated);
                }
                return Ok(Operand::JsonNumber { number: None, missing, integral });
            }
        };
        let result = match (number.as_i64(), constant) {
            (Some(a), Operand::Int(b)) => self.int_arithmetic(op, a, *b)?,
            (_, constant) => {
                let (Some(a), Some(b)) = (number.as_f64(), widened(constant)) else {
                    return Err(self.not_a_predicate(expr));
                };
                if op == BinaryOp::Mod {
                    // A remainder of a fraction: the server leaves it to a cast.
                    return Err(Undefined::NotFinite);
                }
                Operand::Double(double_arithmetic(op, a, b)?)
            }
        };
        let number = match result {
            Operand::Int(i) => Some(Number::from(i)),
            Operand::Double(x) => Number::from_f64(x),
            _ => None,
        };
        Ok(Operand::JsonNumber { number, missing: false, integral })
    }

    fn compare(
        &self,
        op: BinaryOp,
        operand: &Operand<'_>,
        literal: &Literal,
    ) -> Result<Truth, Undefined> {
        Ok(match (operand, literal) {
            (Operand::Null, _) => Truth::Unknown,
            (Operand::OutOfRange, _) => self.out_of_range(),
            (Operand::Json(json), literal) => self.compare_json(op, *json, literal),
            (Operand::Repeated, _) => match op {
                BinaryOp::Eq => Truth::False,
                BinaryOp::Ne => Truth::True,
                _ => Truth::Unknown,
            },
            (Operand::JsonNumber { number, missing, integral }, literal) => {
                if *integral != matches!(literal, Literal::Int(_)) {
                    return Err(Undefined::MixedJson);
                }
                let unknown = self.has(Switch::JsonArithmeticMismatchIsUnknown);
                if number.is_none() && !missing && unknown {
                    return Ok(Truth::Unknown);
                }
                // What is no number is a mismatch, as any array is.
                let mismatch = || (!missing).then(|| Json::Array(Vec::new()));
                let json = number.clone().map(Json::Number).or_else(mismatch);
                self.compare_json(op, json.as_ref(), literal)
            }
            (operand, literal) => match self.order(operand, literal)? {
                Some(ordering) => Truth::from(op.holds(ordering) == Some(true)),
                None => return Err(Undefined::NotFinite),
            },
        })
    }

    /// Where the answer turns on the last bit of a quotient that is not exact, it is left open.
    fn compare_computed(
        &self,
        op: BinaryOp,
        expr: &Expr,
        literal: &Literal,
    ) -> Result<Truth, Undefined> {
        let operand = self.operand(expr)?;
        let truth = self.compare(op, &operand, literal)?;
        let neighbours = match operand {
            Operand::Double(x) if divides(expr) => {
                [Operand::Double(x.next_down()), Operand::Double(x.next_up())]
            }
            Operand::Float(x) if divides(expr) => {
                [Operand::Float(x.next_down()), Operand::Float(x.next_up())]
            }
            _ => return Ok(truth),
        };
        if self.is_exact(expr) {
            return Ok(truth);
        }
        for neighbour in &neighbours {
            if self.compare(op, neighbour, literal)? != truth {
                return Err(Undefined::Quotient);
            }
        }
        Ok(truth)
    }

    /// Whether a quotient of two operands is exact.
    fn is_exact(&self, expr: &Expr) -> bool {
        let Expr::Binary { op: BinaryOp::Div, left, right } = expr else { return false };
        let value = |expr: &Expr| match self.constant(expr) {
            Ok(Some(constant)) => as_f64(&constant).ok(),
            _ => self.operand(expr).ok().as_ref().and_then(widened),
        };
        match (value(left), value(right), self.operand(expr).ok().as_ref().and_then(widened)) {
            (Some(a), Some(b), Some(q)) => q.mul_add(b, -a) == 0.0,
            _ => false,
        }
    }

    /// The type of floats in which an engine that converts whole columns computes an expression.
    fn converted(&self, expr: &Expr) -> Option<Operand<'static>> {
        match expr {
            Expr::Field(path) => match resolve(self.schema, path) {
                Ok(Place::Column(_, Scalar::Float)) => Some(Operand::Float(0.0)),
                Ok(Place::Column(_, Scalar::Double)) => Some(Operand::Double(0.0)),
                _ => None,
            },
            Expr::Unary { operand, .. } => self.converted(operand),
            Expr::Binary { op, left, right } if !op.is_comparison() && !op.is_logical() => {
                let real = *op == BinaryOp::Div && self.has(Switch::IntDivisionIsReal);
                let constant = |side: &Expr| matches!(self.constant(side), Ok(Some(_)));
                match (self.converted(left), self.converted(right)) {
                    (None, None) if real => Some(Operand::Double(0.0)),
                    (None, None) => None,
                    (Some(Operand::Float(x)), None) if !constant(right) => Some(Operand::Float(x)),
                    (None, Some(Operand::Float(x))) if !constant(left) => Some(Operand::Float(x)),
                    (Some(Operand::Float(x)), Some(Operand::Float(_))) => Some(Operand::Float(x)),
                    _ => Some(Operand::Double(0.0)),
                }
            }
            _ => None,
        }
    }

    /// Stops on an engine that refuses to convert this integer to the type beside it.
    fn refuse_inexact(&self, expr: &Expr, literal: &Literal) -> Result<(), Undefined> {
        if !self.has(Switch::InexactConversionIsRefused) {
            return Ok(());
        }
        match (literal, self.converted(expr)) {
            (Literal::Int(i), Some(beside)) if self.refuses(*i, &beside) => {
                Err(Undefined::Refused(Switch::InexactConversionIsRefused))
            }
            _ => Ok(()),
        }
    }

    fn out_of_range(&self) -> Truth {
        if self.has(Switch::OutOfRangeIsUnknown) { Truth::Unknown } else { Truth::False }
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
            // Only where a switch has turned integers into fractions, or constants meet.
            (Operand::Int(a), Literal::Float(_)) if self.refuses(*a, &Operand::Double(0.0)) => {
                return Err(Undefined::Refused(Switch::InexactConversionIsRefused));
            }
            (Operand::Int(a), Literal::Float(b)) => compare_int_double(i128::from(*a), *b),
            (Operand::Text(a), Literal::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Operand::Timestamp(a), Literal::Timestamp(b)) => Some(a.cmp(b)),
            (operand @ (Operand::Float(_) | Operand::Double(_)), Literal::Int(i))
                if self.refuses(*i, operand) =>
            {
                return Err(Undefined::Refused(Switch::InexactConversionIsRefused));
            }
            (Operand::Float(a), literal) if self.has(Switch::FloatComparesAsDouble) => {
                f64::from(*a).partial_cmp(&as_f64(literal)?)
            }
            (Operand::Float(a), literal) => a.partial_cmp(&as_f32(literal)?),
            (Operand::Double(a), literal) => a.partial_cmp(&as_f64(literal)?),
            _ => None,
        })
    }

    /// Whether an engine refuses to convert an integer to the type of its neighbour.
    fn refuses(&self, i: i64, neighbour: &Operand<'_>) -> bool {
        let limit = match neighbour {
            Operand::Float(_) => 1 << 24,
            Operand::Double(_) => 1 << 53,
            _ => return false,
        };
        self.has(Switch::InexactConversionIsRefused) && i.unsigned_abs() > limit
    }

    fn compare_json(&self, op: BinaryOp, json: Option<&Json>, literal: &Literal) -> Truth {
        let ordering = match (json, literal) {
            (Some(Json::Number(a)), Literal::Float(b)) if self.has(Switch::JsonNumberAsDouble) => {
                a.as_f64().and_then(|a| a.partial_cmp(b))
            }
            (Some(Json::Number(a)), Literal::Int(b))
                if self.has(Switch::JsonNumberAsDouble) && a.as_i64().is_none() =>
            {
                a.as_f64().and_then(|a| a.partial_cmp(&(*b as f64)))
            }
            (Some(Json::Number(a)), Literal::Int(_) | Literal::Float(_)) => {
                number(literal).and_then(|b| compare_numbers(a, &b))
            }
            (Some(Json::Bool(a)), Literal::Int(_) | Literal::Float(_))
                if self.has(Switch::JsonBoolIsNumber) =>
            {
                number(literal).and_then(|b| compare_numbers(&Number::from(u8::from(*a)), &b))
            }
            (Some(Json::Number(a)), Literal::Bool(b)) if self.has(Switch::JsonBoolIsNumber) => {
                compare_numbers(a, &Number::from(u8::from(*b)))
            }
            (Some(Json::String(a)), Literal::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Some(Json::Bool(a)), Literal::Bool(b)) => Some(a.cmp(b)),
            _ => None,
        };
        if let Some(ordering) = ordering {
            return Truth::from(op.holds(ordering) == Some(true));
        }
        let missing = matches!(json, None | Some(Json::Null));
        let equality = matches!(op, BinaryOp::Eq | BinaryOp::Ne);
        if missing && self.has(Switch::JsonMissingIsUnknown)
            || !missing && !equality && self.has(Switch::JsonMismatchIsUnknown)
        {
            return Truth::Unknown;
        }
        Truth::from(op == BinaryOp::Ne)
    }

    /// Whether an element of a JSON array is this constant, which may be an array itself.
    fn json_equals(&self, json: &Json, literal: &Literal) -> bool {
        match (json, literal) {
            (Json::Array(values), Literal::List(items)) => {
                values.len() == items.len()
                    && values.iter().zip(items).all(|(value, item)| self.json_equals(value, item))
            }
            (json, literal) => self.compare_json(BinaryOp::Eq, Some(json), literal) == Truth::True,
        }
    }

    fn compare_columns(
        &self,
        expr: &Expr,
        op: BinaryOp,
        left: &Expr,
        right: &Expr,
    ) -> Result<Truth, Undefined> {
        // A column is converted whole, whatever stands beside an integer on this row.
        if self.has(Switch::InexactConversionIsRefused) {
            for (one, other) in [(left, right), (right, left)] {
                if let (Operand::Int(i), Some(beside)) = (self.operand(one)?, self.converted(other))
                    && self.refuses(i, &beside)
                {
                    return Err(Undefined::Refused(Switch::InexactConversionIsRefused));
                }
            }
        }
        let ordering = match (self.operand(left)?, self.operand(right)?) {
            (Operand::Null, _) | (_, Operand::Null) => return Ok(Truth::Unknown),
            (Operand::Bool(a), Operand::Bool(b)) => Some(a.cmp(&b)),
            (Operand::Text(a), Operand::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Operand::Timestamp(a), Operand::Timestamp(b)) => Some(a.cmp(&b)),
            (Operand::Int(a), Operand::Int(b)) => Some(a.cmp(&b)),
            // The usual arithmetic conversions of C++, as in the server's CompareExpr.
            (Operand::Int(a), Operand::Float(b)) => (a as f32).partial_cmp(&b),
            (Operand::Float(a), Operand::Int(b)) => a.partial_cmp(&(b as f32)),
            (Operand::Float(a), Operand::Float(b)) => a.partial_cmp(&b),
            (a, b) => match (widened(&a), widened(&b)) {
                (Some(a), Some(b)) => a.partial_cmp(&b),
                _ => None,
            },
        };
        let ordering = ordering.ok_or_else(|| self.not_a_predicate(expr))?;
        Ok(Truth::from(op.holds(ordering) == Some(true)))
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

fn scalar(value: &Value) -> Operand<'_> {
    match value {
        Value::Bool(b) => Operand::Bool(*b),
        Value::Int(i) => Operand::Int(*i),
        Value::Float(x) => Operand::Float(*x),
        Value::Double(x) => Operand::Double(*x),
        Value::Text(s) => Operand::Text(s),
        Value::Timestamp(micros) => Operand::Timestamp(*micros),
        _ => Operand::Null,
    }
}

/// An element of an array. Those of FLOAT arrays compare as doubles, unlike FLOAT columns.
fn element(value: &Value) -> Operand<'_> {
    match value {
        Value::Float(x) => Operand::Double(f64::from(*x)),
        value => scalar(value),
    }
}

/// A constant that is compared with another.
fn literal(literal: &Literal) -> Operand<'_> {
    match literal {
        Literal::Bool(b) => Operand::Bool(*b),
        Literal::Int(i) => Operand::Int(*i),
        Literal::Float(x) => Operand::Double(*x),
        Literal::Text(s) => Operand::Text(s),
        Literal::Timestamp(micros) => Operand::Timestamp(*micros),
        Literal::List(_) | Literal::Interval(_) | Literal::Template(_) => Operand::Null,
    }
}

/// Whether an expression has a division in it.
fn divides(expr: &Expr) -> bool {
    let mut any = false;
    expr.for_each_node(&mut |node| {
        any |= matches!(node, Expr::Binary { op: BinaryOp::Div, .. });
    });
    any
}

fn shifted(
    operand: Operand<'_>,
    op: BinaryOp,
    interval: Interval,
) -> Result<Operand<'_>, Undefined> {
    match operand {
        Operand::Timestamp(micros) => {
            time::shift(micros, interval, op == BinaryOp::Sub).map(Operand::Timestamp)
        }
        other => Ok(other),
    }
}

fn widened(operand: &Operand<'_>) -> Option<f64> {
    match operand {
        Operand::Int(i) => Some(*i as f64),
        Operand::Float(x) => Some(f64::from(*x)),
        Operand::Double(x) => Some(*x),
        _ => None,
    }
}

fn float_arithmetic(op: BinaryOp, a: f32, b: f32) -> Result<f32, Undefined> {
    let result = match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        _ => f32::NAN,
    };
    if result.is_finite() { Ok(result) } else { Err(Undefined::NotFinite) }
}

fn double_arithmetic(op: BinaryOp, a: f64, b: f64) -> Result<f64, Undefined> {
    let result = match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        _ => f64::NAN,
    };
    if result.is_finite() { Ok(result) } else { Err(Undefined::NotFinite) }
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
