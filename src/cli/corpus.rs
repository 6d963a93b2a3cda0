//! `corpus`: filters with their answers, for people who test Milvus.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use super::args::{CorpusCheckArgs, CorpusCommand, CorpusGenerateArgs};
use super::exit::Exit;
use super::input;
use super::setup::{embedded, or_signal, references, target};
use super::start::{Failure, note, say};
use crate::campaign::{Workbench, WorkbenchOptions};
use crate::case::Check;
use crate::corpus::{BuildError, Corpus};
use crate::engine::EmbeddedOptions;
use crate::filter::grammar::cells;
use crate::known::KnownIssues;
use crate::milvus::Dialect;
use crate::reference::References;
use crate::report;
use crate::verdict::{Class, Expected, Verdict};

pub async fn run(command: CorpusCommand, quiet: bool) -> Result<Exit, Failure> {
    match command {
        CorpusCommand::Generate(args) => match or_signal(generate(args, quiet)).await {
            Some(result) => result,
            None => Ok(Exit::Interrupted),
        },
        CorpusCommand::Check(args) => match or_signal(check(&args, quiet)).await {
            Some(result) => result,
            None => Ok(Exit::Interrupted),
        },
    }
}

async fn generate(args: CorpusGenerateArgs, quiet: bool) -> Result<Exit, Failure> {
    let (schema, _) = input::schema(&args.schema)?;
    let rows = input::rows(&args.rows, &schema)?;
    let dialect = match &args.dialect {
        None => Dialect::everything(),
        Some(name) => named_dialect(name)?,
    };
    let references = references(&args.backends, &EmbeddedOptions::default(), quiet).await?;
    let mut references = References::open(&references, 0).await.map_err(Failure::environment)?;
    let backends = references.backends.as_mut_slice();
    let corpus = Corpus::generate(schema, rows, &dialect, args.count, args.seed, backends).await;
    references.close().await;
    let corpus = corpus.map_err(|error| match error {
        BuildError::Conflict { .. } => Failure::new(Exit::Conflict, error),
        BuildError::Backend(_) => Failure::environment(error),
        _ => Failure::usage(error),
    })?;
    let text = report::corpus::render(&corpus, args.format);
    match &args.out {
        None => say(text.trim_end()),
        Some(path) => {
            std::fs::write(path, text).map_err(|error| {
                Failure::environment(format!("cannot write {}: {error}", path.display()))
            })?;
            note(summary(&corpus, path));
        }
    }
    Ok(Exit::Clean)
}

fn summary(corpus: &Corpus, path: &Path) -> String {
    let features: std::collections::BTreeSet<&String> =
        corpus.entries.iter().flat_map(|entry| &entry.features).collect();
    let selective = corpus.entries.iter().filter(|e| 0 < e.count && e.count < corpus.rows.len());
    format!(
        "{} filters for {} rows to {}: {} cells of the grammar, {} select some rows and not all",
        corpus.entries.len(),
        corpus.rows.len(),
        path.display(),
        features.len(),
        selective.count(),
    )
}

fn named_dialect(name: &str) -> Result<Dialect, Failure> {
    let all = Dialect::all().map_err(Failure::environment)?;
    let names: Vec<String> = all.iter().map(|dialect| dialect.name.clone()).collect();
    all.into_iter().find(|dialect| dialect.name == name).ok_or_else(|| {
        Failure::usage(format!("there is no dialect '{name}'; known are {}", names.join(", ")))
    })
}

/// What came of the filters of one file.
#[derive(Default)]
struct Tally {
    pass: usize,
    known: BTreeMap<String, usize>,
    failures: usize,
    unproven: usize,
    conflicts: usize,
}

async fn check(args: &CorpusCheckArgs, quiet: bool) -> Result<Exit, Failure> {
    // All of them are read before any engine is started.
    let mut corpora = Vec::new();
    for path in &args.files {
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::usage(format!("{} is no usable corpus: {error}", path.display()))
        };
        let corpus = Corpus::from_lines(&input::text(path)?).map_err(|error| wrong(&error))?;
        let case = corpus.to_case().map_err(|error| wrong(&error))?;
        corpora.push((path, corpus, case));
    }
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
    let known = match args.strict {
        true => KnownIssues::default(),
        false => KnownIssues::for_version(bench.engine_version()).map_err(Failure::usage)?,
    };
    let mut exit = Exit::Clean;
    let dialect = Dialect::for_version(bench.engine_version()).map_err(Failure::environment)?;
    for (path, mut corpus, mut case) in corpora {
        // What the engine has not got is not held against it.
        let has: Vec<bool> = case
            .checks
            .iter()
            .filter_map(Check::spelled)
            .map(|filter| cells(&case.schema, filter).iter().all(|cell| dialect.accepts(cell)))
            .collect();
        let unsupported = has.iter().filter(|has| !**has).count();
        let mut kept = has.iter();
        case.checks.retain(|_| kept.next() == Some(&true));
        let mut kept = has.iter();
        corpus.entries.retain(|_| kept.next() == Some(&true));
        let mut all = |_: &Check, _: &Verdict| ControlFlow::Continue(());
        let verdicts = bench.judge(&case, &mut all).await.map_err(Failure::environment)?;
        let mut tally = Tally::default();
        for ((check, verdict), entry) in case.checks.iter().zip(&verdicts).zip(&corpus.entries) {
            let count = match verdict {
                Verdict::Pass { matched, .. } => Some(*matched),
                Verdict::Divergence(divergence) => match &divergence.expected {
                    Expected::Rows(keys) => Some(keys.len()),
                    _ => None,
                },
                _ => None,
            };
            if count.is_some_and(|count| count != entry.count) {
                tally.conflicts += 1;
                say(format_args!(
                    "CONFLICT  `{}`: the file expects {} rows, the references find {}",
                    entry.filter,
                    entry.count,
                    count.unwrap_or_default()
                ));
                continue;
            }
            match verdict {
                Verdict::Pass { .. } => tally.pass += 1,
                Verdict::Divergence(divergence) => match known.explain(&case, check, divergence) {
                    Some(issues) => {
                        for issue in issues {
                            *tally.known.entry(issue.title.clone()).or_default() += 1;
                        }
                    }
                    None => {
                        tally.failures += 1;
                        tally.conflicts +=
                            usize::from(divergence.class == Class::ReferenceConflict);
                        say(format_args!(
                            "FAIL  `{}`: {}, expected {}, got {}",
                            entry.filter, divergence.class, divergence.expected, divergence.actual
                        ));
                    }
                },
                Verdict::Inconclusive(doubt) => {
                    tally.unproven += 1;
                    say(format_args!("INCONCLUSIVE  `{}`: {doubt}", entry.filter));
                }
                Verdict::Unsupported(reason) => {
                    tally.unproven += 1;
                    say(format_args!("UNSUPPORTED  `{}`: {reason}", entry.filter));
                }
            }
        }
        let known_count =
            verdicts.len() - tally.pass - tally.failures - tally.unproven - tally.conflicts;
        say(format_args!(
            "{}: {} filters, {} pass, {} fail, {known_count} known, {} unproven, \
             {unsupported} that {} has not got",
            path.display(),
            verdicts.len(),
            tally.pass,
            tally.failures,
            tally.unproven,
            dialect.name
        ));
        for (title, count) in &tally.known {
            say(format_args!("  {count} known: {title}"));
        }
        exit = match (&exit, &tally) {
            (_, Tally { conflicts: 1.., .. }) | (Exit::Conflict, _) => Exit::Conflict,
            (_, Tally { failures: 1.., .. }) | (Exit::Findings, _) => Exit::Findings,
            (_, Tally { pass: 0, .. }) | (Exit::Vacuous, _) => Exit::Vacuous,
            _ => Exit::Clean,
        };
    }
    bench.stop().await;
    Ok(exit)
}
