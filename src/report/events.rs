//! `--events`: everything that happens in a campaign, as JSON lines.
//!
//! The keys are promised for as long as `version` stays the same; docs/events.md describes them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;
use serde_json::Value as Json;

use crate::campaign::{Event, Kind};
use crate::oracle::Oracle;
use crate::verdict::{Class, Doubt};

const VERSION: u32 = 1;

/// A file of events, of one campaign or of several side by side.
///
/// Every event is one write of one line, so that a file of a run that is killed has whole lines;
/// findings are on the disk before the campaign goes on.
#[derive(Debug, Clone)]
pub struct EventLog {
    file: Arc<Mutex<File>>,
    begun: Instant,
}

#[derive(Serialize)]
struct Line<'a> {
    /// Since the file was begun.
    seconds: f64,
    /// What the engine is called in this run.
    target: &'a str,
    #[serde(flatten)]
    what: What<'a>,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum What<'a> {
    Started {
        format: &'static str,
        version: u32,
        seed: u64,
        engine: &'a str,
        backend: &'a str,
        dialect: &'a str,
        cells: usize,
        jobs: usize,
    },
    Checked {
        oracle: Oracle,
        verdict: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        class: Option<Class>,
        #[serde(skip_serializing_if = "Option::is_none")]
        doubt: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        selective: Option<bool>,
        model_alone: bool,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        known: &'a [String],
    },
    Steered {
        dropped: u64,
        kept: u64,
    },
    Recognised {
        oracle: Oracle,
        known: &'a [String],
    },
    Fixed {
        known: &'a str,
    },
    CaseDone {
        case: u64,
        /// Hexadecimal: JSON readers with doubles would round it.
        digest: String,
        cells: BTreeMap<String, u64>,
    },
    Found {
        oracle: Oracle,
        class: Class,
        shape: &'a str,
        filter: String,
        expected: String,
        actual: String,
        minimal: bool,
        evaluations: usize,
        seed: u64,
        case: u64,
        /// As in a case file.
        reproduction: Json,
        path: Option<String>,
    },
    Repeated {
        shape: &'a str,
    },
    Unexplored,
    Unstable {
        what: &'a str,
    },
    Restarted {
        reason: &'a str,
    },
    Finished {
        elapsed: f64,
        interrupted: bool,
        error: &'a Option<String>,
    },
}

impl EventLog {
    /// Begins a file, in place of one that is there.
    ///
    /// # Errors
    /// The file system's.
    pub fn create(path: &Path) -> io::Result<EventLog> {
        let file = Arc::new(Mutex::new(File::create(path)?));
        Ok(EventLog { file, begun: Instant::now() })
    }

    /// Writes an event of the campaign on the engine that this run calls so; a finding with the
    /// folder that it has, if it has one.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&self, target: &str, event: &Event, folder: Option<&Path>) -> io::Result<()> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let line = Line { seconds, target, what: what(event, folder) };
        let mut text = serde_json::to_string(&line)?;
        text.push('\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(text.as_bytes())?;
        match event {
            Event::Found(_) | Event::Finished { .. } => file.sync_data(),
            _ => Ok(()),
        }
    }
}

fn what<'a>(event: &'a Event, folder: Option<&Path>) -> What<'a> {
    match event {
        Event::Started { seed, engine, backend, dialect, cells, jobs } => What::Started {
            format: "milvus-difftest/events",
            version: VERSION,
            seed: *seed,
            engine,
            backend,
            dialect,
            cells: cells.len(),
            jobs: *jobs,
        },
        Event::Checked { oracle, kind, doubt, selective, class, model_alone, known } => {
            What::Checked {
                oracle: *oracle,
                verdict: match kind {
                    Kind::Pass => "pass",
                    Kind::Divergence => "divergence",
                    Kind::Known => "known",
                    Kind::Inconclusive => "inconclusive",
                    Kind::Unsupported => "unsupported",
                },
                class: *class,
                doubt: doubt.as_ref().map(Doubt::to_string),
                selective: *selective,
                model_alone: *model_alone,
                known,
            }
        }
        Event::Steered { dropped, kept } => What::Steered { dropped: *dropped, kept: *kept },
        Event::Recognised { oracle, titles } => What::Recognised { oracle: *oracle, known: titles },
        Event::Fixed { title } => What::Fixed { known: title },
        Event::CaseDone { number, digest, cells } => What::CaseDone {
            case: *number,
            digest: format!("{digest:016x}"),
            cells: cells.iter().map(|(cell, count)| (cell.to_string(), *count)).collect(),
        },
        Event::Found(finding) => What::Found {
            oracle: finding.oracle,
            class: finding.divergence.class,
            shape: &finding.shape,
            filter: finding.filter_text(),
            expected: finding.divergence.expected.to_string(),
            actual: finding.divergence.actual.to_string(),
            minimal: finding.minimal,
            evaluations: finding.evaluations,
            seed: finding.seed,
            case: finding.number,
            // It is JSON, as `Case::to_json` promises.
            reproduction: serde_json::from_str(&finding.case.to_json(None)).unwrap_or_default(),
            path: folder.map(|folder| folder.display().to_string()),
        },
        Event::Repeated { shape } => What::Repeated { shape },
        Event::Unexplored => What::Unexplored,
        Event::Unstable { what } => What::Unstable { what },
        Event::Restarted { reason } => What::Restarted { reason },
        Event::Finished { elapsed, interrupted, error } => {
            What::Finished { elapsed: elapsed.as_secs_f64(), interrupted: *interrupted, error }
        }
    }
}
