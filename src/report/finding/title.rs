//! One line that says what is wrong.

use super::literal::is_legible;
use super::markdown::{code, shortened};
use crate::case::{Case, Check, Operation, Relation};
use crate::finding::Finding;
use crate::verdict::{Actual, Class, Divergence, Expected};

/// A piece of a title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Plain words.
    Words(String),
    /// Something of the filter language, or a name.
    Code(String),
}

/// The finding in one line of Markdown: ``MissingRows: `f == 0.1` misses 1 row``.
pub fn title(finding: &Finding) -> String {
    let pieces = pieces(finding).into_iter().map(|piece| match piece {
        Piece::Words(words) => words,
        Piece::Code(text) => code(&text),
    });
    pieces.collect()
}

/// The same for readers that know no Markdown: backticks alone.
pub fn plain(finding: &Finding) -> String {
    let pieces = pieces(finding).into_iter().map(|piece| match piece {
        Piece::Words(words) => words,
        Piece::Code(text) => format!("`{text}`"),
    });
    pieces.collect()
}

/// What is wrong in a history.
fn step(finding: &Finding) -> String {
    let Case { operations, checks, .. } = &finding.case;
    let last = operations.iter().rev().find(|operation| !matches!(operation, Operation::Ask(_)));
    let step = match (checks.first(), last) {
        (Some(Check::Agree { relation: Relation::After(step), .. }), _) => Some(step),
        (_, Some(Operation::Maintain(step))) => Some(step),
        _ => None,
    };
    match (&finding.divergence.expected, step) {
        (Expected::CarriedOut, Some(step)) => format!("to {step}"),
        (Expected::CarriedOut, None) => "a step of maintenance".to_owned(),
        _ => "a write".to_owned(),
    }
}

/// The same in pieces, for any markup.
pub fn pieces(finding: &Finding) -> Vec<Piece> {
    const SHOWN: usize = 80;
    let divergence = &finding.divergence;
    let written = divergence.expected.is_of_history();
    let check = finding.case.checks.first();
    let filter = check.and_then(Check::spelled);
    let words = |text: &str| vec![Piece::Words(text.to_owned())];
    let searches = matches!(check.map(Check::plain), Some(Check::Search { .. })) && !written;
    let subject = match filter {
        _ if searches => Piece::Words("a search".to_owned()),
        Some(filter) if !written => Piece::Code(shortened(&legible(&filter.to_string()), SHOWN)),
        None if !written && matches!(check.map(Check::plain), Some(Check::CountAll)) => {
            Piece::Code("count(*)".to_owned())
        }
        None if !written => Piece::Words("reading all rows back".to_owned()),
        _ => Piece::Words(step(finding)),
    };
    let symptom = match divergence.class {
        Class::MissingRows if searches => words("misses a nearer row"),
        Class::ExtraRows if searches => words("returns a row that it must not"),
        Class::WrongValue if searches => words("has wrong scores or another order"),
        Class::MissingRows | Class::ExtraRows | Class::WrongValue => differences(divergence),
        Class::WrongCount => match (&divergence.expected, &divergence.actual) {
            (Expected::Count(expected), Actual::Count(actual)) => {
                words(&format!("counts {actual}, not {expected}"))
            }
            _ => words("is counted wrongly"),
        },
        Class::WronglyRejected => words("is refused"),
        Class::WronglyAccepted => match divergence.actual {
            Actual::Differs { .. } => [words("is accepted and "), differences(divergence)].concat(),
            _ => words("is accepted"),
        },
        Class::Crash => words("ends the engine"),
        Class::Hang => words("is not answered in time"),
        Class::SelfInconsistent if written => words("is neither carried out nor left undone"),
        Class::SelfInconsistent => words("is answered in two ways"),
        Class::ReferenceConflict => words("divides the references"),
    };
    let class = Piece::Words(format!("{}: ", divergence.class));
    let space = match check.map(Check::scope) {
        Some(scope) if !written && !scope.is_whole() => Piece::Words(format!(" {scope} ")),
        _ => Piece::Words(" ".to_owned()),
    };
    [class, subject, space].into_iter().chain(symptom).collect()
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

fn differences(divergence: &Divergence) -> Vec<Piece> {
    let words = |text: &str| Piece::Words(text.to_owned());
    let Actual::Differs { diff, .. } = &divergence.actual else {
        return vec![words("gives an unreadable answer")];
    };
    let rows = |count: usize| if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
    let mut parts = Vec::new();
    if !diff.missing.is_empty() {
        parts.push(format!("misses {}", rows(diff.missing.len())));
    }
    let extra = diff.extra.len() + diff.keyless;
    if extra > 0 {
        parts.push(format!("returns {} too many", rows(extra)));
    }
    if !parts.is_empty() {
        return vec![Piece::Words(parts.join(" and "))];
    }
    let mut fields: Vec<&String> = diff.changed.iter().map(|change| &change.field).collect();
    fields.sort();
    fields.dedup();
    let mut pieces = vec![words("gives another ")];
    for (i, field) in fields.into_iter().enumerate() {
        pieces.extend((i > 0).then(|| words(", ")));
        pieces.push(Piece::Code(field.clone()));
    }
    pieces.push(words(" than was written"));
    pieces
}
