//! What happens in a campaign: the single interface between it and every report.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::gate::Replayed;
use crate::apply::Steps;
use crate::filter::grammar::Cell;
use crate::finding::Finding;
use crate::oracle::Oracle;
use crate::verdict::{Class, Doubt, Tally, Verdict};

/// Something that happened in a campaign.
///
/// Serialised, it is what docs/events.md promises.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
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
    /// The campaign goes on after it was interrupted or killed. Cases that were begun and are not
    /// settled do not count, see [`Progress`](super::Progress); they are begun again.
    Resumed {
        /// How long it had taken before.
        #[serde(with = "seconds")]
        elapsed: Duration,
        /// Workers, from here on.
        jobs: usize,
    },
    /// The cases of a corpus are replayed, before there are others.
    Gate {
        /// How many.
        cases: usize,
        /// Whether there are no others.
        alone: bool,
        /// Whether one that is fixed fails the campaign.
        deny_fixed: bool,
    },
    /// A case of a corpus was replayed.
    Replayed(Box<Replayed>),
    /// A check was judged.
    Checked {
        /// The number of its case.
        case: u64,
        /// By what.
        oracle: Oracle,
        /// How.
        #[serde(rename = "verdict")]
        kind: Kind,
        /// Why nothing could be said, for inconclusive checks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        doubt: Option<Doubt>,
        /// Whether its filter selects some of the rows and not all; `None` for checks without a
        /// filter or without an answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        selective: Option<bool>,
        /// The class, for divergences.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<Class>,
        /// Whether the model judged it alone, because no reference database can express it.
        model_alone: bool,
        /// The known issues that explain a divergence fully, by their titles.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        known: Vec<String>,
    },
    /// How many checks of a case were left out because known issues bear on their answers, and how
    /// many of those were kept.
    Steered {
        /// The number of the case.
        case: u64,
        /// Left out.
        dropped: u64,
        /// Kept.
        kept: u64,
    },
    /// A divergence, counted as one before, turned out to be known when it was small.
    Recognised {
        /// The number of its case.
        case: u64,
        /// What had judged it.
        oracle: Oracle,
        /// The issues, by their titles.
        #[serde(rename = "known")]
        titles: Vec<String>,
        /// The shape that it had before it was shrunk.
        seen_as: String,
    },
    /// The case of a known issue passes on this engine.
    Fixed {
        /// The title.
        #[serde(rename = "known")]
        title: String,
    },
    /// All checks of a case were judged, and their divergences looked into.
    CaseDone {
        /// Its number.
        #[serde(rename = "case")]
        number: u64,
        /// A hash of the case's file.
        #[serde(with = "hexadecimal")]
        digest: u64,
        /// The numbers of the cases that it grew from, the first first; none if from nothing.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        parents: Vec<u64>,
        /// How many of its checks touch each cell of the grammar.
        cells: BTreeMap<Cell, u64>,
        /// How many of those the engine refused.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        refused: BTreeMap<Cell, u64>,
        /// The combinations that it reached and none before had, as docs/events.md has them.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        reached: BTreeSet<String>,
        /// What became of the steps of maintenance in its history.
        #[serde(default, skip_serializing_if = "Steps::is_empty")]
        steps: Steps,
    },
    /// A divergence of a new shape, shrunk.
    Found(Box<Finding>),
    /// One more divergence of a shape that is known.
    Repeated {
        /// The number of its case.
        case: u64,
        /// The finding's shape.
        shape: String,
        /// The shape that it had before it was shrunk, or the finding's if it was not.
        seen_as: String,
    },
    /// A divergence of a new shape for which there was no time left. It is in the same campaign
    /// with more time.
    Unexplored {
        /// The number of its case.
        case: u64,
    },
    /// A divergence went away while it was looked into; it is not reported.
    Unstable {
        /// The number of its case.
        case: u64,
        /// What it was.
        what: String,
    },
    /// The engine was started again.
    Restarted {
        /// The number of the case that it was asked.
        case: u64,
        /// What had happened to it.
        reason: String,
    },
    /// The campaign ends.
    Finished {
        /// How long it took.
        #[serde(with = "seconds")]
        elapsed: Duration,
        /// Whether it was interrupted.
        interrupted: bool,
        /// What ended it before its budget.
        error: Option<String>,
    },
}

impl Event {
    /// What serialised events are called; of a newer release there may be others.
    pub const NAMES: [&str; 15] = [
        "started",
        "resumed",
        "gate",
        "replayed",
        "checked",
        "steered",
        "recognised",
        "fixed",
        "case_done",
        "found",
        "repeated",
        "unexplored",
        "unstable",
        "restarted",
        "finished",
    ];

    /// The number of the case that it is about; `None` if it is about the campaign.
    pub fn case(&self) -> Option<u64> {
        match self {
            Event::Checked { case, .. }
            | Event::Steered { case, .. }
            | Event::Recognised { case, .. }
            | Event::CaseDone { number: case, .. }
            | Event::Repeated { case, .. }
            | Event::Unexplored { case }
            | Event::Unstable { case, .. }
            | Event::Restarted { case, .. } => Some(*case),
            Event::Found(finding) => finding.number,
            Event::Started { .. }
            | Event::Resumed { .. }
            | Event::Gate { .. }
            | Event::Replayed(_)
            | Event::Fixed { .. }
            | Event::Finished { .. } => None,
        }
    }
}

/// A verdict without its particulars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

impl Kind {
    /// Counts one more of it.
    pub fn count(self, tally: &mut Tally) {
        *match self {
            Kind::Pass => &mut tally.pass,
            Kind::Divergence => &mut tally.divergence,
            Kind::Known => &mut tally.known,
            Kind::Inconclusive => &mut tally.inconclusive,
            Kind::Unsupported => &mut tally.unsupported,
        } += 1;
    }
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

/// 16 digits: JSON readers with doubles would round the number.
mod hexadecimal {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{number:016x}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

pub(super) mod seconds {
    use std::time::Duration;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(time.as_secs_f64())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
