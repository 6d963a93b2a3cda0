//! The vocabulary of judgement: verdicts and the classes of divergence.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::compare::Diff;
use crate::value::Key;

/// What came of one check.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// The target answered as the references do.
    Pass {
        /// How many rows matched.
        matched: usize,
        /// Who says so.
        judges: Judges,
    },
    /// The target answered differently, twice.
    Divergence(Box<Divergence>),
    /// The check proves nothing, and why.
    Inconclusive(Doubt),
    /// The engine's dialect lacks what the check is about.
    Unsupported(String),
}

/// Who knows the expected answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judges {
    /// The model and the reference database, which agree.
    Both,
    /// The model: the reference database cannot express the filter.
    ModelAlone,
    /// The target itself, asked in another way.
    Target,
}

/// Why a check proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// The documentation leaves the answer open.
    Undefined(String),
    /// The target answered wrongly, and otherwise when it was asked again.
    Unrepeatable(String),
    /// What the check is about was not proven to have happened.
    Unproven(String),
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::Undefined(reason) | Doubt::Unrepeatable(reason) | Doubt::Unproven(reason) => {
                f.write_str(reason)
            }
        }
    }
}

/// The kinds of divergence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Class {
    /// Rows that match were not returned.
    MissingRows,
    /// Rows that do not match were returned, or rows were returned twice.
    ExtraRows,
    /// A value came back other than it was written.
    WrongValue,
    /// `count(*)`, or the number of rows on a page, is off.
    WrongCount,
    /// A valid filter or write was refused.
    WronglyRejected,
    /// An invalid filter was accepted.
    WronglyAccepted,
    /// The engine died.
    Crash,
    /// The engine did not answer in time.
    Hang,
    /// Two ways of asking the same engine disagree.
    SelfInconsistent,
    /// The references disagree with each other: a defect of this tool, never blamed on Milvus.
    ReferenceConflict,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A difference between the target and the references.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Divergence {
    /// Its kind.
    pub class: Class,
    /// What the references agree on.
    pub expected: Expected,
    /// What the target did.
    pub actual: Actual,
    /// Who says what was expected.
    pub judges: Judges,
}

/// What the references agree on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// These rows match.
    Rows(Vec<Key>),
    /// So many rows match.
    Count(u64),
    /// The write is accepted.
    Accepted,
    /// A step that changes no answer is carried out, or refused, and the collection is loaded then.
    CarriedOut,
    /// The filter is refused.
    Refused,
    /// All ways of asking agree.
    Agreement,
}

/// What the target did.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actual {
    /// It answered with other rows or values.
    Differs {
        /// The keys in its answer, in its order.
        keys: Vec<Key>,
        /// How they differ.
        #[serde(with = "crate::compare::typed")]
        diff: Diff,
    },
    /// It counted so many.
    Count(u64),
    /// It answered with these rows what it should have refused.
    Rows(Vec<Key>),
    /// It answered with an error.
    Error(String),
    /// It answered differently, depending on how it was asked.
    Ways(Vec<Way>),
}

/// One way of asking, and the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Way {
    /// In words.
    pub what: String,
    /// The filter that was sent, if there was one.
    pub filter: Option<String>,
    /// What came.
    pub answer: Answer,
}

/// What the target answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// These rows, sorted by key; a key more than once if it came so.
    Rows(Vec<Key>),
    /// So many rows.
    Count(u64),
}

impl Expected {
    /// Whether it is about a step of the history, whatever is asked after it.
    pub fn is_of_history(&self) -> bool {
        matches!(self, Expected::Accepted | Expected::CarriedOut)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expected::Rows(keys) => write_keys(f, keys),
            Expected::Count(count) => write!(f, "{count} rows"),
            Expected::Accepted => f.write_str("accepted"),
            Expected::CarriedOut => f.write_str("carried out"),
            Expected::Refused => f.write_str("refused"),
            Expected::Agreement => f.write_str("the same either way"),
        }
    }
}

impl fmt::Display for Actual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actual::Differs { keys, diff } => {
                write_keys(f, keys)?;
                write!(f, " ({diff})")
            }
            Actual::Count(count) => write!(f, "{count} rows"),
            Actual::Rows(keys) => write_keys(f, keys),
            Actual::Error(error) => f.write_str(error),
            Actual::Ways(ways) => {
                for (i, way) in ways.iter().enumerate() {
                    let separator = if i > 0 { "; " } else { "" };
                    write!(f, "{separator}{}: ", way.what)?;
                    match &way.answer {
                        Answer::Rows(keys) => write_keys(f, keys)?,
                        Answer::Count(count) => write!(f, "{count} rows")?,
                    }
                }
                Ok(())
            }
        }
    }
}

fn write_keys(f: &mut fmt::Formatter<'_>, keys: &[Key]) -> fmt::Result {
    const SHOWN: usize = 10;
    match keys {
        [] => f.write_str("no row"),
        keys => {
            let shown: Vec<String> = keys.iter().take(SHOWN).map(Key::to_string).collect();
            let more = if keys.len() > SHOWN { ", …" } else { "" };
            let rows = if keys.len() == 1 { "row" } else { "rows" };
            write!(f, "{rows} {}{more}", shown.join(", "))
        }
    }
}

/// How often each verdict was given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Checks that passed.
    pub pass: u64,
    /// Checks that diverged, and are not known.
    pub divergence: u64,
    /// Checks that diverged as known issues predict.
    #[serde(default)]
    pub known: u64,
    /// Checks that proved nothing.
    pub inconclusive: u64,
    /// Checks that the dialect rules out.
    pub unsupported: u64,
}

impl Tally {
    /// All checks.
    pub fn total(&self) -> u64 {
        self.pass + self.divergence + self.known + self.inconclusive + self.unsupported
    }
}
