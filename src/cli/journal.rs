//! The folder of a run: its journal, and what it was asked for.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::args::{FuzzArgs, duration};
use super::start::{Failure, note};
use crate::campaign::{Gate, Progress, Shard};
use crate::report::events::{EventLog, EventsError, LockedLog, Reader, Record};
use crate::secret::{redact, redact_address};

/// The journal's name in the folder of a run.
pub const JOURNAL: &str = "events.jsonl";

/// What a run was asked for, and what of it a run that goes on keeps to. No secrets: what has them
/// is kept without, and must be given anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The release: another one may make other cases of the same seed.
    pub release: String,
    pub seed: u64,
    pub shard: Shard,
    pub cases: Option<u64>,
    pub time: Option<String>,
    pub jobs: Option<usize>,
    pub filters: Option<u16>,
    pub depth: Option<u16>,
    pub beyond_dialect: bool,
    pub engine: Vec<String>,
    pub target: Vec<String>,
    pub dialect: Option<Named>,
    pub query_timeout: Option<String>,
    pub backend: Vec<String>,
    pub shrink_evaluations: Option<usize>,
    pub shrink_time: Option<String>,
    pub no_feedback: bool,
    pub strict: bool,
    pub known: Option<Named>,
    /// The case files that were replayed before, by `gate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corpus: Option<Vec<PathBuf>>,
}

/// A file by its name and content, or something else by its name alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Named {
    pub name: String,
    pub sha256: Option<String>,
}

impl Named {
    fn new(name: &str) -> Named {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let content = fs::read(name).ok();
        let sha256 = content.map(|content| hex(Sha256::digest(content).as_slice()));
        Named { name: name.to_owned(), sha256 }
    }
}

impl Asked {
    fn of(args: &FuzzArgs, seed: u64, gate: Option<&Gate>) -> Asked {
        let time =
            |time: Option<Duration>| time.map(|time| humantime::format_duration(time).to_string());
        Asked {
            release: env!("CARGO_PKG_VERSION").to_owned(),
            seed,
            shard: args.shard.unwrap_or_default(),
            cases: args.cases,
            time: time(args.time),
            jobs: args.jobs,
            filters: args.filters,
            depth: args.depth,
            beyond_dialect: args.beyond_dialect,
            engine: args.target.engine.iter().map(ToString::to_string).collect(),
            target: args.target.target.iter().map(|uri| redact_address(uri)).collect(),
            dialect: args.target.dialect.as_deref().map(Named::new),
            query_timeout: time(args.target.query_timeout),
            backend: args.backends.backend.iter().map(|text| redact(text)).collect(),
            shrink_evaluations: args.shrink_evaluations,
            shrink_time: time(args.shrink_time),
            no_feedback: args.no_feedback,
            strict: args.strict,
            known: args.known.as_ref().map(|path| Named::new(&path.to_string_lossy())),
            corpus: gate.map(|gate| gate.cases.iter().map(|saved| saved.file.clone()).collect()),
        }
    }

    /// What a run of other shards of the same campaign has in common with this.
    pub fn of_campaign(&self) -> Asked {
        Asked { shard: Shard::WHOLE, time: None, jobs: None, ..self.clone() }
    }

    /// The options of the run that goes on: those of then, and of `args` what may be given anew.
    fn again(&self, args: FuzzArgs, spent: Duration) -> Result<FuzzArgs, Failure> {
        if self.release != env!("CARGO_PKG_VERSION") {
            return Err(Failure::usage(format!(
                "the run was begun by release {} of milvus-difftest, and this is {}, which may \
                 make other cases of the same seed; go on with that release, or begin another run",
                self.release,
                env!("CARGO_PKG_VERSION")
            )));
        }
        let mut args = args;
        let time = |text: &Option<String>| {
            text.as_deref().map(duration).transpose().map_err(Failure::usage)
        };
        same("seed", &mut args.seed, Some(self.seed))?;
        same("shard", &mut args.shard, Some(self.shard))?;
        same("filters", &mut args.filters, self.filters)?;
        same("depth", &mut args.depth, self.depth)?;
        same("query-timeout", &mut args.target.query_timeout, time(&self.query_timeout)?)?;
        same("shrink-evaluations", &mut args.shrink_evaluations, self.shrink_evaluations)?;
        same("shrink-time", &mut args.shrink_time, time(&self.shrink_time)?)?;
        same_flag("beyond-dialect", &mut args.beyond_dialect, self.beyond_dialect)?;
        same_flag("no-feedback", &mut args.no_feedback, self.no_feedback)?;
        same_flag("strict", &mut args.strict, self.strict)?;
        let dialect = self.dialect.as_ref().map(|named| named.name.clone());
        same("dialect", &mut args.target.dialect, dialect)?;
        let known = self.known.as_ref().map(|named| PathBuf::from(&named.name));
        same("known", &mut args.known, known)?;
        for (was, is) in [
            (&self.dialect, args.target.dialect.as_deref().map(Named::new)),
            (&self.known, args.known.as_ref().map(|path| Named::new(&path.to_string_lossy()))),
        ] {
            if let Some(was) = was.as_ref().filter(|was| is.as_ref() != Some(*was)) {
                return Err(Failure::usage(format!(
                    "{} has changed since the run was begun; bring it back, or begin another run",
                    was.name
                )));
            }
        }
        if args.target.engine.is_empty() {
            let engines = self.engine.iter().map(|name| name.parse());
            args.target.engine = engines.collect::<Result<_, _>>().map_err(Failure::usage)?;
        }
        let engines: Vec<String> = args.target.engine.iter().map(ToString::to_string).collect();
        if engines != self.engine {
            return Err(differs("engine", &engines.join(","), &self.engine.join(",")));
        }
        same_places("target", &mut args.target.target, &self.target, redact_address)?;
        same_places("backend", &mut args.backends.backend, &self.backend, redact)?;
        args.jobs = args.jobs.or(self.jobs);
        if (args.cases, args.time) == (None, None) {
            args.cases = self.cases;
            let time = match (time(&self.time)?, self.cases) {
                (None, None) => Some(super::fuzz::DEFAULT_TIME),
                (time, _) => time,
            };
            args.time = time.map(|time| time.saturating_sub(spent));
            if args.time == Some(Duration::ZERO) {
                note("the time of the run is used up; --time gives it more");
            }
        }
        Ok(args)
    }
}

/// Takes what was asked for then; what is asked for now must be the same.
fn same<T: PartialEq + std::fmt::Debug>(
    name: &str,
    now: &mut Option<T>,
    then: Option<T>,
) -> Result<(), Failure> {
    match now {
        Some(given) if then.as_ref() != Some(given) => {
            let then = then.map_or("not given".to_owned(), |then| format!("{then:?}"));
            Err(differs(name, &format!("{given:?}"), &then))
        }
        _ => {
            *now = then;
            Ok(())
        }
    }
}

fn same_flag(name: &str, now: &mut bool, then: bool) -> Result<(), Failure> {
    if *now && !then {
        return Err(differs(name, "given", "not given"));
    }
    *now = then;
    Ok(())
}

/// The same for addresses, whose credentials were not kept.
fn same_places(
    name: &str,
    now: &mut Vec<String>,
    then: &[String],
    redact: fn(&str) -> String,
) -> Result<(), Failure> {
    if now.is_empty() {
        if let Some(place) = then.iter().find(|place| place.contains("***@")) {
            return Err(Failure::usage(format!(
                "--{name} {place} had credentials, which are not kept: give --{name} again"
            )));
        }
        *now = then.to_vec();
    }
    let given: Vec<String> = now.iter().map(|place| redact(place)).collect();
    if given == then { Ok(()) } else { Err(differs(name, &given.join(","), &then.join(","))) }
}

fn differs(name: &str, now: &str, then: &str) -> Failure {
    Failure::usage(format!(
        "a run goes on with the options that it was begun with: --{name} is {now} now and was \
         {then} then; leave it out, or begin another run"
    ))
}

/// The folder of a run, which no other run can write to.
pub struct RunFolder {
    pub path: PathBuf,
    journal: LockedLog,
    resumed: Option<Reader>,
    /// What the campaigns on each target have come to before.
    pub so_far: HashMap<String, Progress>,
}

impl RunFolder {
    /// A folder for a new run; made if it is not there.
    pub fn create(path: &Path) -> Result<RunFolder, Failure> {
        fs::create_dir_all(path).map_err(|error| {
            Failure::environment(format!(
                "cannot make the folder {}: {error}; --out names another",
                path.display()
            ))
        })?;
        let journal = LockedLog::open(&path.join(JOURNAL)).map_err(failure)?;
        if !journal.is_empty().map_err(failure)? {
            return Err(Failure::usage(format!(
                "{0} has a run already: `--resume {0}` goes on with it, and --out names another \
                 folder",
                path.display()
            )));
        }
        let so_far = HashMap::new();
        Ok(RunFolder { path: path.to_owned(), journal, resumed: None, so_far })
    }

    /// The folder of a run that goes on, and its options.
    pub fn resume(path: &Path, args: FuzzArgs) -> Result<(RunFolder, FuzzArgs), Failure> {
        let file = path.join(JOURNAL);
        if !file.is_file() {
            return Err(Failure::usage(format!(
                "{} has no run that could go on: there is no {JOURNAL} in it",
                path.display()
            )));
        }
        let journal = LockedLog::open(&file).map_err(failure)?;
        if journal.is_empty().map_err(failure)? {
            return Err(Failure::usage(format!(
                "{} has no run that could go on: it ended before it began; begin it again",
                path.display()
            )));
        }
        let mut reader = Reader::open(&file).map_err(failure)?;
        let asked = asked(path, reader.run())?;
        let mut so_far: HashMap<String, Progress> = HashMap::new();
        for record in reader.by_ref() {
            let Record { target, event, seconds, .. } = record.map_err(failure)?;
            so_far.entry(target).or_default().add(&event, at(seconds));
        }
        if reader.is_torn() {
            note(format_args!("the last line of {} was cut off; it is dropped", file.display()));
        }
        let spent = so_far.values().map(|progress| progress.summary().elapsed).max();
        let args = asked.again(args, spent.unwrap_or_default())?;
        let path = path.to_owned();
        Ok((RunFolder { path, journal, resumed: Some(reader), so_far }, args))
    }

    /// Leaves the folder as it was, if nothing was begun in it.
    pub fn abandon(self) {
        if self.journal.is_empty().is_ok_and(|empty| empty) {
            // What cannot be removed is only untidy.
            let _ = fs::remove_file(self.path.join(JOURNAL));
            let _ = fs::remove_dir(&self.path);
        }
    }

    /// Begins the journal, or goes on with it.
    pub fn open(
        self,
        args: &FuzzArgs,
        seed: u64,
        gate: Option<&Gate>,
    ) -> Result<EventLog, Failure> {
        let copy = args.events.as_deref();
        match &self.resumed {
            None => self.journal.begin(&to_json(&Asked::of(args, seed, gate))?, copy),
            Some(reader) => self.journal.go_on(reader, copy),
        }
        .map_err(failure)
    }

    /// Begins the journal of runs that were put together; without what they were asked for, they
    /// cannot be resumed.
    pub fn merged(self, asked: Option<&Asked>) -> Result<EventLog, Failure> {
        let run = asked.map(to_json).transpose()?.unwrap_or_default();
        self.journal.begin(&run, None).map_err(failure)
    }
}

fn to_json(asked: &Asked) -> Result<Json, Failure> {
    serde_json::to_value(asked).map_err(Failure::environment)
}

/// What a run in a folder was asked for.
pub fn asked(path: &Path, run: &Json) -> Result<Asked, Failure> {
    if run.is_null() {
        return Err(Failure::usage(format!(
            "{} was put together from runs with different seeds or options, and cannot go on",
            path.display()
        )));
    }
    let asked = Asked::deserialize(run).map_err(|error| {
        Failure::usage(format!(
            "{} does not say what the run was asked for: {error}",
            path.join(JOURNAL).display()
        ))
    })?;
    match asked.corpus {
        None => Ok(asked),
        Some(_) => Err(Failure::usage(format!(
            "{} is a run of `gate`, which cannot go on or be put together with others: its corpus \
             is replayed as a whole. Run `gate` again, in another folder",
            path.display()
        ))),
    }
}

/// The journal of a run, to be read.
pub fn reader(path: &Path) -> Result<Reader, Failure> {
    Reader::open(&path.join(JOURNAL)).map_err(failure)
}

/// When something was written, since the journal was begun.
pub fn at(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// What the user got wrong is told from what the disk did.
pub fn failure(error: EventsError) -> Failure {
    match error {
        EventsError::Write { .. } | EventsError::Io { .. } => Failure::environment(error),
        _ => Failure::usage(error),
    }
}
