//! The journal of a run: everything that happens in a campaign, as JSON lines, and back.
//!
//! The keys are promised for as long as `version` stays the same; docs/events.md describes them.
//! What an event has, [`Event`] itself says.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read as _, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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
    /// The file, and a copy of it if there is one.
    files: Arc<Mutex<Vec<File>>>,
    begun: Instant,
    /// What the file spans before.
    before: Duration,
}

/// A file of events that no other run can write to.
#[derive(Debug)]
pub struct LockedLog {
    file: File,
    path: PathBuf,
}

/// The first line: what the file is.
#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u64,
    /// What the run was asked for.
    #[serde(default)]
    run: Json,
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
    /// What the run was asked for, as the command line keeps it; null of a run that cannot be
    /// resumed.
    pub run: Json,
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
    /// The file cannot be written.
    #[error(
        "cannot write {}: {source}; check that its folder may be written to and that the disk has \
         room", path.display()
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another run writes to it.
    #[error("another run is writing to {}; wait for its end, or use another folder", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
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

impl LockedLog {
    /// Takes a file for this run alone, until it is dropped; makes it if it is not there.
    ///
    /// # Errors
    /// [`EventsError::Busy`] if another run has it, and [`EventsError::Write`].
    pub fn open(path: &Path) -> Result<LockedLog, EventsError> {
        let write = |source| EventsError::Write { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).map_err(write)?;
        match file.try_lock() {
            Ok(()) => Ok(LockedLog { file, path: path.to_owned() }),
            Err(TryLockError::WouldBlock) => Err(EventsError::Busy { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(write(source)),
        }
    }

    /// Whether no run was begun in it.
    ///
    /// # Errors
    /// [`EventsError::Io`].
    pub fn is_empty(&self) -> Result<bool, EventsError> {
        let io = |source| EventsError::Io { path: self.path.clone(), source };
        let mut file = BufReader::new(File::open(&self.path).map_err(io)?);
        let mut first = Vec::new();
        file.by_ref().take(1 << 20).read_until(b'\n', &mut first).map_err(io)?;
        // A run that was killed while it wrote the first line has not begun.
        Ok(!first.ends_with(b"\n") && first.len() < 1 << 20)
    }

    /// Begins the file, with what the run was asked for. What happens is written to a copy, too,
    /// if one is wanted.
    ///
    /// # Errors
    /// [`EventsError::Write`].
    pub fn begin(mut self, run: &Json, copy: Option<&Path>) -> Result<EventLog, EventsError> {
        let header =
            Header { format: FORMAT.to_owned(), version: u64::from(VERSION), run: run.clone() };
        let written = line(&header).and_then(|header| {
            self.file.set_len(0)?;
            self.file.write_all(&header)?;
            self.file.sync_all()
        });
        self.with_copy(written, copy, Duration::ZERO)
    }

    /// Goes on after what was read from it. A line that is cut off is dropped.
    ///
    /// # Errors
    /// [`EventsError::Write`].
    pub fn go_on(mut self, read: &Reader, copy: Option<&Path>) -> Result<EventLog, EventsError> {
        let ready = self.file.set_len(read.whole);
        let ready = ready.and_then(|()| self.file.seek(SeekFrom::End(0))).map(|_| ());
        self.with_copy(ready, copy, Duration::try_from_secs_f64(read.seconds).unwrap_or_default())
    }

    fn with_copy(
        self,
        ready: io::Result<()>,
        copy: Option<&Path>,
        before: Duration,
    ) -> Result<EventLog, EventsError> {
        let LockedLog { file, path } = self;
        ready.map_err(|source| EventsError::Write { path: path.clone(), source })?;
        let mut files = vec![file];
        if let Some(copy) = copy {
            let copied = copied(&path, copy);
            files
                .extend(copied.map_err(|source| EventsError::Write { path: copy.into(), source })?);
        }
        Ok(EventLog { files: Arc::new(Mutex::new(files)), begun: Instant::now(), before })
    }
}

impl EventLog {
    /// Writes an event of the campaign on the engine that this run calls so; a finding with the
    /// folder that it has, if it has one.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&self, target: &str, event: &Event, folder: Option<&Path>) -> io::Result<()> {
        let filter = match event {
            Event::Found(finding) => Some(finding.filter_text()),
            _ => None,
        };
        let path = folder.map(|folder| folder.display().to_string());
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        // In the order of the lines, whoever writes them.
        let seconds = (self.before + self.begun.elapsed()).as_secs_f64();
        let line = line(&Line { seconds, target, event, filter, path })?;
        if files.is_empty() {
            return Err(io::Error::other("an earlier line could not be written"));
        }
        let sync = matches!(event, Event::Found(_) | Event::Finished { .. });
        let written = files.iter_mut().try_for_each(|file| {
            file.write_all(&line)?;
            if sync { file.sync_data() } else { Ok(()) }
        });
        if written.is_err() {
            // Another line behind half a line would make both unreadable.
            files.clear();
        }
        written
    }
}

/// A copy to append to; `None` if it is the file itself.
fn copied(path: &Path, copy: &Path) -> io::Result<Option<File>> {
    if copy.exists() && copy.canonicalize()? == path.canonicalize()? {
        return Ok(None);
    }
    fs::copy(path, copy)?;
    OpenOptions::new().append(true).open(copy).map(Some)
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
    Ok(Events { run: reader.run, records, torn: reader.torn })
}

/// The events of a file, one after the other: the file of a long run is large.
///
/// Ends with a line that is cut off, and with the first error.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    run: Json,
    line: usize,
    /// How many bytes the lines have that were read whole.
    whole: u64,
    /// When the last of them was written.
    seconds: f64,
    torn: bool,
}

impl Reader {
    /// Opens a file and reads its first line.
    ///
    /// # Errors
    /// See [`EventsError`].
    pub fn open(path: &Path) -> Result<Reader, EventsError> {
        let io = |source| EventsError::Io { path: path.to_owned(), source };
        let file = BufReader::new(File::open(path).map_err(io)?);
        let path = path.to_owned();
        let (run, whole, seconds) = (Json::Null, 0, 0.0);
        let mut reader = Reader { path, file, run, line: 0, whole, seconds, torn: false };
        let foreign = |reader: &Reader| EventsError::Foreign { path: reader.path.clone() };
        let first = reader.next_line()?.ok_or_else(|| foreign(&reader))?;
        let header: Header = serde_json::from_slice(&first).map_err(|_| foreign(&reader))?;
        if header.format != FORMAT {
            return Err(foreign(&reader));
        }
        if header.version != u64::from(VERSION) {
            return Err(EventsError::Version { path: reader.path, found: header.version });
        }
        reader.run = header.run;
        Ok(reader)
    }

    /// What the run was asked for, see [`Events::run`].
    pub fn run(&self) -> &Json {
        &self.run
    }

    /// Whether the last line was cut off, once all were read.
    pub fn is_torn(&self) -> bool {
        self.torn
    }

    /// The next line that is whole.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, EventsError> {
        let mut line = Vec::new();
        let read = self.file.read_until(b'\n', &mut line);
        read.map_err(|source| EventsError::Io { path: self.path.clone(), source })?;
        self.line += 1;
        match line.last() {
            Some(b'\n') => {
                self.whole += line.len() as u64;
                Ok(Some(line))
            }
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
                if let Ok(Record { seconds, .. }) = &record {
                    self.seconds = self.seconds.max(*seconds);
                }
                return Some(record);
            }
        }
    }
}

#[cfg(test)]
mod tests;
