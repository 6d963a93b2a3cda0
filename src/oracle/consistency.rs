//! A query at a level of consistency, right after writes, against a strong one.
//!
//! By Milvus's documentation ("Consistency Level"), a session sees what was written through its own
//! connection. At the bounded and the eventual level an answer may lag behind: rows may be missing
//! then, and rows may be there that were deleted or replaced, but none that never was.
//!
//! Applies to every filter, whatever it means. Inconclusive where a session cannot know what it has
//! written: servers up to 2.3 do not say when they deleted. A level cannot be asked again: the
//! strong read in between has ended the lag. It is the campaign that repeats a mismatch, on a fresh
//! collection.

use std::collections::BTreeSet;

use super::ask::{Asked, answer, keys, keys_at, way};
use super::relation::{Outcome, verdict};
use crate::apply::{Applied, ApplyError};
use crate::filter::Filter;
use crate::milvus::Consistency;
use crate::value::Key;
use crate::verdict::{Answer, Doubt, Verdict};

pub(super) async fn judge(
    applied: &mut Applied<'_, '_>,
    level: Consistency,
    filter: &Filter,
) -> Result<Verdict, ApplyError> {
    let first = match measure(applied, level, filter).await? {
        Outcome::Disagree(ways) => ways,
        other => return Ok(verdict(other)),
    };
    // An engine that answers otherwise each time says nothing about levels.
    Ok(match keys(applied, &filter.to_string()).await? {
        Asked::Answer(again) => match first.last() {
            Some(strong) if strong.answer == Answer::Rows(again) => {
                verdict(Outcome::Disagree(first))
            }
            _ => Verdict::Inconclusive(Doubt::Unrepeatable(
                "two strong reads, one after the other, have different answers".to_owned(),
            )),
        },
        Asked::Refused(why) => verdict(Outcome::Unproven(why)),
        Asked::Failed(divergence) => verdict(Outcome::Failed(divergence)),
    })
}

async fn measure(
    applied: &mut Applied<'_, '_>,
    level: Consistency,
    filter: &Filter,
) -> Result<Outcome, ApplyError> {
    let text = filter.to_string();
    let must_show = applied.sides.milvus.must_show_own_writes(&applied.table.name, level);
    let now = answer!(keys_at(applied, &text, level).await?);
    let strong = answer!(keys(applied, &text).await?);
    applied.settled = true;
    let agrees = match level {
        _ if must_show => now == strong,
        Consistency::Session => {
            return Ok(Outcome::Unproven("the server does not say when it wrote".to_owned()));
        }
        _ => is_past(applied, &now, &strong),
    };
    Ok(match agrees {
        true => Outcome::Agree(now.len()),
        false => Outcome::Disagree(vec![
            way(format!("at the level {level}"), Some(text.clone()), now),
            way("at the level strong", Some(text), strong),
        ]),
    })
}

/// Whether an answer that may lag has each row once, and none that there is not and never was.
fn is_past(applied: &Applied<'_, '_>, now: &[Key], strong: &[Key]) -> bool {
    let past: BTreeSet<Key> =
        applied.past().filter_map(|row| row.key(&applied.table.schema)).collect();
    now.is_sorted_by(|one, next| one < next)
        && now.iter().all(|key| strong.contains(key) || past.contains(key))
}
