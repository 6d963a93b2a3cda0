//! What a check reached: on what ground, and to what end.

use std::collections::BTreeSet;

use crate::apply::Situation;
use crate::case::Check;
use crate::filter::grammar::{Cell, Operand, cells};
use crate::milvus::code_in;
use crate::schema::Schema;
use crate::verdict::{Actual, Class, Divergence, Expected, Verdict};

/// How many rows a check was to find, where the verdict says so.
pub(super) fn matched(verdict: &Verdict) -> Option<usize> {
    match verdict {
        Verdict::Pass { matched, .. } => Some(*matched),
        Verdict::Divergence(divergence) => match &divergence.expected {
            Expected::Rows(keys) => Some(keys.len()),
            Expected::Count(count) => usize::try_from(*count).ok(),
            Expected::Accepted | Expected::CarriedOut | Expected::Refused | Expected::Agreement => {
                None
            }
        },
        _ => None,
    }
}

/// Whether the engine refused what it should answer.
pub(super) fn is_refused(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Divergence(divergence) => divergence.class == Class::WronglyRejected,
        Verdict::Unsupported(_) => true,
        _ => false,
    }
}

/// The combinations that a check reached, as text: a cell of the grammar, the kind of index on what
/// it is about, where the rows are, and how many of them match or how the engine failed; as
/// `add on INT8? | INVERTED | sealed | some`.
pub(super) fn reached(
    schema: &Schema,
    check: &Check,
    verdict: &Verdict,
    situation: &Situation,
    rows: usize,
) -> BTreeSet<String> {
    let (Some(filter), Some(outcome)) = (check.spelled(), outcome(verdict, rows)) else {
        return BTreeSet::new();
    };
    let mut indexed: Vec<(Operand, &str)> = Vec::new();
    filter.expr.for_each_path(&mut |path| {
        if let Some(kind) = situation.index_of(&path.root)
            && let Some(operand) = Operand::of(schema, path)
        {
            indexed.push((operand, kind));
        }
    });
    let index = |cell: &Cell| {
        let of = |(operand, _): &&(Operand, &str)| Some(*operand) == cell.operand;
        indexed.iter().find(of).map_or("no index", |(_, kind)| *kind)
    };
    let all = cells(schema, filter).into_iter();
    all.map(|cell| format!("{cell} | {} | {situation} | {outcome}", index(&cell))).collect()
}

/// `None` where nothing was learned.
fn outcome(verdict: &Verdict, rows: usize) -> Option<String> {
    match verdict {
        Verdict::Pass { matched, .. } => Some(share(*matched, rows).to_owned()),
        Verdict::Divergence(divergence) => Some(failure(divergence)),
        Verdict::Inconclusive(_) | Verdict::Unsupported(_) => None,
    }
}

/// How selective a filter is.
fn share(matched: usize, rows: usize) -> &'static str {
    match (matched, rows) {
        (0, _) => "none",
        (matched, rows) if matched >= rows => "all",
        (matched, rows) if matched * 10 <= rows => "few",
        (matched, rows) if matched * 10 >= rows * 9 => "most",
        _ => "some",
    }
}

fn failure(divergence: &Divergence) -> String {
    match &divergence.actual {
        Actual::Error(text) => match code_in(text) {
            Some(code) => format!("{} {code}", divergence.class),
            None => divergence.class.to_string(),
        },
        _ => divergence.class.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Filter;
    use crate::schema::{DataType, Field, Scalar};
    use crate::verdict::Judges;

    #[test]
    fn combinations_read_well() {
        let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
        let schema = Schema { fields: vec![id], dynamic: false };
        let check = Check::Query(Filter::parse("id + 1 == 2").unwrap());
        let of = |verdict: &Verdict| -> Vec<String> {
            let nowhere = Situation::default();
            reached(&schema, &check, verdict, &nowhere, 20).into_iter().collect()
        };
        let pass = |matched| Verdict::Pass { matched, judges: Judges::Both };
        assert_eq!(of(&pass(2)), ["add on INT64 | no index | empty | few"]);
        for (matched, says) in [(0, "none"), (3, "some"), (18, "most"), (20, "all")] {
            assert!(of(&pass(matched))[0].ends_with(&format!("| {says}")));
        }
        let refused = Verdict::Divergence(Box::new(Divergence {
            class: Class::WronglyRejected,
            expected: Expected::Rows(Vec::new()),
            actual: Actual::Error("milvus rejected query: no (code 1100)".to_owned()),
            judges: Judges::Both,
        }));
        assert_eq!(of(&refused), ["add on INT64 | no index | empty | WronglyRejected 1100"]);
    }
}
