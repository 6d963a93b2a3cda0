//! A filter with its constants written out, and with templates in their places and the constants
//! sent beside it (documentation, "Filter Templating").
//!
//! Applies to every filter with a constant next to a comparison or a list of one type after `in`,
//! whatever it means.

use super::ask::{answer, bound_keys, keys, way};
use super::relation::Outcome;
use crate::apply::{Applied, ApplyError};
use crate::filter::Filter;

pub(super) async fn measure(
    applied: &mut Applied<'_, '_>,
    filter: &Filter,
) -> Result<Outcome, ApplyError> {
    let Some((templates, values)) = filter.expr.parametrized() else {
        return Ok(Outcome::Unproven(format!("no constant of `{filter}` can be a template")));
    };
    let (literal, templates) = (filter.to_string(), templates.to_string());
    let written = answer!(keys(applied, &literal).await?);
    let sent = answer!(bound_keys(applied, &templates, &values).await?);
    if written == sent {
        return Ok(Outcome::Agree(written.len()));
    }
    Ok(Outcome::Disagree(vec![
        way("constants written out", Some(literal), written),
        way("constants sent beside it", Some(templates), sent),
    ]))
}
