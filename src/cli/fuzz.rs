//! `fuzz`: the main job.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::join_all;

use super::args::FuzzArgs;
use super::config::with_file;
use super::exit::Exit;
use super::journal::RunFolder;
use super::setup::{embedded, on_signal, or_signal, references, targets};
use super::start::{Failure, note, say};
use crate::campaign::{
    Campaign, Event, Gate, Known, Matrix, Started, Stop, Summary, Target, TrialOptions,
};
use crate::case::Case;
use crate::engine::simulated::SimulatedOptions;
use crate::finding::Finding;
use crate::generate::{FILTERS, MAX_DEPTH, Options};
use crate::known::KnownIssues;
use crate::milvus::Dialect;
use crate::reference::Reference;
use crate::report;
use crate::report::events::EventLog;
use crate::report::matrix::{Form, render};
use crate::report::terminal::Terminal;

/// Unless the user says how long, or how many cases.
pub const DEFAULT_TIME: Duration = Duration::from_secs(60);

pub async fn run(args: FuzzArgs, quiet: bool) -> Result<Exit, Failure> {
    run_behind(None, with_file(args).map_err(Failure::usage)?, quiet).await
}

/// Runs a campaign, behind a gate if there is one. The configuration file was read.
pub async fn run_behind(gate: Option<Gate>, args: FuzzArgs, quiet: bool) -> Result<Exit, Failure> {
    if args.jobs == Some(0) {
        return Err(Failure::usage("--jobs must be at least 1"));
    }
    let reports = args.report.iter().map(|report| Some(report.file.as_path()));
    let files = [args.summary.as_deref(), args.events.as_deref()].into_iter().chain(reports);
    check_writable(args.out.as_deref(), &files.collect::<Vec<_>>())?;
    let (folder, args, seed) = match args.resume.clone() {
        Some(path) => {
            let (folder, args) = RunFolder::resume(&path, args)?;
            let seed = args.seed.unwrap_or_default();
            (folder, args, seed)
        }
        None => {
            let seed = args.seed.unwrap_or_else(rand::random::<u64>);
            let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(seed.to_string()));
            (RunFolder::create(&out)?, args, seed)
        }
    };
    let mut folder = Some(folder);
    let result = fuzz(&args, gate, seed, &mut folder, quiet).await;
    if let Some(folder) = folder {
        folder.abandon();
    }
    result
}

/// Takes the folder when the engines run and the campaign begins.
async fn fuzz(
    args: &FuzzArgs,
    gate: Option<Gate>,
    seed: u64,
    folder: &mut Option<RunFolder>,
    quiet: bool,
) -> Result<Exit, Failure> {
    let dialect = args.target.dialect.as_deref().map(Dialect::load).transpose();
    let dialect = dialect.map_err(Failure::usage)?;
    let embedded = embedded(&args.target);
    let Some(references) = or_signal(references(&args.backends, &embedded, quiet)).await else {
        return Ok(Exit::Interrupted);
    };
    let references = references?;
    let Some(targets) = or_signal(targets(&args.target, quiet)).await else {
        return Ok(Exit::Interrupted);
    };
    let targets = targets.map_err(Failure::environment)?;
    let distinct: HashSet<&str> = targets.iter().map(|(name, _)| name.as_str()).collect();
    if distinct.len() < targets.len() {
        return Err(Failure::usage("an engine is named twice; it would be tested against itself"));
    }
    if args.known.is_some() && targets.len() > 1 {
        return Err(Failure::usage("--known is about one engine; several have lists of their own"));
    }
    let campaign = Campaign { gate, ..campaign(args, seed, references, dialect, targets.len())? };
    let campaigns: Vec<Campaign> = targets
        .iter()
        .enumerate()
        .map(|(i, (name, target))| Campaign {
            target: target.clone(),
            so_far: folder.as_ref().and_then(|f| f.so_far.get(name)).cloned().unwrap_or_default(),
            first_worker: i * campaign.jobs,
            ..campaign.clone()
        })
        .collect();
    let stop = Stop::default();
    on_signal(stop.clone());
    let started = join_all(campaigns.iter().map(Campaign::start)).await;
    let started: Result<Vec<Started<'_>>, _> = started.into_iter().collect();
    let mut started = started.map_err(Failure::environment)?;
    if started.len() > 1 && campaign.dialect.is_none() {
        let all: Vec<Dialect> = started.iter().map(|started| started.dialect.clone()).collect();
        let common = Dialect::common(&all);
        started.iter_mut().for_each(|started| started.dialect = common.clone());
    }
    let names: Vec<String> = targets.iter().map(|(name, _)| name.clone()).collect();
    let Some(folder) = folder.take() else { return Err(Failure::usage("there is no folder")) };
    let out = folder.path.clone();
    let events = folder.open(args, seed, campaign.gate.as_ref())?;
    let mut sides = sides(&names, &out, &campaign, &events, &stop, quiet);
    let runs = started.into_iter().zip(&mut sides).map(|(started, side)| {
        let stop = &stop;
        async move {
            let outcome = started.run(stop, &mut |event, summary| side.show(event, summary)).await;
            side.terminal.clear();
            outcome
        }
    });
    let summaries: Result<Vec<Summary>, _> = join_all(runs).await.into_iter().collect();
    let summaries = summaries.map_err(Failure::environment)?;
    for (summary, side) in summaries.iter().zip(&mut sides) {
        // The counts have grown since the findings were first written, or they were written by
        // the run that this one goes on with.
        let written = |f: &&Finding| f.count == 1 && side.folders.paths.contains_key(&f.shape);
        let grown: Vec<_> = summary.findings.iter().filter(|f| !written(f)).collect();
        grown.into_iter().for_each(|f| side.folders.write(f));
        say(report::terminal::table(summary, &side.folders.paths).trim_end());
        if summaries.len() > 1 {
            say("");
        }
    }
    let matrix = match targets.len() {
        1 => None,
        _ => side_by_side(&campaign, &targets, &summaries, &sides, &stop).await?,
    };
    if let Some(matrix) = &matrix {
        say(render(matrix, Form::Text).trim_end());
    }
    let mut failures: Vec<String> =
        sides.iter_mut().filter_map(|side| side.folders.failure.take()).collect();
    if let Some(path) = &args.summary {
        let figures = summaries.iter().zip(&sides);
        let mut figures: Vec<_> = figures
            .map(|(summary, side)| report::summary::to_json(summary, &side.folders.paths))
            .collect();
        let figures = match figures.len() {
            1 => figures.remove(0),
            _ => report::summary::of_engines(figures, matrix.as_ref()),
        };
        if let Err(error) = std::fs::write(path, format!("{figures:#}\n")) {
            failures.push(format!("cannot write {}: {error}", path.display()));
        }
    }
    if let Err(failure) = super::report::write_all(&args.report, &out) {
        failures.push(failure.message().to_owned());
    }
    // Where the disk is full, several things fail, and the first says most.
    if let Some(failure) = failures.into_iter().next() {
        return Err(Failure::environment(failure));
    }
    // What was asked only in the end counts as well: references may disagree there, too, and
    // engines be lost.
    worst(summaries.iter().map(verdict).chain(matrix.as_ref().map(super::matrix::verdict)))
}

/// The campaign that the options ask for, on any engine.
fn campaign(
    args: &FuzzArgs,
    seed: u64,
    references: Vec<Reference>,
    dialect: Option<Dialect>,
    engines: usize,
) -> Result<Campaign, Failure> {
    let time = match (args.time, args.cases) {
        (None, None) => Some(DEFAULT_TIME),
        (time, _) => time,
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut campaign = Campaign {
        references,
        seed,
        jobs: args.jobs.unwrap_or((cores.min(4) / engines.max(1)).max(1)),
        shard: args.shard.unwrap_or_default(),
        feedback: !args.no_feedback,
        cases: args.cases,
        time,
        dialect,
        generation: Options {
            depth: args.depth.map_or(MAX_DEPTH, usize::from),
            filters: args.filters.map_or(FILTERS, usize::from),
            beyond_dialect: args.beyond_dialect,
            oracles: args.oracle.iter().copied().collect(),
            ..Options::default()
        },
        ..Campaign::new(Target::Simulated(SimulatedOptions::default()))
    };
    campaign.known = match (&args.known, args.strict) {
        (_, true) => Known::Nothing,
        (None, false) => Known::OfVersion,
        (Some(path), false) => Known::List(KnownIssues::load(path).map_err(Failure::usage)?),
    };
    if let Some(timeout) = args.target.query_timeout {
        campaign.deadlines.query_deadline = timeout;
    }
    if let Some(evaluations) = args.shrink_evaluations {
        campaign.shrink.evaluations = evaluations;
    }
    if let Some(time) = args.shrink_time {
        campaign.shrink.time = time;
    }
    Ok(campaign)
}

/// What shows and keeps one engine's part of a run.
struct Side {
    name: String,
    terminal: Terminal,
    folders: Folders,
    events: EventLog,
    stop: Stop,
}

impl Side {
    fn show(&mut self, event: &Event, summary: &Summary) {
        if let Event::Found(finding) = event {
            self.folders.write(finding);
        }
        let folder = match event {
            Event::Found(finding) => self.folders.paths.get(&finding.shape),
            _ => None,
        };
        if let Err(error) = self.events.write(&self.name, event, folder.map(PathBuf::as_path)) {
            let failure = format!(
                "the journal cannot be written: {error}. The run was ended; make room, and \
                 --resume goes on with it"
            );
            self.folders.failure.get_or_insert(failure);
            // What is not written down would be lost.
            self.stop.stop();
        }
        self.terminal.show(event, summary);
    }
}

/// One for each engine; several write to folders of their own.
fn sides(
    names: &[String],
    out: &Path,
    campaign: &Campaign,
    events: &EventLog,
    stop: &Stop,
    quiet: bool,
) -> Vec<Side> {
    let (time, shard) = (campaign.time, campaign.shard);
    let cases = campaign.cases.map(|cases| shard.cases(cases));
    let side = |name: &String, terminal: Terminal, out: PathBuf| {
        let folders = Folders::new(out);
        Side { name: name.clone(), terminal, folders, events: events.clone(), stop: stop.clone() }
    };
    match names {
        [name] => vec![side(name, Terminal::new(time, cases, quiet), out.to_owned())],
        names => {
            let terminals = Terminal::several(names, time, cases, quiet);
            let all = terminals.into_iter().zip(names);
            all.map(|(terminal, name)| side(name, terminal, folder_of(out, name))).collect()
        }
    }
}

/// The folder of one of several engines.
pub fn folder_of(out: &Path, name: &str) -> PathBuf {
    out.join(name.replace(|c: char| !(c.is_ascii_alphanumeric() || ".-_".contains(c)), "-"))
}

/// What each finding comes to on each of the engines; `None` without findings.
async fn side_by_side(
    campaign: &Campaign,
    targets: &[(String, Target)],
    summaries: &[Summary],
    sides: &[Side],
    stop: &Stop,
) -> Result<Option<Matrix>, Failure> {
    let mut cases: Vec<(String, Case)> = Vec::new();
    for (summary, side) in summaries.iter().zip(sides) {
        for finding in &summary.findings {
            let folder = side.folders.paths.get(&finding.shape).and_then(|path| path.file_name());
            let name = folder.map(|name| name.to_string_lossy().into_owned());
            let name = name.unwrap_or_else(|| finding.shape.clone());
            if !cases.iter().any(|(other, _)| *other == name) {
                cases.push((name, finding.case.clone()));
            }
        }
    }
    if cases.is_empty() || stop.is_asked() {
        return Ok(None);
    }
    note(format_args!("asking each engine the {} findings of all", cases.len()));
    let options = TrialOptions {
        references: campaign.references.clone(),
        deadlines: campaign.deadlines,
        known: campaign.known.clone(),
    };
    let matrix = Matrix::of(targets, &options, &cases).await;
    matrix.map(Some).map_err(Failure::environment)
}

/// The worst of several ends; what is said of the others is said, too.
pub fn worst(all: impl Iterator<Item = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let rank =
        |end: &Result<Exit, Failure>| match end.as_ref().map_or_else(Failure::exit, |exit| *exit) {
            Exit::Clean => 0,
            Exit::Unchanged | Exit::Vacuous => 1,
            Exit::Findings => 2,
            Exit::Usage => 3,
            Exit::Conflict => 4,
            Exit::Environment => 5,
            Exit::Interrupted => 6,
        };
    let mut worst = Ok(Exit::Clean);
    for end in all {
        let (worse, other) = if rank(&end) > rank(&worst) { (end, worst) } else { (worst, end) };
        if let Err(failure) = other {
            note(format_args!("error: {}", failure.message()));
        }
        worst = worse;
    }
    worst
}

/// The exit code of a run, and what to say of it.
pub fn verdict(summary: &Summary) -> Result<Exit, Failure> {
    if summary.interrupted {
        return Ok(Exit::Interrupted);
    }
    if let Some(error) = &summary.error {
        return Err(Failure::environment(format!(
            "{error}. The campaign ended early; what it found until then is above and in its \
             folder, and `fuzz --resume` with that folder goes on with it."
        )));
    }
    if summary.has_conflicts() {
        return Err(Failure::new(
            Exit::Conflict,
            "the references disagree with each other. This is a defect of milvus-difftest, not of \
             Milvus: please report the finding above.",
        ));
    }
    // Also when there was no time to shrink any of them.
    if summary.has_findings() {
        return Ok(Exit::Findings);
    }
    if summary.is_vacuous() {
        let message = match summary.verdicts.total() {
            _ if summary.is_corpus_vacuous() => {
                "this run proves nothing: of no case of the corpus can anything be said, for the \
                 reasons above."
                    .to_owned()
            }
            0 if summary.corpus.is_some() => {
                "this run proves nothing beyond the corpus: no other check was made. Give it more \
                 time, or ask for the corpus alone by --cases 0."
                    .to_owned()
            }
            0 => {
                "this run proves nothing: no check was made. Give it more time or cases.".to_owned()
            }
            total => format!(
                "this run proves nothing: of {total} checks {:.0} % were rejected, unsupported or \
                 inconclusive, for the reasons above.",
                100.0 * summary.unproven_share()
            ),
        };
        return Err(Failure::new(Exit::Vacuous, message));
    }
    Ok(Exit::Clean)
}

/// Findings on disk, written as they are found: nothing is lost if the campaign is killed.
pub struct Folders {
    out: PathBuf,
    pub paths: HashMap<String, PathBuf>,
    pub failure: Option<String>,
}

impl Folders {
    pub fn new(out: PathBuf) -> Folders {
        Folders { out, paths: HashMap::new(), failure: None }
    }

    pub fn write(&mut self, finding: &Finding) {
        match report::finding::write(&self.out, finding) {
            Ok(path) => {
                self.paths.insert(finding.shape.clone(), path);
            }
            Err(error) => {
                self.failure.get_or_insert(error.to_string());
            }
        }
    }
}

/// Fails before the campaign rather than after it.
pub fn check_writable(out: Option<&Path>, files: &[Option<&Path>]) -> Result<(), Failure> {
    if let Some(out) = out.filter(|out| out.exists() && !out.is_dir()) {
        return Err(Failure::usage(format!("--out {} is not a folder", out.display())));
    }
    for path in files.iter().flatten() {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        if path.is_dir() || parent.is_some_and(|parent| !parent.is_dir()) {
            let path = path.display();
            return Err(Failure::usage(format!("{path} is not a file that can be written")));
        }
        try_writing(path).map_err(|error| {
            Failure::environment(format!("cannot write {}: {error}", path.display()))
        })?;
    }
    Ok(())
}

/// Leaves the file as it is, there or not.
fn try_writing(path: &Path) -> std::io::Result<()> {
    let there = std::fs::metadata(path);
    if there.as_ref().is_ok_and(|there| !there.is_file()) {
        // A pipe, say, of which nobody is to see the end yet.
        return Ok(());
    }
    std::fs::OpenOptions::new().append(true).create(true).open(path)?;
    if there.is_err() { std::fs::remove_file(path) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Case;
    use crate::schema::Schema;
    use crate::verdict::{Actual, Class, Divergence, Expected, Judges};

    fn finding(class: Class) -> Finding {
        let schema = Schema { fields: Vec::new(), dynamic: false };
        Finding {
            shape: String::new(),
            oracle: crate::oracle::Oracle::Reference,
            seen_as: String::new(),
            case: Case { schema, operations: Vec::new(), checks: Vec::new() },
            divergence: Divergence {
                class,
                expected: Expected::Accepted,
                actual: Actual::Error(String::new()),
                judges: Judges::Both,
            },
            sql: None,
            engine: String::new(),
            backend: String::new(),
            count: 1,
            minimal: true,
            evaluations: 0,
            seconds_to_first: 0.0,
            seed: Some(0),
            number: Some(0),
        }
    }

    fn exit(summary: &Summary) -> Exit {
        verdict(summary).unwrap_or_else(|failure| failure.exit())
    }

    #[test]
    fn the_worst_of_several_ends_counts() {
        let ends = |all: Vec<Result<Exit, Failure>>| {
            worst(all.into_iter()).unwrap_or_else(|failure| failure.exit())
        };
        let failure = |exit| Err(Failure::new(exit, "no matter"));
        assert_eq!(ends(vec![Ok(Exit::Clean), Ok(Exit::Clean)]), Exit::Clean);
        assert_eq!(ends(vec![Ok(Exit::Findings), failure(Exit::Vacuous)]), Exit::Findings);
        assert_eq!(ends(vec![failure(Exit::Conflict), Ok(Exit::Findings)]), Exit::Conflict);
        let lost = vec![failure(Exit::Environment), failure(Exit::Conflict), Ok(Exit::Clean)];
        assert_eq!(ends(lost), Exit::Environment);
    }

    #[test]
    fn every_outcome_has_its_exit_code() {
        let mut summary = Summary::default();
        assert_eq!(exit(&summary), Exit::Vacuous);
        summary.verdicts.pass = 10;
        assert_eq!(exit(&summary), Exit::Clean);
        summary.verdicts.inconclusive = 11;
        assert_eq!(exit(&summary), Exit::Vacuous);
        summary.unexplored = 1;
        assert_eq!(exit(&summary), Exit::Findings);
        summary.unexplored = 0;
        summary.findings = vec![finding(Class::MissingRows)];
        assert_eq!(exit(&summary), Exit::Findings);
        summary.conflicts = 1;
        assert_eq!(exit(&summary), Exit::Conflict);
        summary.error = Some("the engine is gone".to_owned());
        assert_eq!(exit(&summary), Exit::Environment);
        summary.interrupted = true;
        assert_eq!(exit(&summary), Exit::Interrupted);
    }
}
