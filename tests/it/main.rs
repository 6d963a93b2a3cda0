//! Tests through the public interface, with real engines.

mod conflict;
mod engine;
mod properties;
mod sample_repro;
