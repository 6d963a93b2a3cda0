//! `info`: what is on both sides.

use clap::Args;

use super::compare::to_json;
use super::exit::Exit;
use super::live::{FormArgs, SidesArgs, failure, with_client};
use super::start::{Failure, say};
use crate::report::rows::{self, Form};

#[derive(Debug, Clone, Args)]
pub struct InfoArgs {
    #[command(flatten)]
    sides: SidesArgs,
    #[command(flatten)]
    form: FormArgs,
}

pub async fn run(args: InfoArgs) -> Result<Exit, Failure> {
    with_client(&args.sides, async |client| {
        let info = client.info().await.map_err(failure)?;
        match args.form.form {
            Form::Table => say(&info),
            Form::Json => say(to_json(&info)?),
            form => {
                let header =
                    ["collection", "fields", "backend", "milvus", "in_doubt"].map(str::to_owned);
                let lines: Vec<Vec<String>> = info
                    .collections
                    .iter()
                    .map(|of| {
                        vec![
                            of.name.clone(),
                            of.fields.to_string(),
                            of.backend_rows.to_string(),
                            of.milvus_rows.map(|rows| rows.to_string()).unwrap_or_default(),
                            of.in_doubt.to_string(),
                        ]
                    })
                    .collect();
                say(rows::table(form, &header, &lines).trim_end());
            }
        }
        Ok(Exit::Clean)
    })
    .await
}
