//! Tests through the public interface and the built binary, with real and simulated engines.

mod bad_input;
mod campaign;
mod ci;
mod clickhouse;
mod client;
mod columns;
mod conflict;
mod containers;
mod corpus;
mod coverage;
mod difftest;
mod embedded;
mod engine;
mod engines;
mod evaluation;
mod exit;
mod explain;
mod gate;
mod help;
mod journal;
mod keeping;
mod known;
mod live;
mod matrix;
mod oracles;
mod parser;
mod parser_random;
mod properties;
mod reports;
mod sample_repro;
mod secrets;
mod selftest;
mod semantics;
mod support;
#[cfg(target_os = "linux")]
mod trouble;
