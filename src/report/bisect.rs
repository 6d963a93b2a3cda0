//! What a bisection has found, as a person reads it and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use clap::ValueEnum;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value as Json, json};

use crate::campaign::{Bisection, Change, Judged, Showing};
use crate::verdict::Class;

/// The form of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Form {
    /// A few lines; with `--all` a table of the versions before them.
    #[default]
    Text,
    /// Every version, with reasons; `docs/bisect.md` describes the keys.
    Json,
}

/// A bisection, and what it was of.
#[derive(Debug, Clone)]
pub struct Bisected {
    /// The case's file.
    pub case: String,
    /// The class of the defect; any, if none is given.
    pub class: Option<Class>,
    /// The names of the versions.
    pub versions: Vec<String>,
    /// What they show.
    pub found: Bisection,
    /// Whether every version was to be judged.
    pub all: bool,
    /// How long it took.
    pub elapsed: Duration,
}

/// A bisection in one of the forms.
pub fn render(bisected: &Bisected, form: Form) -> String {
    match form {
        Form::Text => bisected.text(),
        Form::Json => bisected.json().to_string() + "\n",
    }
}

/// A line on one version, as it is judged.
pub fn line(name: &str, judged: &Judged) -> String {
    let detail = detail(&judged.showing);
    let line = format!("{:<8}  {name}  {detail}", judged.showing.word());
    format!("{} ({:.1} s)", line.trim_end(), judged.elapsed.as_secs_f64())
}

/// What is to be said of a version beside its word: one line.
fn detail(showing: &Showing) -> String {
    let text = match showing {
        Showing::Good => String::new(),
        Showing::Skipped(reason) => reason.clone(),
        Showing::Bad(divergence) | Showing::Conflict(divergence) => {
            // Of a crash, without the log.
            let actual = divergence.actual.to_string();
            let actual = actual.lines().next().unwrap_or_default();
            format!("{}: expected {}, got {actual}", divergence.class, divergence.expected)
        }
    };
    let line = text.lines().next().unwrap_or_default();
    line.trim_end_matches("; its last lines:").to_owned()
}

impl Bisected {
    fn name(&self, version: usize) -> &str {
        self.versions.get(version).map_or("", String::as_str)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if self.all {
            text = self.table() + "\n\n";
        }
        let changes = self.found.changes();
        for change in &changes {
            text.push_str(&self.change(change));
        }
        // Writing to a string cannot fail.
        if changes.len() > 1 {
            let _ = writeln!(
                text,
                "the defect comes and goes: {} changes, so no single version is to blame",
                changes.len()
            );
        }
        if changes.is_empty() {
            text.push_str(&self.nothing());
        }
        let refusals: Vec<String> = self.found.refusals().into_iter().collect();
        if refusals.len() > 1 {
            let _ = writeln!(
                text,
                "bad versions refuse for different reasons, which may be different defects: {}; \
                 --all shows which, and a range of those that say the same finds the version",
                refusals.join("; ")
            );
        }
        let judged = self.found.judged.iter().flatten().count();
        for (name, judged) in self.versions.iter().zip(&self.found.judged) {
            // The table has them, if there is one.
            if let Some(Judged { showing, .. }) = judged
                && !self.all
                && showing.is_bad().is_none()
            {
                let _ = writeln!(text, "{:<10}  {name}: {}", showing.word(), detail(showing));
            }
        }
        let (all, seconds) = (self.versions.len(), self.elapsed.as_secs_f64());
        let _ = writeln!(text, "judged {judged} of {all} versions in {seconds:.1} s");
        text
    }

    fn change(&self, change: &Change) -> String {
        let [was, is] = if change.came { ["good", "bad"] } else { ["bad", "good"] };
        let candidates: Vec<&str> = change.candidates().map(|at| self.name(at)).collect();
        let first = match candidates.as_slice() {
            [one] => (*one).to_owned(),
            several => format!("one of {}", several.join(", ")),
        };
        let [last, first_is] = [format!("last {was}"), format!("first {is}")];
        format!("{last:<10}  {}\n{first_is:<10}  {first}\n", self.name(change.last))
    }

    /// Why there is no change.
    fn nothing(&self) -> String {
        let Some((first, last)) = self.found.ends() else {
            return "nothing to bisect: fewer than two versions can be judged\n".to_owned();
        };
        let bad = self.found.judged.get(first).and_then(|it| it.as_ref()?.showing.is_bad());
        let is = if bad == Some(true) { "bad" } else { "good" };
        let [first, last] = [first, last].map(|at| self.name(at));
        match self.all {
            true => format!("nothing to bisect: every version that can be judged is {is}\n"),
            false => format!(
                "nothing to bisect: {first} and {last} are both {is}; --all judges the versions in \
                 between\n"
            ),
        }
    }

    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header(["version", "reports", "is", ""]);
        for (name, judged) in self.versions.iter().zip(&self.found.judged) {
            let Some(judged) = judged else { continue };
            let version = judged.version.clone().unwrap_or_default();
            table.add_row([name, &version, judged.showing.word(), &detail(&judged.showing)]);
        }
        let lines = table.to_string();
        lines.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }

    fn json(&self) -> Json {
        let versions = self.versions.iter().zip(&self.found.judged);
        let versions: Vec<Json> = versions.map(|(name, judged)| version(name, judged)).collect();
        let changes = self.found.changes();
        let change = |change: &Change| {
            json!({
                "change": if change.came { "came" } else { "went" },
                "last": self.name(change.last),
                "first": self.name(change.first),
                "candidates": change.candidates().map(|at| self.name(at)).collect::<Vec<_>>(),
            })
        };
        json!({
            "format": "milvus-difftest/bisect",
            "version": 1,
            "case": self.case,
            "class": self.class.map(|class| class.to_string()),
            "versions": versions,
            "changes": changes.iter().map(change).collect::<Vec<_>>(),
            "seconds": self.elapsed.as_secs_f64(),
        })
    }
}

fn version(name: &str, judged: &Option<Judged>) -> Json {
    let Some(Judged { showing, version, elapsed }) = judged else {
        return json!({"name": name, "is": "not_judged"});
    };
    let mut entry = json!({
        "name": name,
        "is": showing.word(),
        "engine": version,
        "seconds": elapsed.as_secs_f64(),
    });
    match showing {
        Showing::Good => {}
        Showing::Skipped(reason) => entry["reason"] = reason.as_str().into(),
        Showing::Bad(divergence) | Showing::Conflict(divergence) => {
            entry["class"] = divergence.class.to_string().into();
            entry["expected"] = divergence.expected.to_string().into();
            entry["actual"] = divergence.actual.to_string().into();
        }
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Actual, Divergence, Expected, Judges};

    /// Versions as letters: good, bad, skipped, or not judged.
    fn bisected(letters: &str, all: bool) -> Bisected {
        let judged = letters.chars().map(|letter| {
            let (class, judges) = (Class::MissingRows, Judges::Both);
            let (expected, actual) = (Expected::Count(2), Actual::Count(1));
            let divergence = Box::new(Divergence { class, expected, actual, judges });
            let showing = match letter {
                'g' => Showing::Good,
                'b' => Showing::Bad(divergence),
                's' => Showing::Skipped("it does not start; its last lines:\nno".to_owned()),
                _ => return None,
            };
            let version = (letter != 's').then(|| "milvus_lite-2".to_owned());
            Some(Judged { showing, version, elapsed: Duration::from_millis(1500) })
        });
        Bisected {
            case: "finding/case.json".to_owned(),
            class: Some(Class::MissingRows),
            versions: (0..letters.len()).map(|minor| format!("milvus-lite-2.{minor}.0")).collect(),
            found: Bisection { judged: judged.collect() },
            all,
            elapsed: Duration::from_secs(12),
        }
    }

    fn assert_snapshot(form: &str, text: &str) {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("../../snapshots");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(format!("bisect_{form}"), text));
    }

    #[test]
    fn a_bisection_reads_as_a_few_lines() {
        let text = |letters, all| render(&bisected(letters, all), Form::Text);
        assert_snapshot(
            "text",
            &[
                ("came", text("g-gb-b", false)),
                ("went", text("bg", false)),
                ("open", text("ggssb", false)),
                ("unchanged", text("b--b", false)),
                ("one", text("sgs", false)),
                ("all", text("gbsgg", true)),
                ("all, unchanged", text("ggg", true)),
            ]
            .map(|(what, text)| format!("{what}:\n{text}"))
            .join("\n"),
        );
    }

    #[test]
    fn a_bisection_is_json() {
        let json = bisected("gsb-", false).json();
        let text = serde_json::to_string_pretty(&json).expect("it is JSON");
        assert_snapshot("json", &text);
    }

    #[test]
    fn a_version_is_a_line() {
        let lines: Vec<String> = bisected("gbs", false)
            .found
            .judged
            .iter()
            .flatten()
            .map(|judged| line("milvus-lite-2.4.9", judged))
            .collect();
        assert_snapshot("lines", &lines.join("\n"));
    }
}
