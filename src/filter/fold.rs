//! Arithmetic between constants, which engines compute before they look at a row.

use std::borrow::Cow;

use super::ast::{Expr, Literal};
use super::check::TypeError;
use super::operator::{BinaryOp, UnaryOp};
use super::semantics::{Semantics, Switch};

/// The constant that an operand comes to; `None` if it depends on the row.
pub(crate) fn constant(expr: &Expr) -> Result<Option<Literal>, TypeError> {
    constant_under(expr, Semantics::canonical())
}

/// The same, without a copy of what is written as one.
pub(crate) fn folded(expr: &Expr) -> Result<Option<Cow<'_, Literal>>, TypeError> {
    folded_under(expr, Semantics::canonical())
}

/// The same on an engine that takes some rules otherwise.
pub(super) fn constant_under(
    expr: &Expr,
    semantics: Semantics,
) -> Result<Option<Literal>, TypeError> {
    Ok(folded_under(expr, semantics)?.map(Cow::into_owned))
}

fn folded_under(expr: &Expr, semantics: Semantics) -> Result<Option<Cow<'_, Literal>>, TypeError> {
    let wrong = |reason: &str| Err(TypeError::new(expr, reason));
    match expr {
        Expr::Literal(Literal::Template(_)) => wrong("this template has no value"),
        Expr::Literal(literal) => Ok(Some(Cow::Borrowed(literal))),
        Expr::Unary { op, operand } => {
            let Some(operand) = folded_under(operand, semantics)? else { return Ok(None) };
            let literal = match (op, &*operand) {
                (UnaryOp::Negate, Literal::Int(i)) => match i.checked_neg() {
                    Some(i) => Literal::Int(i),
                    None => return wrong("integer arithmetic overflows"),
                },
                (UnaryOp::Negate, Literal::Float(x)) => Literal::Float(-x),
                (UnaryOp::BitNot, Literal::Int(i)) => Literal::Int(!i),
                _ => return wrong("these constants have no such arithmetic"),
            };
            Ok(Some(Cow::Owned(literal)))
        }
        Expr::Binary { op, left, right } if !op.is_logical() && !op.is_comparison() => {
            let (Some(left), Some(right)) =
                (folded_under(left, semantics)?, folded_under(right, semantics)?)
            else {
                return Ok(None);
            };
            match binary(*op, &left, &right, semantics) {
                Ok(literal) => Ok(Some(Cow::Owned(literal))),
                Err(reason) => wrong(reason),
            }
        }
        _ => Ok(None),
    }
}

fn binary(
    op: BinaryOp,
    left: &Literal,
    right: &Literal,
    semantics: Semantics,
) -> Result<Literal, &'static str> {
    const NONE: &str = "these constants have no such arithmetic";
    if let (Literal::Int(a), Literal::Int(b)) = (left, right)
        && op != BinaryOp::Pow
    {
        if *b == 0 && matches!(op, BinaryOp::Div | BinaryOp::Mod) {
            return Err("division by zero");
        }
        if op == BinaryOp::Div && semantics.has(Switch::IntDivisionIsReal) {
            return Ok(Literal::Float(*a as f64 / *b as f64));
        }
        let result = match op {
            BinaryOp::Add => a.checked_add(*b),
            BinaryOp::Sub => a.checked_sub(*b),
            BinaryOp::Mul => a.checked_mul(*b),
            BinaryOp::Div => a.checked_div(*b),
            BinaryOp::Mod => a.checked_rem(*b),
            BinaryOp::BitAnd => Some(a & b),
            BinaryOp::BitOr => Some(a | b),
            BinaryOp::BitXor => Some(a ^ b),
            _ => return Err(NONE),
        };
        return result.map(Literal::Int).ok_or("integer arithmetic overflows");
    }
    let number = |literal: &Literal| match literal {
        Literal::Int(i) => Some(*i as f64),
        Literal::Float(x) => Some(*x),
        _ => None,
    };
    let (Some(a), Some(b)) = (number(left), number(right)) else { return Err(NONE) };
    let result = match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div if b == 0.0 => return Err("division by zero"),
        BinaryOp::Div => a / b,
        // Always a double, also of integers: as in the server's constant folding.
        BinaryOp::Pow => a.powf(b),
        _ => return Err(NONE),
    };
    if result.is_finite() { Ok(Literal::Float(result)) } else { Err("float arithmetic overflows") }
}
