//! The command line: one file a subcommand.

mod args;
mod attach;
mod bisect;
mod compare;
mod config;
mod corpus;
mod count;
mod coverage;
mod engines;
mod exit;
mod explain;
mod export;
mod filters;
mod fuzz;
mod gate;
mod info;
mod input;
mod journal;
mod live;
mod matrix;
mod merge;
mod query;
mod replay;
mod report;
mod sample;
mod selftest;
mod setup;
mod shell;
mod shrink;
mod start;

pub use exit::Exit;
pub use start::{command, main};
