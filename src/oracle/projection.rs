//! A filter, against its answer on what the target returns without one: the rows are read whole and
//! judged by the model, so that no index and no pushed-down predicate has a part in it (as the
//! non-optimising reference engine construction does it; Rigger and Su, ESEC/FSE 2020).
//!
//! Applies to filters with a meaning on every row that the target returns.

use std::collections::BTreeMap;

use super::ask::{answer, keys, rows, way};
use super::relation::Outcome;
use crate::apply::{Applied, ApplyError};
use crate::filter::{Filter, matching};
use crate::value::{Key, Row};

pub(super) async fn measure(
    applied: &mut Applied<'_, '_>,
    filter: &Filter,
) -> Result<Outcome, ApplyError> {
    let stored = answer!(rows(applied).await?);
    let schema = &applied.table.schema;
    let stored: BTreeMap<Key, Row> =
        stored.into_iter().filter_map(|row| Some((row.key(schema)?, row))).collect();
    let judged = match matching(&filter.expr, schema, &stored) {
        Ok(keys) => keys,
        Err(why) => return Ok(Outcome::Unproven(why.to_string())),
    };
    let text = filter.to_string();
    let filtered = answer!(keys(applied, &text).await?);
    if filtered == judged {
        return Ok(Outcome::Agree(judged.len()));
    }
    Ok(Outcome::Disagree(vec![
        way("by the filter", Some(text), filtered),
        way("of all rows as they are returned, those that match", None, judged),
    ]))
}
