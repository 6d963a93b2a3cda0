//! From observations to a verdict: one file an oracle. Each says when it applies, and when it must
//! say "inconclusive".

pub(crate) mod ask;
mod consistency;
mod counts;
mod kind;
pub(crate) mod maintenance;
pub(crate) mod paging;
mod partition;
mod projection;
pub(crate) mod reference;
pub(crate) mod relation;
mod rewrite;
pub(crate) mod search;
mod template;

pub(crate) use search::{firsts, scores};

pub use kind::{Oracle, UnknownOracle};
