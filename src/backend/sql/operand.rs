//! What filters test: columns, elements, places in JSON, and arithmetic on them.

use super::json::{JsonArithmetic, Nulls};
use super::{JsonPlace, Lowering, SqlType, unknown};
use crate::backend::BackendError;
use crate::filter::check::{Place, resolve};
use crate::filter::fold::constant;
use crate::filter::operator::OpClass;
use crate::filter::{BinaryOp, Expr, FieldPath, Function, Literal, UnaryOp};
use crate::schema::{DataType, Field, Scalar};

/// What is tested.
pub(super) enum Operand {
    /// A value whose type the schema tells.
    Typed(Typed),
    /// A value whose type each row tells.
    Json(JsonPlace, Nulls),
    /// A number computed from one whose type each row tells.
    JsonArithmetic(JsonArithmetic),
}

/// A value of a known type.
#[derive(Clone)]
pub(super) struct Typed {
    pub(super) sql: String,
    pub(super) ty: SqlType,
    /// Conditions without which there is no value: that arrays are long enough.
    exists: Vec<String>,
    /// The columns that it is computed from.
    columns: Vec<Source>,
}

#[derive(Clone, PartialEq)]
struct Source {
    column: String,
    /// That it is not null, if it can be.
    known: Option<String>,
}

impl Typed {
    fn new(sql: String, ty: SqlType, column: String, known: Option<String>) -> Typed {
        Typed { sql, ty, exists: Vec::new(), columns: vec![Source { column, known }] }
    }

    /// The same value after an operation.
    fn map(self, ty: SqlType, operation: impl FnOnce(&str) -> String) -> Typed {
        Typed { sql: operation(&self.sql), ty, ..self }
    }

    /// This value, existing only where the other does too.
    pub(super) fn beside(mut self, other: &Typed) -> Typed {
        for exists in &other.exists {
            if !self.exists.contains(exists) {
                self.exists.push(exists.clone());
            }
        }
        for source in &other.columns {
            if !self.columns.contains(source) {
                self.columns.push(source.clone());
            }
        }
        self
    }

    /// A test of the value as a whole term: null if a column is, false beyond the end of an array.
    pub(super) fn term(&self, tested: &str) -> String {
        if self.exists.is_empty() {
            return tested.to_owned();
        }
        let tested = format!("{} AND {tested}", self.exists.join(" AND "));
        let known: Vec<_> =
            self.columns.iter().filter_map(|source| source.known.as_deref()).collect();
        if self.columns.len() == 1 || known.is_empty() {
            // On a null array both its length and the test are null.
            format!("({tested})")
        } else {
            format!("CASE WHEN {} THEN {tested} END", known.join(" AND "))
        }
    }
}

/// The type that a column's values have in expressions.
pub(super) fn column_type(scalar: Scalar) -> SqlType {
    match scalar {
        Scalar::Bool => SqlType::Bool,
        Scalar::Int8 | Scalar::Int16 | Scalar::Int32 | Scalar::Int64 => SqlType::Int,
        Scalar::Float => SqlType::Float,
        Scalar::Double => SqlType::Double,
        Scalar::VarChar => SqlType::Text,
    }
}

impl Lowering<'_> {
    pub(super) fn operand(&self, expr: &Expr) -> Result<Operand, BackendError> {
        match expr {
            Expr::Field(path) => self.place(expr, path),
            Expr::Call { function: Function::ArrayLength, operand, .. } => {
                match resolve(self.schema, operand)? {
                    Place::Array(field, _) => {
                        let length = self.dialect.length(&self.column(&field.name));
                        Ok(Operand::Typed(self.of(field, length, SqlType::Int)))
                    }
                    Place::Json(field, steps) => {
                        let (place, nulls) = self.json(field, steps);
                        let mut length = self.dialect.json_length(&place);
                        let known = nulls.map(|column| format!("{column} IS NOT NULL"));
                        if let Some(known) = &known {
                            length = format!("CASE WHEN {known} THEN {length} END");
                        }
                        let typed = Typed::new(length, SqlType::Int, place.document, known);
                        Ok(Operand::Typed(typed))
                    }
                    _ => Err(unknown(expr)),
                }
            }
            Expr::Unary { op, operand } => {
                let Operand::Typed(operand) = self.operand(operand)? else {
                    return Err(unknown(expr));
                };
                let operand = match (op, operand.ty) {
                    (UnaryOp::Negate, SqlType::Int | SqlType::Wide) => self.wide(operand),
                    (UnaryOp::BitNot, SqlType::Int | SqlType::Wide) => self.narrow(operand),
                    _ => operand,
                };
                let ty = operand.ty;
                Ok(Operand::Typed(operand.map(ty, |sql| self.dialect.unary(*op, ty, sql))))
            }
            Expr::Binary { op, left, right } if !op.is_comparison() && !op.is_logical() => {
                // A constant comes first only where JSON arithmetic commutes.
                let (left, right) = match (constant(left)?, constant(right)?) {
                    (None, None) => match (self.operand(left)?, self.operand(right)?) {
                        (Operand::Typed(left), Operand::Typed(right)) => (left, right),
                        _ => return Err(unknown(expr)),
                    },
                    (None, Some(Literal::Interval(interval))) => {
                        // What cannot be counted in 64 bits leads beyond all timestamps.
                        let beyond = if interval.months == 0 { Some(1 << 60) } else { None };
                        let Some(micros) = interval.length().or(beyond) else {
                            return Err(self.inexpressible("months beside a timestamp"));
                        };
                        let Operand::Typed(left) = self.operand(left)? else {
                            return Err(unknown(expr));
                        };
                        let right = self.beside_typed(expr, &left, &Literal::Int(micros))?;
                        (left, right)
                    }
                    (None, Some(literal)) => match self.operand(left)? {
                        Operand::Typed(left) => {
                            let right = self.beside_typed(expr, &left, &literal)?;
                            (left, right)
                        }
                        operand => return json_arithmetic(expr, *op, operand, literal),
                    },
                    (Some(literal), None) => match self.operand(right)? {
                        Operand::Typed(right) => {
                            (self.beside_typed(expr, &right, &literal)?, right)
                        }
                        operand => return json_arithmetic(expr, *op, operand, literal),
                    },
                    (Some(_), Some(_)) => return Err(unknown(expr)),
                };
                self.arithmetic(expr, *op, left, right).map(Operand::Typed)
            }
            _ => Err(unknown(expr)),
        }
    }

    pub(super) fn place(&self, expr: &Expr, path: &FieldPath) -> Result<Operand, BackendError> {
        match resolve(self.schema, path)? {
            Place::Column(field, scalar) => {
                let column = self.column(&field.name);
                Ok(Operand::Typed(self.of(field, column, column_type(scalar))))
            }
            Place::Element(field, scalar, index) => {
                let list = self.column(&field.name);
                let element = self.dialect.element(&list, index);
                let (sql, ty) = match column_type(scalar) {
                    // Elements compare as doubles, unlike columns of the same type.
                    SqlType::Float => {
                        (self.dialect.cast(&element, SqlType::Double), SqlType::Double)
                    }
                    ty => (element, ty),
                };
                let exists = vec![format!("{} > {index}", self.dialect.length(&list))];
                Ok(Operand::Typed(Typed { exists, ..self.of(field, sql, ty) }))
            }
            Place::Json(field, steps) => {
                let (place, nulls) = self.json(field, steps);
                Ok(Operand::Json(place, nulls))
            }
            // A number of microseconds, in whatever database.
            Place::Timestamp(field) => {
                let column = self.column(&field.name);
                Ok(Operand::Typed(self.of(field, column, SqlType::Int)))
            }
            Place::Array(..) | Place::JsonColumn(_) | Place::Geometry(_) | Place::Structs(_) => {
                Err(unknown(expr))
            }
        }
    }

    fn of(&self, field: &Field, sql: String, ty: SqlType) -> Typed {
        let column = self.column(&field.name);
        let known = field.nullable.then(|| match field.data_type {
            DataType::Array(_) => self.dialect.list_is_null(&column, true),
            _ => format!("{column} IS NOT NULL"),
        });
        Typed::new(sql, ty, column, known)
    }

    /// A constant as an operand of arithmetic, in the type of the other: it is rounded to 32 bits
    /// beside a FLOAT.
    fn beside_typed(
        &self,
        expr: &Expr,
        other: &Typed,
        literal: &Literal,
    ) -> Result<Typed, BackendError> {
        let ty = other.ty;
        let sql = self.constant(expr, ty, literal)?;
        Ok(Typed { sql, ty, exists: Vec::new(), columns: Vec::new() })
    }

    fn arithmetic(
        &self,
        expr: &Expr,
        op: BinaryOp,
        left: Typed,
        right: Typed,
    ) -> Result<Typed, BackendError> {
        let (left, mut right) = match (left.ty, right.ty) {
            (SqlType::Int | SqlType::Wide, SqlType::Int | SqlType::Wide) => {
                if op.class() == OpClass::Bitwise {
                    (self.narrow(left), self.narrow(right))
                } else {
                    (self.wide(left), self.wide(right))
                }
            }
            _ => self.converted(expr, left, right)?,
        };
        let is_constant = right.columns.is_empty();
        if matches!(op, BinaryOp::Div | BinaryOp::Mod) && !is_constant {
            // Undefined, but no error.
            right.sql = format!("NULLIF({}, 0)", right.sql);
        }
        let ty = left.ty;
        let sql = self.dialect.arithmetic(op, ty, &left.sql, &right.sql);
        Ok(Typed { sql, ..left.beside(&right) })
    }

    /// Both in the type to which C++ converts them: an integer beside a float becomes a float and
    /// not a double.
    pub(super) fn converted(
        &self,
        expr: &Expr,
        left: Typed,
        right: Typed,
    ) -> Result<(Typed, Typed), BackendError> {
        use SqlType::{Double, Float, Int, Wide};
        let common = match (left.ty, right.ty) {
            (a, b) if a == b => a,
            (Int | Wide, Int | Wide) => Wide,
            (Int | Wide, Float) | (Float, Int | Wide) => Float,
            (Int | Wide | Float, Double) | (Double, Int | Wide | Float) => Double,
            _ => return Err(unknown(expr)),
        };
        let converted = |typed: Typed| match (typed.ty, common) {
            (ty, common) if ty == common => typed,
            // From 128 bits databases round twice.
            (Wide, _) => self.narrow(typed).map(common, |sql| self.dialect.cast(sql, common)),
            _ => typed.map(common, |sql| self.dialect.cast(sql, common)),
        };
        Ok((converted(left), converted(right)))
    }

    /// An integer in 64 bits. Beyond them a filter is undefined, and 128 bits would not hold many
    /// more operations.
    fn narrow(&self, typed: Typed) -> Typed {
        match typed.ty {
            SqlType::Wide if !typed.columns.is_empty() => {
                typed.map(SqlType::Int, |sql| self.dialect.narrow(sql))
            }
            _ => Typed { ty: SqlType::Int, ..typed },
        }
    }

    fn wide(&self, typed: Typed) -> Typed {
        let constant = typed.columns.is_empty();
        let typed = self.narrow(typed);
        typed.map(SqlType::Wide, |sql| match constant {
            true => sql.to_owned(),
            false => self.dialect.cast(sql, SqlType::Wide),
        })
    }
}

fn json_arithmetic(
    expr: &Expr,
    op: BinaryOp,
    operand: Operand,
    constant: Literal,
) -> Result<Operand, BackendError> {
    match operand {
        Operand::Json(place, nulls) => {
            Ok(Operand::JsonArithmetic(JsonArithmetic { place, nulls, op, constant }))
        }
        _ => Err(unknown(expr)),
    }
}
