//! A failing case as lines for a terminal.

use std::fmt::Write as _;

use crate::case::{Case, Check, Operation};
use crate::schema::{Field, Schema};
use crate::value::{Key, Row};
use crate::verdict::Divergence;

/// Characters of one line that are shown; the kept case has all of them.
const SHOWN: usize = 400;
/// Rows of one operation that are shown.
const ROWS: usize = 10;

/// Schema, writes, question, and both answers, a line each.
pub(super) fn told(case: &Case, divergence: &Divergence) -> String {
    let mut text = String::new();
    let mut line = |word: &str, what: &str| {
        let shown: String = what.lines().next().unwrap_or_default().chars().take(SHOWN).collect();
        let more = if shown.len() < what.len() { " …" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {word:<9} {shown}{more}");
    };
    line("schema", &schema(&case.schema));
    for operation in &case.operations {
        if let Some(partition) = operation.partition() {
            line(if operation.deletes() { "in" } else { "into" }, partition);
        }
        match operation.plain() {
            Operation::Insert(rows) => written("insert", rows, &mut line),
            Operation::Upsert(rows) => written("upsert", rows, &mut line),
            Operation::Delete(keys) => {
                let keys: Vec<String> = keys.iter().map(Key::to_string).collect();
                line("delete", &keys.join(", "));
            }
            Operation::Patch(rows) => written("patch", rows, &mut line),
            Operation::DeleteWhere(filter) => line("delete", &format!("where {filter}")),
            Operation::AddField(name) => line("add", &format!("field {name}")),
            Operation::CreateAlias(name) => line("create", &format!("alias {name}")),
            Operation::AlterAlias { alias, elsewhere } => {
                let place = if *elsewhere { "elsewhere" } else { "back" };
                line("alter", &format!("alias {alias}, {place}"));
            }
            Operation::DropAlias(name) => line("drop", &format!("alias {name}")),
            Operation::CreatePartition(name) => line("create", &format!("partition {name}")),
            Operation::DropPartition(name) => line("drop", &format!("partition {name}")),
            Operation::Into { .. } => {}
            Operation::Recreate => line("recreate", ""),
            Operation::Maintain(step) => line("do", &step.to_string()),
            Operation::Ask(check) => line("ask", &check.to_string()),
        }
    }
    for check in &case.checks {
        let (word, note) = match check.plain() {
            Check::Entities => ("read", "all rows".to_owned()),
            Check::Query(_) | Check::QueryOrRefusal(_) => ("query", String::new()),
            Check::Count(_) | Check::In { .. } => ("count", String::new()),
            Check::CountAll => ("count", "all rows".to_owned()),
            Check::Page { limit, offset, .. } => {
                ("page", format!(", limit {limit}, offset {offset}"))
            }
            Check::Refused(_) => ("refuse", String::new()),
            Check::Agree { relation, .. } => ("query", format!(", {relation}")),
            Check::Search { .. } => ("search", format!(": {check}")),
        };
        let filter = check.spelled().map(ToString::to_string).unwrap_or_default();
        let part = match check.scope() {
            scope if scope.is_whole() => String::new(),
            scope => format!(" {scope}"),
        };
        line(word, &format!("{filter}{note}{part}"));
    }
    line("expected", &divergence.expected.to_string());
    line("got", &divergence.actual.to_string());
    text
}

/// `1 case`, `2 cases`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn written(word: &str, rows: &[Row], line: &mut impl FnMut(&str, &str)) {
    for row in rows.iter().take(ROWS) {
        line(word, &row.to_json().to_string());
    }
    if rows.len() > ROWS {
        line("", &format!("and {}", counted((rows.len() - ROWS) as u64, "more row")));
    }
}

fn schema(schema: &Schema) -> String {
    let field = |field: &Field| {
        let mut text = format!("{} {}", field.name, field.data_type);
        let flags = [
            (field.primary, " primary key"),
            (field.auto_id, " assigned by the engine"),
            (field.partition_key, " partition key"),
            (field.nullable, " nullable"),
        ];
        text.extend(flags.into_iter().filter_map(|(is, flag)| is.then_some(flag)));
        if let Some(default) = &field.default {
            text += &format!(" default {default}");
        }
        text
    };
    let mut fields: Vec<String> = schema.fields.iter().map(field).collect();
    fields.extend(schema.dynamic.then(|| "dynamic field".to_owned()));
    fields.join(", ")
}
