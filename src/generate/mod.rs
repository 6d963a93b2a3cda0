//! Random cases, as proptest strategies.
//!
//! [`case`] is a pure function of a seed, a number and a dialect: the same on every machine,
//! whatever the number of workers or the time limit.

mod boundary;
mod case;
mod filter;
mod rows;
mod schema;
mod spelling;

pub use case::{case, cases};
pub use filter::filters;
pub use rows::rows;
pub use schema::schemas;
