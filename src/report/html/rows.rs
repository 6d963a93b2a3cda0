//! The expected rows beside the actual ones, with the cells that differ marked.

use std::collections::BTreeSet;

use maud::{Markup, html};

use crate::finding::Finding;
use crate::report::finding::markdown::shortened;
use crate::value::{Key, META, Row, Value};
use crate::verdict::{Actual, Expected};

/// Rows that are shown, those that differ first.
const ROWS: usize = 12;
/// Characters of a value that are shown.
const CELL: usize = 200;

/// A row in an answer.
struct Line {
    key: String,
    /// What is said of it as a whole.
    sign: &'static str,
    meaning: &'static str,
    /// Its cells, and whether they differ from the other side's; `None` if it is not there.
    cells: Option<Vec<(String, bool)>>,
}

/// Both sides; an answer that is no rows in words.
pub fn side_by_side(finding: &Finding) -> Markup {
    let rows = finding.case.rows();
    let columns = columns(finding);
    let expected = match &finding.divergence.expected {
        Expected::Rows(keys) => Some(keys.as_slice()),
        _ => None,
    };
    let actual = match &finding.divergence.actual {
        Actual::Differs { keys, .. } | Actual::Rows(keys) => Some(keys.as_slice()),
        _ => None,
    };
    let shown = shown(expected.unwrap_or_default(), actual.unwrap_or_default());
    let all: BTreeSet<&Key> =
        expected.unwrap_or_default().iter().chain(actual.unwrap_or_default()).collect();
    let change = |key: &Key, column: &str| match &finding.divergence.actual {
        Actual::Differs { diff, .. } => {
            diff.changed.iter().find(|change| change.key == *key && change.field == column)
        }
        _ => None,
    };
    let lines = |answer: &[Key], other: Option<&[Key]>, is_expected: bool| {
        let line = |key: &Key| {
            let there = answer.iter().filter(|k| *k == key).count();
            let beyond = other.map(|other| other.iter().filter(|k| *k == key).count());
            let changed = columns.iter().any(|column| change(key, column).is_some());
            let (sign, meaning) = match (there, beyond) {
                (0, _) => ("", "not in this answer"),
                // The other side has no rows to compare with.
                (_, None) => ("", ""),
                (_, Some(0)) if is_expected => ("−", "missing in the actual answer"),
                (_, Some(0)) => ("+", "not expected"),
                (n, Some(m)) if n > m && !is_expected => ("+", "returned more often than once"),
                _ if changed => ("≠", "another value"),
                _ => ("=", "the same"),
            };
            let whole = matches!(sign, "−" | "+");
            let cells = (there > 0).then(|| {
                let cell = |column: &String| {
                    let change = change(key, column);
                    let text = match (change, is_expected) {
                        (Some(change), true) => change.expected.to_string(),
                        (Some(change), false) => change.actual.to_string(),
                        (None, _) => rows
                            .get(key)
                            .map_or_else(|| "?".to_owned(), |row| value(row, column).to_string()),
                    };
                    (shortened(&text, CELL), change.is_some() || whole)
                };
                columns.iter().map(cell).collect()
            });
            Line { key: shortened(&key.to_string(), 40), sign, meaning, cells }
        };
        shown.iter().map(|key| line(key)).collect::<Vec<_>>()
    };
    let hidden = all.len() - shown.len();
    html! {
        div.sides {
            div {
                h3 { "Expected" }
                @match expected {
                    Some(keys) => (answer(&columns, &lines(keys, actual, true))),
                    None => pre { (finding.divergence.expected) },
                }
            }
            div {
                h3 { "Actual" }
                @match actual {
                    Some(keys) => (answer(&columns, &lines(keys, expected, false))),
                    None => pre { (finding.divergence.actual) },
                }
                @if let Actual::Differs { diff, .. } = &finding.divergence.actual {
                    @if diff.keyless > 0 { p { "Rows without a primary key: " (diff.keyless) } }
                }
            }
        }
        @if hidden > 0 { p.quiet { (hidden) " more rows are in the case file." } }
    }
}

/// The key, then what differs, then the other fields but vectors, whose values say something only
/// if they differ.
fn columns(finding: &Finding) -> Vec<String> {
    let schema = &finding.case.schema;
    let changed = |name: &str| match &finding.divergence.actual {
        Actual::Differs { diff, .. } => diff.changed.iter().any(|change| change.field == name),
        _ => false,
    };
    let fields = schema.fields.iter().filter(|field| !field.is_vector() || changed(&field.name));
    let fields = fields.map(|field| (field.name.as_str(), field.primary));
    let mut columns: Vec<(&str, bool)> =
        fields.chain(schema.dynamic.then_some((META, false))).collect();
    columns.sort_by_key(|(name, primary)| (!primary, !changed(name)));
    columns.into_iter().map(|(name, _)| name.to_owned()).collect()
}

fn value(row: &Row, column: &str) -> Value {
    match column {
        META => Value::Json(serde_json::Value::Object(row.dynamic.clone())),
        column => row.get(column).clone(),
    }
}

/// The rows of either answer, those that are in one alone first.
fn shown<'a>(expected: &'a [Key], actual: &'a [Key]) -> Vec<&'a Key> {
    let one = expected.iter().filter(|key| !actual.contains(key));
    let other = actual.iter().filter(|key| !expected.contains(key));
    let both = expected.iter().filter(|key| actual.contains(key));
    let mut keys: Vec<&Key> = Vec::new();
    for key in one.chain(other).chain(both) {
        if keys.len() < ROWS && !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys.sort();
    keys
}

fn answer(columns: &[String], lines: &[Line]) -> Markup {
    html! {
        @if lines.is_empty() {
            p { "no row" }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Rows" {
                table {
                    thead { tr {
                        th scope="col" { span.hidden { "Difference" } }
                        @for column in columns { th scope="col" { code { (column) } } }
                    } }
                    tbody { @for line in lines { tr { (row(columns, line)) } } }
                }
            }
        }
    }
}

fn row(columns: &[String], line: &Line) -> Markup {
    html! {
        td.sign title=[Some(line.meaning).filter(|meaning| !meaning.is_empty())] {
            span aria-hidden="true" { (line.sign) }
            span.hidden { (line.meaning) }
        }
        @match &line.cells {
            None => td.absent colspan=(columns.len()) { "no row " (line.key) },
            Some(cells) => @for (text, differs) in cells {
                td class=[breadth(text)] { @if *differs { mark { (text) } } @else { (text) } }
            },
        }
    }
}

/// Long values break anywhere, and would else be as narrow as a letter beside longer ones.
fn breadth(text: &str) -> Option<&'static str> {
    match text.chars().count() {
        0..8 => None,
        8..24 => Some("broad"),
        _ => Some("broader"),
    }
}
