//! Comparisons: of operands with constants, and with each other.

use std::cmp::Ordering;

use serde_json::{Number, Value as Json};

use super::operand::{Operand, as_f32, as_f64, literal, widened};
use super::{Evaluator, Truth, Undefined};
use crate::filter::ast::{Expr, Literal};
use crate::filter::check::{Place, number, resolve};
use crate::filter::operator::BinaryOp;
use crate::filter::semantics::Switch;
use crate::schema::Scalar;
use crate::value::{compare_int_double, compare_numbers};

impl Evaluator<'_> {
    pub(super) fn comparison(
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

    pub(super) fn compare(
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
    pub(super) fn compare_computed(
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
        // The one engine that turns the switch divides as IEEE 754 says.
        if self.has(Switch::IntDivisionIsReal) || self.is_exact(expr) {
            return Ok(truth);
        }
        for neighbour in &neighbours {
            if self.compare(op, neighbour, literal)? != truth {
                return Err(Undefined::Quotient);
            }
        }
        Ok(truth)
    }

    /// Whether every quotient in an expression is exact, so that no compiler can round it otherwise.
    pub(super) fn is_exact(&self, expr: &Expr) -> bool {
        let value = |expr: &Expr| match self.constant(expr) {
            Ok(Some(constant)) => as_f64(&constant).ok(),
            _ => self.operand(expr).ok().as_ref().and_then(widened),
        };
        match expr {
            Expr::Unary { operand, .. } => self.is_exact(operand),
            Expr::Binary { op, left, right } => {
                let exact = *op != BinaryOp::Div
                    || match (value(left), value(right), value(expr)) {
                        (Some(a), Some(b), Some(q)) => q.mul_add(b, -a) == 0.0,
                        _ => false,
                    };
                exact && self.is_exact(left) && self.is_exact(right)
            }
            _ => true,
        }
    }

    /// The type of floats in which an engine that converts whole columns computes an expression.
    pub(super) fn converted(&self, expr: &Expr) -> Option<Operand<'static>> {
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
    pub(super) fn refuse_inexact(&self, expr: &Expr, literal: &Literal) -> Result<(), Undefined> {
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

    pub(super) fn out_of_range(&self) -> Truth {
        if self.has(Switch::OutOfRangeIsUnknown) { Truth::Unknown } else { Truth::False }
    }

    /// How a typed value orders against a literal.
    pub(super) fn order(
        &self,
        operand: &Operand<'_>,
        literal: &Literal,
    ) -> Result<Option<Ordering>, Undefined> {
        let exactly = self.has(Switch::NumbersCompareExactly);
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
            (Operand::Float(a), Literal::Int(i)) if exactly => {
                compare_int_double(i128::from(*i), f64::from(*a)).map(Ordering::reverse)
            }
            (Operand::Double(a), Literal::Int(i)) if exactly => {
                compare_int_double(i128::from(*i), *a).map(Ordering::reverse)
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
    pub(super) fn refuses(&self, i: i64, neighbour: &Operand<'_>) -> bool {
        let limit = match neighbour {
            Operand::Float(_) => 1 << 24,
            Operand::Double(_) => 1 << 53,
            _ => return false,
        };
        self.has(Switch::InexactConversionIsRefused) && i.unsigned_abs() > limit
    }

    pub(super) fn compare_json(
        &self,
        op: BinaryOp,
        json: Option<&Json>,
        literal: &Literal,
    ) -> Truth {
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
    pub(super) fn json_equals(&self, json: &Json, literal: &Literal) -> bool {
        match (json, literal) {
            (Json::Array(values), Literal::List(items)) => {
                values.len() == items.len()
                    && values.iter().zip(items).all(|(v, item)| self.json_element_equals(v, item))
            }
            (json, literal) => self.compare_json(BinaryOp::Eq, Some(json), literal) == Truth::True,
        }
    }

    /// Whether an element of an array in JSON equals that of a list.
    pub(super) fn json_element_equals(&self, json: &Json, literal: &Literal) -> bool {
        let misses = self.has(Switch::JsonArrayIntMissesDouble)
            && matches!(literal, Literal::Int(_))
            && json.is_f64();
        !misses && self.json_equals(json, literal)
    }

    pub(super) fn compare_columns(
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
        let exactly = self.has(Switch::NumbersCompareExactly);
        let ordering = match (self.operand(left)?, self.operand(right)?) {
            (Operand::Null, _) | (_, Operand::Null) => return Ok(Truth::Unknown),
            (Operand::Bool(a), Operand::Bool(b)) => Some(a.cmp(&b)),
            (Operand::Text(a), Operand::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Operand::Timestamp(a), Operand::Timestamp(b)) => Some(a.cmp(&b)),
            (Operand::Int(a), Operand::Int(b)) => Some(a.cmp(&b)),
            (Operand::Int(a), b @ (Operand::Float(_) | Operand::Double(_))) if exactly => {
                widened(&b).and_then(|b| compare_int_double(i128::from(a), b))
            }
            (a @ (Operand::Float(_) | Operand::Double(_)), Operand::Int(b)) if exactly => {
                widened(&a)
                    .and_then(|a| compare_int_double(i128::from(b), a))
                    .map(Ordering::reverse)
            }
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
}

/// Whether an expression has a division in it.
pub(super) fn divides(expr: &Expr) -> bool {
    let mut any = false;
    expr.for_each_node(&mut |node| {
        any |= matches!(node, Expr::Binary { op: BinaryOp::Div, .. });
    });
    any
}
