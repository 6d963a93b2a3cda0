//! `report`: what a run came to, in another form.

use std::path::{Path, PathBuf};

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use super::exit::Exit;
use super::start::{Failure, note, say};
use crate::report::events::{self, read};
use crate::report::output::Format;
use crate::report::run::Run;

/// The file of events in the folder of a run.
const EVENTS: &str = "events.jsonl";

#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// The folder of a run, with its events.jsonl, or a file that `fuzz --events` wrote
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// The form
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub format: Form,
    /// Write to this file [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// A form of a run, or its events as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Of(Format),
    Events,
}

impl ValueEnum for Form {
    fn value_variants<'a>() -> &'a [Form] {
        &[
            Form::Of(Format::Text),
            Form::Of(Format::Html),
            Form::Of(Format::Junit),
            Form::Of(Format::Sarif),
            Form::Of(Format::Github),
            Form::Of(Format::Markdown),
            Form::Events,
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Form::Of(format) => format.to_possible_value(),
            Form::Events => Some(
                PossibleValue::new("jsonl").help("The events themselves, as far as they are whole"),
            ),
        }
    }
}

pub fn run(args: &ReportArgs) -> Result<Exit, Failure> {
    let file = if args.run.is_dir() { args.run.join(EVENTS) } else { args.run.clone() };
    let events = read(&file).map_err(Failure::usage)?;
    if events.torn {
        note(format_args!("the last line of {} was cut off and is left out", file.display()));
    }
    let text = match args.format {
        Form::Events => events::lines(&events.records).map_err(Failure::environment)?,
        Form::Of(format) => rendered(format, &Run::of(&events.records))?,
    };
    match &args.out {
        Some(path) => write(path, &text)?,
        None => say(text.trim_end()),
    }
    Ok(Exit::Clean)
}

/// A run in some form, with paths as they are seen from the working directory.
pub fn rendered(format: Format, run: &Run) -> Result<String, Failure> {
    let folder = std::env::current_dir().unwrap_or_default();
    format.render(run, &folder).map_err(Failure::environment)
}

pub fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .map_err(|error| Failure::environment(format!("cannot write {}: {error}", path.display())))
}
