//! `merge`: runs become one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

use super::args::MergeArgs;
use super::exit::Exit;
use super::fuzz::{Folders, check_writable, folder_of, verdict, worst};
use super::journal::{Asked, RunFolder, asked, at, failure, reader};
use super::start::{Failure, say};
use crate::campaign::{Event, Progress, Shard, Summary};
use crate::finding::Finding;
use crate::report;
use crate::report::events::{EventLog, Record};

pub fn run(args: &MergeArgs) -> Result<Exit, Failure> {
    check_writable(Some(&args.out), &[args.summary.as_deref()])?;
    let mut runs = args.runs.iter().map(|path| Run::read(path)).collect::<Result<Vec<_>, _>>()?;
    let (asked, lacking) = fitting(&runs)?;
    // As one campaign would have met their cases.
    runs.sort_by_key(|run| (run.asked.seed, run.asked.shard.number()));
    let mut engines: BTreeMap<String, Engine> = BTreeMap::new();
    for run in runs {
        for (target, part) in run.parts {
            engines.entry(target).or_default().add(&run.name, run.asked.seed, part)?;
        }
    }
    let folder = RunFolder::create(&args.out)?;
    let log = folder.merged(asked.as_ref())?;
    let several = engines.len() > 1;
    let mut results = Vec::new();
    for (target, engine) in engines {
        let out = if several { folder_of(&args.out, &target) } else { args.out.clone() };
        results.push(engine.written(&target, lacking.as_deref(), &log, Folders::new(out))?);
    }
    for (summary, folders) in &results {
        say(report::terminal::table(summary, &folders.paths).trim_end());
        if several {
            say("");
        }
    }
    if let Some(path) = &args.summary {
        let mut figures: Vec<_> = results
            .iter()
            .map(|(summary, folders)| report::summary::to_json(summary, &folders.paths))
            .collect();
        let figures = match figures.len() {
            1 => figures.remove(0),
            _ => report::summary::of_engines(figures, None),
        };
        std::fs::write(path, format!("{figures:#}\n")).map_err(|error| {
            Failure::environment(format!("cannot write {}: {error}", path.display()))
        })?;
    }
    worst(results.iter().map(|(summary, _)| verdict(summary)))
}

/// One of the runs.
struct Run {
    name: String,
    asked: Asked,
    parts: HashMap<String, Part>,
}

/// What a run came to on one engine.
#[derive(Default)]
struct Part {
    started: Option<Event>,
    progress: Progress,
    cases: BTreeMap<u64, Vec<Event>>,
    fixed: Vec<Event>,
}

impl Part {
    fn add(&mut self, event: Event, seconds: f64) {
        let settled = self.progress.add(&event, at(seconds));
        if let Some(case) = settled.first().and_then(Event::case) {
            self.cases.insert(case, settled);
        }
        match event {
            Event::Started { .. } => self.started = Some(event),
            Event::Fixed { .. } => self.fixed.push(event),
            _ => {}
        }
    }

    /// With the cases that are not settled, and with what was found in cases that were begun again
    /// later.
    fn whole(mut self) -> Part {
        self.cases.extend(self.progress.open().clone());
        let found = |event: &Event| match event {
            Event::Found(finding) => Some(finding.shape.clone()),
            _ => None,
        };
        let present: BTreeSet<String> = self.cases.values().flatten().filter_map(found).collect();
        for finding in self.progress.summary().findings {
            if !present.contains(&finding.shape) {
                let events = self.cases.entry(finding.number.unwrap_or_default()).or_default();
                // Each time that it was met is an event of its own.
                events.insert(0, Event::Found(Box::new(Finding { count: 0, ..finding })));
            }
        }
        self
    }
}

impl Run {
    fn read(path: &Path) -> Result<Run, Failure> {
        let mut reader = reader(path)?;
        let asked = asked(path, reader.run())?;
        let mut parts: HashMap<String, Part> = HashMap::new();
        for record in reader.by_ref() {
            let Record { target, event, seconds, .. } = record.map_err(failure)?;
            parts.entry(target).or_default().add(event, seconds);
        }
        let parts = parts.into_iter().map(|(target, part)| (target, part.whole())).collect();
        Ok(Run { name: path.display().to_string(), asked, parts })
    }
}

/// Whether the runs can be put together. Returns what one campaign would have been asked for, if
/// they are parts of one, and which of its parts are lacking.
fn fitting(runs: &[Run]) -> Result<(Option<Asked>, Option<String>), Failure> {
    let Some(first) = runs.first() else {
        return Err(Failure::usage("there is nothing to put together"));
    };
    let campaign = first.asked.of_campaign();
    let shards: BTreeSet<Shard> = runs.iter().map(|run| run.asked.shard).collect();
    let of = first.asked.shard.of();
    for run in runs {
        let alike = run.asked.of_campaign() == campaign && run.asked.shard.of() == of;
        let claims = run.asked.shard.of() > 1 || of > 1;
        if claims && !alike {
            return Err(Failure::usage(format!(
                "{} and {} are no shards of one campaign: their seeds, engines or other options \
                 differ",
                first.name, run.name
            )));
        }
    }
    let empty = runs.iter().filter(|run| run.parts.is_empty());
    let mut lacking: Vec<String> =
        empty.map(|run| format!("{} was ended before it began", run.name)).collect();
    if lacking.len() == runs.len() {
        return Err(Failure::usage(lacking.join("; ")));
    }
    let absent = (1..=of).filter(|number| !shards.iter().any(|shard| shard.number() == *number));
    lacking.extend(absent.map(|number| format!("the shard {number}/{of} is lacking")));
    let asked = match (of, runs.len()) {
        (1, 1) => Some(first.asked.clone()),
        (1, _) => None,
        _ => Some(campaign),
    };
    Ok((asked, (!lacking.is_empty()).then(|| lacking.join("; "))))
}

/// What all runs came to on one engine.
#[derive(Default)]
struct Engine {
    /// How the first of them began, and in which run.
    started: Option<(String, Event)>,
    /// By seed and case.
    cases: BTreeMap<(u64, u64), Vec<Event>>,
    fixed: Vec<Event>,
    elapsed: Duration,
    interrupted: bool,
    error: Option<String>,
}

impl Engine {
    fn add(&mut self, run: &str, seed: u64, part: Part) -> Result<(), Failure> {
        let Part { started: Some(started), progress, cases, fixed } = part else {
            return Err(Failure::usage(format!("the journal of {run} does not begin")));
        };
        match &self.started {
            None => self.started = Some((run.to_owned(), started)),
            Some((first, begun)) if !alike(begun, &started) => {
                return Err(Failure::usage(format!(
                    "{first} and {run} do not fit: the engine or its dialect is another"
                )));
            }
            Some(_) => {}
        }
        let summary = progress.summary();
        for (case, events) in cases {
            if self.cases.insert((seed, case), events).is_some() {
                return Err(Failure::usage(format!(
                    "{run} has case {case} of seed {seed}, and so has another run: it would count \
                     twice"
                )));
            }
        }
        self.fixed.extend(fixed);
        self.elapsed += summary.elapsed;
        self.interrupted |= summary.interrupted;
        let killed = || format!("{run} did not come to its end; `fuzz --resume {run}` goes on");
        let error = summary.error.or_else(|| (!progress.is_ended()).then(killed));
        self.error = self.error.take().or(error);
        Ok(())
    }

    /// Writes the journal and the findings of this engine.
    fn written(
        self,
        target: &str,
        lacking: Option<&str>,
        log: &EventLog,
        mut folders: Folders,
    ) -> Result<(Summary, Folders), Failure> {
        let Engine { started, cases, fixed, elapsed, interrupted, error } = self;
        let mut summary = Summary::default();
        let mut shapes = Shapes::of(cases.values().flatten());
        let cases = cases.into_values().flatten().filter_map(|event| shapes.once(event));
        let error = error.or(lacking.map(str::to_owned));
        let begin = started.map(|(_, started)| started).into_iter();
        let end = Event::Finished { elapsed, interrupted, error };
        for event in begin.chain(cases).chain(fixed).chain([end]) {
            summary.add(&event);
            if let Event::Found(finding) = &event {
                folders.write(finding);
            }
            let folder = match &event {
                Event::Found(finding) => folders.paths.get(&finding.shape),
                _ => None,
            };
            log.write(target, &event, folder.map(|path| path.as_path())).map_err(|error| {
                Failure::environment(format!("the journal cannot be written: {error}"))
            })?;
        }
        // The counts have grown since.
        summary.findings.iter().filter(|f| f.count > 1).for_each(|f| folders.write(f));
        match folders.failure.take() {
            Some(failure) => Err(Failure::environment(failure)),
            None => Ok((summary, folders)),
        }
    }
}

/// What the shapes of divergences turned out to be, as one campaign would have it: a finding whose
/// shape another run has found as well, or has seen before and shrunk to another shape, is one more
/// of that.
struct Shapes {
    findings: HashMap<String, String>,
    told: BTreeSet<String>,
}

impl Shapes {
    fn of<'a>(events: impl Iterator<Item = &'a Event>) -> Shapes {
        let mut findings: HashMap<String, String> = HashMap::new();
        for event in events {
            let (seen_as, shape) = match event {
                Event::Found(finding) => (&finding.seen_as, &finding.shape),
                Event::Repeated { seen_as, shape, .. } => (seen_as, shape),
                _ => continue,
            };
            let known = findings.get(seen_as).or_else(|| findings.get(shape)).cloned();
            let finding = match (known, event) {
                (Some(known), _) => known,
                (None, Event::Found(_)) => shape.clone(),
                (None, _) => continue,
            };
            for shape in [seen_as, shape] {
                findings.entry(shape.clone()).or_insert_with(|| finding.clone());
            }
        }
        Shapes { findings, told: BTreeSet::new() }
    }

    fn once(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::Found(finding) => {
                let shape = self.findings.get(&finding.shape).cloned()?;
                if shape == finding.shape && self.told.insert(shape.clone()) {
                    return Some(Event::Found(finding));
                }
                let (case, seen_as) = (finding.number.unwrap_or_default(), finding.seen_as);
                (finding.count > 0).then_some(Event::Repeated { case, shape, seen_as })
            }
            Event::Repeated { case, shape, seen_as } => {
                let finding = self.findings.get(&seen_as).or_else(|| self.findings.get(&shape));
                let shape = finding.cloned().unwrap_or(shape);
                Some(Event::Repeated { case, shape, seen_as })
            }
            event => Some(event),
        }
    }
}

fn alike(one: &Event, other: &Event) -> bool {
    match (one, other) {
        (
            Event::Started { engine, backend, dialect, cells, .. },
            Event::Started { engine: e, backend: b, dialect: d, cells: c, .. },
        ) => (engine, backend, dialect, cells) == (e, b, d, c),
        _ => false,
    }
}
