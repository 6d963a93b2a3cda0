//! `count`: how many entities each side has.

use clap::Args;

use super::compare::to_json;
use super::exit::Exit;
use super::live::{FormArgs, LiveArgs, failure, with_client};
use super::start::{Failure, say};
use crate::report::rows::{self, Form};

#[derive(Debug, Clone, Args)]
pub struct CountArgs {
    /// Count what this filter finds [default: every entity]
    #[arg(value_name = "FILTER")]
    filter: Option<String>,
    #[command(flatten)]
    live: LiveArgs,
    #[command(flatten)]
    form: FormArgs,
    /// Also read every key of Milvus and count those
    #[arg(long, conflicts_with = "filter")]
    read: bool,
}

pub async fn run(args: CountArgs) -> Result<Exit, Failure> {
    with_client(&args.live.sides, async |client| {
        let name = &args.live.collection;
        let counts = match args.read {
            true => client.count_and_read(name).await,
            false => client.count(name, args.filter.as_deref()).await,
        };
        let counts = counts.map_err(failure)?;
        match args.form.form {
            Form::Table => say(&counts),
            Form::Json => say(to_json(&counts)?),
            form => {
                let read = counts.milvus_read.map(|read| read.to_string());
                let header = ["milvus", "milvus_read", "backend"].map(str::to_owned);
                let line = vec![
                    counts.milvus.to_string(),
                    read.unwrap_or_default(),
                    counts.backend.to_string(),
                ];
                say(rows::table(form, &header, &[line]).trim_end());
            }
        }
        Ok(if counts.is_same() { Exit::Clean } else { Exit::Findings })
    })
    .await
}
