//! What the commands on live collections share: their options and the connection.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, value_parser};
use indicatif::{ProgressBar, ProgressStyle};

use super::args::duration;
use super::exit::Exit;
use super::setup::or_signal;
use super::start::Failure;
use crate::client::{ClientError, DiffClient};
use crate::reference::ReferenceError;
use crate::report::rows::Form;

/// Both sides of a live collection.
#[derive(Debug, Clone, Args)]
pub struct LiveArgs {
    /// The collection
    #[arg(long, value_name = "NAME", env = "MILVUS_DIFFTEST_COLLECTION", hide_env = true)]
    pub collection: String,
    #[command(flatten)]
    pub sides: SidesArgs,
}

/// Milvus, and the reference database beside it.
#[derive(Debug, Clone, Args)]
pub struct SidesArgs {
    /// The Milvus
    #[arg(
        long,
        value_name = "URI",
        default_value = "http://localhost:19530",
        env = "MILVUS_DIFFTEST_TARGET",
        hide_env = true
    )]
    pub target: String,
    /// Its credentials, user:password or an API key. Safer in MILVUS_DIFFTEST_TOKEN
    #[arg(
        long,
        value_name = "TOKEN",
        env = "MILVUS_DIFFTEST_TOKEN",
        hide_env = true,
        hide_env_values = true
    )]
    pub token: Option<String>,
    /// The reference database that holds what should be there: duckdb:PATH, or clickhouse: and an
    /// address as https://USER@HOST:PORT/DATABASE
    #[arg(
        long,
        value_name = "BACKEND",
        env = "MILVUS_DIFFTEST_BACKEND",
        hide_env = true,
        hide_env_values = true
    )]
    pub backend: String,
    /// The password for a clickhouse:URL that has none. Safer in MILVUS_DIFFTEST_BACKEND_PASSWORD
    #[arg(
        long,
        value_name = "PASSWORD",
        env = "MILVUS_DIFFTEST_BACKEND_PASSWORD",
        hide_env = true,
        hide_env_values = true
    )]
    pub backend_password: Option<String>,
    /// What the engine has: the name of a dialect, or a TOML file with one [default: by the
    /// engine's version]
    #[arg(long, value_name = "NAME|FILE", env = "MILVUS_DIFFTEST_DIALECT", hide_env = true)]
    pub dialect: Option<String>,
    /// A call to Milvus beyond this has failed
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "30s", env = "MILVUS_DIFFTEST_QUERY_TIMEOUT", hide_env = true)]
    pub query_timeout: Duration,
}

/// The form of a result.
#[derive(Debug, Clone, Copy, Args)]
pub struct FormArgs {
    /// The form of the result
    #[arg(long = "format", value_enum, value_name = "FORM", default_value = "table")]
    pub form: Form,
}

/// Where and how much, for what goes through many entities.
#[derive(Debug, Clone, Args)]
pub struct BatchArgs {
    /// So many entities at a time
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = value_parser!(u16).range(2..=16_383))]
    pub batch_size: u16,
}

/// A file to go on from.
#[derive(Debug, Clone, Args)]
pub struct ResumeArgs {
    /// Write down here how far it has come, and go on from there if the file exists
    #[arg(long, value_name = "FILE")]
    pub resume: Option<PathBuf>,
}

/// Connects to both sides.
pub async fn connect(args: &SidesArgs) -> Result<DiffClient, Failure> {
    let backend = match args.backend.as_str() {
        "duckdb" | "clickhouse" | "clickhouse:embedded" => {
            return Err(Failure::usage(format!(
                "--backend {} ends with this command: name one that lasts, as duckdb:PATH",
                args.backend
            )));
        }
        backend => backend.to_owned(),
    };
    let mut builder =
        DiffClient::builder().uri(&args.target).backend(backend).deadline(args.query_timeout);
    if let Some(token) = &args.token {
        builder = builder.token(token);
    }
    if let Some(password) = &args.backend_password {
        builder = builder.backend_password(password);
    }
    if let Some(dialect) = &args.dialect {
        builder = builder.dialect(dialect);
    }
    builder.connect().await.map_err(failure)
}

/// Connects, does something, and ends in good order, also when a signal comes.
pub async fn with_client(
    args: &SidesArgs,
    work: impl AsyncFnOnce(&DiffClient) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let done = or_signal(async {
        let client = connect(args).await?;
        let done = work(&client).await;
        client.close().await;
        done
    });
    done.await.unwrap_or(Ok(Exit::Interrupted))
}

/// What a failure of the client means for the exit code.
pub fn failure(error: ClientError) -> Failure {
    let exit = match &error {
        ClientError::Options(_)
        | ClientError::Lacks { .. }
        | ClientError::NoCollection(_)
        | ClientError::CollectionExists { .. }
        | ClientError::Filter(_)
        | ClientError::Types(_)
        | ClientError::Dialect(_)
        | ClientError::Dump(_)
        | ClientError::Reference(ReferenceError::Unknown(_)) => Exit::Usage,
        ClientError::Conflict(_) => Exit::Conflict,
        _ => Exit::Environment,
    };
    Failure::new(exit, error)
}

/// A bar for entities, or a mere counter if nobody knows how many there will be.
pub fn progress(of: Option<u64>, quiet: bool) -> ProgressBar {
    let bar = match of {
        Some(of) => ProgressBar::new(of),
        None => ProgressBar::no_length(),
    };
    if quiet {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let form = match of {
        Some(_) => "{elapsed_precise} [{bar:30}] {human_pos} of {human_len} {msg} ({eta})",
        None => "{elapsed_precise} {human_pos} {msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(form) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
