//! One saved case, shrunk further: for a finding whose budget ended first, or a case that was
//! written by hand.

use std::ops::ControlFlow;
use std::time::Instant;

use super::investigate::{CONFIRMATIONS, answered_wrongly, suspects};
use super::run::Stop;
use super::trial::{Outcome, Trial};
use super::workbench::{BenchError, SameDefect};
use crate::case::{Case, Check, Found};
use crate::finding::Finding;
use crate::milvus::Dialect;
use crate::oracle::Oracle;
use crate::shrink::{Budget, Probe, shrink};
use crate::triage::{check_shape, shape};
use crate::verdict::{Class, Verdict};

/// What came of a saved case that was to be shrunk.
#[derive(Debug, Clone)]
pub enum Shrinking {
    /// It diverges.
    Shrunk {
        /// The smallest case found that diverges in the same way, and how.
        finding: Box<Finding>,
        /// The known issues that explain it, by their titles; none of a new finding.
        titles: Vec<String>,
    },
    /// There is nothing to shrink: the case comes to this.
    Nothing(Outcome),
}

impl Trial {
    /// Shrinks a case to the smallest that diverges in the same class and, if known issues explain
    /// it, by those, or as many of them as it takes; by those that name the case in any case. Of
    /// several checks, the first of the worst is taken, and before others one of the class that
    /// `found` has, which says where the case is from. `seen` is told each smaller case, and how
    /// many were judged until then. When `stop` is asked for, the smallest case until then is the
    /// result.
    ///
    /// ```
    /// use milvus_difftest::campaign::{Shrinking, Stop, Target, Trial, TrialOptions};
    /// use milvus_difftest::case::Case;
    /// use milvus_difftest::engine::simulated::{Fault, SimulatedOptions};
    /// use milvus_difftest::shrink::{Budget, size};
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let case = r#"{
    ///     "format": "milvus-difftest/case", "version": 1,
    ///     "schema": {"fields": [
    ///         {"name": "id", "type": "INT64", "primary": true},
    ///         {"name": "n", "type": "INT8"},
    ///         {"name": "v", "type": "FLOAT_VECTOR(2)"}
    ///     ]},
    ///     "operations": [{"insert": [{"id": 1, "n": 5, "v": [0, 0]}, {"id": 2, "n": 7, "v": [0, 0]}]}],
    ///     "checks": [{"query": "id > 0 and n < 5"}]
    /// }"#;
    /// let (case, found) = Case::from_json(case).unwrap();
    /// let faults = vec![Fault::LessThanIncludesEqual];
    /// let target = Target::Simulated(SimulatedOptions { faults, ..Default::default() });
    /// let mut trial = Trial::start(&target, &TrialOptions::default(), 0).await.unwrap();
    /// let (budget, stop) = (Budget::default(), Stop::default());
    /// let mut seen = |_: &Case, _: usize| {};
    /// let shrinking = trial.shrink(&case, found.as_ref(), budget, None, &stop, &mut seen);
    /// let Shrinking::Shrunk { finding, titles } = shrinking.await.unwrap() else { panic!() };
    /// assert!(finding.minimal && titles.is_empty());
    /// assert_eq!((size(&finding.case).rows, finding.nodes()), (1, 3));
    /// trial.stop().await;
    /// # });
    /// ```
    ///
    /// # Errors
    ///
    /// As of [`ask`](Self::ask): the engine or a reference is gone for good.
    pub async fn shrink(
        &mut self,
        case: &Case,
        found: Option<&Found>,
        budget: Budget,
        dialect: Option<&Dialect>,
        stop: &Stop,
        seen: &mut (dyn FnMut(&Case, usize) + Send),
    ) -> Result<Shrinking, BenchError> {
        let begun = Instant::now();
        // Other issues may explain a smaller case, and it would no longer be one of those that
        // name this one.
        let mut naming = self.known().clone();
        naming.issues.retain(|issue| issue.case == *case);
        self.prefer(naming.clone());
        let Some((single, outcome)) = self.worst(case, found).await? else {
            let nothing = Outcome::Inconclusive("nothing could be asked".to_owned());
            return Ok(Shrinking::Nothing(nothing));
        };
        let (divergence, titles) = match outcome {
            Outcome::Fail(divergence) => (divergence, Vec::new()),
            Outcome::Known { divergence, titles } => (divergence, titles),
            other => return Ok(Shrinking::Nothing(other)),
        };
        let Some(check) = single.checks.first().cloned() else {
            let nothing = Outcome::Inconclusive("nothing was asked".to_owned());
            return Ok(Shrinking::Nothing(nothing));
        };
        let seconds_to_first = begun.elapsed().as_secs_f64();
        let seen_as = check_shape(&single, &divergence);
        let named = |title: &String| naming.issues.iter().any(|issue| issue.title == *title);
        let needed: Vec<String> = titles.iter().filter(|title| named(title)).cloned().collect();
        let by_name = naming.explain(&single, &check, &divergence).is_some();
        let known = if by_name { naming } else { self.known().clone() };
        // What is found although the dialect lacks it may be looked for as well.
        let dialect = dialect.unwrap_or(self.dialect()).clone();
        let lacks = |filter| dialect.lacks_for(&single.schema, filter).is_some();
        let is_lacked = check.filters(&single.schema).iter().any(lacks);
        let beyond = matches!(check, Check::Refused(_) | Check::QueryOrRefusal(_)) || is_lacked;
        let bench = self.bench();
        let mut probe = Watched {
            probe: SameDefect {
                bench,
                class: divergence.class,
                known: &known,
                titles: &titles,
                needed: &needed,
                dialect: Some(&dialect).filter(|_| !beyond),
            },
            stop,
            seen,
            asked: 0,
        };
        let shrunk = shrink(single, &suspects(&divergence), budget, &mut probe).await?;
        let again = answered_wrongly(bench, &shrunk.case, divergence.class, CONFIRMATIONS).await?;
        let Some(divergence) = again else {
            let unstable = "it was answered wrongly, and not each time when it was asked again";
            return Ok(Shrinking::Nothing(Outcome::Inconclusive(unstable.to_owned())));
        };
        // It may need fewer issues than before.
        let check = shrunk.case.checks.first();
        let issues = check.and_then(|check| known.explain(&shrunk.case, check, &divergence));
        let titles = issues.into_iter().flatten().map(|issue| issue.title.clone()).collect();
        let finding = Box::new(Finding {
            shape: shape(&shrunk.case, &divergence),
            seen_as,
            oracle: check.map_or(Oracle::Reference, Check::oracle),
            sql: bench.sql(&shrunk.case),
            engine: bench.engine_version().to_owned(),
            backend: bench.judging(&shrunk.case),
            case: shrunk.case,
            divergence,
            count: 1,
            minimal: shrunk.minimal,
            evaluations: shrunk.evaluations,
            seconds_to_first,
            seed: found.and_then(|found| found.seed),
            number: found.and_then(|found| found.case),
        });
        Ok(Shrinking::Shrunk { finding, titles })
    }

    /// The question of a case that comes to most, with the history until it is asked; one that is
    /// wrong in the class that was found before comes first.
    async fn worst(
        &mut self,
        case: &Case,
        found: Option<&Found>,
    ) -> Result<Option<(Case, Outcome)>, BenchError> {
        let mut case = case.clone();
        if case.checks.is_empty() {
            case.checks.push(Check::Entities);
        }
        let mut all = |_: &Check, _: &Verdict| ControlFlow::Continue(());
        let verdicts = self.bench().judge(&case, &mut all).await?;
        let is_found = |class: Class| found.is_some_and(|found| found.class == class.to_string());
        let rank = |outcome: &Outcome| match outcome {
            Outcome::Fail(wrong) | Outcome::Known { divergence: wrong, .. } => {
                (true, is_found(wrong.class), outcome.rank())
            }
            Outcome::Conflict(_) => (true, true, outcome.rank()),
            _ => (false, false, outcome.rank()),
        };
        let mut worst: Option<(Case, Outcome)> = None;
        for (number, verdict) in verdicts.into_iter().enumerate() {
            let Some(single) = case.asking(number) else { break };
            let Some(check) = single.checks.first() else { break };
            let outcome = self.outcome(&single, check, verdict);
            if worst.as_ref().is_none_or(|(_, worst)| rank(&outcome) > rank(worst)) {
                worst = Some((single, outcome));
            }
        }
        Ok(worst)
    }
}

/// Tells how far shrinking is, and lets it end early.
struct Watched<'a, P> {
    probe: P,
    stop: &'a Stop,
    seen: &'a mut (dyn FnMut(&Case, usize) + Send),
    asked: usize,
}

impl<P: Probe + Send> Probe for Watched<'_, P> {
    type Error = P::Error;

    async fn first_diverging(
        &mut self,
        cases: &[Case],
        until: Instant,
    ) -> Result<(Option<usize>, usize), P::Error> {
        let mut all = 0;
        // Few at a time, so that the end does not take long to come: those that share their data
        // are asked together.
        for some in cases.chunks(TOGETHER) {
            if self.stop.is_asked() {
                break;
            }
            let (found, asked) = self.probe.first_diverging(some, until).await?;
            (all, self.asked) = (all + asked, self.asked + asked);
            if let Some(found) = found {
                let found = all - asked + found;
                (self.seen)(&cases[found], self.asked);
                return Ok((Some(found), all));
            }
            if asked < some.len() {
                break;
            }
        }
        Ok((None, all))
    }
}

/// How many cases are asked before the next look at whether the end was asked for.
const TOGETHER: usize = 16;

#[cfg(test)]
mod tests {
    use super::super::run::{Known, Target};
    use super::super::trial::TrialOptions;
    use super::*;
    use crate::engine::simulated::{Fault, SimulatedOptions};
    use crate::filter::Switch;
    use crate::known::{Cause, Issue, KnownIssues};
    use crate::shrink::size;

    /// More than it takes: rows, fields, operations, parts of the filter, a question in between.
    fn large() -> Case {
        let row = |id: i64, n: Option<i64>| serde_json::json!({"id": id, "n": n, "text": "abc", "v": [0, 0]});
        let rows: Vec<_> = (1..12).map(|id| row(id, (id % 3 > 0).then_some(id))).collect();
        let text = serde_json::json!({
            "format": "milvus-difftest/case",
            "version": 1,
            "schema": {"fields": [
                {"name": "id", "type": "INT64", "primary": true},
                {"name": "n", "type": "INT8", "nullable": true},
                {"name": "text", "type": "VARCHAR"},
                {"name": "v", "type": "FLOAT_VECTOR(2)"},
            ]},
            "operations": [
                {"insert": rows},
                "flush",
                {"ask": {"query": "text == \"abc\""}},
                {"delete": [11]},
            ],
            "checks": [{"count": "id > 3"}, {"query": "n not in [2, 4] and text like \"a%\""}],
        });
        Case::from_json(&text.to_string()).unwrap().0
    }

    async fn shrinking(faults: Vec<Fault>, known: Known, stop: Stop) -> Shrinking {
        let target = Target::Simulated(SimulatedOptions { faults, ..Default::default() });
        let options = TrialOptions { known, ..TrialOptions::default() };
        let mut trial = Trial::start(&target, &options, 0).await.unwrap();
        let (mut sizes, case) = (Vec::new(), large());
        let mut seen = |case: &Case, _| sizes.push(size(case));
        let shrinking = trial.shrink(&case, None, Budget::default(), None, &stop, &mut seen).await;
        trial.stop().await;
        assert!(sizes.is_sorted_by(|a, b| a > b), "{sizes:?}");
        shrinking.unwrap()
    }

    #[tokio::test]
    async fn what_is_known_stays_what_it_is() {
        let faults =
            || vec![Fault::Turned(Switch::NullInListIsFalse), Fault::LessThanIncludesEqual];
        let issues = KnownIssues::for_version("milvus_lite-3.2.2").unwrap();
        let known = || Known::List(issues.clone());
        let all = shrinking(faults(), known(), Stop::default()).await;
        let Shrinking::Shrunk { finding, titles } = all else { panic!("{all:?}") };
        assert_eq!(titles, ["in and not in are two-valued on null"]);
        assert!(finding.minimal);
        let small = size(&finding.case);
        assert_eq!((small.rows, small.fields, small.operations), (1, 3, 1), "{:?}", finding.case);
        assert!(finding.filter_text().contains("n not in ["), "{}", finding.filter_text());
        assert_eq!((finding.seed, finding.number), (None, None));

        // Where nothing is known, it is a finding.
        let all = shrinking(faults(), Known::Nothing, Stop::default()).await;
        let Shrinking::Shrunk { titles, .. } = all else { panic!("{all:?}") };
        assert!(titles.is_empty());
    }

    /// What the file says of it decides which of two divergences it is about.
    #[tokio::test]
    async fn the_class_that_was_found_comes_first() {
        let mut case = large();
        case.checks = vec![
            Check::Count(crate::filter::parse("id > 3").unwrap().into()),
            Check::Query(crate::filter::parse("n < 4").unwrap().into()),
        ];
        let found = |class: &str| {
            let text = case.to_json(None);
            let mut file: serde_json::Value = serde_json::from_str(&text).unwrap();
            file["found"] = serde_json::json!({"engine": "v2.6.0-simulated", "class": class});
            Case::from_json(&file.to_string()).unwrap().1
        };
        for (found, class) in [
            (None, Class::WrongCount),
            (found("ExtraRows"), Class::ExtraRows),
            (found("WrongCount"), Class::WrongCount),
            // Not seen any more: what is.
            (found("Crash"), Class::WrongCount),
        ] {
            let faults = vec![Fault::CountOffByOne, Fault::LessThanIncludesEqual];
            let target = Target::Simulated(SimulatedOptions { faults, ..Default::default() });
            let mut trial = Trial::start(&target, &TrialOptions::default(), 0).await.unwrap();
            let (budget, stop) =
                (Budget { evaluations: 20, ..Default::default() }, Stop::default());
            let all =
                trial.shrink(&case, found.as_ref(), budget, None, &stop, &mut |_, _| {}).await;
            trial.stop().await;
            let Ok(Shrinking::Shrunk { finding, .. }) = all else { panic!("{all:?}") };
            assert_eq!(finding.divergence.class, class, "{found:?}");
        }
    }

    /// Two issues together explain it, and either of them a part: what names the case decides which.
    #[tokio::test]
    async fn an_issue_keeps_its_case() {
        let text = serde_json::json!({
            "format": "milvus-difftest/case",
            "version": 1,
            "schema": {"fields": [
                {"name": "id", "type": "INT64", "primary": true},
                {"name": "n", "type": "INT8", "nullable": true},
                {"name": "m", "type": "INT8"},
                {"name": "v", "type": "FLOAT_VECTOR(2)"},
            ]},
            "operations": [{"insert": [{"id": 1, "n": null, "m": 5, "v": [0, 0]}]}],
            "checks": [{"query": "n not in [9] and m / 2 > 2"}],
        });
        let (case, _) = Case::from_json(&text.to_string()).unwrap();
        let (null, fraction) = (Switch::NullInListIsFalse, Switch::IntDivisionIsReal);
        let faults = vec![Fault::Turned(null), Fault::Turned(fraction)];
        let all = KnownIssues::for_version("milvus_lite-3.2.2").unwrap();
        let mut filters = Vec::new();
        for switch in [null, fraction] {
            let mut issues = all.clone();
            let is_it = |issue: &&mut Issue| matches!(issue.cause, Cause::Switch { switch: turned, .. } if turned == switch);
            let issue = issues.issues.iter_mut().find(is_it).unwrap();
            let title = issue.title.clone();
            issue.case = case.clone();
            let target = Target::Simulated(SimulatedOptions {
                faults: faults.clone(),
                ..Default::default()
            });
            let options = TrialOptions { known: Known::List(issues), ..Default::default() };
            let mut trial = Trial::start(&target, &options, 0).await.unwrap();
            let (budget, stop) = (Budget::default(), Stop::default());
            let all = trial.shrink(&case, None, budget, None, &stop, &mut |_, _| {}).await;
            trial.stop().await;
            let Ok(Shrinking::Shrunk { finding, titles }) = all else { panic!("{all:?}") };
            assert_eq!(titles, [title]);
            filters.push(finding.filter_text());
        }
        assert!(filters[0].contains("not in") && !filters[0].contains('/'), "{filters:?}");
        assert!(filters[1].contains('/') && !filters[1].contains("not in"), "{filters:?}");
    }

    #[tokio::test]
    async fn what_is_stopped_is_whole_but_not_minimal() {
        let stop = Stop::default();
        stop.stop();
        let faults = vec![Fault::Turned(Switch::NullInListIsFalse)];
        let all = shrinking(faults, Known::Nothing, stop).await;
        let Shrinking::Shrunk { finding, .. } = all else { panic!("{all:?}") };
        assert!(!finding.minimal);
        assert_eq!((finding.evaluations, size(&finding.case).rows), (0, 11));
    }

    #[tokio::test]
    async fn what_is_answered_rightly_is_not_shrunk() {
        let all = shrinking(Vec::new(), Known::Nothing, Stop::default()).await;
        assert!(matches!(all, Shrinking::Nothing(Outcome::Pass)), "{all:?}");
    }
}
