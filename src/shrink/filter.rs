//! Smaller filters: a part in place of the whole, a list without an element, a plainer constant.

use super::{size, value};
use crate::filter::{BinaryOp, Bound, Elements, Expr, FieldPath, Literal};

/// Lists up to this length lose their elements one by one, longer ones a part at a time.
const ONE_BY_ONE: usize = 100;
const PARTS: usize = 16;

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
        }
        Expr::Unary { operand, .. } => all.push((**operand).clone()),
        Expr::Binary { op, left, right } => {
            // Plainer with the constant on the right.
            if let (Expr::Literal(_), Some(mirrored)) = (&**left, op.mirrored()) {
                all.push(Expr::binary((**right).clone(), mirrored, (**left).clone()));
            }
            // Where `a * -2 == 4` holds, `a == 4` does not, but another comparison does.
            if let (true, Expr::Binary { left: a, right: b, .. }) = (op.is_comparison(), &**left) {
                let parts = [a, b].into_iter().filter(|part| !matches!(***part, Expr::Literal(_)));
                for part in parts {
                    let other = |op| Expr::binary((**part).clone(), op, (**right).clone());
                    all.extend(BinaryOp::COMPARISONS.into_iter().map(other));
                }
            }
            // Of `a + 1 == 2`, `a` is a part that may stand for `a + 1`.
            all.push((**left).clone());
            all.push((**right).clone());
        }
        Expr::Range { operand, low, high, descending } => {
            let bound = |op: BinaryOp, bound: &Bound| {
                Expr::binary(Expr::Field(operand.clone()), op, Expr::Literal(bound.value.clone()))
            };
            all.push(bound(if low.inclusive { BinaryOp::Ge } else { BinaryOp::Gt }, low));
            all.push(bound(if high.inclusive { BinaryOp::Le } else { BinaryOp::Lt }, high));
            let with = |operand: &FieldPath, low: &Bound, high: &Bound, descending| Expr::Range {
                operand: operand.clone(),
                low: low.clone(),
                high: high.clone(),
                descending,
            };
            if *descending {
                all.push(with(operand, low, high, false));
            }
            for plainer in value::literals(&low.value) {
                let low = Bound { value: plainer, ..low.clone() };
                all.push(with(operand, &low, high, *descending));
            }
            for plainer in value::literals(&high.value) {
                let high = Bound { value: plainer, ..high.clone() };
                all.push(with(operand, low, &high, *descending));
            }
            all.extend(paths(operand).iter().map(|path| with(path, low, high, *descending)));
        }
        Expr::In { operand, list, negated } => {
            let with =
                |list: Vec<Literal>| Expr::In { operand: operand.clone(), list, negated: *negated };
            for half in [&list[..list.len() / 2], &list[list.len() / 2..]] {
                if !half.is_empty() && half.len() < list.len() {
                    all.push(with(half.to_vec()));
                }
            }
            // Without one element each, a list of thousands would be copied thousands of times.
            if list.len() > ONE_BY_ONE {
                let part = list.len().div_ceil(PARTS);
                for start in (0..list.len()).step_by(part) {
                    let end = list.len().min(start + part);
                    all.push(with([&list[..start], &list[end..]].concat()));
                }
                return all;
            }
            for i in 0..list.len() {
                if list.len() > 1 {
                    let mut without = list.clone();
                    without.remove(i);
                    all.push(with(without));
                }
                for plainer in value::literals(&list[i]) {
                    let mut list = list.clone();
                    list[i] = plainer;
                    all.push(with(list));
                }
            }
        }
        Expr::Like { operand, pattern } => {
            for literal in value::literals(&Literal::Text(pattern.clone())) {
                if let Literal::Text(pattern) = literal {
                    all.push(Expr::Like { operand: operand.clone(), pattern });
                }
            }
        }
        Expr::IsNull { operand, negated } => {
            all.extend(
                paths(operand)
                    .into_iter()
                    .map(|operand| Expr::IsNull { operand, negated: *negated }),
            );
        }
        Expr::Exists(path) => all.extend(paths(path).into_iter().map(Expr::Exists)),
        Expr::Call { function, operand, arguments } => {
            let with = |operand: FieldPath, arguments: Vec<Literal>| Expr::Call {
                function: *function,
                operand,
                arguments,
            };
            for i in 0..arguments.len() {
                for plainer in value::literals(&arguments[i]) {
                    let mut arguments = arguments.clone();
                    arguments[i] = plainer;
                    all.push(with(operand.clone(), arguments));
                }
            }
            all.extend(paths(operand).into_iter().map(|path| with(path, arguments.clone())));
        }
        Expr::Elements { elements, field, predicate } => {
            let with = |elements: Elements| {
                let (field, predicate) = (field.clone(), predicate.clone());
                Expr::Elements { elements, field, predicate }
            };
            all.extend(plainer_elements(*elements).into_iter().map(with));
        }
    }
    for (i, child) in expr.children().into_iter().enumerate() {
        for smaller in filters(child) {
            let mut with = expr.clone();
            if let Some(part) = with.children_mut().into_iter().nth(i) {
                *part = smaller;
            }
            all.push(with);
        }
    }
    all
}

/// Plainer quantifiers: without a threshold, or with a lower one.
fn plainer_elements(elements: Elements) -> Vec<Elements> {
    let mut all = vec![Elements::Any, Elements::All];
    let lower = elements.threshold().into_iter().flat_map(|n| [0, 1, n / 2, n.saturating_sub(1)]);
    all.extend(lower.map(|n| match elements {
        Elements::Least(_) => Elements::Least(n),
        Elements::Most(_) => Elements::Most(n),
        _ => Elements::Exact(n),
    }));
    let before = size::elements(elements);
    all.retain(|candidate| size::elements(*candidate) < before);
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
