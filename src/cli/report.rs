//! `report`: what a run came to, in another form.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use super::exit::Exit;
use super::journal::{JOURNAL, failure};
use super::start::{Failure, note, say};
use crate::report::events::Reader;
use crate::report::output::Format;
use crate::report::run::Run;

#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// The folder of a run, or a file that `fuzz --events` wrote
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// The form
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub format: Form,
    /// Write to this file [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// A report that `fuzz` writes: FORMAT=FILE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportTo {
    format: Format,
    pub file: PathBuf,
}

impl FromStr for ReportTo {
    type Err = String;

    fn from_str(text: &str) -> Result<ReportTo, String> {
        let (name, file) = text.split_once('=').unwrap_or((text, ""));
        let Ok(format) = Format::from_str(name, false) else {
            let all = Format::value_variants().iter().filter_map(Format::to_possible_value);
            let all: Vec<String> = all.map(|value| value.get_name().to_owned()).collect();
            return Err(format!("a report is FORMAT=FILE, with a FORMAT of {}", all.join(", ")));
        };
        if file.is_empty() {
            return Err(format!("it names no file; write it as {name}=FILE"));
        }
        Ok(ReportTo { format, file: file.into() })
    }
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
    let file = if args.run.is_dir() { args.run.join(JOURNAL) } else { args.run.clone() };
    let (run, torn) = read(&file)?;
    if torn {
        note(format_args!("the last line of {} was cut off and is left out", file.display()));
    }
    let text = match args.format {
        Form::Events => lines(&file)?,
        Form::Of(format) => rendered(format, &run)?,
    };
    match &args.out {
        Some(path) => write(path, &text)?,
        None => say(text.trim_end()),
    }
    Ok(Exit::Clean)
}

/// The reports that `fuzz` was asked for, of the run in a folder.
pub fn write_all(reports: &[ReportTo], folder: &Path) -> Result<(), Failure> {
    if reports.is_empty() {
        return Ok(());
    }
    let (run, _) = read(&folder.join(JOURNAL))?;
    reports.iter().try_for_each(|to| write(&to.file, &rendered(to.format, &run)?))
}

/// The run that a file of events is of, and whether its last line was cut off.
fn read(file: &Path) -> Result<(Run, bool), Failure> {
    let mut reader = Reader::open(file).map_err(failure)?;
    let run = Run::read(reader.by_ref()).map_err(failure)?;
    Ok((run, reader.is_torn()))
}

/// Its whole lines.
fn lines(file: &Path) -> Result<String, Failure> {
    let mut text = std::fs::read_to_string(file).map_err(|error| {
        Failure::environment(format!("cannot read {}: {error}", file.display()))
    })?;
    text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
    Ok(text)
}

/// A run in some form, with paths as they are seen from the working directory.
fn rendered(format: Format, run: &Run) -> Result<String, Failure> {
    let folder = std::env::current_dir().unwrap_or_default();
    format.render(run, &folder).map_err(Failure::environment)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .map_err(|error| Failure::environment(format!("cannot write {}: {error}", path.display())))
}
