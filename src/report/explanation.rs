//! What one filter means: its tree with types, the rules on which engines are known to differ, the
//! SQL that the references run, and its truth on given rows.

use std::fmt::{self, Display, Formatter};

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;

use crate::backend::sql::{SqlDialect, lower};
use crate::backend::{BackendError, ClickHouseDialect, DuckDbDialect};
use crate::filter::check::{Place, resolve, type_name};
use crate::filter::elements;
use crate::filter::{
    BinaryOp, Elements, Expr, FieldPath, Function, Literal, Semantics, Switch, Truth, TypeError,
    check, evaluate,
};
use crate::schema::{Field, Scalar, Schema};
use crate::value::{Key, META, Row};

/// Everything that can be said of a filter. Its [`Display`] is for people, its JSON for programs.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The filter as it was read, fully parenthesised.
    pub filter: String,
    /// The nodes of its tree, each before its parts.
    pub tree: Vec<Node>,
    /// The rules that it touches and on which engines are known to differ.
    pub switches: Vec<Touched>,
    /// What each backend runs.
    pub sql: Vec<Lowered>,
    /// Its truth, if there are rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<Truths>,
}

/// One node of the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// 0 for the whole filter.
    pub depth: usize,
    /// The operator, or the operand as it is written.
    pub text: String,
    /// Its type, and where a path leads.
    pub r#type: String,
    /// The number of its column in the table of truths, if it is true or false on a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<usize>,
}

/// A rule on which engines differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Touched {
    /// The name of the [`Switch`].
    pub switch: &'static str,
    /// The first part of the filter that the rule is about.
    pub part: String,
    /// What is expected.
    pub canonical: &'static str,
    /// What some engine does instead.
    pub turned: &'static str,
    /// Where the expectation is said.
    pub source: &'static str,
}

/// A filter as SQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lowered {
    /// The database.
    pub backend: &'static str,
    /// The condition; `None` if the database cannot express it, so that the model alone judges.
    pub sql: Option<String>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The truth of each part on each row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Truths {
    /// The switches that are turned for the second answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub switches: Vec<&'static str>,
    /// The rows, in the order in which they were given.
    pub rows: Vec<RowTruths>,
    /// The keys of those that match.
    pub matching: Vec<serde_json::Value>,
    /// The keys of those that match with the switches turned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matching_turned: Option<Vec<serde_json::Value>>,
}

/// The truth of each part on one row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowTruths {
    /// The row's key.
    pub key: serde_json::Value,
    /// `T`, `F`, `U`, or why there is no defined answer; by the numbers of the parts, from 1.
    pub truths: Vec<String>,
    /// The same with the switches turned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turned: Option<Vec<String>>,
}

impl Explanation {
    /// Explains a filter against a schema, on rows if there are any.
    ///
    /// ```
    /// use milvus_difftest::filter::{Semantics, parse};
    /// use milvus_difftest::report::explanation::Explanation;
    /// use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
    /// let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
    /// let schema = Schema { fields: vec![id], dynamic: false };
    /// let filter = parse("id > 3").unwrap();
    /// let explanation = Explanation::new(&schema, &filter, &[], Semantics::canonical()).unwrap();
    /// assert_eq!(explanation.sql[0].sql.as_deref(), Some("\"id\" > 3"));
    /// ```
    pub fn new(
        schema: &Schema,
        filter: &Expr,
        rows: &[Row],
        semantics: Semantics,
    ) -> Result<Explanation, TypeError> {
        check(schema, filter)?;
        let mut walk = Walk { schema, tree: Vec::new(), parts: Vec::new() };
        walk.expr(filter, 0, true);
        let Walk { tree, parts, .. } = walk;
        let rows = (!rows.is_empty()).then(|| truths(schema, &parts, rows, semantics));
        let (switches, sql) = (switches(schema, filter), sql(schema, filter)?);
        Ok(Explanation { filter: filter.to_string(), tree, switches, sql, rows })
    }
}

fn sql(schema: &Schema, filter: &Expr) -> Result<Vec<Lowered>, TypeError> {
    let backends: [(&str, &dyn SqlDialect); 2] =
        [("DuckDB", &DuckDbDialect), ("ClickHouse", &ClickHouseDialect)];
    let lowered =
        backends.into_iter().map(|(backend, dialect)| match lower(dialect, schema, filter) {
            Ok(sql) => Ok(Lowered { backend, sql: Some(sql), reason: None }),
            Err(BackendError::Filter(error)) => Err(error),
            Err(error) => Ok(Lowered { backend, sql: None, reason: Some(error.to_string()) }),
        });
    lowered.collect()
}

fn truths(schema: &Schema, parts: &[&Expr], rows: &[Row], semantics: Semantics) -> Truths {
    let judge = |row: &Row, semantics: Semantics| -> Vec<String> {
        let truth = |part: &&Expr| match evaluate(part, schema, row, semantics) {
            Ok(Truth::True) => "T".to_owned(),
            Ok(Truth::False) => "F".to_owned(),
            Ok(Truth::Unknown) => "U".to_owned(),
            Err(undefined) => format!("undefined: {undefined}"),
        };
        parts.iter().map(truth).collect()
    };
    let switches: Vec<_> = semantics.switches().map(Switch::name).collect();
    let rows: Vec<RowTruths> = rows
        .iter()
        .map(|row| RowTruths {
            key: match row.key(schema) {
                Some(Key::Int(i)) => i.into(),
                Some(Key::Text(text)) => text.into(),
                None => serde_json::Value::Null,
            },
            truths: judge(row, Semantics::canonical()),
            turned: (!switches.is_empty()).then(|| judge(row, semantics)),
        })
        .collect();
    let is_true = |truths: &[String]| truths.first().is_some_and(|truth| truth == "T");
    let keys = |matches: &dyn Fn(&RowTruths) -> bool| {
        rows.iter().filter(|row| matches(row)).map(|row| row.key.clone()).collect::<Vec<_>>()
    };
    let matching = keys(&|row| is_true(&row.truths));
    let turned = keys(&|row| row.turned.as_deref().is_some_and(is_true));
    let matching_turned = (!switches.is_empty()).then_some(turned);
    Truths { switches, matching, matching_turned, rows }
}

struct Walk<'s, 'a> {
    /// What the node at hand sees.
    schema: &'s Schema,
    tree: Vec<Node>,
    /// Those that are true or false on a row, in the order of their numbers.
    parts: Vec<&'a Expr>,
}

impl<'a> Walk<'_, 'a> {
    fn add(&mut self, depth: usize, text: impl Into<String>, r#type: impl Into<String>) {
        let (text, r#type) = (text.into(), r#type.into());
        self.tree.push(Node { depth, text, r#type, number: None });
    }

    fn expr(&mut self, expr: &'a Expr, depth: usize, is_truth: bool) {
        let number = is_truth.then(|| {
            self.parts.push(expr);
            self.parts.len()
        });
        let at = self.tree.len();
        let arithmetic = || type_name(self.schema, expr).unwrap_or("value").to_owned();
        let truth = "truth value".to_owned();
        let (text, r#type) = match expr {
            Expr::Literal(literal) => (literal.to_string(), arithmetic()),
            Expr::Field(path) => (path.to_string(), place(self.schema, path)),
            Expr::Not(_) => ("not".to_owned(), truth),
            Expr::Unary { op, .. } => (op.symbol().to_owned(), arithmetic()),
            Expr::Binary { op, .. } if op.is_logical() || op.is_comparison() => {
                (op.symbol().to_owned(), truth)
            }
            Expr::Binary { op, .. } => (op.symbol().to_owned(), arithmetic()),
            Expr::Range { .. } => (expr.to_string(), truth),
            Expr::In { list, negated, .. } => {
                let not = if *negated { "not " } else { "" };
                let list = match list.as_slice() {
                    [template @ Literal::Template(_)] => template.to_string(),
                    list => Literal::List(list.to_vec()).to_string(),
                };
                (format!("{not}in {list}"), truth)
            }
            Expr::Like { pattern, .. } => {
                (format!("like {}", Literal::Text(pattern.clone())), truth)
            }
            Expr::IsNull { negated, .. } => {
                (if *negated { "is not null" } else { "is null" }.to_owned(), truth)
            }
            Expr::Exists(_) => ("exists".to_owned(), truth),
            Expr::Call { function: Function::ArrayLength, .. } => {
                (expr.to_string(), "integer".to_owned())
            }
            Expr::Call { .. } => (expr.to_string(), truth),
            Expr::Elements { elements, field, .. } => {
                let threshold = elements.threshold().map(|n| format!(", threshold={n}"));
                let threshold = threshold.unwrap_or_default();
                (format!("{}({field}, …{threshold})", elements.name()), truth)
            }
        };
        self.add(depth, text, r#type);
        if let Some(node) = self.tree.get_mut(at) {
            node.number = number;
        }
        match expr {
            Expr::IsNull { operand, .. }
            | Expr::Exists(operand)
            | Expr::Call { operand, .. }
            | Expr::Range { operand, .. } => {
                self.add(depth + 1, operand.to_string(), place(self.schema, operand));
            }
            _ => {}
        }
        let logical = match expr {
            Expr::Not(_) => true,
            Expr::Binary { op, .. } => op.is_logical(),
            _ => false,
        };
        match expr {
            Expr::Elements { field, predicate, .. } => {
                self.add(depth + 1, field.as_str(), place(self.schema, &FieldPath::new(field)));
                // Its parts have a truth on each element, and none on the row.
                let Ok(scope) = elements::scope(self.schema, field) else { return };
                let mut inner = Walk { schema: &scope, tree: Vec::new(), parts: Vec::new() };
                inner.expr(predicate, depth + 1, false);
                self.tree.append(&mut inner.tree);
            }
            _ => {
                for child in expr.children() {
                    self.expr(child, depth + 1, logical);
                }
            }
        }
    }
}

/// Where a path leads, in words.
fn place(schema: &Schema, path: &FieldPath) -> String {
    let nullable = |field: &Field| if field.nullable { ", nullable" } else { "" };
    match resolve(schema, path) {
        Ok(
            Place::Column(field, _)
            | Place::Array(field, _)
            | Place::JsonColumn(field)
            | Place::Timestamp(field)
            | Place::Geometry(field)
            | Place::Structs(field),
        ) => {
            let what = if path.is_member() { "member" } else { "column" };
            format!("{} {what}{}", field.data_type, nullable(field))
        }
        Ok(Place::Element(field, scalar, index)) => {
            let element = crate::schema::DataType::Scalar(scalar);
            format!("{element}, element {index} of the column {}{}", field.name, nullable(field))
        }
        Ok(Place::Json(field, steps)) => {
            let inside = FieldPath { root: String::new(), steps };
            match field {
                Some(field) => {
                    format!("JSON, {inside} in the column {}{}", field.name, nullable(field))
                }
                None => format!("JSON, {inside} in the dynamic field {META}"),
            }
        }
        Err(error) => error.reason().to_owned(),
    }
}

fn switches(schema: &Schema, filter: &Expr) -> Vec<Touched> {
    let touched = Switch::ALL.iter().filter_map(|switch| {
        let mut part = None;
        elements::for_each_node(schema, filter, &mut |schema, node| {
            if part.is_none() && touches(*switch, schema, node) {
                part = Some(node);
            }
        });
        let part = part?;
        Some(Touched {
            switch: switch.name(),
            part: part.to_string(),
            canonical: switch.canonical(),
            turned: switch.turned(),
            source: switch.source(),
        })
    });
    touched.collect()
}

/// Whether a switch can change what a node comes to.
fn touches(switch: Switch, schema: &Schema, node: &Expr) -> bool {
    let some = |expr: &Expr, holds: &dyn Fn(Place<'_>) -> bool| {
        let mut any = false;
        expr.for_each_path(&mut |path| any |= resolve(schema, path).is_ok_and(holds));
        any
    };
    let nullable = |expr: &Expr| {
        let mut any = false;
        expr.for_each_path(&mut |path| {
            any |= schema.field(&path.root).is_some_and(|field| field.nullable);
        });
        any
    };
    let json = |expr: &Expr| some(expr, &|place| matches!(place, Place::Json(..)));
    let float = |expr: &Expr| some(expr, &|place| matches!(place, Place::Column(_, Scalar::Float)));
    let int = |expr: &Expr| {
        some(
            expr,
            &|place| matches!(place, Place::Column(_, scalar) if scalar.int_range().is_some()),
        )
    };
    let has = |wanted: fn(&Literal) -> bool| {
        let mut any = false;
        node.for_each_literal(&mut |literal| any |= literal.items().iter().any(wanted));
        any
    };
    let is_int = |literal: &Literal| matches!(literal, Literal::Int(_));
    let (comparison, ordering, equality) = match node {
        Expr::Binary { op, .. } if op.is_comparison() => {
            let equality = matches!(op, BinaryOp::Eq | BinaryOp::Ne);
            (true, !equality, equality)
        }
        Expr::Range { .. } => (true, true, false),
        _ => (false, false, false),
    };
    let is_in = matches!(node, Expr::In { .. });
    let contains = match node {
        Expr::Call { function, .. } => function.quantifier().is_some(),
        _ => false,
    };
    let op = match node {
        Expr::Binary { op, .. } => Some(*op),
        _ => None,
    };
    let pattern = match node {
        Expr::Like { pattern, .. } => Some(pattern.as_str()),
        _ => None,
    };
    match switch {
        Switch::NotUnknownIsTrue => matches!(node, Expr::Not(_)) && nullable(node),
        Switch::NullInListIsFalse => match node {
            Expr::In { list, .. } => !list.is_empty() && nullable(node),
            _ => false,
        },
        Switch::NullInEmptyListIsUnknown => match node {
            Expr::In { list, .. } => list.is_empty() && (nullable(node) || json(node)),
            _ => false,
        },
        Switch::JsonMissingInListIsUnknown => match node {
            Expr::In { list, .. } => !list.is_empty() && json(node),
            _ => false,
        },
        Switch::NullContainsIsFalse => contains && nullable(node),
        Switch::NullLengthIsZero => match node {
            Expr::Call { function: Function::ArrayLength, .. } => nullable(node),
            _ => false,
        },
        Switch::FloatComparesAsDouble => {
            comparison && float(node) && has(|it| matches!(it, Literal::Int(_) | Literal::Float(_)))
        }
        Switch::FloatInListAsDouble => is_in && float(node),
        Switch::FloatComputesAsDouble => {
            op.is_some_and(|op| !op.is_comparison() && !op.is_logical()) && float(node)
        }
        Switch::IntDivisionIsReal => op == Some(BinaryOp::Div) && int(node),
        Switch::JsonMissingIsUnknown => (comparison || pattern.is_some()) && json(node),
        Switch::JsonMismatchIsUnknown => ordering && json(node),
        Switch::JsonProductRepeats => op == Some(BinaryOp::Mul) && json(node),
        Switch::JsonArithmeticMismatchIsUnknown => {
            op.is_some_and(|op| !op.is_comparison() && !op.is_logical()) && json(node)
        }
        Switch::BooleansInListAreRefused => {
            contains && json(node) && has(|it| matches!(it, Literal::Bool(_)))
        }
        Switch::JsonBoolIsNumber => {
            let scalar =
                |it: &Literal| matches!(it, Literal::Bool(_) | Literal::Int(_) | Literal::Float(_));
            (comparison || is_in || contains) && json(node) && has(scalar)
        }
        Switch::JsonNumberAsDouble => {
            (comparison || is_in || contains)
                && json(node)
                && has(|it| matches!(it, Literal::Float(_)))
        }
        Switch::ExistsOnNull | Switch::ExistsOnEmpty => {
            matches!(node, Expr::Exists(_) | Expr::IsNull { .. }) && json(node)
        }
        Switch::OutOfRangeIsUnknown => {
            (comparison || is_in || pattern.is_some())
                && some(node, &|place| matches!(place, Place::Element(..)))
        }
        Switch::LikeBackslashIsLiteral => pattern.is_some_and(|pattern| pattern.contains('\\')),
        Switch::LikeAffixKeepsBackslashes => pattern.is_some_and(|pattern| {
            pattern.contains('\\') && (pattern.starts_with('%') || pattern.ends_with('%'))
        }),
        Switch::LikeUnderscoreIsLiteral => pattern.is_some_and(|pattern| pattern.contains('_')),
        Switch::LikeEmptyMatchesAll => pattern == Some(""),
        Switch::LikeTrailingWildcardsArePrefix => pattern
            .is_some_and(|pattern| pattern.ends_with('_') || pattern.chars().all(|c| c == '%')),
        Switch::LikeUnderscoreIsByte => pattern.is_some_and(|pattern| pattern.contains('_')),
        Switch::EscapesAreDropped => {
            let escaped = |text: &str| text.contains(['\n', '\r', '\t']);
            pattern.is_some_and(escaped)
                || has(|it| matches!(it, Literal::Text(text) if text.contains(['\n', '\r', '\t'])))
        }
        Switch::ContainsTruncatesElements => {
            let floats =
                |place: Place<'_>| matches!(place, Place::Array(_, Scalar::Float | Scalar::Double));
            contains && some(node, &floats) && has(is_int)
        }
        Switch::JsonContainsIntMissesDouble => contains && json(node) && has(is_int),
        Switch::JsonArrayIntMissesDouble => {
            let mut compared = contains && has(|it| matches!(it, Literal::List(_)));
            node.for_each_literal(&mut |it| {
                compared |=
                    equality && matches!(it, Literal::List(items) if items.iter().any(is_int));
            });
            compared && json(node)
        }
        Switch::ReversedEqualityIsNegated => match node {
            Expr::Binary { left, right, .. } if equality => {
                let fixed = |side: &Expr| {
                    let mut paths = 0;
                    side.for_each_path(&mut |_| paths += 1);
                    paths == 0
                };
                fixed(left) && !fixed(right)
            }
            _ => false,
        },
        Switch::DescendingRangeSwapsBounds => matches!(node, Expr::Range { descending: true, .. }),
        Switch::NarrowArithmeticWraps => {
            let mut paths = 0;
            node.for_each_path(&mut |_| paths += 1);
            paths > 1 && int(node) && op.is_some_and(|op| !op.is_comparison() && !op.is_logical())
        }
        Switch::ModuloIsRounded => op == Some(BinaryOp::Mod),
        Switch::InexactConversionIsRefused | Switch::NumbersCompareExactly => {
            let real = |place: Place<'_>| {
                matches!(place, Place::Column(_, Scalar::Float | Scalar::Double))
            };
            comparison && some(node, &real)
        }
        Switch::MixedNumbersAreRefused => {
            (is_in || contains) && has(is_int) && has(|it| matches!(it, Literal::Float(_)))
        }
        Switch::ContainerInListIsRefused => is_in && json(node),
        Switch::MatchAllOfNoneIsFalse => {
            matches!(node, Expr::Elements { elements: Elements::All, .. })
        }
        Switch::KeyListIgnoresPage | Switch::KeyListRepeatsRows => {
            is_in && some(node, &|place| matches!(place, Place::Column(field, _) if field.primary))
        }
        Switch::NullTextMatchIsFalse => match node {
            Expr::Call { function: Function::TextMatch | Function::PhraseMatch, .. } => {
                nullable(node)
            }
            _ => false,
        },
        Switch::NullSpatialIsFalse => match node {
            Expr::Call { function, .. } => function.is_spatial() && nullable(node),
            _ => false,
        },
        Switch::SpatialBoundaryIsInside => {
            matches!(node, Expr::Call { function: Function::StContains | Function::StWithin, .. })
        }
        Switch::SpatialDistanceIsPlanar => {
            matches!(node, Expr::Call { function: Function::StDwithin, .. })
        }
        Switch::OrPrunesPartitions => {
            op == Some(BinaryOp::Or)
                && some(
                    node,
                    &|place| matches!(place, Place::Column(field, _) if field.partition_key),
                )
        }
        // They are about writes.
        Switch::UpsertKeepsDynamicKeys
        | Switch::CountIgnoresPartitions
        | Switch::DeleteIgnoresPartition
        | Switch::UpsertKeepsOmittedDefaults
        | Switch::UpsertPartitionsByPrimaryKey
        | Switch::DeadRowsAreComputed => false,
    }
}

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "filter\n  {}\n\ntree", self.filter)?;
        let mut tree = table();
        for (node, branch) in self.tree.iter().zip(branches(&self.tree)) {
            let number = node.number.map(|number| format!("#{number}")).unwrap_or_default();
            tree.add_row([format!("  {branch}{}", node.text), node.r#type.clone(), number]);
        }
        writeln!(f, "{}", trimmed(&tree))?;
        for Lowered { backend, sql, reason } in &self.sql {
            let none = "cannot be expressed in SQL: judged by the model alone";
            writeln!(f, "\nsql ({backend})\n  {}", sql.as_deref().unwrap_or(none))?;
            if let Some(reason) = reason {
                writeln!(f, "  {reason}")?;
            }
        }
        if !self.switches.is_empty() {
            writeln!(f, "\nwhere engines are known to differ")?;
            for it in &self.switches {
                writeln!(f, "  {}, in `{}`", it.switch, it.part)?;
                writeln!(f, "    expected: {} ({})", it.canonical, it.source)?;
                writeln!(f, "    met: {}", it.turned)?;
            }
        }
        if let Some(rows) = &self.rows {
            write!(f, "\n{rows}")?;
        }
        Ok(())
    }
}

impl Display for Truths {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "rows (T true, F false, U unknown; only T matches)")?;
        let mut table = table();
        let parts = self.rows.first().map_or(0, |row| row.truths.len());
        let header = std::iter::once("  key".to_owned());
        table.set_header(header.chain((1..=parts).map(|number| format!("#{number}"))));
        for row in &self.rows {
            let cells = row.truths.iter().enumerate().map(|(i, truth)| {
                match row.turned.as_ref().and_then(|turned| turned.get(i)) {
                    Some(turned) if turned != truth => format!("{truth}, turned {turned}"),
                    _ => truth.clone(),
                }
            });
            table.add_row(std::iter::once(format!("  {}", row.key)).chain(cells));
        }
        writeln!(f, "{}", trimmed(&table))?;
        let list = |keys: &[serde_json::Value]| match keys {
            [] => "no row".to_owned(),
            keys => keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        writeln!(f, "\nmatches: {}", list(&self.matching))?;
        if let Some(turned) = &self.matching_turned {
            writeln!(f, "with {}: {}", self.switches.join(", "), list(turned))?;
        }
        Ok(())
    }
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table
}

fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// The lines of a tree, drawn before each of its nodes.
fn branches(tree: &[Node]) -> Vec<String> {
    let last_of_its_parent = |index: usize| {
        let depth = tree[index].depth;
        let mut later = tree[index + 1..].iter().take_while(|node| node.depth >= depth);
        !later.any(|node| node.depth == depth)
    };
    let mut open: Vec<bool> = Vec::new();
    let mut branches = Vec::new();
    for (index, node) in tree.iter().enumerate() {
        open.truncate(node.depth.saturating_sub(1));
        let lines = open.iter().map(|open| if *open { "│  " } else { "   " });
        let mut branch: String = lines.collect();
        if node.depth > 0 {
            let last = last_of_its_parent(index);
            branch.push_str(if last { "└─ " } else { "├─ " });
            open.push(!last);
        }
        branches.push(branch);
    }
    branches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::parse;

    /// Each switch's own example is a filter that it touches.
    #[test]
    fn every_switch_is_touched_by_its_example() {
        let schema = serde_json::json!({"dynamic": true, "fields": [
            {"name": "id", "type": "INT64", "primary": true},
            {"name": "n", "type": "INT64", "nullable": true},
            {"name": "i", "type": "INT64"},
            {"name": "i8", "type": "INT8"},
            {"name": "f", "type": "FLOAT"},
            {"name": "d", "type": "DOUBLE"},
            {"name": "s", "type": "VARCHAR", "nullable": true},
            {"name": "a", "type": "ARRAY<DOUBLE>", "nullable": true},
            {"name": "j", "type": "JSON"},
            {"name": "g", "type": "GEOMETRY", "nullable": true},
            {"name": "st", "type": "ARRAY<STRUCT>", "members": [{"name": "i", "type": "INT8"}]},
        ]});
        let schema: Schema = serde_json::from_value(schema).unwrap();
        for switch in Switch::ALL.iter().filter(|it| it.changes_truth() || it.refuses()) {
            // It is about rows that are gone, whatever the filter.
            if *switch == Switch::DeadRowsAreComputed {
                continue;
            }
            let example = switch.example();
            let text = example.split_once(" on ").map_or(example, |(text, _)| text);
            let text = match switch {
                // There `a` is an integer.
                Switch::ReversedEqualityIsNegated => text.replace('a', "i"),
                Switch::DescendingRangeSwapsBounds => text.replace('a', "i"),
                _ => text.to_owned(),
            };
            let filter = parse(&text).unwrap();
            let touched = switches(&schema, &filter);
            assert!(touched.iter().any(|it| it.switch == switch.name()), "{switch}: {text}");
        }
        assert_eq!(switches(&schema, &parse("i == 1 or s like 'a%'").unwrap()), []);
    }
}
