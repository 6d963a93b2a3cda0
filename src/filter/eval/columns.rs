//! The model on many rows at once.
//!
//! The rows become typed columns, and a filter becomes a tree of loops over them: what does not
//! depend on the row (where paths lead, constants, patterns, lists) is found out once. The row
//! evaluator stays the definition: it answers whatever has no loop of its own, and every row on
//! which a loop meets something out of the ordinary.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::OnceLock;

use serde_json::Value as Json;

use super::compare::divides;
use super::operand::{
    Operand, as_f32, as_f64, descend, double_arithmetic, element, float_arithmetic, integers,
    is_hollow,
};
use super::{Evaluator, Truth, Undefined, evaluate};
use crate::filter::ast::{Expr, FieldPath, Interval, Literal, Step};
use crate::filter::check::{Place, resolve};
use crate::filter::fold::folded;
use crate::filter::like::Pattern;
use crate::filter::operator::{BinaryOp, Function, Quantifier, UnaryOp};
use crate::filter::semantics::Semantics;
use crate::filter::time;
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{Row, Value};

/// Rows of one collection, ready to be asked many filters.
///
/// ```
/// use milvus_difftest::filter::{Columns, Semantics, Truth, parse};
/// use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
/// use milvus_difftest::value::Row;
/// let n = Field::new("n", DataType::Scalar(Scalar::Int8)).nullable();
/// let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
/// let schema = Schema { fields: vec![id, n], dynamic: false };
/// let row = |json| Row::from_json(&schema, &json).unwrap();
/// let rows = [serde_json::json!({"id": 1, "n": null}), serde_json::json!({"id": 2, "n": 3})];
/// let rows = rows.map(row);
/// let columns = Columns::new(&schema, &rows);
/// let truths = columns.evaluate(&parse("not (n == 5)").unwrap(), Semantics::canonical());
/// let truths = truths.defined().unwrap();
/// assert_eq!(truths.collect::<Vec<_>>(), [Truth::Unknown, Truth::True]);
/// ```
pub struct Columns<'a> {
    schema: Cow<'a, Schema>,
    rows: Rows<'a>,
    /// In the order of the schema's fields; each is made when it is first asked for.
    columns: Vec<OnceLock<Column>>,
    /// Places in JSON that were asked for.
    places: OnceLock<Box<Found>>,
}

enum Rows<'a> {
    Borrowed(Vec<&'a Row>),
    Owned(Vec<Row>),
}

impl Rows<'_> {
    fn len(&self) -> usize {
        match self {
            Rows::Borrowed(rows) => rows.len(),
            Rows::Owned(rows) => rows.len(),
        }
    }

    fn get(&self, at: usize) -> Option<&Row> {
        match self {
            Rows::Borrowed(rows) => rows.get(at).copied(),
            Rows::Owned(rows) => rows.get(at),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Row> {
        (0..self.len()).filter_map(|at| self.get(at))
    }
}

/// What is in one place of JSON on each row, and the next such place.
struct Found {
    path: FieldPath,
    values: Vec<JsonPlace>,
    next: OnceLock<Box<Found>>,
}

/// `None` if the column is null, and inside of that `None` if there is no such place.
type JsonPlace = Option<Option<Json>>;

/// So many places are kept; who asks for more has rows looked at.
const MOST_PLACES: usize = 256;

/// The truth of a filter on each row.
#[derive(Debug, Clone, PartialEq)]
pub struct Truths {
    /// One of the codes below for each row.
    codes: Vec<u8>,
    /// The rows on which the documentation leaves the answer open, in their order.
    undefined: Vec<(usize, Undefined)>,
}

impl Truths {
    /// The truth on each row, in their order; or why the filter is undefined on the first row on
    /// which it is.
    pub fn defined(&self) -> Result<impl ExactSizeIterator<Item = Truth> + '_, Undefined> {
        match self.undefined.first() {
            Some((_, why)) => Err(why.clone()),
            None => Ok(self.codes.iter().map(|code| decoded(*code))),
        }
    }

    /// The truth on one row, by its position; `None` if there is no such row.
    pub fn on(&self, row: usize) -> Option<Result<Truth, Undefined>> {
        let code = *self.codes.get(row)?;
        let found = self.undefined.binary_search_by_key(&row, |(row, _)| *row).ok();
        match found.and_then(|at| self.undefined.get(at)) {
            Some((_, why)) => Some(Err(why.clone())),
            None => Some(Ok(decoded(code))),
        }
    }

    /// The opposite on each row.
    pub(crate) fn not(mut self) -> Truths {
        for code in &mut self.codes {
            *code = not(*code);
        }
        self
    }

    /// Both on each row; where one is undefined, so is the other.
    pub(crate) fn and(&self, other: &Truths) -> Truths {
        self.joined(other, and)
    }

    /// Either on each row; where one is undefined, so is the other.
    pub(crate) fn or(&self, other: &Truths) -> Truths {
        self.joined(other, u8::max)
    }

    fn joined(&self, other: &Truths, join: impl Fn(u8, u8) -> u8) -> Truths {
        let pairs = self.codes.iter().zip(&other.codes);
        let mut undefined: Vec<_> =
            self.undefined.iter().chain(&other.undefined).cloned().collect();
        undefined.sort_by_key(|(row, _)| *row);
        undefined.dedup_by_key(|(row, _)| *row);
        Truths { codes: pairs.map(|(a, b)| join(*a, *b)).collect(), undefined }
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.codes.len()
    }

    /// How many rows match.
    pub fn matching(&self) -> usize {
        self.codes.iter().filter(|code| **code == TRUE).count()
    }
}

// Truths as bytes, so that loops over many are loops over bytes: `and` is the least of two, `or`
// the greatest, but for OPEN, which wins: the row evaluator knows no short cuts either.
const FALSE: u8 = 0;
const UNKNOWN: u8 = 1;
const TRUE: u8 = 2;
/// The row evaluator must be asked.
const OPEN: u8 = 3;

/// A column that holds a value here; a null is `UNKNOWN`, anything else `OPEN`.
const VALID: u8 = 0;

fn coded(truth: Truth) -> u8 {
    match truth {
        Truth::False => FALSE,
        Truth::Unknown => UNKNOWN,
        Truth::True => TRUE,
    }
}

fn decoded(code: u8) -> Truth {
    match code {
        FALSE => Truth::False,
        TRUE => Truth::True,
        _ => Truth::Unknown,
    }
}

fn not(code: u8) -> u8 {
    if code == OPEN { OPEN } else { TRUE - code }
}

fn and(a: u8, b: u8) -> u8 {
    if a.max(b) == OPEN { OPEN } else { a.min(b) }
}

/// The first row from `at` on that loops have left open.
fn next_open(codes: &[u8], at: usize) -> Option<usize> {
    codes.get(at..)?.iter().position(|code| *code == OPEN).map(|offset| at + offset)
}

fn holds(truth: bool) -> u8 {
    if truth { TRUE } else { FALSE }
}

/// So many rows are looked at together: what a tree keeps of them fits the nearest cache.
const BLOCK: usize = 1024;

/// Writes the truth of one predicate on these rows, at most [`BLOCK`].
type Kernel<'c> = Box<dyn Fn(Range<usize>, &mut [u8]) + 'c>;

/// The values of a field. A value that does not fit its field's type is `OPEN`.
enum Column {
    Bool(Typed<bool>),
    Int(Typed<i64>),
    Float(Typed<f32>),
    Double(Typed<f64>),
    Text(Texts),
    Timestamp(Typed<i64>),
    /// `None` where there is no array.
    Array(Vec<Option<Vec<Value>>>),
    /// What is asked on rows alone.
    Other,
}

/// Strings one after the other: those of rows lie far apart.
#[derive(Default)]
struct Texts {
    bytes: String,
    /// Where each string ends.
    ends: Vec<usize>,
    states: Vec<u8>,
}

struct Typed<T> {
    values: Vec<T>,
    /// `VALID`, `UNKNOWN` or `OPEN`.
    states: Vec<u8>,
}

/// Typed values of all rows: a column, or what is computed from some.
enum Source<'c, T> {
    Column(&'c [T], &'c [u8]),
    Computed(Box<dyn Fn(usize) -> (T, u8) + 'c>),
}

/// An operand on all rows.
enum Values<'c> {
    Bool(Source<'c, bool>),
    Int(Source<'c, i64>),
    Float(Source<'c, f32>),
    Double(Source<'c, f64>),
    Text(Source<'c, &'c str>),
    Timestamp(Source<'c, i64>),
    /// Each row decides what it is; `None` is `OPEN`.
    Any(Box<dyn Fn(usize) -> Option<Operand<'c>> + 'c>),
}

impl<'a> Columns<'a> {
    /// Takes rows as they are stored: with the defaults of what was left out.
    pub fn new(schema: &'a Schema, rows: impl IntoIterator<Item = &'a Row>) -> Columns<'a> {
        let rows = Rows::Borrowed(rows.into_iter().collect());
        Columns::with(Cow::Borrowed(schema), rows)
    }

    /// The same, to be kept.
    pub fn owned(schema: Schema, rows: Vec<Row>) -> Columns<'static> {
        Columns::with(Cow::Owned(schema), Rows::Owned(rows))
    }

    fn with(schema: Cow<'a, Schema>, rows: Rows<'a>) -> Columns<'a> {
        let columns = schema.fields.iter().map(|_| OnceLock::new()).collect();
        Columns { schema, rows, columns, places: OnceLock::new() }
    }

    /// The schema of the rows.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Evaluates a filter on every row, as [`evaluate`] does on one.
    pub fn evaluate(&self, expr: &Expr, semantics: Semantics) -> Truths {
        let mut codes = self.codes(expr, semantics);
        let mut undefined = Vec::new();
        let mut at = 0;
        while let Some(row) = next_open(&codes, at) {
            match self.on_row(row, expr, semantics) {
                Ok(truth) => codes[row] = coded(truth),
                Err(why) => undefined.push((row, why)),
            }
            at = row + 1;
        }
        Truths { codes, undefined }
    }

    /// The same by the canon; `None` if the filter is undefined on some row, whatever it is on the
    /// rows after that.
    pub(crate) fn defined(&self, expr: &Expr) -> Option<Truths> {
        let semantics = Semantics::canonical();
        let mut codes = self.codes(expr, semantics);
        let mut at = 0;
        while let Some(row) = next_open(&codes, at) {
            codes[row] = coded(self.on_row(row, expr, semantics).ok()?);
            at = row + 1;
        }
        Some(Truths { codes, undefined: Vec::new() })
    }

    /// What loops find out; `OPEN` where they leave it to the row evaluator.
    fn codes(&self, expr: &Expr, semantics: Semantics) -> Vec<u8> {
        let mut codes = vec![OPEN; self.rows.len()];
        // What an engine takes otherwise is asked seldom, and of few rows.
        if semantics == Semantics::canonical() && !codes.is_empty() {
            let kernel = self.kernel(expr);
            for (i, block) in codes.chunks_mut(BLOCK).enumerate() {
                let start = i * BLOCK;
                kernel(start..start + block.len(), block);
            }
        }
        codes
    }

    fn on_row(&self, row: usize, expr: &Expr, semantics: Semantics) -> Result<Truth, Undefined> {
        let nothing = Row::default();
        evaluate(expr, &self.schema, self.rows.get(row).unwrap_or(&nothing), semantics)
    }

    fn column(&self, field: &Field) -> Option<&Column> {
        let at = self.schema.fields.iter().position(|other| std::ptr::eq(other, field))?;
        Some(self.columns.get(at)?.get_or_init(|| self.make(field)))
    }

    fn make(&self, field: &Field) -> Column {
        let values = || self.rows.iter().map(|row| row.get(&field.name));
        match field.data_type {
            DataType::Scalar(Scalar::Bool) => Column::Bool(typed(values(), |value| match value {
                Value::Bool(b) => Some(*b),
                _ => None,
            })),
            DataType::Scalar(Scalar::Float) => {
                Column::Float(typed(values(), |value| match value {
                    Value::Float(x) if !x.is_nan() => Some(*x),
                    _ => None,
                }))
            }
            DataType::Scalar(Scalar::Double) => {
                Column::Double(typed(values(), |value| match value {
                    Value::Double(x) if !x.is_nan() => Some(*x),
                    _ => None,
                }))
            }
            DataType::Scalar(Scalar::VarChar) => Column::Text(values().collect()),
            DataType::Scalar(_) => Column::Int(typed(values(), |value| match value {
                Value::Int(i) => Some(*i),
                _ => None,
            })),
            DataType::Timestamptz => Column::Timestamp(typed(values(), |value| match value {
                Value::Timestamp(micros) => Some(*micros),
                _ => None,
            })),
            DataType::Array(_) => Column::Array(
                values()
                    .map(|value| match value {
                        Value::Array(items) => Some(items.clone()),
                        _ => None,
                    })
                    .collect(),
            ),
            _ => Column::Other,
        }
    }

    /// The loop for a predicate, or, if it has none, the row evaluator on each row.
    fn kernel<'c>(&'c self, expr: &'c Expr) -> Kernel<'c> {
        self.fast(expr).unwrap_or_else(|| {
            Box::new(move |range, out| {
                for (out, row) in out.iter_mut().zip(range) {
                    let truth = self.rows.get(row).map(|row| self.evaluator(row).truth(expr));
                    *out = truth.and_then(Result::ok).map_or(OPEN, coded);
                }
            })
        })
    }

    fn evaluator<'c>(&'c self, row: &'c Row) -> Evaluator<'c> {
        Evaluator { schema: &self.schema, row, semantics: Semantics::canonical() }
    }

    /// The loop for a predicate, if it has one.
    fn fast<'c>(&'c self, expr: &'c Expr) -> Option<Kernel<'c>> {
        match expr {
            Expr::Literal(Literal::Bool(b)) => Some(constantly(holds(*b))),
            Expr::Field(path) => match self.place(path)? {
                Values::Bool(source) => Some(each(source, holds)),
                _ => None,
            },
            Expr::Not(inner) => {
                let inner = self.kernel(inner);
                Some(Box::new(move |range, out| {
                    inner(range, out);
                    for code in out {
                        *code = not(*code);
                    }
                }))
            }
            Expr::Binary { op: BinaryOp::And, left, right } => {
                Some(joined(self.kernel(left), self.kernel(right), and))
            }
            Expr::Binary { op: BinaryOp::Or, left, right } => {
                Some(joined(self.kernel(left), self.kernel(right), u8::max))
            }
            Expr::Binary { op, left, right } if op.is_comparison() => {
                match (folded(left).ok()?, folded(right).ok()?) {
                    (Some(_), Some(_)) => {
                        let truth = self.evaluator(self.rows.get(0)?).truth(expr).ok()?;
                        Some(constantly(coded(truth)))
                    }
                    (None, Some(literal)) => self.compared(*op, left, literal),
                    (Some(literal), None) => self.compared(op.mirrored()?, right, literal),
                    (None, None) => ordered(*op, self.values(left)?, self.values(right)?),
                }
            }
            Expr::Range { operand, low, high, .. } => {
                let above = if low.inclusive { BinaryOp::Ge } else { BinaryOp::Gt };
                let below = if high.inclusive { BinaryOp::Le } else { BinaryOp::Lt };
                let above =
                    self.test(above, self.place(operand)?, Cow::Borrowed(&low.value), false)?;
                let below =
                    self.test(below, self.place(operand)?, Cow::Borrowed(&high.value), false)?;
                Some(joined(above, below, and))
            }
            Expr::In { operand, list, negated } => self.is_in(operand, list, *negated),
            Expr::Like { operand, pattern } => {
                let pattern = Pattern::new(pattern);
                match self.values(operand)? {
                    Values::Text(source) => {
                        Some(each(source, move |text| holds(pattern.matches(text))))
                    }
                    Values::Any(any) => Some(any_each(any, move |operand| match operand {
                        Operand::Null => UNKNOWN,
                        Operand::Text(text) => holds(pattern.matches(text)),
                        Operand::Json(Some(Json::String(text))) => holds(pattern.matches(text)),
                        _ => FALSE,
                    })),
                    _ => None,
                }
            }
            Expr::IsNull { operand, negated } => self.is_null(operand, *negated),
            Expr::Exists(path) => {
                let Values::Any(any) = self.json(path)? else { return None };
                Some(any_each(any, |operand| existing(&operand)))
            }
            Expr::Call { function, operand, arguments } => {
                self.contains(*function, operand, arguments)
            }
            _ => None,
        }
    }

    /// Where a path leads, on every row.
    fn place<'c>(&'c self, path: &'c FieldPath) -> Option<Values<'c>> {
        match resolve(&self.schema, path).ok()? {
            Place::Column(field, _) | Place::Timestamp(field) => {
                Some(match self.column(field)? {
                    Column::Bool(column) => Values::Bool(column.source()),
                    Column::Int(column) => Values::Int(column.source()),
                    Column::Float(column) => Values::Float(column.source()),
                    Column::Double(column) => Values::Double(column.source()),
                    Column::Text(column) => Values::Text(column.source()),
                    Column::Timestamp(column) => Values::Timestamp(column.source()),
                    _ => return None,
                })
            }
            Place::Element(field, _, index) => {
                let Column::Array(arrays) = self.column(field)? else { return None };
                Some(Values::Any(Box::new(move |row| {
                    Some(match arrays.get(row)? {
                        Some(items) => {
                            items.get(index as usize).map_or(Operand::OutOfRange, element)
                        }
                        None => Operand::Null,
                    })
                })))
            }
            Place::Json(..) => self.json(path),
            _ => None,
        }
    }

    /// A place in JSON, on every row; `None` if the path leads elsewhere.
    fn json<'c>(&'c self, path: &FieldPath) -> Option<Values<'c>> {
        let values = self.found(path)?;
        Some(Values::Any(Box::new(move |row| {
            Some(match values.get(row)? {
                Some(json) => Operand::Json(json.as_ref()),
                None => Operand::Null,
            })
        })))
    }

    fn found(&self, path: &FieldPath) -> Option<&[JsonPlace]> {
        let Place::Json(field, steps) = resolve(&self.schema, path).ok()? else { return None };
        let values = |row: &Row| match (field, steps.split_first()) {
            (Some(field), _) => match row.get(&field.name) {
                Value::Json(json) => Some(descend(json, &steps).cloned()),
                _ => None,
            },
            (None, Some((Step::Key(key), rest))) => {
                Some(row.dynamic.get(key).and_then(|json| descend(json, rest)).cloned())
            }
            (None, _) => Some(None),
        };
        let mut place = &self.places;
        for _ in 0..MOST_PLACES {
            let found = place.get_or_init(|| {
                let values = self.rows.iter().map(values).collect();
                Box::new(Found { path: path.clone(), values, next: OnceLock::new() })
            });
            if found.path == *path {
                return Some(&found.values);
            }
            place = &found.next;
        }
        None
    }

    fn values<'c>(&'c self, expr: &'c Expr) -> Option<Values<'c>> {
        match expr {
            Expr::Field(path) => self.place(path),
            Expr::Call { function: Function::ArrayLength, operand, .. } => {
                match resolve(&self.schema, operand).ok()? {
                    Place::Array(field, _) => {
                        let Column::Array(arrays) = self.column(field)? else { return None };
                        Some(Values::Any(Box::new(move |row| {
                            Some(match arrays.get(row)? {
                                Some(items) => Operand::Int(items.len() as i64),
                                None => Operand::Null,
                            })
                        })))
                    }
                    _ => None,
                }
            }
            Expr::Unary { op, operand } => Some(match (self.values(operand)?, op) {
                (Values::Int(source), UnaryOp::Negate) => {
                    Values::Int(source.map(|i: i64| i.checked_neg()))
                }
                (Values::Int(source), UnaryOp::BitNot) => {
                    Values::Int(source.map(|i: i64| Some(!i)))
                }
                (Values::Float(source), UnaryOp::Negate) => {
                    Values::Float(source.map(|x: f32| Some(-x)))
                }
                (Values::Double(source), UnaryOp::Negate) => {
                    Values::Double(source.map(|x: f64| Some(-x)))
                }
                _ => return None,
            }),
            Expr::Binary { op, left, right } if !op.is_comparison() && !op.is_logical() => {
                match (folded(left).ok()?, folded(right).ok()?) {
                    (None, Some(literal)) => match *literal {
                        Literal::Interval(interval) => self.shifted(left, *op, interval),
                        _ => self.beside(expr, *op, self.values(left)?, literal, false),
                    },
                    (Some(literal), None) => {
                        self.beside(expr, *op, self.values(right)?, literal, true)
                    }
                    (None, None) => arithmetic(*op, self.values(left)?, self.values(right)?),
                    (Some(_), Some(_)) => None,
                }
            }
            _ => None,
        }
    }

    fn shifted<'c>(
        &'c self,
        operand: &'c Expr,
        op: BinaryOp,
        interval: Interval,
    ) -> Option<Values<'c>> {
        let Values::Timestamp(source) = self.values(operand)? else { return None };
        let shift = move |micros| time::shift(micros, interval, op == BinaryOp::Sub).ok();
        Some(Values::Timestamp(source.map(shift)))
    }

    /// Arithmetic with a constant, which comes first if it is `mirrored`.
    fn beside<'c>(
        &'c self,
        expr: &'c Expr,
        op: BinaryOp,
        values: Values<'c>,
        literal: Cow<'c, Literal>,
        mirrored: bool,
    ) -> Option<Values<'c>> {
        fn ordered<T>(a: T, b: T, mirrored: bool) -> (T, T) {
            if mirrored { (b, a) } else { (a, b) }
        }
        let evaluator = self.evaluator(self.rows.get(0)?);
        Some(match (values, &*literal) {
            (Values::Int(source), Literal::Int(i)) => {
                let i = *i;
                Values::Int(source.map(move |value| {
                    let (a, b) = ordered(value, i, mirrored);
                    integers(op, a, b)
                }))
            }
            (Values::Int(source), literal) => {
                let x = as_f64(literal).ok()?;
                Values::Double(source.map(move |value: i64| {
                    let (a, b) = ordered(value as f64, x, mirrored);
                    double_arithmetic(op, a, b).ok()
                }))
            }
            (Values::Float(source), literal) => {
                let x = as_f32(literal).ok()?;
                Values::Float(source.map(move |value| {
                    let (a, b) = ordered(value, x, mirrored);
                    float_arithmetic(op, a, b).ok()
                }))
            }
            (Values::Double(source), literal) => {
                let x = as_f64(literal).ok()?;
                Values::Double(source.map(move |value| {
                    let (a, b) = ordered(value, x, mirrored);
                    double_arithmetic(op, a, b).ok()
                }))
            }
            (Values::Any(any), _) => Values::Any(Box::new(move |row| {
                let operand = any(row)?;
                let constant = evaluator.beside(&operand, &literal).ok()?;
                let (a, b) = ordered(operand, constant, mirrored);
                evaluator.arithmetic(expr, op, a, b).ok()
            })),
            _ => return None,
        })
    }

    /// A comparison with a constant. Where it turns on the last bit of a quotient, the row
    /// evaluator decides.
    fn compared<'c>(
        &'c self,
        op: BinaryOp,
        operand: &'c Expr,
        literal: Cow<'c, Literal>,
    ) -> Option<Kernel<'c>> {
        let computed = !matches!(operand, Expr::Field(_));
        self.test(op, self.values(operand)?, literal, computed && divides(operand))
    }

    fn test<'c>(
        &'c self,
        op: BinaryOp,
        values: Values<'c>,
        literal: Cow<'c, Literal>,
        quotient: bool,
    ) -> Option<Kernel<'c>> {
        match (values, &*literal) {
            (Values::Bool(source), Literal::Bool(b)) => compare(op, source, *b),
            (Values::Int(source), Literal::Int(i)) => compare(op, source, *i),
            (Values::Timestamp(source), Literal::Timestamp(micros)) => compare(op, source, *micros),
            (Values::Text(source), Literal::Text(_)) => Some(each(source, move |value| {
                let Literal::Text(text) = &*literal else { return OPEN };
                holds(op.holds(value.as_bytes().cmp(text.as_bytes())) == Some(true))
            })),
            (Values::Float(source), literal) => {
                let x = as_f32(literal).ok()?;
                if !quotient {
                    return compare(op, source, x);
                }
                let truth = move |value: f32| value.partial_cmp(&x).and_then(|it| op.holds(it));
                Some(each(source, move |value| {
                    steady(truth, [value, value.next_down(), value.next_up()])
                }))
            }
            (Values::Double(source), literal) => {
                let x = as_f64(literal).ok().filter(|x| !x.is_nan())?;
                if !quotient {
                    return compare(op, source, x);
                }
                let truth = move |value: f64| value.partial_cmp(&x).and_then(|it| op.holds(it));
                Some(each(source, move |value| {
                    steady(truth, [value, value.next_down(), value.next_up()])
                }))
            }
            (Values::Any(any), constant) if !matches!(constant, Literal::List(_)) => {
                let evaluator = self.evaluator(self.rows.get(0)?);
                Some(any_each(any, move |operand| {
                    // Whatever a quotient is compared with here, the row evaluator does it.
                    if quotient && matches!(operand, Operand::Float(_) | Operand::Double(_)) {
                        return OPEN;
                    }
                    evaluator.compare(op, &operand, &literal).map_or(OPEN, coded)
                }))
            }
            _ => None,
        }
    }

    fn is_in<'c>(
        &'c self,
        operand: &'c Expr,
        list: &'c [Literal],
        negated: bool,
    ) -> Option<Kernel<'c>> {
        let values = self.values(operand)?;
        if list.is_empty() {
            // Also of nulls. Of what is computed, the value must be defined all the same.
            return match operand {
                Expr::Field(_) => Some(constantly(holds(negated))),
                _ => None,
            };
        }
        let few = self.rows.len() < FEW_ROWS;
        let found = move |found: bool| holds(found != negated);
        match values {
            Values::Bool(source) => {
                let set = Set::of(list, few, bool::cmp, |literal| match literal {
                    Literal::Bool(b) => Some(*b),
                    _ => None,
                })?;
                Some(each(source, move |value| found(set.has(&value))))
            }
            Values::Int(source) => {
                let set = Set::of(list, few, i64::cmp, |literal| match literal {
                    Literal::Int(i) => Some(*i),
                    _ => None,
                })?;
                Some(each(source, move |value| found(set.has(&value))))
            }
            Values::Float(source) => {
                let set = Set::of(list, few, f32::total_cmp, |it| Some(as_f32(it).ok()? + 0.0))?;
                // Zero is there without its sign.
                Some(each(source, move |value| found(set.has(&(value + 0.0)))))
            }
            Values::Double(source) => {
                let number = |it: &Literal| as_f64(it).ok().filter(|x| !x.is_nan());
                let set = Set::of(list, few, f64::total_cmp, |it| Some(number(it)? + 0.0))?;
                Some(each(source, move |value| found(set.has(&(value + 0.0)))))
            }
            Values::Text(source) => {
                let set = Set::of(list, few, <&str>::cmp, |literal| match literal {
                    Literal::Text(text) => Some(text.as_str()),
                    _ => None,
                })?;
                Some(each(source, move |value| found(set.has(&value))))
            }
            Values::Any(any) => {
                let evaluator = self.evaluator(self.rows.get(0)?);
                Some(any_each(any, move |operand| match operand {
                    Operand::Null => UNKNOWN,
                    Operand::OutOfRange | Operand::Json(None) => found(false),
                    Operand::Json(Some(json)) => {
                        found(list.iter().any(|literal| evaluator.json_equals(json, literal)))
                    }
                    operand => {
                        let mut any = false;
                        for literal in list {
                            match evaluator.compare(BinaryOp::Eq, &operand, literal) {
                                Ok(truth) => any |= truth == Truth::True,
                                Err(_) => return OPEN,
                            }
                        }
                        found(any)
                    }
                }))
            }
            Values::Timestamp(_) => None,
        }
    }

    fn is_null<'c>(&'c self, path: &'c FieldPath, negated: bool) -> Option<Kernel<'c>> {
        if let Place::Column(field, _) | Place::Timestamp(field) =
            resolve(&self.schema, path).ok()?
        {
            let states = self.column(field)?.states()?;
            return Some(Box::new(move |range, out| {
                for (out, state) in out.iter_mut().zip(&states[range]) {
                    *out = match *state {
                        VALID => holds(negated),
                        UNKNOWN => holds(!negated),
                        _ => OPEN,
                    };
                }
            }));
        }
        let Values::Any(any) = self.json(path)? else { return None };
        Some(any_each(any, move |operand| match existing(&operand) {
            OPEN => OPEN,
            exists => holds((exists != TRUE) != negated),
        }))
    }

    /// The contains family.
    fn contains<'c>(
        &'c self,
        function: Function,
        path: &'c FieldPath,
        arguments: &'c [Literal],
    ) -> Option<Kernel<'c>> {
        let (Some(quantifier), [argument]) = (function.quantifier(), arguments) else {
            return None;
        };
        let wanted = match quantifier {
            Quantifier::One => std::slice::from_ref(argument),
            _ => argument.items(),
        };
        // Every constant is looked for, found or not: one of them may be undefined.
        let enough = move |found: &mut dyn FnMut(&Literal) -> bool| {
            let (mut any, mut every) = (false, true);
            for literal in wanted {
                let hit = found(literal);
                (any, every) = (any || hit, every && hit);
            }
            holds(if quantifier == Quantifier::Any { any } else { every })
        };
        let evaluator = self.evaluator(self.rows.get(0)?);
        if let Place::Array(field, _) = resolve(&self.schema, path).ok()? {
            let Column::Array(arrays) = self.column(field)? else { return None };
            return Some(Box::new(move |range, out| {
                for (out, items) in out.iter_mut().zip(&arrays[range]) {
                    let Some(items) = items else {
                        *out = UNKNOWN;
                        continue;
                    };
                    let mut open = false;
                    let code = enough(&mut |literal| {
                        let mut hit = false;
                        for item in items {
                            match evaluator.order(&element(item), literal) {
                                Ok(ordering) => hit |= ordering == Some(Ordering::Equal),
                                Err(_) => open = true,
                            }
                        }
                        hit
                    });
                    *out = if open { OPEN } else { code };
                }
            }));
        }
        let Values::Any(any) = self.json(path)? else { return None };
        Some(any_each(any, move |operand| match operand {
            Operand::Null => UNKNOWN,
            Operand::Json(Some(Json::Array(items))) => {
                enough(&mut |literal| items.iter().any(|item| evaluator.json_equals(item, literal)))
            }
            _ => FALSE,
        }))
    }
}

/// Below this many rows, looking through a list costs less than sorting it.
const FEW_ROWS: usize = 64;

/// The constants of a list.
struct Set<T> {
    items: Vec<T>,
    order: fn(&T, &T) -> Ordering,
    sorted: bool,
}

impl<T> Set<T> {
    /// `None` if some constant is of another type.
    fn of<'l>(
        list: &'l [Literal],
        few: bool,
        order: fn(&T, &T) -> Ordering,
        value: impl Fn(&'l Literal) -> Option<T>,
    ) -> Option<Set<T>> {
        let mut items: Vec<T> = list.iter().map(value).collect::<Option<_>>()?;
        let sorted = !few && items.len() > 8;
        if sorted {
            items.sort_unstable_by(order);
        }
        Some(Set { items, order, sorted })
    }

    fn has(&self, value: &T) -> bool
    where
        T: PartialEq,
    {
        match self.sorted {
            true => self.items.binary_search_by(|item| (self.order)(item, value)).is_ok(),
            false => self.items.contains(value),
        }
    }
}

impl<'a> FromIterator<&'a Value> for Texts {
    fn from_iter<I: IntoIterator<Item = &'a Value>>(values: I) -> Texts {
        let mut texts = Texts::default();
        for value in values {
            texts.states.push(match value {
                Value::Text(text) => {
                    texts.bytes.push_str(text);
                    VALID
                }
                Value::Null => UNKNOWN,
                _ => OPEN,
            });
            texts.ends.push(texts.bytes.len());
        }
        texts
    }
}

impl Texts {
    fn source(&self) -> Source<'_, &str> {
        Source::Computed(Box::new(|row| {
            let start = if row > 0 { self.ends.get(row - 1) } else { Some(&0) };
            match (start, self.ends.get(row), self.states.get(row)) {
                (Some(start), Some(end), Some(state)) => (&self.bytes[*start..*end], *state),
                _ => ("", OPEN),
            }
        }))
    }
}

impl Column {
    /// Where there are values; `None` where rows tell.
    fn states(&self) -> Option<&[u8]> {
        match self {
            Column::Bool(Typed { states, .. }) => Some(states),
            Column::Int(Typed { states, .. }) | Column::Timestamp(Typed { states, .. }) => {
                Some(states)
            }
            Column::Float(Typed { states, .. }) => Some(states),
            Column::Double(Typed { states, .. }) => Some(states),
            Column::Text(Texts { states, .. }) => Some(states),
            Column::Array(_) | Column::Other => None,
        }
    }
}

impl<T: Copy> Typed<T> {
    fn source(&self) -> Source<'_, T> {
        Source::Column(&self.values, &self.states)
    }
}

impl<'c, T: Copy + 'c> Source<'c, T> {
    fn get(&self, row: usize) -> Option<(T, u8)> {
        match self {
            Source::Column(values, states) => Some((*values.get(row)?, *states.get(row)?)),
            Source::Computed(compute) => Some(compute(row)),
        }
    }

    /// What a function makes of each value; `None` is `OPEN`.
    fn map<U: Copy + Default + 'c>(self, function: impl Fn(T) -> Option<U> + 'c) -> Source<'c, U> {
        Source::Computed(Box::new(move |row| match self.get(row) {
            Some((value, VALID)) => match function(value) {
                Some(value) => (value, VALID),
                None => (U::default(), OPEN),
            },
            Some((_, state)) => (U::default(), state),
            None => (U::default(), OPEN),
        }))
    }

    /// What a function makes of each pair of values; `None` is `OPEN`, and so is a pair with one.
    fn with<U: Copy + 'c, V: Copy + Default + 'c>(
        self,
        other: Source<'c, U>,
        function: impl Fn(T, U) -> Option<V> + 'c,
    ) -> Source<'c, V> {
        Source::Computed(Box::new(move |row| match (self.get(row), other.get(row)) {
            (Some((a, VALID)), Some((b, VALID))) => match function(a, b) {
                Some(value) => (value, VALID),
                None => (V::default(), OPEN),
            },
            (Some((_, a)), Some((_, b))) => (V::default(), a.max(b)),
            _ => (V::default(), OPEN),
        }))
    }
}

fn typed<'a, T: Copy + Default>(
    values: impl Iterator<Item = &'a Value>,
    fitting: impl Fn(&'a Value) -> Option<T>,
) -> Typed<T> {
    let (values, states) = values
        .map(|value| match (fitting(value), value) {
            (Some(value), _) => (value, VALID),
            (None, Value::Null) => (T::default(), UNKNOWN),
            (None, _) => (T::default(), OPEN),
        })
        .unzip();
    Typed { values, states }
}

fn constantly<'c>(code: u8) -> Kernel<'c> {
    Box::new(move |_, out| out.fill(code))
}

fn joined<'c>(left: Kernel<'c>, right: Kernel<'c>, join: impl Fn(u8, u8) -> u8 + 'c) -> Kernel<'c> {
    Box::new(move |range, out| {
        left(range.clone(), out);
        let mut others = [OPEN; BLOCK];
        let others = &mut others[..out.len()];
        right(range, others);
        for (code, other) in out.iter_mut().zip(others) {
            *code = join(*code, *other);
        }
    })
}

/// One test on each value; a null is unknown.
fn each<'c, T: Copy + 'c>(source: Source<'c, T>, test: impl Fn(T) -> u8 + 'c) -> Kernel<'c> {
    match source {
        Source::Column(values, states) => Box::new(move |range, out| {
            let rows = values[range.clone()].iter().zip(&states[range]);
            for (out, (value, state)) in out.iter_mut().zip(rows) {
                *out = if *state == VALID { test(*value) } else { *state };
            }
        }),
        Source::Computed(compute) => Box::new(move |range, out| {
            for (out, row) in out.iter_mut().zip(range) {
                let (value, state) = compute(row);
                *out = if state == VALID { test(value) } else { state };
            }
        }),
    }
}

fn any_each<'c>(
    any: Box<dyn Fn(usize) -> Option<Operand<'c>> + 'c>,
    test: impl Fn(Operand<'c>) -> u8 + 'c,
) -> Kernel<'c> {
    Box::new(move |range, out| {
        for (out, row) in out.iter_mut().zip(range) {
            *out = any(row).map_or(OPEN, &test);
        }
    })
}

/// A comparison of values that all have an order with one of them.
fn compare<'c, T: PartialOrd + Copy + 'c>(
    op: BinaryOp,
    source: Source<'c, T>,
    constant: T,
) -> Option<Kernel<'c>> {
    Some(match op {
        BinaryOp::Eq => each(source, move |value| holds(value == constant)),
        BinaryOp::Ne => each(source, move |value| holds(value != constant)),
        BinaryOp::Lt => each(source, move |value| holds(value < constant)),
        BinaryOp::Le => each(source, move |value| holds(value <= constant)),
        BinaryOp::Gt => each(source, move |value| holds(value > constant)),
        BinaryOp::Ge => each(source, move |value| holds(value >= constant)),
        _ => return None,
    })
}

/// The truth that a value and its neighbours have in common.
fn steady<T>(truth: impl Fn(T) -> Option<bool>, values: [T; 3]) -> u8 {
    match values.map(truth) {
        [Some(a), Some(b), Some(c)] if a == b && b == c => holds(a),
        _ => OPEN,
    }
}

/// A comparison of two operands that both depend on the row, with the usual arithmetic conversions.
fn ordered<'c>(op: BinaryOp, left: Values<'c>, right: Values<'c>) -> Option<Kernel<'c>> {
    fn by<'c, T: Copy + 'c, U: Copy + 'c>(
        op: BinaryOp,
        left: Source<'c, T>,
        right: Source<'c, U>,
        order: impl Fn(T, U) -> Option<Ordering> + 'c,
    ) -> Kernel<'c> {
        each(left.with(right, move |a, b| op.holds(order(a, b)?)), holds)
    }
    use Values::{Bool, Double, Float, Int, Text, Timestamp};
    Some(match (left, right) {
        (Bool(a), Bool(b)) => by(op, a, b, |a, b| Some(a.cmp(&b))),
        (Text(a), Text(b)) => by(op, a, b, |a, b| Some(a.as_bytes().cmp(b.as_bytes()))),
        (Timestamp(a), Timestamp(b)) | (Int(a), Int(b)) => by(op, a, b, |a, b| Some(a.cmp(&b))),
        (Int(a), Float(b)) => by(op, a, b, |a, b| (a as f32).partial_cmp(&b)),
        (Float(a), Int(b)) => by(op, a, b, |a, b| a.partial_cmp(&(b as f32))),
        (Float(a), Float(b)) => by(op, a, b, |a, b| a.partial_cmp(&b)),
        (Double(a), Double(b)) => by(op, a, b, |a, b| a.partial_cmp(&b)),
        (Int(a), Double(b)) => by(op, a, b, |a, b| (a as f64).partial_cmp(&b)),
        (Double(a), Int(b)) => by(op, a, b, |a, b| a.partial_cmp(&(b as f64))),
        (Float(a), Double(b)) => by(op, a, b, |a, b| f64::from(a).partial_cmp(&b)),
        (Double(a), Float(b)) => by(op, a, b, |a, b| a.partial_cmp(&f64::from(b))),
        _ => return None,
    })
}

/// Arithmetic between operands that both depend on the row.
fn arithmetic<'c>(op: BinaryOp, left: Values<'c>, right: Values<'c>) -> Option<Values<'c>> {
    use Values::{Double, Float, Int};
    let float = move |a, b| float_arithmetic(op, a, b).ok();
    let double = move |a, b| double_arithmetic(op, a, b).ok();
    Some(match (left, right) {
        (Int(a), Int(b)) => Int(a.with(b, move |a, b| integers(op, a, b))),
        (Float(a), Float(b)) => Float(a.with(b, float)),
        (Int(a), Float(b)) => Float(a.with(b, move |a, b| float(a as f32, b))),
        (Float(a), Int(b)) => Float(a.with(b, move |a, b| float(a, b as f32))),
        (Double(a), Double(b)) => Double(a.with(b, double)),
        (Int(a), Double(b)) => Double(a.with(b, move |a, b| double(a as f64, b))),
        (Double(a), Int(b)) => Double(a.with(b, move |a, b| double(a, b as f64))),
        (Float(a), Double(b)) => Double(a.with(b, move |a, b| double(a.into(), b))),
        (Double(a), Float(b)) => Double(a.with(b, move |a, b| double(a, b.into()))),
        _ => return None,
    })
}

/// Whether a place in JSON leads to something.
fn existing(operand: &Operand<'_>) -> u8 {
    match operand {
        Operand::Json(Some(Json::Array(items))) if items.is_empty() => FALSE,
        Operand::Json(Some(Json::Object(members))) if members.is_empty() => FALSE,
        Operand::Json(Some(Json::Null)) => FALSE,
        Operand::Json(Some(json)) if is_hollow(json) => OPEN,
        Operand::Json(Some(_)) => TRUE,
        _ => FALSE,
    }
}
