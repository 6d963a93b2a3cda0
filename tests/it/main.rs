//! Tests through the public interface, with real engines.

mod engine;
mod sample_repro;
