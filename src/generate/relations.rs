//! Random questions for the oracles beside the reference.

use std::collections::BTreeSet;

use super::case::Options;
use super::filter::{Chance, Composer};
use super::history::{any_index, is_offered};
use crate::case::{Case, Check, Maintenance, Relation, Search};
use crate::filter::grammar::Construct;
use crate::filter::{Expr, Filter, Rewrite};
use crate::milvus::{CallFeature, Consistency, Dialect};
use crate::oracle::Oracle;
use crate::schema::{DataType, Metric, Schema};

/// One in so many cases asks before and after what the engine does quickly.
const CHANGES: usize = 3;
/// The same of what it does slowly.
const SLOW_CHANGES: usize = 20;

/// Whether there is an oracle beside the reference to put questions to.
pub(super) fn are_asked(options: &Options) -> bool {
    let oracles = [
        Oracle::Partition,
        Oracle::Projection,
        Oracle::Rewrite,
        Oracle::Template,
        Oracle::Paging,
        Oracle::Count,
        Oracle::Search,
    ];
    oracles.into_iter().any(|oracle| options.asks(oracle))
}

/// A question for an oracle that is asked for; `None` if what was drawn cannot be asked.
pub(super) fn check(
    schema: &Schema,
    dialect: &Dialect,
    options: &Options,
    chance: &mut Chance,
    composer: &Composer,
) -> Option<Check> {
    let relation = match chance.below(8) {
        0 => Relation::Partition,
        1 => match dialect.has(Construct::Template) {
            true => Relation::Template,
            false => Relation::Partition,
        },
        2 => Relation::Projection,
        3 | 4 => Relation::Rewrite(Rewrite::ALL[chance.below(Rewrite::ALL.len())]),
        5 => Relation::Paging(chance.within(1, 9) as u32),
        6 => Relation::Counts,
        _ => return search(schema, dialect, options, chance, composer),
    };
    let check = Check::Agree { relation, filter: composer.filter(chance) };
    is_fit(schema, dialect, options, &check).then_some(check)
}

/// A question at a level of consistency.
pub(super) fn at_level(
    schema: &Schema,
    dialect: &Dialect,
    options: &Options,
    chance: &mut Chance,
    composer: &Composer,
) -> Option<Check> {
    let level = chance.one_of([
        Consistency::Session,
        Consistency::Session,
        Consistency::Bounded,
        Consistency::Eventually,
    ]);
    let relation = Relation::Consistency(level);
    let check = Check::Agree { relation, filter: composer.filter(chance) };
    is_fit(schema, dialect, options, &check).then_some(check)
}

fn is_fit(schema: &Schema, dialect: &Dialect, options: &Options, check: &Check) -> bool {
    let Check::Agree { relation, filter } = check else { return false };
    // Inside of structs, names stand for other things.
    let mut plain = true;
    filter.expr.for_each_node(&mut |node| plain &= !matches!(node, Expr::Elements { .. }));
    let fits = match relation {
        Relation::Partition => plain,
        Relation::Rewrite(rule) => {
            let on_key = matches!(rule, Rewrite::Tautology | Rewrite::Contradiction);
            let names_key = on_key && schema.primary().auto_id;
            plain && !names_key && rule.apply(schema, &filter.expr).is_some()
        }
        Relation::Template => filter.expr.parametrized().is_some(),
        _ => true,
    };
    fits && options.asks(check.oracle())
        && check.filters(schema).iter().all(|f| dialect.lacks_for(schema, f).is_none())
}

/// The nearest rows of those that match.
pub(super) fn search(
    schema: &Schema,
    dialect: &Dialect,
    options: &Options,
    chance: &mut Chance,
    composer: &Composer,
) -> Option<Check> {
    if !options.asks(Oracle::Search) || !dialect.offers(CallFeature::Search) {
        return None;
    }
    let (field, metric, dim) = schema.fields.iter().find_map(|field| match field.data_type {
        DataType::FloatVector { dim } => Some((field.name.clone(), field.metric, dim)),
        _ => None,
    })?;
    let near = (0..dim).map(|_| (chance.below(17) as f32 - 8.0) / 4.0).collect();
    let radius = chance.one_in(4).then(|| match metric {
        None | Some(Metric::L2) => chance.within(1, 24) as f32 / 4.0,
        Some(Metric::InnerProduct) => (chance.below(33) as f32 - 16.0) / 4.0,
        Some(Metric::Cosine) => (chance.below(15) as f32 - 7.0) / 8.0,
    });
    let limit = chance.within(1, 12) as u32;
    let search = Search { field, near, limit, radius, range_filter: None, group_by: None };
    Some(Check::Search { search, filter: Some(composer.filter(chance)) })
}

/// Asks one question more, before those that leave another state behind.
pub(super) fn ask(case: &mut Case, check: Check) {
    let lasts = |check: &Check| matches!(check, Check::Agree { relation: Relation::After(_), .. });
    let at = case.checks.iter().position(lasts).unwrap_or(case.checks.len());
    case.checks.insert(at, check);
}

/// Questions before and after something that changes no answer. They come last: what is asked
/// after them is asked of another state.
pub(super) fn changes(
    schema: &Schema,
    dialect: &Dialect,
    options: &Options,
    chance: &mut Chance,
    composer: &Composer,
) -> Vec<Check> {
    let mut steps: Vec<(CallFeature, Maintenance)> = vec![
        (CallFeature::Segments, Maintenance::Flush),
        (CallFeature::Compaction, Maintenance::Compact),
        (CallFeature::Release, Maintenance::Reload),
        (CallFeature::Restart, Maintenance::Restart),
        (CallFeature::Restart, Maintenance::Kill),
    ];
    if let Some((field, kind)) = any_index(schema, dialect, chance, &BTreeSet::new()) {
        steps.push((CallFeature::Flush, Maintenance::Index { field, kind }));
    }
    let mut all = Vec::new();
    for (feature, step) in steps {
        let filter: Filter = match &step {
            // An index is of no use to a filter on something else.
            Maintenance::Index { field, .. } => match about(composer, chance, field) {
                Some(filter) => filter,
                None => continue,
            },
            _ => composer.filter(chance),
        };
        let slow = dialect.slow.contains(&feature);
        let drawn = chance.one_in(if slow { SLOW_CHANGES } else { CHANGES });
        let check = Check::Agree { relation: Relation::After(step), filter };
        if drawn && is_offered(dialect, feature, true) && options.asks(check.oracle()) {
            all.push(check);
        }
    }
    all
}

/// A filter that uses that field, if one comes up soon.
fn about(composer: &Composer, chance: &mut Chance, field: &str) -> Option<Filter> {
    const TRIES: usize = 12;
    (0..TRIES).map(|_| composer.filter(chance)).find(|filter| {
        let mut used = false;
        filter.expr.for_each_path(&mut |path| used |= path.root == field);
        used
    })
}
