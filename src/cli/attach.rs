//! `attach`: take a collection that exists into the reference database.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::exit::Exit;
use super::live::{BatchArgs, LiveArgs, failure, progress, with_client};
use super::start::{Failure, say};
use crate::client::{AttachOptions, Source};

#[derive(Debug, Clone, Args)]
pub struct AttachArgs {
    #[command(flatten)]
    live: LiveArgs,
    /// Take the entities from this dump, Parquet, Arrow, CSV or JSON lines, of what was written
    /// [default: from Milvus, so that only what changes from now on can be seen]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[command(flatten)]
    batch: BatchArgs,
}

pub async fn run(args: AttachArgs, quiet: bool) -> Result<Exit, Failure> {
    with_client(&args.live.sides, async |client| {
        let bar = progress(None, quiet);
        bar.set_message("entities");
        let shown = bar.clone();
        let options = AttachOptions {
            source: args.from.clone().map_or(Source::Milvus, Source::Dump),
            batch_size: usize::from(args.batch.batch_size),
            progress: Some(Arc::new(move |entities| shown.set_position(entities))),
        };
        let attached = client.attach(&args.live.collection, &options).await;
        bar.finish_and_clear();
        let entities = attached.map_err(failure)?;
        say(format_args!("{}: {entities} entities in the backend", args.live.collection));
        Ok(Exit::Clean)
    })
    .await
}
