//! Exit codes: public, documented, tested.

use std::process::ExitCode;

/// How a command ended. The numbers are promised; scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Something was checked and nothing diverged.
    Clean = 0,
    /// There are findings.
    Findings = 1,
    /// The options, the configuration or a case file are wrong.
    Usage = 2,
    /// The engine, Python, the network or the disk failed.
    Environment = 3,
    /// Nothing, or too little, was checked.
    Vacuous = 4,
    /// The references disagree with each other: a defect of this tool.
    Conflict = 5,
    /// `bisect`: the versions at both ends are alike.
    Unchanged = 6,
    /// Interrupted by Ctrl-C or SIGTERM.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// What the table in the help text of the whole program has beside.
pub(super) const BISECT: &str = "    6  of `bisect`: both ends of the range are alike";

/// The table in the help text.
pub(super) const HELP: &str = "\
Exit codes:
    0  something was checked and nothing diverged
    1  there are findings
    2  wrong options, configuration or case file
    3  the environment failed: engine, Python, network or disk
    4  vacuous: no check ran, or more than half were rejected, unsupported or inconclusive
    5  the references disagree: a defect of this tool, please report it
  130  interrupted; the summary is printed and findings are kept";
