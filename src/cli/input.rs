//! Files that several commands read: schemas and rows.

use std::path::Path;

use serde_json::{Map, Value as Json};

use super::start::Failure;
use crate::case::Case;
use crate::schema::{DataType, Schema};
use crate::value::{META, Row};

/// A schema, or a case file with a schema and rows.
pub fn schema(path: &Path) -> Result<(Schema, Vec<Row>), Failure> {
    let text = text(path)?;
    let wrong = |reason: String| Failure::usage(format!("{}: {reason}", path.display()));
    let json: Json =
        serde_json::from_str(&text).map_err(|error| wrong(format!("it is no JSON: {error}")))?;
    if json.get("format").is_some() {
        let (case, _) = Case::from_json(&text)
            .map_err(|error| wrong(format!("it is not a usable case: {error}")))?;
        let rows = case.rows().into_values().collect();
        return Ok((case.schema, rows));
    }
    let schema: Schema = serde_json::from_value(json).map_err(|error| {
        wrong(format!(
            "it is neither a case nor a schema like {{\"fields\": [{{\"name\": \"id\", \"type\": \
             \"INT64\", \"primary\": true}}]}}: {error}"
        ))
    })?;
    schema.validate().map_err(|error| wrong(error.to_string()))?;
    Ok((schema, Vec::new()))
}

/// Rows as a JSON array, or as JSON objects one after the other.
pub fn rows(path: &Path, schema: &Schema) -> Result<Vec<Row>, Failure> {
    let text = text(path)?;
    let wrong = |number: usize, reason: String| {
        Failure::usage(format!("{}, row {number}: {reason}", path.display()))
    };
    let mut rows = Vec::new();
    let values: Vec<Json> = if text.trim_start().starts_with('[') {
        serde_json::from_str(&text).map_err(|error| {
            Failure::usage(format!("{}: it is no JSON array of rows: {error}", path.display()))
        })?
    } else {
        let stream = serde_json::Deserializer::from_str(&text).into_iter::<Json>();
        let values = stream.enumerate().map(|(i, value)| {
            value.map_err(|error| wrong(i + 1, format!("it is no JSON: {error}")))
        });
        values.collect::<Result<_, _>>()?
    };
    for (i, value) in values.into_iter().enumerate() {
        let row = Row::from_json(schema, &completed(schema, value))
            .map_err(|error| wrong(i + 1, error.to_string()))?;
        rows.push(row);
    }
    Ok(rows)
}

/// A row as people write it: keys that no field declares go into the dynamic field, and vectors,
/// which no filter looks at, may be left out.
fn completed(schema: &Schema, row: Json) -> Json {
    let Json::Object(given) = row else { return row };
    let mut declared = Map::new();
    let mut dynamic = Map::new();
    for (name, value) in given {
        match (name.as_str(), value) {
            (META, Json::Object(keys)) => dynamic.extend(keys),
            (_, value) if !schema.dynamic || schema.field(&name).is_some() => {
                declared.insert(name, value);
            }
            (_, value) => {
                dynamic.insert(name, value);
            }
        }
    }
    for field in &schema.fields {
        if let DataType::FloatVector { dim } = field.data_type {
            let zeros = || Json::from(vec![0.0; usize::from(dim)]);
            declared.entry(field.name.clone()).or_insert_with(zeros);
        }
    }
    if !dynamic.is_empty() {
        declared.insert(META.to_owned(), Json::Object(dynamic));
    }
    Json::Object(declared)
}

/// The text of a file.
pub fn text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
}
