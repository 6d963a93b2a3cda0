//! Random filters for a schema and its rows.
//!
//! `site` finds what filters can be about and which constants are near the data, `term` proposes
//! one predicate for one cell of the grammar (`time`, `spatial` and `elements`
//! those on TIMESTAMPTZ, GEOMETRY and arrays of structs), `compose` joins predicates into filters and writes
//! them in one of their spellings, and `mistyped` makes filters that must be refused.

mod chance;
mod compose;
mod elements;
pub(super) mod mistyped;
mod site;
mod spatial;
mod term;
mod time;

pub(super) use chance::Chance;
pub(super) use compose::Composer;
pub use compose::{MAX_DEPTH, filters};
