//! What a test says.

use std::panic::Location;
use std::path::PathBuf;
use std::time::Duration;

use proptest::strategy::{SBoxedStrategy, Strategy};

use super::error::{DiffTestError, Report};
use super::plan::Plan;
use crate::engine::simulated::SimulatedOptions;
use crate::schema::Schema;
use crate::value::Row;

/// A test of one schema, to be run in a `#[test]`; see [the module](super).
///
/// On a simulated engine that misses rows, so that it needs nothing installed:
///
/// ```
/// use milvus_difftest::difftest::{DiffTest, DiffTestError};
/// use milvus_difftest::engine::simulated::{Fault, SimulatedOptions};
/// use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// let schema = Schema {
///     fields: vec![
///         Field::new("id", DataType::Scalar(Scalar::Int64)).primary(),
///         Field::new("vec", DataType::FloatVector { dim: 2 }),
///     ],
///     dynamic: false,
/// };
/// let test = DiffTest::new("products", schema).cases(2).seed(1).regressions(folder);
///
/// let right = test.clone().simulated(SimulatedOptions::default());
/// let report = right.run_blocking();
/// assert!(report.summary.verdicts.pass > 60);
///
/// let faults = vec![Fault::DropLastMatch];
/// let wrong = test.simulated(SimulatedOptions { faults, ..SimulatedOptions::default() });
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let error = wrong.try_run().await.unwrap_err();
/// assert!(matches!(error, DiffTestError::Found { .. }));
/// # });
/// ```
#[derive(Debug, Clone)]
#[must_use = "a test that is not run tests nothing"]
pub struct DiffTest {
    pub(super) name: String,
    pub(super) schema: Schema,
    pub(super) aim: Option<Aim>,
    pub(super) cases: Option<u64>,
    pub(super) time: Option<Duration>,
    pub(super) filters: Option<usize>,
    pub(super) seed: Option<u64>,
    pub(super) weights: Vec<(String, f64)>,
    pub(super) rows: Option<SBoxedStrategy<Row>>,
    pub(super) strict: bool,
    pub(super) regressions: Option<PathBuf>,
}

/// What is tested.
#[derive(Debug, Clone)]
pub(super) enum Aim {
    Engine(String),
    Uri(String),
    Simulated(SimulatedOptions),
}

impl DiffTest {
    /// A test of this schema. What it finds is kept in a folder of its name, which is unique in the
    /// project and made of letters, digits, `-` and `_`.
    pub fn new(name: impl Into<String>, schema: Schema) -> DiffTest {
        DiffTest {
            name: name.into(),
            schema,
            aim: None,
            cases: None,
            time: None,
            filters: None,
            seed: None,
            weights: Vec::new(),
            rows: None,
            strict: false,
            regressions: None,
        }
    }

    /// Tests an engine that is installed if need be and started for the test, by its name on the
    /// command line: `milvus-lite-3.2.2`, or `docker:IMAGE`.
    pub fn engine(self, name: impl Into<String>) -> DiffTest {
        DiffTest { aim: Some(Aim::Engine(name.into())), ..self }
    }

    /// Tests an engine that runs already. Its collections are left alone.
    pub fn target(self, uri: impl Into<String>) -> DiffTest {
        DiffTest { aim: Some(Aim::Uri(uri.into())), ..self }
    }

    /// Tests a simulated engine, to see a test fail or to try out what it generates.
    pub fn simulated(self, options: SimulatedOptions) -> DiffTest {
        DiffTest { aim: Some(Aim::Simulated(options)), ..self }
    }

    /// So many cases at most; 10 if neither this nor a [time](Self::time) is given. A case is a
    /// collection with up to 300 rows.
    pub fn cases(self, cases: u64) -> DiffTest {
        DiffTest { cases: Some(cases), ..self }
    }

    /// So long at most, without the start of the engine. Shrinking may take ten seconds more.
    pub fn time(self, time: Duration) -> DiffTest {
        DiffTest { time: Some(time), ..self }
    }

    /// So many filters are asked of each case, beside all its entities; 60 by default.
    pub fn filters(self, filters: usize) -> DiffTest {
        DiffTest { filters: Some(filters), ..self }
    }

    /// The same seed gives the same cases for the same schema, rows, weights and engine version.
    /// Without one it is random.
    pub fn seed(self, seed: u64) -> DiffTest {
        DiffTest { seed: Some(seed), ..self }
    }

    /// How often constructs of the filter language are used, from 0, never, to 1, as often as
    /// otherwise; by the names that dialects use, as `like` or `arithmetic`. `docs/coverage.md` lists
    /// them.
    pub fn weight(mut self, construct: impl Into<String>, share: f64) -> DiffTest {
        self.weights.push((construct.into(), share));
        self
    }

    /// Where rows come from, one at a time, if not from the crate's own values, which are rich in
    /// limits and special cases. A key is part of the row, also where the engine assigns another;
    /// of rows with equal keys one is taken. Filters are made of the values in the rows, too.
    ///
    /// A strategy that threads cannot share has to be boxed with `sboxed`, not `boxed`.
    ///
    /// ```
    /// use milvus_difftest::difftest::DiffTest;
    /// use milvus_difftest::difftest::proptest::prelude::*;
    /// # use milvus_difftest::engine::simulated::SimulatedOptions;
    /// use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
    /// use milvus_difftest::value::Row;
    /// use serde_json::json;
    ///
    /// let schema = Schema {
    ///     fields: vec![
    ///         Field::new("id", DataType::Scalar(Scalar::Int64)).primary(),
    ///         Field::new("colour", DataType::Scalar(Scalar::VarChar)),
    ///         Field::new("vec", DataType::FloatVector { dim: 2 }),
    ///     ],
    ///     dynamic: false,
    /// };
    /// let shape = schema.clone();
    /// let rows = (0..100i64, "red|green|dark (red|green)").prop_map(move |(id, colour)| {
    ///     Row::from_json(&shape, &json!({"id": id, "colour": colour, "vec": [0, 1]})).unwrap()
    /// });
    /// # let folder = tempfile::tempdir().unwrap();
    /// let test = DiffTest::new("colours", schema).rows(rows).cases(1);
    /// # test.simulated(SimulatedOptions::default()).regressions(folder.path()).run_blocking();
    /// ```
    pub fn rows(self, row: impl Strategy<Value = Row> + Send + Sync + 'static) -> DiffTest {
        DiffTest { rows: Some(row.sboxed()), ..self }
    }

    /// Fails on known issues of the engine as well; see `known-issues/`.
    pub fn strict(self) -> DiffTest {
        DiffTest { strict: true, ..self }
    }

    /// Keeps findings in this folder in place of the project's `difftest-regressions`; in a folder
    /// of the test's name in any case.
    pub fn regressions(self, folder: impl Into<PathBuf>) -> DiffTest {
        DiffTest { regressions: Some(folder.into()), ..self }
    }

    /// Runs the test.
    ///
    /// # Panics
    /// If it finds something, proves nothing, or cannot be run; the message says all there is to
    /// know.
    #[track_caller]
    pub fn run(self) -> impl Future<Output = Report> + Send {
        let caller = Location::caller();
        async move {
            match self.try_run().await {
                Ok(report) => report,
                Err(error) => panic!("{caller}: {error}"),
            }
        }
    }

    /// The same in a test that is not asynchronous.
    ///
    /// # Panics
    /// As [`run`](Self::run) does, and inside of an asynchronous runtime.
    #[track_caller]
    pub fn run_blocking(self) -> Report {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let outcome = runtime
            .map_err(DiffTestError::Runtime)
            .and_then(|runtime| runtime.block_on(self.try_run()));
        match outcome {
            Ok(report) => report,
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs the test without a panic.
    ///
    /// # Errors
    /// If it finds something, proves nothing, or cannot be run.
    pub async fn try_run(self) -> Result<Report, DiffTestError> {
        let environment = |name: &str| Some(std::env::var_os(name)?.to_string_lossy().into_owned());
        Plan::of(self, &environment)?.run().await
    }
}
