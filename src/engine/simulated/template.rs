//! Filters whose constants are sent beside them.

use std::collections::{BTreeMap, HashMap};

use milvus::proto::schema::{TemplateValue, template_array_value::Data, template_value::Val};

use super::fault::Fault;
use super::reply::{Reply, invalid, no_plan};
use super::sabotage::Sabotage;
use crate::filter::{Literal, parse};

/// The filter with its constants written out.
pub(super) fn bound(
    filter: &str,
    values: HashMap<String, TemplateValue>,
    sabotage: &Sabotage,
) -> Reply<String> {
    let mut literals = BTreeMap::new();
    for (name, value) in values {
        let literal = literal(value).ok_or_else(|| invalid(format!("{name} has no value")))?;
        literals.insert(name, literal);
    }
    if sabotage.has(Fault::TemplateListLosesLast) {
        for literal in literals.values_mut() {
            if let Literal::List(list) = literal
                && list.len() >= 2
            {
                list.pop();
            }
        }
    }
    Ok(parse(filter).map_err(no_plan)?.bind(&literals).map_err(no_plan)?.to_string())
}

fn literal(value: TemplateValue) -> Option<Literal> {
    Some(match value.val? {
        Val::BoolVal(value) => Literal::Bool(value),
        Val::Int64Val(value) => Literal::Int(value),
        Val::FloatVal(value) => Literal::Float(value),
        Val::StringVal(value) => Literal::Text(value),
        Val::ArrayVal(array) => Literal::List(match array.data? {
            Data::BoolData(list) => list.data.into_iter().map(Literal::Bool).collect(),
            Data::LongData(list) => list.data.into_iter().map(Literal::Int).collect(),
            Data::DoubleData(list) => list.data.into_iter().map(Literal::Float).collect(),
            Data::StringData(list) => list.data.into_iter().map(Literal::Text).collect(),
            Data::ArrayData(_) | Data::JsonData(_) => return None,
        }),
        Val::BytesVal(_) => return None,
    })
}
