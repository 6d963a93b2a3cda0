//! Saved cases on several engines, side by side: what to look at before an upgrade.

use futures::future::join_all;

use super::run::{CampaignError, Target};
use super::trial::{Outcome, Trial, TrialOptions};
use super::workbench::BenchError;
use crate::case::{Case, Check};

/// What several engines make of the same questions.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// The engines, in the order in which they were named.
    pub engines: Vec<Column>,
    /// The questions.
    pub rows: Vec<Row>,
}

/// An engine of a matrix.
#[derive(Debug, Clone)]
pub struct Column {
    /// As the user names it.
    pub name: String,
    /// As it reports itself.
    pub version: String,
    /// What ended it before it was asked everything; it has no outcomes from there on.
    pub error: Option<String>,
}

/// A question of a matrix.
#[derive(Debug, Clone)]
pub struct Row {
    /// Where it comes from.
    pub name: String,
    /// What is asked: a filter, or that all entities come back.
    pub question: String,
    /// What it came to on each engine; `None` where the engine was gone.
    pub outcomes: Vec<Option<Outcome>>,
}

impl Matrix {
    /// Puts each of the cases to each of the engines, which are started for it and stopped again.
    /// What an engine's dialect lacks is not asked of it. An engine that cannot be started is an
    /// error; one that is lost later leaves its column open.
    ///
    /// Each check of a case is a row. `names` has a name for each case.
    pub async fn of(
        engines: &[(String, Target)],
        options: &TrialOptions,
        cases: &[(String, Case)],
    ) -> Result<Matrix, CampaignError> {
        let numbered = engines.iter().enumerate();
        let trials = numbered.map(|(worker, (_, target))| Trial::start(target, options, worker));
        let mut started = Vec::with_capacity(engines.len());
        let mut failure = None;
        for trial in join_all(trials).await {
            match trial {
                Ok(trial) => started.push(trial),
                Err(error) => failure = Some(error),
            }
        }
        if let Some(failure) = failure {
            join_all(started.into_iter().map(Trial::stop)).await;
            return Err(failure);
        }
        let columns = join_all(started.into_iter().map(|mut trial| async move {
            let version = trial.engine_version().to_owned();
            let answers = asked(&mut trial, cases).await;
            trial.stop().await;
            (version, answers)
        }));
        let mut rows: Vec<Row> = Vec::new();
        for (name, case) in cases {
            // As `Trial::ask` has it.
            let entities = [Check::Entities];
            let checks = if case.checks.is_empty() { &entities[..] } else { &case.checks };
            rows.extend(checks.iter().map(|check| Row {
                name: name.clone(),
                question: check.to_string(),
                outcomes: Vec::new(),
            }));
        }
        let mut matrix = Matrix { engines: Vec::new(), rows };
        for ((name, _), (version, (answers, error))) in engines.iter().zip(columns.await) {
            let mut answers = answers.into_iter();
            for row in &mut matrix.rows {
                row.outcomes.push(answers.next());
            }
            let error = error.map(|error| error.to_string());
            matrix.engines.push(Column { name: name.clone(), version, error });
        }
        Ok(matrix)
    }

    /// The first engine, by version, that answers a row rightly.
    pub fn first_good(&self, row: &Row) -> Option<&Column> {
        self.first(row, |outcome| matches!(outcome, Outcome::Pass))
    }

    /// The first engine, by version, that answers a row wrongly, known or not.
    pub fn first_bad(&self, row: &Row) -> Option<&Column> {
        self.first(row, Outcome::is_wrong)
    }

    fn first(&self, row: &Row, is: impl Fn(&Outcome) -> bool) -> Option<&Column> {
        let found = self.engines.iter().zip(&row.outcomes).filter(|(_, outcome)| {
            let Some(outcome) = outcome else { return false };
            is(outcome)
        });
        found.map(|(engine, _)| engine).min_by_key(|engine| numbers(&engine.version))
    }
}

/// The outcomes in the order of the checks, and what ended the engine before the last of them.
async fn asked(trial: &mut Trial, cases: &[(String, Case)]) -> (Vec<Outcome>, Option<BenchError>) {
    let dialect = trial.dialect().clone();
    let mut all = Vec::new();
    for (_, case) in cases {
        match trial.ask(case, Some(&dialect)).await {
            Ok(answers) => all.extend(answers.into_iter().map(|(_, outcome)| outcome)),
            Err(error) => return (all, Some(error)),
        }
    }
    (all, None)
}

/// The numbers in a version: what orders `v2.5.26` after `v2.5.4`.
fn numbers(version: &str) -> Vec<u64> {
    let digits = version.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    digits.map(|part| part.parse().unwrap_or(u64::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let mut versions = ["v2.6.1", "milvus_lite-3.2.2", "v2.5.26", "v2.3.5-lite", "v2.5.4"];
        versions.sort_by_key(|version| numbers(version));
        let wanted = ["v2.3.5-lite", "v2.5.4", "v2.5.26", "v2.6.1", "milvus_lite-3.2.2"];
        assert_eq!(versions, wanted);
    }

    #[test]
    fn what_is_good_first_and_bad_first_is_told_by_version() {
        let column = |version: &str| Column {
            name: version.to_owned(),
            version: version.to_owned(),
            error: None,
        };
        let matrix = Matrix {
            engines: ["v2.6.1", "v2.5.4", "v2.5.26"].map(column).into(),
            rows: Vec::new(),
        };
        let wrong = || {
            use crate::verdict::{Actual, Class, Divergence, Expected, Judges};
            Some(Outcome::Fail(Box::new(Divergence {
                class: Class::WrongCount,
                expected: Expected::Count(1),
                actual: Actual::Count(2),
                judges: Judges::Both,
            })))
        };
        let row = |outcomes: [Option<Outcome>; 3]| Row {
            name: String::new(),
            question: String::new(),
            outcomes: outcomes.into(),
        };
        let versions = |row: &Row| {
            [matrix.first_good(row), matrix.first_bad(row)]
                .map(|column| column.map(|column| column.version.as_str()))
        };
        let regression = row([wrong(), Some(Outcome::Pass), wrong()]);
        assert_eq!(versions(&regression), [Some("v2.5.4"), Some("v2.5.26")]);
        let open = row([None, Some(Outcome::Unsupported(String::new())), wrong()]);
        assert_eq!(versions(&open), [None, Some("v2.5.26")]);
    }
}
