//! What a filter means against a schema: where each path leads, and whether the types fit.
//!
//! The rules are those of the documentation's "Filtering Explained" pages and of the server's plan
//! parser: numbers, strings and booleans never mix on declared columns, an integer column takes
//! integer literals only, a filter is a predicate and not a bare column.

use std::cmp::Ordering;
use std::ops::Range;

use serde_json::Number;

use super::ast::{Bound, Expr, FieldPath, Literal, Step};
use super::caret::underline;
use super::elements;
use super::fold::folded;
use super::operator::{BinaryOp, Function, OpClass, Quantifier, UnaryOp};
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{Geometry, META, compare_numbers};

/// A filter that the schema gives no meaning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("type error in `{part}`: {reason}")]
pub struct TypeError {
    part: String,
    reason: String,
}

impl TypeError {
    pub(super) fn new(part: impl ToString, reason: impl Into<String>) -> TypeError {
        TypeError { part: part.to_string(), reason: reason.into() }
    }

    /// The part of the filter that is wrong, as it is printed.
    pub fn part(&self) -> &str {
        &self.part
    }

    /// What is wrong with it.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Where the part stands in a filter's text, in bytes; the whole text if it is not in there.
    pub fn place(&self, text: &str) -> Range<usize> {
        let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let starts = |at: usize| !text[..at].ends_with(word) || !self.part.starts_with(word);
        let ends = |at: usize| !text[at..].starts_with(word) || !self.part.ends_with(word);
        let places = text.match_indices(&self.part).map(|(at, part)| at..at + part.len());
        let mut whole = places.filter(|place| starts(place.start) && ends(place.end));
        whole.next().unwrap_or(0..text.len())
    }

    /// A line of the filter's text, with a caret under the part and the reason.
    pub fn render(&self, text: &str) -> String {
        format!("{} {}", underline(text, self.place(text)), self.reason)
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
    /// A TIMESTAMPTZ column.
    Timestamp(&'a Field),
    /// A GEOMETRY column.
    Geometry(&'a Field),
    /// A whole array of structs.
    Structs(&'a Field),
    /// A place inside a JSON column, or inside the dynamic field (`None`).
    Json(Option<&'a Field>, Vec<Step>),
}

/// Finds where a path leads. A name that no field declares is a key of the dynamic field, if the
/// schema has one: `x` and `$meta["x"]` are the same place.
pub fn resolve<'a>(schema: &'a Schema, path: &FieldPath) -> Result<Place<'a>, TypeError> {
    let Some(field) = schema.field(&path.root) else {
        if path.is_member() {
            return Err(TypeError::new(path, "no member of the structs that are asked"));
        }
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
        (DataType::Timestamptz, []) => Ok(Place::Timestamp(field)),
        (DataType::Geometry, []) => Ok(Place::Geometry(field)),
        (DataType::StructArray, []) => Ok(Place::Structs(field)),
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

/// The kind of an operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Int,
    Real,
    Text,
    Timestamp,
    /// Decided by each row.
    Json,
}

impl Kind {
    fn is_number(self) -> bool {
        matches!(self, Kind::Int | Kind::Real)
    }

    fn of(literal: &Literal) -> Option<Kind> {
        match literal {
            Literal::Bool(_) => Some(Kind::Bool),
            Literal::Int(_) => Some(Kind::Int),
            Literal::Float(_) => Some(Kind::Real),
            Literal::Text(_) => Some(Kind::Text),
            Literal::Timestamp(_) => Some(Kind::Timestamp),
            Literal::List(_) | Literal::Interval(_) | Literal::Template(_) => None,
        }
    }

    /// Whether an operand of this kind compares with a constant: numbers, strings and booleans
    /// never mix on declared columns, and an integer takes integers only.
    fn accepts(self, literal: &Literal) -> bool {
        match Kind::of(literal) {
            Some(Kind::Timestamp) => self == Kind::Timestamp,
            Some(_) if self == Kind::Json => true,
            Some(Kind::Int) => self.is_number(),
            Some(kind) => self == kind,
            None => false,
        }
    }
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

/// What an operand is, for a reader: `integer`, `float`, `string`, …
pub fn type_name(schema: &Schema, operand: &Expr) -> Result<&'static str, TypeError> {
    let kind = match folded(operand)?.as_deref() {
        Some(Literal::List(_)) => return Ok("list"),
        Some(Literal::Interval(_)) => return Ok("interval"),
        Some(literal) => Kind::of(literal),
        None => Some(operand_kind(schema, operand)?),
    };
    Ok(match kind {
        Some(Kind::Bool) => "boolean",
        Some(Kind::Int) => "integer",
        Some(Kind::Real) => "float",
        Some(Kind::Text) => "string",
        Some(Kind::Timestamp) => "time",
        Some(Kind::Json) => "number, if the JSON holds one",
        None => "template",
    })
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
    elements::check_places(expr)?;
    predicate(schema, expr)
}

/// Checks a filter, or a part of one.
pub(super) fn predicate(schema: &Schema, expr: &Expr) -> Result<(), TypeError> {
    let wrong = |reason: String| Err(TypeError::new(expr, reason));
    match expr {
        Expr::Literal(Literal::Bool(_)) => Ok(()),
        Expr::Field(path) => match resolve(schema, path)? {
            Place::Column(_, Scalar::Bool) => Ok(()),
            _ => wrong("a filter must be a predicate".to_owned()),
        },
        Expr::Not(inner) => predicate(schema, inner),
        Expr::Binary { op, left, right } if op.is_logical() => {
            predicate(schema, left)?;
            predicate(schema, right)
        }
        Expr::Binary { op, left, right } if op.is_comparison() => {
            comparison(schema, expr, *op, left, right)
        }
        Expr::Range { operand, low, high, .. } => {
            range(schema, operand, low, high).or_else(|reason| match reason {
                Mismatch::Types(reason) => wrong(reason),
                Mismatch::Part(error) => Err(error),
            })
        }
        Expr::In { operand, list, .. } => {
            let kind = operand_kind(schema, operand)?;
            if kind == Kind::Timestamp {
                return wrong("times are in no list".to_owned());
            }
            if let Some(literal) = list.iter().find(|literal| !kind.accepts(literal)) {
                return wrong(format!("{literal} cannot be in this list"));
            }
            let first = list.first().map(std::mem::discriminant);
            if kind == Kind::Json && list.iter().any(|l| Some(std::mem::discriminant(l)) != first) {
                return wrong("the list mixes types".to_owned());
            }
            Ok(())
        }
        Expr::Like { operand, pattern } => {
            if !matches!(operand_kind(schema, operand)?, Kind::Text | Kind::Json) {
                return wrong("only strings match a pattern".to_owned());
            }
            let backslashes = pattern.chars().rev().take_while(|c| *c == '\\').count();
            if backslashes % 2 == 1 {
                return wrong("the pattern ends in a lone escape".to_owned());
            }
            Ok(())
        }
        Expr::IsNull { operand, .. } => match resolve(schema, operand)? {
            Place::Element(..) => wrong("array elements are never null".to_owned()),
            Place::Structs(_) => wrong("arrays of structs are never null".to_owned()),
            _ => Ok(()),
        },
        Expr::Exists(path) => match resolve(schema, path)? {
            Place::Json(..) => Ok(()),
            _ => wrong("only a place in JSON may be missing".to_owned()),
        },
        Expr::Call { function, operand, arguments } => {
            call(schema, expr, *function, operand, arguments)
        }
        Expr::Elements { elements, field, predicate } => {
            elements::check(schema, expr, *elements, field, predicate)
        }
        Expr::Literal(_) | Expr::Unary { .. } | Expr::Binary { .. } => {
            wrong("a filter must be a predicate".to_owned())
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

fn comparison(
    schema: &Schema,
    expr: &Expr,
    op: BinaryOp,
    left: &Expr,
    right: &Expr,
) -> Result<(), TypeError> {
    let wrong = |reason: String| Err(TypeError::new(expr, reason));
    match (folded(left)?.as_deref(), folded(right)?.as_deref()) {
        (Some(a), Some(b)) => match (Kind::of(a), Kind::of(b)) {
            (Some(a), Some(b)) if a == b || a.is_number() && b.is_number() => Ok(()),
            _ => wrong("the constants have different types".to_owned()),
        },
        (None, Some(Literal::List(items))) | (Some(Literal::List(items)), None) => {
            let operand = if matches!(left, Expr::Literal(_)) { right } else { left };
            whole_array(schema, expr, op, operand, items)
        }
        (None, Some(literal)) => fits(schema, expr, left, literal),
        (Some(literal), None) => fits(schema, expr, right, literal),
        (None, None) => {
            let (a, b) = (operand_kind(schema, left)?, operand_kind(schema, right)?);
            let mut columns = true;
            expr.for_each_path(&mut |path| {
                let place = resolve(schema, path);
                columns &= matches!(place, Ok(Place::Column(..) | Place::Timestamp(_)));
            });
            let bare = matches!((left, right), (Expr::Field(_), Expr::Field(_)));
            if !columns {
                wrong("only scalar columns compare with each other".to_owned())
            } else if a == Kind::Timestamp && !bare {
                // The grammar has a constant beside an interval.
                wrong("a time that is moved compares with a constant alone".to_owned())
            } else if a == b || a.is_number() && b.is_number() {
                Ok(())
            } else {
                wrong("the columns have different types".to_owned())
            }
        }
    }
}

fn fits(schema: &Schema, expr: &Expr, operand: &Expr, literal: &Literal) -> Result<(), TypeError> {
    let kind = operand_kind(schema, operand)?;
    let computed = !matches!(operand, Expr::Field(_));
    let number = matches!(literal, Literal::Int(_) | Literal::Float(_));
    if kind.accepts(literal) && (kind != Kind::Json || !computed || number) {
        Ok(())
    } else {
        Err(TypeError::new(expr, format!("{literal} has another type")))
    }
}

/// `a == [1, 2]`, on ARRAY columns and places in JSON.
fn whole_array(
    schema: &Schema,
    expr: &Expr,
    op: BinaryOp,
    operand: &Expr,
    items: &[Literal],
) -> Result<(), TypeError> {
    let wrong = |reason: &str| Err(TypeError::new(expr, reason));
    if !matches!(op, BinaryOp::Eq | BinaryOp::Ne) {
        return wrong("arrays have no order");
    }
    let Expr::Field(path) = operand else {
        return wrong("only a column or a place in JSON equals an array");
    };
    let kind = match resolve(schema, path)? {
        Place::Array(_, element) => Kind::from(element),
        Place::Json(..) => Kind::Json,
        _ => return wrong("only a column or a place in JSON equals an array"),
    };
    match items.iter().all(|item| kind.accepts(item)) {
        true => Ok(()),
        false => wrong("an element has another type"),
    }
}

fn range(schema: &Schema, operand: &FieldPath, low: &Bound, high: &Bound) -> Result<(), Mismatch> {
    let types = |reason: &str| Err(Mismatch::Types(reason.to_owned()));
    let kind = operand_kind(schema, &Expr::Field(operand.clone()))?;
    if kind == Kind::Timestamp {
        // `ISO "…"` stands in single comparisons alone.
        return types("a range of times is written as two comparisons");
    }
    if kind == Kind::Bool || !kind.accepts(&low.value) || !kind.accepts(&high.value) {
        return types("a bound has another type");
    }
    let ordering = match (&low.value, &high.value) {
        (Literal::Text(a), Literal::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (a, b) => match (number(a), number(b)) {
            (Some(a), Some(b)) => compare_numbers(&a, &b),
            _ => return types("the bounds have different types"),
        },
    };
    // The server rejects ranges in which nothing can lie.
    match ordering {
        Some(Ordering::Less) => Ok(()),
        Some(Ordering::Equal) if low.inclusive && high.inclusive => Ok(()),
        _ => types("nothing lies within these bounds"),
    }
}

/// The kind of an operand that depends on the row.
fn operand_kind(schema: &Schema, expr: &Expr) -> Result<Kind, TypeError> {
    let wrong = |reason: &str| Err(TypeError::new(expr, reason));
    match expr {
        Expr::Field(path) => match resolve(schema, path)? {
            Place::Column(_, scalar) | Place::Element(_, scalar, _) => Ok(scalar.into()),
            Place::Json(..) => Ok(Kind::Json),
            Place::Timestamp(_) => Ok(Kind::Timestamp),
            Place::Geometry(_) => {
                Err(TypeError::new(path, "a geometry is asked for by the `st_` functions alone"))
            }
            Place::Array(..) | Place::JsonColumn(_) | Place::Structs(_) => {
                Err(TypeError::new(path, "a whole array or document does not compare"))
            }
        },
        Expr::Call { function: Function::ArrayLength, operand, arguments } => {
            match resolve(schema, operand)? {
                Place::Array(..) | Place::Json(..) if arguments.is_empty() => Ok(Kind::Int),
                _ => wrong("array_length takes an ARRAY column or a place in JSON"),
            }
        }
        Expr::Unary { op, operand } => match (operand_kind(schema, operand)?, op) {
            (Kind::Int, _) => Ok(Kind::Int),
            (Kind::Real, UnaryOp::Negate) => Ok(Kind::Real),
            _ => wrong("this type has no such arithmetic"),
        },
        Expr::Binary { op, left, right } if !op.is_comparison() && !op.is_logical() => {
            arithmetic(schema, expr, *op, left, right)
        }
        _ => wrong("not a value that compares"),
    }
}

fn arithmetic(
    schema: &Schema,
    expr: &Expr,
    op: BinaryOp,
    left: &Expr,
    right: &Expr,
) -> Result<Kind, TypeError> {
    let wrong = |reason: &str| Err(TypeError::new(expr, reason));
    let (a, b) = (folded(left)?, folded(right)?);
    let (a, b) = (a.as_deref(), b.as_deref());
    if let Some(Literal::Interval(_)) = b {
        let bare = matches!(left, Expr::Field(_));
        return match (operand_kind(schema, left)?, op) {
            (Kind::Timestamp, BinaryOp::Add | BinaryOp::Sub) if bare => Ok(Kind::Timestamp),
            _ => wrong("an interval is added to a timestamp, or taken from it"),
        };
    }
    let zero = matches!(b, Some(Literal::Int(0))) || b == Some(&Literal::Float(0.0));
    if zero && matches!(op, BinaryOp::Div | BinaryOp::Mod) {
        return wrong("division by zero");
    }
    if op == BinaryOp::Pow {
        return wrong("`**` takes constants only");
    }
    let kind = |constant: Option<&Literal>, operand: &Expr| match constant {
        Some(literal) => Ok(Kind::of(literal)),
        None => operand_kind(schema, operand).map(Some),
    };
    let constants = a.is_some() || b.is_some();
    let (Some(a_kind), Some(b_kind)) = (kind(a, left)?, kind(b, right)?) else {
        return wrong("these types have no such arithmetic");
    };
    match (a_kind, b_kind) {
        (Kind::Int, Kind::Int) => Ok(Kind::Int),
        _ if op.class() == OpClass::Bitwise || op == BinaryOp::Mod && a_kind != Kind::Json => {
            wrong("only integers have this operator")
        }
        // The server refuses a fraction beside an integer column.
        (Kind::Int, Kind::Real) if b.is_some() => wrong("an integer takes integers only"),
        (Kind::Real, Kind::Int) if a.is_some() => wrong("an integer takes integers only"),
        (a, b) if a.is_number() && b.is_number() => Ok(Kind::Real),
        // The server's grammar of plans has one operation on a place in JSON.
        (Kind::Json, _) if !matches!(left, Expr::Field(_)) => wrong("JSON takes one operation"),
        (_, Kind::Json) if !matches!(right, Expr::Field(_)) => wrong("JSON takes one operation"),
        (Kind::Json, Kind::Int) if constants => Ok(Kind::Json),
        (Kind::Json, Kind::Real) if constants && op != BinaryOp::Mod => Ok(Kind::Json),
        (Kind::Int | Kind::Real, Kind::Json)
            if constants && matches!(op, BinaryOp::Add | BinaryOp::Mul) =>
        {
            Ok(Kind::Json)
        }
        _ => wrong("these types have no such arithmetic"),
    }
}

fn call(
    schema: &Schema,
    expr: &Expr,
    function: Function,
    operand: &FieldPath,
    arguments: &[Literal],
) -> Result<(), TypeError> {
    let wrong = |reason: String| Err(TypeError::new(expr, reason));
    let place = resolve(schema, operand)?;
    if function.is_spatial() {
        let Place::Geometry(_) = place else {
            return wrong(format!("{} takes a GEOMETRY column", function.name()));
        };
        let fits = match (function, arguments) {
            (Function::StIsvalid, []) => true,
            (Function::StIsvalid, _) => false,
            (Function::StDwithin, [Literal::Text(_), Literal::Int(0..)]) => true,
            (Function::StDwithin, [Literal::Text(_), Literal::Float(x)]) => *x >= 0.0,
            (Function::StDwithin, _) => false,
            (_, [Literal::Text(_)]) => true,
            _ => false,
        };
        return match (fits, arguments) {
            (false, _) => wrong(format!("not the operands of {}", function.name())),
            (true, [Literal::Text(text), ..]) if Geometry::parse(text).is_none() => {
                wrong(format!("{} is no point or polygon in well-known text", arguments[0]))
            }
            (true, _) => Ok(()),
        };
    }
    let Some(quantifier) = function.quantifier() else {
        return match (function, arguments, place) {
            (Function::ArrayLength, ..) => wrong("a filter must be a predicate".to_owned()),
            (Function::TextMatch, [Literal::Text(_)], Place::Column(_, Scalar::VarChar))
            | (Function::PhraseMatch, [Literal::Text(_)], Place::Column(_, Scalar::VarChar)) => {
                Ok(())
            }
            (
                Function::TextMatch | Function::PhraseMatch,
                [Literal::Text(_), Literal::Int(0..=1000)],
                Place::Column(_, Scalar::VarChar),
            ) => Ok(()),
            _ => wrong(format!("not the operands of {}", function.name())),
        };
    };
    let on_json = matches!(
        function,
        Function::JsonContains | Function::JsonContainsAll | Function::JsonContainsAny
    );
    let kind = match place {
        Place::Array(_, element) if !on_json => element.into(),
        Place::Json(..) if on_json => Kind::Json,
        _ => return wrong(format!("not an operand of {}", function.name())),
    };
    let items = match (arguments, quantifier) {
        ([item], Quantifier::One) => std::slice::from_ref(item),
        ([Literal::List(items)], Quantifier::All | Quantifier::Any) => items.as_slice(),
        _ => return wrong("a list of values is expected".to_owned()),
    };
    let accepted = |item: &&Literal| match item {
        Literal::List(nested) => on_json && nested.iter().all(|item| kind.accepts(item)),
        item => kind.accepts(item),
    };
    match items.iter().find(|item| !accepted(item)) {
        None => Ok(()),
        Some(item) => wrong(format!("{item} cannot be an element")),
    }
}

/// A literal as a JSON number.
pub(super) fn number(literal: &Literal) -> Option<Number> {
    match literal {
        Literal::Int(i) => Some(Number::from(*i)),
        Literal::Float(x) => Number::from_f64(*x),
        _ => None,
    }
}
