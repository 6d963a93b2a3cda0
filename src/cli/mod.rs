//! The command line: one file a subcommand.

mod args;
mod config;
mod corpus;
mod coverage;
mod engines;
mod exit;
mod explain;
mod fuzz;
mod input;
mod matrix;
mod replay;
mod selftest;
mod setup;
mod start;

pub use exit::Exit;
pub use start::{command, main};
