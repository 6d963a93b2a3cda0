//! A matrix as a person reads it, as Markdown, and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::ValueEnum;
use comfy_table::Table;
use comfy_table::presets::{ASCII_MARKDOWN, NOTHING};
use serde_json::{Value as Json, json};

use crate::campaign::{Matrix, MatrixRow, Outcome};

/// The form of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Form {
    /// A table for a terminal; questions that every engine answers rightly are only counted.
    #[default]
    Text,
    /// The same in Markdown.
    Markdown,
    /// Every question, with reasons; `docs/matrix.md` describes the keys.
    Json,
}

/// Characters of one question that are shown in a table.
const SHOWN: usize = 60;

/// A matrix in one of the forms.
pub fn render(matrix: &Matrix, form: Form) -> String {
    match form {
        Form::Text | Form::Markdown => table(matrix, form),
        Form::Json => to_json(matrix).to_string() + "\n",
    }
}

/// What an outcome is called.
pub fn word(outcome: Option<&Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Pass) => "PASS",
        Some(Outcome::Fail(_)) => "FAIL",
        Some(Outcome::Known { .. }) => "KNOWN",
        Some(Outcome::Conflict(_)) => "CONFLICT",
        Some(Outcome::Inconclusive(_)) => "INCONCLUSIVE",
        Some(Outcome::Unsupported(_)) => "UNSUPPORTED",
        None => "NOT ASKED",
    }
}

fn table(matrix: &Matrix, form: Form) -> String {
    let mut notes = Notes::default();
    let mut table = Table::new();
    table.load_style(if form == Form::Markdown { ASCII_MARKDOWN } else { NOTHING });
    let engines = matrix.engines.iter().map(|engine| engine.name.clone());
    let head = ["case".to_owned(), "asked".to_owned()].into_iter().chain(engines);
    table.set_header(head.chain(["first good".to_owned(), "first bad".to_owned()]));
    let mut shown = 0;
    for row in &matrix.rows {
        let passes = |outcome: &Option<Outcome>| matches!(outcome, Some(Outcome::Pass));
        if row.outcomes.iter().all(passes) {
            continue;
        }
        shown += 1;
        let mut cells = vec![escaped(&row.name, form), quoted(&row.question, form)];
        cells.extend(row.outcomes.iter().map(|outcome| notes.cell(outcome.as_ref())));
        for first in [matrix.first_good(row), matrix.first_bad(row)] {
            cells.push(first.map_or("-", |engine| engine.version.as_str()).to_owned());
        }
        table.add_row(cells);
    }
    let mut text = String::new();
    // Writing to a string cannot fail.
    if shown > 0 {
        let lines = table.to_string();
        let lines: Vec<&str> = lines.lines().map(str::trim_end).collect();
        let _ = writeln!(text, "{}\n", lines.join("\n"));
    }
    let left = matrix.rows.len() - shown;
    if left > 0 {
        let _ = writeln!(text, "{left} of {} pass on every engine\n", matrix.rows.len());
    }
    text + &notes.to_string(form) + &figures(matrix, form)
}

/// How often each engine came to what.
fn figures(matrix: &Matrix, form: Form) -> String {
    let mut text = String::new();
    for (i, engine) in matrix.engines.iter().enumerate() {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for row in &matrix.rows {
            *counts.entry(word(row.outcomes.get(i).and_then(Option::as_ref))).or_default() += 1;
        }
        let counts: Vec<String> =
            counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
        let bullet = if form == Form::Markdown { "- " } else { "" };
        let _ =
            writeln!(text, "{bullet}{} ({}): {}", engine.name, engine.version, counts.join(", "));
        if let Some(error) = &engine.error {
            let _ = writeln!(text, "  lost: {error}");
        }
    }
    text
}

/// What stands below the table, by number.
#[derive(Default)]
struct Notes(Vec<String>);

impl Notes {
    fn cell(&mut self, outcome: Option<&Outcome>) -> String {
        let word = word(outcome);
        match outcome {
            Some(Outcome::Fail(divergence)) => format!("{word} {}", divergence.class),
            Some(Outcome::Known { titles, .. }) => {
                let numbers = titles.iter().map(|title| self.number(title));
                format!("{word} [{}]", numbers.collect::<Vec<_>>().join("] ["))
            }
            Some(Outcome::Inconclusive(reason) | Outcome::Unsupported(reason)) => {
                format!("{word} [{}]", self.number(reason))
            }
            _ => word.to_owned(),
        }
    }

    fn number(&mut self, note: &str) -> String {
        let at = self.0.iter().position(|other| other == note).unwrap_or_else(|| {
            self.0.push(note.to_owned());
            self.0.len() - 1
        });
        (at + 1).to_string()
    }

    fn to_string(&self, form: Form) -> String {
        let mut text = String::new();
        for (i, note) in self.0.iter().enumerate() {
            let end = if form == Form::Markdown { "  " } else { "" };
            let _ = writeln!(text, "[{}] {}{end}", i + 1, escaped(note, form));
        }
        if self.0.is_empty() { text } else { text + "\n" }
    }
}

fn escaped(text: &str, form: Form) -> String {
    match form {
        Form::Markdown => text.replace('|', "\\|"),
        _ => text.to_owned(),
    }
}

fn quoted(question: &str, form: Form) -> String {
    let mut question: String = question.chars().flat_map(visible).collect();
    if question.chars().count() > SHOWN {
        question = question.chars().take(SHOWN - 1).collect::<String>() + "…";
    }
    match form {
        Form::Markdown => format!("`{}`", escaped(&question.replace('`', "'"), form)),
        _ => question,
    }
}

/// A character that cannot break a line or garble a terminal.
fn visible(c: char) -> Vec<char> {
    if c.is_control() { c.escape_unicode().collect() } else { vec![c] }
}

/// A matrix for programs.
pub fn to_json(matrix: &Matrix) -> Json {
    let engines: Vec<Json> = matrix
        .engines
        .iter()
        .map(|it| json!({"name": it.name, "version": it.version, "error": it.error}))
        .collect();
    let rows: Vec<Json> = matrix.rows.iter().map(|row| row_json(matrix, row)).collect();
    json!({"format": "milvus-difftest/matrix", "version": 1, "engines": engines, "rows": rows})
}

fn row_json(matrix: &Matrix, row: &MatrixRow) -> Json {
    let outcomes = row.outcomes.iter().map(|outcome| {
        let word = word(outcome.as_ref()).to_lowercase().replace(' ', "_");
        match outcome {
            Some(
                Outcome::Fail(divergence)
                | Outcome::Conflict(divergence)
                | Outcome::Known { divergence, .. },
            ) => {
                let mut entry = json!({
                    "outcome": word,
                    "class": divergence.class.to_string(),
                    "expected": divergence.expected.to_string(),
                    "actual": divergence.actual.to_string(),
                });
                if let Some(Outcome::Known { titles, .. }) = outcome {
                    entry["known"] = titles.clone().into();
                }
                entry
            }
            Some(Outcome::Inconclusive(reason) | Outcome::Unsupported(reason)) => {
                json!({"outcome": word, "reason": reason})
            }
            Some(Outcome::Pass) | None => json!({"outcome": word}),
        }
    });
    let version = |column: Option<&crate::campaign::Column>| column.map(|it| it.version.clone());
    json!({
        "case": row.name,
        "asked": row.question,
        "outcomes": outcomes.collect::<Vec<_>>(),
        "first_good": version(matrix.first_good(row)),
        "first_bad": version(matrix.first_bad(row)),
    })
}
