//! Fields that are added to collections in the course of their histories.
//!
//! As with partitions, what is drawn here is drawn last.

use super::case::{Options, is_let_pass};
use super::filter::Chance;
use super::history::is_offered;
use super::relations;
use crate::case::{Case, Check, Maintenance, Operation};
use crate::filter::{Expr, FieldPath};
use crate::milvus::{CallFeature, Dialect, SchemaFeature};
use crate::oracle::Oracle;
use crate::schema::{DataType, Field};
use crate::value::{Row, Value};

/// One in so many cases has a field that is added.
const ADDED: usize = 5;

/// Has a field of a case added later, if it is one of those that have one. What was said of it
/// before is left out.
pub(super) fn add(case: &mut Case, dialect: &Dialect, options: &Options, chance: &mut Chance) {
    // Rows of the user's own have all fields that they have.
    let is_free = options.rows.is_none() && dialect.offers(CallFeature::AddField);
    if !is_free || !chance.one_in(ADDED) {
        return;
    }
    let can: Vec<&Field> = case.schema.fields.iter().filter(|f| Operation::can_add(f)).collect();
    let Some(name) = chance.pick(&can).map(|field| field.name.clone()) else { return };
    if options.schema.is_none() && dialect.allows(SchemaFeature::Default) && chance.one_in(2) {
        give_default(case, &name, chance);
    }
    let steps = case.operations.len();
    let later = case.operations.split_off(chance.within(steps.min(1), steps));
    for row in case.operations.iter_mut().flat_map(Operation::rows_mut) {
        row.fields.remove(&name);
    }
    case.operations.retain(|step| !step.names(&name) && !changes_nothing(step));
    if chance.one_in(2) && is_offered(dialect, CallFeature::Flush, chance.one_in(4)) {
        case.operations.push(Operation::Maintain(Maintenance::Flush));
    }
    case.operations.push(Operation::AddField(name.clone()));
    let finds = older_rows(case, &name);
    if options.asks(Oracle::Reference) {
        if chance.one_in(2) {
            case.operations.push(Operation::Ask(Check::Entities));
        }
        let lacks = |check: &Check| dialect.lacks_for(&case.schema, check.spelled()?);
        if lacks(&finds).is_none() && is_let_pass(&finds, chance, &case.schema, options) {
            relations::ask(case, finds);
        }
    }
    case.operations.extend(later);
    // What was deleted by a filter on it may be there now, and be inserted again.
    case.leave_out_the_impossible();
}

/// Gives a field a default value, if it can have one: few have both that and nulls, and more can go
/// wrong with it. It is a value that some row has.
fn give_default(case: &mut Case, name: &str, chance: &mut Chance) {
    let rows = case.operations.iter().flat_map(Operation::rows);
    let values: Vec<Value> = rows.map(|row: &Row| row.get(name).clone()).collect();
    let Some(field) = case.schema.fields.iter_mut().find(|field| field.name == name) else {
        return;
    };
    let can =
        matches!(field.data_type, DataType::Scalar(_) | DataType::Timestamptz | DataType::Geometry);
    let value = chance.pick(&values).filter(|value| can && **value != Value::Null);
    if let (None, Some(value)) = (&field.default, value) {
        field.default = Some(value.to_json());
    }
}

/// A question that finds the rows that were there before a field was added.
fn older_rows(case: &Case, name: &str) -> Check {
    let negated = case.schema.field(name).is_some_and(|field| field.default.is_some());
    Check::Query(Expr::IsNull { operand: FieldPath::new(name), negated }.into())
}

/// Whether it is a partial upsert of nothing but keys.
fn changes_nothing(step: &Operation) -> bool {
    let mut rows = step.rows().iter();
    matches!(step.plain(), Operation::Patch(_))
        && rows.all(|row| row.fields.len() <= 1 && row.dynamic.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::case;

    #[test]
    fn fields_are_added_where_the_dialect_has_that() {
        let added = |name: &str| {
            let dialect = Dialect::load(name).unwrap();
            let cases = (0..60).map(|number| case(3, number, &dialect));
            let added = cases.filter_map(|case| {
                let name = case.operations.iter().find_map(|step| match step {
                    Operation::AddField(name) => Some(name),
                    _ => None,
                })?;
                case.validate().unwrap();
                case.schema.field(name).cloned()
            });
            added.collect::<Vec<Field>>()
        };
        assert_eq!(added("milvus-2.5"), []);
        let fields = added("simulated");
        let (with, without): (Vec<&Field>, Vec<&Field>) =
            fields.iter().partition(|field| field.default.is_some());
        assert!(with.len() >= 2 && without.len() >= 2, "{fields:?}");
    }
}
