//! How a filter comes to its truth value, part by part, on the rows that matter.

use super::markdown::{code, shortened, table};
use crate::filter::{Expr, Function, Semantics, Truth, evaluate};
use crate::finding::Finding;
use crate::value::Key;
use crate::verdict::{Actual, Expected};

/// Rows in a trace, those that differ first.
const ROWS: usize = 5;
/// Parts of the filter in a trace, the outermost first.
const PARTS: usize = 12;

/// The truth of a filter's parts on some rows, and the answers beside it.
pub struct Trace {
    /// The rows.
    pub keys: Vec<Key>,
    /// Each part, the whole last, with what it is on each row: true, false, unknown, or why it has
    /// no truth.
    pub parts: Vec<(String, Vec<String>)>,
    /// How often the row is in the expected answer and in the actual one, where these are rows.
    pub answers: Vec<(&'static str, Vec<String>)>,
}

/// The trace of a finding; `None` without a filter or rows.
pub fn trace(finding: &Finding) -> Option<Trace> {
    let check = finding.case.checks.first()?;
    let filter = check.filter()?;
    let rows = finding.case.rows_asked(check);
    let keys = keys_that_matter(finding, rows.keys());
    if keys.is_empty() {
        return None;
    }
    let mut all = Vec::new();
    predicates(filter, &mut all);
    all.truncate(PARTS);
    let semantics = Semantics::canonical();
    let parts = all.into_iter().rev().map(|part| {
        let truths = keys.iter().filter_map(|key| rows.get(key)).map(|row| {
            match evaluate(part, &finding.case.schema, row, semantics) {
                Ok(Truth::True) => "true".to_owned(),
                Ok(Truth::False) => "false".to_owned(),
                Ok(Truth::Unknown) => "unknown".to_owned(),
                Err(undefined) => undefined.to_string(),
            }
        });
        (part.to_string(), truths.collect())
    });
    let parts = parts.collect();
    let mut answers = Vec::new();
    let mut answer = |name: &'static str, answered: &[Key]| {
        let cells = keys.iter().map(|key| match answered.iter().filter(|k| *k == key).count() {
            0 => "not returned".to_owned(),
            1 => "returned".to_owned(),
            times => format!("returned {times} times"),
        });
        answers.push((name, cells.collect::<Vec<_>>()));
    };
    if let Expected::Rows(expected) = &finding.divergence.expected {
        answer("expected", expected);
    }
    if let Actual::Differs { keys: actual, .. } = &finding.divergence.actual {
        answer("actual", actual);
    }
    Some(Trace { keys, parts, answers })
}

impl Trace {
    /// As a table of Markdown.
    pub(super) fn markdown(self) -> String {
        let row = |key: &Key| format!("row {}", code(&shortened(&key.to_string(), 40)));
        let header: Vec<String> =
            std::iter::once(String::new()).chain(self.keys.iter().map(row)).collect();
        let parts = self.parts.into_iter().map(|(part, truths)| (code(&part), truths));
        let answers = self.answers.into_iter().map(|(name, cells)| (format!("**{name}**"), cells));
        let line = |(name, cells): (String, Vec<String>)| {
            std::iter::once(name).chain(cells).collect::<Vec<_>>()
        };
        table(&header, &parts.chain(answers).map(line).collect::<Vec<_>>())
    }
}

fn keys_that_matter<'a>(finding: &'a Finding, all: impl Iterator<Item = &'a Key>) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    let all: Vec<&Key> = all.collect();
    let mut add = |key: &Key| {
        if keys.len() < ROWS && all.contains(&key) && !keys.contains(key) {
            keys.push(key.clone());
        }
    };
    if let Actual::Differs { diff, .. } = &finding.divergence.actual {
        diff.missing.iter().chain(&diff.extra).for_each(&mut add);
        diff.changed.iter().for_each(|change| add(&change.key));
    }
    if let Expected::Rows(expected) = &finding.divergence.expected {
        expected.iter().for_each(&mut add);
    }
    all.iter().copied().for_each(add);
    keys.sort();
    keys
}

/// The predicates that are true or false of a row, each before its parts.
fn predicates<'a>(part: &'a Expr, all: &mut Vec<&'a Expr>) {
    if is_predicate(part) && !all.contains(&part) {
        all.push(part);
    }
    // What is asked of elements has a truth on each of them.
    if !matches!(part, Expr::Elements { .. }) {
        part.children().into_iter().for_each(|child| predicates(child, all));
    }
}

fn is_predicate(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(_) | Expr::Field(_) | Expr::Unary { .. } => false,
        Expr::Binary { op, .. } => op.is_logical() || op.is_comparison(),
        Expr::Call { function, .. } => *function != Function::ArrayLength,
        _ => true,
    }
}
