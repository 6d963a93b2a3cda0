//! A constant that is in the filter and in the rows, made plainer in both at once: alone, neither
//! can change without the divergence going away.

use serde_json::Value as Json;

use super::value;
use crate::case::Case;
use crate::filter::{Expr, Literal};
use crate::value::{Row, Value};

/// So many constants are tried, at most.
const MOST: usize = 200;

/// The same case with one constant plainer wherever it occurs.
pub(super) fn plainer_everywhere(case: &Case) -> Vec<Case> {
    let mut constants = Vec::new();
    for filter in case.filters() {
        literals(filter, &mut constants);
    }
    // A list of thousands becomes shorter first.
    constants.truncate(MOST);
    let mut all = Vec::new();
    for old in &constants {
        for new in value::literals(old) {
            all.push(replace(case, old, &new));
        }
    }
    all
}

fn replace(case: &Case, old: &Literal, new: &Literal) -> Case {
    let mut changed = case.clone();
    for check in &mut changed.checks {
        if let Some(mut filter) = check.filter().cloned() {
            in_filter(&mut filter, old, new);
            *check = check.with_filter(filter);
        }
    }
    let key = case.schema.primary().name.clone();
    for operation in &mut changed.operations {
        operation.rows_mut().iter_mut().for_each(|row| in_row(row, &key, old, new));
        if let Some(filter) = operation.filter_mut() {
            in_filter(&mut filter.expr, old, new);
        }
    }
    changed
}

fn literals(expr: &Expr, all: &mut Vec<Literal>) {
    expr.for_each_literal(&mut |literal| all.extend(literal.items().iter().cloned()));
    // A pattern is no constant that a row could hold, but for plain ones.
    expr.for_each_node(&mut |node| {
        if let Expr::Like { pattern, .. } = node {
            all.push(Literal::Text(pattern.clone()));
        }
    });
}

fn in_filter(expr: &mut Expr, old: &Literal, new: &Literal) {
    expr.for_each_literal_mut(&mut |literal| in_literal(literal, old, new));
    in_patterns(expr, old, new);
}

fn in_patterns(expr: &mut Expr, old: &Literal, new: &Literal) {
    if let (Expr::Like { pattern, .. }, Literal::Text(old), Literal::Text(new)) =
        (&mut *expr, old, new)
        && pattern == old
    {
        pattern.clone_from(new);
    }
    for child in expr.children_mut() {
        in_patterns(child, old, new);
    }
}

fn in_literal(literal: &mut Literal, old: &Literal, new: &Literal) {
    match literal {
        Literal::List(items) => items.iter_mut().for_each(|item| in_literal(item, old, new)),
        literal if literal == old => literal.clone_from(new),
        _ => {}
    }
}

fn in_row(row: &mut Row, key: &str, old: &Literal, new: &Literal) {
    for (_, value) in row.fields.iter_mut().filter(|(name, _)| *name != key) {
        in_value(value, old, new);
    }
    row.dynamic.values_mut().for_each(|json| in_json(json, old, new));
}

fn in_value(value: &mut Value, old: &Literal, new: &Literal) {
    let number = |literal: &Literal| match literal {
        Literal::Int(i) => Some(*i as f64),
        Literal::Float(x) => Some(*x),
        _ => None,
    };
    match (value, old, new) {
        (Value::Int(i), Literal::Int(old), Literal::Int(new)) if i == old => *i = *new,
        (Value::Float(x), old, new) => {
            if let (Some(old), Some(new)) = (number(old), number(new))
                && *x == old as f32
            {
                *x = new as f32;
            }
        }
        (Value::Double(x), old, new) => {
            if let (Some(old), Some(new)) = (number(old), number(new))
                && *x == old
            {
                *x = new;
            }
        }
        (Value::Text(s), Literal::Text(old), Literal::Text(new)) if s == old => s.clone_from(new),
        (Value::Array(items), old, new) => {
            items.iter_mut().for_each(|item| in_value(item, old, new));
        }
        (Value::Structs(structs), old, new) => {
            let members = structs.iter_mut().flat_map(|members| members.values_mut());
            members.for_each(|value| in_value(value, old, new));
        }
        (Value::Json(json), old, new) => in_json(json, old, new),
        _ => {}
    }
}

fn in_json(json: &mut Json, old: &Literal, new: &Literal) {
    match json {
        Json::Array(items) => items.iter_mut().for_each(|item| in_json(item, old, new)),
        Json::Object(members) => members.values_mut().for_each(|json| in_json(json, old, new)),
        json => {
            if let (Some(old), Some(new)) = (scalar(old), scalar(new))
                && *json == old
            {
                *json = new;
            }
        }
    }
}

fn scalar(literal: &Literal) -> Option<Json> {
    match literal {
        Literal::Bool(b) => Some(Json::from(*b)),
        Literal::Int(i) => Some(Json::from(*i)),
        Literal::Float(x) => Some(Json::from(*x)),
        Literal::Text(s) => Some(Json::from(s.as_str())),
        Literal::List(_) | Literal::Timestamp(_) | Literal::Interval(_) | Literal::Template(_) => {
            None
        }
    }
}
