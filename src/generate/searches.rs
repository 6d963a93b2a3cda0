//! Searches that are limited to a range, or to the nearest of each group, and vectors whose indexes
//! are made anew.
//!
//! As with partitions, what is drawn here is drawn last.

use super::case::{Options, is_let_pass};
use super::filter::{Chance, Composer};
use super::history::is_offered;
use super::relations;
use crate::case::{Case, Check, Maintenance, Operation, Search};
use crate::milvus::{CallFeature, Dialect};
use crate::oracle::Oracle;
use crate::schema::{DataType, Metric, Schema};

/// So many searches are asked in a case, at most, beside those among its questions.
const MORE: usize = 3;
/// One in so many cases makes the index of a vector anew.
const REBUILT: usize = 6;

/// Asks a case more searches, and of each part of what a search can have, in the place of queries.
pub(super) fn search(
    case: &mut Case,
    dialect: &Dialect,
    options: &Options,
    chance: &mut Chance,
    composer: &Composer,
) {
    if !options.asks(Oracle::Search) || options.filters == 0 {
        return;
    }
    for _ in 0..chance.within(0, MORE) {
        let schema = &case.schema;
        let Some(Check::Search { search, filter }) =
            relations::search(schema, dialect, options, chance, composer)
        else {
            break;
        };
        let search = limited(schema, dialect, search, chance);
        // Most filters leave few rows.
        let filter = filter.filter(|_| chance.one_in(2));
        let check = Check::Search { search, filter };
        // Where nothing but searches is asked, in the place of one of those.
        let last = |wanted: fn(&Check) -> bool| case.checks.iter().rposition(wanted);
        let place = last(|check| matches!(check, Check::Query(_)))
            .or_else(|| last(|check| matches!(check, Check::Search { .. })));
        if let (Some(place), true) = (place, is_let_pass(&check, chance, schema, options)) {
            case.checks[place] = check;
        }
    }
    if chance.one_in(REBUILT)
        && is_offered(dialect, CallFeature::Flush, chance.one_in(4))
        && let Some(step) = rebuilt(&case.schema, dialect, chance)
    {
        let at = chance.within(0, case.operations.len());
        case.operations.insert(at, Operation::Maintain(step));
    }
}

/// With an inner bound where there is an outer one, or perhaps by groups where there is none.
fn limited(schema: &Schema, dialect: &Dialect, search: Search, chance: &mut Chance) -> Search {
    if let Some(radius) = search.radius {
        let distance = chance.within(1, 8) as f32 / 4.0;
        let bound = match search.metric(schema) {
            Metric::L2 => (radius - distance).max(0.0),
            Metric::InnerProduct | Metric::Cosine => radius + distance,
        };
        return Search { range_filter: Some(bound), ..search };
    }
    let fields: Vec<String> = schema
        .payload()
        .filter(|field| Search::can_group_by(field))
        .map(|field| field.name.clone())
        .collect();
    if dialect.offers(CallFeature::GroupBy)
        && let Some(field) = chance.pick(&fields)
    {
        return Search { group_by: Some(field.clone()), ..search };
    }
    search
}

fn rebuilt(schema: &Schema, dialect: &Dialect, chance: &mut Chance) -> Option<Maintenance> {
    let is_dense = |data_type| matches!(data_type, DataType::FloatVector { .. });
    let vector = schema.fields.iter().find(|field| is_dense(field.data_type))?;
    let kinds: Vec<&str> = dialect.indexes_of(vector.data_type).collect();
    let kind = (*chance.pick(&kinds)?).to_owned();
    Some(Maintenance::Rebuild { field: vector.name.clone(), kind })
}
