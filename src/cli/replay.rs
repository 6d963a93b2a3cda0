//! `replay`: saved cases again.

use std::path::PathBuf;

use super::args::ReplayArgs;
use super::exit::Exit;
use super::setup::{only_one, or_signal, trial};
use super::start::{Failure, say};
use crate::campaign::{Known, Outcome};
use crate::case::Case;
use crate::milvus::Dialect;
use crate::verdict::Divergence;

pub async fn run(args: ReplayArgs, quiet: bool) -> Result<Exit, Failure> {
    only_one(&args.target)?;
    let mut files = Vec::new();
    for path in &args.paths {
        files.extend(Case::files(path).map_err(Failure::usage)?);
    }
    if files.is_empty() {
        let paths: Vec<_> = args.paths.iter().map(|path| path.display().to_string()).collect();
        return Err(Failure::usage(format!("there is no case.json in {}", paths.join(", "))));
    }
    let dialect = args.target.dialect.as_deref().map(Dialect::load).transpose();
    let dialect = dialect.map_err(Failure::usage)?;
    // All of them are read before any engine is started.
    let mut cases = Vec::new();
    for file in files {
        let (case, _) = Case::load(&file).map_err(Failure::usage)?;
        cases.push((file, case));
    }
    match or_signal(replay(&args, dialect.as_ref(), cases, quiet)).await {
        Some(result) => result,
        None => Ok(Exit::Interrupted),
    }
}

async fn replay(
    args: &ReplayArgs,
    dialect: Option<&Dialect>,
    cases: Vec<(PathBuf, Case)>,
    quiet: bool,
) -> Result<Exit, Failure> {
    let mut trial = trial(&args.target, &args.backends, Known::OfVersion, quiet).await?;
    let (mut failing, mut open, mut conflict) = (false, false, false);
    for (file, case) in cases {
        let file = file.display();
        let outcomes = trial.ask(&case, dialect).await.map_err(Failure::environment)?;
        match Outcome::worst(outcomes.into_iter().map(|(_, outcome)| outcome)) {
            Outcome::Pass => say(format_args!("FIXED          {file}")),
            Outcome::Inconclusive(reason) | Outcome::Unsupported(reason) => {
                open = true;
                say(format_args!("INCONCLUSIVE   {file}  {reason}"));
            }
            Outcome::Known { divergence, titles } => {
                failing = true;
                let titles = format!(" (known: {})", titles.join("; "));
                say(format_args!("STILL FAILING  {file}  {}{titles}", described(&divergence)));
            }
            Outcome::Fail(divergence) => {
                failing = true;
                say(format_args!("STILL FAILING  {file}  {}", described(&divergence)));
            }
            Outcome::Conflict(divergence) => {
                conflict = true;
                say(format_args!("STILL FAILING  {file}  {}", described(&divergence)));
            }
        }
    }
    trial.stop().await;
    Ok(match (conflict, failing, open) {
        (true, ..) => Exit::Conflict,
        (_, true, _) => Exit::Findings,
        (.., true) => Exit::Vacuous,
        _ => Exit::Clean,
    })
}

fn described(divergence: &Divergence) -> String {
    // Of a crash, without the log; the case's README shows how to see it.
    let actual = divergence.actual.to_string();
    let actual = actual.lines().next().unwrap_or_default();
    format!("{}: expected {}, got {actual}", divergence.class, divergence.expected)
}
