//! The page as a whole.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{coverage, finding, pace};
use crate::campaign::{Corpus, Replayed, Standing};
use crate::report::gate;
use crate::report::run::{End, Run, Side, counted};
use crate::report::terminal::steps;
use crate::verdict::Tally;

const STYLE: &str = include_str!("style.css");

/// Nothing is loaded and nothing runs, whatever a server has put into its answers.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The page.
pub fn page(run: &Run) -> String {
    let end = run.end();
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "milvus-difftest: " (end.word()) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (header(run, end))
                    @for side in &run.sides { (corpus(side)) }
                    h2 { "Checks" }
                    (figures(run))
                    @for side in &run.sides { (pace::chart(side, run)) }
                    @for side in &run.sides { (findings(side)) }
                    @for side in &run.sides { (beside(side)) }
                    @for side in &run.sides { (coverage::map(side)) }
                }
                footer {
                    p.quiet { "Written by milvus-difftest " (env!("CARGO_PKG_VERSION")) "." }
                }
            }
        }
    };
    markup.into_string() + "\n"
}

fn header(run: &Run, end: End) -> Markup {
    html! {
        header {
            h1 { "milvus-difftest: " (end.word()) }
            @if run.sides.is_empty() {
                div.verdict.warn { p { "There are no records of any engine: this proves nothing." } }
            }
            @for side in &run.sides {
                div class={ "verdict " (tone(side.end())) } {
                    p {
                        @if run.sides.len() > 1 { strong { (side.target) ": " } }
                        (side.sentence())
                    }
                    p.quiet { (introduction(side)) }
                    @if let Some(error) = &side.summary.error {
                        @if error.lines().count() > 1 { pre { (error) } }
                    }
                }
            }
        }
    }
}

fn introduction(side: &Side) -> String {
    let summary = &side.summary;
    let references = match summary.backend.as_str() {
        "" => "the model alone".to_owned(),
        databases => format!("{databases} and the model"),
    };
    let called = match summary.engine == side.target || summary.engine.is_empty() {
        true => side.target.clone(),
        false => format!("{} ({})", side.target, summary.engine),
    };
    format!(
        "{called}, dialect {}, against {references}; seed {}, {}, {}, {:.1} s",
        summary.dialect,
        summary.seed,
        counted(summary.jobs as u64, "worker", "workers"),
        counted(summary.cases, "case", "cases"),
        summary.elapsed.as_secs_f64(),
    )
}

/// Good news only where something was proven.
fn tone(end: End) -> &'static str {
    match end {
        End::Clean => "good",
        End::Vacuous | End::Interrupted | End::Unfinished => "warn",
        End::Findings | End::Conflict | End::Failed => "bad",
    }
}

/// What came of a corpus: how many cases are as expected, and which are not.
fn corpus(side: &Side) -> Markup {
    let Some(corpus) = &side.summary.corpus else { return html! {} };
    let telling = gate::telling(corpus);
    html! {
        h2 { "Corpus, " (side.target) }
        p { (gate::counts(corpus)) }
        @if !telling.is_empty() {
            div.scroll tabindex="0" role="region" aria-label="Cases that are not as expected" {
                table {
                    thead { tr {
                        th scope="col" { "Case" }
                        th scope="col" { "Came out" }
                        th scope="col" { "Which means" }
                    } }
                    tbody { @for replayed in telling { tr {
                        td.part { code { (replayed.name) } }
                        td class=(colour(replayed, corpus)) { (replayed.standing.word()) }
                        td.part { (gate::sentence(replayed)) }
                    } } }
                }
            }
        }
    }
}

fn colour(replayed: &Replayed, corpus: &Corpus) -> &'static str {
    match replayed.standing {
        _ if corpus.fails(replayed) => "bad-text",
        Standing::Conflict => "bad-text",
        Standing::AsExpected | Standing::Fixed => "good-text",
        _ => "warn-text",
    }
}

fn findings(side: &Side) -> Markup {
    let findings = &side.summary.findings;
    html! {
        @if !findings.is_empty() {
            h2 { "Findings, " (side.target) " (" (findings.len()) ")" }
            @for (i, finding) in findings.iter().enumerate() {
                (finding::article(side, finding, i == 0))
            }
        }
    }
}

fn figures(run: &Run) -> Markup {
    let columns = ["Checks", "Pass", "Known", "Inconclusive", "Unsupported", "Diverge", "Findings"];
    html! {
        div.scroll tabindex="0" role="region" aria-label="Checks by engine and oracle" {
            table {
                thead { tr {
                    th scope="col" { "Engine" }
                    th scope="col" { "Oracle" }
                    @for column in columns { th.number scope="col" { (column) } }
                } }
                tbody { @for side in &run.sides {
                    @for (oracle, tally) in &side.summary.oracles {
                        @let found = side.summary.findings.iter().filter(|f| f.oracle == *oracle);
                        (line(side, oracle.name(), tally, found.count()))
                    }
                    @if side.summary.oracles.len() != 1 {
                        (line(side, "all", &side.summary.verdicts, side.summary.findings.len()))
                    }
                } }
            }
        }
    }
}

fn line(side: &Side, oracle: &str, tally: &Tally, found: usize) -> Markup {
    let Tally { pass, divergence, known, inconclusive, unsupported } = *tally;
    let counts = [tally.total(), pass, known, inconclusive, unsupported, divergence, found as u64];
    html! {
        tr {
            th scope="row" { (side.target) }
            td { (oracle) }
            @for count in counts { td.number { (count) } }
        }
    }
}

/// What is neither a finding nor a pass.
fn beside(side: &Side) -> Markup {
    let summary = &side.summary;
    let known = summary.known.iter().map(|(title, count)| format!("{count} × {title}"));
    let open = summary.undefined.iter().map(|(reason, count)| format!("{count} × {reason}"));
    let mut left = Vec::new();
    let mut say =
        |count: u64, what: &str| left.extend((count > 0).then(|| format!("{count} {what}")));
    say(summary.steered, "checks left out, because known issues bear on them");
    say(summary.model_alone, "checks judged by the model alone, because SQL cannot express them");
    say(summary.unrepeatable, "wrong answers that were not given again");
    say(summary.unexplored, "divergences that could not be looked into in time");
    html! {
        (list(side, "Known issues met", known.collect()))
        (list(side, "Known issues whose cases pass: fixed?", summary.fixed.clone()))
        (list(side, "Inconclusive", open.collect()))
        (list(side, "Left out, and judged in part", left))
        (list(side, "Steps of maintenance", steps(summary)))
        @if !side.restarts.is_empty() {
            h2 { "Engine restarts, " (side.target) }
            @for (seconds, reason) in &side.restarts { (restart(*seconds, reason)) }
        }
    }
}

fn list(side: &Side, title: &str, items: Vec<String>) -> Markup {
    html! {
        @if !items.is_empty() {
            h2 { (title) ", " (side.target) }
            ul { @for item in items { li { (item) } } }
        }
    }
}

/// The first line says why; the rest is the end of the engine's log.
fn restart(seconds: f64, reason: &str) -> Markup {
    let (first, log) = reason.split_once('\n').unwrap_or((reason, ""));
    html! {
        @if log.trim().is_empty() {
            p { (format!("{seconds:.1} s: {first}")) }
        } @else {
            details { summary { (format!("{seconds:.1} s: {first}")) } pre { (log) } }
        }
    }
}
