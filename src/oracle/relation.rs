//! What all oracles share that hold the target's answers against each other.
//!
//! A disagreement must repeat, as every mismatch must. A refusal proves nothing here: the reference
//! oracle judges refusals.

use super::ask::{Asked, keys};
use super::{consistency, counts, maintenance, paging, partition, projection, rewrite, template};
use crate::apply::{Applied, ApplyError};
use crate::case::Relation;
use crate::filter::{Filter, matching};
use crate::verdict::{Actual, Class, Divergence, Doubt, Expected, Judges, Verdict, Way};

/// What was measured once.
pub(super) enum Outcome {
    /// All ways agree; so many rows were found.
    Agree(usize),
    /// They do not.
    Disagree(Vec<Way>),
    /// Nothing was proven, and why.
    Unproven(String),
    /// No answer, or none that can be read.
    Failed(Box<Divergence>),
}

pub(crate) async fn judge(
    applied: &mut Applied<'_, '_>,
    relation: &Relation,
    filter: &Filter,
) -> Result<Verdict, ApplyError> {
    // Where the documentation leaves an answer open, an engine need not follow the rules of logic.
    // The same question in two ways, or at two times, has one answer all the same.
    let logical =
        matches!(relation, Relation::Partition | Relation::Projection | Relation::Rewrite(_));
    let defined = matching(&filter.expr, &applied.table.schema, applied.rows());
    if let (true, Err(why)) = (logical, defined) {
        return Ok(Verdict::Inconclusive(Doubt::Undefined(why.to_string())));
    }
    match relation {
        Relation::After(step) => return maintenance::judge(applied, step, filter).await,
        Relation::Consistency(level) => return consistency::judge(applied, *level, filter).await,
        _ => {}
    }
    let first = match measure(applied, relation, filter).await? {
        Outcome::Disagree(ways) => ways,
        other => return Ok(verdict(other)),
    };
    for again in 0..2 {
        // What goes wrong every other time would do so in each of two equal rounds.
        if again == 1
            && let Asked::Failed(divergence) = keys(applied, "").await?
        {
            return Ok(verdict(Outcome::Failed(divergence)));
        }
        match measure(applied, relation, filter).await? {
            Outcome::Disagree(_) => {}
            Outcome::Agree(_) | Outcome::Unproven(_) => {
                let first = Actual::Ways(first);
                return Ok(Verdict::Inconclusive(Doubt::Unrepeatable(format!(
                    "the target answered {first}, and otherwise when asked again"
                ))));
            }
            failed @ Outcome::Failed(_) => return Ok(verdict(failed)),
        }
    }
    Ok(verdict(Outcome::Disagree(first)))
}

pub(super) fn verdict(outcome: Outcome) -> Verdict {
    match outcome {
        Outcome::Agree(matched) => Verdict::Pass { matched, judges: Judges::Target },
        Outcome::Disagree(ways) => Verdict::Divergence(Box::new(Divergence {
            class: Class::SelfInconsistent,
            expected: Expected::Agreement,
            actual: Actual::Ways(ways),
            judges: Judges::Target,
        })),
        Outcome::Unproven(why) => Verdict::Inconclusive(Doubt::Unproven(why)),
        Outcome::Failed(divergence) => {
            Verdict::Divergence(Box::new(Divergence { judges: Judges::Target, ..*divergence }))
        }
    }
}

async fn measure(
    applied: &mut Applied<'_, '_>,
    relation: &Relation,
    filter: &Filter,
) -> Result<Outcome, ApplyError> {
    match relation {
        Relation::Partition => partition::measure(applied, filter).await,
        Relation::Projection => projection::measure(applied, filter).await,
        Relation::Rewrite(rule) => rewrite::measure(applied, *rule, filter).await,
        Relation::Template => template::measure(applied, filter).await,
        Relation::Paging(size) => paging::measure(applied, *size, filter).await,
        Relation::Counts => counts::measure(applied, filter).await,
        Relation::After(_) | Relation::Consistency(_) => {
            Ok(Outcome::Unproven("it was not asked for".to_owned()))
        }
    }
}
