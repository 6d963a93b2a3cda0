//! Annotations of a workflow of GitHub Actions: lines on standard output that GitHub shows beside
//! the files they name.
//!
//! The escapes are those of
//! [`@actions/core`](https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts).

use std::path::Path;

use super::finding::plain;
use super::gate;
use super::run::{End, Run, Side};
use crate::campaign::{Corpus, Standing};
use crate::finding::Finding;

/// The lines: the ends that are no findings first, because GitHub shows ten errors of a step.
pub fn annotations(run: &Run) -> String {
    let mut lines: Vec<String> = run.sides.iter().filter_map(end).collect();
    lines.extend(run.findings().map(|(side, finding)| found(side, finding)));
    for side in &run.sides {
        lines.extend(side.summary.corpus.iter().flat_map(|corpus| corpus_cases(side, corpus)));
        lines.extend(side.summary.fixed.iter().map(|title| {
            let title = format!("the case of a known issue passes: {title}");
            line("notice", None, &side.target, &title)
        }));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn end(side: &Side) -> Option<String> {
    let (level, title) = match side.end() {
        End::Findings if side.summary.unexplored == 0 => return None,
        End::Clean => ("notice", "nothing wrong was found"),
        End::Findings => ("error", "divergences were not looked into"),
        End::Vacuous => ("error", "this run proves nothing"),
        End::Conflict => ("error", "the references disagree"),
        End::Failed => ("error", "the run ended early"),
        End::Interrupted => ("warning", "the run was interrupted"),
        End::Unfinished => ("error", "the run did not end"),
    };
    Some(line(level, None, &format!("{}: {title}", side.target), &side.sentence()))
}

fn found(side: &Side, finding: &Finding) -> String {
    let divergence = &finding.divergence;
    let filter = finding.filter_text();
    let mut text: Vec<String> = Vec::new();
    text.extend((!filter.is_empty()).then(|| format!("filter: {filter}")));
    text.push(format!("expected: {}", divergence.expected));
    text.push(format!("actual: {}", divergence.actual));
    let title = format!("{}: {}", side.target, plain(finding));
    line("error", side.case_file(finding).as_deref(), &title, &text.join("\n"))
}

/// Those that fail, and those that are fixed.
fn corpus_cases(side: &Side, corpus: &Corpus) -> Vec<String> {
    let telling = gate::telling(corpus).into_iter().filter_map(|replayed| {
        let level = match replayed.standing {
            Standing::Conflict => "error",
            _ if corpus.fails(replayed) => "error",
            Standing::Fixed => "notice",
            _ => return None,
        };
        let title = format!("{}: {}: {}", side.target, replayed.standing.word(), replayed.name);
        Some(line(level, replayed.file.as_deref(), &title, &gate::sentence(replayed)))
    });
    telling.collect()
}

fn line(level: &str, file: Option<&Path>, title: &str, text: &str) -> String {
    let file = file.map(|file| format!("file={},", property(&file.display().to_string())));
    let file = file.unwrap_or_default();
    format!("::{level} {file}title={}::{}", property(title), data(text))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_a_line_and_a_property_a_property() {
        let file = Path::new("a,b:c/100%.json");
        let text = line("error", Some(file), "x: y, z", "50 %\r\n::error::no, a: b");
        assert_eq!(
            text,
            "::error file=a%2Cb%3Ac/100%25.json,title=x%3A y%2C z::50 %25%0D%0A::error::no, a: b"
        );
    }
}
