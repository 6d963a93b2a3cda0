//! From observations to a verdict: one file an oracle. Each says when it applies, and when it must
//! say "inconclusive".

mod kind;
pub(crate) mod reference;

pub use kind::{Oracle, UnknownOracle};
