//! `replay`: saved cases again.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::args::ReplayArgs;
use super::exit::Exit;
use super::setup::{embedded, or_signal, references, target};
use super::start::{Failure, say};
use crate::campaign::{Workbench, WorkbenchOptions};
use crate::case::{Case, Check};
use crate::known::KnownIssues;
use crate::milvus::Dialect;
use crate::reference::References;
use crate::verdict::{Class, Verdict};

pub async fn run(args: ReplayArgs, quiet: bool) -> Result<Exit, Failure> {
    let mut files = Vec::new();
    for path in &args.paths {
        collect(path, &mut files)?;
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
    let mut options = WorkbenchOptions::default();
    if let Some(timeout) = args.target.query_timeout {
        options.query_deadline = timeout;
    }
    let references = references(&args.backends, &embedded(&args.target), quiet).await?;
    let references = References::open(&references, 0).await.map_err(Failure::environment)?;
    let target = target(&args.target, quiet).await.map_err(Failure::environment)?;
    let engine = target.start(options.call_deadline).await.map_err(Failure::environment)?;
    let bench = Workbench::with(engine, options, references).await;
    let mut bench = bench.map_err(Failure::environment)?;
    let known = KnownIssues::for_version(bench.engine_version()).map_err(Failure::usage)?;
    let (mut failing, mut open, mut conflict) = (false, false, false);
    for (file, mut case) in cases {
        if case.checks.is_empty() {
            case.checks.push(Check::Entities);
        }
        let mut all = |_: &Check, _: &Verdict| ControlFlow::Continue(());
        let lacking = dialect.map(|dialect| beyond(dialect, &mut case)).unwrap_or_default();
        let mut verdicts = bench.judge(&case, &mut all).await.map_err(Failure::environment)?;
        verdicts.extend(lacking.into_iter().map(Verdict::Unsupported));
        let file = file.display();
        let mut divergences =
            case.checks.iter().zip(&verdicts).filter_map(|(check, verdict)| match verdict {
                Verdict::Divergence(divergence) => Some((check, divergence)),
                _ => None,
            });
        let unproven = verdicts.iter().find_map(|verdict| match verdict {
            Verdict::Inconclusive(doubt) => Some(doubt.to_string()),
            Verdict::Unsupported(reason) => Some(reason.clone()),
            _ => None,
        });
        if let Some((check, divergence)) = divergences.next() {
            failing = true;
            conflict |= divergence.class == Class::ReferenceConflict;
            let issues = known.explain(&case, check, divergence).unwrap_or_default();
            let titles: Vec<&str> = issues.iter().map(|issue| issue.title.as_str()).collect();
            let titles = match titles.as_slice() {
                [] => String::new(),
                titles => format!(" (known: {})", titles.join("; ")),
            };
            // Of a crash, without the log; the case's README shows how to see it.
            let actual = divergence.actual.to_string();
            let actual = actual.lines().next().unwrap_or_default();
            say(format_args!(
                "STILL FAILING  {file}  {}: expected {}, got {actual}{titles}",
                divergence.class, divergence.expected
            ));
        } else if let Some(reason) = unproven {
            open = true;
            say(format_args!("INCONCLUSIVE   {file}  {reason}"));
        } else {
            say(format_args!("FIXED          {file}"));
        }
    }
    bench.stop().await;
    Ok(match (conflict, failing, open) {
        (true, ..) => Exit::Conflict,
        (_, true, _) => Exit::Findings,
        (.., true) => Exit::Vacuous,
        _ => Exit::Clean,
    })
}

/// Takes away the checks that a dialect rules out, and says why.
fn beyond(dialect: &Dialect, case: &mut Case) -> Vec<String> {
    let mut lacking = Vec::new();
    let schema = &case.schema;
    case.checks.retain(|check| {
        let Some(filter) = check.spelled() else { return true };
        if matches!(check, Check::Refused(_) | Check::QueryOrRefusal(_)) {
            return true;
        }
        let missing = dialect.lacks_for(schema, filter);
        if let Some(cell) = missing {
            lacking.push(format!("the dialect {} lacks {cell}", dialect.name));
        }
        missing.is_none()
    });
    lacking
}

/// A file, or every `case.json` below a folder, sorted by path.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable =
        |error: std::io::Error| Failure::usage(format!("cannot read {}: {error}", path.display()));
    if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = std::fs::read_dir(path).map_err(unreadable)?;
    let mut entries: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            collect(&entry, files)?;
        } else if entry.file_name().is_some_and(|name| name == "case.json") {
            files.push(entry);
        }
    }
    Ok(())
}
