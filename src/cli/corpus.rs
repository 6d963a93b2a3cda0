//! `corpus`: filters with their answers, for people who test Milvus.

use std::collections::BTreeMap;
use std::path::Path;

use super::args::{CorpusCheckArgs, CorpusCommand, CorpusGenerateArgs};
use super::exit::Exit;
use super::input;
use super::setup::{only_one, or_signal, references, trial};
use super::start::{Failure, note, say};
use crate::campaign::{Known, Outcome};
use crate::corpus::{BuildError, Corpus};
use crate::engine::EmbeddedOptions;
use crate::filter::Filter;
use crate::milvus::Dialect;
use crate::reference::References;
use crate::report;
use crate::verdict::Divergence;

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
        Some(name) => Dialect::load(name).map_err(Failure::usage)?,
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

/// What came of the filters of one file.
#[derive(Default)]
struct Tally {
    pass: usize,
    known: usize,
    by_issue: BTreeMap<String, usize>,
    failures: usize,
    unproven: usize,
    unsupported: usize,
    conflicts: usize,
}

impl Tally {
    fn exit(&self) -> Exit {
        let judged = self.pass + self.known + self.failures + self.conflicts;
        match self {
            Tally { conflicts: 1.., .. } => Exit::Conflict,
            Tally { failures: 1.., .. } => Exit::Findings,
            _ if judged <= self.unproven + self.unsupported => Exit::Vacuous,
            _ => Exit::Clean,
        }
    }
}

async fn check(args: &CorpusCheckArgs, quiet: bool) -> Result<Exit, Failure> {
    only_one(&args.target)?;
    // All of them are read before any engine is started.
    let mut corpora = Vec::new();
    for path in &args.files {
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::usage(format!("{} is no usable corpus: {error}", path.display()))
        };
        let corpus = Corpus::from_lines(&input::text(path)?).map_err(|error| wrong(&error))?;
        let case = corpus.to_case().map_err(|error| wrong(&error))?;
        corpora.push((path, case));
    }
    let known = if args.strict { Known::Nothing } else { Known::OfVersion };
    let mut trial = trial(&args.target, &args.backends, known, quiet).await?;
    let dialect = trial.dialect().clone();
    let mut exit = Exit::Clean;
    for (path, case) in corpora {
        let mut tally = Tally::default();
        // What the engine has not got is not held against it.
        let answers = trial.ask(&case, Some(&dialect)).await.map_err(Failure::environment)?;
        let asked = answers.len();
        for (check, outcome) in answers {
            let Some(filter) = check.spelled() else { continue };
            match outcome {
                Outcome::Pass => tally.pass += 1,
                Outcome::Unsupported(_) => tally.unsupported += 1,
                Outcome::Inconclusive(reason) => {
                    tally.unproven += 1;
                    say(format_args!("INCONCLUSIVE  `{filter}`: {reason}"));
                }
                Outcome::Known { titles, .. } => {
                    tally.known += 1;
                    for title in titles {
                        *tally.by_issue.entry(title).or_default() += 1;
                    }
                }
                Outcome::Fail(divergence) => {
                    tally.failures += 1;
                    say(failed("FAIL", filter, &divergence));
                }
                Outcome::Conflict(divergence) => {
                    tally.conflicts += 1;
                    say(failed("CONFLICT", filter, &divergence));
                }
            }
        }
        say(format_args!(
            "{}: {} filters, {} pass, {} fail, {} known, {} unproven, {} that {} has not got",
            path.display(),
            asked,
            tally.pass,
            tally.failures + tally.conflicts,
            tally.known,
            tally.unproven,
            tally.unsupported,
            dialect.name
        ));
        for (title, count) in &tally.by_issue {
            say(format_args!("  {count} known: {title}"));
        }
        let rank = |exit: &Exit| match exit {
            Exit::Conflict => 3,
            Exit::Findings => 2,
            Exit::Vacuous => 1,
            _ => 0,
        };
        exit = std::cmp::max_by_key(exit, tally.exit(), rank);
    }
    trial.stop().await;
    Ok(exit)
}

fn failed(word: &str, filter: &Filter, divergence: &Divergence) -> String {
    let Divergence { class, expected, actual, .. } = divergence;
    format!("{word}  `{filter}`: {class}, expected {expected}, got {actual}")
}
