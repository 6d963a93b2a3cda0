//! `compare`: both sides of a live collection, all of it or what a filter finds.

use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::exit::Exit;
use super::live::{BatchArgs, FormArgs, LiveArgs, ResumeArgs, failure, progress, with_client};
use super::start::{Failure, note, say};
use crate::client::{DiffClient, EntityOptions, Query};
use crate::compare::Diff;
use crate::milvus::Consistency;
use crate::report::rows::{self, Form};

#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// Compare what this filter finds [default: every entity]
    #[arg(value_name = "FILTER")]
    filter: Option<String>,
    #[command(flatten)]
    live: LiveArgs,
    #[command(flatten)]
    form: FormArgs,
    #[command(flatten)]
    batch: BatchArgs,
    /// So many batches at once
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,
    /// Let components of FLOAT16 and BFLOAT16 vectors differ by this share
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    tolerance: f32,
    /// Read from the reference database only where the digests that it keeps beside its rows differ
    /// from those of Milvus's
    #[arg(long, conflicts_with = "filter")]
    by_digests: bool,
    /// How fresh Milvus's answer to the filter must be: strong, session, bounded or eventually
    /// [default: strong, as for every entity]
    #[arg(long, value_name = "LEVEL", requires = "filter")]
    consistency: Option<Consistency>,
    #[command(flatten)]
    resume: ResumeArgs,
}

pub async fn run(args: CompareArgs, quiet: bool) -> Result<Exit, Failure> {
    with_client(&args.live.sides, async |client| {
        let name = &args.live.collection;
        if let Some(filter) = &args.filter {
            let consistency = args.consistency.unwrap_or(Consistency::Strong);
            let query = Query { consistency, ..Query::from(filter.as_str()) };
            let compared = client.compare_query(name, query).await.map_err(failure)?;
            show(args.form.form, &compared, &compared, &compared.diff)?;
            if compared.is_divergence() {
                return Ok(Exit::Findings);
            }
            if !compared.is_same() {
                return Ok(Exit::Vacuous);
            }
            let nothing = compared.milvus_rows == 0 && compared.backend_rows == 0;
            return match nothing && is_empty(client, name).await? {
                true => Ok(vacuous()),
                false => Ok(Exit::Clean),
            };
        }
        let counts = client.count(name, None).await.map_err(failure)?;
        let bar = progress(Some(counts.backend), quiet);
        bar.set_message("entities");
        let shown = bar.clone();
        let options = EntityOptions {
            batch_size: usize::from(args.batch.batch_size),
            jobs: args.jobs,
            tolerance: args.tolerance,
            by_digests: args.by_digests,
            resume: args.resume.resume.clone(),
            progress: Some(Arc::new(move |progress| shown.set_position(progress.entities))),
            ..EntityOptions::default()
        };
        let compared = client.compare_entities(name, &options).await;
        bar.finish_and_clear();
        let compared = compared.map_err(failure)?;
        show(args.form.form, &compared, &compared, &compared.diff)?;
        if !compared.is_same() {
            return Ok(Exit::Findings);
        }
        match compared.backend_entities {
            0 => Ok(vacuous()),
            _ => Ok(Exit::Clean),
        }
    })
    .await
}

/// Whether neither side has any entity.
async fn is_empty(client: &DiffClient, collection: &str) -> Result<bool, Failure> {
    let counts = client.count(collection, None).await.map_err(failure)?;
    Ok(counts.milvus == 0 && counts.backend == 0)
}

fn vacuous() -> Exit {
    note("neither side has any entity, so that nothing was compared");
    Exit::Vacuous
}

fn show(
    form: Form,
    text: &impl std::fmt::Display,
    json: &impl Serialize,
    diff: &Diff,
) -> Result<(), Failure> {
    match form {
        Form::Table => say(text),
        Form::Json => say(to_json(json)?),
        Form::Csv | Form::Markdown => say(rows::diff(form, diff).trim_end()),
    }
    Ok(())
}

pub fn to_json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value)
        .map_err(|error| Failure::environment(format!("cannot write JSON: {error}")))
}
