//! How a test ends.

use std::fmt;
use std::path::PathBuf;

use super::told::{counted, told};
use crate::campaign::{BenchError, CampaignError, Outcome, Summary};
use crate::case::{Case, CaseError};
use crate::engine::{EngineError, UnknownChoice};
use crate::finding;
use crate::generate::WeightError;
use crate::report::finding::{ReportError, title};
use crate::schema::InvalidSchema;

/// What a test that passed has to show.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// The test.
    pub name: String,
    /// What was replayed, and what it came to: all but failures.
    pub regressions: Vec<Regression>,
    /// The figures of the new cases.
    pub summary: Summary,
}

/// A kept case that was asked again.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Regression {
    /// Its file.
    pub path: PathBuf,
    /// The case.
    pub case: Case,
    /// What became of it.
    pub outcome: Outcome,
}

/// What a test has found, and where that is kept.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The shrunk divergence.
    pub finding: finding::Finding,
    /// Its folder, or why there is none.
    pub kept: Result<PathBuf, ReportError>,
}

/// Why a test does not pass.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiffTestError {
    /// The engine answers wrongly.
    #[error("difftest '{name}' found {}", found(.findings))]
    Found {
        /// The test.
        name: String,
        /// What it has found: one, or several if they came up while the first was looked into.
        findings: Vec<Finding>,
        /// The figures until then.
        summary: Box<Summary>,
    },
    /// Cases that failed before still do.
    #[error("difftest '{name}': {}", regressed(.failing))]
    Regressed {
        /// The test.
        name: String,
        /// Those that fail.
        failing: Vec<Regression>,
    },
    /// It came to an end without a finding and without an answer.
    #[error("difftest '{name}' (seed {seed}) came to no result: {reason}")]
    Unfinished {
        /// The test.
        name: String,
        /// Its seed.
        seed: u64,
        /// Why.
        reason: String,
    },
    /// So little was checked that passing would mean nothing.
    #[error("this run proves nothing, and so it fails: {reason}\n  {report}")]
    Vacuous {
        /// What was missing.
        reason: String,
        /// What was done.
        report: Box<Report>,
    },
    /// The engine has not got what the schema asks for.
    #[error("difftest '{name}': the dialect {dialect} lacks {what}, which the schema has")]
    Lacks {
        /// The test.
        name: String,
        /// What is known of the engine's version.
        dialect: String,
        /// What it lacks.
        what: String,
    },
    /// The name makes no folder.
    #[error(
        "'{0}' cannot be the name of a difftest, whose folder is called so: take letters, digits, \
         '-' and '_'"
    )]
    Name(String),
    /// The schema is none of Milvus's.
    #[error("difftest '{name}': {source}")]
    Schema {
        /// The test.
        name: String,
        /// What is wrong with the schema.
        source: InvalidSchema,
    },
    /// A weight is wrong.
    #[error("difftest '{name}': {source}")]
    Weight {
        /// The test.
        name: String,
        /// What is wrong with the weight.
        source: WeightError,
    },
    /// A variable of the environment is wrong.
    #[error("{variable} in the environment cannot be used: {reason}")]
    Environment {
        /// Its name.
        variable: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
    /// There is no engine of that name.
    #[error(transparent)]
    Choice(#[from] UnknownChoice),
    /// A kept case cannot be read.
    #[error("a kept regression cannot be replayed: {0}; mend the file, or remove its folder")]
    Case(#[from] CaseError),
    /// No engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The new cases could not be begun.
    #[error(transparent)]
    Campaign(#[from] CampaignError),
    /// The kept cases could not be asked.
    #[error("the kept regressions could not be replayed: {0}")]
    Bench(#[from] BenchError),
    /// No asynchronous runtime.
    #[error("no asynchronous runtime can be started: {0}")]
    Runtime(#[source] std::io::Error),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { name, regressions, summary } = self;
        let verdicts = &summary.verdicts;
        write!(
            f,
            "difftest '{name}' on {}, seed {}: {}, {} ({} pass, {} known, {} inconclusive, {} \
             unsupported)",
            summary.engine,
            summary.seed,
            counted(summary.cases, "case"),
            counted(verdicts.total(), "check"),
            verdicts.pass,
            verdicts.known,
            verdicts.inconclusive,
            verdicts.unsupported,
        )?;
        if !regressions.is_empty() {
            write!(f, "; {} replayed", counted(regressions.len() as u64, "regression"))?;
        }
        for Regression { path, outcome, .. } in regressions {
            let path = path.display();
            match outcome {
                Outcome::Pass => {}
                Outcome::Known { titles, .. } => {
                    write!(f, "\n  known: {path} ({})", titles.join("; "))?;
                }
                Outcome::Inconclusive(reason) | Outcome::Unsupported(reason) => {
                    write!(f, "\n  not judged: {path} ({reason})")?;
                }
                Outcome::Fail(divergence) | Outcome::Conflict(divergence) => {
                    write!(f, "\n  fails: {path} ({})", divergence.class)?;
                }
            }
        }
        Ok(())
    }
}

fn found(findings: &[Finding]) -> String {
    let one = |Finding { finding, kept }: &Finding| {
        let minimal = if finding.minimal { "" } else { " (the budget for shrinking was used up)" };
        let judges = match finding.backend.as_str() {
            "" => "the model alone".to_owned(),
            backend => format!("{backend} and the model"),
        };
        let kept = match kept {
            Ok(folder) => format!(
                "kept in   {}\n            and asked first from now on; remove the folder to forget it",
                folder.display()
            ),
            Err(error) => format!("not kept  {error}"),
        };
        format!(
            "{}\n\n{}  engine    {}, judged by {judges}\n  from      {}{minimal}\n  {kept}",
            title(finding),
            told(&finding.case, &finding.divergence),
            finding.engine,
            finding.origin(),
        )
    };
    findings.iter().map(one).collect::<Vec<_>>().join("\n\n")
}

fn regressed(failing: &[Regression]) -> String {
    let mut text = match failing.len() {
        1 => "a case that failed before still does".to_owned(),
        count => format!("{count} cases that failed before still do"),
    };
    for Regression { path, case, outcome } in failing {
        if let Outcome::Fail(divergence) | Outcome::Conflict(divergence) = outcome {
            text += &format!("\n\n{}: {}\n\n", divergence.class, path.display());
            text += told(case, divergence).trim_end();
        }
    }
    text
}
