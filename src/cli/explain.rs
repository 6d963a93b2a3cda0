//! `explain`: what a filter means.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use super::args::{ExplainArgs, ExplainFormat};
use super::exit::Exit;
use super::setup::or_signal;
use super::start::{Failure, say};
use crate::case::Case;
use crate::filter::{Semantics, parse};
use crate::milvus::{ConnectOptions, Milvus};
use crate::report::explanation::Explanation;
use crate::schema::{DataType, Schema};
use crate::value::{META, Row};

/// How long a server may take to describe a collection.
const DEADLINE: Duration = Duration::from_secs(10);

pub async fn run(args: ExplainArgs) -> Result<Exit, Failure> {
    // First the filter: what is wrong with it needs no schema.
    let filter = match parse(&args.filter) {
        Ok(filter) => filter,
        Err(error) => {
            let place = json!({
                "position": error.position,
                "length": error.length,
                "reason": error.reason,
                "suggestion": error.suggestion,
            });
            let shown = error.render(&args.filter);
            return wrong(args.format, "cannot parse the filter", &shown, place);
        }
    };
    let (schema, saved) = match or_signal(schema(&args)).await {
        Some(read) => read?,
        None => return Ok(Exit::Interrupted),
    };
    let rows = match &args.rows {
        Some(path) => read_rows(path, &schema)?,
        None => saved,
    };
    let semantics: Semantics = args.semantics.iter().copied().collect();
    match Explanation::new(&schema, &filter, &rows, semantics) {
        Ok(explanation) => {
            match args.format {
                ExplainFormat::Text => say(explanation.to_string().trim_end()),
                ExplainFormat::Json => say(json(&explanation)?),
            }
            Ok(Exit::Clean)
        }
        Err(error) => {
            let text = filter.to_string();
            let place = error.place(&text);
            let details = json!({
                "filter": text,
                "position": place.start,
                "length": place.len(),
                "reason": error.reason(),
            });
            wrong(args.format, "the filter does not fit the schema", &error.render(&text), details)
        }
    }
}

/// Says what is wrong with the filter: on stderr, or as JSON on stdout.
fn wrong(format: ExplainFormat, what: &str, shown: &str, details: Json) -> Result<Exit, Failure> {
    match format {
        ExplainFormat::Json => {
            say(json(&json!({"error": details}))?);
            Ok(Exit::Usage)
        }
        ExplainFormat::Text => {
            let lines: Vec<_> =
                shown.lines().map(|line| format!("\n  {}", coloured(line))).collect();
            Err(Failure::usage(format!("{what}:{}", lines.concat())))
        }
    }
}

/// Carets in red, if it is a terminal that reads this.
fn coloured(line: &str) -> String {
    let carets = line.trim_start();
    let blanks = line.len() - carets.len();
    let wanted = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if wanted && carets.starts_with('^') {
        format!("{}\u{1b}[31m{carets}\u{1b}[0m", &line[..blanks])
    } else {
        line.to_owned()
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(Failure::environment)
}

/// The schema, and the rows that are saved beside it.
async fn schema(args: &ExplainArgs) -> Result<(Schema, Vec<Row>), Failure> {
    match (&args.schema, &args.collection, &args.target) {
        (Some(path), ..) => read_schema(path),
        (None, Some(collection), Some(uri)) => {
            let (uri, token) = (uri.clone(), args.token.clone());
            let options = ConnectOptions { uri, token, deadline: DEADLINE };
            let milvus = Milvus::connect(&options).await.map_err(Failure::environment)?;
            let schema = milvus.schema(collection).await.map_err(Failure::environment)?;
            Ok((schema, Vec::new()))
        }
        _ => Err(Failure::usage("give a schema with --schema, or --collection and --target")),
    }
}

/// A schema, or a case file with a schema and rows.
fn read_schema(path: &Path) -> Result<(Schema, Vec<Row>), Failure> {
    let text = read(path)?;
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
fn read_rows(path: &Path, schema: &Schema) -> Result<Vec<Row>, Failure> {
    let text = read(path)?;
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

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
}
