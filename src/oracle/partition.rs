//! Ternary logic partitioning: where a filter is true, where it is false and where it is unknown
//! make the whole, and the first two have no row in common (Rigger and Su, OOPSLA 2020).
//!
//! Milvus cannot be asked where a filter is unknown. By its documentation that is only where a
//! column that the filter uses is null, so rows outside of both parts must be among those.
//! Applies to filters with a meaning on every row, where the dialect has `not`, and for nullable
//! columns `is null`.

use std::collections::BTreeSet;

use super::ask::{answer, keys, way};
use super::relation::Outcome;
use crate::apply::{Applied, ApplyError};
use crate::case::unknown;
use crate::filter::{Expr, Filter};
use crate::value::Key;

pub(super) async fn measure(
    applied: &mut Applied<'_, '_>,
    filter: &Filter,
) -> Result<Outcome, ApplyError> {
    let is = filter.to_string();
    let is_not = Filter::from(Expr::Not(Box::new(filter.expr.clone()))).to_string();
    let may_be = unknown(&applied.table.schema, &filter.expr).map(|expr| expr.to_string());
    let here = answer!(keys(applied, &is).await?);
    let there = answer!(keys(applied, &is_not).await?);
    let open = match &may_be {
        Some(open) => answer!(keys(applied, open).await?),
        None => Vec::new(),
    };
    let whole = answer!(keys(applied, "").await?);
    let set = |keys: &[Key]| keys.iter().cloned().collect::<BTreeSet<Key>>();
    let (true_in, false_in, open_in, all) = (set(&here), set(&there), set(&open), set(&whole));
    let both: BTreeSet<Key> = true_in.union(&false_in).cloned().collect();
    let agree = true_in.is_disjoint(&false_in)
        && both.is_subset(&all)
        && all.difference(&both).all(|key| open_in.contains(key));
    if agree {
        return Ok(Outcome::Agree(here.len()));
    }
    let mut ways = vec![
        way("where it is true", Some(is), here),
        way("where it is false", Some(is_not), there),
    ];
    if let Some(open_filter) = may_be {
        ways.push(way("where it may be unknown", Some(open_filter), open));
    }
    ways.push(way("all rows", None, whole));
    Ok(Outcome::Disagree(ways))
}
