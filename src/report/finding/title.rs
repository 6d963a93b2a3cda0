//! One line that says what is wrong.

use std::fmt::Write as _;

use super::literal::is_legible;
use super::markdown::{code, shortened};
use crate::finding::Finding;
use crate::verdict::{Actual, Class, Divergence, Expected};

/// The finding in one line of Markdown: ``MissingRows: `f == 0.1` misses 1 row``.
pub fn title(finding: &Finding) -> String {
    const SHOWN: usize = 80;
    let divergence = &finding.divergence;
    let written = matches!(divergence.expected, Expected::Accepted);
    let filter = finding.case.checks.first().and_then(|check| check.spelled());
    let subject = match filter {
        Some(filter) if !written => code(&shortened(&legible(&filter.to_string()), SHOWN)),
        None if !written => "reading all rows back".to_owned(),
        _ => "a write".to_owned(),
    };
    let symptom = match divergence.class {
        Class::MissingRows | Class::ExtraRows | Class::WrongValue => differences(divergence),
        Class::WrongCount => match (&divergence.expected, &divergence.actual) {
            (Expected::Count(expected), Actual::Count(actual)) => {
                format!("counts {actual}, not {expected}")
            }
            _ => "is counted wrongly".to_owned(),
        },
        Class::WronglyRejected => "is refused".to_owned(),
        Class::WronglyAccepted => match divergence.actual {
            Actual::Differs { .. } => format!("is accepted and {}", differences(divergence)),
            _ => "is accepted".to_owned(),
        },
        Class::Crash => "ends the engine".to_owned(),
        Class::Hang => "is not answered in time".to_owned(),
        Class::SelfInconsistent => "is answered in two ways".to_owned(),
        Class::ReferenceConflict => "divides the references".to_owned(),
    };
    format!("{}: {subject} {symptom}", divergence.class)
}

/// Titles stand in terminals and in comments of source code, which invisible characters would
/// garble.
fn legible(text: &str) -> String {
    let mut legible = String::new();
    for c in text.chars() {
        if c == ' ' || c.is_ascii_graphic() || is_legible(c) {
            legible.push(c);
        } else {
            legible.extend(c.escape_unicode());
        }
    }
    legible
}

fn differences(divergence: &Divergence) -> String {
    let Actual::Differs { diff, .. } = &divergence.actual else {
        return "gives an unreadable answer".to_owned();
    };
    let rows = |count: usize| if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
    let mut text = String::new();
    // Writing to a string cannot fail.
    if !diff.missing.is_empty() {
        let _ = write!(text, "misses {}", rows(diff.missing.len()));
    }
    let extra = diff.extra.len() + diff.keyless;
    if extra > 0 {
        let and = if text.is_empty() { "" } else { " and " };
        let _ = write!(text, "{and}returns {} too many", rows(extra));
    }
    if text.is_empty() {
        let mut fields: Vec<String> = diff.changed.iter().map(|c| code(&c.field)).collect();
        fields.sort();
        fields.dedup();
        let _ = write!(text, "gives another {} than was written", fields.join(", "));
    }
    text
}
