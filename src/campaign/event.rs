//! What happens in a campaign: the single interface between it and every report.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::filter::grammar::Cell;
use crate::finding::Finding;
use crate::oracle::Oracle;
use crate::verdict::{Class, Doubt, Verdict};

/// Something that happened in a campaign.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// The campaign begins.
    Started {
        /// Every case follows from it.
        seed: u64,
        /// The engine, as it reported itself.
        engine: String,
        /// The reference database.
        backend: String,
        /// The dialect that the generator keeps to.
        dialect: String,
        /// The cells of the grammar that the dialect has.
        cells: BTreeSet<Cell>,
        /// Workers.
        jobs: usize,
    },
    /// A check was judged.
    Checked {
        /// By what.
        oracle: Oracle,
        /// How.
        kind: Kind,
        /// Why nothing could be said, for inconclusive checks.
        doubt: Option<Doubt>,
        /// Whether its filter selects some of the rows and not all; `None` for checks without a
        /// filter or without an answer.
        selective: Option<bool>,
        /// The class, for divergences.
        class: Option<Class>,
        /// Whether the model judged it alone, because no reference database can express it.
        model_alone: bool,
        /// The known issues that explain a divergence fully, by their titles.
        known: Vec<String>,
    },
    /// How many checks of a case were left out because known issues bear on their answers, and how
    /// many of those were kept.
    Steered {
        /// Left out.
        dropped: u64,
        /// Kept.
        kept: u64,
    },
    /// A divergence, counted as one before, turned out to be known when it was small.
    Recognised {
        /// What had judged it.
        oracle: Oracle,
        /// The issues, by their titles.
        titles: Vec<String>,
    },
    /// The case of a known issue passes on this engine.
    Fixed {
        /// The title.
        title: String,
    },
    /// All checks of a case were judged.
    CaseDone {
        /// Its number.
        number: u64,
        /// A hash of the case's file.
        digest: u64,
        /// How many of its checks touch each cell of the grammar.
        cells: BTreeMap<Cell, u64>,
    },
    /// A new finding, shrunk.
    Found(Box<Finding>),
    /// One more divergence of a shape that is known.
    Repeated {
        /// The finding's shape.
        shape: String,
    },
    /// A divergence of a new shape for which there was no time left. It is in the same campaign
    /// with more time.
    Unexplored,
    /// A divergence went away while it was looked into; it is not reported.
    Unstable {
        /// What it was.
        what: String,
    },
    /// The engine was started again.
    Restarted {
        /// What had happened to it.
        reason: String,
    },
    /// The campaign ends.
    Finished {
        /// How long it took.
        elapsed: Duration,
        /// Whether it was interrupted.
        interrupted: bool,
        /// What ended it before its budget.
        error: Option<String>,
    },
}

/// A verdict without its particulars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// See [`Verdict::Pass`].
    Pass,
    /// See [`Verdict::Divergence`].
    Divergence,
    /// A divergence that known issues explain fully.
    Known,
    /// See [`Verdict::Inconclusive`].
    Inconclusive,
    /// See [`Verdict::Unsupported`].
    Unsupported,
}

impl From<&Verdict> for Kind {
    fn from(verdict: &Verdict) -> Kind {
        match verdict {
            Verdict::Pass { .. } => Kind::Pass,
            Verdict::Divergence(_) => Kind::Divergence,
            Verdict::Inconclusive(_) => Kind::Inconclusive,
            Verdict::Unsupported(_) => Kind::Unsupported,
        }
    }
}
