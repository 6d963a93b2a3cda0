//! The command line: one file a subcommand.

mod args;
mod config;
mod coverage;
mod exit;
mod fuzz;
mod replay;
mod selftest;
mod setup;
mod start;

pub use exit::Exit;
pub use start::{command, main};
