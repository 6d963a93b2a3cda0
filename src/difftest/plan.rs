//! What a test and the environment say together.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::builder::{Aim, DiffTest};
use super::error::DiffTestError;
use crate::campaign::Known;
use crate::engine::Secret;
use crate::generate::{self, Weights};

/// So many cases, if nothing else is said.
const CASES: u64 = 10;
/// Where findings are kept, in the project's folder.
const FOLDER: &str = "difftest-regressions";

/// A test that can be run.
#[derive(Debug)]
pub(super) struct Plan {
    pub name: String,
    pub aim: Option<Aim>,
    pub token: Option<Secret>,
    pub cases: Option<u64>,
    pub time: Option<Duration>,
    pub seed: u64,
    pub generation: generate::Options,
    pub known: Known,
    /// Where this test's findings are kept.
    pub folder: PathBuf,
}

impl Plan {
    /// What `test` asks for in an environment.
    pub fn of(
        test: DiffTest,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Plan, DiffTestError> {
        // An empty variable is one that is not set.
        let set = |variable: &str| environment(variable).filter(|value| !value.is_empty());
        let DiffTest { name, schema, .. } = test;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(plain) {
            return Err(DiffTestError::Name(name));
        }
        if let Err(source) = schema.validate() {
            return Err(DiffTestError::Schema { name, source });
        }
        let mut weights = Weights::default();
        for (construct, share) in &test.weights {
            if let Err(source) = weights.set(construct, *share) {
                return Err(DiffTestError::Weight { name, source });
            }
        }
        let asked = (number(&set, "MILVUS_DIFFTEST_CASES")?, time(&set)?);
        let (cases, time) = match [asked, (test.cases, test.time)] {
            [(None, None), (None, None)] => (Some(CASES), None),
            [(None, None), said] => said,
            [asked, _] => asked,
        };
        let options = generate::Options::default();
        let filters = number(&set, "MILVUS_DIFFTEST_FILTERS")?.or(test.filters);
        let seed = number(&set, "MILVUS_DIFFTEST_SEED")?.or(test.seed);
        // As the command line reads a flag's variable.
        let no = ["n", "no", "f", "false", "off", "0"];
        let strict = set("MILVUS_DIFFTEST_STRICT");
        let strict = strict.is_some_and(|value| !no.contains(&value.to_lowercase().as_str()));
        let root = || set("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default().join(FOLDER);
        Ok(Plan {
            folder: test.regressions.unwrap_or_else(root).join(&name),
            name,
            aim: match test.aim {
                Some(aim) => Some(aim),
                None => aim(&set)?,
            },
            token: set("MILVUS_DIFFTEST_TOKEN").map(Secret::new),
            cases,
            time,
            seed: seed.unwrap_or_else(rand::random::<u64>),
            generation: generate::Options {
                filters: filters.unwrap_or(options.filters),
                schema: Some(schema),
                rows: test.rows,
                weights,
                ..options
            },
            known: if strict || test.strict { Known::Nothing } else { Known::OfVersion },
        })
    }
}

type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The one engine that the environment names; `None` if it names none.
fn aim(set: Environment<'_>) -> Result<Option<Aim>, DiffTestError> {
    let single = |variable: &'static str| match set(variable) {
        Some(value) if value.contains(',') => Err(DiffTestError::Environment {
            variable,
            reason: "it names several engines, and a test asks one".to_owned(),
        }),
        value => Ok(value),
    };
    match (single("MILVUS_DIFFTEST_TARGET")?, single("MILVUS_DIFFTEST_ENGINE")?) {
        (None, None) => Ok(None),
        (Some(uri), None) => Ok(Some(Aim::Uri(uri))),
        (None, Some(name)) => Ok(Some(Aim::Engine(name))),
        (Some(_), Some(_)) => Err(DiffTestError::Environment {
            variable: "MILVUS_DIFFTEST_TARGET",
            reason: "MILVUS_DIFFTEST_ENGINE names an engine as well, and a test asks one"
                .to_owned(),
        }),
    }
}

fn number<T: FromStr>(
    set: Environment<'_>,
    variable: &'static str,
) -> Result<Option<T>, DiffTestError> {
    let Some(value) = set(variable) else { return Ok(None) };
    let wrong = |_| DiffTestError::Environment {
        variable,
        reason: format!("'{value}' is no number that fits"),
    };
    value.parse().map(Some).map_err(wrong)
}

fn time(set: Environment<'_>) -> Result<Option<Duration>, DiffTestError> {
    const VARIABLE: &str = "MILVUS_DIFFTEST_TIME";
    let Some(value) = set(VARIABLE) else { return Ok(None) };
    let seconds = value.parse().map(Duration::from_secs);
    let time = seconds.or_else(|_| humantime::parse_duration(&value));
    time.map(Some).map_err(|_| DiffTestError::Environment {
        variable: VARIABLE,
        reason: format!("'{value}' is no time; write it as 90s, 5m or 1h30m"),
    })
}
