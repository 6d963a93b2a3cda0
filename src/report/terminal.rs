//! What a person sees: live progress on stderr, the result on stdout.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::finding::title;
use super::gate;
use super::run::counted;
use crate::campaign::{Event, Replayed, Standing, Summary};

/// Live progress of a campaign: a bar on a terminal, else a line every few seconds.
pub struct Terminal {
    bar: ProgressBar,
    /// Before each line, where there are several campaigns.
    label: String,
    time: Option<Duration>,
    cases: Option<u64>,
    quiet: bool,
    started: Instant,
    last_line: Instant,
}

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

impl Terminal {
    /// Progress towards a time or a number of cases.
    pub fn new(time: Option<Duration>, cases: Option<u64>, quiet: bool) -> Terminal {
        let length = time.map(|time| time.as_millis() as u64).or(cases).unwrap_or(1);
        let bar = ProgressBar::new(length);
        if quiet {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        if let Ok(style) = ProgressStyle::with_template("[{bar:24}] {wide_msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        let now = Instant::now();
        Terminal { bar, label: String::new(), time, cases, quiet, started: now, last_line: now }
    }

    /// One below the other, with a label each.
    pub fn several(
        labels: &[String],
        time: Option<Duration>,
        cases: Option<u64>,
        quiet: bool,
    ) -> Vec<Terminal> {
        let bars = MultiProgress::new();
        let labelled = |label: &String| {
            let mut terminal = Terminal::new(time, cases, quiet);
            terminal.label = format!("{label}: ");
            if !quiet {
                terminal.bar = bars.add(terminal.bar);
            }
            terminal
        };
        labels.iter().map(labelled).collect()
    }

    /// Shows an event.
    pub fn show(&mut self, event: &Event, summary: &Summary) {
        match event {
            Event::Started { seed, engine, backend, dialect, jobs, .. } => {
                self.started = Instant::now();
                let workers = if *jobs == 1 { "worker" } else { "workers" };
                self.line(&format!(
                    "{}seed {seed}: {engine} (dialect {dialect}) against {}, {jobs} {workers}",
                    self.label,
                    references(backend)
                ));
            }
            Event::Resumed { jobs, .. } => {
                self.started = Instant::now();
                let workers = if *jobs == 1 { "worker" } else { "workers" };
                self.line(&format!(
                    "{}seed {} goes on after {} cases and {} findings: {} against {}, {jobs} \
                     {workers}",
                    self.label,
                    summary.seed,
                    summary.cases,
                    summary.findings.len(),
                    summary.engine,
                    references(&summary.backend)
                ));
            }
            Event::Gate { cases, .. } => {
                let cases = counted(*cases as u64, "case", "cases");
                self.line(&format!("{}replaying {cases} of the corpus", self.label));
            }
            // What an engine has not got is said at the end.
            Event::Replayed(replayed)
                if !matches!(replayed.standing, Standing::AsExpected | Standing::Unsupported) =>
            {
                self.line(&format!("{}{}", self.label, line(replayed)));
            }
            Event::Found(finding) => {
                self.line(&format!("{}found {}", self.label, title(finding)));
            }
            Event::Unstable { what, .. } => {
                self.line(&format!("{}did not repeat: {what}", self.label));
            }
            Event::Restarted { reason, .. } => {
                let first = reason.lines().next().unwrap_or_default();
                self.line(&format!("{}restarted the engine: {first}", self.label));
            }
            _ => {}
        }
        let elapsed = self.started.elapsed();
        let position = match self.time {
            Some(_) => elapsed.as_millis() as u64,
            None => summary.cases,
        };
        self.bar.set_position(position);
        if self.bar.is_hidden() {
            if self.last_line.elapsed() >= LINE_EVERY {
                self.last_line = Instant::now();
                let status = self.status(summary, elapsed);
                self.line(&status);
            }
        } else {
            self.bar.set_message(self.status(summary, elapsed));
        }
    }

    fn status(&self, summary: &Summary, elapsed: Duration) -> String {
        let verdicts = &summary.verdicts;
        let rate = verdicts.total() as f64 / summary.elapsed.as_secs_f64().max(0.001);
        let left = match (self.time, self.cases) {
            (Some(time), _) => {
                format!("{} s left", time.saturating_sub(elapsed).as_secs())
            }
            (None, Some(cases)) => format!("{} cases left", cases.saturating_sub(summary.cases)),
            (None, None) => String::new(),
        };
        format!(
            // What matters first: narrow terminals cut off the end.
            "{}{} s, {left} | findings: {} | {} cases, {rate:.0} checks/s | {} pass, {} diverge, \
             {} known, {} inconclusive",
            self.label,
            elapsed.as_secs(),
            summary.findings.len(),
            summary.cases,
            verdicts.pass,
            verdicts.divergence,
            verdicts.known,
            verdicts.inconclusive,
        )
    }

    fn line(&self, text: &str) {
        if self.quiet {
        } else if self.bar.is_hidden() {
            let _ = writeln!(std::io::stderr(), "{text}");
        } else {
            self.bar.println(text);
        }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn references(databases: &str) -> String {
    match databases {
        "" => "the model alone".to_owned(),
        databases => format!("{databases} and the model"),
    }
}

/// A case of a corpus.
fn line(replayed: &Replayed) -> String {
    let word = replayed.standing.word().to_uppercase();
    format!("{word:12}  {}  {}", replayed.name, gate::sentence(replayed))
}

/// The result of a run: its figures, and a table of findings.
pub fn table(summary: &Summary, paths: &HashMap<String, PathBuf>) -> String {
    let mut text = String::new();
    let verdicts = &summary.verdicts;
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{} against {}, seed {}",
        summary.engine,
        references(&summary.backend),
        summary.seed,
    );
    if let Some(corpus) = &summary.corpus {
        let _ = writeln!(text, "corpus: {}", gate::counts(corpus));
        for replayed in gate::telling(corpus) {
            let _ = writeln!(text, "  {}", line(replayed));
        }
    }
    if summary.is_corpus_alone() && verdicts.total() == 0 {
        return text;
    }
    let _ = writeln!(
        text,
        "{} cases, {} checks in {:.1} s ({:.0}/s), {:.0} % of filters select some rows and not all\n\
         {} pass, {} diverge, {} known, {} inconclusive, {} unsupported",
        summary.cases,
        verdicts.total(),
        summary.elapsed.as_secs_f64(),
        summary.checks_per_second(),
        100.0 * summary.selective_share(),
        verdicts.pass,
        verdicts.divergence,
        verdicts.known,
        verdicts.inconclusive,
        verdicts.unsupported,
    );
    for (title, count) in &summary.known {
        let _ = writeln!(text, "  {count} known: {title}");
    }
    for title in &summary.fixed {
        let _ = writeln!(text, "  fixed? its case passes: {title}");
    }
    if summary.steered > 0 {
        let _ = writeln!(
            text,
            "  {} checks left out, {:.0} % of those on which known issues bear",
            summary.steered,
            100.0 * summary.steered_share()
        );
    }
    let coverage = &summary.coverage;
    let _ = writeln!(
        text,
        "{:.0} % of what the dialect {} has was asked: {} of {} constructs on types",
        100.0 * coverage.share(),
        summary.dialect,
        coverage.hit(),
        coverage.wanted().len(),
    );
    if !summary.reached.is_empty() {
        let _ = writeln!(
            text,
            "combinations of construct, type, index, segments and outcome that were reached: {}; cases \
             that grew from others: {}",
            summary.reached.len(),
            summary.grown,
        );
    }
    for (construct, share) in summary.held_back().iter() {
        let _ = writeln!(
            text,
            "  held back to {:.0} %, because the engine refuses it: {construct}",
            100.0 * share
        );
    }
    if summary.oracles.len() > 1 {
        let _ = writeln!(text, "by oracle, checks (and what passed, is known, proves nothing):");
        for (oracle, tally) in &summary.oracles {
            let found = match tally.divergence {
                0 => String::new(),
                some => format!(", {some} DIVERGE"),
            };
            let _ = writeln!(
                text,
                "  {oracle:12} {:>7} ({}, {}, {}){found}",
                tally.total(),
                tally.pass,
                tally.known,
                tally.inconclusive
            );
        }
    }
    for step in steps(summary) {
        let _ = writeln!(text, "  {step}");
    }
    for (reason, count) in &summary.unproven {
        let _ = writeln!(text, "  {count} inconclusive: {reason}");
    }
    for (reason, count) in &summary.undefined {
        let _ = writeln!(text, "  {count} inconclusive: {reason}");
    }
    if summary.model_alone > 0 {
        let _ = writeln!(text, "  {} judged by the model alone", summary.model_alone);
    }
    if summary.unrepeatable > 0 {
        let _ = writeln!(text, "  {} wrong answers were not given again", summary.unrepeatable);
    }
    if summary.unexplored > 0 {
        let more = if summary.interrupted { "" } else { "; --time gives more" };
        let _ = writeln!(
            text,
            "  {} more divergences could not be looked into in time{more}",
            summary.unexplored
        );
    }
    if summary.findings.is_empty() {
        let _ = writeln!(text, "no findings");
        return text;
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["times", "rows", "fields", "nodes", "finding"]);
    for finding in &summary.findings {
        let folder = paths.get(&finding.shape).and_then(|path| path.file_name());
        let folder = folder.map(|name| format!("\n  {}", name.to_string_lossy()));
        table.add_row([
            finding.count.to_string(),
            finding.rows().to_string(),
            finding.fields().to_string(),
            finding.nodes().to_string(),
            title(finding) + &folder.unwrap_or_default(),
        ]);
    }
    for column in table.column_iter_mut().take(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let findings = if summary.findings.len() == 1 { "finding" } else { "distinct findings" };
    let parent = paths.values().find_map(|path| path.parent());
    let place = parent.map(|parent| format!(", in folders of {}", parent.display()));
    let _ = writeln!(
        text,
        "{} {findings}{}\n\n{}",
        summary.findings.len(),
        place.unwrap_or_default(),
        table.trim_fmt(),
    );
    text
}
/// What became of the steps of maintenance in histories, a line each.
pub(super) fn steps(summary: &Summary) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, carried) in &summary.steps {
        lines.push(format!("{} × {name} in histories", carried.done));
        let unproven = carried.unproven.iter();
        lines.extend(
            unproven.map(|(reason, count)| format!("{count} × {name} not proven: {reason}")),
        );
    }
    lines
}
