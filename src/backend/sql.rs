//! Lowering of filters to SQL boolean expressions.
//!
//! SQL's own logic is Kleene's, as is the filter language's: a null column makes its term unknown
//! by itself. What has to be written out is everything that is *not* null in SQL's sense: terms on
//! JSON, where a missing key is a mismatch and not an unknown; array elements out of range; and
//! numbers, whose conversions differ between databases and are therefore all explicit.

use crate::backend::BackendError;
use crate::filter::check::{Place, resolve};
use crate::filter::operator::Quantifier;
use crate::filter::{BinaryOp, Expr, FieldPath, Function, Literal, Step, check};
use crate::schema::{Field, Scalar, Schema};
use crate::value::META;

/// A type that values in expressions have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlType {
    /// A boolean.
    Bool,
    /// An integer column of any width, within 64 bits.
    Int,
    /// A 128-bit integer: arithmetic on 64 bits cannot overflow it.
    Wide,
    /// 32 bits; arithmetic stays in 32 bits.
    Float,
    /// 64 bits.
    Double,
    /// A string in binary order.
    Text,
}

/// A constant of one [`SqlType`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Constant<'a> {
    /// [`SqlType::Bool`].
    Bool(bool),
    /// [`SqlType::Int`].
    Int(i64),
    /// [`SqlType::Wide`].
    Wide(i128),
    /// [`SqlType::Float`]; infinite where a literal is beyond the type.
    Float(f32),
    /// [`SqlType::Double`].
    Double(f64),
    /// [`SqlType::Text`].
    Text(&'a str),
}

/// What a place in JSON may hold that compares with a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonKind {
    /// A number written without point and exponent, from -2^63 to 2^64 - 1.
    Int,
    /// Every other number.
    Double,
    /// A string.
    Text,
    /// `true` or `false`.
    Bool,
}

impl JsonKind {
    /// Every kind.
    pub const ALL: [JsonKind; 4] =
        [JsonKind::Int, JsonKind::Double, JsonKind::Text, JsonKind::Bool];
}

/// A place in a JSON document.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPlace {
    /// The document, as an SQL expression.
    pub document: String,
    /// The way from its root; empty for the document itself.
    pub steps: Vec<Step>,
}

/// How a database spells what SQL leaves open. Every method returns an SQL expression.
pub trait SqlDialect {
    /// A field's column, or that of [`META`].
    fn column(&self, schema: &Schema, name: &str) -> String;

    /// A constant, exact to the bit and with its type.
    fn constant(&self, constant: Constant<'_>) -> String;

    /// A number converted to another type: to the nearest value, ties to even.
    fn cast(&self, sql: &str, to: SqlType) -> String;

    /// `left op right`, both and the result of type `ty`: division of integers truncates, and the
    /// remainder has the dividend's sign.
    fn arithmetic(&self, op: BinaryOp, ty: SqlType, left: &str, right: &str) -> String;

    /// Whether a string matches a pattern whose escape character is `\`.
    fn like(&self, text: &str, pattern: &str) -> String;

    /// The length of a list; null if it is null.
    fn length(&self, list: &str) -> String;

    /// An element, counted from 0. Anything that is not an error if the list is shorter.
    fn element(&self, list: &str, index: u32) -> String;

    /// Whether a list has an element equal to a constant, both taken as `ty`; null if the list is.
    fn contains(&self, list: &str, ty: SqlType, constant: &str) -> String;

    /// Whether the place holds that kind. Whatever is not true (null included) means no.
    fn json_is(&self, place: &JsonPlace, kind: JsonKind) -> String;

    /// The value at a place that is known to hold that kind, integers as [`SqlType::Wide`]. It must
    /// not fail on other places: databases evaluate it there too.
    fn json_value(&self, place: &JsonPlace, kind: JsonKind) -> String;

    /// Whether the place holds something: not a JSON null, `{}` or `[]`. Never null.
    fn json_exists(&self, place: &JsonPlace) -> String;

    /// Whether the place holds an array with an element that satisfies `predicate`. Never null.
    fn json_any(&self, place: &JsonPlace, predicate: &dyn Fn(&JsonPlace) -> String) -> String;
}

/// Writes a filter as an SQL condition: true, false and null where the filter is true, false and
/// unknown.
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
    Lowering { dialect, schema }.condition(filter)
}

struct Lowering<'a> {
    dialect: &'a dyn SqlDialect,
    schema: &'a Schema,
}

/// The left side of a test.
enum Operand {
    /// A value whose type the schema tells.
    Typed {
        sql: String,
        ty: SqlType,
        /// False where the value does not exist, null where it is unknown whether it does.
        guard: Option<String>,
    },
    /// A value whose type each row tells.
    Json(JsonPlace, Nulls),
}

/// Where a term on JSON is unknown: when this column is null, or never.
type Nulls = Option<String>;

/// What is asked of an operand.
enum Test<'a> {
    Compare(BinaryOp, &'a Literal),
    In(&'a [Literal]),
    Like(&'a str),
}

impl Lowering<'_> {
    fn condition(&self, expr: &Expr) -> Result<String, BackendError> {
        match expr {
            Expr::Not(inner) => Ok(format!("NOT ({})", self.condition(inner)?)),
            Expr::Binary { op: op @ (BinaryOp::And | BinaryOp::Or), left, right } => {
                let word = if *op == BinaryOp::And { "AND" } else { "OR" };
                Ok(format!("({} {word} {})", self.condition(left)?, self.condition(right)?))
            }
            Expr::Binary { op, left, right } => match (&**left, &**right) {
                (operand, Expr::Literal(literal)) => {
                    self.test(expr, operand, &Test::Compare(*op, literal))
                }
                (Expr::Literal(literal), operand) => {
                    self.test(expr, operand, &Test::Compare(turned(*op), literal))
                }
                (left, right) => self.compare_columns(expr, *op, left, right),
            },
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
                Place::Column(field, _)
                | Place::Array(field, _)
                | Place::Element(field, ..)
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
                let [argument] = arguments.as_slice() else { return Err(unknown(expr)) };
                self.contains(expr, *function, operand, argument)
            }
            Expr::Literal(_)
            | Expr::Field(_)
            | Expr::Unary { .. }
            | Expr::Range { .. }
            | Expr::Elements { .. } => Err(unknown(expr)),
        }
    }

    fn column(&self, name: &str) -> String {
        self.dialect.column(self.schema, name)
    }

    fn json(&self, field: Option<&Field>, steps: Vec<Step>) -> (JsonPlace, Nulls) {
        // The dynamic field itself is never null, nor is a required column.
        let document = self.column(field.map_or(META, |field| &field.name));
        let nulls = field.filter(|field| field.nullable).map(|_| document.clone());
        (JsonPlace { document, steps }, nulls)
    }

    fn operand(&self, expr: &Expr) -> Result<Operand, BackendError> {
        match expr {
            Expr::Field(path) => match resolve(self.schema, path)? {
                Place::Column(field, scalar) => Ok(Operand::Typed {
                    sql: self.column(&field.name),
                    ty: column_type(scalar),
                    guard: None,
                }),
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
                    let guard = Some(format!("{} > {index}", self.dialect.length(&list)));
                    Ok(Operand::Typed { sql, ty, guard })
                }
                Place::Json(field, steps) => {
                    let (place, nulls) = self.json(field, steps);
                    Ok(Operand::Json(place, nulls))
                }
                Place::Array(..) | Place::JsonColumn(_) => Err(unknown(expr)),
            },
            Expr::Call { function: Function::ArrayLength, operand, .. } => {
                let sql = self.dialect.length(&self.column(&operand.root));
                Ok(Operand::Typed { sql, ty: SqlType::Int, guard: None })
            }
            Expr::Binary { op, left, right } => {
                // The checker lets a constant come first only where the operator commutes.
                let ((operand, Expr::Literal(literal)) | (Expr::Literal(literal), operand)) =
                    (&**left, &**right)
                else {
                    return Err(unknown(expr));
                };
                let Operand::Typed { sql, ty, guard } = self.operand(operand)? else {
                    return Err(unknown(expr));
                };
                let (sql, ty) = match ty {
                    SqlType::Int => (self.dialect.cast(&sql, SqlType::Wide), SqlType::Wide),
                    ty => (sql, ty),
                };
                let constant = self.constant(expr, ty, literal)?;
                let sql = self.dialect.arithmetic(*op, ty, &sql, &constant);
                Ok(Operand::Typed { sql, ty, guard })
            }
            _ => Err(unknown(expr)),
        }
    }

    fn constant(
        &self,
        expr: &Expr,
        ty: SqlType,
        literal: &Literal,
    ) -> Result<String, BackendError> {
        let constant = match (ty, literal) {
            (SqlType::Bool, Literal::Bool(b)) => Constant::Bool(*b),
            (SqlType::Int, Literal::Int(i)) => Constant::Int(*i),
            (SqlType::Wide, Literal::Int(i)) => Constant::Wide(i128::from(*i)),
            (SqlType::Float, Literal::Int(i)) => Constant::Float(*i as f32),
            (SqlType::Float, Literal::Float(x)) => Constant::Float(*x as f32),
            (SqlType::Double, Literal::Int(i)) => Constant::Double(*i as f64),
            (SqlType::Double, Literal::Float(x)) => Constant::Double(*x),
            (SqlType::Text, Literal::Text(s)) => Constant::Text(s),
            _ => return Err(unknown(expr)),
        };
        Ok(self.dialect.constant(constant))
    }

    /// `expr` is the whole term, for the error if there is no such test.
    fn test(&self, expr: &Expr, operand: &Expr, test: &Test<'_>) -> Result<String, BackendError> {
        if let Test::In([]) = test {
            // Also for null; not every database agrees.
            return Ok(self.dialect.constant(Constant::Bool(false)));
        }
        let (sql, ty, guard) = match self.operand(operand)? {
            Operand::Typed { sql, ty, guard } => (sql, ty, guard),
            Operand::Json(place, nulls) => return Ok(self.test_json(&place, &nulls, test)),
        };
        let tested = match test {
            Test::Compare(op, literal) => {
                let constant = self.constant(expr, ty, literal)?;
                format!("{sql} {} {constant}", symbol(expr, *op)?)
            }
            Test::In(list) => {
                let constants = list.iter().map(|literal| self.constant(expr, ty, literal));
                format!("{sql} IN ({})", constants.collect::<Result<Vec<_>, _>>()?.join(", "))
            }
            Test::Like(pattern) => self.dialect.like(&sql, pattern),
        };
        // Beyond the end of an array the conjunction is false whatever the test is, and on a null
        // array both are null.
        Ok(guard.map_or(tested.clone(), |guard| format!("({guard} AND {tested})")))
    }

    fn compare_columns(
        &self,
        expr: &Expr,
        op: BinaryOp,
        left: &Expr,
        right: &Expr,
    ) -> Result<String, BackendError> {
        let (left, right) = (self.operand(left)?, self.operand(right)?);
        let (Operand::Typed { sql: a, ty: a_ty, .. }, Operand::Typed { sql: b, ty: b_ty, .. }) =
            (left, right)
        else {
            return Err(unknown(expr));
        };
        // As in C++, where an integer beside a float becomes a float and not a double.
        let common = match (a_ty, b_ty) {
            (a, b) if a == b => a,
            (SqlType::Int, SqlType::Float) | (SqlType::Float, SqlType::Int) => SqlType::Float,
            (SqlType::Int | SqlType::Float, SqlType::Double)
            | (SqlType::Double, SqlType::Int | SqlType::Float) => SqlType::Double,
            _ => return Err(unknown(expr)),
        };
        let to_common = |sql: String, ty: SqlType| {
            if ty == common { sql } else { self.dialect.cast(&sql, common) }
        };
        Ok(format!("{} {} {}", to_common(a, a_ty), symbol(expr, op)?, to_common(b, b_ty)))
    }

    /// A term on JSON: one branch per kind that the test accepts. All others, missing keys
    /// included, are a mismatch, which satisfies `!=` and nothing else.
    fn test_json(&self, place: &JsonPlace, nulls: &Nulls, test: &Test<'_>) -> String {
        let mut branches = Vec::new();
        for kind in JsonKind::ALL {
            let value = || self.dialect.json_value(place, kind);
            let tested = match test {
                Test::Compare(op, literal) => {
                    Bounds::of(kind, literal).map(|bounds| self.within(&value(), *op, &bounds))
                }
                Test::In(list) => {
                    let exact = list.iter().filter_map(|item| Bounds::of(kind, item)?.exact());
                    let exact: Vec<_> = exact.map(|item| self.dialect.constant(item)).collect();
                    (!exact.is_empty()).then(|| format!("{} IN ({})", value(), exact.join(", ")))
                }
                Test::Like(pattern) => {
                    (kind == JsonKind::Text).then(|| self.dialect.like(&value(), pattern))
                }
            };
            branches.extend(tested.map(|tested| (self.dialect.json_is(place, kind), tested)));
        }
        let mismatch = matches!(test, Test::Compare(BinaryOp::Ne, _));
        self.case(nulls, &branches, mismatch)
    }

    fn case(&self, nulls: &Nulls, branches: &[(String, String)], otherwise: bool) -> String {
        let otherwise = self.dialect.constant(Constant::Bool(otherwise));
        let null = nulls.iter().map(|column| format!(" WHEN {column} IS NULL THEN NULL"));
        let branches = branches.iter().map(|(is, then)| format!(" WHEN {is} THEN {then}"));
        let branches: String = null.chain(branches).collect();
        if branches.is_empty() { otherwise } else { format!("CASE{branches} ELSE {otherwise} END") }
    }

    /// `value op literal` for a literal that lies within `bounds`.
    fn within(&self, value: &str, op: BinaryOp, bounds: &Bounds<'_>) -> String {
        let (symbol, bound) = match (op, bounds.exact()) {
            (BinaryOp::Lt, _) => ("<", bounds.high),
            (BinaryOp::Le, _) => ("<=", bounds.low),
            (BinaryOp::Gt, _) => (">", bounds.low),
            (BinaryOp::Ge, _) => (">=", bounds.high),
            (BinaryOp::Ne, Some(exact)) => ("<>", exact),
            (BinaryOp::Ne, None) => return self.dialect.constant(Constant::Bool(true)),
            (_, Some(exact)) => ("=", exact),
            (_, None) => return self.dialect.constant(Constant::Bool(false)),
        };
        format!("{value} {symbol} {}", self.dialect.constant(bound))
    }

    fn contains(
        &self,
        expr: &Expr,
        function: Function,
        path: &FieldPath,
        argument: &Literal,
    ) -> Result<String, BackendError> {
        let quantifier = function.quantifier().ok_or_else(|| unknown(expr))?;
        let wanted = match argument {
            Literal::List(items) => items.as_slice(),
            single => std::slice::from_ref(single),
        };
        let word = if quantifier == Quantifier::Any { " OR " } else { " AND " };
        match resolve(self.schema, path)? {
            Place::Array(field, scalar) => {
                let list = self.column(&field.name);
                let ty = match column_type(scalar) {
                    SqlType::Float => SqlType::Double,
                    ty => ty,
                };
                let mut found = Vec::new();
                for literal in wanted {
                    let constant = self.constant(expr, ty, literal)?;
                    found.push(self.dialect.contains(&list, ty, &constant));
                }
                Ok(format!("({})", found.join(word)))
            }
            Place::Json(field, steps) => {
                let (place, nulls) = self.json(field, steps);
                let any_in = |items: &[Literal]| {
                    let equal = |item: &JsonPlace| self.test_json(item, &None, &Test::In(items));
                    self.dialect.json_any(&place, &equal)
                };
                let found = if quantifier == Quantifier::Any {
                    any_in(wanted)
                } else {
                    let each = wanted.iter().map(|item| any_in(std::slice::from_ref(item)));
                    format!("({})", each.collect::<Vec<_>>().join(word))
                };
                Ok(match nulls {
                    Some(column) => format!("CASE WHEN {column} IS NOT NULL THEN {found} END"),
                    None => found,
                })
            }
            _ => Err(unknown(expr)),
        }
    }
}

/// A literal among the values of one kind of JSON: the next below it and the next above it, which
/// are the literal itself if the kind can hold it. Comparing with them compares exactly, where
/// converting the literal or the value would round.
struct Bounds<'a> {
    low: Constant<'a>,
    high: Constant<'a>,
}

impl<'a> Bounds<'a> {
    /// `None` if a value of that kind never compares with the literal.
    fn of(kind: JsonKind, literal: &'a Literal) -> Option<Bounds<'a>> {
        let (low, high) = match (kind, literal) {
            (JsonKind::Int, Literal::Int(i)) => {
                (Constant::Wide(i128::from(*i)), Constant::Wide(i128::from(*i)))
            }
            // `as` saturates far beyond the integers that JSON holds.
            (JsonKind::Int, Literal::Float(x)) => {
                (Constant::Wide(x.floor() as i128), Constant::Wide(x.ceil() as i128))
            }
            (JsonKind::Double, Literal::Float(x)) => (Constant::Double(*x), Constant::Double(*x)),
            (JsonKind::Double, Literal::Int(i)) => {
                let nearest = *i as f64;
                let (low, high) = match (nearest as i128).cmp(&i128::from(*i)) {
                    std::cmp::Ordering::Less => (nearest, nearest.next_up()),
                    std::cmp::Ordering::Equal => (nearest, nearest),
                    std::cmp::Ordering::Greater => (nearest.next_down(), nearest),
                };
                (Constant::Double(low), Constant::Double(high))
            }
            (JsonKind::Text, Literal::Text(s)) => (Constant::Text(s), Constant::Text(s)),
            (JsonKind::Bool, Literal::Bool(b)) => (Constant::Bool(*b), Constant::Bool(*b)),
            _ => return None,
        };
        Some(Bounds { low, high })
    }

    fn exact(&self) -> Option<Constant<'a>> {
        (self.low == self.high).then_some(self.low)
    }
}

/// The type that a column's values have in expressions.
fn column_type(scalar: Scalar) -> SqlType {
    match scalar {
        Scalar::Bool => SqlType::Bool,
        Scalar::Int8 | Scalar::Int16 | Scalar::Int32 | Scalar::Int64 => SqlType::Int,
        Scalar::Float => SqlType::Float,
        Scalar::Double => SqlType::Double,
        Scalar::VarChar => SqlType::Text,
    }
}

/// The same comparison with its sides exchanged.
fn turned(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Lt => BinaryOp::Gt,
        BinaryOp::Le => BinaryOp::Ge,
        BinaryOp::Gt => BinaryOp::Lt,
        BinaryOp::Ge => BinaryOp::Le,
        op => op,
    }
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
