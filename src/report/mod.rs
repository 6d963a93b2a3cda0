//! What people read: the terminal, the summary file, the file of events, the folders of findings.
//! Each is a consumer of a campaign's events, and changes nothing. Beside them, what a single filter
//! means.

pub mod corpus;
pub mod coverage;
pub mod events;
pub mod explanation;
pub mod finding;
pub mod matrix;
pub mod rows;
pub mod summary;
pub mod terminal;
