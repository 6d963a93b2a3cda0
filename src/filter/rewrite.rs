//! Filters that mean the same by the rules of the filter language alone.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ast::{Expr, FieldPath, Literal};
use super::check::{Place, resolve};
use super::operator::BinaryOp;
use crate::schema::{DataType, Scalar, Schema};

/// A rule by which a filter becomes another that matches the same rows.
///
/// Each holds in Kleene's logic with nulls, and on every type that it is applied to: what is a rule
/// for numbers alone, as `not (a < b)` for `a >= b`, is none of these, because an operand may be
/// unknown or a NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rewrite {
    /// `p` is `not (not p)`.
    DoubleNegation,
    /// `p and q` is `not (not p or not q)`, `p or q` is `not (not p and not q)`.
    DeMorgan,
    /// `x in [a, b]` is `x == a or x == b`, on columns.
    Membership,
    /// `a < x <= b` is `x > a and x <= b`.
    Chain,
    /// `p and q` is `q and p`, `x < 1` is `1 > x`, on columns.
    Commuted,
    /// `p` is `p and (key >= 0 or key < 0)`: a key is never null.
    Tautology,
    /// `p` is `p or (key > 0 and key < 0)`.
    Contradiction,
}

/// Longer lists are left as they are.
const LONGEST: usize = 8;

impl Rewrite {
    /// Every rule.
    pub const ALL: [Rewrite; 7] = [
        Rewrite::DoubleNegation,
        Rewrite::DeMorgan,
        Rewrite::Membership,
        Rewrite::Chain,
        Rewrite::Commuted,
        Rewrite::Tautology,
        Rewrite::Contradiction,
    ];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Rewrite::DoubleNegation => "double_negation",
            Rewrite::DeMorgan => "de_morgan",
            Rewrite::Membership => "membership",
            Rewrite::Chain => "chain",
            Rewrite::Commuted => "commuted",
            Rewrite::Tautology => "tautology",
            Rewrite::Contradiction => "contradiction",
        }
    }

    /// The filter rewritten wherever the rule applies; `None` if it applies nowhere.
    ///
    /// ```
    /// use milvus_difftest::filter::{Rewrite, parse};
    /// use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
    /// let field = |name: &str| Field::new(name, DataType::Scalar(Scalar::Int64));
    /// let schema = Schema { fields: vec![field("id").primary(), field("a")], dynamic: false };
    /// let rewritten = |rule: Rewrite, filter| {
    ///     rule.apply(&schema, &parse(filter).unwrap()).map(|filter| filter.to_string())
    /// };
    /// let text = |filter: &str| Some(parse(filter).unwrap().to_string());
    /// assert_eq!(rewritten(Rewrite::Membership, "a in [1, 2]"), text("a == 1 or a == 2"));
    /// assert_eq!(rewritten(Rewrite::Chain, "1 < a <= 5"), text("a > 1 and a <= 5"));
    /// assert_eq!(rewritten(Rewrite::Commuted, "a < 5"), text("5 > a"));
    /// assert_eq!(
    ///     rewritten(Rewrite::DeMorgan, "a < 5 and id > 1"),
    ///     text("not (not (a < 5) or not (id > 1))")
    /// );
    /// assert_eq!(rewritten(Rewrite::Chain, "a < 5"), None);
    /// ```
    pub fn apply(self, schema: &Schema, filter: &Expr) -> Option<Expr> {
        let key = &schema.primary().name;
        let on_key = |op, constant: &Literal| {
            Expr::binary(Expr::field(key), op, Expr::Literal(constant.clone()))
        };
        let middle = match schema.primary().data_type {
            DataType::Scalar(Scalar::VarChar) => Literal::Text("m".to_owned()),
            _ => Literal::Int(0),
        };
        let whole = |filter: &Expr| Box::new(filter.clone());
        match self {
            Rewrite::DoubleNegation => Some(negation(negation(filter.clone()))),
            Rewrite::Tautology => {
                let always = on_key(BinaryOp::Ge, &middle).or(on_key(BinaryOp::Lt, &middle));
                Some(Expr::Binary {
                    op: BinaryOp::And,
                    left: whole(filter),
                    right: Box::new(always),
                })
            }
            Rewrite::Contradiction => {
                let never = on_key(BinaryOp::Gt, &middle).and(on_key(BinaryOp::Lt, &middle));
                Some(Expr::Binary { op: BinaryOp::Or, left: whole(filter), right: Box::new(never) })
            }
            Rewrite::DeMorgan | Rewrite::Membership | Rewrite::Chain | Rewrite::Commuted => {
                let mut rewritten = filter.clone();
                self.within(schema, &mut rewritten).then_some(rewritten)
            }
        }
    }

    /// Rewrites predicates and what they are made of; whether anything changed.
    fn within(self, schema: &Schema, expr: &mut Expr) -> bool {
        let mut changed = false;
        // What is inside of `match_any` has columns of its own.
        match expr {
            Expr::Not(inner) => changed |= self.within(schema, inner),
            Expr::Binary { op, left, right } if op.is_logical() => {
                changed |= self.within(schema, left);
                changed |= self.within(schema, right);
            }
            _ => {}
        }
        if let Some(new) = self.here(schema, expr) {
            *expr = new;
            changed = true;
        }
        changed
    }

    fn here(self, schema: &Schema, expr: &Expr) -> Option<Expr> {
        let is_column = |operand: &Expr| match operand {
            Expr::Field(path) => matches!(resolve(schema, path), Ok(Place::Column(..))),
            _ => false,
        };
        match (self, expr) {
            (Rewrite::DeMorgan, Expr::Binary { op, left, right }) => {
                let dual = match op {
                    BinaryOp::And => BinaryOp::Or,
                    BinaryOp::Or => BinaryOp::And,
                    _ => return None,
                };
                let (left, right) = (negation((**left).clone()), negation((**right).clone()));
                Some(negation(Expr::binary(left, dual, right)))
            }
            (Rewrite::Membership, Expr::In { operand, list, negated: false })
                if is_column(operand) && (1..=LONGEST).contains(&list.len()) =>
            {
                let equals = |item: &Literal| {
                    Expr::binary((**operand).clone(), BinaryOp::Eq, Expr::Literal(item.clone()))
                };
                list.iter().map(equals).reduce(Expr::or)
            }
            (Rewrite::Chain, Expr::Range { operand, low, high, .. }) => {
                let bound = |op, value: &Literal| {
                    let operand = Expr::Field(FieldPath::clone(operand));
                    Expr::binary(operand, op, Expr::Literal(value.clone()))
                };
                let above = if low.inclusive { BinaryOp::Ge } else { BinaryOp::Gt };
                let below = if high.inclusive { BinaryOp::Le } else { BinaryOp::Lt };
                Some(bound(above, &low.value).and(bound(below, &high.value)))
            }
            (Rewrite::Commuted, Expr::Binary { op, left, right }) => {
                let plain = is_column(left) && matches!(**right, Expr::Literal(_));
                let mirrored = match op {
                    op if op.is_logical() => Some(*op),
                    op if op.is_comparison() && plain => op.mirrored(),
                    _ => None,
                };
                mirrored.map(|op| Expr::binary((**right).clone(), op, (**left).clone()))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Rewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn negation(filter: Expr) -> Expr {
    Expr::Not(Box::new(filter))
}
