//! The options, as typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use super::exit;
use crate::engine::simulated::Fault;

/// Property-based differential testing of Milvus.
#[derive(Debug, Parser)]
#[command(
    name = "milvus-difftest",
    version,
    about = "Find wrong answers in Milvus: random schemas, data and filters, checked against \
             DuckDB and a three-valued evaluator, shrunk to a reproduction.",
    after_help = exit::HELP,
    propagate_version = true,
    max_term_width = 100
)]
pub struct Cli {
    /// Say more; twice for everything. RUST_LOG overrides this
    #[arg(short, long, action = clap::ArgAction::Count, global = true, help_heading = "Output")]
    pub verbose: u8,
    /// Say nothing but errors and the result
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Output")]
    pub quiet: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look for divergences until the time or the cases are used up
    #[command(after_help = exit::HELP)]
    Fuzz(Box<FuzzArgs>),
    /// Run saved cases again: STILL FAILING or FIXED, a line each
    #[command(after_help = exit::HELP)]
    Replay(ReplayArgs),
    /// Prove that the harness can fail: inject faults and find each of them
    #[command(after_help = exit::HELP)]
    Selftest(SelftestArgs),
}

/// Which engine to test.
#[derive(Debug, Clone, Default, Args)]
pub struct TargetArgs {
    /// An existing Milvus, for instance http://localhost:19530 [default: an embedded Milvus Lite]
    #[arg(long, value_name = "URI", env = "MILVUS_DIFFTEST_TARGET")]
    pub target: Option<String>,
    /// Its credentials, user:password or an API key. Better set by the environment
    #[arg(long, value_name = "TOKEN", env = "MILVUS_DIFFTEST_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Where embedded engines are installed [default: the user's cache folder]
    #[arg(long, value_name = "DIR", env = "MILVUS_DIFFTEST_CACHE")]
    pub cache: Option<PathBuf>,
    /// The Python that runs the embedded engine, 3.10 or later [default: python3]
    #[arg(long, value_name = "FILE", env = "MILVUS_DIFFTEST_PYTHON")]
    pub python: Option<PathBuf>,
    /// A query beyond this counts as hung [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration, env = "MILVUS_DIFFTEST_QUERY_TIMEOUT")]
    pub query_timeout: Option<Duration>,
}

#[derive(Debug, Clone, Default, Args)]
pub struct FuzzArgs {
    /// How long [default: 60s, unless --cases is given]
    #[arg(long, value_name = "TIME", value_parser = duration, env = "MILVUS_DIFFTEST_TIME")]
    pub time: Option<Duration>,
    /// How many cases, at most: collections with about 60 filters each
    #[arg(long, value_name = "N", env = "MILVUS_DIFFTEST_CASES")]
    pub cases: Option<u64>,
    /// Every case follows from it [default: random, and printed]
    #[arg(long, value_name = "N", env = "MILVUS_DIFFTEST_SEED")]
    pub seed: Option<u64>,
    /// Workers, each with an engine of its own [default: the number of cores, at most 4]
    #[arg(long, value_name = "N", env = "MILVUS_DIFFTEST_JOBS")]
    pub jobs: Option<usize>,
    #[command(flatten)]
    pub target: TargetArgs,
    /// Where findings go, a folder each [default: runs/SEED]
    #[arg(long, value_name = "DIR", env = "MILVUS_DIFFTEST_OUT")]
    pub out: Option<PathBuf>,
    /// Write the figures of the run as JSON
    #[arg(long, value_name = "FILE", env = "MILVUS_DIFFTEST_SUMMARY")]
    pub summary: Option<PathBuf>,
    /// Cases judged to shrink one finding, at most [default: 1500]
    #[arg(long, value_name = "N", env = "MILVUS_DIFFTEST_SHRINK_EVALUATIONS")]
    pub shrink_evaluations: Option<usize>,
    /// Time to shrink one finding, at most [default: 20s]
    #[arg(long, value_name = "TIME", value_parser = duration, env = "MILVUS_DIFFTEST_SHRINK_TIME")]
    pub shrink_time: Option<Duration>,
    /// Options from a TOML file, by their long names; the command line and the environment win
    #[arg(long, value_name = "FILE", env = "MILVUS_DIFFTEST_CONFIG")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// Case files, or folders with case files in them
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Debug, Clone, Args)]
pub struct SelftestArgs {
    /// Only this fault; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub fault: Vec<Fault>,
    /// Cases tried for each fault, at most
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub cases: u64,
    /// Every case follows from it
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

/// "90s", "5m", or seconds: for clap and for the configuration file.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    humantime::parse_duration(text)
        .map_err(|_| format!("'{text}' is no time; write it as 90s, 5m or 1h30m"))
}
