//! Consumers of a campaign's events: the terminal, the summary file, the folders of findings.

pub mod finding;
pub mod summary;
pub mod terminal;
