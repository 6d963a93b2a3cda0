//! The lists in `known-issues/`.

use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use serde::Deserialize;

use crate::case::{Case, CaseError};
use crate::filter::{Semantics, Switch};
use crate::verdict::Class;

/// The lists that are part of the program.
static LISTS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/known-issues");

/// The cases that the lists name, relative to `corpora/known`.
static CASES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/corpora/known");

/// The issues that are known of one engine.
#[derive(Debug, Clone, Default)]
pub struct KnownIssues {
    /// The engine, for reports.
    pub engine: String,
    /// The issues.
    pub issues: Vec<Issue>,
}

/// One departure from the documentation.
#[derive(Debug, Clone)]
pub struct Issue {
    /// What is wrong, in a sentence for a report.
    pub title: String,
    /// Where it is discussed, or documented otherwise.
    pub link: String,
    /// How it is recognised.
    pub cause: Cause,
    /// The smallest case that shows it.
    pub case: Case,
}

/// How an issue is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The model with this switch turned answers as the engine does; a refusal must also have this
    /// in its message.
    Switch {
        /// The switch.
        switch: Switch,
        /// Parts of the error's message, one of which it must have, if the switch makes the engine
        /// refuse.
        errors: Vec<String>,
        /// Whether the engine does so in some segments of a collection and not in others, for
        /// instance because it evaluates them in two ways.
        by_segment: bool,
    },
    /// A crash, hang, refusal or acceptance of exactly this class and shape, with this in its
    /// message.
    Shape {
        /// The class.
        class: Class,
        /// The shape of the shrunk finding; see [`crate::triage::shape`].
        shape: String,
        /// Parts of the error's message, one of which it must have; none for any message.
        errors: Vec<String>,
    },
}

/// A list of known issues that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KnownError {
    /// The file cannot be read.
    #[error("cannot read the known issues in {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a list of known issues.
    #[error("the known issues in {} are wrong: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    engine: String,
    /// Server versions start with one of these.
    versions: Vec<String>,
    #[serde(default)]
    issue: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    title: String,
    link: String,
    switch: Option<String>,
    by: Option<By>,
    class: Option<Class>,
    shape: Option<String>,
    #[serde(default)]
    error: Errors,
    /// Relative to `corpora/known`, or to the list's own folder if it is a file of the user's.
    case: String,
}

/// Within what a switch is the same for all rows.
#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum By {
    Segment,
}

/// One part of a message, or several of which one must be there.
#[derive(Deserialize)]
#[serde(untagged)]
enum Errors {
    One(String),
    Some(Vec<String>),
}

impl Default for Errors {
    fn default() -> Errors {
        Errors::Some(Vec::new())
    }
}

impl KnownIssues {
    /// The issues that are known of an engine by the version it reports; none if there is no list.
    ///
    /// ```
    /// use milvus_difftest::known::KnownIssues;
    /// let lite = KnownIssues::for_version("milvus_lite-3.2.2").unwrap();
    /// assert!(!lite.issues.is_empty());
    /// assert!(KnownIssues::for_version("v9.9").unwrap().issues.is_empty());
    /// ```
    pub fn for_version(version: &str) -> Result<KnownIssues, KnownError> {
        let mut best: Option<(usize, KnownIssues)> = None;
        for list in LISTS.files() {
            let path = list.path().to_owned();
            let text = list.contents_utf8().unwrap_or_default();
            let (versions, known) = read(&path, text, &|case| {
                let file = CASES.get_file(case).and_then(|file| file.contents_utf8());
                file.map(str::to_owned).ok_or_else(|| "it is not in corpora/known".to_owned())
            })?;
            let fit = versions.iter().filter(|prefix| version.starts_with(*prefix));
            if let Some(length) = fit.map(String::len).max()
                && best.as_ref().is_none_or(|(other, _)| length > *other)
            {
                best = Some((length, known));
            }
        }
        Ok(best.map(|(_, known)| known).unwrap_or_default())
    }

    /// Reads a list of the user's own; its cases are found relative to it.
    pub fn load(path: &Path) -> Result<KnownIssues, KnownError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| KnownError::Io { path: path.to_owned(), source })?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let case = |name: &str| {
            std::fs::read_to_string(folder.join(name)).map_err(|error| error.to_string())
        };
        read(path, &text, &case).map(|(_, known)| known)
    }

    /// The switches that an engine may turn in some segments and not in others.
    pub(super) fn by_segment(&self) -> Semantics {
        let by_segment = |issue: &Issue| match &issue.cause {
            Cause::Switch { switch, by_segment: true, .. } => Some(*switch),
            _ => None,
        };
        self.issues.iter().filter_map(by_segment).collect()
    }

    /// Every switch that some issue turns.
    pub fn semantics(&self) -> Semantics {
        self.issues
            .iter()
            .filter_map(|issue| match &issue.cause {
                Cause::Switch { switch, .. } => Some(*switch),
                Cause::Shape { .. } => None,
            })
            .collect()
    }
}

fn read(
    path: &Path,
    text: &str,
    case: &dyn Fn(&str) -> Result<String, String>,
) -> Result<(Vec<String>, KnownIssues), KnownError> {
    let invalid = |reason: String| KnownError::Invalid { path: path.to_owned(), reason };
    let file: File = toml::from_str(text).map_err(|error| invalid(error.to_string()))?;
    let mut issues = Vec::new();
    for entry in file.issue {
        let wrong = |reason: String| invalid(format!("'{}': {reason}", entry.title));
        let errors = match entry.error {
            Errors::One(error) => vec![error],
            Errors::Some(errors) => errors,
        };
        let cause = match (entry.switch, entry.class, entry.shape) {
            (Some(switch), None, None) => Cause::Switch {
                switch: switch.parse().map_err(|error| wrong(format!("{error}")))?,
                errors,
                by_segment: entry.by == Some(By::Segment),
            },
            (None, Some(class), Some(shape)) if entry.by.is_none() => {
                if !matches!(
                    class,
                    Class::Crash | Class::Hang | Class::WronglyRejected | Class::WronglyAccepted
                ) {
                    return Err(wrong(format!(
                        "wrong answers need a switch, not a shape: {class}"
                    )));
                }
                Cause::Shape { class, shape, errors }
            }
            _ => return Err(wrong("it needs either a switch, or a class and a shape".to_owned())),
        };
        let text = case(&entry.case)
            .map_err(|reason| wrong(format!("cannot read its case '{}': {reason}", entry.case)))?;
        let (case, _) = Case::from_json(&text)
            .map_err(|error: CaseError| wrong(format!("its case '{}': {error}", entry.case)))?;
        issues.push(Issue { title: entry.title, link: entry.link, cause, case });
    }
    Ok((file.versions, KnownIssues { engine: file.engine, issues }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named() {
        let known = |entry: &str| {
            let text = format!("engine = 'x'\nversions = []\n[[issue]]\n{entry}");
            read(Path::new("x.toml"), &text, &|_| Err("no such file".to_owned()))
                .unwrap_err()
                .to_string()
        };
        let entry = "title = 'T'\nlink = ''\ncase = 'c.json'\n";
        assert!(known(entry).contains("'T': it needs either a switch"));
        assert!(known(&format!("{entry}switch = 'nope'")).contains("no semantic switch 'nope'"));
        let shape = format!("{entry}class = 'MissingRows'\nshape = 's'");
        assert!(known(&shape).contains("need a switch"));
        let switch = format!("{entry}switch = 'exists-on-null'");
        assert!(known(&switch).contains("cannot read its case 'c.json': no such file"));
        assert!(known("titel = 'T'").contains("titel"));
    }
}
