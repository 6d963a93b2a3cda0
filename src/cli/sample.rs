//! `sample`: entities of the backend, drawn at random.

use clap::Args;

use super::compare::to_json;
use super::exit::Exit;
use super::live::{FormArgs, LiveArgs, failure, with_client};
use super::start::{Failure, say};
use crate::report::rows::{self, Form};
use crate::value::Row;

#[derive(Debug, Clone, Args)]
pub struct SampleArgs {
    /// So many entities
    #[arg(value_name = "N", default_value_t = 10)]
    count: usize,
    /// The same seed draws the same entities
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    live: LiveArgs,
    #[command(flatten)]
    form: FormArgs,
}

pub async fn run(args: SampleArgs) -> Result<Exit, Failure> {
    with_client(&args.live.sides, async |client| {
        let name = &args.live.collection;
        let schema = client.schema(name).map_err(failure)?;
        let sample = client.sample(name, args.count, args.seed).await.map_err(failure)?;
        match args.form.form {
            Form::Json => say(to_json(&sample.iter().map(Row::to_json).collect::<Vec<_>>())?),
            form => {
                let lines = sample.iter().map(|row| ("", row));
                say(rows::rows(form, &schema, None, lines).trim_end());
            }
        }
        Ok(Exit::Clean)
    })
    .await
}
