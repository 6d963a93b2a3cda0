//! The forms in which a run can be written down, by their names.

use std::io;
use std::path::Path;

use clap::ValueEnum;

use super::run::{End, Run};
use super::{github, html, junit, markdown, sarif, terminal};

/// A form of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// What `fuzz` prints at its end
    Text,
    /// One page for browsers that needs nothing else
    Html,
    /// JUnit XML, for continuous integration
    Junit,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations of a workflow of GitHub Actions
    Github,
    /// A summary for a workflow's step, or a comment
    Markdown,
}

impl Format {
    /// The run in this form. `folder` is what the paths in SARIF are relative to.
    ///
    /// # Errors
    /// None in memory; those of the XML writer's interface.
    pub fn render(self, run: &Run, folder: &Path) -> io::Result<String> {
        Ok(match self {
            Format::Text => text(run),
            Format::Html => html::page(run),
            Format::Junit => junit::junit(run)?,
            Format::Sarif => sarif::sarif(run, folder),
            Format::Github => github::annotations(run),
            Format::Markdown => markdown::markdown(run),
        })
    }
}

fn text(run: &Run) -> String {
    let tables = run.sides.iter().map(|side| {
        let table = terminal::table(&side.summary, &side.folders);
        match side.end() {
            End::Clean | End::Findings => table,
            _ => format!("{table}{}\n", side.sentence()),
        }
    });
    tables.collect::<Vec<_>>().join("\n")
}
