//! Random cases, as proptest strategies.
//!
//! [`case`] is a pure function of a seed, a number and a dialect: the same on every machine,
//! whatever the number of workers or the time limit.

mod aliases;
mod boundary;
mod case;
mod fields;
mod filter;
mod history;
mod mutate;
mod partitions;
mod relations;
mod rows;
mod schema;
mod searches;
mod weights;

pub use case::{FILTERS, Options, case, case_with, cases};
pub use filter::{MAX_DEPTH, filters};
pub use mutate::mutant;
pub use rows::rows;
pub use schema::schemas;
pub use weights::{WeightError, Weights};
