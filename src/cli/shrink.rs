//! `shrink`: a saved case, made smaller.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::ProgressBar;

use super::args::{BackendArgs, TargetArgs, duration};
use super::exit::Exit;
use super::setup::{on_signal, one_case, only_one, trial};
use super::start::{Failure, say};
use crate::campaign::{Known, Outcome, Shrinking, Stop};
use crate::case::{Case, Found};
use crate::finding::Finding;
use crate::milvus::Dialect;
use crate::report;
use crate::shrink::{Budget, Size, size};

/// What the exit codes mean.
pub const HELP: &str = "\
The smaller case diverges in the same class. If known issues explain the case, the smaller one is
explained by these, too. Ctrl-C ends it early and keeps the smallest case until then.

Exit codes:
    0  the case diverges; the smallest that does was written
    2  wrong options or case file
    3  the environment failed: engine, Python, network or disk
    4  nothing to shrink: the case is answered rightly, or nothing can be said of it
    5  the references disagree: a defect of this tool, please report it";

/// More than a campaign has for one finding: there is nothing else to do.
const DEFAULT_TIME: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, Args)]
pub struct ShrinkArgs {
    /// The case: a finding's folder, or a case file
    #[arg(value_name = "CASE")]
    pub finding: PathBuf,
    /// Write the finding into this folder, as a folder that is named after its shape and replaced if it
    /// is there
    #[arg(long, value_name = "DIR", default_value = "findings")]
    pub out: PathBuf,
    /// Try at most so many smaller cases [default: no limit]
    #[arg(long, value_name = "N", env = "MILVUS_DIFFTEST_SHRINK_EVALUATIONS", hide_env = true)]
    pub shrink_evaluations: Option<usize>,
    /// Shrink for at most this time [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = duration, env = "MILVUS_DIFFTEST_SHRINK_TIME", hide_env = true)]
    pub shrink_time: Option<Duration>,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub backends: BackendArgs,
}

pub async fn run(args: ShrinkArgs, quiet: bool) -> Result<Exit, Failure> {
    only_one(&args.target)?;
    let (_, case, found) = one_case(&args.finding)?;
    let dialect = args.target.dialect.as_deref().map(Dialect::load).transpose();
    let dialect = dialect.map_err(Failure::usage)?;
    let mut trial = trial(&args.target, &args.backends, Known::OfVersion, quiet).await?;
    let stop = Stop::default();
    on_signal(stop.clone());
    let budget = Budget {
        evaluations: args.shrink_evaluations.unwrap_or(usize::MAX),
        time: args.shrink_time.unwrap_or(DEFAULT_TIME),
    };
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
    bar.enable_steady_tick(Duration::from_millis(200));
    bar.set_message(format!("from {}", measured(&case)));
    let mut seen = |case: &Case, asked: usize| {
        bar.set_message(format!("{}; {} judged", measured(case), counted(asked, "case")));
    };
    let begun = Instant::now();
    let shrinking =
        trial.shrink(&case, found.as_ref(), budget, dialect.as_ref(), &stop, &mut seen).await;
    bar.finish_and_clear();
    trial.stop().await;
    match shrinking.map_err(Failure::environment)? {
        Shrinking::Shrunk { finding, titles } => {
            let folder = kept(&args, &finding, found.as_ref())?;
            let minimal = match (finding.minimal, stop.is_asked()) {
                (true, _) => "no single step makes it smaller",
                (false, true) => "stopped early",
                (false, false) => "the budget ended first; --shrink-time gives more",
            };
            for title in &titles {
                say(format_args!("known  {title}"));
            }
            say(format_args!("from   {}", measured(&case)));
            say(format_args!("to     {}: {minimal}", measured(&finding.case)));
            let judged = counted(finding.evaluations, "smaller case");
            say(format_args!("       {judged} judged in {:.1} s", begun.elapsed().as_secs_f64()));
            say(format_args!("is     {}", report::finding::plain(&finding)));
            let class = finding.divergence.class.to_string();
            if let Some(before) = found.as_ref().filter(|found| found.class != class) {
                say(format_args!(
                    "not    {}, as was found before: that was not seen",
                    before.class
                ));
            }
            say(folder.display());
            Ok(Exit::Clean)
        }
        Shrinking::Nothing(outcome) => Ok(nothing(outcome)),
    }
}

fn kept(args: &ShrinkArgs, finding: &Finding, found: Option<&Found>) -> Result<PathBuf, Failure> {
    let folder = match found {
        Some(found) => report::finding::write_again(&args.out, finding, found),
        None => report::finding::write(&args.out, finding),
    };
    folder.map_err(Failure::environment)
}

fn nothing(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Conflict(divergence) => {
            say(format_args!("CONFLICT       {}", divergence.class));
            Exit::Conflict
        }
        Outcome::Inconclusive(reason) | Outcome::Unsupported(reason) => {
            say(format_args!("INCONCLUSIVE   nothing to shrink: {reason}"));
            Exit::Vacuous
        }
        _ => {
            say("FIXED          nothing to shrink: the case is answered rightly");
            Exit::Vacuous
        }
    }
}

fn measured(case: &Case) -> String {
    let Size { nodes, rows, fields, operations, .. } = size(case);
    [(operations, "operation"), (rows, "row"), (fields, "field"), (nodes, "node")]
        .map(|(number, word)| counted(number, word))
        .join(", ")
}

fn counted(number: usize, word: &str) -> String {
    match number {
        1 => format!("1 {word}"),
        number => format!("{number} {word}s"),
    }
}
