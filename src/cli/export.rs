//! `export`: the entities of one side as a file.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::exit::Exit;
use super::live::{LiveArgs, failure, with_client};
use super::start::{Failure, say};
use crate::client::Side;
use crate::dump::Format;

#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// The file; it is there once it is whole
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    live: LiveArgs,
    /// Which side
    #[arg(long, value_enum, value_name = "SIDE", default_value = "backend")]
    side: SideName,
    /// The format: parquet, arrow, csv or jsonl [default: by the file's name]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SideName {
    Milvus,
    Backend,
}

pub async fn run(args: ExportArgs) -> Result<Exit, Failure> {
    let format = match args.format {
        Some(format) => format,
        None => Format::of(&args.file).map_err(Failure::usage)?,
    };
    with_client(&args.live.sides, async |client| {
        let side = match args.side {
            SideName::Milvus => Side::Milvus,
            SideName::Backend => Side::Backend,
        };
        let name = &args.live.collection;
        let rows = client.export(name, side, &args.file, format).await.map_err(failure)?;
        say(format_args!("{}: {rows} entities", args.file.display()));
        Ok(Exit::Clean)
    })
    .await
}
