//! Tests through the public interface and the built binary, with real and simulated engines.

mod bad_input;
mod campaign;
mod clickhouse;
mod columns;
mod conflict;
mod containers;
mod corpus;
mod coverage;
mod embedded;
mod engine;
mod engines;
mod evaluation;
mod exit;
mod explain;
mod help;
mod keeping;
mod known;
mod matrix;
mod parser;
mod parser_random;
mod properties;
mod sample_repro;
mod secrets;
mod selftest;
mod semantics;
mod support;
