//! The options, as typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::exit;
use crate::engine::simulated::Fault;
use crate::filter::Switch;

/// The options of `fuzz` and `replay` are read from here too.
const ENVIRONMENT: &str = "\
Every option that takes a value can also be set in the environment, --query-timeout by
MILVUS_DIFFTEST_QUERY_TIMEOUT and so on. The command line wins.";

/// What the exit codes mean where there is nothing to find but faults of its own.
const SELFTEST: &str = "\
Ends with exit code 0 if every fault was found, and with 1 if one was not or if the simulated
Milvus was accused of anything when it had no fault.";

/// What the exit codes mean where nothing is tested.
const EXPLAIN: &str = "\
The schema is JSON as in case files: {\"fields\": [{\"name\": \"id\", \"type\": \"INT64\",
\"primary\": true}], \"dynamic\": true}. In rows, keys that no field declares go into the dynamic
field, and vectors may be left out.

Ends with exit code 0 if the filter has a meaning, with 2 if it has none or the options are wrong,
and with 3 if Milvus cannot be reached.";

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
    /// Say more on stderr; twice for still more. RUST_LOG overrides this
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
    /// Look for wrong answers until the time or the cases are used up
    #[command(after_help = format!("{ENVIRONMENT}\n\n{}", exit::HELP))]
    Fuzz(Box<FuzzArgs>),
    /// Run saved cases again and say of each: STILL FAILING, FIXED or INCONCLUSIVE
    #[command(after_help = format!("{ENVIRONMENT}\n\n{}", exit::HELP))]
    Replay(ReplayArgs),
    /// Prove that the tool can fail: inject faults into a simulated Milvus and find each of them
    #[command(after_help = format!("{SELFTEST}\n\n{}", exit::HELP))]
    Selftest(SelftestArgs),
    /// Say what a filter means: its types, its SQL, and its truth on rows, part by part
    #[command(after_help = EXPLAIN)]
    Explain(ExplainArgs),
}

/// Which engine to test.
#[derive(Debug, Clone, Default, Args)]
pub struct TargetArgs {
    /// An existing Milvus, for instance http://localhost:19530 [default: an embedded Milvus Lite]
    #[arg(long, value_name = "URI", env = "MILVUS_DIFFTEST_TARGET", hide_env = true)]
    pub target: Option<String>,
    /// Its credentials, user:password or an API key. Safer in MILVUS_DIFFTEST_TOKEN
    #[arg(long, value_name = "TOKEN", env = "MILVUS_DIFFTEST_TOKEN", hide_env = true)]
    pub token: Option<String>,
    /// Where embedded engines are installed [default: the user's cache folder]
    #[arg(long, value_name = "DIR", env = "MILVUS_DIFFTEST_CACHE", hide_env = true)]
    pub cache: Option<PathBuf>,
    /// The Python that runs the embedded engine, 3.10 or later [default: python3]
    #[arg(long, value_name = "FILE", env = "MILVUS_DIFFTEST_PYTHON", hide_env = true)]
    pub python: Option<PathBuf>,
    /// A query beyond this counts as hung [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration, env = "MILVUS_DIFFTEST_QUERY_TIMEOUT", hide_env = true)]
    pub query_timeout: Option<Duration>,
}

#[derive(Debug, Clone, Default, Args)]
pub struct FuzzArgs {
    /// Stop after this time [default: 60s, unless --cases is given]
    #[arg(long, value_name = "TIME", value_parser = duration, env = "MILVUS_DIFFTEST_TIME", hide_env = true)]
    pub time: Option<Duration>,
    /// Stop after so many cases; a case is a collection with about 60 filters
    #[arg(long, value_name = "N", env = "MILVUS_DIFFTEST_CASES", hide_env = true)]
    pub cases: Option<u64>,
    /// The same seed gives the same cases [default: random; it is printed]
    #[arg(long, value_name = "N", env = "MILVUS_DIFFTEST_SEED", hide_env = true)]
    pub seed: Option<u64>,
    /// Workers, each with an engine of its own [default: the number of cores, at most 4]
    #[arg(long, value_name = "N", env = "MILVUS_DIFFTEST_JOBS", hide_env = true)]
    pub jobs: Option<usize>,
    #[command(flatten)]
    pub target: TargetArgs,
    /// Write each finding to a folder in this one [default: runs/SEED]
    #[arg(long, value_name = "DIR", env = "MILVUS_DIFFTEST_OUT", hide_env = true)]
    pub out: Option<PathBuf>,
    /// Write the figures of the run to this file, as JSON
    #[arg(long, value_name = "FILE", env = "MILVUS_DIFFTEST_SUMMARY", hide_env = true)]
    pub summary: Option<PathBuf>,
    /// Try at most so many smaller cases to shrink one finding [default: 1500]
    #[arg(long, value_name = "N", env = "MILVUS_DIFFTEST_SHRINK_EVALUATIONS", hide_env = true)]
    pub shrink_evaluations: Option<usize>,
    /// Shrink one finding for at most this time [default: 20s]
    #[arg(long, value_name = "TIME", value_parser = duration, env = "MILVUS_DIFFTEST_SHRINK_TIME", hide_env = true)]
    pub shrink_time: Option<Duration>,
    /// Read options from a TOML file, as `seed = 7` or `time = "5m"`; the command line and the
    /// environment win
    #[arg(long, value_name = "FILE", env = "MILVUS_DIFFTEST_CONFIG", hide_env = true)]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// Case files, or folders that are searched for files named case.json
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Debug, Clone, Args)]
pub struct SelftestArgs {
    /// Inject only this fault; may be given more than once. A wrong name shows them all
    #[arg(long, value_name = "NAME")]
    pub fault: Vec<Fault>,
    /// Try at most so many cases for each fault
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub cases: u64,
    /// The same seed gives the same cases
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// The filter, in quotes
    #[arg(value_name = "FILTER")]
    pub filter: String,
    /// A file with a schema, or a case file; that one's rows are used unless --rows is given
    #[arg(long, value_name = "FILE", required_unless_present = "collection")]
    pub schema: Option<PathBuf>,
    /// Take the schema of this collection instead
    #[arg(long, value_name = "NAME", conflicts_with = "schema", requires = "target")]
    pub collection: Option<String>,
    /// The Milvus that has the collection, for instance http://localhost:19530
    #[arg(long, value_name = "URI", env = "MILVUS_DIFFTEST_TARGET", hide_env = true)]
    pub target: Option<String>,
    /// Its credentials, user:password or an API key. Safer in MILVUS_DIFFTEST_TOKEN
    #[arg(long, value_name = "TOKEN", env = "MILVUS_DIFFTEST_TOKEN", hide_env = true)]
    pub token: Option<String>,
    /// Rows to judge: a JSON array, or an object a line
    #[arg(long, value_name = "FILE")]
    pub rows: Option<PathBuf>,
    /// Judge the rows a second time as engines do that turn this switch; may be given more than
    /// once. docs/semantics.md lists them
    #[arg(long, value_name = "SWITCH")]
    pub semantics: Vec<Switch>,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = ExplainFormat::Text)]
    pub format: ExplainFormat,
}

/// How an explanation is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExplainFormat {
    Text,
    Json,
}

/// "90s", "5m", or seconds: for clap and for the configuration file.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    humantime::parse_duration(text)
        .map_err(|_| format!("'{text}' is no time; write it as 90s, 5m or 1h30m"))
}
