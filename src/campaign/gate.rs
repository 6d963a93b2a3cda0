//! Saved cases that a campaign replays before it makes its own: what must come of each, and whether
//! it does.

use std::cmp::Reverse;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::event::{Event, seconds};
use super::trial::{Outcome, Trial};
use super::workbench::BenchError;
use super::worker::{Met, Shared};
use crate::case::{Case, Found};
use crate::known::KnownIssues;
use crate::milvus::{Dialect, DialectError};
use crate::triage::shape;
use crate::verdict::{Class, Divergence};

/// What a campaign replays before it makes cases of its own.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    /// The cases of the user's corpora. Those of known issues that are not among them are replayed
    /// as well.
    pub cases: Vec<SavedCase>,
    /// Whether a case that is mended fails the campaign, because what expects it to fail is out of
    /// date.
    pub deny_fixed: bool,
}

/// A case of a corpus.
#[derive(Debug, Clone)]
pub struct SavedCase {
    /// Its file.
    pub file: PathBuf,
    /// The case.
    pub case: Case,
    /// Where it comes from.
    pub found: Option<Found>,
    /// Whether it is kept as a finding that is not mended yet, and of which class.
    pub open: Option<Class>,
}

/// What must come of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    /// A right answer, or a wrong one that known issues explain.
    Right,
    /// A divergence that these issues, which name the case, explain.
    Known(Vec<String>),
    /// A divergence of this class, or one that known issues explain.
    Fails(Class),
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// What must.
    AsExpected,
    /// A right answer, where a wrong one was expected.
    Fixed,
    /// Another wrong answer than was expected.
    Changed,
    /// The references disagree.
    Conflict,
    /// Nothing can be said.
    Inconclusive,
    /// The engine has not got what is asked.
    Unsupported,
}

/// A case of a corpus, replayed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Replayed {
    /// What reports call it.
    pub name: String,
    /// Its file; none of a case that comes with the list of known issues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// What was wrong when it was kept, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What must come of it.
    pub expected: Expectation,
    /// What came of it.
    pub standing: Standing,
    /// The question whose answer says so; the last, if all were answered rightly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// How that was answered, if wrongly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence: Option<Box<Divergence>>,
    /// The known issues that explain the answer, by their titles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<String>,
    /// Why nothing can be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why the engine was started again, for each time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarts: Vec<String>,
    /// How long it took.
    #[serde(with = "seconds")]
    pub elapsed: Duration,
}

impl Standing {
    /// All of them, from good to bad to nothing.
    pub const ALL: [Standing; 6] = [
        Standing::AsExpected,
        Standing::Fixed,
        Standing::Changed,
        Standing::Conflict,
        Standing::Inconclusive,
        Standing::Unsupported,
    ];

    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Standing::AsExpected => "as expected",
            Standing::Fixed => "fixed",
            Standing::Changed => "changed",
            Standing::Conflict => "conflict",
            Standing::Inconclusive => "inconclusive",
            Standing::Unsupported => "unsupported",
        }
    }

    /// Whether it says anything about the engine.
    pub fn is_proof(self) -> bool {
        matches!(self, Standing::AsExpected | Standing::Fixed | Standing::Changed)
    }
}

/// What the workers of a campaign take their saved cases from.
pub(super) struct Queue {
    cases: Vec<Expected>,
    next: AtomicUsize,
    /// What the user says that the engine has.
    dialect: Option<Dialect>,
}

/// A case, and what must come of it.
struct Expected {
    name: String,
    file: Option<PathBuf>,
    title: Option<String>,
    case: Case,
    /// The issues that name it.
    issues: KnownIssues,
    expectation: Expectation,
}

impl Queue {
    /// What must come of each case on an engine of this version, of which this is known.
    pub fn of(
        gate: &Gate,
        version: &str,
        known: &KnownIssues,
        dialect: Option<Dialect>,
    ) -> Result<Queue, DialectError> {
        let mut cases = Vec::new();
        for saved in &gate.cases {
            let mut issues = known.clone();
            issues.issues.retain(|issue| issue.case == saved.case);
            cases.push(Expected {
                name: name(saved),
                file: Some(saved.file.clone()),
                title: saved.found.as_ref().and_then(|found| found.title.clone()),
                case: saved.case.clone(),
                expectation: expectation(saved, version, &issues)?,
                issues,
            });
        }
        for issue in &known.issues {
            if !gate.cases.iter().any(|saved| saved.case == issue.case) {
                cases.push(Expected {
                    name: format!("known issue: {}", issue.title),
                    file: None,
                    title: None,
                    case: issue.case.clone(),
                    expectation: Expectation::Known(vec![issue.title.clone()]),
                    issues: KnownIssues { issues: vec![issue.clone()], ..known.clone() },
                });
            }
        }
        Ok(Queue { cases, next: AtomicUsize::new(0), dialect })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.cases.len()
    }
}

/// The folder says more than `case.json`.
fn name(saved: &SavedCase) -> String {
    let plain = saved.file.file_name().is_some_and(|name| name == "case.json");
    let folder = saved.file.parent().filter(|folder| plain && folder.file_name().is_some());
    folder.unwrap_or(&saved.file).display().to_string()
}

/// `issues` are those that name the case.
fn expectation(
    saved: &SavedCase,
    version: &str,
    issues: &KnownIssues,
) -> Result<Expectation, DialectError> {
    let titles: Vec<String> = issues.issues.iter().map(|issue| issue.title.clone()).collect();
    if !titles.is_empty() {
        return Ok(Expectation::Known(titles));
    }
    match (saved.open, &saved.found) {
        (Some(class), Some(found)) if is_like(found, version)? => Ok(Expectation::Fails(class)),
        _ => Ok(Expectation::Right),
    }
}

/// Whether an engine of this version is one of those that a case was found on: as the case says, or
/// of the same minor release.
fn is_like(found: &Found, version: &str) -> Result<bool, DialectError> {
    if !found.versions.is_empty() {
        return Ok(found.versions.iter().any(|prefix| version.starts_with(prefix)));
    }
    let release = |version| Dialect::for_version(version).map(|dialect| dialect.name);
    Ok(found.engine == version || release(&found.engine)? == release(version)?)
}

/// Replays what is left in the queue.
pub(super) async fn replay(
    shared: &Shared,
    queue: &Queue,
    trial: &mut Trial,
) -> Result<(), BenchError> {
    while !shared.stop.load(Ordering::Relaxed) {
        let number = queue.next.fetch_add(1, Ordering::Relaxed);
        let Some(expected) = queue.cases.get(number) else { break };
        let (replayed, open) = expected.replay(trial, queue.dialect.as_ref()).await?;
        if let Some(shape) = open {
            shared.shapes().insert(shape, Met::Known(vec![replayed.name.clone()]));
        }
        // Should the receiver be gone, nobody wants to know.
        let _ = shared.events.send(Event::Replayed(Box::new(replayed)));
    }
    Ok(())
}

impl Expected {
    /// What came of it; and if it is an open finding that was found again, its shape.
    async fn replay(
        &self,
        trial: &mut Trial,
        dialect: Option<&Dialect>,
    ) -> Result<(Replayed, Option<String>), BenchError> {
        let begun = Instant::now();
        // What is known to be answered wrongly is asked, whatever a dialect says of it.
        let own = trial.dialect().clone();
        let right = self.expectation == Expectation::Right;
        trial.prefer(self.issues.clone());
        let outcomes = trial.ask(&self.case, dialect.or(right.then_some(&own))).await?;
        // The worst; of several that are known, what the issue that names the case explains.
        let telling = outcomes.into_iter().enumerate().max_by_key(|(number, (_, outcome))| {
            (outcome.rank(), self.expectation.is_met_by(outcome), Reverse(*number))
        });
        let (asked, telling, outcome) = match telling {
            Some((number, (check, outcome))) => {
                (Some(check.to_string()), self.case.asking(number), outcome)
            }
            None => (None, None, Outcome::Inconclusive("it has no check".to_owned())),
        };
        let standing = self.expectation.standing(&outcome);
        let open = match (&self.expectation, &outcome, &telling) {
            (Expectation::Fails(_), Outcome::Fail(divergence), Some(case))
                if standing == Standing::AsExpected =>
            {
                Some(shape(case, divergence))
            }
            _ => None,
        };
        let (divergence, known, reason) = match outcome {
            Outcome::Pass => (None, Vec::new(), None),
            Outcome::Fail(divergence) | Outcome::Conflict(divergence) => {
                (Some(divergence), Vec::new(), None)
            }
            Outcome::Known { divergence, titles } => (Some(divergence), titles, None),
            Outcome::Inconclusive(reason) | Outcome::Unsupported(reason) => {
                (None, Vec::new(), Some(reason))
            }
        };
        let replayed = Replayed {
            name: self.name.clone(),
            file: self.file.clone(),
            title: self.title.clone(),
            expected: self.expectation.clone(),
            standing,
            asked,
            divergence,
            known,
            reason,
            restarts: trial.take_restarts(),
            elapsed: begun.elapsed(),
        };
        Ok((replayed, open))
    }
}

impl Expectation {
    /// Whether this is what must come of the case.
    fn is_met_by(&self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Expectation::Right, Outcome::Pass | Outcome::Known { .. }) => true,
            (Expectation::Known(own), Outcome::Known { titles, .. }) => {
                own.iter().any(|title| titles.contains(title))
            }
            (Expectation::Fails(_), Outcome::Known { .. }) => true,
            (Expectation::Fails(class), Outcome::Fail(divergence)) => divergence.class == *class,
            _ => false,
        }
    }

    fn standing(&self, outcome: &Outcome) -> Standing {
        match outcome {
            _ if self.is_met_by(outcome) => Standing::AsExpected,
            Outcome::Pass => Standing::Fixed,
            Outcome::Known { .. } | Outcome::Fail(_) => Standing::Changed,
            Outcome::Conflict(_) => Standing::Conflict,
            Outcome::Inconclusive(_) => Standing::Inconclusive,
            Outcome::Unsupported(_) => Standing::Unsupported,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Actual, Expected as Answer, Judges};

    fn fails(class: Class) -> Outcome {
        let (expected, actual) = (Answer::Count(1), Actual::Count(2));
        let judges = Judges::Both;
        Outcome::Fail(Box::new(Divergence { class, expected, actual, judges }))
    }

    fn known(titles: &[&str]) -> Outcome {
        let Outcome::Fail(divergence) = fails(Class::MissingRows) else { unreachable!() };
        Outcome::Known { divergence, titles: titles.iter().map(|t| (*t).to_owned()).collect() }
    }

    #[test]
    fn what_a_case_comes_to_is_measured_by_what_is_expected_of_it() {
        use Standing::{AsExpected, Changed, Conflict, Fixed, Inconclusive, Unsupported};
        let issue = Expectation::Known(vec!["a".to_owned()]);
        let finding = Expectation::Fails(Class::MissingRows);
        for (outcome, right, by_issue, as_finding) in [
            (Outcome::Pass, AsExpected, Fixed, Fixed),
            (known(&["a"]), AsExpected, AsExpected, AsExpected),
            (known(&["b", "a"]), AsExpected, AsExpected, AsExpected),
            (known(&["b"]), AsExpected, Changed, AsExpected),
            (fails(Class::MissingRows), Changed, Changed, AsExpected),
            (fails(Class::Crash), Changed, Changed, Changed),
            (Outcome::Inconclusive(String::new()), Inconclusive, Inconclusive, Inconclusive),
            (Outcome::Unsupported(String::new()), Unsupported, Unsupported, Unsupported),
        ] {
            let standings = [&Expectation::Right, &issue, &finding].map(|e| e.standing(&outcome));
            assert_eq!(standings, [right, by_issue, as_finding], "{outcome:?}");
        }
        let Outcome::Fail(divergence) = fails(Class::ReferenceConflict) else { unreachable!() };
        assert_eq!(finding.standing(&Outcome::Conflict(divergence)), Conflict);
    }

    #[test]
    fn a_finding_is_expected_where_it_was_found_and_where_it_says() {
        let mut found = Found {
            engine: "v2.6.4".to_owned(),
            class: "Crash".to_owned(),
            title: None,
            link: None,
            versions: Vec::new(),
            seed: None,
            case: None,
        };
        let like = |found: &Found| {
            let versions = ["v2.6.4", "v2.6.16", "v2.5.3", "milvus_lite-3.2.2"];
            versions.map(|version| is_like(found, version).unwrap())
        };
        assert_eq!(like(&found), [true, true, false, false]);
        found.versions = vec!["v2.5".to_owned(), "v2.6.1".to_owned()];
        assert_eq!(like(&found), [false, true, true, false]);
    }
}
