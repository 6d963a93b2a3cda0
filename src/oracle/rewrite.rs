//! A filter, and one that means the same: see [`Rewrite`] for the rules.
//!
//! Applies to filters with a meaning on every row, where the dialect has the other form as well.

use super::ask::{answer, keys, way};
use super::relation::Outcome;
use crate::apply::{Applied, ApplyError};
use crate::filter::{Filter, Rewrite};

pub(super) async fn measure(
    applied: &mut Applied<'_, '_>,
    rule: Rewrite,
    filter: &Filter,
) -> Result<Outcome, ApplyError> {
    let Some(other) = rule.apply(&applied.table.schema, &filter.expr) else {
        return Ok(Outcome::Unproven(format!("{rule} does not apply to `{filter}`")));
    };
    let (one, other) = (filter.to_string(), other.to_string());
    let before = answer!(keys(applied, &one).await?);
    let after = answer!(keys(applied, &other).await?);
    if before == after {
        return Ok(Outcome::Agree(before.len()));
    }
    Ok(Outcome::Disagree(vec![
        way("as it is", Some(one), before),
        way("rewritten", Some(other), after),
    ]))
}
