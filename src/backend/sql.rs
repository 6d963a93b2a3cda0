//! Lowering of filters to SQL boolean expressions.
//!
//! SQL's own logic is Kleene's, as is the filter language's: a null column makes its term unknown
//! by itself. What has to be written out is everything that is *not* null in SQL's sense: terms on
//! JSON, where a missing key is a mismatch and not an unknown; array elements out of range; and
//! numbers, whose conversions differ between databases and are therefore all explicit.
//!
//! Nothing of the model is used. What both sides share is what comes before either: the type
//! checker, the resolution of names, and the folding of constant operands. The checker needs the
//! folded constants to accept a filter at all (`n / (2 - 2)` is refused), so that a second folding
//! could only disagree with the filter that was accepted; a test has DuckDB compute the same
//! constants instead.
//!
//! What SQL cannot say exactly is [`BackendError::Inexpressible`]: how analyzers split text into
//! words, months, geometry, and arrays of structs.

mod dialect;
mod json;
mod operand;

pub use self::dialect::{Constant, JsonKind, JsonPlace, SqlDialect, SqlType};
use self::operand::{Operand, Typed, column_type};
use crate::backend::BackendError;
use crate::filter::check::{Place, resolve};
use crate::filter::fold::constant;
use crate::filter::operator::Quantifier;
use crate::filter::{BinaryOp, Bound, Expr, FieldPath, Function, Literal, check};
use crate::schema::Schema;

/// Writes a filter as an SQL condition: true, false and null where the filter is true, false and
/// unknown.
///
/// # Errors
///
/// [`BackendError::Filter`] if the filter has no meaning on the schema,
/// [`BackendError::Inexpressible`] if it has one that SQL cannot express.
///
/// ```
/// use milvus_difftest::backend::{DuckDbDialect, sql::lower};
/// use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
/// let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
/// let f = Field::new("f", DataType::Scalar(Scalar::Float));
/// let schema = Schema { fields: vec![id, f], dynamic: false };
/// let filter = milvus_difftest::filter::parse("not (f == 0.1)").unwrap();
/// let sql = lower(&DuckDbDialect, &schema, &filter).unwrap();
/// assert_eq!(sql, r#"NOT ("f" = CAST('0.1' AS FLOAT))"#);
/// ```
pub fn lower(
    dialect: &dyn SqlDialect,
    schema: &Schema,
    filter: &Expr,
) -> Result<String, BackendError> {
    check(schema, filter)?;
    let lowering = Lowering { dialect, schema, filter };
    match dialect.inexpressible(filter) {
        Some(construct) => Err(lowering.inexpressible(&construct)),
        None => lowering.condition(filter),
    }
}

struct Lowering<'a> {
    dialect: &'a dyn SqlDialect,
    schema: &'a Schema,
    /// The whole filter, for errors.
    filter: &'a Expr,
}

/// What is asked of an operand.
enum Test<'a> {
    Compare(BinaryOp, &'a Literal),
    In(&'a [Literal]),
    Like(&'a str),
}

impl Lowering<'_> {
    fn condition(&self, expr: &Expr) -> Result<String, BackendError> {
        match expr {
            Expr::Literal(Literal::Bool(b)) => Ok(self.bool(*b)),
            Expr::Field(path) => match self.place(expr, path)? {
                Operand::Typed(Typed { sql, ty: SqlType::Bool, .. }) => Ok(sql),
                _ => Err(unknown(expr)),
            },
            Expr::Not(inner) => Ok(format!("NOT ({})", self.condition(inner)?)),
            Expr::Binary { op: op @ (BinaryOp::And | BinaryOp::Or), left, right } => {
                let word = if *op == BinaryOp::And { "AND" } else { "OR" };
                Ok(format!("({} {word} {})", self.condition(left)?, self.condition(right)?))
            }
            Expr::Binary { op, left, right } => self.comparison(expr, *op, left, right),
            Expr::Range { operand, low, high, .. } => self.range(expr, operand, low, high),
            Expr::In { operand, list, negated } => {
                let found = self.test(expr, operand, &Test::In(list))?;
                Ok(if *negated { format!("NOT ({found})") } else { found })
            }
            Expr::Like { operand, pattern } => self.test(expr, operand, &Test::Like(pattern)),
            Expr::IsNull { operand, negated } => match resolve(self.schema, operand)? {
                Place::Json(field, steps) => {
                    let exists = self.dialect.json_exists(&self.json(field, steps).0);
                    Ok(if *negated { exists } else { format!("NOT ({exists})") })
                }
                Place::Array(field, _) | Place::Element(field, ..) => {
                    Ok(self.dialect.list_is_null(&self.column(&field.name), *negated))
                }
                Place::Column(field, _)
                | Place::Timestamp(field)
                | Place::Geometry(field)
                | Place::Structs(field)
                | Place::JsonColumn(field) => {
                    let word = if *negated { "IS NOT NULL" } else { "IS NULL" };
                    Ok(format!("{} {word}", self.column(&field.name)))
                }
            },
            Expr::Exists(path) => match resolve(self.schema, path)? {
                Place::Json(field, steps) => {
                    Ok(self.dialect.json_exists(&self.json(field, steps).0))
                }
                _ => Err(unknown(expr)),
            },
            Expr::Call { function, operand, arguments } => {
                let (Some(quantifier), [argument]) = (function.quantifier(), arguments.as_slice())
                else {
                    return match function {
                        Function::ArrayLength => Err(unknown(expr)),
                        _ => Err(self.inexpressible(function.name())),
                    };
                };
                self.contains(expr, quantifier, operand, argument)
            }
            Expr::Elements { elements, .. } => Err(self.inexpressible(elements.name())),
            Expr::Literal(_) | Expr::Unary { .. } => Err(unknown(expr)),
        }
    }

    fn inexpressible(&self, construct: &str) -> BackendError {
        BackendError::Inexpressible {
            filter: self.filter.to_string(),
            construct: construct.to_owned(),
        }
    }

    fn column(&self, name: &str) -> String {
        self.dialect.column(self.schema, name)
    }

    fn bool(&self, b: bool) -> String {
        self.dialect.constant(Constant::Bool(b))
    }

    fn comparison(
        &self,
        expr: &Expr,
        op: BinaryOp,
        left: &Expr,
        right: &Expr,
    ) -> Result<String, BackendError> {
        let mirrored = || op.mirrored().ok_or_else(|| unknown(expr));
        match (constant(left)?, constant(right)?) {
            (Some(a), Some(b)) => self.compare_constants(expr, op, &a, &b),
            (None, Some(Literal::List(items))) => self.equals_array(expr, op, left, &items),
            (Some(Literal::List(items)), None) => self.equals_array(expr, op, right, &items),
            (None, Some(literal)) => self.test(expr, left, &Test::Compare(op, &literal)),
            (Some(literal), None) => self.test(expr, right, &Test::Compare(mirrored()?, &literal)),
            (None, None) => {
                let (left, right) = (self.operand(left)?, self.operand(right)?);
                let (Operand::Typed(left), Operand::Typed(right)) = (left, right) else {
                    return Err(unknown(expr));
                };
                let (left, right) = self.converted(expr, left, right)?;
                let tested = format!("{} {} {}", left.sql, symbol(expr, op)?, right.sql);
                Ok(left.beside(&right).term(&tested))
            }
        }
    }

    fn compare_constants(
        &self,
        expr: &Expr,
        op: BinaryOp,
        left: &Literal,
        right: &Literal,
    ) -> Result<String, BackendError> {
        let sql = |ty, literal| self.constant(expr, ty, literal);
        let ty = match (left, right) {
            // Numbers compare by their values here, as in JSON.
            (Literal::Int(_) | Literal::Float(_), Literal::Int(_) | Literal::Float(_)) => {
                let (kind, ty) = match left {
                    Literal::Int(_) => (JsonKind::Int, SqlType::Wide),
                    _ => (JsonKind::Double, SqlType::Double),
                };
                let within = self.within(&sql(ty, left)?, op, kind, right);
                return within.ok_or_else(|| unknown(expr));
            }
            (Literal::Bool(_), _) => SqlType::Bool,
            (Literal::Text(_), _) => SqlType::Text,
            (Literal::Timestamp(_), _) => SqlType::Int,
            _ => return Err(unknown(expr)),
        };
        Ok(format!("{} {} {}", sql(ty, left)?, symbol(expr, op)?, sql(ty, right)?))
    }

    fn range(
        &self,
        expr: &Expr,
        path: &FieldPath,
        low: &Bound,
        high: &Bound,
    ) -> Result<String, BackendError> {
        let operand = Expr::Field(path.clone());
        let above = if low.inclusive { BinaryOp::Ge } else { BinaryOp::Gt };
        let below = if high.inclusive { BinaryOp::Le } else { BinaryOp::Lt };
        let above = self.test(expr, &operand, &Test::Compare(above, &low.value))?;
        let below = self.test(expr, &operand, &Test::Compare(below, &high.value))?;
        Ok(format!("({above} AND {below})"))
    }

    /// `expr` is the whole term, for the error if there is no such test.
    fn test(&self, expr: &Expr, operand: &Expr, test: &Test<'_>) -> Result<String, BackendError> {
        if let Test::In([]) = test {
            // Also for null; not every database agrees.
            return Ok(self.bool(false));
        }
        let operand = match self.operand(operand)? {
            Operand::Typed(operand) => operand,
            Operand::Json(place, nulls) => return Ok(self.test_json(&place, &nulls, test)),
            Operand::JsonArithmetic(operand) => return self.test_json_arithmetic(&operand, test),
        };
        let sql = &operand.sql;
        let tested = match test {
            Test::Compare(op, literal) => {
                let constant = self.constant(expr, operand.ty, literal)?;
                format!("{sql} {} {constant}", symbol(expr, *op)?)
            }
            Test::In(list) => {
                let constants = list.iter().map(|literal| in_type(expr, operand.ty, literal));
                self.dialect.is_one_of(sql, &constants.collect::<Result<Vec<_>, _>>()?)
            }
            Test::Like(pattern) => self.dialect.like(sql, pattern),
        };
        Ok(operand.term(&tested))
    }

    /// `a == [1, 2]`. On JSON, what is no array neither equals one nor differs from it.
    fn equals_array(
        &self,
        expr: &Expr,
        op: BinaryOp,
        operand: &Expr,
        items: &[Literal],
    ) -> Result<String, BackendError> {
        let Expr::Field(path) = operand else { return Err(unknown(expr)) };
        let negated = |equal: String| match op {
            BinaryOp::Ne => format!("NOT ({equal})"),
            _ => equal,
        };
        match resolve(self.schema, path)? {
            Place::Array(field, scalar) => {
                let (list, ty) = self.list(&field.name, scalar);
                let constants = items.iter().map(|item| self.constant(expr, ty, item));
                let constants = constants.collect::<Result<Vec<_>, _>>()?;
                Ok(negated(self.dialect.list_equals(&list, &constants)))
            }
            Place::Json(field, steps) => {
                let (place, nulls) = self.json(field, steps);
                let is_array = self.dialect.json_is_array(&place);
                let equal = negated(self.json_items_equal(&place, items));
                Ok(self.case(&nulls, &[(is_array, equal)], false))
            }
            _ => Err(unknown(expr)),
        }
    }

    fn contains(
        &self,
        expr: &Expr,
        quantifier: Quantifier,
        path: &FieldPath,
        argument: &Literal,
    ) -> Result<String, BackendError> {
        let wanted = match quantifier {
            Quantifier::One => std::slice::from_ref(argument),
            Quantifier::All | Quantifier::Any => argument.items(),
        };
        let word = if quantifier == Quantifier::Any { " OR " } else { " AND " };
        let known = |known: Option<String>, found: String| match known {
            Some(known) => format!("CASE WHEN {known} THEN {found} END"),
            None => found,
        };
        match resolve(self.schema, path)? {
            Place::Array(field, _) if wanted.is_empty() => {
                let column = self.column(&field.name);
                let is_known = field.nullable.then(|| self.dialect.list_is_null(&column, true));
                Ok(known(is_known, self.bool(quantifier == Quantifier::All)))
            }
            Place::Array(field, scalar) => {
                let (list, ty) = self.list(&field.name, scalar);
                let mut found = Vec::new();
                for literal in wanted {
                    let constant = self.constant(expr, ty, literal)?;
                    found.push(self.dialect.contains(&list, &constant));
                }
                Ok(match found.as_slice() {
                    [single] => single.clone(),
                    found => format!("({})", found.join(word)),
                })
            }
            Place::Json(field, steps) => {
                let (place, nulls) = self.json(field, steps);
                let any_in = |items: &[Literal]| {
                    let equal = |item: &JsonPlace| self.json_is_one_of(item, items);
                    self.dialect.json_any(&place, &equal)
                };
                let each: Vec<String> = match quantifier {
                    Quantifier::Any if wanted.is_empty() => vec![self.bool(false)],
                    Quantifier::Any => vec![any_in(wanted)],
                    // What is no array does not even have all of nothing.
                    _ if wanted.is_empty() => vec![self.dialect.json_is_array(&place)],
                    _ => wanted.iter().map(|item| any_in(std::slice::from_ref(item))).collect(),
                };
                let found = match each.as_slice() {
                    [single] => single.clone(),
                    each => format!("({})", each.join(word)),
                };
                Ok(known(nulls.map(|column| format!("{column} IS NOT NULL")), found))
            }
            _ => Err(unknown(expr)),
        }
    }

    /// An ARRAY column, and the type in which its elements compare: those of FLOAT arrays as
    /// doubles, unlike FLOAT columns.
    fn list(&self, name: &str, scalar: crate::schema::Scalar) -> (String, SqlType) {
        let list = self.column(name);
        match column_type(scalar) {
            SqlType::Float => (self.dialect.cast_list(&list, SqlType::Double), SqlType::Double),
            ty => (list, ty),
        }
    }

    fn constant(
        &self,
        expr: &Expr,
        ty: SqlType,
        literal: &Literal,
    ) -> Result<String, BackendError> {
        Ok(self.dialect.constant(in_type(expr, ty, literal)?))
    }
}

/// A literal as a constant of a type.
fn in_type<'l>(
    expr: &Expr,
    ty: SqlType,
    literal: &'l Literal,
) -> Result<Constant<'l>, BackendError> {
    Ok(match (ty, literal) {
        (SqlType::Bool, Literal::Bool(b)) => Constant::Bool(*b),
        (SqlType::Int, Literal::Int(i) | Literal::Timestamp(i)) => Constant::Int(*i),
        (SqlType::Wide, Literal::Int(i) | Literal::Timestamp(i)) => Constant::Wide(i128::from(*i)),
        (SqlType::Float, Literal::Int(i)) => Constant::Float(*i as f32),
        (SqlType::Float, Literal::Float(x)) => Constant::Float(*x as f32),
        (SqlType::Double, Literal::Int(i)) => Constant::Double(*i as f64),
        (SqlType::Double, Literal::Float(x)) => Constant::Double(*x),
        (SqlType::Text, Literal::Text(s)) => Constant::Text(s),
        _ => return Err(unknown(expr)),
    })
}

fn symbol(expr: &Expr, op: BinaryOp) -> Result<&'static str, BackendError> {
    match op {
        BinaryOp::Eq => Ok("="),
        BinaryOp::Ne => Ok("<>"),
        op if op.is_comparison() => Ok(op.symbol()),
        _ => Err(unknown(expr)),
    }
}

fn unknown(expr: &Expr) -> BackendError {
    BackendError::Lowering(expr.to_string())
}
