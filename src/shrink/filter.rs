//! Smaller filters: a part in place of the whole, a list without an element, a plainer constant.

use super::value;
use crate::filter::{Expr, FieldPath, Literal};

/// One-step reductions of a filter. They need not be well-typed.
pub(super) fn filters(expr: &Expr) -> Vec<Expr> {
    let mut all = Vec::new();
    match expr {
        Expr::Literal(literal) => {
            all.extend(value::literals(literal).into_iter().map(Expr::Literal))
        }
        Expr::Field(path) => all.extend(paths(path).into_iter().map(Expr::Field)),
        Expr::Not(inner) => {
            all.push((**inner).clone());
            all.extend(negation(inner));
            all.extend(filters(inner).into_iter().map(|inner| Expr::Not(Box::new(inner))));
        }
        Expr::Binary { op, left, right } => {
            // Plainer with the constant on the right.
            if let (Expr::Literal(_), Some(mirrored)) = (&**left, op.mirrored()) {
                all.push(Expr::binary((**right).clone(), mirrored, (**left).clone()));
            }
            // Of `a + 1 == 2`, `a` is a part that may stand for `a + 1`.
            all.push((**left).clone());
            all.push((**right).clone());
            for left in filters(left) {
                all.push(Expr::binary(left, *op, (**right).clone()));
            }
            for right in filters(right) {
                all.push(Expr::binary((**left).clone(), *op, right));
            }
        }
        Expr::In { operand, list, negated } => {
            let with = |operand: &Expr, list: Vec<Literal>| Expr::In {
                operand: Box::new(operand.clone()),
                list,
                negated: *negated,
            };
            for half in [&list[..list.len() / 2], &list[list.len() / 2..]] {
                if !half.is_empty() && half.len() < list.len() {
                    all.push(with(operand, half.to_vec()));
                }
            }
            for i in 0..list.len() {
                if list.len() > 1 {
                    let mut without = list.clone();
                    without.remove(i);
                    all.push(with(operand, without));
                }
                for plainer in value::literals(&list[i]) {
                    let mut list = list.clone();
                    list[i] = plainer;
                    all.push(with(operand, list));
                }
            }
            all.extend(filters(operand).iter().map(|operand| with(operand, list.clone())));
        }
        Expr::Like { operand, pattern } => {
            let with = |operand: &Expr, pattern: String| Expr::Like {
                operand: Box::new(operand.clone()),
                pattern,
            };
            for literal in value::literals(&Literal::Text(pattern.clone())) {
                if let Literal::Text(pattern) = literal {
                    all.push(with(operand, pattern));
                }
            }
            all.extend(filters(operand).iter().map(|operand| with(operand, pattern.clone())));
        }
        Expr::IsNull { operand, negated } => {
            all.extend(
                paths(operand)
                    .into_iter()
                    .map(|operand| Expr::IsNull { operand, negated: *negated }),
            );
        }
        Expr::Exists(path) => all.extend(paths(path).into_iter().map(Expr::Exists)),
        Expr::Call { function, operand, argument } => {
            for argument in argument.iter().flat_map(value::literals) {
                if argument != Literal::List(Vec::new()) {
                    let operand = operand.clone();
                    all.push(Expr::Call { function: *function, operand, argument: Some(argument) });
                }
            }
            for operand in paths(operand) {
                let argument = argument.clone();
                all.push(Expr::Call { function: *function, operand, argument });
            }
        }
    }
    all
}

/// `not (x in […])` as `x not in […]`, and the like: one node less.
fn negation(inner: &Expr) -> Option<Expr> {
    match inner.clone() {
        Expr::In { operand, list, negated } => Some(Expr::In { operand, list, negated: !negated }),
        Expr::IsNull { operand, negated } => Some(Expr::IsNull { operand, negated: !negated }),
        Expr::Binary { op, left, right } => {
            let op = op.opposite()?;
            Some(Expr::Binary { op, left, right })
        }
        _ => None,
    }
}

/// The same path with a step less.
fn paths(path: &FieldPath) -> Vec<FieldPath> {
    (0..path.steps.len())
        .map(|i| {
            let mut shorter = path.clone();
            shorter.steps.remove(i);
            shorter
        })
        .collect()
}
