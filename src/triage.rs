//! Is it one of those that we have already? The shape of a finding: its class, and its filter with
//! fields replaced by their types and constants by their kinds.
//!
//! A shape stands for one defect, as far as that can be told from outside. So it leaves out what
//! engines treat alike: the width of integers, the element type of arrays, `<` against `==` (but
//! not against `!=`, which has rules of its own), one member of the contains family against
//! another.

use std::fmt::Write as _;

use crate::case::{Case, Check, Maintenance, Operation, Relation, Scope};
use crate::filter::check::{Place, resolve};
use crate::filter::elements;
use crate::filter::{BinaryOp, Expr, FieldPath, Literal};
use crate::schema::{DataType, Schema};
use crate::verdict::{Actual, Class, Divergence, Expected};

/// The shape of a case with one check: findings of the same shape are the same finding.
///
/// ```
/// use milvus_difftest::filter::parse;
/// use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
/// use milvus_difftest::triage::filter_shape;
/// let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
/// let x = Field::new("x", DataType::Scalar(Scalar::Float)).nullable();
/// let schema = Schema { fields: vec![id, x], dynamic: false };
/// let shape = |filter| filter_shape(&schema, &parse(filter).unwrap());
/// assert_eq!(shape("x == 0.1"), "FLOAT? cmp number");
/// assert_eq!(shape("x < 2.5"), shape("x >= 1"));
/// assert_eq!(shape("not (x in [1.5])"), shape("x not in [2.5, 3.5]"));
/// ```
pub fn filter_shape(schema: &Schema, filter: &Expr) -> String {
    let mut shape = String::new();
    write_expr(&mut shape, schema, filter);
    shape
}

/// The shape of a divergence: of its check, and of the history that it takes.
pub fn shape(case: &Case, divergence: &Divergence) -> String {
    let shape = check_shape(case, divergence);
    match steps(case) {
        steps if steps.is_empty() => shape,
        steps => format!("{shape} after {}", steps.join(", ")),
    }
}

/// The steps of a history in order, without what most histories have: a step that follows its like
/// is one with it.
fn steps(case: &Case) -> Vec<String> {
    let step = |operation: &Operation| match operation.plain() {
        Operation::Insert(_) => "insert".to_owned(),
        Operation::Upsert(_) => "upsert".to_owned(),
        Operation::Patch(_) => "partial upsert".to_owned(),
        Operation::Delete(_) => "delete".to_owned(),
        Operation::DeleteWhere(_) => "delete by filter".to_owned(),
        Operation::AddField(_) => "add field".to_owned(),
        Operation::CreateAlias(_) => "create alias".to_owned(),
        Operation::AlterAlias { elsewhere: true, .. } => "alter alias".to_owned(),
        Operation::AlterAlias { elsewhere: false, .. } => "alter alias back".to_owned(),
        Operation::DropAlias(_) => "drop alias".to_owned(),
        Operation::CreatePartition(_) => "create partition".to_owned(),
        Operation::DropPartition(_) => "drop partition".to_owned(),
        Operation::Into { .. } => String::new(),
        Operation::Recreate => "create again".to_owned(),
        Operation::Maintain(Maintenance::Index { kind, .. }) => format!("index {kind}"),
        Operation::Maintain(Maintenance::Rebuild { kind, .. }) => format!("rebuild {kind}"),
        Operation::Maintain(Maintenance::DropIndex { .. }) => "drop index".to_owned(),
        Operation::Maintain(Maintenance::KillInWrite { .. }) => "kill in write".to_owned(),
        Operation::Maintain(step) => step.to_string(),
        Operation::Ask(_) => "query".to_owned(),
    };
    let step = |operation: &Operation| match operation.partition() {
        Some(_) if operation.deletes() => step(operation) + " in partition",
        Some(_) => step(operation) + " into partition",
        None => step(operation),
    };
    let mut steps: Vec<String> = case.operations.iter().map(step).collect();
    steps.dedup();
    // Rows have to come from somewhere.
    if steps.first().is_some_and(|first| first == "insert") {
        steps.remove(0);
    }
    steps
}

/// The shape of what is asked and what is wrong with the answer.
pub(crate) fn check_shape(case: &Case, divergence: &Divergence) -> String {
    let class = divergence.class;
    // A refused write is so whatever is asked afterwards.
    if let (Expected::Accepted, Class::WronglyRejected | Class::Hang | Class::SelfInconsistent) =
        (&divergence.expected, class)
    {
        return format!("{class}: write");
    }
    if let Expected::CarriedOut = divergence.expected {
        return format!("{class}: step");
    }
    let check = case.checks.first();
    let scope = check.map_or(Scope::WHOLE, Check::scope);
    let part = if scope.partitions.is_empty() { "" } else { " in partitions" };
    let name = if scope.alias.is_some() { " through an alias" } else { "" };
    question_shape(case, divergence, check.map(Check::plain)) + part + name
}

fn question_shape(case: &Case, divergence: &Divergence, check: Option<&Check>) -> String {
    let class = divergence.class;
    match check {
        Some(Check::Query(filter)) => {
            format!(
                "{class}: {}{}",
                filter_shape(&case.schema, &filter.expr),
                values(case, divergence)
            )
        }
        Some(Check::Count(filter)) => {
            format!("{class}: count {}", filter_shape(&case.schema, &filter.expr))
        }
        Some(Check::Page { filter, .. }) => {
            format!("{class}: page of {}", filter_shape(&case.schema, &filter.expr))
        }
        // The column and the literal say it all.
        Some(Check::Refused(filter)) => {
            format!("{class}: {}", filter_shape(&case.schema, &filter.expr).replace("!=", "cmp"))
        }
        Some(Check::QueryOrRefusal(filter)) => {
            format!("{class}: {}", filter_shape(&case.schema, &filter.expr))
        }
        Some(Check::Agree { relation, filter }) => {
            let way = match relation {
                Relation::Rewrite(rule) => rule.name(),
                Relation::Partition => "partition",
                Relation::Projection => "projection",
                Relation::Paging(_) => "paging",
                Relation::Template => "template",
                Relation::Counts => "counts",
                Relation::Consistency(level) => {
                    let shape = filter_shape(&case.schema, &filter.expr);
                    return format!("{class}: at level {level} {shape}");
                }
                Relation::After(Maintenance::Index { kind, .. }) => {
                    let shape = filter_shape(&case.schema, &filter.expr);
                    return format!("{class}: index {kind} {shape}");
                }
                Relation::After(step) => {
                    let shape = filter_shape(&case.schema, &filter.expr);
                    return format!("{class}: after {step} {shape}");
                }
            };
            format!("{class}: {way} {}", filter_shape(&case.schema, &filter.expr))
        }
        Some(Check::Search { search, filter }) => {
            let of = filter.as_ref().map(|f| filter_shape(&case.schema, &f.expr));
            let within = match (search.radius, search.range_filter) {
                (None, _) => "",
                (_, None) => " in a range",
                _ => " in a range with an inner bound",
            };
            let groups = if search.group_by.is_some() { " by groups" } else { "" };
            format!("{class}: search{within}{groups} {}", of.unwrap_or_default())
        }
        Some(Check::CountAll) => format!("{class}: count of all"),
        Some(Check::Entities | Check::In { .. }) | None => {
            format!("{class}: entities{}", values(case, divergence))
        }
    }
}

/// The types of the fields whose values are wrong.
fn values(case: &Case, divergence: &Divergence) -> String {
    match &divergence.actual {
        Actual::Differs { diff, .. } if divergence.class == Class::WrongValue => {
            let mut types: Vec<String> = diff
                .changed
                .iter()
                .map(|change| match case.schema.field(&change.field) {
                    Some(field) => field.data_type.to_string(),
                    None => "dynamic".to_owned(),
                })
                .collect();
            types.sort();
            types.dedup();
            format!(" -> {}", types.join(", "))
        }
        _ => String::new(),
    }
}

fn write_expr(shape: &mut String, schema: &Schema, expr: &Expr) {
    let nested = |shape: &mut String, inner: &Expr| {
        let leaf = matches!(inner, Expr::Literal(_) | Expr::Field(_) | Expr::Call { .. });
        shape.push_str(if leaf { "" } else { "(" });
        write_expr(shape, schema, inner);
        shape.push_str(if leaf { "" } else { ")" });
    };
    match expr {
        Expr::Literal(literal) => shape.push_str(&kind(literal)),
        Expr::Field(path) => shape.push_str(&place(schema, path)),
        Expr::Not(inner) => match &**inner {
            // The same in fewer words.
            Expr::In { operand, list, negated: false } => {
                let (operand, list) = (operand.clone(), list.clone());
                write_expr(shape, schema, &Expr::In { operand, list, negated: true });
            }
            inner => {
                shape.push_str("not ");
                nested(shape, inner);
            }
        },
        Expr::Binary { op, left, right } => {
            nested(shape, left);
            let symbol = match op {
                BinaryOp::Eq | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => "cmp",
                op => op.symbol(),
            };
            // Writing to a string cannot fail.
            let _ = write!(shape, " {symbol} ");
            nested(shape, right);
        }
        Expr::In { operand, list, negated } => {
            nested(shape, operand);
            let mut kinds: Vec<String> = list.iter().map(kind).collect();
            kinds.sort();
            kinds.dedup();
            let not = if *negated { "not " } else { "" };
            let _ = write!(shape, " {not}in [{}]", kinds.join(", "));
        }
        Expr::Like { operand, pattern } => {
            nested(shape, operand);
            let _ = write!(shape, " like {}", pattern_kind(pattern));
        }
        Expr::IsNull { operand, negated } => {
            let not = if *negated { "not " } else { "" };
            let _ = write!(shape, "{} is {not}null", place(schema, operand));
        }
        Expr::Exists(path) => {
            let _ = write!(shape, "exists {}", place(schema, path));
        }
        Expr::Call { function, operand, arguments } => {
            let name = match function.quantifier() {
                Some(_) => "contains",
                None => function.name(),
            };
            let arguments: String = arguments.iter().map(|a| format!(", {}", kind(a))).collect();
            let _ = write!(shape, "{name}({}{arguments})", place(schema, operand));
        }
        Expr::Unary { op, operand } => {
            shape.push_str(op.symbol());
            nested(shape, operand);
        }
        Expr::Range { operand, low, high, descending } => {
            let symbol = if *descending { '>' } else { '<' };
            let (low, high) = (kind(&low.value), kind(&high.value));
            let _ = write!(shape, "{low} {symbol} {} {symbol} {high}", place(schema, operand));
        }
        Expr::Elements { elements, field, predicate } => {
            let _ = write!(shape, "{}(", elements.name());
            let scope = elements::scope(schema, field);
            write_expr(shape, scope.as_ref().unwrap_or(schema), predicate);
            shape.push(')');
        }
    }
}

fn place(schema: &Schema, path: &FieldPath) -> String {
    let (field, suffix) = match resolve(schema, path) {
        Ok(
            Place::Column(field, _)
            | Place::Array(field, _)
            | Place::JsonColumn(field)
            | Place::Timestamp(field)
            | Place::Geometry(field)
            | Place::Structs(field),
        ) => (Some(field), ""),
        Ok(Place::Element(field, ..)) => (Some(field), "[i]"),
        Ok(Place::Json(field, _)) => (field, "[path]"),
        Err(_) => return "?".to_owned(),
    };
    match field {
        Some(field) => {
            let null = if field.nullable { "?" } else { "" };
            let data_type = match field.data_type {
                DataType::Scalar(scalar) if scalar.int_range().is_some() => "INT".to_owned(),
                DataType::Array(_) => "ARRAY".to_owned(),
                data_type => data_type.to_string(),
            };
            format!("{data_type}{null}{suffix}")
        }
        None => "dynamic[path]".to_owned(),
    }
}

fn kind(literal: &Literal) -> String {
    match literal {
        Literal::Bool(_) => "bool".to_owned(),
        // Beyond 2^53 a double no longer tells integers apart.
        Literal::Int(i) if i.unsigned_abs() > 1 << 53 => "large number".to_owned(),
        Literal::Int(_) | Literal::Float(_) => "number".to_owned(),
        Literal::Text(_) => "text".to_owned(),
        Literal::Timestamp(_) => "time".to_owned(),
        Literal::Interval(_) => "interval".to_owned(),
        Literal::Template(_) => "template".to_owned(),
        // A list is as its elements.
        Literal::List(items) => {
            let mut kinds: Vec<String> = items.iter().map(kind).collect();
            kinds.sort();
            kinds.dedup();
            kinds.join(", ")
        }
    }
}

fn pattern_kind(pattern: &str) -> &'static str {
    if pattern.contains('\\') {
        "escaped"
    } else if pattern.contains('_') {
        "with _"
    } else if pattern.contains('%') {
        "with %"
    } else {
        "plain"
    }
}
