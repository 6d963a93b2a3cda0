//! What some engines read only in another spelling.

use crate::filter::{Expr, Literal};
use crate::milvus::Dialect;

/// The filter as the dialect can read it: comparisons the other way round, and the integer beside
/// the least one in its place.
pub(super) fn spelled_for(filter: Expr, dialect: &Dialect) -> Expr {
    let inside = |inner: Box<Expr>| Box::new(spelled_for(*inner, dialect));
    match filter {
        Expr::Literal(literal) => Expr::Literal(readable(literal, dialect)),
        Expr::Not(inner) => Expr::Not(inside(inner)),
        Expr::Binary { op, left, right } => {
            let (left, right) = (inside(left), inside(right));
            match (&*left, op.mirrored()) {
                (Expr::Literal(_), Some(op)) if !dialect.literal_first => {
                    Expr::Binary { op, left: right, right: left }
                }
                _ => Expr::Binary { op, left, right },
            }
        }
        Expr::In { operand, list, negated } => {
            let list = list.into_iter().map(|item| readable(item, dialect)).collect();
            Expr::In { operand, list, negated }
        }
        Expr::Call { function, operand, arguments } => {
            let arguments = arguments.into_iter().map(|item| readable(item, dialect)).collect();
            Expr::Call { function, operand, arguments }
        }
        other => other,
    }
}

fn readable(literal: Literal, dialect: &Dialect) -> Literal {
    match literal {
        Literal::Int(i64::MIN) if !dialect.least_int => Literal::Int(i64::MIN + 1),
        Literal::List(items) => {
            Literal::List(items.into_iter().map(|item| readable(item, dialect)).collect())
        }
        literal => literal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::parse;

    #[test]
    fn only_what_a_dialect_cannot_read_is_spelled_anew() {
        let text = "not (5 < a) and array_contains_any(b, [-9223372036854775808])";
        let filter = parse(text).unwrap();
        let everything = Dialect::everything();
        assert_eq!(spelled_for(filter.clone(), &everything), filter);
        let poor = Dialect { literal_first: false, least_int: false, ..everything };
        let anew = "not (a > 5) and array_contains_any(b, [-9223372036854775807])";
        assert_eq!(spelled_for(filter, &poor), parse(anew).unwrap());
    }
}
