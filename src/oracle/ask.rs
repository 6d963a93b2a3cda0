//! Asking the target, for oracles that compare its answers with each other.

use std::collections::BTreeMap;

use crate::apply::{Applied, ApplyError, refusal};
use crate::filter::Literal;
use crate::milvus::{Consistency, MilvusError, QueryOptions};
use crate::value::{Key, Row};
use crate::verdict::{Answer, Divergence, Expected, Way};

/// What came of a question.
pub(crate) enum Asked<T> {
    Answer(T),
    /// A refusal: whether that is right is for the reference oracle to say.
    Refused(String),
    /// No answer, or none that can be read.
    Failed(Box<Divergence>),
}

/// Ends a function that measures with what a question came to, unless that is an answer.
macro_rules! answer {
    ($asked:expr) => {
        match $asked {
            $crate::oracle::ask::Asked::Answer(answer) => answer,
            $crate::oracle::ask::Asked::Refused(why) => {
                return Ok($crate::oracle::relation::Outcome::Unproven(why));
            }
            $crate::oracle::ask::Asked::Failed(divergence) => {
                return Ok($crate::oracle::relation::Outcome::Failed(divergence));
            }
        }
    };
}
pub(super) use answer;

fn sort<T>(result: Result<T, MilvusError>, filter: &str) -> Result<Asked<T>, ApplyError> {
    match result {
        Ok(answer) => Ok(Asked::Answer(answer)),
        Err(MilvusError::Rejected { reason, .. }) => {
            Ok(Asked::Refused(format!("the target refuses `{filter}`: {reason}")))
        }
        Err(error) => Ok(Asked::Failed(Box::new(refusal(error, Expected::Agreement)?))),
    }
}

/// Everything that was written must be seen.
fn strong(applied: &Applied<'_, '_>, page: Option<(u32, u32)>) -> QueryOptions<'static> {
    at(applied, Consistency::Strong, page)
}

fn at(
    applied: &Applied<'_, '_>,
    consistency: Consistency,
    page: Option<(u32, u32)>,
) -> QueryOptions<'static> {
    let deadline = applied.sides.query_deadline;
    QueryOptions { consistency, deadline, page, partitions: &[] }
}

/// The keys that match, sorted.
pub(crate) async fn keys(
    applied: &mut Applied<'_, '_>,
    filter: &str,
) -> Result<Asked<Vec<Key>>, ApplyError> {
    keys_at(applied, filter, Consistency::Strong).await
}

/// The keys that match at a level of consistency, sorted.
pub(super) async fn keys_at(
    applied: &mut Applied<'_, '_>,
    filter: &str,
    level: Consistency,
) -> Result<Asked<Vec<Key>>, ApplyError> {
    let options = at(applied, level, None);
    let mut keys = keys_with(applied, filter, options).await?;
    if let Asked::Answer(keys) = &mut keys {
        keys.sort();
    }
    Ok(keys)
}

/// The keys that match a filter with templates, sorted.
pub(super) async fn bound_keys(
    applied: &mut Applied<'_, '_>,
    filter: &str,
    values: &BTreeMap<String, Literal>,
) -> Result<Asked<Vec<Key>>, ApplyError> {
    let options = strong(applied, None);
    let Applied { sides, table, handles, .. } = applied;
    let rows = sides.milvus.query_bound(&table.name, &table.schema, filter, values, options).await;
    Ok(match sort(rows, filter)? {
        Asked::Answer(mut rows) => {
            handles.restore(&table.schema, &mut rows);
            let mut keys: Vec<Key> = rows.iter().filter_map(|row| row.key(&table.schema)).collect();
            keys.sort();
            Asked::Answer(keys)
        }
        Asked::Refused(why) => Asked::Refused(why),
        Asked::Failed(divergence) => Asked::Failed(divergence),
    })
}

/// The keys on a page, in the target's order.
pub(super) async fn page(
    applied: &mut Applied<'_, '_>,
    filter: &str,
    page: Option<(u32, u32)>,
) -> Result<Asked<Vec<Key>>, ApplyError> {
    let options = strong(applied, page);
    keys_with(applied, filter, options).await
}

async fn keys_with(
    applied: &mut Applied<'_, '_>,
    filter: &str,
    options: QueryOptions<'_>,
) -> Result<Asked<Vec<Key>>, ApplyError> {
    let Applied { sides, table, handles, .. } = applied;
    let rows = sides.milvus.query_fields(&table.name, &table.schema, filter, &[], options).await;
    Ok(match sort(rows, filter)? {
        Asked::Answer(mut rows) => {
            handles.restore(&table.schema, &mut rows);
            Asked::Answer(rows.iter().filter_map(|row| row.key(&table.schema)).collect())
        }
        Asked::Refused(why) => Asked::Refused(why),
        Asked::Failed(divergence) => Asked::Failed(divergence),
    })
}

/// The next keys of an iteration, in the target's order.
pub(super) async fn batch(
    applied: &mut Applied<'_, '_>,
    filter: &str,
    batch: u32,
) -> Result<Asked<Vec<Key>>, ApplyError> {
    let options = strong(applied, None);
    let Applied { sides, table, .. } = applied;
    let rows = sides.milvus.query_batch(&table.name, &table.schema, filter, options, batch).await;
    Ok(match sort(rows, filter)? {
        Asked::Answer(rows) => {
            Asked::Answer(rows.iter().filter_map(|row| row.key(&table.schema)).collect())
        }
        Asked::Refused(why) => Asked::Refused(why),
        Asked::Failed(divergence) => Asked::Failed(divergence),
    })
}

/// Every row as the target has it.
pub(super) async fn rows(applied: &mut Applied<'_, '_>) -> Result<Asked<Vec<Row>>, ApplyError> {
    let options = strong(applied, None);
    let Applied { sides, table, present, handles, .. } = applied;
    let rows = sides.milvus.query(&table.name, present, "", options).await;
    let mut rows = sort(rows, "")?;
    if let Asked::Answer(rows) = &mut rows {
        handles.restore(present, rows);
    }
    Ok(rows)
}

/// How many match.
pub(super) async fn count(
    applied: &mut Applied<'_, '_>,
    filter: &str,
) -> Result<Asked<u64>, ApplyError> {
    let options = strong(applied, None);
    let Applied { sides, table, .. } = applied;
    sort(sides.milvus.count(&table.name, filter, options).await, filter)
}

/// A way of asking that came to these rows.
pub(super) fn way(what: impl Into<String>, filter: Option<String>, keys: Vec<Key>) -> Way {
    Way { what: what.into(), filter, answer: Answer::Rows(keys) }
}
