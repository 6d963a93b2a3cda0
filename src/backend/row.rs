//! What every backend asks of a row before it stores it.

use std::fmt::Display;

use super::BackendError;
use crate::schema::{Field, Schema};
use crate::value::{Key, META, Row, Value};

/// The columns' names, in order.
pub(super) fn columns(schema: &Schema) -> Vec<&str> {
    let fields = schema.fields.iter().map(|field| field.name.as_str());
    fields.chain(schema.dynamic.then_some(META)).collect()
}

/// Those of them that a selection names, and the key's.
pub(super) fn selected<'a>(schema: &'a Schema, fields: Option<&[String]>) -> Vec<&'a str> {
    let mut names = columns(schema);
    if let Some(fields) = fields {
        let key = &schema.primary().name;
        names.retain(|name| name == key || fields.iter().any(|field| field == name));
    }
    names
}

/// The column of the rows' digests. No field's name can have a tilde.
pub(super) const DIGEST: &str = "~digest";

/// A row's key, once it is certain that every value fits its field and has one.
pub(super) fn checked(schema: &Schema, row: &Row) -> Result<Key, BackendError> {
    if let Some(name) = row.fields.keys().find(|name| schema.field(name).is_none()) {
        return Err(wrong(name, "not in the schema", row.get(name)));
    }
    if !schema.dynamic && !row.dynamic.is_empty() {
        let dynamic = Value::Json(row.dynamic.clone().into());
        return Err(wrong(META, "not in the schema", &dynamic));
    }
    for field in &schema.fields {
        match row.get(&field.name) {
            Value::Null if !field.nullable => return Err(wrong(&field.name, "required", "null")),
            value if *value != Value::Null && !value.fits(field) => {
                return Err(misfit(field, value));
            }
            _ => {}
        }
    }
    row.key(schema).ok_or_else(|| wrong(&schema.primary().name, "the key", "null"))
}

/// A value that is none of its field's.
pub(super) fn misfit(field: &Field, found: impl Display) -> BackendError {
    wrong(&field.name, field.data_type, found)
}

pub(super) fn wrong(field: &str, expected: impl Display, found: impl Display) -> BackendError {
    BackendError::Value {
        field: field.to_owned(),
        expected: expected.to_string(),
        found: found.to_string().chars().take(80).collect(),
    }
}
