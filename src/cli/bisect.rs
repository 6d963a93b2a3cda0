//! `bisect`: the version that a defect came or went with.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Deserialize;
use serde_json::Value as Json;

use super::args::{BackendArgs, TargetArgs, duration};
use super::exit::Exit;
use super::setup::{embedded, one_case, or_signal, prepare, trial_options};
use super::start::{Failure, note, say};
use crate::campaign::{Bisection, Defect, Judged, Known, Showing, Target, TrialOptions};
use crate::engine::{EngineChoice, EngineRange, Secret};
use crate::milvus::Dialect;
use crate::report::bisect::{Bisected, Form, line, render};
use crate::secret::redact_address;
use crate::verdict::Class;

/// What the versions and the exit codes mean.
pub const HELP: &str = "\
A version is bad if a check of the case diverges in the class of the finding, known issue or not,
and good if all are answered rightly, each time on two fresh engines. What can be neither installed
nor started, refuses the case or fails in another way is skipped.

The releases of a range are asked of the package index through pip. Docker cannot tell which tags a
registry has, so containers are named one by one, in their order:
  --engine docker:milvusdb/milvus:v2.4.0,docker:milvusdb/milvus:v2.5.0,docker:milvusdb/milvus:v2.6.0

Exit codes:
    0  the version was found
    2  wrong options or case file
    3  the environment failed: Python, network, disk or a reference database
    4  it is one of several, because those in between were skipped; or fewer than two versions can
       be judged; or bad versions refuse for different reasons, which may be different defects
    5  the references disagree: a defect of this tool, please report it
    6  nothing to bisect: both ends are good, or both are bad
  130  interrupted";

#[derive(Debug, Clone, Args)]
pub struct BisectArgs {
    /// The finding: its folder, or a case file
    #[arg(value_name = "FINDING")]
    pub finding: PathBuf,
    /// The versions, from old to new: a range of releases, as milvus-lite-2.4.1..milvus-lite-3.2.2 or
    /// milvus-2.3.0..2.3.5; or a list of engines, separated by commas
    #[arg(
        long,
        value_name = "A..Z|LIST",
        required_unless_present = "target",
        conflicts_with = "target"
    )]
    pub engine: Option<EngineRange>,
    /// Servers that run already, from old to new, in place of engines
    #[arg(long, value_name = "URI", value_delimiter = ',')]
    pub target: Vec<String>,
    /// Their credentials, user:password or an API key. Safer in MILVUS_DIFFTEST_TOKEN
    #[arg(long, value_name = "TOKEN", env = "MILVUS_DIFFTEST_TOKEN", hide_env = true)]
    pub token: Option<String>,
    /// Judge every version, and print a table: a defect may come and go
    #[arg(long)]
    pub all: bool,
    /// The form of the result
    #[arg(long, value_enum, value_name = "FORM", default_value = "text")]
    pub format: Form,
    /// Where embedded engines are installed [default: the user's cache folder]
    #[arg(long, value_name = "DIR", env = "MILVUS_DIFFTEST_CACHE", hide_env = true)]
    pub cache: Option<PathBuf>,
    /// The Python that runs embedded engines, 3.10 or later [default: python3]
    #[arg(long, value_name = "FILE", env = "MILVUS_DIFFTEST_PYTHON", hide_env = true)]
    pub python: Option<PathBuf>,
    /// Ask only what this dialect has: its name, or a TOML file with one [default: everything is
    /// asked]
    #[arg(long, value_name = "NAME|FILE", env = "MILVUS_DIFFTEST_DIALECT", hide_env = true)]
    pub dialect: Option<String>,
    /// A query beyond this counts as hung [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration, env = "MILVUS_DIFFTEST_QUERY_TIMEOUT", hide_env = true)]
    pub query_timeout: Option<Duration>,
    #[command(flatten)]
    pub backends: BackendArgs,
}

/// A version that can be judged.
enum Version {
    Engine(EngineChoice),
    Server(String),
}

impl Version {
    /// Whether it is the version that reports itself so.
    fn is(&self, reported: Option<&str>) -> bool {
        match self {
            Version::Engine(EngineChoice::Embedded(kind)) => reported == Some(&kind.version()),
            _ => false,
        }
    }

    fn name(&self) -> String {
        match self {
            Version::Engine(choice) => choice.to_string(),
            Version::Server(uri) => redact_address(uri),
        }
    }
}

pub async fn run(args: BisectArgs, quiet: bool) -> Result<Exit, Failure> {
    let (file, defect) = defect(&args.finding)?;
    if args.target.len() == 1 {
        return Err(Failure::usage(
            "one --target is one version; name two or more, separated by commas, from old to new",
        ));
    }
    let dialect = args.dialect.as_deref().map(Dialect::load).transpose();
    let dialect = dialect.map_err(Failure::usage)?;
    match or_signal(bisect(&args, file, defect, dialect.as_ref(), quiet)).await {
        Some(result) => result,
        None => Ok(Exit::Interrupted),
    }
}

async fn bisect(
    args: &BisectArgs,
    file: PathBuf,
    defect: Defect,
    dialect: Option<&Dialect>,
    quiet: bool,
) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let place = TargetArgs {
        cache: args.cache.clone(),
        python: args.python.clone(),
        query_timeout: args.query_timeout,
        ..TargetArgs::default()
    };
    let versions: Vec<Version> = match &args.engine {
        Some(range) => {
            let versions = range.versions(&embedded(&place)).await.map_err(Failure::environment)?;
            versions.into_iter().map(Version::Engine).collect()
        }
        None => args.target.iter().cloned().map(Version::Server).collect(),
    };
    let options = trial_options(&place, &args.backends, Known::Nothing, quiet).await?;
    let names: Vec<String> = versions.iter().map(Version::name).collect();
    let judge = async |at: usize| {
        let judged = judged(&versions[at], args, &defect, &options, dialect, quiet).await?;
        if !quiet {
            note(line(&names[at], &judged));
        }
        Ok::<_, Failure>(judged)
    };
    let mut found = Bisection::search(versions.len(), args.all, &judge).await?;
    // The version that it was found on tells this defect from others of its class.
    let own = versions.iter().position(|version| version.is(defect.found_on.as_deref()));
    if let Some(own) = own
        && let Some(judged @ None) = found.judged.get_mut(own)
    {
        *judged = Some(judge(own).await?);
    }
    let bisected = Bisected {
        case: file.display().to_string(),
        class: defect.class,
        versions: names,
        found,
        all: args.all,
        elapsed: begun.elapsed(),
    };
    say(render(&bisected, args.format).trim_end());
    Ok(exit(&bisected.found))
}

/// Installs the version, if it is one to install, and judges it.
async fn judged(
    version: &Version,
    args: &BisectArgs,
    defect: &Defect,
    options: &TrialOptions,
    dialect: Option<&Dialect>,
    quiet: bool,
) -> Result<Judged, Failure> {
    let begun = Instant::now();
    let target = match version {
        Version::Engine(choice) => {
            prepare(choice, args.cache.clone(), args.python.clone(), quiet).await
        }
        Version::Server(uri) => {
            Ok(Target::External { uri: uri.clone(), token: args.token.clone().map(Secret::new) })
        }
    };
    let judged = match target {
        Ok(target) => defect.shown_by(&target, options, dialect).await,
        Err(error) if error.is_of_version() => {
            let showing = Showing::Skipped(error.to_string());
            Ok(Judged { showing, version: None, elapsed: Duration::ZERO })
        }
        Err(error) => return Err(Failure::environment(error)),
    };
    let judged = judged.map_err(Failure::environment)?;
    Ok(Judged { elapsed: begun.elapsed(), ..judged })
}

fn exit(found: &Bisection) -> Exit {
    let conflict = |judged: &Judged| matches!(judged.showing, Showing::Conflict(_));
    if found.judged.iter().flatten().any(conflict) {
        return Exit::Conflict;
    }
    let changes = found.changes();
    match found.ends() {
        None => Exit::Vacuous,
        Some(_) if changes.is_empty() => Exit::Unchanged,
        // Of what may be several defects, none was found.
        Some(_) if found.refusals().len() > 1 => Exit::Vacuous,
        Some(_) if changes.iter().all(|change| change.is_tight()) => Exit::Clean,
        Some(_) => Exit::Vacuous,
    }
}

/// What `replay` takes, if it is one case.
fn defect(path: &Path) -> Result<(PathBuf, Defect), Failure> {
    let (file, case, found) = one_case(path)?;
    let class = found.as_ref().map(|found| {
        Class::deserialize(&Json::from(found.class.as_str())).map_err(|_| {
            Failure::usage(format!("{}: there is no class '{}'", file.display(), found.class))
        })
    });
    let class = class.transpose()?;
    Ok((file, Defect { case, class, found_on: found.map(|found| found.engine) }))
}
