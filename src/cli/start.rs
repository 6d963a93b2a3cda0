//! From the arguments to an exit code.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

use super::args::{Cli, Command};
use super::exit::Exit;
use super::{
    attach, bisect, compare, corpus, count, coverage, engines, explain, export, filters, fuzz,
    gate, info, matrix, merge, query, replay, report, sample, selftest, shell, shrink,
};

/// The command line as clap knows it, for help texts and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; a closed pipe is none either.
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Clean };
            let _ = error.print();
            return code.into();
        }
    };
    let level = match (cli.quiet, cli.verbose) {
        (true, _) => "error",
        (_, 0) => "warn",
        (_, 1) => "info",
        (_, 2) => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("error,milvus_difftest={level}")));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("cannot start threads: {error}"));
            return Exit::Environment.into();
        }
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Fuzz(args) => fuzz::run(*args, cli.quiet).await,
            Command::Gate(args) => gate::run(*args, cli.quiet).await,
            Command::Merge(args) => merge::run(&args),
            Command::Replay(args) => replay::run(args, cli.quiet).await,
            Command::Shrink(args) => shrink::run(*args, cli.quiet).await,
            Command::Report(args) => report::run(&args),
            Command::Bisect(args) => bisect::run(*args, cli.quiet).await,
            Command::Matrix(args) => matrix::run(args, cli.quiet).await,
            Command::Corpus(command) => corpus::run(command, cli.quiet).await,
            Command::Selftest(args) => selftest::run(args).await,
            Command::Coverage(args) => coverage::run(&args),
            Command::Engines(command) => engines::run(command, cli.quiet).await,
            Command::Explain(args) => explain::run(args).await,
            Command::Attach(args) => attach::run(args, cli.quiet).await,
            Command::Compare(args) => compare::run(args, cli.quiet).await,
            Command::Query(args) => query::run(args).await,
            Command::Count(args) => count::run(args).await,
            Command::Sample(args) => sample::run(args).await,
            Command::Export(args) => export::run(args).await,
            Command::Filters(args) => filters::run(args).await,
            Command::Info(args) => info::run(args).await,
            Command::Shell(args) => shell::run(args).await,
        }
    });
    // A blocking call of a worker must not hold up the end.
    runtime.shutdown_background();
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            complain(&failure.message);
            failure.exit.into()
        }
    }
}

fn complain(message: &str) {
    note(format_args!("error: {message}"));
}

/// A line of the result, on stdout. Whoever closes the pipe has read enough.
pub fn say(text: impl Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A line beside the result, on stderr.
pub fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// What ends a command early: a paragraph for the user and an exit code.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    pub fn new(exit: Exit, message: impl ToString) -> Failure {
        Failure { exit, message: message.to_string() }
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    pub fn exit(&self) -> Exit {
        self.exit
    }

    pub fn usage(message: impl ToString) -> Failure {
        Failure::new(Exit::Usage, message)
    }

    pub fn environment(message: impl ToString) -> Failure {
        Failure::new(Exit::Environment, message)
    }
}
