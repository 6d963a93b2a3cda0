//! Steering around what is known, so that a campaign is not drowned in one defect.

use crate::case::{Case, Operation};
use crate::known::KnownIssues;

/// One in so many checks on which known issues bear is kept, to notice when they are mended.
const KEPT: u64 = 4;

/// What became of the checks on whose answers known issues bear.
pub(super) struct Steered {
    pub dropped: u64,
    pub kept: u64,
}

/// Leaves out most of the checks on whose answers known issues bear, and all deletions that
/// leave what no issue foretells. Depends on the case and its
/// number alone, so that the same seed still gives the same cases.
pub(super) fn steer(case: &mut Case, known: &KnownIssues, number: u64) -> Steered {
    let mut steered = Steered { dropped: 0, kept: 0 };
    if known.issues.is_empty() {
        return steered;
    }
    // An issue of writes bears on every check of the case: it goes as a whole.
    let bears: [fn(&Operation) -> bool; 2] = [
        |operation| operation.deletes() && operation.partition().is_some(),
        |operation| matches!(operation.plain(), Operation::Upsert(_)),
    ];
    for bears in bears {
        if !number.is_multiple_of(KEPT) && case.rows_under(known.semantics()) != case.rows() {
            case.operations.retain(|operation| !bears(operation));
            case.leave_out_the_impossible();
        }
    }
    while let Some(place) = known.touched_deletion(case) {
        case.operations.remove(place);
        case.leave_out_the_impossible();
        steered.dropped += 1;
    }
    let mut met = number;
    let whole = case.clone();
    case.checks.retain(|check| {
        if !known.touch(&whole, check) {
            return true;
        }
        met += 1;
        let keep = met.is_multiple_of(KEPT);
        steered.kept += u64::from(keep);
        steered.dropped += u64::from(!keep);
        keep
    });
    steered
}
