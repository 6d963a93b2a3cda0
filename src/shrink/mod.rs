//! Making a diverging case minimal.
//!
//! proptest generates; this reducer shrinks. Proptest's own shrinking walks one candidate at a time
//! and cannot keep the class of a divergence; here every round lists all one-step reductions and
//! takes the smallest that still diverges in the same way, until none does.

mod filter;
mod reduce;
mod rows;
mod size;
mod stand_in;
mod together;
mod value;

pub use reduce::{Budget, Probe, Shrunk, candidates, shrink};
pub use size::{Size, size};
