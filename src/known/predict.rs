//! What an engine with some switches turned answers.

use std::collections::BTreeMap;

use crate::case::{Case, Check};
use crate::filter::{Semantics, Switch, Truth, Undefined, evaluate};
use crate::value::{Key, Row};

/// An engine's answer to a check, before limits and counting.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Prediction {
    /// These rows match.
    Rows(BTreeMap<Key, Row>),
    /// The query is refused because of this switch.
    Refused(Switch),
    /// The documentation leaves the answer open.
    Open,
}

/// What an engine with these switches turned answers.
pub(super) fn predict(case: &Case, check: &Check, semantics: Semantics) -> Prediction {
    let mut rows = case.rows_under(semantics);
    let Some(filter) = check.filter() else { return Prediction::Rows(rows) };
    let mut outcome = None;
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
    outcome.unwrap_or(Prediction::Rows(rows))
}
