//! What an operand is on a row: columns, places in JSON, and arithmetic on them.

use serde_json::{Number, Value as Json};

use super::{Evaluator, Undefined};
use crate::filter::ast::{Expr, FieldPath, Interval, Literal, Step};
use crate::filter::check::{Place, resolve};
use crate::filter::operator::{BinaryOp, Function, UnaryOp};
use crate::filter::semantics::Switch;
use crate::filter::time;
use crate::schema::Scalar;
use crate::value::Value;

/// What an operand is on this row.
pub(super) enum Operand<'a> {
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
    pub(super) fn operand(&self, expr: &Expr) -> Result<Operand<'a>, Undefined> {
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

    pub(super) fn place(&self, path: &FieldPath) -> Result<Operand<'a>, Undefined> {
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
    pub(super) fn beside(
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
    pub(super) fn arithmetic(
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
    pub(super) fn narrow(&self, expr: &Expr) -> Option<Scalar> {
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

    pub(super) fn int_arithmetic(
        &self,
        op: BinaryOp,
        a: i64,
        b: i64,
    ) -> Result<Operand<'a>, Undefined> {
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
        integers(op, a, b).map(Operand::Int).ok_or(Undefined::Overflow)
    }

    /// The kind of the constant picks the type: beside an integer, JSON integers stay integers.
    pub(super) fn json_arithmetic(
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
}

pub(super) fn scalar(value: &Value) -> Operand<'_> {
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
pub(super) fn element(value: &Value) -> Operand<'_> {
    match value {
        Value::Float(x) => Operand::Double(f64::from(*x)),
        value => scalar(value),
    }
}

/// A constant that is compared with another.
pub(super) fn literal(literal: &Literal) -> Operand<'_> {
    match literal {
        Literal::Bool(b) => Operand::Bool(*b),
        Literal::Int(i) => Operand::Int(*i),
        Literal::Float(x) => Operand::Double(*x),
        Literal::Text(s) => Operand::Text(s),
        Literal::Timestamp(micros) => Operand::Timestamp(*micros),
        Literal::List(_) | Literal::Interval(_) | Literal::Template(_) => Operand::Null,
    }
}

pub(super) fn shifted(
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

pub(super) fn widened(operand: &Operand<'_>) -> Option<f64> {
    match operand {
        Operand::Int(i) => Some(*i as f64),
        Operand::Float(x) => Some(f64::from(*x)),
        Operand::Double(x) => Some(*x),
        _ => None,
    }
}

/// `None` where the result is no 64-bit integer, or a zero divides.
pub(super) fn integers(op: BinaryOp, a: i64, b: i64) -> Option<i64> {
    match op {
        BinaryOp::Add => a.checked_add(b),
        BinaryOp::Sub => a.checked_sub(b),
        BinaryOp::Mul => a.checked_mul(b),
        BinaryOp::Div => a.checked_div(b),
        BinaryOp::Mod => a.checked_rem(b),
        BinaryOp::BitAnd => Some(a & b),
        BinaryOp::BitOr => Some(a | b),
        BinaryOp::BitXor => Some(a ^ b),
        _ => None,
    }
}

pub(super) fn float_arithmetic(op: BinaryOp, a: f32, b: f32) -> Result<f32, Undefined> {
    let result = match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        _ => f32::NAN,
    };
    if result.is_finite() { Ok(result) } else { Err(Undefined::NotFinite) }
}

pub(super) fn double_arithmetic(op: BinaryOp, a: f64, b: f64) -> Result<f64, Undefined> {
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
pub(super) fn descend<'a>(json: &'a Json, steps: &[Step]) -> Option<&'a Json> {
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

pub(super) fn is_hollow(json: &Json) -> bool {
    match json {
        Json::Null => true,
        Json::Array(items) => items.iter().all(is_hollow),
        Json::Object(members) => members.values().all(is_hollow),
        _ => false,
    }
}

pub(super) fn as_f32(literal: &Literal) -> Result<f32, Undefined> {
    let rounded = match literal {
        Literal::Int(i) => *i as f32,
        Literal::Float(x) => *x as f32,
        _ => f32::NAN,
    };
    if rounded.is_finite() { Ok(rounded) } else { Err(Undefined::NotFinite) }
}

pub(super) fn as_f64(literal: &Literal) -> Result<f64, Undefined> {
    match literal {
        Literal::Int(i) => Ok(*i as f64),
        Literal::Float(x) => Ok(*x),
        _ => Err(Undefined::NotFinite),
    }
}
