//! Aliases in histories: made, pointed elsewhere and back, dropped, and asked in between.
//!
//! As with partitions, what is drawn here is drawn last.

use super::case::Options;
use super::filter::Chance;
use super::relations;
use crate::case::{Case, Check, Operation, Scope};
use crate::milvus::{CallFeature, Dialect};
use crate::oracle::Oracle;

/// One in so many cases has an alias.
const NAMED: usize = 6;
/// One in so many questions is asked through it.
const ASKED: usize = 3;

const NAME: &str = "latest";

/// Gives the collection of a case an alias, if it is one of those that have one.
pub(super) fn name(case: &mut Case, dialect: &Dialect, options: &Options, chance: &mut Chance) {
    let is_asked = options.asks(Oracle::Reference) && dialect.offers(CallFeature::Aliases);
    // A collection that has one cannot be dropped.
    let is_dropped = case.operations.contains(&Operation::Recreate);
    if is_dropped || !is_asked || !chance.one_in(NAMED) {
        return;
    }
    let name = || NAME.to_owned();
    let through = Check::Entities.within(&Scope { partitions: Vec::new(), alias: Some(name()) });
    let ask = || Operation::Ask(through.clone());
    let alter = |elsewhere| Operation::AlterAlias { alias: name(), elsewhere };
    let (mut steps, mut elsewhere) = (vec![Operation::CreateAlias(name())], false);
    if chance.one_in(2) {
        steps.extend([ask(), alter(true), ask()]);
        elsewhere = true;
    }
    let at = chance.within(0, case.operations.len());
    case.operations.splice(at..at, steps);
    // What the collection has gone through in the meantime must be seen.
    if elsewhere && chance.one_in(2) {
        case.operations.push(alter(false));
        elsewhere = false;
    }
    if !elsewhere && chance.one_in(6) {
        case.operations.extend([Operation::DropAlias(name()), Operation::CreateAlias(name())]);
    }
    for check in &mut case.checks {
        let can = match check.plain() {
            Check::Entities
            | Check::Query(_)
            | Check::Count(_)
            | Check::CountAll
            | Check::Page { .. }
            | Check::Search { .. } => !elsewhere,
            _ => false,
        };
        if can && chance.one_in(ASKED) {
            let scope = Scope { alias: Some(name()), ..check.scope().clone() };
            *check = check.plain().clone().within(&scope);
        }
    }
    relations::ask(case, through);
}
