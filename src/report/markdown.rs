//! A run in Markdown: the summary of a workflow's step, or a comment.

use std::fmt::Write as _;

use super::finding::markdown::{block, code, table};
use super::finding::{replay, title};
use super::gate;
use super::run::{Run, Side, counted};
use super::terminal::steps;
use crate::campaign::{Corpus, Standing};
use crate::finding::Finding;
use crate::verdict::Tally;

/// The document.
pub fn markdown(run: &Run) -> String {
    let mut text = format!("## milvus-difftest: {}\n", run.end().word());
    // Writing to a string cannot fail.
    for side in &run.sides {
        let _ = writeln!(text, "\n**{}**: {}", words(&side.target), words(&side.sentence()));
    }
    if run.sides.is_empty() {
        text.push_str("\nThere are no records of any engine.\n");
    }
    for side in &run.sides {
        if let Some(corpus) = &side.summary.corpus {
            text.push_str(&cases(side, corpus));
        }
    }
    let _ = write!(text, "\n{}", figures(run));
    let findings: Vec<_> = run.findings().collect();
    if !findings.is_empty() {
        let _ = writeln!(text, "\n### Findings\n");
    }
    for (side, finding) in findings {
        text.push_str(&details(side, finding));
    }
    for side in &run.sides {
        list(&mut text, side, "Known issues met", side.summary.known.iter().map(known));
        let fixed = side.summary.fixed.iter().map(|title| words(title));
        list(&mut text, side, "Known issues whose cases pass", fixed);
        list(&mut text, side, "Inconclusive", side.summary.undefined.iter().map(known));
        let steps = steps(&side.summary).into_iter().map(|step| words(&step));
        list(&mut text, side, "Steps of maintenance", steps);
    }
    text
}

/// What came of a corpus.
fn cases(side: &Side, corpus: &Corpus) -> String {
    let mut text = format!("\n### Corpus ({})\n\n{}\n", words(&side.target), gate::counts(corpus));
    let telling = gate::telling(corpus);
    if !telling.is_empty() {
        let header = ["Case", "Came out", "Which means"].map(str::to_owned);
        let lines: Vec<Vec<String>> = telling
            .into_iter()
            .map(|replayed| {
                let word = replayed.standing.word();
                let word = match corpus.fails(replayed) || replayed.standing == Standing::Conflict {
                    true => format!("**{word}**"),
                    false => word.to_owned(),
                };
                vec![words(&replayed.name), word, words(&gate::sentence(replayed))]
            })
            .collect();
        let _ = write!(text, "\n{}", table(&header, &lines));
    }
    text
}

fn figures(run: &Run) -> String {
    let header =
        ["Engine", "Oracle", "Checks", "Pass", "Known", "Inconclusive", "Diverge", "Found"]
            .map(str::to_owned);
    let mut lines = Vec::new();
    for side in &run.sides {
        for (oracle, tally) in &side.summary.oracles {
            let found = side.summary.findings.iter().filter(|f| f.oracle == *oracle).count();
            lines.push(line(side, oracle.name(), tally, found));
        }
        if side.summary.oracles.len() != 1 {
            let found = side.summary.findings.len();
            lines.push(line(side, "all", &side.summary.verdicts, found));
        }
    }
    table(&header, &lines)
}

fn line(side: &Side, oracle: &str, tally: &Tally, found: usize) -> Vec<String> {
    let unproven = tally.inconclusive + tally.unsupported;
    let counts = [tally.total(), tally.pass, tally.known, unproven, tally.divergence, found as u64];
    [words(&side.target), oracle.to_owned()]
        .into_iter()
        .chain(counts.map(|count| count.to_string()))
        .collect()
}

fn details(side: &Side, finding: &Finding) -> String {
    let divergence = &finding.divergence;
    let mut text = format!(
        // An empty line ends the HTML, and what follows is Markdown again.
        "<details>\n<summary>{}</summary>\n\n",
        html(&super::finding::plain(finding))
    );
    let filter = finding.filter_text();
    if !filter.is_empty() {
        let _ = writeln!(text, "Filter:\n\n{}", block("", &filter));
    }
    let expected = divergence.expected.to_string();
    let actual = divergence.actual.to_string();
    let _ = writeln!(text, "Expected:\n\n{}", block("text", &expected));
    let _ = writeln!(text, "Actual:\n\n{}", block("text", &actual));
    let _ = writeln!(
        text,
        "{} on {}, by the oracle {}, seen {}.\n",
        title(finding),
        code(&finding.engine),
        finding.oracle,
        counted(finding.count, "time", "times")
    );
    if let Some(case) = side.case_file(finding) {
        let command = replay(&finding.engine, &case.display().to_string());
        let _ = writeln!(text, "To run it again:\n\n{}", block("sh", &command));
    }
    text + "</details>\n\n"
}

fn known((title, count): (&String, &u64)) -> String {
    format!("{count} × {}", words(title))
}

fn list(text: &mut String, side: &Side, title: &str, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items.map(|item| format!("- {item}\n")).collect();
    if !items.is_empty() {
        let _ = write!(text, "\n### {title} ({})\n\n{}", words(&side.target), items.concat());
    }
}

/// Plain text that no markup is read into.
fn words(text: &str) -> String {
    let mut words = String::new();
    for c in text.chars() {
        match c {
            '\n' | '\r' => words.push(' '),
            '<' => words.push_str("&lt;"),
            '&' => words.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '@' | '!' => {
                words.extend(['\\', c]);
            }
            c => words.push(c),
        }
    }
    words
}

fn html(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace(['\n', '\r'], " ")
}
