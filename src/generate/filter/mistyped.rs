//! Filters whose types do not fit, which every engine must refuse.

use super::Chance;
use crate::filter::{BinaryOp, Expr, Literal};
use crate::schema::{DataType, Scalar, Schema};

/// A comparison of a column with a literal of another type: numbers, strings and booleans never mix
/// on declared columns. `None` if there is no column that filters may name.
pub(in crate::generate) fn comparison(chance: &mut Chance, schema: &Schema) -> Option<Expr> {
    let (column, scalar) = column(chance, schema)?;
    let op = if chance.one_in(2) { BinaryOp::Eq } else { BinaryOp::Ne };
    let literal = stranger(chance, scalar);
    Some(Expr::binary(column, op, Expr::Literal(literal)))
}

/// Another mistake of types, some of which have brought engines down.
pub(in crate::generate) fn any(chance: &mut Chance, schema: &Schema) -> Option<Expr> {
    let (column, scalar) = column(chance, schema)?;
    let number = !matches!(scalar, Scalar::Bool | Scalar::VarChar);
    let op = chance.one_of(BinaryOp::COMPARISONS);
    Some(match chance.below(4) {
        0 => {
            let list = (0..chance.within(1, 3)).map(|_| stranger(chance, scalar)).collect();
            Expr::In { operand: Box::new(column), list, negated: chance.one_in(2) }
        }
        1 if scalar != Scalar::VarChar => {
            Expr::Like { operand: Box::new(column), pattern: "1%".to_owned() }
        }
        2 if number => {
            let integer = scalar.int_range().is_some();
            let (division, zero) = match chance.below(2) {
                0 if integer => (BinaryOp::Mod, Literal::Int(0)),
                _ if integer => (BinaryOp::Div, Literal::Int(0)),
                _ => (BinaryOp::Div, Literal::Float(0.0)),
            };
            let divided = Expr::binary(column, division, Expr::Literal(zero));
            let one = if integer { Literal::Int(1) } else { Literal::Float(1.0) };
            Expr::binary(divided, op, Expr::Literal(one))
        }
        3 if !number => {
            let sum = Expr::binary(column, BinaryOp::Add, Expr::Literal(Literal::Int(1)));
            Expr::binary(sum, op, Expr::Literal(Literal::Int(2)))
        }
        _ => Expr::binary(column, op, Expr::Literal(stranger(chance, scalar))),
    })
}

fn column(chance: &mut Chance, schema: &Schema) -> Option<(Expr, Scalar)> {
    let named = schema.fields.iter().filter(|field| !field.auto_id);
    let columns = named.filter_map(|field| match field.data_type {
        DataType::Scalar(scalar) => Some((field.name.as_str(), scalar)),
        _ => None,
    });
    let columns: Vec<_> = columns.collect();
    let (name, scalar) = chance.pick(&columns).copied()?;
    Some((Expr::field(name), scalar))
}

/// A literal that does not compare with this type.
fn stranger(chance: &mut Chance, scalar: Scalar) -> Literal {
    let first = chance.one_in(2);
    match (scalar, first) {
        (Scalar::VarChar, true) => Literal::Int(1),
        (Scalar::VarChar, false) => Literal::Bool(true),
        (Scalar::Bool, true) => Literal::Int(1),
        (Scalar::Bool, false) => Literal::Text("true".to_owned()),
        (_, true) => Literal::Text("1".to_owned()),
        (_, false) => Literal::Bool(true),
    }
}
