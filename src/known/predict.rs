//! What an engine with some switches turned answers.

use std::collections::BTreeMap;

use crate::case::{Case, Check, Scope, State};
use crate::filter::partition::{partition_of, partition_of_row, searched};
use crate::filter::{Literal, Semantics, Switch, Truth, Undefined, evaluate};
use crate::value::{Key, Row};

/// An engine's answer to a check, before limits and counting.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Prediction {
    /// These rows match.
    Rows {
        /// The rows.
        rows: BTreeMap<Key, Row>,
        /// Their keys as they are answered: more than once where an engine repeats rows.
        keys: Vec<Key>,
    },
    /// The query is refused because of this switch.
    Refused(Switch),
    /// The documentation leaves the answer open.
    Open,
}

/// What an engine with these switches turned answers.
pub(super) fn predict(case: &Case, check: &Check, semantics: Semantics) -> Prediction {
    let state = case.history(semantics);
    let everywhere =
        semantics.has(Switch::CountIgnoresPartitions) && *check.plain() == Check::CountAll;
    let mut rows = state.rows_in(if everywhere { Scope::WHOLE } else { check.scope() });
    let State { upserted, dead, .. } = state;
    let Some(filter) = check.filter() else {
        let keys = rows.keys().cloned().collect();
        return Prediction::Rows { rows, keys };
    };
    let mut outcome = None;
    // Some refusals need no row.
    if rows.is_empty()
        && let Err(Undefined::Refused(switch)) =
            evaluate(filter, &case.schema, &Row::default(), semantics)
    {
        return Prediction::Refused(switch);
    }
    rows.retain(|_, row| match evaluate(filter, &case.schema, row, semantics) {
        Ok(truth) => truth == Truth::True,
        Err(Undefined::Refused(switch)) => {
            outcome = Some(Prediction::Refused(switch));
            false
        }
        Err(_) => {
            outcome.get_or_insert(Prediction::Open);
            false
        }
    });
    if semantics.has(Switch::DeadRowsAreComputed) {
        for row in &dead {
            match evaluate(filter, &case.schema, row, semantics) {
                Ok(_) => {}
                Err(Undefined::Refused(switch)) => outcome = Some(Prediction::Refused(switch)),
                Err(_) => {
                    outcome.get_or_insert(Prediction::Refused(Switch::DeadRowsAreComputed));
                }
            }
        }
    }
    if let Some(outcome) = outcome {
        return outcome;
    }
    let or_prunes = semantics.has(Switch::OrPrunesPartitions);
    let misplaced = semantics.has(Switch::UpsertPartitionsByPrimaryKey);
    if (or_prunes || misplaced)
        && let Some(searched) = searched(&case.schema, filter, or_prunes)
    {
        rows.retain(|key, row| {
            let home = if misplaced && upserted.contains(key) {
                Some(partition_of(key))
            } else {
                partition_of_row(&case.schema, row)
            };
            home.is_none_or(|home| searched.contains(&home))
        });
    }
    let mut keys: Vec<Key> = rows.keys().cloned().collect();
    let list = filter.list_of(&case.schema.primary().name);
    if let (Some(list), true) = (list, semantics.has(Switch::KeyListRepeatsRows)) {
        let listed = list.iter().filter_map(|literal| match literal {
            Literal::Int(i) => Some(Key::Int(*i)),
            Literal::Text(text) => Some(Key::Text(text.clone())),
            _ => None,
        });
        keys = listed.filter(|key| rows.contains_key(key)).collect();
        keys.sort();
    }
    Prediction::Rows { rows, keys }
}
