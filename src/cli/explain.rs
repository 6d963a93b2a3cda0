//! `explain`: what a filter means.

use std::io::IsTerminal;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::args::{ExplainArgs, ExplainFormat};
use super::exit::Exit;
use super::input;
use super::setup::or_signal;
use super::start::{Failure, say};
use crate::filter::{Semantics, parse};
use crate::milvus::{ConnectOptions, Milvus};
use crate::report::explanation::Explanation;
use crate::schema::Schema;
use crate::value::Row;

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
        Some(path) => input::rows(path, &schema)?,
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
        (Some(path), ..) => input::schema(path),
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
