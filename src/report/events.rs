//! `--events`: everything that happens in a campaign, as JSON lines, and back.
//!
//! The keys are promised for as long as `version` stays the same; docs/events.md describes them.
//! What an event has, [`Event`] itself says.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::campaign::Event;

const FORMAT: &str = "milvus-difftest/events";
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

/// The first line: what the file is.
#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    seconds: f64,
    target: &'a str,
    #[serde(flatten)]
    event: &'a Event,
    /// For readers that cannot take a case apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

/// A line of a file of events.
#[derive(Debug, Clone)]
pub struct Record {
    /// When it was written, in seconds since the file was begun.
    pub seconds: f64,
    /// What the engine is called in this run.
    pub target: String,
    /// What happened.
    pub event: Event,
    /// The folder of a finding, if it could be written.
    pub folder: Option<PathBuf>,
}

/// A file of events, read.
#[derive(Debug, Clone)]
pub struct Events {
    /// Its events, in the order in which they were written.
    pub records: Vec<Record>,
    /// Whether the last line was cut off, because the run was killed while writing it.
    pub torn: bool,
}

/// A file of events that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventsError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The first line does not say that it is a file of events.
    #[error(
        "{} is no file of events: its first line does not have the format {FORMAT}", path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Written by a newer release.
    #[error(
        "{} has format version {found}, and this release reads version {VERSION}; update \
         milvus-difftest", path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: u64,
    },
    /// A line that is none of a file of events.
    #[error("line {line} of {} is broken: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

impl EventLog {
    /// Begins a file, in place of one that is there.
    ///
    /// # Errors
    /// The file system's.
    pub fn create(path: &Path) -> io::Result<EventLog> {
        let mut file = File::create(path)?;
        let header = Header { format: FORMAT.to_owned(), version: u64::from(VERSION) };
        file.write_all(&line(&header)?)?;
        Ok(EventLog { file: Arc::new(Mutex::new(file)), begun: Instant::now() })
    }

    /// Writes an event of the campaign on the engine that this run calls so; a finding with the
    /// folder that it has, if it has one.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&self, target: &str, event: &Event, folder: Option<&Path>) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // In the order of the lines, whoever writes them.
        let seconds = self.begun.elapsed().as_secs_f64();
        file.write_all(&line(&Line::of(seconds, target, event, folder))?)?;
        match event {
            Event::Found(_) | Event::Finished { .. } => file.sync_data(),
            _ => Ok(()),
        }
    }
}

impl Line<'_> {
    fn of<'a>(seconds: f64, target: &'a str, event: &'a Event, folder: Option<&Path>) -> Line<'a> {
        let filter = match event {
            Event::Found(finding) => Some(finding.filter_text()),
            _ => None,
        };
        let path = folder.map(|folder| folder.display().to_string());
        Line { seconds, target, event, filter, path }
    }
}

/// A file of events with these records.
///
/// # Errors
/// None in memory; those of the serialiser's interface.
pub fn lines(records: &[Record]) -> io::Result<String> {
    let mut bytes = line(&Header { format: FORMAT.to_owned(), version: u64::from(VERSION) })?;
    for Record { seconds, target, event, folder } in records {
        bytes.extend(line(&Line::of(*seconds, target, event, folder.as_deref()))?);
    }
    String::from_utf8(bytes).map_err(io::Error::other)
}

fn line(what: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(what)?;
    text.push(b'\n');
    Ok(text)
}

/// Reads a file of events. Keys and events that this release does not know are left out; of a run
/// that was killed, the last line may be cut off.
///
/// # Errors
/// See [`EventsError`].
pub fn read(path: &Path) -> Result<Events, EventsError> {
    let mut reader = Reader::open(path)?;
    let records = reader.by_ref().collect::<Result<_, _>>()?;
    Ok(Events { records, torn: reader.torn })
}

/// The lines of a file of events, one after the other: the file of a long run is large.
struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    line: usize,
    torn: bool,
}

impl Reader {
    fn open(path: &Path) -> Result<Reader, EventsError> {
        let io = |source| EventsError::Io { path: path.to_owned(), source };
        let file = BufReader::new(File::open(path).map_err(io)?);
        let mut reader = Reader { path: path.to_owned(), file, line: 0, torn: false };
        let foreign = || EventsError::Foreign { path: path.to_owned() };
        let first = reader.next_line()?.ok_or_else(foreign)?;
        let header: Header = serde_json::from_slice(&first).map_err(|_| foreign())?;
        if header.format != FORMAT {
            return Err(foreign());
        }
        if header.version != u64::from(VERSION) {
            return Err(EventsError::Version { path: path.to_owned(), found: header.version });
        }
        Ok(reader)
    }

    /// The next line that is whole.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, EventsError> {
        let mut line = Vec::new();
        let read = self.file.read_until(b'\n', &mut line);
        read.map_err(|source| EventsError::Io { path: self.path.clone(), source })?;
        self.line += 1;
        match line.last() {
            Some(b'\n') => Ok(Some(line)),
            Some(_) => {
                self.torn = true;
                Ok(None)
            }
            None => Ok(None),
        }
    }

    fn record(&self, line: &[u8]) -> Result<Option<Record>, EventsError> {
        let broken =
            |reason: String| EventsError::Line { path: self.path.clone(), line: self.line, reason };
        let json: Map<String, Json> =
            serde_json::from_slice(line).map_err(|error| broken(error.to_string()))?;
        let text = |key: &str| json.get(key).and_then(Json::as_str);
        let name = text("event").ok_or_else(|| broken("it has no event".to_owned()))?;
        if !Event::NAMES.contains(&name) {
            return Ok(None);
        }
        let seconds = json.get("seconds").and_then(Json::as_f64);
        let seconds = seconds.ok_or_else(|| broken("it has no seconds".to_owned()))?;
        let target = text("target").ok_or_else(|| broken("it has no target".to_owned()))?;
        let (target, folder) = (target.to_owned(), text("path").map(PathBuf::from));
        let event = Event::deserialize(Json::Object(json));
        let event = event.map_err(|error| broken(error.to_string()))?;
        Ok(Some(Record { seconds, target, event, folder }))
    }
}

impl Iterator for Reader {
    type Item = Result<Record, EventsError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let record = match self.next_line() {
                Ok(None) => return None,
                Ok(Some(line)) => self.record(&line),
                Err(error) => Err(error),
            };
            if let Some(record) = record.transpose() {
                return Some(record);
            }
        }
    }
}

#[cfg(test)]
mod tests;
