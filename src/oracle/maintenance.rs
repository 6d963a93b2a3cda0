//! A query before and after what changes no answer: an index, a flush, a compaction, releasing and
//! loading, a restart, the death of the engine.
//!
//! Applies to every filter, whatever it means. Inconclusive unless the server's own metadata prove
//! that it was done; see [`Milvus`](crate::milvus::Milvus) for what counts as proof of each.

use std::time::Duration;

use tokio::time::sleep;

use super::ask::{Asked, keys, way};
use super::relation::{Outcome, verdict};
use crate::apply::{Applied, ApplyError, refusal};
use crate::case::Maintenance;
use crate::engine::Ending;
use crate::filter::Filter;
use crate::milvus::{Index, MilvusError, Proof};
use crate::verdict::{Doubt, Expected, Verdict};

/// How long to wait before a load that was refused is asked for again, each time, in milliseconds.
const PAUSES: [u64; 4] = [25, 50, 100, 200];

pub(super) async fn judge(
    applied: &mut Applied<'_, '_>,
    step: &Maintenance,
    filter: &Filter,
) -> Result<Verdict, ApplyError> {
    let text = filter.to_string();
    let before = match keys(applied, &text).await? {
        Asked::Answer(keys) => keys,
        Asked::Refused(why) => return Ok(verdict(Outcome::Unproven(why))),
        Asked::Failed(divergence) => return Ok(verdict(Outcome::Failed(divergence))),
    };
    let unproven = |why| Ok(verdict(Outcome::Unproven(why)));
    match carry_out(applied, step).await {
        Ok(Proof::Done) => {}
        Ok(Proof::Missing(why)) => return unproven(why),
        Ok(Proof::Refused(why)) => {
            return unproven(format!("the target refuses to {step}: {why}"));
        }
        Err(error) => {
            let failed = Box::new(refusal(error, Expected::CarriedOut)?);
            return Ok(verdict(Outcome::Failed(failed)));
        }
    }
    let mut after = Vec::new();
    for _ in 0..2 {
        match keys(applied, &text).await? {
            Asked::Answer(keys) if keys == before => {
                return Ok(match after.is_empty() {
                    true => verdict(Outcome::Agree(keys.len())),
                    false => Verdict::Inconclusive(Doubt::Unrepeatable(format!(
                        "after {step} the target answered otherwise, and rightly when asked again"
                    ))),
                });
            }
            Asked::Answer(keys) => after.push(keys),
            Asked::Refused(why) => return unproven(why),
            Asked::Failed(divergence) => return Ok(verdict(Outcome::Failed(divergence))),
        }
    }
    let after = after.pop().unwrap_or_default();
    Ok(verdict(Outcome::Disagree(vec![
        way("before", Some(text.clone()), before),
        way(format!("after {step}"), Some(text), after),
    ])))
}

/// Does it, and says whether the server proves it. Whatever becomes of it, the collection is loaded
/// afterwards.
///
/// # Errors
/// If the target refuses to load the collection again, or does not come back.
pub(crate) async fn carry_out(
    applied: &mut Applied<'_, '_>,
    step: &Maintenance,
) -> Result<Proof, MilvusError> {
    let proof = match attempt(applied, step).await {
        Err(MilvusError::Rejected { reason, .. }) => {
            load(applied).await?;
            Proof::Refused(reason)
        }
        attempted => attempted?,
    };
    // What a flush is for, it has done when it is answered; not every server shows it.
    if proof == Proof::Done || *step == Maintenance::Flush {
        applied.did(step);
    }
    Ok(proof)
}

/// Loads what a step may have released before it was refused. A load that is refused is asked for
/// again: Milvus Lite 3.2.2 refuses to now and then (docs/measurements.md).
async fn load(applied: &mut Applied<'_, '_>) -> Result<(), MilvusError> {
    let mut pauses = PAUSES.into_iter();
    loop {
        match (applied.load().await, pauses.next()) {
            (Err(MilvusError::Rejected { .. }), Some(pause)) => {
                sleep(Duration::from_millis(pause)).await;
            }
            (loaded, _) => return loaded,
        }
    }
}

async fn attempt(applied: &mut Applied<'_, '_>, step: &Maintenance) -> Result<Proof, MilvusError> {
    let rows = applied.rows().len() as u64;
    let Applied { sides, table, .. } = applied;
    let (milvus, collection) = (sides.milvus, &*table.name);
    let missing = |what: &str| Ok(Proof::Missing(what.to_owned()));
    match step {
        Maintenance::Flush => milvus.flush_proven(collection, rows).await,
        Maintenance::Compact => milvus.compact(collection).await,
        Maintenance::Index { field, kind } => match table.schema.field(field) {
            Some(field) => {
                milvus.make_index(collection, field, &Index::new(&field.name, kind)).await
            }
            None => missing("there is no such field"),
        },
        Maintenance::Rebuild { field, kind } => match table.schema.field(field) {
            Some(field) => milvus.rebuild_index(collection, field, kind).await,
            None => missing("there is no such field"),
        },
        Maintenance::DropIndex { field } => milvus.drop_index(collection, field).await,
        Maintenance::Reload => milvus.reload(collection).await,
        Maintenance::KillInWrite { .. } => missing("it takes a write"),
        Maintenance::Restart | Maintenance::Kill => {
            let Some(engine) = sides.engine.as_deref_mut() else {
                return missing("the engine was not started here, and cannot be restarted");
            };
            let ending = match step {
                Maintenance::Restart => Ending::Terminated,
                _ => Ending::Killed,
            };
            let uri = engine.uri().to_owned();
            if let Err(error) = engine.resume(ending).await {
                return missing(&error.to_string());
            }
            if engine.uri() != uri {
                return missing("the engine has come back at another address");
            }
            applied.load().await?;
            Ok(Proof::Done)
        }
    }
}
