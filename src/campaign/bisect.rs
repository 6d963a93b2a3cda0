//! Which of several versions a defect came with, or went with.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::run::{CampaignError, Target};
use super::trial::{Outcome, Trial, TrialOptions};
use super::workbench::BenchError;
use crate::case::{Case, Check};
use crate::milvus::{Dialect, DialectError};
use crate::verdict::{Class, Divergence};

/// How often a version is judged, each time on a fresh engine; all must agree.
const TIMES: usize = 2;

/// What a version shows of a defect.
#[derive(Debug, Clone)]
pub enum Showing {
    /// All checks are answered rightly.
    Good,
    /// The defect.
    Bad(Box<Divergence>),
    /// The references disagree with each other.
    Conflict(Box<Divergence>),
    /// Neither can be said, and why.
    Skipped(String),
}

impl Showing {
    /// In one word.
    pub fn word(&self) -> &'static str {
        match self {
            Showing::Good => "good",
            Showing::Bad(_) => "bad",
            Showing::Conflict(_) => "conflict",
            Showing::Skipped(_) => "skipped",
        }
    }

    /// Whether the defect is there; `None` if that cannot be said.
    pub fn is_bad(&self) -> Option<bool> {
        match self {
            Showing::Good => Some(false),
            Showing::Bad(_) => Some(true),
            Showing::Conflict(_) | Showing::Skipped(_) => None,
        }
    }
}

/// A version that was judged.
#[derive(Debug, Clone)]
pub struct Judged {
    /// What it shows.
    pub showing: Showing,
    /// As the engine reports itself; `None` of one that could not be asked.
    pub version: Option<String>,
    /// How long it took, with its installation.
    pub elapsed: Duration,
}

/// What was found out about versions that are in an order. Those that were not judged are taken to
/// be as those around them.
#[derive(Debug, Clone, Default)]
pub struct Bisection {
    /// One for each version; `None` of those that were not judged.
    pub judged: Vec<Option<Judged>>,
}

/// Two versions between which the defect came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The last version as before.
    pub last: usize,
    /// The first that is otherwise.
    pub first: usize,
    /// Whether that one is bad: the defect came.
    pub came: bool,
}

impl Change {
    /// Whether no version lies between the two: those could not be judged.
    pub fn is_tight(&self) -> bool {
        self.first == self.last + 1
    }

    /// The versions of which one is the first that is otherwise.
    pub fn candidates(&self) -> std::ops::RangeInclusive<usize> {
        self.last + 1..=self.first
    }
}

impl Bisection {
    /// Judges both ends of so many versions; if they differ, goes on in the middle of those between
    /// which they do, until they are neighbours. What cannot be judged is left out: at an end the
    /// next version is taken for it, in between the nearest. With `all`, judges every version, in
    /// order.
    ///
    /// ```
    /// use std::time::Duration;
    /// use milvus_difftest::campaign::{Bisection, Judged, Showing};
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let judge = async |version: usize| {
    ///     let showing = match version {
    ///         0..7 => Showing::Good,
    ///         _ => Showing::Skipped("it does not start".to_owned()),
    ///     };
    ///     Ok::<_, ()>(Judged { showing, version: None, elapsed: Duration::ZERO })
    /// };
    /// let found = Bisection::search(20, false, judge).await.unwrap();
    /// assert_eq!(found.ends(), Some((0, 6)));
    /// assert!(found.changes().is_empty());
    /// # });
    /// ```
    pub async fn search<E>(
        versions: usize,
        all: bool,
        mut judge: impl AsyncFnMut(usize) -> Result<Judged, E>,
    ) -> Result<Bisection, E> {
        let mut found = Bisection { judged: vec![None; versions] };
        if all {
            for version in 0..versions {
                found.judged[version] = Some(judge(version).await?);
            }
            return Ok(found);
        }
        let upwards: Vec<usize> = (0..versions).collect();
        let downwards: Vec<usize> = (0..versions).rev().collect();
        for order in [upwards, downwards] {
            for version in order {
                if found.judged[version].is_none() {
                    found.judged[version] = Some(judge(version).await?);
                }
                if found.is_bad(version).is_some() {
                    break;
                }
            }
        }
        // At most one change is seen by this, so at most one has room for more.
        while let Some(change) = found.changes().first().copied() {
            let middle = usize::midpoint(change.last, change.first);
            let open = (change.last + 1..change.first).filter(|at| found.judged[*at].is_none());
            let Some(next) = open.min_by_key(|at| at.abs_diff(middle)) else { break };
            found.judged[next] = Some(judge(next).await?);
        }
        Ok(found)
    }

    fn is_bad(&self, version: usize) -> Option<bool> {
        self.judged.get(version)?.as_ref()?.showing.is_bad()
    }

    /// The versions that are known to be good or bad, in order.
    fn known(&self) -> impl DoubleEndedIterator<Item = (usize, bool)> {
        (0..self.judged.len()).filter_map(|version| Some((version, self.is_bad(version)?)))
    }

    /// The first and the last version that are known to be good or bad; `None` if there are no two.
    pub fn ends(&self) -> Option<(usize, usize)> {
        let (first, last) = (self.known().next()?.0, self.known().next_back()?.0);
        (first < last).then_some((first, last))
    }

    /// What bad versions say with which they refuse, without what is new each time: more than one
    /// reason may be more than one defect.
    pub fn refusals(&self) -> BTreeSet<String> {
        let reason = |judged: &Judged| match &judged.showing {
            Showing::Bad(divergence) if divergence.class == Class::WronglyRejected => {
                let text = divergence.actual.to_string();
                let (_, reason) = text.split_once(": ")?;
                let end = reason.find(['`', ':', '[', '(', '<', '=', '"']).unwrap_or(reason.len());
                Some(reason[..end].trim().to_owned())
            }
            _ => None,
        };
        self.judged.iter().flatten().filter_map(reason).collect()
    }

    /// Where the defect came or went, in order; more than one if it comes and goes.
    pub fn changes(&self) -> Vec<Change> {
        let known: Vec<(usize, bool)> = self.known().collect();
        let pairs = known.windows(2).filter_map(|pair| match pair {
            [(last, before), (first, after)] if before != after => {
                Some(Change { last: *last, first: *first, came: *after })
            }
            _ => None,
        });
        pairs.collect()
    }
}

/// A defect that versions are judged by.
#[derive(Debug, Clone)]
pub struct Defect {
    /// What shows it.
    pub case: Case,
    /// The class of divergence; any, if none is given.
    pub class: Option<Class>,
    /// The version of the engine on which it was found, as it reported it.
    pub found_on: Option<String>,
}

impl Defect {
    /// Whether engines of this target show the defect, whatever is known of them: on as many fresh
    /// engines as it takes to say so. Nothing is asked that this dialect lacks; `None` asks
    /// everything.
    ///
    /// An engine that cannot be started or asked is one that nothing can be said of; what fails for
    /// every version alike is an error.
    pub async fn shown_by(
        &self,
        target: &Target,
        options: &TrialOptions,
        dialect: Option<&Dialect>,
    ) -> Result<Judged, CampaignError> {
        let begun = Instant::now();
        let mut met: Option<(Showing, Option<String>)> = None;
        for _ in 0..TIMES {
            let (showing, version) = match self.trial(target, options, dialect).await {
                Ok(shown) => shown,
                Err(error) => match of_version(&error) {
                    true => (Showing::Skipped(error.to_string()), None),
                    false => return Err(error),
                },
            };
            let showing = match &met {
                Some((before, _)) if before.word() != showing.word() => {
                    Showing::Skipped(unrepeated(before, &showing))
                }
                _ => showing,
            };
            let decided = showing.is_bad().is_none();
            met = Some((showing, version));
            if decided {
                break;
            }
        }
        let (showing, version) = met.unwrap_or((Showing::Skipped("not asked".to_owned()), None));
        Ok(Judged { showing, version, elapsed: begun.elapsed() })
    }

    async fn trial(
        &self,
        target: &Target,
        options: &TrialOptions,
        dialect: Option<&Dialect>,
    ) -> Result<(Showing, Option<String>), CampaignError> {
        let mut trial = Trial::start(target, options, 0).await?;
        let outcomes = trial.ask(&self.case, dialect).await;
        let version = trial.engine_version().to_owned();
        let own = trial.dialect().clone();
        trial.stop().await;
        let lacks = self.lacks(&own)?;
        Ok((self.showing(outcomes?, lacks), Some(version)))
    }

    /// What an engine with this dialect need not have, though the one on which the defect was found
    /// has: that it refuses this is no defect.
    fn lacks(&self, own: &Dialect) -> Result<Option<String>, DialectError> {
        if let Some(version) = &self.found_on
            && Dialect::for_version(version)?.name == own.name
        {
            return Ok(None);
        }
        let of = |check: &Check| own.lacks_for(&self.case.schema, check.spelled()?);
        let missing = own
            .lacks_in(&self.case.schema)
            .or_else(|| Some(self.case.checks.iter().find_map(of)?.to_string()));
        Ok(missing.map(|missing| format!("the dialect {} lacks {missing}", own.name)))
    }

    /// What the outcomes of the checks come to, on an engine that lacks this.
    fn showing(&self, outcomes: Vec<(Check, Outcome)>, lacks: Option<String>) -> Showing {
        let mut doubt = None;
        for (_, outcome) in outcomes {
            match outcome {
                Outcome::Pass => {}
                Outcome::Conflict(divergence) => return Showing::Conflict(divergence),
                Outcome::Fail(divergence) | Outcome::Known { divergence, .. } => {
                    let is_it = self.class.is_none_or(|class| class == divergence.class);
                    match &lacks {
                        Some(lacks) if divergence.class == Class::WronglyRejected => {
                            doubt.get_or_insert(format!("refused, and {lacks}"));
                        }
                        _ if is_it => return Showing::Bad(divergence),
                        _ => {
                            let actual = divergence.actual.to_string();
                            doubt.get_or_insert(format!("{}: {actual}", divergence.class));
                        }
                    }
                }
                Outcome::Inconclusive(reason) | Outcome::Unsupported(reason) => {
                    doubt.get_or_insert(reason);
                }
            }
        }
        doubt.map_or(Showing::Good, Showing::Skipped)
    }
}

fn unrepeated(first: &Showing, second: &Showing) -> String {
    let why = match second {
        Showing::Skipped(reason) => format!(" ({reason})"),
        _ => String::new(),
    };
    format!("{} on one fresh engine, {} on the next{why}", first.word(), second.word())
}

/// Whether another version may fare better.
fn of_version(error: &CampaignError) -> bool {
    match error {
        CampaignError::Engine(error) | CampaignError::Bench(BenchError::Engine(error)) => {
            error.is_of_version()
        }
        CampaignError::Bench(BenchError::Milvus(_)) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::simulated::{Fault, SimulatedOptions};
    use crate::known::KnownIssues;
    use crate::verdict::{Actual, Expected, Judges};

    fn diverging(class: Class) -> Box<Divergence> {
        let (expected, actual) = (Expected::Count(1), Actual::Count(2));
        Box::new(Divergence { class, expected, actual, judges: Judges::Both })
    }

    /// Versions as letters: good, bad or skipped; the changes, whether each is tight, and how many
    /// versions were judged.
    async fn search(versions: &str, all: bool) -> (Bisection, Vec<usize>) {
        let letters: Vec<char> = versions.chars().collect();
        let mut order = Vec::new();
        let judge = async |at: usize| {
            order.push(at);
            let showing = match letters[at] {
                'g' => Showing::Good,
                'b' => Showing::Bad(diverging(Class::MissingRows)),
                _ => Showing::Skipped("it does not start".to_owned()),
            };
            Ok::<_, ()>(Judged { showing, version: None, elapsed: Duration::ZERO })
        };
        let found = Bisection::search(letters.len(), all, judge).await.expect("it cannot fail");
        (found, order)
    }

    async fn change(versions: &str) -> Change {
        let (found, _) = search(versions, false).await;
        let changes = found.changes();
        assert_eq!(changes.len(), 1, "{versions}: {changes:?}");
        changes[0]
    }

    #[tokio::test]
    async fn every_change_is_found_in_few_steps() {
        for first in 1..20 {
            for [before, after] in [['g', 'b'], ['b', 'g']] {
                let version = |at: usize| if at < first { before } else { after };
                let versions: String = (0..20).map(version).collect();
                let (found, order) = search(&versions, false).await;
                let change = Change { last: first - 1, first, came: after == 'b' };
                assert_eq!(found.changes(), [change], "{versions}");
                assert!(change.is_tight());
                assert!(order.len() <= 7, "{versions}: {order:?}");
                assert_eq!(order[..2], [0, 19]);
            }
        }
    }

    #[tokio::test]
    async fn ends_that_agree_leave_nothing_to_bisect() {
        for versions in ["gggg", "bbbb", "gbbg"] {
            let (found, order) = search(versions, false).await;
            assert_eq!(order, [0, 3], "{versions}");
            assert_eq!(found.ends(), Some((0, 3)));
            assert!(found.changes().is_empty());
        }
    }

    #[tokio::test]
    async fn what_cannot_be_judged_is_left_out() {
        // Beside the change: it is found all the same.
        let beside = change("gsggsbbsb").await;
        assert_eq!((beside.last, beside.first, beside.is_tight()), (3, 5, false));
        assert_eq!(change("gssggbbb").await, Change { last: 4, first: 5, came: true });
        // At the change: it is one of these.
        let open = change("ggsssbb").await;
        assert_eq!((open.last, open.first, open.is_tight()), (1, 5, false));
        assert_eq!(open.candidates().collect::<Vec<_>>(), [2, 3, 4, 5]);
        // At the ends: the next version is taken.
        assert_eq!(change("ssbbggs").await, Change { last: 3, first: 4, came: false });
    }

    #[tokio::test]
    async fn a_version_is_judged_once() {
        for versions in ["ssss", "sgss", "ggsssbb", "sbgs", "g", ""] {
            let (_, mut order) = search(versions, false).await;
            let judged = order.len();
            order.sort_unstable();
            order.dedup();
            assert_eq!(order.len(), judged, "{versions}");
        }
        assert_eq!(search("ssss", false).await.0.ends(), None);
        assert_eq!(search("sgss", false).await.0.ends(), None);
        assert_eq!(search("", false).await.0.ends(), None);
    }

    #[tokio::test]
    async fn a_defect_that_comes_and_goes_is_seen_where_all_are_judged() {
        let (found, order) = search("ggbbgsb", true).await;
        assert_eq!(order, [0, 1, 2, 3, 4, 5, 6]);
        let changes = found.changes();
        let came: Vec<_> = changes.iter().map(|change| (change.first, change.came)).collect();
        assert_eq!(came, [(2, true), (4, false), (6, true)]);
        assert!(!changes[2].is_tight());
        // Without that one of the changes is found.
        let (found, _) = search("gbbgggb", false).await;
        let [change] = found.changes()[..] else { panic!("{:?}", found.changes()) };
        assert!(change.came && change.is_tight());
    }

    #[tokio::test]
    async fn what_is_the_same_for_every_version_ends_the_search() {
        let judge = async |_: usize| Err("no cache folder");
        assert_eq!(Bisection::search(3, false, judge).await.map(|_| ()), Err("no cache folder"));
    }

    fn defect() -> Defect {
        let text = serde_json::json!({
            "format": "milvus-difftest/case",
            "version": 1,
            "schema": {"fields": [
                {"name": "id", "type": "INT64", "primary": true},
                {"name": "n", "type": "INT8", "nullable": true},
                {"name": "v", "type": "FLOAT_VECTOR(2)"},
            ]},
            "operations": [{"insert": [{"id": 1, "n": null, "v": [0, 0]}]}],
            "checks": [{"query": "id == 1"}, {"query": "n not in [2]"}],
        });
        let (case, _) = Case::from_json(&text.to_string()).expect("a case");
        Defect { case, class: Some(Class::ExtraRows), found_on: None }
    }

    #[tokio::test]
    async fn a_defect_shows_whether_it_is_known_or_not() {
        let shown = async |faults: &[Fault], class| {
            let options = SimulatedOptions { faults: faults.to_vec(), ..Default::default() };
            let known = KnownIssues::for_version("milvus_lite-3.2.2").expect("a list");
            let trial =
                TrialOptions { known: super::super::Known::List(known), ..Default::default() };
            let defect = Defect { class, ..defect() };
            let judged = defect.shown_by(&Target::Simulated(options), &trial, None).await;
            judged.expect("it can be judged").showing
        };
        use crate::filter::Switch;
        let null_in_list = [Fault::Turned(Switch::NullInListIsFalse)];
        let extra = Some(Class::ExtraRows);
        assert!(matches!(shown(&[], extra).await, Showing::Good));
        assert!(matches!(shown(&null_in_list, extra).await, Showing::Bad(_)));
        assert!(matches!(shown(&null_in_list, None).await, Showing::Bad(_)));
        let other = shown(&null_in_list, Some(Class::Crash)).await;
        let Showing::Skipped(reason) = other else { panic!("{other:?}") };
        assert!(reason.starts_with("ExtraRows: "), "{reason}");
        let dead = shown(&[Fault::DiesInQuery], extra).await;
        assert!(matches!(dead, Showing::Skipped(_)), "{dead:?}");
    }

    #[test]
    fn a_refusal_is_no_defect_where_the_engine_has_not_got_what_is_asked() {
        let refused = || {
            let all = Outcome::Fail(diverging(Class::WronglyRejected));
            vec![(Check::Entities, Outcome::Pass), (Check::Entities, all)]
        };
        let old = Dialect::load("milvus-2.3").expect("a dialect");
        let defect = Defect { class: Some(Class::WronglyRejected), ..defect() };
        let lacks = defect.lacks(&old).expect("dialects");
        let showing = defect.showing(refused(), lacks);
        let Showing::Skipped(reason) = showing else { panic!("{showing:?}") };
        assert_eq!(reason, "refused, and the dialect milvus-2.3 lacks nullable fields");
        // Where it was found, the finding itself says that the engine should have it.
        let there = Defect { found_on: Some("v2.3.5-lite".to_owned()), ..defect };
        let lacks = there.lacks(&old).expect("dialects");
        assert!(matches!(there.showing(refused(), lacks), Showing::Bad(_)));
    }
}
