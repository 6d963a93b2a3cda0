//! What people and programs read of a run, each a consumer of its events that changes nothing: the
//! terminal, the summary file, the file of events, the folders of findings, and what continuous
//! integration and browsers show. Beside them, what a single filter means.

pub mod bisect;
pub mod corpus;
pub mod coverage;
pub mod events;
pub mod explanation;
pub mod finding;
pub mod gate;
pub mod github;
pub mod html;
pub mod junit;
pub mod markdown;
pub mod matrix;
pub mod output;
pub mod rows;
pub mod run;
pub mod sarif;
pub mod summary;
pub mod terminal;
