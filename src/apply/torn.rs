//! Writes that the death of the engine interrupts: what became of them is not known.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Applied, ApplyError, refusal};
use crate::case::{Maintenance, Operation};
use crate::milvus::Proof;
use crate::oracle::{ask, maintenance};
use crate::value::Key;
use crate::verdict::{Actual, Answer, Class, Divergence, Expected, Judges, Way};

/// Begins a write, kills the engine after so long, starts it again with its data, and ends the
/// write.
///
/// A write that was acknowledged must have survived; the questions that follow see to that. Of one
/// that was not, each row may be as before or as after it: a row that is there in both states must
/// be there, and one that is in neither must not. Then what is lacking is written again, as clients
/// do, so that the history goes on from one state.
pub(super) async fn write(
    applied: &mut Applied<'_, '_>,
    operation: &Operation,
    after: Duration,
) -> Result<(Proof, Option<Divergence>), ApplyError> {
    let unproven = |why: &str| Proof::Missing(why.to_owned());
    if applied.sides.engine.is_none() {
        applied.write(operation).await?;
        return Ok((unproven("the engine was not started here, and cannot be restarted"), None));
    }
    if applied.table.schema.primary().auto_id && matches!(operation.plain(), Operation::Insert(_)) {
        applied.write(operation).await?;
        return Ok((unproven("which keys an insert without an answer has is not known"), None));
    }
    let before = match ask::keys(applied, "").await? {
        ask::Asked::Answer(keys) => keys.into_iter().collect(),
        // What is wrong with that, the questions that follow will tell.
        ask::Asked::Refused(_) | ask::Asked::Failed(_) => {
            applied.write(operation).await?;
            return Ok((unproven("the rows could not be read before the write"), None));
        }
    };
    let acknowledged = tokio::select! {
        biased;
        written = applied.write(operation) => written.map(|()| true)?,
        () = tokio::time::sleep(after) => false,
    };
    let proof = match maintenance::carry_out(applied, &Maintenance::Kill).await {
        Ok(proof) => proof,
        Err(error) => {
            let wrong = refusal(error, Expected::CarriedOut)?;
            return Ok((unproven("the collection could not be loaded again"), Some(wrong)));
        }
    };
    if acknowledged {
        return Ok((proof, None));
    }
    let now = match ask::keys(applied, "").await? {
        ask::Asked::Answer(keys) => keys.into_iter().collect(),
        // It was read a moment ago. Nothing is written again: an insert that was carried out would
        // be there twice.
        ask::Asked::Refused(why) => return Ok((proof, Some(refused(why)))),
        ask::Asked::Failed(divergence) => return Ok((proof, Some(*divergence))),
    };
    let wrong = neither(applied, operation, &before, &now);
    match operation.plain() {
        Operation::Insert(rows) => {
            let schema = &applied.table.schema;
            let is_lacking = |key: &Key| !now.contains(key);
            let lacking =
                rows.iter().filter(|row| row.key(schema).as_ref().is_some_and(is_lacking));
            let lacking = Operation::Insert(lacking.cloned().collect());
            let lacking = lacking.into_partition(operation.partition());
            if !lacking.rows().is_empty() {
                applied.write(&lacking).await?;
            }
        }
        _ => applied.write(operation).await?,
    }
    Ok((proof, wrong))
}

/// The rows of an engine that was killed cannot be read any more.
fn refused(why: String) -> Divergence {
    Divergence {
        class: Class::WronglyRejected,
        expected: Expected::Accepted,
        actual: Actual::Error(why),
        judges: Judges::Target,
    }
}

/// A divergence, if rows that a write is about are neither as before nor as after it.
fn neither(
    applied: &Applied<'_, '_>,
    operation: &Operation,
    before: &BTreeSet<Key>,
    now: &BTreeSet<Key>,
) -> Option<Divergence> {
    let schema = &applied.table.schema;
    let mut about: BTreeSet<Key> =
        operation.rows().iter().filter_map(|row| row.key(schema)).collect();
    if let Operation::Delete(keys) = operation.plain() {
        about.extend(keys.iter().cloned());
    }
    let after = applied.rows();
    let is_wrong = |key: &&Key| {
        let states = [before.contains(*key), after.contains_key(*key)];
        !states.contains(&now.contains(*key))
    };
    if !about.iter().any(|key| is_wrong(&key)) {
        return None;
    }
    let way = |what: &str, keys: Vec<&Key>| Way {
        what: what.to_owned(),
        filter: None,
        answer: Answer::Rows(keys.into_iter().cloned().collect()),
    };
    let of = |state: &BTreeSet<Key>| about.iter().filter(|key| state.contains(*key)).collect();
    let ways = vec![
        way("before the write", of(before)),
        way(
            "after it, if it is carried out",
            about.iter().filter(|key| after.contains_key(*key)).collect(),
        ),
        way("when the engine was killed while it wrote", of(now)),
    ];
    Some(Divergence {
        class: Class::SelfInconsistent,
        expected: Expected::Accepted,
        actual: Actual::Ways(ways),
        judges: Judges::Target,
    })
}
