//! Predicates on the elements of an array of structs: `element_filter` and the `match_` family.
//!
//! The rules are those of the documentation of Milvus 3.0: "StructArray Operators" says what a
//! predicate may ask of a member, which thresholds there are and what is true of an empty array;
//! "StructArray Limits", that members are never null by themselves. Where an engine computes, a
//! member is as a column of its type (server, `PhyUnaryRangeFilterExpr::Eval` and its like take
//! `element_type_` for `data_type_`).

use serde_json::Map;

use super::ast::{Expr, FieldPath};
use super::check::{self, Place, TypeError, resolve};
use super::eval::{Truth, Undefined, evaluate};
use super::fold::constant;
use super::operator::{BinaryOp, Elements};
use super::semantics::{Semantics, Switch};
use crate::schema::{Field, Scalar, Schema};
use crate::value::{Row, Value};

/// What a predicate on the elements of this array sees: the members, by the names that they have
/// there.
pub(crate) fn scope(schema: &Schema, array: &str) -> Result<Schema, TypeError> {
    Ok(members(field(schema, array)?))
}

/// Calls `visit` with every node of a filter that fits the schema, each before its parts, and with
/// what the node sees: inside of a predicate on elements, their members.
pub(crate) fn for_each_node<'a>(
    schema: &Schema,
    expr: &'a Expr,
    visit: &mut impl FnMut(&Schema, &'a Expr),
) {
    visit(schema, expr);
    let inner = match expr {
        Expr::Elements { field, .. } => scope(schema, field).ok(),
        _ => None,
    };
    for child in expr.children() {
        for_each_node(inner.as_ref().unwrap_or(schema), child, visit);
    }
}

fn members(array: &Field) -> Schema {
    let named =
        |member: &Field| Field { name: FieldPath::member(&member.name).root, ..member.clone() };
    Schema { fields: array.members.iter().map(named).collect(), dynamic: false }
}

fn field<'a>(schema: &'a Schema, array: &str) -> Result<&'a Field, TypeError> {
    let no_array = || TypeError::new(array, "is no array of structs");
    match schema.field(array) {
        Some(field) if !field.members.is_empty() => Ok(field),
        _ => Err(no_array()),
    }
}

/// "`element_filter` can appear only once in a filter expression", and "at the end of the
/// expression": it is the filter, or the last part of a conjunction.
pub(super) fn check_places(filter: &Expr) -> Result<(), TypeError> {
    match filter {
        Expr::Elements { .. } => Ok(()),
        Expr::Binary { op: BinaryOp::And, left, right } => {
            nowhere(left)?;
            check_places(right)
        }
        filter => nowhere(filter),
    }
}

fn nowhere(part: &Expr) -> Result<(), TypeError> {
    let mut found = None;
    part.for_each_node(&mut |node| {
        if matches!(node, Expr::Elements { elements: Elements::Filter, .. }) {
            found.get_or_insert(node);
        }
    });
    match found {
        None => Ok(()),
        Some(node) => Err(TypeError::new(
            node,
            "element_filter stands once in a filter, and last: after `and`, or alone",
        )),
    }
}

/// Checks one predicate on elements, which is `expr`.
pub(super) fn check(
    schema: &Schema,
    expr: &Expr,
    elements: Elements,
    array: &str,
    predicate: &Expr,
) -> Result<(), TypeError> {
    if elements == Elements::Least(0) {
        return Err(TypeError::new(expr, "the threshold of match_least is at least 1"));
    }
    let scope = scope(schema, array)?;
    check_predicate(&scope, predicate)?;
    check::predicate(&scope, predicate)
}

/// What elements may be asked, by the tables of supported and unsupported predicates. A term is
/// about one member: comparisons of two are in neither table, and constants alone test nothing.
fn check_predicate(scope: &Schema, expr: &Expr) -> Result<(), TypeError> {
    let wrong = |reason: &str| Err(TypeError::new(expr, reason));
    match expr {
        Expr::Not(inner) => return check_predicate(scope, inner),
        Expr::Binary { op, left, right } if op.is_logical() => {
            check_predicate(scope, left)?;
            return check_predicate(scope, right);
        }
        Expr::Elements { .. } => return wrong("this does not stand inside of another such"),
        Expr::Field(path) if path.is_member() => {
            return wrong("of a boolean member, write that it `== true`");
        }
        _ => {}
    }
    let (mut paths, mut stranger, mut boolean) = (0, None, false);
    expr.for_each_path(&mut |path| {
        paths += 1;
        if !path.is_member() {
            stranger.get_or_insert(path);
        }
        boolean |= matches!(resolve(scope, path), Ok(Place::Column(_, Scalar::Bool)));
    });
    if let Some(path) = stranger {
        let reason = "a predicate on elements names their members alone, as `$[member]`";
        return Err(TypeError::new(path, reason));
    }
    let bare = |operand: &Expr| matches!(operand, Expr::Field(_));
    match expr {
        Expr::Binary { op, left, right } if op.is_comparison() => {
            if paths != 1 {
                return wrong("one member is compared with a constant");
            }
            if boolean && !matches!(op, BinaryOp::Eq | BinaryOp::Ne) {
                return wrong("a boolean member is compared by == and != alone");
            }
            check_arithmetic(left)?;
            check_arithmetic(right)
        }
        Expr::Range { .. } => Ok(()),
        Expr::In { operand, .. } if bare(operand) && !boolean => Ok(()),
        Expr::Like { operand, .. } if bare(operand) => Ok(()),
        _ => wrong("elements are not asked this: members compare, range, are in lists, are like"),
    }
}

/// "Arithmetic expressions with `+`, `-`, `*`, `/`, or `%`."
fn check_arithmetic(operand: &Expr) -> Result<(), TypeError> {
    use BinaryOp::{Add, Div, Mod, Mul, Sub};
    match operand {
        Expr::Field(_) => Ok(()),
        _ if constant(operand)?.is_some() => Ok(()),
        Expr::Binary { op: Add | Sub | Mul | Div | Mod, left, right } => {
            check_arithmetic(left)?;
            check_arithmetic(right)
        }
        _ => Err(TypeError::new(operand, "of arithmetic, members have + - * / % alone")),
    }
}

/// The truth of a predicate on elements, on one row.
///
/// A null array is unknown (milvus#51381). Of `element_filter` it is said only that it matches
/// elements; "in row-level query […] result shape depends on the API and output fields", and a
/// server answers with an entry for each element (pymilvus#3325). So that it is defined where no
/// element matches, and nowhere else.
pub(super) fn truth(
    schema: &Schema,
    row: &Row,
    semantics: Semantics,
    (elements, array, predicate): (Elements, &str, &Expr),
) -> Result<Truth, Undefined> {
    let field = field(schema, array)?;
    let Value::Structs(structs) = row.get(&field.name) else { return Ok(Truth::Unknown) };
    let scope = members(field);
    let mut hits = 0;
    for element in structs {
        let named =
            |(name, value): (&String, &Value)| (FieldPath::member(name).root, value.clone());
        let fields = element.iter().map(named).collect();
        let element = Row { fields, dynamic: Map::new() };
        hits += usize::from(evaluate(predicate, &scope, &element, semantics)? == Truth::True);
    }
    match elements {
        Elements::Filter if hits > 0 => Err(Undefined::ElementLevel),
        Elements::All if structs.is_empty() && semantics.has(Switch::MatchAllOfNoneIsFalse) => {
            Ok(Truth::False)
        }
        elements => Ok(elements.holds(hits, structs.len()).into()),
    }
}
