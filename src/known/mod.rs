//! Known issues: departures of an engine from the documentation that are on record, and whether
//! they explain a divergence fully.
//!
//! An issue is tolerated only where it reproduces precisely what the engine answered: the model
//! with the issue's switches turned gives the same rows with the same values, the same count, or
//! the same refusal. Whatever it does not reproduce is a new finding.

mod explain;
mod file;
mod predict;

pub use file::{Cause, Issue, KnownError, KnownIssues};
