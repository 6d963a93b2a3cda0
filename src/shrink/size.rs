//! How large a case is. Every reduction makes it strictly smaller.

use std::collections::BTreeMap;

use half::{bf16, f16};
use serde_json::{Number, Value as Json};

use crate::case::{Case, Check, DEFAULT_PARTITION, Maintenance, Operation, Relation, Scope};
use crate::filter::{Elements, Expr, FieldPath, Literal, Spelling, Step};
use crate::schema::{DataType, Field};
use crate::value::{Key, Row, Value};

/// The size of a case, ordered by what a reader minds most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    /// Nodes of all filters.
    pub nodes: usize,
    /// Rows written.
    pub rows: usize,
    /// Fields of the schema, and one more for the dynamic field.
    pub fields: usize,
    /// Operations.
    pub operations: usize,
    /// How complicated the values, literals and types are.
    pub complexity: u64,
}

/// Measures a case.
pub fn size(case: &Case) -> Size {
    let filters: Vec<&Expr> = case.checks.iter().filter_map(|check| check.filter()).collect();
    let declared = case.schema.fields.iter().map(field).sum::<u64>();
    let mut size = Size {
        nodes: filters.iter().map(|filter| filter.nodes()).sum(),
        rows: 0,
        fields: case.schema.fields.len() + usize::from(case.schema.dynamic),
        operations: case.operations.len(),
        complexity: declared
            + filters.into_iter().map(expr).sum::<u64>()
            + case.checks.iter().map(page).sum::<u64>()
            + case.checks.iter().map(scope).sum::<u64>()
            + case.checks.iter().map(spelling).sum::<u64>(),
    };
    let mut begins = true;
    for operation in &case.operations {
        let makes = matches!(operation, Operation::CreatePartition(_));
        begins &= makes;
        // A partition is there from the beginning, where that is enough.
        size.complexity += u64::from(makes && !begins);
        size.complexity += u64::from(operation.partition().is_some());
        match operation.plain() {
            Operation::Insert(rows) | Operation::Upsert(rows) | Operation::Patch(rows) => {
                size.rows += rows.len();
                size.complexity += rows.iter().map(row).sum::<u64>();
                // An insert is plainer.
                size.complexity += u64::from(!matches!(operation.plain(), Operation::Insert(_)));
            }
            Operation::Delete(keys) => size.complexity += keys.iter().map(key).sum::<u64>(),
            Operation::DeleteWhere(filter) => {
                size.nodes += filter.expr.nodes();
                size.complexity += expr(&filter.expr);
            }
            Operation::AddField(_)
            | Operation::CreateAlias(_)
            | Operation::AlterAlias { .. }
            | Operation::DropAlias(_)
            | Operation::CreatePartition(_)
            | Operation::DropPartition(_)
            | Operation::Into { .. }
            | Operation::Recreate => {}
            Operation::Maintain(step) => {
                size.complexity += match step {
                    Maintenance::Kill | Maintenance::Rebuild { .. } => 1,
                    Maintenance::KillInWrite { .. } => 2,
                    _ => 0,
                };
            }
            Operation::Ask(check) => {
                size.nodes += check.filter().map_or(1, Expr::nodes);
                size.complexity += check.filter().map_or(0, expr) + scope(check);
            }
        }
    }
    size
}

/// What a field declares beyond its type.
fn field(field: &Field) -> u64 {
    let flags = [
        field.nullable,
        field.partition_key,
        field.auto_id,
        field.max_length.is_some(),
        field.max_capacity.is_some(),
        field.metric.is_some(),
    ];
    let flags = flags.into_iter().filter(|flag| *flag).count() as u64;
    let vector = field.is_vector() && !matches!(field.data_type, DataType::FloatVector { .. });
    let default = field.default.as_ref().map_or(0, json);
    flags + default + field.members.len() as u64 + u64::from(vector)
}

/// What narrows a question.
fn scope(check: &Check) -> u64 {
    let Scope { partitions, alias } = check.scope();
    let number = match partitions.len() {
        0 => 0,
        number => 1 + number as u64,
    };
    // The rows of a partition that was made for them are plainer than those of all others.
    let default = partitions.iter().any(|name| name == DEFAULT_PARTITION);
    number + u64::from(default) + u64::from(alias.is_some())
}

fn page(check: &Check) -> u64 {
    match check.plain() {
        Check::Page { limit, offset, .. } => u64::from(*limit) + u64::from(*offset),
        Check::Agree { relation: Relation::Paging(size), .. } => u64::from(*size),
        Check::Search { search, .. } => {
            let numbers = search.near.iter().filter(|x| **x != 0.0).count() as u64;
            let bounds = [search.radius, search.range_filter].iter().flatten().count() as u64;
            let groups = u64::from(search.group_by.is_some());
            u64::from(search.limit) + numbers + 2 * (bounds + groups)
        }
        _ => 0,
    }
}

fn spelling(check: &Check) -> u64 {
    check.spelled().map_or(0, |filter| u64::from(filter.spelling != Spelling::default()))
}

fn row(row: &Row) -> u64 {
    let dynamic = row.dynamic.iter().map(|(key, value)| 2 + text(key) + json(value));
    row.fields.values().map(value).sum::<u64>() + dynamic.sum::<u64>()
}

fn key(key: &Key) -> u64 {
    match key {
        Key::Int(i) => int(*i),
        Key::Text(s) => text(s),
    }
}

/// The complexity of a value; the plainest of each type has 1, a null 2.
pub(super) fn value(value: &Value) -> u64 {
    match value {
        Value::Null => 2,
        Value::Bool(b) => 1 + u64::from(*b),
        Value::Int(i) => 1 + int(*i),
        Value::Float(x) => 1 + float(&x.to_string()),
        Value::Double(x) => 1 + float(&x.to_string()),
        Value::Text(s) => 1 + text(s),
        Value::Json(j) => json(j),
        Value::Array(items) => 1 + items.iter().map(|item| 1 + self::value(item)).sum::<u64>(),
        Value::Timestamp(micros) => 1 + int(*micros),
        // A point is plainer than a polygon.
        Value::Geometry(s) => 1 + text(s) - u64::from(s == "POINT (0 0)"),
        Value::Structs(structs) => {
            let size = |members: &BTreeMap<String, Value>| {
                members.values().map(|item| 1 + self::value(item)).sum::<u64>()
            };
            1 + structs.iter().map(|members| 1 + size(members)).sum::<u64>()
        }
        Value::Vector(items) => 1 + others(items, &0.0),
        Value::BinaryVector(bytes) => 1 + others(bytes, &0),
        Value::Float16Vector(items) => 1 + others(items, &f16::ZERO),
        Value::BFloat16Vector(items) => 1 + others(items, &bf16::ZERO),
        Value::Int8Vector(items) => 1 + others(items, &0),
        Value::SparseVector(values) => {
            let entry = |(at, x): (&u32, &f32)| 1 + int(i64::from(*at)) + float(&x.to_string());
            values.iter().map(entry).sum()
        }
    }
}

fn others<T: PartialEq>(items: &[T], zero: &T) -> u64 {
    items.iter().filter(|item| *item != zero).count() as u64
}

/// The complexity of a JSON value.
pub(super) fn json(json: &Json) -> u64 {
    match json {
        Json::Null => 2,
        Json::Bool(b) => 1 + u64::from(*b),
        Json::Number(n) => 1 + number(n),
        Json::String(s) => 1 + text(s),
        Json::Array(items) => 1 + items.iter().map(|item| 1 + self::json(item)).sum::<u64>(),
        Json::Object(members) => {
            let member = |(key, value): (&String, &Json)| 2 + text(key) + self::json(value);
            1 + members.iter().map(member).sum::<u64>()
        }
    }
}

fn number(number: &Number) -> u64 {
    match number.as_i64() {
        Some(i) => int(i),
        // A float, even an integral one, is less plain than an integer.
        None => 1 + float(&number.to_string()),
    }
}

fn int(i: i64) -> u64 {
    2 * u64::from(u64::BITS - i.unsigned_abs().leading_zeros()) + u64::from(i < 0)
}

/// By the length in digits: 0.1 is plainer than 0.30000000000000004.
fn float(text: &str) -> u64 {
    if text == "0" { 0 } else { 1 + text.len() as u64 + u64::from(!text.starts_with('1')) }
}

fn text(text: &str) -> u64 {
    let letter = |c: char| match c {
        'a' => 1,
        c if c.is_ascii_alphanumeric() => 2,
        c if c.is_ascii() => 3,
        _ => 4,
    };
    text.chars().map(letter).sum()
}

fn expr(expr: &Expr) -> u64 {
    let mut paths = 0;
    expr.for_each_path(&mut |p| paths += path(p));
    paths + constants(expr)
}

fn path(path: &FieldPath) -> u64 {
    let step = |step: &Step| match step {
        Step::Key(key) => 2 + text(key),
        Step::Index(index) => 2 + int(i64::from(*index)),
    };
    path.steps.iter().map(step).sum()
}

fn constants(expr: &Expr) -> u64 {
    let mut complexity = 0;
    expr.for_each_literal(&mut |l| complexity += literal(l));
    expr.for_each_node(&mut |node| {
        complexity += match node {
            // Plainer with the constant on the right, and with a range written upwards.
            Expr::Binary { left, .. } => u64::from(matches!(**left, Expr::Literal(_))),
            Expr::Range { descending, .. } => u64::from(*descending),
            Expr::Like { pattern, .. } => 1 + text(pattern),
            Expr::Elements { elements, .. } => self::elements(*elements),
            _ => 0,
        };
    });
    complexity
}

/// The complexity of a quantifier of elements; `match_any` is the plainest.
pub(super) fn elements(elements: Elements) -> u64 {
    match elements {
        Elements::Any => 0,
        Elements::All => 1,
        Elements::Filter => 2,
        Elements::Least(n) | Elements::Most(n) | Elements::Exact(n) => 3 + int(i64::from(n)),
    }
}

/// The complexity of a literal.
pub(super) fn literal(literal: &Literal) -> u64 {
    match literal {
        Literal::Bool(b) => 1 + u64::from(*b),
        Literal::Int(i) => 1 + int(*i),
        Literal::Float(x) => 1 + float(&x.to_string()),
        Literal::Text(s) => 1 + text(s),
        Literal::List(items) => items.iter().map(self::literal).sum(),
        Literal::Timestamp(micros) => 1 + int(*micros),
        Literal::Interval(interval) => {
            1 + int(interval.months.into()) + int(interval.days.into()) + int(interval.micros)
        }
        Literal::Template(name) => 1 + text(name),
    }
}
