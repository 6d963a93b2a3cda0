//! The reference oracle: the target's answer against the rows that the model and the reference
//! database agree on.
//!
//! Applies to every check whose filter the documentation gives a meaning on every row. Inconclusive
//! where it does not (overflow, results beyond the finite range), and where the target answers
//! differently when asked again.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::apply::{Applied, ApplyError, Conflict};
use crate::case::Check;
use crate::compare::Diff;
use crate::filter::{Expr, Semantics, Truth, evaluate};
use crate::milvus::{Consistency, MilvusError};
use crate::value::{Key, Row};
use crate::verdict::{Actual, Class, Divergence, Doubt, Expected, Verdict};

pub(crate) async fn judge(
    applied: &mut Applied<'_, '_>,
    check: &Check,
) -> Result<Verdict, ApplyError> {
    let keys = match check.filter() {
        None => applied.rows.keys().cloned().collect(),
        Some(filter) => match matching(applied, filter) {
            Ok(keys) => keys,
            Err(reason) => return Ok(Verdict::Inconclusive(Doubt::Undefined(reason))),
        },
    };
    if let Some(filter) = check.filter() {
        let mut answer = applied.sides.backend.query(&applied.table, filter).await?;
        answer.sort();
        if answer != keys {
            let backend = applied.sides.backend.name();
            let text = format!(
                "on `{filter}` the model finds {}, {backend} {}",
                Expected::Rows(keys),
                Expected::Rows(answer)
            );
            return Err(ApplyError::Conflict(Conflict { check: Some(check.clone()), text }));
        }
    }
    let Some(first) = ask(applied, check, &keys, Consistency::Eventually).await? else {
        return Ok(Verdict::Pass { matched: keys.len() });
    };
    // A mismatch must repeat, the second time with every write surely visible.
    match ask(applied, check, &keys, Consistency::Strong).await? {
        Some(second) if second.class == first.class => Ok(Verdict::Divergence(Box::new(second))),
        Some(second) => Ok(Verdict::Inconclusive(Doubt::Unrepeatable(format!(
            "the target answered {}, then {}",
            first.actual, second.actual
        )))),
        None => Ok(Verdict::Inconclusive(Doubt::Unrepeatable(format!(
            "the target answered {}, and rightly when asked again",
            first.actual
        )))),
    }
}

/// The keys that match, by the model, sorted.
fn matching(applied: &Applied<'_, '_>, filter: &Expr) -> Result<Vec<Key>, String> {
    let semantics = Semantics::canonical();
    let mut keys = Vec::new();
    for (key, row) in &applied.rows {
        match evaluate(filter, &applied.table.schema, row, &semantics) {
            Ok(Truth::True) => keys.push(key.clone()),
            Ok(_) => {}
            Err(undefined) => return Err(undefined.to_string()),
        }
    }
    Ok(keys)
}

/// Asks the target; `None` if it answers as expected.
async fn ask(
    applied: &mut Applied<'_, '_>,
    check: &Check,
    keys: &[Key],
    consistency: Consistency,
) -> Result<Option<Divergence>, ApplyError> {
    let Applied { sides, table, rows, .. } = applied;
    let filter = check.filter().map(Expr::to_string).unwrap_or_default();
    // Entities come first in a case: the barrier after which all writes are visible.
    let consistency = match check {
        Check::Entities => Consistency::Strong,
        _ => consistency,
    };
    let deadline: Duration = sides.query_deadline;
    if let Check::Count(_) = check {
        let expected = keys.len() as u64;
        return match sides.milvus.count(&table.name, &filter, consistency, deadline).await {
            Ok(actual) if actual == expected => Ok(None),
            Ok(actual) => Ok(Some(Divergence {
                class: Class::WrongCount,
                expected: Expected::Count(expected),
                actual: Actual::Count(actual),
            })),
            Err(error) => failure(error, Expected::Count(expected)).map(Some),
        };
    }
    let answer =
        sides.milvus.query(&table.name, &table.schema, &filter, consistency, deadline).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return failure(error, Expected::Rows(keys.to_vec())).map(Some),
    };
    let expected: BTreeMap<Key, &Row> =
        keys.iter().filter_map(|key| Some((key.clone(), rows.get(key)?))).collect();
    let diff = Diff::rows(&table.schema, &expected, &answer);
    if diff.is_empty() {
        return Ok(None);
    }
    let class = if !diff.missing.is_empty() {
        Class::MissingRows
    } else if !diff.extra.is_empty() || diff.keyless > 0 {
        Class::ExtraRows
    } else {
        Class::WrongValue
    };
    let answered = answer.iter().filter_map(|row| row.key(&table.schema)).collect();
    Ok(Some(Divergence {
        class,
        expected: Expected::Rows(keys.to_vec()),
        actual: Actual::Differs { keys: answered, diff },
    }))
}

fn failure(error: MilvusError, expected: Expected) -> Result<Divergence, ApplyError> {
    let class = match &error {
        MilvusError::Rejected { .. } => Class::WronglyRejected,
        MilvusError::Deadline { .. } => Class::Hang,
        // The server answered, with something that is not this collection's rows.
        MilvusError::Malformed { .. } => Class::WrongValue,
        _ => return Err(error.into()),
    };
    Ok(Divergence { class, expected, actual: Actual::Error(error.to_string()) })
}
