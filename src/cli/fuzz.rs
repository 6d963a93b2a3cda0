//! `fuzz`: the main job.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::FuzzArgs;
use super::config::with_file;
use super::exit::Exit;
use super::setup::{embedded, on_signal, or_signal, references, target};
use super::start::{Failure, say};
use crate::campaign::{Campaign, Event, Known, Stop, Summary};
use crate::finding::Finding;
use crate::generate::{FILTERS, MAX_DEPTH, Options};
use crate::known::KnownIssues;
use crate::milvus::Dialect;
use crate::report;
use crate::report::terminal::Terminal;

pub async fn run(args: FuzzArgs, quiet: bool) -> Result<Exit, Failure> {
    let args = with_file(args).map_err(Failure::usage)?;
    if args.jobs == Some(0) {
        return Err(Failure::usage("--jobs must be at least 1"));
    }
    let seed = args.seed.unwrap_or_else(rand::random::<u64>);
    let dialect = args.target.dialect.as_deref().map(Dialect::load).transpose();
    let dialect = dialect.map_err(Failure::usage)?;
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(seed.to_string()));
    check_writable(&out, args.summary.as_deref())?;
    let embedded = embedded(&args.target);
    let Some(references) = or_signal(references(&args.backends, &embedded, quiet)).await else {
        return Ok(Exit::Interrupted);
    };
    let references = references?;
    let Some(target) = or_signal(target(&args.target, quiet)).await else {
        return Ok(Exit::Interrupted);
    };
    let target = target.map_err(Failure::environment)?;
    let time = match (args.time, args.cases) {
        (None, None) => Some(Duration::from_secs(60)),
        (time, _) => time,
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut campaign = Campaign {
        references,
        seed,
        jobs: args.jobs.unwrap_or(cores.min(4)),
        cases: args.cases,
        time,
        dialect,
        generation: Options {
            depth: args.depth.map_or(MAX_DEPTH, usize::from),
            filters: args.filters.map_or(FILTERS, usize::from),
            beyond_dialect: args.beyond_dialect,
        },
        ..Campaign::new(target)
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
    let stop = Stop::default();
    on_signal(stop.clone());
    let mut terminal = Terminal::new(time, args.cases, quiet);
    let mut folders = Folders { out, paths: HashMap::new(), failure: None };
    let outcome = campaign
        .run(&stop, &mut |event, summary| {
            if let Event::Found(finding) = event {
                folders.write(finding);
            }
            terminal.show(event, summary);
        })
        .await;
    terminal.clear();
    let summary = outcome.map_err(Failure::environment)?;
    // The counts have grown since the findings were first written.
    summary.findings.iter().filter(|finding| finding.count > 1).for_each(|f| folders.write(f));
    say(report::terminal::table(&summary, &folders.paths).trim_end());
    if let Some(path) = &args.summary {
        let text = report::summary::to_json(&summary, &folders.paths);
        std::fs::write(path, text).map_err(|error| {
            Failure::environment(format!("cannot write {}: {error}", path.display()))
        })?;
    }
    if let Some(failure) = folders.failure {
        return Err(Failure::environment(failure));
    }
    verdict(&summary)
}

/// The exit code of a run, and what to say of it.
fn verdict(summary: &Summary) -> Result<Exit, Failure> {
    if summary.interrupted {
        return Ok(Exit::Interrupted);
    }
    if let Some(error) = &summary.error {
        return Err(Failure::environment(format!(
            "{error}. The campaign ended early; what it found until then is above."
        )));
    }
    if summary.conflicts > 0 {
        return Err(Failure::new(
            Exit::Conflict,
            "the references disagree with each other. This is a defect of milvus-difftest, not of \
             Milvus: please report the finding above.",
        ));
    }
    // Also when there was no time to shrink any of them.
    if !summary.findings.is_empty() || summary.unexplored > 0 {
        return Ok(Exit::Findings);
    }
    if summary.is_vacuous() {
        let message = match summary.verdicts.total() {
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
struct Folders {
    out: PathBuf,
    paths: HashMap<String, PathBuf>,
    failure: Option<String>,
}

impl Folders {
    fn write(&mut self, finding: &Finding) {
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
fn check_writable(out: &Path, summary: Option<&Path>) -> Result<(), Failure> {
    if out.exists() && !out.is_dir() {
        return Err(Failure::usage(format!("--out {} is not a folder", out.display())));
    }
    let Some(summary) = summary else { return Ok(()) };
    let parent = summary.parent().filter(|parent| !parent.as_os_str().is_empty());
    if summary.is_dir() || parent.is_some_and(|parent| !parent.is_dir()) {
        let path = summary.display();
        return Err(Failure::usage(format!("--summary {path} is not a file that can be written")));
    }
    Ok(())
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
            seed: 0,
            number: 0,
        }
    }

    fn exit(summary: &Summary) -> Exit {
        verdict(summary).unwrap_or_else(|failure| failure.exit())
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
