//! `query`: what both sides answer.

use clap::{Args, value_parser};
use serde_json::json;

use super::compare::to_json;
use super::exit::Exit;
use super::live::{FormArgs, LiveArgs, failure, with_client};
use super::start::{Failure, note, say};
use crate::client::{Query, QueryPair};
use crate::milvus::{Consistency, MilvusError};
use crate::report::rows::{self, Form};
use crate::schema::Schema;
use crate::value::{META, Row};

#[derive(Debug, Clone, Args)]
pub struct QueryArgs {
    /// The filter; an empty one is true of every row
    #[arg(value_name = "FILTER")]
    filter: String,
    #[command(flatten)]
    live: LiveArgs,
    #[command(flatten)]
    form: FormArgs,
    /// These fields alone, $meta for the dynamic one [default: every field]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    fields: Option<Vec<String>>,
    /// At most so many rows
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=16_384))]
    limit: Option<u32>,
    /// Without the first so many
    #[arg(long, value_name = "N", default_value_t = 0, requires = "limit")]
    offset: u32,
    /// How fresh Milvus's answer must be: strong, session, bounded or eventually
    #[arg(long, value_name = "LEVEL", default_value_t = Consistency::Strong)]
    consistency: Consistency,
}

pub async fn run(args: QueryArgs) -> Result<Exit, Failure> {
    with_client(&args.live.sides, async |client| {
        let name = &args.live.collection;
        let query = Query {
            fields: args.fields.clone(),
            limit: args.limit,
            offset: args.offset,
            consistency: args.consistency,
            ..Query::from(args.filter.as_str())
        };
        let schema = client.schema(name).map_err(failure)?;
        let pair = client.query(name, query).await.map_err(failure)?;
        show(&pair, &schema, args.fields.as_deref(), args.form.form)
    })
    .await
}

/// Shows both answers and says whether they are the same.
pub fn show(
    pair: &QueryPair,
    schema: &Schema,
    fields: Option<&[String]>,
    form: Form,
) -> Result<Exit, Failure> {
    let part = Schema {
        fields: schema
            .fields
            .iter()
            .filter(|field| {
                field.primary || fields.is_none_or(|fields| fields.contains(&field.name))
            })
            .cloned()
            .collect(),
        dynamic: schema.dynamic
            && fields.is_none_or(|fields| fields.iter().any(|name| name == META)),
    };
    let rows_of = |rows: &[Row]| rows.iter().map(Row::to_json).collect::<Vec<_>>();
    let milvus = match &pair.milvus {
        Ok(rows) => rows,
        Err(
            error @ (MilvusError::Unavailable { .. }
            | MilvusError::Deadline { .. }
            | MilvusError::Denied { .. }),
        ) => return Err(Failure::environment(error)),
        Err(error) => {
            if form == Form::Json {
                let error = error.to_string();
                say(to_json(&json!({"backend": rows_of(&pair.backend), "error": error}))?);
            } else {
                note(format_args!("Milvus: {error}"));
                let backend = pair.backend.iter().map(|row| ("backend", row));
                say(rows::rows(form, &part, Some("side"), backend).trim_end());
            }
            return Ok(Exit::Findings);
        }
    };
    let diff = pair.diff().map_err(Failure::environment)?;
    if form == Form::Json {
        let both = json!({
            "milvus": rows_of(milvus), "backend": rows_of(&pair.backend), "diff": diff,
        });
        say(to_json(&both)?);
    } else {
        // What both have once, and the rest with its side.
        let mut left: Vec<&Row> = milvus.iter().collect();
        let mut lines: Vec<(&str, &Row)> = Vec::new();
        for row in &pair.backend {
            let key = row.key(schema);
            let same = left.iter().position(|other| {
                other.key(schema) == key
                    && part.fields.iter().all(|f| row.get(&f.name).same(other.get(&f.name)))
                    && row.dynamic == other.dynamic
            });
            match same {
                Some(at) => {
                    left.remove(at);
                    lines.push(("both", row));
                }
                None => lines.push(("backend", row)),
            }
        }
        lines.extend(left.into_iter().map(|row| ("milvus", row)));
        lines.sort_by_key(|(_, row)| row.key(schema));
        say(rows::rows(form, &part, Some("side"), lines).trim_end());
        note(format_args!("Milvus {} rows, backend {}", milvus.len(), pair.backend.len()));
    }
    Ok(if diff.is_empty() { Exit::Clean } else { Exit::Findings })
}
