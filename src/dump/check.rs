//! What a dump asks of a row, whatever its format.

use serde_json::Value as Json;

use super::DumpError;
use crate::schema::{DataType, Field, Schema};
use crate::value::{META, Row, Value};

/// The deepest nesting of a JSON value and of a key of the dynamic field. `serde_json` reads 127
/// levels, and two are those of a row and its dynamic field in JSON lines.
pub const MAX_JSON_DEPTH: usize = 125;

/// The fields, without their limits on lengths.
pub(super) struct Check {
    fields: Vec<Field>,
    dynamic: bool,
}

impl Check {
    pub(super) fn new(schema: &Schema) -> Check {
        Check { fields: schema.fields.iter().map(unlimited).collect(), dynamic: schema.dynamic }
    }

    /// Whether every value of a row is one of its field's.
    pub(super) fn row(&self, row: &Row, number: u64) -> Result<(), DumpError> {
        let mut known = 0;
        for field in &self.fields {
            let value = row.fields.get(&field.name);
            known += usize::from(value.is_some());
            let value = value.unwrap_or(&Value::Null);
            let fits = match value {
                Value::Geometry(_) => field.data_type == DataType::Geometry,
                Value::Json(json) if deeper(json, MAX_JSON_DEPTH) => {
                    return Err(deep(field, number));
                }
                value => value.fits(field),
            };
            if !fits {
                return Err(DumpError::value(&field.name, number, field.data_type, value));
            }
        }
        if known < row.fields.len() {
            let unknown = row.fields.keys().find(|name| !self.has(name));
            let column = unknown.cloned().unwrap_or_default();
            return Err(DumpError::ExtraColumn { column });
        }
        if !self.dynamic && !row.dynamic.is_empty() {
            return Err(DumpError::ExtraColumn { column: META.to_owned() });
        }
        if row.dynamic.values().any(|json| deeper(json, MAX_JSON_DEPTH)) {
            return Err(deep(&Field::new(META, DataType::Json), number));
        }
        Ok(())
    }

    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }
}

fn unlimited(field: &Field) -> Field {
    Field {
        max_length: Some(u32::MAX),
        max_capacity: Some(u32::MAX),
        members: field.members.iter().map(unlimited).collect(),
        ..field.clone()
    }
}

fn deeper(json: &Json, most: usize) -> bool {
    let inside = |json: &Json| most == 0 || deeper(json, most - 1);
    match json {
        // An empty container is a level, too.
        Json::Array(items) => most == 0 || items.iter().any(inside),
        Json::Object(members) => most == 0 || members.values().any(inside),
        _ => false,
    }
}

fn deep(field: &Field, row: u64) -> DumpError {
    let expected = format!("JSON of at most {MAX_JSON_DEPTH} levels");
    DumpError::value(&field.name, row, expected, "a deeper one")
}
