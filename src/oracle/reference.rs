//! The reference oracle: the target's answer against the rows that the model and the reference
//! databases agree on.
//!
//! Applies to every check whose filter the documentation gives a meaning on every row. Inconclusive
//! where it does not (overflow, results beyond the finite range), and where the target answers
//! differently when asked again. A filter that SQL cannot express is judged by the model alone, and
//! the verdict says so.

use std::collections::{BTreeMap, BTreeSet};

use crate::apply::{Applied, ApplyError, Conflict, refusal};
use crate::backend::BackendError;
use crate::case::Check;
use crate::compare::Diff;
use crate::filter::{Expr, Filter, matching};
use crate::milvus::{Consistency, MilvusError, QueryOptions};
use crate::value::{Key, Row};
use crate::verdict::{Actual, Class, Divergence, Doubt, Expected, Judges, Verdict};

pub(crate) async fn judge(
    applied: &mut Applied<'_, '_>,
    check: &Check,
) -> Result<Verdict, ApplyError> {
    let mut judges = Judges::Both;
    let keys = match check.plain() {
        Check::Entities | Check::CountAll => applied.rows().keys().cloned().collect(),
        Check::Refused(_) | Check::Agree { .. } | Check::Search { .. } | Check::In { .. } => {
            Vec::new()
        }
        Check::Query(filter)
        | Check::Count(filter)
        | Check::Page { filter, .. }
        | Check::QueryOrRefusal(filter) => {
            let filter = &filter.expr;
            match matching(filter, &applied.table.schema, applied.rows()) {
                Ok(keys) => {
                    if !agree(applied, check, filter, &keys).await? {
                        judges = Judges::ModelAlone;
                    }
                    keys
                }
                Err(why) => return Ok(Verdict::Inconclusive(Doubt::Undefined(why.to_string()))),
            }
        }
    };
    let Some(first) = ask(applied, check, &keys, Consistency::Eventually).await? else {
        return Ok(Verdict::Pass { matched: keys.len(), judges });
    };
    // A mismatch must repeat, the second time with every write surely visible.
    match ask(applied, check, &keys, Consistency::Strong).await? {
        Some(second) if second.class == first.class => {
            Ok(Verdict::Divergence(Box::new(Divergence { judges, ..second })))
        }
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

/// Whether a database agrees with the model, and is not one that cannot express the filter. Milvus
/// is not to be blamed while a single one disagrees: then all of them are asked, and the conflict
/// says who said what.
pub(super) async fn agree(
    applied: &mut Applied<'_, '_>,
    check: &Check,
    filter: &Expr,
    model: &[Key],
) -> Result<bool, ApplyError> {
    let mut answers = Vec::new();
    // Databases have no partitions: of what they find, that in the part that is asked about.
    let part: Option<BTreeSet<Key>> =
        (!applied.scope().is_whole()).then(|| applied.rows().keys().cloned().collect());
    for backend in &mut *applied.sides.backends {
        match backend.query(&applied.table, filter).await {
            Ok(mut keys) => {
                keys.retain(|key| part.as_ref().is_none_or(|part| part.contains(key)));
                keys.sort();
                answers.push((backend.name(), keys));
            }
            Err(BackendError::Inexpressible { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if answers.iter().all(|(_, keys)| keys == model) {
        return Ok(!answers.is_empty());
    }
    let said = answers.into_iter().map(|(name, keys)| format!("{name} {}", Expected::Rows(keys)));
    let text = format!(
        "on `{filter}` the model finds {}, {}",
        Expected::Rows(model.to_vec()),
        said.collect::<Vec<_>>().join(", ")
    );
    Err(ApplyError::Conflict(Box::new(Conflict { check: Some(check.clone()), text })))
}

/// Asks the target; `None` if it answers as expected.
async fn ask(
    applied: &mut Applied<'_, '_>,
    check: &Check,
    keys: &[Key],
    consistency: Consistency,
) -> Result<Option<Divergence>, ApplyError> {
    let (rows, scope) = (applied.rows().clone(), applied.scope().clone());
    let (check, name) = (check.plain(), applied.name_asked());
    let Applied { sides, present, handles, settled, .. } = applied;
    let filter = check.spelled().map(Filter::to_string).unwrap_or_default();
    let options = QueryOptions {
        // The first answer is the barrier after which all writes are visible.
        consistency: if *settled { consistency } else { Consistency::Strong },
        deadline: sides.query_deadline,
        page: match check {
            Check::Page { limit, offset, .. } => Some((*limit, *offset)),
            _ => None,
        },
        partitions: &scope.partitions,
    };
    if let Check::Count(_) | Check::CountAll = check {
        let expected = keys.len() as u64;
        return match sides.milvus.count(&name, &filter, options).await {
            Ok(actual) => {
                *settled = true;
                Ok(wrong_count(expected, actual))
            }
            Err(error) => refusal(error, Expected::Count(expected)).map(Some),
        };
    }
    let answer = sides.milvus.query(&name, present, &filter, options).await;
    let answer = match (check, answer) {
        (Check::Refused(_) | Check::QueryOrRefusal(_), Err(MilvusError::Rejected { .. })) => {
            return Ok(None);
        }
        (Check::Refused(_), Err(error)) => return refusal(error, Expected::Refused).map(Some),
        (_, Err(error)) => return refusal(error, Expected::Rows(keys.to_vec())).map(Some),
        (_, Ok(mut answer)) => {
            handles.restore(present, &mut answer);
            answer
        }
    };
    *settled = true;
    let answered: Vec<Key> = answer.iter().filter_map(|row| row.key(present)).collect();
    if let Check::Refused(_) = check {
        return Ok(Some(Divergence {
            class: Class::WronglyAccepted,
            expected: Expected::Refused,
            actual: Actual::Rows(answered),
            judges: Judges::Both,
        }));
    }
    let expected: BTreeMap<Key, &Row> =
        keys.iter().filter_map(|key| Some((key.clone(), rows.get(key)?))).collect();
    let mut diff = Diff::rows(present, &expected, &answer);
    if let Check::Page { limit, offset, .. } = check {
        // Which of the rows are on the page is not promised, only how many.
        diff.missing.clear();
        if diff.is_empty() {
            let left = (keys.len() as u64).saturating_sub(u64::from(*offset));
            return Ok(wrong_count(left.min(u64::from(*limit)), answer.len() as u64));
        }
    }
    let class = if !diff.missing.is_empty() {
        Class::MissingRows
    } else if !diff.extra.is_empty() || diff.keyless > 0 {
        Class::ExtraRows
    } else if !diff.changed.is_empty() {
        Class::WrongValue
    } else {
        return Ok(None);
    };
    // What it has not got it should have refused.
    let class = if let Check::QueryOrRefusal(_) = check { Class::WronglyAccepted } else { class };
    Ok(Some(Divergence {
        class,
        expected: Expected::Rows(keys.to_vec()),
        actual: Actual::Differs { keys: answered, diff },
        judges: Judges::Both,
    }))
}

fn wrong_count(expected: u64, actual: u64) -> Option<Divergence> {
    (expected != actual).then(|| Divergence {
        class: Class::WrongCount,
        expected: Expected::Count(expected),
        actual: Actual::Count(actual),
        judges: Judges::Both,
    })
}
