//! A query at once, page by page by offsets (documentation, "Query": limit and offset), and batch by
//! batch by keys, as the clients' query iterators read. Each way must return every row once.
//!
//! Applies to every filter, whatever it means. Where the engine assigns the keys, it is read by
//! offsets alone: a case cannot name the keys.

use super::ask::{answer, batch, keys, page, way};
use super::relation::Outcome;
use crate::apply::{Applied, ApplyError};
use crate::filter::{BinaryOp, Expr, Filter, Literal};
use crate::value::Key;

/// So many pages are asked for, at most, of so many rows: what goes on for longer than that returns
/// rows again.
pub(crate) fn most_pages(rows: usize, size: u32) -> usize {
    rows / size.max(1) as usize + 2
}

pub(super) async fn measure(
    applied: &mut Applied<'_, '_>,
    size: u32,
    filter: &Filter,
) -> Result<Outcome, ApplyError> {
    let text = filter.to_string();
    let size = size.max(1);
    let whole = answer!(keys(applied, &text).await?);
    let most = most_pages(whole.len(), size);
    let mut paged = Vec::new();
    for number in 0..most as u32 {
        let next = answer!(page(applied, &text, Some((size, number * size))).await?);
        let ends = next.len() < size as usize;
        paged.extend(next);
        if ends {
            break;
        }
    }
    paged.sort();
    let mut iterated = None;
    let key = applied.table.schema.primary().clone();
    if !key.auto_id {
        let mut all: Vec<Key> = Vec::new();
        // Clients go on until a batch is empty: one may be short of what was asked for, and the
        // next has the rest. More batches than rows return some again.
        for _ in 0..=whole.len() {
            let expr = match all.iter().max() {
                None => filter.expr.clone(),
                Some(last) => {
                    let last = match last {
                        Key::Int(i) => Literal::Int(*i),
                        Key::Text(text) => Literal::Text(text.clone()),
                    };
                    let later =
                        Expr::binary(Expr::field(&key.name), BinaryOp::Gt, Expr::Literal(last));
                    filter.expr.clone().and(later)
                }
            };
            let next = answer!(batch(applied, &expr.to_string(), size).await?);
            if next.is_empty() {
                break;
            }
            all.extend(next);
        }
        all.sort();
        iterated = Some(all);
    }
    if paged == whole && iterated.as_ref().is_none_or(|all| *all == whole) {
        return Ok(Outcome::Agree(whole.len()));
    }
    let mut ways = vec![
        way("at once", Some(text.clone()), whole),
        way(format!("by pages of {size}"), Some(text.clone()), paged),
    ];
    ways.extend(iterated.map(|all| way(format!("by keys, {size} at a time"), Some(text), all)));
    Ok(Outcome::Disagree(ways))
}
