//! A test of a schema of one's own, in the project's own test suite.
//!
//! ```no_run,test_harness
//! use milvus_difftest::difftest::DiffTest;
//! use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
//!
//! #[tokio::test]
//! async fn products() {
//!     let schema = Schema {
//!         fields: vec![
//!             Field::new("id", DataType::Scalar(Scalar::Int64)).primary(),
//!             Field::new("price", DataType::Scalar(Scalar::Double)).nullable(),
//!             Field::new("vec", DataType::FloatVector { dim: 2 }),
//!         ],
//!         dynamic: true,
//!     };
//!     DiffTest::new("products", schema).cases(20).weight("like", 0.2).run().await;
//! }
//! ```
//!
//! A run first replays what it has found before, then generates new cases. At the first finding it
//! shrinks that, keeps it, and panics with the whole of it. It panics as well if what was asked
//! proves nothing. Each test starts an engine of its own and shares nothing with the others, in
//! threads or, under nextest, in processes.
//!
//! # Regressions
//!
//! A finding is kept below the project's folder (`CARGO_MANIFEST_DIR` while the test runs, else the
//! current folder) in `difftest-regressions/NAME/`, in a folder with a README, the case, and a
//! reproduction with pymilvus; see [`crate::report::finding`]. Commit it, and every run on every
//! machine asks that case first: while it fails, the test does. Any `case.json` put there is asked,
//! one written by hand too. A finding is forgotten by removing its folder.
//!
//! # The environment
//!
//! Whoever runs the tests says how long and with which seed, and these win over the code:
//!
//! | variable | for |
//! |---|---|
//! | `MILVUS_DIFFTEST_CASES`, `MILVUS_DIFFTEST_TIME` | how many cases, how long; either replaces [`DiffTest::cases`] and [`DiffTest::time`] both |
//! | `MILVUS_DIFFTEST_FILTERS` | filters a case |
//! | `MILVUS_DIFFTEST_SEED` | the seed, which is random otherwise |
//! | `MILVUS_DIFFTEST_STRICT` | no known issues |
//!
//! Whoever writes a test may name its engine; if they do not, these do:
//!
//! | variable | for |
//! |---|---|
//! | `MILVUS_DIFFTEST_ENGINE` | an engine that is installed and started, as for the command line |
//! | `MILVUS_DIFFTEST_TARGET`, `MILVUS_DIFFTEST_TOKEN` | one that runs already |

mod builder;
mod error;
mod plan;
mod run;
#[cfg(test)]
mod tests;
mod told;

pub use self::builder::DiffTest;
pub use self::error::{DiffTestError, Finding, Regression, Report};
/// The version of proptest whose strategies [`DiffTest::rows`] takes.
pub use ::proptest;
