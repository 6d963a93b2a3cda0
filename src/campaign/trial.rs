//! Saved cases asked again: what each of their checks comes to on one engine.

use std::ops::ControlFlow;

use super::run::{CampaignError, Known, Target};
use super::workbench::{BenchError, Workbench, WorkbenchOptions};
use crate::case::{Case, Check, Operation};
use crate::known::KnownIssues;
use crate::milvus::{CallFeature, Dialect};
use crate::reference::{Reference, References};
use crate::verdict::{Class, Divergence, Verdict};

/// What a check came to.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The engine answers as the references do.
    Pass,
    /// It does not.
    Fail(Box<Divergence>),
    /// It does not, and known issues predict precisely how.
    Known {
        /// What it does.
        divergence: Box<Divergence>,
        /// The issues, by their titles.
        titles: Vec<String>,
    },
    /// The references disagree with each other.
    Conflict(Box<Divergence>),
    /// Nothing can be said, and why.
    Inconclusive(String),
    /// The engine has not got what is asked, and what that is.
    Unsupported(String),
}

impl Outcome {
    /// How much an outcome says about an engine: of several, the one that says most counts.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Outcome::Pass => 0,
            Outcome::Unsupported(_) => 1,
            Outcome::Inconclusive(_) => 2,
            Outcome::Known { .. } => 3,
            Outcome::Fail(_) => 4,
            Outcome::Conflict(_) => 5,
        }
    }

    /// The outcome of a case, from those of its checks: the first of the worst.
    pub fn worst(all: impl IntoIterator<Item = Outcome>) -> Outcome {
        let worse = |worst: Outcome, it: Outcome| if it.rank() > worst.rank() { it } else { worst };
        all.into_iter().fold(Outcome::Pass, worse)
    }

    /// Whether the engine answered wrongly, known or not.
    pub fn is_wrong(&self) -> bool {
        matches!(self, Outcome::Fail(_) | Outcome::Known { .. })
    }
}

/// How cases are tried.
#[derive(Debug, Clone, Default)]
pub struct TrialOptions {
    /// What judges beside the model.
    pub references: Vec<Reference>,
    /// How long calls may take.
    pub deadlines: WorkbenchOptions,
    /// What is known of the engine.
    pub known: Known,
}

/// An engine to which saved cases are put.
pub struct Trial {
    bench: Workbench,
    /// What explains a divergence before all that is known, if it can.
    first: KnownIssues,
    known: KnownIssues,
    dialect: Dialect,
}

impl Trial {
    /// Starts an engine, and opens the references beside it as those of the worker with this
    /// number, of which there must be one at a time.
    pub async fn start(
        target: &Target,
        options: &TrialOptions,
        worker: usize,
    ) -> Result<Trial, CampaignError> {
        let engine = target.start(options.deadlines.call_deadline).await?;
        let references =
            References::open(&options.references, worker).await.map_err(BenchError::from)?;
        let bench = Workbench::with(engine, options.deadlines, references).await?;
        let known = options.known.of(bench.engine_version())?;
        Trial::on(bench, known)
    }

    /// On an engine that runs already, of which this is known.
    pub(super) fn on(bench: Workbench, known: KnownIssues) -> Result<Trial, CampaignError> {
        let dialect = Dialect::for_version(bench.engine_version())?;
        Ok(Trial { bench, first: KnownIssues::default(), known, dialect })
    }

    /// Lets these issues explain divergences before others, which may explain them as well.
    pub(super) fn prefer(&mut self, issues: KnownIssues) {
        self.first = issues;
    }

    /// The engine, while it is this trial's.
    pub(super) fn bench(&mut self) -> &mut Workbench {
        &mut self.bench
    }

    /// What is known of the engine.
    pub(super) fn known(&self) -> &KnownIssues {
        &self.known
    }

    /// The engine, for something else.
    pub(super) fn into_bench(self) -> Workbench {
        self.bench
    }

    /// See [`Workbench::take_restarts`].
    pub(super) fn take_restarts(&mut self) -> Vec<String> {
        self.bench.take_restarts()
    }

    /// The engine's version, as it reports it.
    pub fn engine_version(&self) -> &str {
        self.bench.engine_version()
    }

    /// What the engine's version has.
    pub fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// What each check of a case comes to; a case without any is asked for its entities. Nothing
    /// is asked that this dialect lacks; `None` asks everything.
    pub async fn ask(
        &mut self,
        case: &Case,
        dialect: Option<&Dialect>,
    ) -> Result<Vec<(Check, Outcome)>, BenchError> {
        let mut case = case.clone();
        if case.checks.is_empty() {
            case.checks.push(Check::Entities);
        }
        let lacks: Vec<Option<String>> = match dialect {
            Some(dialect) => case.checks.iter().map(|check| lacks(dialect, &case, check)).collect(),
            None => vec![None; case.checks.len()],
        };
        let all = case.checks.clone();
        let mut asked = lacks.iter().map(Option::is_none);
        case.checks.retain(|_| asked.next().unwrap_or(true));
        let mut verdicts = Vec::new();
        if !case.checks.is_empty() {
            let mut see = |_: &Check, _: &Verdict| ControlFlow::Continue(());
            verdicts = self.bench.judge(&case, &mut see).await?;
        }
        // Those in between come first, each of the state that it was asked of.
        let between = case.questions().count() - case.checks.len();
        let mut verdicts = verdicts.into_iter();
        let mut outcomes = Vec::new();
        for (number, verdict) in verdicts.by_ref().take(between).enumerate() {
            let Some(mut asked) = case.asking(number) else { break };
            let Some(check) = asked.checks.pop() else { break };
            let outcome = self.outcome(&asked, &check, verdict);
            outcomes.push((check, outcome));
        }
        let outcome = |(check, lacks): (Check, Option<String>)| {
            let outcome = match lacks {
                Some(reason) => Outcome::Unsupported(reason),
                None => self.outcome(&case, &check, verdicts.next()?),
            };
            Some((check, outcome))
        };
        outcomes.extend(all.into_iter().zip(lacks).map_while(outcome));
        Ok(outcomes)
    }

    /// What a verdict comes to.
    pub(super) fn outcome(&self, case: &Case, check: &Check, verdict: Verdict) -> Outcome {
        let divergence = match verdict {
            Verdict::Pass { .. } => return Outcome::Pass,
            Verdict::Inconclusive(doubt) => return Outcome::Inconclusive(doubt.to_string()),
            Verdict::Unsupported(reason) => return Outcome::Unsupported(reason),
            Verdict::Divergence(divergence) => divergence,
        };
        if divergence.class == Class::ReferenceConflict {
            return Outcome::Conflict(divergence);
        }
        let [first, all] = [&self.first, &self.known];
        let explained = first.explain(case, check, &divergence);
        match explained.or_else(|| all.explain(case, check, &divergence)) {
            Some(issues) => {
                let titles = issues.into_iter().map(|issue| issue.title.clone()).collect();
                Outcome::Known { divergence, titles }
            }
            None => Outcome::Fail(divergence),
        }
    }

    /// Stops the engine, if it was started here.
    pub async fn stop(self) {
        self.bench.stop().await;
    }
}

/// What a dialect lacks for a check, its collection included.
fn lacks(dialect: &Dialect, case: &Case, check: &Check) -> Option<String> {
    let call = needed(case).find(|call| !dialect.offers(*call)).map(|call| call.to_string());
    let missing = dialect.lacks_in(&case.schema).or(call).or_else(|| {
        // These are about what the engine has not got.
        if matches!(check, Check::Refused(_) | Check::QueryOrRefusal(_)) {
            return None;
        }
        dialect.lacks_for(&case.schema, check.spelled()?).map(|cell| cell.to_string())
    });
    missing.map(|missing| format!("the dialect {} lacks {missing}", dialect.name))
}

/// The calls that a case needs and that not every engine has.
fn needed(case: &Case) -> impl Iterator<Item = CallFeature> {
    let steps = case.operations.iter().filter_map(|operation| match operation {
        Operation::CreatePartition(_) => Some(CallFeature::Partitions),
        Operation::CreateAlias(_) => Some(CallFeature::Aliases),
        Operation::AddField(_) => Some(CallFeature::AddField),
        operation => match operation.plain() {
            Operation::Patch(_) => Some(CallFeature::PartialUpsert),
            _ => None,
        },
    });
    let groups = case.questions().filter_map(|check| match check.plain() {
        Check::Search { search, .. } => search.group_by.as_ref().map(|_| CallFeature::GroupBy),
        _ => None,
    });
    steps.chain(groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::simulated::{Fault, SimulatedOptions};
    use crate::filter::Switch;

    fn case(schema: serde_json::Value) -> Case {
        let text = serde_json::json!({
            "format": "milvus-difftest/case",
            "version": 1,
            "schema": {"fields": schema},
            "operations": [{"insert": [{"id": 1, "n": null, "v": [0, 0]}]}],
            "checks": [{"query": "n not in [2]"}, {"query": "id == 1"}, {"query": "id is null"}],
        });
        Case::from_json(&text.to_string()).unwrap().0
    }

    fn words(answers: Vec<(Check, Outcome)>) -> Vec<String> {
        let word = |(_, outcome)| match outcome {
            Outcome::Pass => "pass".to_owned(),
            Outcome::Known { titles, .. } => format!("known: {}", titles.join("; ")),
            Outcome::Unsupported(reason) => format!("unsupported: {reason}"),
            other => format!("{other:?}"),
        };
        answers.into_iter().map(word).collect()
    }

    #[tokio::test]
    async fn each_check_comes_to_something() {
        let faults = vec![Fault::Turned(Switch::NullInListIsFalse)];
        let target = Target::Simulated(SimulatedOptions { faults, ..Default::default() });
        let known = KnownIssues::for_version("milvus_lite-3.2.2").unwrap();
        let options = TrialOptions { known: Known::List(known), ..TrialOptions::default() };
        let mut trial = Trial::start(&target, &options, 0).await.unwrap();
        let nullable = case(serde_json::json!([
            {"name": "id", "type": "INT64", "primary": true},
            {"name": "n", "type": "INT8", "nullable": true},
            {"name": "v", "type": "FLOAT_VECTOR(2)"},
        ]));
        let known = "known: in and not in are two-valued on null".to_owned();
        let all = trial.ask(&nullable, None).await.unwrap();
        assert_eq!(words(all), [known, "pass".to_owned(), "pass".to_owned()]);

        let old = Dialect::load("milvus-2.3").unwrap();
        let all = words(trial.ask(&nullable, Some(&old)).await.unwrap());
        assert_eq!(all, ["unsupported: the dialect milvus-2.3 lacks nullable fields"; 3]);

        let mut plain = nullable.clone();
        plain.schema.fields.remove(1);
        plain.checks.remove(0);
        for operation in &mut plain.operations {
            if let crate::case::Operation::Insert(rows) = operation {
                rows.iter_mut().for_each(|row| drop(row.fields.remove("n")));
            }
        }
        let all = words(trial.ask(&plain, Some(&old)).await.unwrap());
        let lacks = "unsupported: the dialect milvus-2.3 lacks is-null on INT64";
        assert_eq!(all, ["pass", lacks]);
        let mut parted = plain.clone();
        parted.operations.insert(0, Operation::CreatePartition("red".to_owned()));
        let lite = Dialect::load("milvus-lite-2.5").unwrap();
        let all = words(trial.ask(&parted, Some(&lite)).await.unwrap());
        let says = "unsupported: the dialect milvus-lite-2.5 lacks partitions by name";
        assert!(all.iter().all(|word| word == says), "{all:?}");

        trial.stop().await;
    }

    /// Asked before and after, by an alias that stands for another collection, and when the
    /// collection is created again.
    #[tokio::test]
    async fn a_field_is_added_in_the_course_of_a_history() {
        let row = |id: i64, more: serde_json::Value| {
            let mut row = serde_json::json!({"id": id, "v": [0, 0]});
            let members = more.as_object().unwrap().clone();
            row.as_object_mut().unwrap().extend(members);
            row
        };
        let none = serde_json::json!({});
        let five = serde_json::json!({"query": "five == 5"});
        let case = serde_json::json!({
            "format": "milvus-difftest/case",
            "version": 1,
            "schema": {"dynamic": true, "fields": [
                {"name": "id", "type": "INT64", "primary": true},
                {"name": "five", "type": "INT8", "nullable": true, "default": 5},
                {"name": "v", "type": "FLOAT_VECTOR(2)"},
                {"name": "tags", "type": "ARRAY<VARCHAR>", "nullable": true, "max_capacity": 2},
            ]},
            "operations": [
                {"insert": [row(1, none.clone()), row(2, none.clone())]},
                {"ask": "entities"},
                {"ask": {"query": "id > 0"}},
                {"create_alias": "latest"},
                {"alter_alias": {"alias": "latest", "elsewhere": true}},
                "flush",
                {"add_field": "five"},
                {"ask": five},
                {"ask": {"in": {"alias": "latest", "check": five}}},
                {"alter_alias": {"alias": "latest", "elsewhere": false}},
                {"drop_alias": "latest"},
                {"upsert": [row(2, serde_json::json!({"five": 6}))]},
                {"ask": "entities"},
                "recreate",
                {"insert": [row(3, serde_json::json!({"five": 7})), row(4, none)]},
                {"ask": "entities"},
                {"add_field": "tags"},
                {"patch": [{"id": 3, "tags": ["a"]}]},
            ],
            "checks": ["entities", {"query": "tags is null"}, {"count": "five == 5"}],
        });
        let (case, _) = Case::from_json(&case.to_string()).unwrap();
        let fails = |fault: Option<Fault>| {
            let case = case.clone();
            async move {
                let faults = fault.into_iter().collect();
                let target = Target::Simulated(SimulatedOptions { faults, ..Default::default() });
                let options = TrialOptions::default();
                let mut trial = Trial::start(&target, &options, 0).await.unwrap();
                let all = words(trial.ask(&case, None).await.unwrap());
                let old = Dialect::load("milvus-2.5").unwrap();
                let unsupported = words(trial.ask(&case, Some(&old)).await.unwrap());
                trial.stop().await;
                let says = "unsupported: the dialect milvus-2.5 lacks fields added to collections";
                assert_eq!(unsupported, [says; 3]);
                (0..all.len()).filter(|number| all[*number] != "pass").collect::<Vec<_>>()
            }
        };
        assert_eq!(fails(None).await, Vec::<usize>::new());
        assert_eq!(fails(Some(Fault::AddedFieldLacksDefault)).await, [2, 4]);
        assert_eq!(fails(Some(Fault::AddedFieldMissesFlushed)).await, [2]);
    }

    #[test]
    fn a_case_comes_to_the_worst_of_its_checks() {
        let unsupported = || Outcome::Unsupported(String::new());
        let worst = Outcome::worst([Outcome::Pass, unsupported(), Outcome::Pass]);
        assert!(matches!(worst, Outcome::Unsupported(_)));
        let open = Outcome::Inconclusive("first".to_owned());
        let worst = Outcome::worst([unsupported(), open, Outcome::Inconclusive(String::new())]);
        assert!(matches!(worst, Outcome::Inconclusive(reason) if reason == "first"));
        assert!(matches!(Outcome::worst([]), Outcome::Pass));
    }
}
