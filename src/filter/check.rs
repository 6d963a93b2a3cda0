//! What a filter means against a schema: where each path leads, and whether the types fit.
//!
//! The rules are those of the documentation's "Filtering Explained" pages and of the server's plan
//! parser: numbers, strings and booleans never mix on declared columns, an integer column takes
//! integer literals only, a filter is a predicate and not a bare column.

use super::ast::{BinaryOp, Expr, FieldPath, Function, Literal, Quantifier, Step};
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::META;

/// A filter that the schema gives no meaning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("type error in `{part}`: {reason}")]
pub struct TypeError {
    part: String,
    reason: String,
}

impl TypeError {
    fn new(part: impl ToString, reason: impl Into<String>) -> TypeError {
        TypeError { part: part.to_string(), reason: reason.into() }
    }
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq)]
pub enum Place<'a> {
    /// A scalar column.
    Column(&'a Field, Scalar),
    /// A whole ARRAY column.
    Array(&'a Field, Scalar),
    /// A whole JSON column.
    JsonColumn(&'a Field),
    /// One element of an ARRAY column.
    Element(&'a Field, Scalar, u32),
    /// A place inside a JSON column, or inside the dynamic field (`None`).
    Json(Option<&'a Field>, Vec<Step>),
}

/// Finds where a path leads. A name that no field declares is a key of the dynamic field, if the
/// schema has one: `x` and `$meta["x"]` are the same place.
pub fn resolve<'a>(schema: &'a Schema, path: &FieldPath) -> Result<Place<'a>, TypeError> {
    let Some(field) = schema.field(&path.root) else {
        if !schema.dynamic {
            return Err(TypeError::new(path, "no such field, and no dynamic field"));
        }
        let mut steps = path.steps.clone();
        if path.root != META {
            steps.insert(0, Step::Key(path.root.clone()));
        }
        if !matches!(steps.first(), Some(Step::Key(_))) {
            return Err(TypeError::new(path, "the dynamic field needs a key"));
        }
        return Ok(Place::Json(None, steps));
    };
    match (field.data_type, path.steps.as_slice()) {
        (DataType::Scalar(scalar), []) => Ok(Place::Column(field, scalar)),
        (DataType::Json, []) => Ok(Place::JsonColumn(field)),
        (DataType::Json, steps) => Ok(Place::Json(Some(field), steps.to_vec())),
        (DataType::Array(element), []) => Ok(Place::Array(field, element)),
        (DataType::Array(element), [Step::Index(i)]) => Ok(Place::Element(field, element, *i)),
        (data_type, _) if data_type.is_vector() => {
            Err(TypeError::new(path, "filters cannot use vectors"))
        }
        (data_type, _) => Err(TypeError::new(path, format!("{data_type} has no such part"))),
    }
}

/// What a value in a comparison is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Int,
    Real,
    Text,
    /// Decided by each row.
    Json,
}

impl From<Scalar> for Kind {
    fn from(scalar: Scalar) -> Kind {
        match scalar {
            Scalar::Bool => Kind::Bool,
            Scalar::Int8 | Scalar::Int16 | Scalar::Int32 | Scalar::Int64 => Kind::Int,
            Scalar::Float | Scalar::Double => Kind::Real,
            Scalar::VarChar => Kind::Text,
        }
    }
}

/// Checks that a filter is a predicate whose types fit.
///
/// ```
/// use milvus_difftest::filter::{check, parse};
/// use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
/// let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
/// let schema = Schema { fields: vec![id], dynamic: false };
/// assert!(check(&schema, &parse("id > 3").unwrap()).is_ok());
/// assert!(check(&schema, &parse("id > 'a'").unwrap()).is_err());
/// ```
pub fn check(schema: &Schema, expr: &Expr) -> Result<(), TypeError> {
    match expr {
        Expr::Not(inner) => check(schema, inner),
        Expr::Binary { op, left, right } if op.is_logical() => {
            check(schema, left)?;
            check(schema, right)
        }
        Expr::Binary { op, left, right } if op.is_comparison() => comparison(schema, left, right)
            .map_err(|reason| match reason {
                Mismatch::Types(reason) => TypeError::new(expr, reason),
                Mismatch::Part(error) => error,
            }),
        Expr::In { operand, list, .. } => {
            let kind = operand_kind(schema, operand)?;
            for literal in list {
                if !accepts(kind, literal) {
                    return Err(TypeError::new(expr, format!("{literal} cannot be in this list")));
                }
            }
            let first = list.first().map(std::mem::discriminant);
            if kind == Kind::Json && list.iter().any(|l| Some(std::mem::discriminant(l)) != first) {
                return Err(TypeError::new(expr, "the list mixes types"));
            }
            Ok(())
        }
        Expr::Like { operand, pattern } => {
            if !matches!(operand_kind(schema, operand)?, Kind::Text | Kind::Json) {
                return Err(TypeError::new(expr, "only strings match a pattern"));
            }
            let backslashes = pattern.chars().rev().take_while(|c| *c == '\\').count();
            if backslashes % 2 == 1 {
                return Err(TypeError::new(expr, "the pattern ends in a lone escape"));
            }
            Ok(())
        }
        Expr::IsNull { operand, .. } => match resolve(schema, operand)? {
            Place::Element(..) => Err(TypeError::new(expr, "array elements are never null")),
            _ => Ok(()),
        },
        Expr::Exists(path) => match resolve(schema, path)? {
            Place::Json(..) => Ok(()),
            _ => Err(TypeError::new(expr, "only a place in JSON may be missing")),
        },
        Expr::Call { function, operand, argument } => {
            contains(schema, expr, *function, operand, argument.as_ref())
        }
        Expr::Literal(_) | Expr::Field(_) | Expr::Binary { .. } => {
            Err(TypeError::new(expr, "a filter must be a predicate"))
        }
    }
}

enum Mismatch {
    Types(String),
    Part(TypeError),
}

impl From<TypeError> for Mismatch {
    fn from(error: TypeError) -> Mismatch {
        Mismatch::Part(error)
    }
}

fn comparison(schema: &Schema, left: &Expr, right: &Expr) -> Result<(), Mismatch> {
    let types = |reason: &str| Err(Mismatch::Types(reason.to_owned()));
    match (left, right) {
        (Expr::Literal(_), Expr::Literal(_)) => types("both sides are constant"),
        (operand, Expr::Literal(literal)) | (Expr::Literal(literal), operand) => {
            if accepts(operand_kind(schema, operand)?, literal) {
                Ok(())
            } else {
                types(&format!("{literal} has another type"))
            }
        }
        (Expr::Field(a), Expr::Field(b)) => match (resolve(schema, a)?, resolve(schema, b)?) {
            (Place::Column(_, a), Place::Column(_, b)) => {
                let number = |kind| matches!(kind, Kind::Int | Kind::Real);
                let (a, b) = (Kind::from(a), Kind::from(b));
                if a == b || number(a) && number(b) {
                    Ok(())
                } else {
                    types("the columns have different types")
                }
            }
            _ => types("only scalar columns compare with each other"),
        },
        _ => types("one side must be a constant, or both be columns"),
    }
}

/// The kind of a non-constant operand: a path, `array_length`, or arithmetic on one column.
fn operand_kind(schema: &Schema, expr: &Expr) -> Result<Kind, TypeError> {
    match expr {
        Expr::Field(path) => match resolve(schema, path)? {
            Place::Column(_, scalar) | Place::Element(_, scalar, _) => Ok(scalar.into()),
            Place::Json(..) => Ok(Kind::Json),
            Place::Array(..) | Place::JsonColumn(_) => {
                Err(TypeError::new(path, "a whole array or document does not compare"))
            }
        },
        Expr::Call { function: Function::ArrayLength, operand, .. } => {
            match resolve(schema, operand)? {
                Place::Array(..) => Ok(Kind::Int),
                _ => Err(TypeError::new(expr, "array_length takes an ARRAY column")),
            }
        }
        Expr::Binary { op, left, right } if !op.is_comparison() && !op.is_logical() => {
            let (field, literal) = match (&**left, &**right) {
                (field @ Expr::Field(_), Expr::Literal(literal)) => (field, literal),
                (Expr::Literal(literal), field @ Expr::Field(_))
                    if matches!(op, BinaryOp::Add | BinaryOp::Mul) =>
                {
                    (field, literal)
                }
                _ => return Err(TypeError::new(expr, "arithmetic takes a column and a constant")),
            };
            let zero = matches!(literal, Literal::Int(0)) || *literal == Literal::Float(0.0);
            if zero && matches!(op, BinaryOp::Div | BinaryOp::Mod) {
                return Err(TypeError::new(expr, "division by zero"));
            }
            let Expr::Field(path) = field else {
                return Err(TypeError::new(expr, "arithmetic takes a column and a constant"));
            };
            match (resolve(schema, path)?, op) {
                (Place::Column(_, scalar), op) => match (Kind::from(scalar), literal) {
                    (Kind::Int, Literal::Int(_)) => Ok(Kind::Int),
                    (Kind::Real, Literal::Int(_) | Literal::Float(_)) if *op != BinaryOp::Mod => {
                        Ok(Kind::Real)
                    }
                    _ => Err(TypeError::new(expr, "these types have no such arithmetic")),
                },
                _ => Err(TypeError::new(expr, "arithmetic takes a numeric column")),
            }
        }
        _ => Err(TypeError::new(expr, "not a value that compares")),
    }
}

fn accepts(kind: Kind, literal: &Literal) -> bool {
    match literal {
        Literal::Bool(_) => matches!(kind, Kind::Bool | Kind::Json),
        Literal::Int(_) => matches!(kind, Kind::Int | Kind::Real | Kind::Json),
        Literal::Float(_) => matches!(kind, Kind::Real | Kind::Json),
        Literal::Text(_) => matches!(kind, Kind::Text | Kind::Json),
        Literal::List(_) => false,
    }
}

fn contains(
    schema: &Schema,
    expr: &Expr,
    function: Function,
    operand: &FieldPath,
    argument: Option<&Literal>,
) -> Result<(), TypeError> {
    let (Some(quantifier), Some(argument)) = (function.quantifier(), argument) else {
        return Err(TypeError::new(expr, "a filter must be a predicate"));
    };
    let on_json = matches!(
        function,
        Function::JsonContains | Function::JsonContainsAll | Function::JsonContainsAny
    );
    let kind = match resolve(schema, operand)? {
        Place::Array(_, element) if !on_json => element.into(),
        Place::Json(..) if on_json => Kind::Json,
        _ => return Err(TypeError::new(expr, format!("not an operand of {}", function.name()))),
    };
    let items = match (argument, quantifier) {
        (Literal::List(items), Quantifier::All | Quantifier::Any) if !items.is_empty() => items,
        (Literal::List(_), _) => return Err(TypeError::new(expr, "a list of values is expected")),
        (item, Quantifier::One) => std::slice::from_ref(item),
        _ => return Err(TypeError::new(expr, "a list of values is expected")),
    };
    match items.iter().find(|item| !accepts(kind, item)) {
        None => Ok(()),
        Some(item) => Err(TypeError::new(expr, format!("{item} cannot be an element"))),
    }
}
