//! The model on many rows at once.
//!
//! The rows become typed columns, and a filter becomes a tree of loops over them: what does not
//! depend on the row (where paths lead, constants, patterns, lists) is found out once. The row
//! evaluator stays the definition: it answers whatever has no loop of its own, and every row on
//! which a loop meets something out of the ordinary.
mod compile;
mod kernel;
mod store;

use std::borrow::Cow;
use std::sync::OnceLock;

use self::kernel::{BLOCK, OPEN, TRUE, and, coded, decoded, next_open, not};
use self::store::{Column, Found};
use super::{Truth, Undefined, evaluate};
use crate::filter::ast::Expr;
use crate::filter::semantics::Semantics;
use crate::schema::Schema;
use crate::value::Row;

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

    /// Of something for each row, in their order, what belongs to the rows that match; or why the
    /// filter is undefined on the first row on which it is.
    pub fn select<T>(&self, items: impl IntoIterator<Item = T>) -> Result<Vec<T>, Undefined> {
        let matching = self.defined()?.zip(items).filter(|(truth, _)| *truth == Truth::True);
        Ok(matching.map(|(_, item)| item).collect())
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
}
