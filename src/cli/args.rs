//! The options, as typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};

use super::attach::AttachArgs;
use super::bisect::{self, BisectArgs};
use super::compare::CompareArgs;
use super::count::CountArgs;
use super::exit;
use super::export::ExportArgs;
use super::filters::FiltersArgs;
use super::info::InfoArgs;
use super::query::QueryArgs;
use super::report::{ReportArgs, ReportTo};
use super::sample::SampleArgs;
use super::shell::ShellArgs;
use super::shrink::{self, ShrinkArgs};
use crate::campaign::Shard;
use crate::engine::EngineChoice;
use crate::engine::simulated::Fault;
use crate::filter::Switch;
use crate::oracle::Oracle;
use crate::report::corpus::Format;
use crate::report::matrix::Form as MatrixForm;

/// The options of `fuzz` and `replay` are read from here too.
const ENVIRONMENT: &str = "\
Every option that takes a value can also be set in the environment, --query-timeout by
MILVUS_DIFFTEST_QUERY_TIMEOUT and so on. The command line wins.";

/// What must come of a case.
const GATE: &str = "\
A case that a known issue of the engine names must fail as that issue says. One below a folder named
`findings` must fail in its class, on the engine that it was found on. Any other must be answered
rightly, or as known issues say. docs/ci.md has examples.";

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

/// What the exit codes mean where nothing is tested any more.
const REPORT: &str = "\
docs/reports.md says what each form is for.

Ends with exit code 0 if the report could be made, whatever it says of the run; with 2 if RUN is no
run or the options are wrong, and with 3 if the report cannot be written.";

/// What the exit codes mean where engines are kept.
const ENGINES: &str = "\
An engine is milvus-lite-3.2.2, milvus-lite-2.5.1, milvus-2.3.5, another release of these as
milvus-lite-2.4.9 or milvus-2.3.0, docker (a container of the default image) or docker:IMAGE.

Ends with exit code 0 if that was done, with 2 if the options are wrong, and with 3 if the
environment failed or, of doctor, is not fit to run any engine.";

/// How live collections are meant.
const LIVE: &str = "\
--backend names the database that holds what should be in Milvus: written by this crate's client
beside Milvus, or taken from a dump or from Milvus itself by `attach`.";

/// Property-based differential testing of Milvus.
#[derive(Debug, Parser)]
#[command(
    name = "milvus-difftest",
    version,
    about = "Find wrong answers in Milvus: random schemas, data and filters, checked against \
             DuckDB and a three-valued evaluator, shrunk to a reproduction.",
    after_help = format!("{}\n{}", exit::HELP, exit::BISECT),
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
    /// For continuous integration and before an upgrade: replay a corpus, then look for wrong answers
    /// for the rest of the time. Fails on what is new or has changed, and says what is fixed
    #[command(
        after_help = format!("{GATE}\n\n{ENVIRONMENT}\n\n{}", exit::HELP),
        mut_arg("time", |arg| arg.help("Stop after this time, the replay included; the corpus is \
            replayed whole in any case [default: 5m, unless --cases is given]")),
        mut_arg("cases", |arg| arg.help("Stop after so many cases beside the corpus; 0 for the \
            corpus alone")),
        mut_arg("resume", |arg| arg.hide(true)),
        mut_arg("shard", |arg| arg.hide(true)),
    )]
    Gate(Box<GateArgs>),
    /// Put runs together, as those of shards: their findings, each once, and their figures
    #[command(after_help = exit::HELP)]
    Merge(MergeArgs),
    /// Run saved cases again and say of each: STILL FAILING, FIXED or INCONCLUSIVE
    #[command(after_help = format!("{ENVIRONMENT}\n\n{}", exit::HELP))]
    Replay(ReplayArgs),
    /// Make a saved case smaller: a finding whose budget for shrinking ended first, or a case that
    /// you wrote
    #[command(after_help = shrink::HELP)]
    Shrink(Box<ShrinkArgs>),
    /// Show a run again from its events: as text, HTML, JUnit XML, SARIF, annotations, Markdown
    #[command(after_help = REPORT)]
    Report(ReportArgs),
    /// Ask several engines, or versions of one, the same saved questions: what to look at before an
    /// upgrade
    #[command(after_help = format!("{ENVIRONMENT}\n\n{}", exit::HELP))]
    Matrix(MatrixArgs),
    /// Say with which version of an engine a finding came, or was mended
    #[command(after_help = bisect::HELP)]
    Bisect(Box<BisectArgs>),
    /// Make filters with their right answers for a schema and rows, or check an engine by them
    #[command(subcommand, after_help = exit::HELP)]
    Corpus(CorpusCommand),
    /// Prove that the tool can fail: inject faults into a simulated Milvus and find each of them
    #[command(after_help = format!("{SELFTEST}\n\n{}", exit::HELP))]
    Selftest(SelftestArgs),
    /// Say how much of the filter language generated cases reach, without any engine
    #[command(after_help = exit::HELP)]
    Coverage(CoverageArgs),
    /// Say what a filter means: its types, its SQL, and its truth on rows, part by part
    #[command(after_help = EXPLAIN)]
    Explain(ExplainArgs),
    /// Take a live collection into a reference database, to compare it from now on
    #[command(after_help = format!("{LIVE}\n\n{}", exit::HELP))]
    Attach(AttachArgs),
    /// Compare both sides of a live collection: every entity, or what a filter finds
    #[command(after_help = format!("{LIVE}\n\n{}", exit::HELP))]
    Compare(CompareArgs),
    /// Ask both sides of a live collection and show both answers
    #[command(after_help = format!("{LIVE}\n\n{}", exit::HELP))]
    Query(QueryArgs),
    /// Count the entities of a live collection on both sides
    #[command(after_help = format!("{LIVE}\n\n{}", exit::HELP))]
    Count(CountArgs),
    /// Show entities of a live collection, drawn at random
    #[command(after_help = format!("{LIVE}\n\n{}", exit::HELP))]
    Sample(SampleArgs),
    /// Write the entities of a live collection to a file: Parquet, Arrow, CSV or JSON lines
    #[command(after_help = format!("{LIVE}\n\n{}", exit::HELP))]
    Export(ExportArgs),
    /// Generate filters for a live collection, with what each should find
    #[command(after_help = format!("{LIVE}\n\n{}", exit::HELP))]
    Filters(FiltersArgs),
    /// Ask both sides of a live collection, filter by filter
    #[command(after_help = format!("{LIVE}\n\n{}", exit::HELP))]
    Shell(ShellArgs),
    /// Say what is on both sides
    #[command(after_help = format!("{LIVE}\n\n{}", exit::HELP))]
    Info(InfoArgs),
    /// List, install, start, stop and remove engines, and see what is missing for them
    #[command(subcommand, after_help = ENGINES)]
    Engines(EnginesCommand),
}

/// Which engine to test.
#[derive(Debug, Clone, Default, Args)]
pub struct TargetArgs {
    /// The engine to start: milvus-lite-3.2.2, milvus-lite-2.5.1, milvus-2.3.5 or another release
    /// of these as milvus-lite-2.4.9, installed on first use; docker or docker:IMAGE for a container, pulled on first use [default:
    /// milvus-lite-3.2.2]. `fuzz` and `matrix` take more than one, to compare them
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        env = "MILVUS_DIFFTEST_ENGINE",
        hide_env = true
    )]
    pub engine: Vec<EngineChoice>,
    /// An existing Milvus, for instance http://localhost:19530
    #[arg(
        long,
        value_name = "URI",
        value_delimiter = ',',
        env = "MILVUS_DIFFTEST_TARGET",
        hide_env = true
    )]
    pub target: Vec<String>,
    /// Its credentials, user:password or an API key. Safer in MILVUS_DIFFTEST_TOKEN
    #[arg(long, value_name = "TOKEN", env = "MILVUS_DIFFTEST_TOKEN", hide_env = true)]
    pub token: Option<String>,
    /// Where embedded engines are installed [default: the user's cache folder]
    #[arg(long, value_name = "DIR", env = "MILVUS_DIFFTEST_CACHE", hide_env = true)]
    pub cache: Option<PathBuf>,
    /// The Python that runs the embedded engine, 3.10 or later [default: python3]
    #[arg(long, value_name = "FILE", env = "MILVUS_DIFFTEST_PYTHON", hide_env = true)]
    pub python: Option<PathBuf>,
    /// What the engine has: the name of a dialect, or a TOML file with one [default: by the
    /// engine's version]. It never changes an expected answer
    #[arg(long, value_name = "NAME|FILE", env = "MILVUS_DIFFTEST_DIALECT", hide_env = true)]
    pub dialect: Option<String>,
    /// A query beyond this counts as hung [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration, env = "MILVUS_DIFFTEST_QUERY_TIMEOUT", hide_env = true)]
    pub query_timeout: Option<Duration>,
}

/// Which references judge beside the model.
#[derive(Debug, Clone, Default, Args)]
pub struct BackendArgs {
    /// A reference database: duckdb, duckdb:PATH, clickhouse:embedded (installed on first use),
    /// clickhouse:container or clickhouse:container:IMAGE (pulled on first use), or clickhouse: and
    /// an address as https://USER@HOST:PORT/DATABASE. May be given more than once: all must agree
    /// before Milvus is blamed. `model` is none
    /// [default: duckdb]
    #[arg(
        long,
        value_name = "BACKEND",
        value_delimiter = ',',
        env = "MILVUS_DIFFTEST_BACKEND",
        hide_env = true,
        hide_env_values = true
    )]
    pub backend: Vec<String>,
    /// The password for a clickhouse:URL that has none. Safer in MILVUS_DIFFTEST_BACKEND_PASSWORD
    #[arg(
        long,
        value_name = "PASSWORD",
        env = "MILVUS_DIFFTEST_BACKEND_PASSWORD",
        hide_env = true,
        hide_env_values = true
    )]
    pub backend_password: Option<String>,
}

#[derive(Debug, Clone, Default, Args)]
pub struct FuzzArgs {
    /// Stop after this time [default: 60s, unless --cases is given]
    #[arg(long, value_name = "TIME", value_parser = duration, env = "MILVUS_DIFFTEST_TIME", hide_env = true)]
    pub time: Option<Duration>,
    /// Stop after so many cases; a case is a collection and the filters asked of it
    #[arg(long, value_name = "N", env = "MILVUS_DIFFTEST_CASES", hide_env = true)]
    pub cases: Option<u64>,
    /// The same seed gives the same cases [default: random; it is printed]
    #[arg(long, value_name = "N", env = "MILVUS_DIFFTEST_SEED", hide_env = true)]
    pub seed: Option<u64>,
    /// Workers, each with an engine of its own [default: the number of cores, at most 4]
    #[arg(long, value_name = "N", env = "MILVUS_DIFFTEST_JOBS", hide_env = true)]
    pub jobs: Option<usize>,
    /// Ask so many filters of each collection [default: 60]. More of them pay where collections take
    /// long to make
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=10_000), env = "MILVUS_DIFFTEST_FILTERS", hide_env = true)]
    pub filters: Option<u16>,
    /// Nest predicates at most so deep; beyond 40 deep filters are frequent [default: 40]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=150), env = "MILVUS_DIFFTEST_DEPTH", hide_env = true)]
    pub depth: Option<u16>,
    /// Ask for what the dialect lacks, too: the engine must refuse it or be right, and must refuse
    /// filters whose types do not fit. Engines may crash
    #[arg(long, env = "MILVUS_DIFFTEST_BEYOND_DIALECT", hide_env = true)]
    pub beyond_dialect: bool,
    /// What judges: reference, partition, projection, rewrite, paging, count, search, index, segment,
    /// compaction, reload, restart or durability. May be given more than once [default: all that the
    /// engine has a part for]
    #[arg(
        long,
        value_name = "ORACLE",
        value_delimiter = ',',
        env = "MILVUS_DIFFTEST_ORACLE",
        hide_env = true
    )]
    pub oracle: Vec<Oracle>,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub backends: BackendArgs,
    /// Keep the run in this folder: its journal, and a folder for each finding
    /// [default: runs/SEED]
    #[arg(long, value_name = "DIR", env = "MILVUS_DIFFTEST_OUT", hide_env = true)]
    pub out: Option<PathBuf>,
    /// Go on with the run in this folder, which was interrupted or killed, or is to be longer. Its
    /// options are those of then; --cases or --time, --jobs, and what has passwords may be given
    /// anew
    #[arg(
        long,
        value_name = "RUN",
        conflicts_with = "out",
        env = "MILVUS_DIFFTEST_RESUME",
        hide_env = true
    )]
    pub resume: Option<PathBuf>,
    /// Judge one part of the cases, as 2/8 for the second of eight; --cases counts those of all
    /// parts, and `merge` puts the parts together
    #[arg(long, value_name = "I/N", env = "MILVUS_DIFFTEST_SHARD", hide_env = true)]
    pub shard: Option<Shard>,
    /// Learn nothing from case to case: let none grow from those that reached something new, and
    /// hold back nothing that the engine refuses
    #[arg(long, env = "MILVUS_DIFFTEST_NO_FEEDBACK", hide_env = true)]
    pub no_feedback: bool,
    /// Write the figures of the run to this file, as JSON
    #[arg(long, value_name = "FILE", env = "MILVUS_DIFFTEST_SUMMARY", hide_env = true)]
    pub summary: Option<PathBuf>,
    /// Write the journal to this file, too: everything that happens, as JSON lines
    #[arg(long, value_name = "FILE", env = "MILVUS_DIFFTEST_EVENTS", hide_env = true)]
    pub events: Option<PathBuf>,
    /// Write a report at the end, as html=run.html: text, html, junit, sarif, github or markdown. May
    /// be given more than once; `report` makes them later, too
    #[arg(
        long,
        value_name = "FORMAT=FILE",
        value_delimiter = ',',
        env = "MILVUS_DIFFTEST_REPORT",
        hide_env = true
    )]
    pub report: Vec<ReportTo>,
    /// Try at most so many smaller cases to shrink one finding [default: 1500]
    #[arg(long, value_name = "N", env = "MILVUS_DIFFTEST_SHRINK_EVALUATIONS", hide_env = true)]
    pub shrink_evaluations: Option<usize>,
    /// Shrink one finding for at most this time [default: 20s]
    #[arg(long, value_name = "TIME", value_parser = duration, env = "MILVUS_DIFFTEST_SHRINK_TIME", hide_env = true)]
    pub shrink_time: Option<Duration>,
    /// Tolerate no known issue: every divergence is a finding
    #[arg(long, env = "MILVUS_DIFFTEST_STRICT", hide_env = true)]
    pub strict: bool,
    /// A list of known issues to tolerate in place of the one for the engine's version
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "strict",
        env = "MILVUS_DIFFTEST_KNOWN",
        hide_env = true
    )]
    pub known: Option<PathBuf>,
    /// Read options from a TOML file, as `seed = 7` or `time = "5m"`; the command line and the
    /// environment win
    #[arg(long, value_name = "FILE", env = "MILVUS_DIFFTEST_CONFIG", hide_env = true)]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct GateArgs {
    /// Replay these cases: case files, or folders that are searched for files named case.json. May be
    /// given more than once [default: corpora]
    #[arg(
        long,
        value_name = "PATH",
        value_delimiter = ',',
        env = "MILVUS_DIFFTEST_CORPUS",
        hide_env = true
    )]
    pub corpus: Vec<PathBuf>,
    /// Fail on cases that are fixed, too: what expects them to fail is out of date
    #[arg(long, env = "MILVUS_DIFFTEST_DENY_FIXED", hide_env = true)]
    pub deny_fixed: bool,
    /// Do without saved cases but for those of known issues, if there is no corpus
    #[arg(long, env = "MILVUS_DIFFTEST_ALLOW_EMPTY", hide_env = true)]
    pub allow_empty: bool,
    #[command(flatten)]
    pub fuzz: FuzzArgs,
}

#[derive(Debug, Clone, Args)]
pub struct MergeArgs {
    /// The folders of the runs
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Keep the whole in this folder: a journal, and a folder for each finding
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Write the figures of the whole to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// Case files, or folders that are searched for files named case.json
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub backends: BackendArgs,
}

#[derive(Debug, Clone, Args)]
pub struct MatrixArgs {
    /// Case files, folders that are searched for files named case.json, or filter corpora in the
    /// form jsonl
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Tolerate no known issue: every divergence fails
    #[arg(long, env = "MILVUS_DIFFTEST_STRICT", hide_env = true)]
    pub strict: bool,
    /// The form of the table
    #[arg(long, value_enum, value_name = "FORM", default_value = "text")]
    pub format: MatrixForm,
    /// Write to this file [default: standard output]
    #[arg(long, value_name = "FILE", env = "MILVUS_DIFFTEST_OUT", hide_env = true)]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub backends: BackendArgs,
}

#[derive(Debug, Clone, Subcommand)]
pub enum CorpusCommand {
    /// Generate filters that use everything that applies to a schema, with their answers
    #[command(after_help = exit::HELP)]
    Generate(CorpusGenerateArgs),
    /// Ask an engine every filter of a corpus and compare its answers
    #[command(after_help = format!("{ENVIRONMENT}\n\n{}", exit::HELP))]
    Check(CorpusCheckArgs),
}

#[derive(Debug, Clone, Args)]
pub struct CorpusGenerateArgs {
    /// The schema: JSON as in a case file, or a case file
    #[arg(long, value_name = "FILE")]
    pub schema: PathBuf,
    /// The rows: JSON lines, or a JSON array
    #[arg(long, value_name = "FILE")]
    pub rows: PathBuf,
    /// How many filters
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub count: usize,
    /// The same seed gives the same filters
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    #[command(flatten)]
    pub backends: BackendArgs,
    /// Keep to what this dialect accepts [default: all that is documented]
    #[arg(long, value_name = "NAME|FILE")]
    pub dialect: Option<String>,
    /// The form of the corpus
    #[arg(long, value_enum, value_name = "FORM", default_value = "jsonl")]
    pub format: Format,
    /// Write to this file [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct CorpusCheckArgs {
    /// Corpora in the form jsonl
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Tolerate no known issue: every divergence fails
    #[arg(long)]
    pub strict: bool,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub backends: BackendArgs,
}

#[derive(Debug, Clone, Subcommand)]
pub enum EnginesCommand {
    /// Say which engines there are, which are installed and which run
    List(PlaceArgs),
    /// Install engines, or pull their images
    Install(EnginesArgs),
    /// Start an engine and print its address; it runs until Ctrl-C, SIGTERM or `engines stop`
    #[command(after_help = ENGINES)]
    Start(EnginesStartArgs),
    /// Stop engines that `engines start` runs, and remove containers that dead runs have left
    Stop(EnginesStopArgs),
    /// Remove installed engines, or images
    Remove(EnginesArgs),
    /// Check Python, the compiler, Docker, the disk and ports, and say what to do
    Doctor(PlaceArgs),
}

/// Where engines are and what runs them.
#[derive(Debug, Clone, Default, Args)]
pub struct PlaceArgs {
    /// Where embedded engines are installed [default: the user's cache folder]
    #[arg(long, value_name = "DIR", env = "MILVUS_DIFFTEST_CACHE", hide_env = true)]
    pub cache: Option<PathBuf>,
    /// The Python that runs embedded engines, 3.10 or later [default: python3]
    #[arg(long, value_name = "FILE", env = "MILVUS_DIFFTEST_PYTHON", hide_env = true)]
    pub python: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct EnginesArgs {
    /// Engines, for instance milvus-lite-3.2.2 or docker:milvusdb/milvus:v2.6.16
    #[arg(required = true, value_name = "ENGINE")]
    pub engines: Vec<EngineChoice>,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Debug, Clone, Args)]
pub struct EnginesStartArgs {
    /// The engine [default: milvus-lite-3.2.2]
    #[arg(value_name = "ENGINE")]
    pub engine: Option<EngineChoice>,
    /// Return once it answers, and leave it running
    #[arg(long)]
    pub background: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Debug, Clone, Args)]
pub struct EnginesStopArgs {
    /// Engines, by name or address [default: all of them]
    #[arg(value_name = "ENGINE|URI")]
    pub which: Vec<String>,
    /// Where embedded engines are installed [default: the user's cache folder]
    #[arg(long, value_name = "DIR", env = "MILVUS_DIFFTEST_CACHE", hide_env = true)]
    pub cache: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct SelftestArgs {
    /// Inject only this fault; may be given more than once. A wrong name shows them all
    #[arg(long, value_name = "NAME")]
    pub fault: Vec<Fault>,
    /// Try at most so many cases for each fault
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub cases: u64,
    /// The same seed gives the same cases
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Let no case grow from those that reached something new
    #[arg(long)]
    pub no_feedback: bool,
    /// Keep the finding of each fault, in a folder named by the fault
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct CoverageArgs {
    /// Of this dialect: a name, or a TOML file with one [default: the newest documented server]
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "engine")]
    pub dialect: Option<String>,
    /// Of the dialect of this engine, for instance milvus-lite-3.2.2
    #[arg(long, value_name = "NAME")]
    pub engine: Option<String>,
    /// Generate so many cases, each with about 60 filters
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub cases: u64,
    /// The same seed gives the same cases
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How to print it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: CoverageFormat,
}

/// How to print a coverage table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CoverageFormat {
    /// Columns for a terminal
    Text,
    /// Tables for a document
    Markdown,
    /// Every cell with its count
    Json,
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
