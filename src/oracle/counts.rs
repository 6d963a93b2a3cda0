//! `count(*)` of a filter, and the rows that it returns.
//!
//! Applies to every filter, whatever it means.

use super::ask::{answer, count, keys, way};
use super::relation::Outcome;
use crate::apply::{Applied, ApplyError};
use crate::filter::Filter;
use crate::verdict::{Answer, Way};

pub(super) async fn measure(
    applied: &mut Applied<'_, '_>,
    filter: &Filter,
) -> Result<Outcome, ApplyError> {
    let text = filter.to_string();
    let rows = answer!(keys(applied, &text).await?);
    let counted = answer!(count(applied, &text).await?);
    if rows.len() as u64 == counted {
        return Ok(Outcome::Agree(rows.len()));
    }
    let counted = Way {
        what: "by count(*)".to_owned(),
        filter: Some(text.clone()),
        answer: Answer::Count(counted),
    };
    Ok(Outcome::Disagree(vec![way("by a query", Some(text), rows), counted]))
}
