//! Rows, and what differs between two sides, for people and for programs.

use clap::ValueEnum;
use comfy_table::Table;
use comfy_table::presets::{ASCII_MARKDOWN, UTF8_BORDERS_ONLY};

use crate::compare::Diff;
use crate::schema::Schema;
use crate::value::{META, Row, Value};

/// The form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Form {
    /// A table for a terminal; long values are shortened.
    #[default]
    Table,
    /// JSON.
    Json,
    /// Comma-separated values, with a header.
    Csv,
    /// A table in Markdown.
    Markdown,
}

/// Values beyond this are shortened in tables, in characters.
const LONGEST: usize = 60;

/// A table with a header, in one of the forms but [`Form::Json`].
pub fn table(form: Form, header: &[String], lines: &[Vec<String>]) -> String {
    if form == Form::Csv {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| csv_cell(cell)).collect();
            cells.join(",") + "\n"
        };
        return [header].into_iter().chain(lines.iter().map(Vec::as_slice)).map(line).collect();
    }
    let mut table = Table::new();
    table.load_style(if form == Form::Markdown { ASCII_MARKDOWN } else { UTF8_BORDERS_ONLY });
    table.set_header(header.to_vec());
    for line in lines {
        let cells = line.iter().map(|cell| match form {
            Form::Markdown => cell.replace('|', "\\|"),
            _ => shortened(cell),
        });
        table.add_row(cells.collect::<Vec<_>>());
    }
    let text = table.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

/// Rows with a column for each field, and the dynamic field as JSON. Some may have a first column of
/// their own.
pub fn rows<'a>(
    form: Form,
    schema: &Schema,
    first: Option<&str>,
    rows: impl IntoIterator<Item = (&'a str, &'a Row)>,
) -> String {
    let names = schema.fields.iter().map(|field| field.name.clone());
    let header: Vec<String> = first
        .map(str::to_owned)
        .into_iter()
        .chain(names)
        .chain(schema.dynamic.then(|| META.to_owned()))
        .collect();
    let mut lines = Vec::new();
    for (label, row) in rows {
        let mut line: Vec<String> = first.map(|_| label.to_owned()).into_iter().collect();
        line.extend(schema.fields.iter().map(|field| cell(row.get(&field.name))));
        if schema.dynamic {
            line.push(serde_json::Value::Object(row.dynamic.clone()).to_string());
        }
        lines.push(line);
    }
    table(form, &header, &lines)
}

/// A line for each difference.
pub fn diff(form: Form, diff: &Diff) -> String {
    let header = ["key", "difference", "backend", "milvus"].map(str::to_owned);
    let whole = |key: &crate::value::Key, what: &str| {
        vec![key.to_string(), what.to_owned(), String::new(), String::new()]
    };
    let mut lines: Vec<Vec<String>> = Vec::new();
    lines.extend(diff.missing.iter().map(|key| whole(key, "missing in Milvus")));
    lines.extend(diff.extra.iter().map(|key| whole(key, "only in Milvus")));
    lines.extend(diff.changed.iter().map(|change| {
        let (expected, actual) = (cell(&change.expected), cell(&change.actual));
        vec![change.key.to_string(), change.field.clone(), expected, actual]
    }));
    table(form, &header, &lines)
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Text(text) => text.clone(),
        value => value.to_json().to_string(),
    }
}

fn shortened(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Quoted as RFC 4180 says, where it must be.
fn csv_cell(text: &str) -> String {
    match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_shortened_or_escaped_as_the_form_wants() {
        let header = ["a".to_owned(), "b".to_owned()];
        let lines = [vec!["say \"hi\", you".to_owned(), "x|y".repeat(30)]];
        let csv = table(Form::Csv, &header, &lines);
        assert!(csv.starts_with("a,b\n\"say \"\"hi\"\", you\",x|yx|y"), "{csv}");
        let markdown = table(Form::Markdown, &header, &lines);
        assert!(markdown.contains("x\\|yx\\|y"), "{markdown}");
        let text = table(Form::Table, &header, &lines);
        assert!(text.contains('…') && !text.contains(&lines[0][1]), "{text}");
    }
}
