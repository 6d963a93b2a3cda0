//! An event with where and when it happened.

use std::path::PathBuf;

use crate::campaign::Event;

/// An event with where and when it happened.
#[derive(Debug, Clone)]
pub struct Record {
    /// When, in seconds since the run began.
    pub seconds: f64,
    /// What the engine is called in this run.
    pub target: String,
    /// What happened.
    pub event: Event,
    /// The folder of a finding, if it could be written.
    pub folder: Option<PathBuf>,
}
