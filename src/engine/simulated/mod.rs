//! An in-process Milvus that speaks the real protocol, backed by the crate's own evaluator:
//! correct unless told to misbehave.
//!
//! It shows that the harness can fail (each [`Fault`] must be found), and lets the whole path be
//! tested without a Milvus at hand. It never stands in for one when Milvus is to be judged.
//!
//! ```
//! use milvus_difftest::engine::simulated::{Fault, SimulatedMilvus, SimulatedOptions};
//! let faults = vec![Fault::DropLastMatch];
//! let engine = SimulatedMilvus::start(SimulatedOptions { faults, ..Default::default() })?;
//! assert!(engine.uri().starts_with("http://127.0.0.1:"));
//! engine.stop();
//! # Ok::<(), std::io::Error>(())
//! ```

mod alias;
mod codec;
mod collection;
mod disturbance;
mod fault;
mod field;
mod life;
mod node;
mod partition;
mod reply;
mod sabotage;
mod search;
mod server;
mod template;
mod write;

#[cfg(test)]
mod tests;

pub use disturbance::Disturbance;
pub use fault::{Fault, UnknownFault};
pub use server::{Freshness, SimulatedMilvus, SimulatedOptions, VERSION};
