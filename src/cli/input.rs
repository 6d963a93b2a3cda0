//! Files that several commands read: schemas and rows.

use std::path::Path;

use serde_json::Value as Json;

use super::start::Failure;
use crate::schema::Schema;
use crate::value::Row;

/// A schema: the `"schema"` of a case file, or such an object on its own.
pub fn schema(path: &Path) -> Result<Schema, Failure> {
    let json: Json = serde_json::from_str(&text(path)?)
        .map_err(|error| Failure::usage(format!("{} is not JSON: {error}", path.display())))?;
    let schema = json.get("schema").unwrap_or(&json).clone();
    let schema: Schema = serde_json::from_value(schema)
        .map_err(|error| Failure::usage(format!("{} holds no schema: {error}", path.display())))?;
    schema.validate().map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    Ok(schema)
}

/// Rows for a schema: a JSON array of objects, or an object on each line.
pub fn rows(path: &Path, schema: &Schema) -> Result<Vec<Row>, Failure> {
    let text = text(path)?;
    let wrong = |line: usize, reason: String| {
        Failure::usage(format!("{}, line {line}: {reason}", path.display()))
    };
    let objects: Vec<(usize, Json)> = if text.trim_start().starts_with('[') {
        let all: Vec<Json> =
            serde_json::from_str(&text).map_err(|error| wrong(error.line(), error.to_string()))?;
        all.into_iter().map(|object| (1, object)).collect()
    } else {
        let mut all = Vec::new();
        for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let object =
                serde_json::from_str(line).map_err(|error| wrong(i + 1, error.to_string()))?;
            all.push((i + 1, object));
        }
        all
    };
    let row = |(line, object): (usize, Json)| {
        Row::from_json(schema, &object).map_err(|error| wrong(line, error.to_string()))
    };
    objects.into_iter().map(row).collect()
}

/// The text of a file.
pub fn text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
}
