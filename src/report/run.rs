//! A run, added up from its records: what every output after a run is made of.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use super::events::Record;
use super::gate;
use crate::campaign::{Event, Progress, Summary};
use crate::finding::Finding;
use crate::oracle::Oracle;
use crate::verdict::Tally;

/// Moments into which a run is cut at most to show its pace.
const MOMENTS: usize = 60;
/// How long a moment is at first, in seconds; it is doubled as often as a run needs.
const FIRST_MOMENT: f64 = 0.25;

/// A run on one engine or on several side by side.
#[derive(Debug, Clone)]
pub struct Run {
    /// The engines, in the order in which they began.
    pub sides: Vec<Side>,
    /// When the last record was made, in seconds since the run began.
    pub seconds: f64,
    /// How long each moment of [`Side::pace`] is, in seconds.
    pub moment: f64,
}

/// One engine's part of a run.
#[derive(Debug, Clone, Default)]
pub struct Side {
    /// What the engine is called in the run.
    pub target: String,
    /// The figures.
    pub summary: Summary,
    /// The folder of each finding, by its shape.
    pub folders: HashMap<String, PathBuf>,
    /// Why checks of an oracle were inconclusive, and how often.
    pub doubts: BTreeMap<Oracle, BTreeMap<String, u64>>,
    /// The verdicts of each moment of the run, those included that a resumed run gives again;
    /// there may have been none in the last moments.
    pub pace: Vec<Tally>,
    /// When the engine was started again, in seconds since the run began, and why.
    pub restarts: Vec<(f64, String)>,
    /// Whether the records go on to the end of the campaign.
    pub finished: bool,
    /// Of a run that was killed and resumed, what counts.
    progress: Progress,
}

/// How a run ended, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Enough was checked, and nothing diverged.
    Clean,
    /// Nothing diverged, and too little was proven for that to mean anything.
    Vacuous,
    /// There are findings, or divergences that were not looked into.
    Findings,
    /// The references disagree with each other.
    Conflict,
    /// The environment failed.
    Failed,
    /// It was interrupted.
    Interrupted,
    /// Its records stop before its end: it was killed, or still goes on.
    Unfinished,
}

impl Default for Run {
    fn default() -> Run {
        Run { sides: Vec::new(), seconds: 0.0, moment: FIRST_MOMENT }
    }
}

impl Run {
    /// Adds up the records of a run.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Run {
        let mut run = Run::default();
        records.into_iter().for_each(|record| run.add(record));
        run.whole()
    }

    /// Adds up records as they are read.
    ///
    /// # Errors
    /// The first that is met.
    pub fn read<E>(records: impl IntoIterator<Item = Result<Record, E>>) -> Result<Run, E> {
        let mut run = Run::default();
        records.into_iter().try_for_each(|record| record.map(|record| run.add(&record)))?;
        Ok(run.whole())
    }

    fn add(&mut self, record: &Record) {
        self.seconds = self.seconds.max(record.seconds);
        while self.seconds / self.moment >= MOMENTS as f64 {
            self.moment *= 2.0;
            self.sides.iter_mut().for_each(Side::slow_down);
        }
        let known = self.sides.iter().position(|side| side.target == record.target);
        let at = known.unwrap_or_else(|| {
            self.sides.push(Side { target: record.target.clone(), ..Side::default() });
            self.sides.len() - 1
        });
        let moment = (record.seconds / self.moment) as usize;
        if let Some(side) = self.sides.get_mut(at) {
            side.add(record, moment.min(MOMENTS));
        }
    }

    fn whole(mut self) -> Run {
        for side in &mut self.sides {
            side.summary = side.progress.summary();
            side.finished = side.progress.is_ended();
        }
        self
    }

    /// The worst of its sides' ends; a run without any proves nothing.
    pub fn end(&self) -> End {
        self.sides.iter().map(Side::end).max().unwrap_or(End::Vacuous)
    }

    /// All findings, each with the engine that it is of.
    pub fn findings(&self) -> impl Iterator<Item = (&Side, &Finding)> {
        self.sides.iter().flat_map(|side| side.summary.findings.iter().map(move |f| (side, f)))
    }
}

impl Side {
    fn add(&mut self, record: &Record, moment: usize) {
        let at = Duration::try_from_secs_f64(record.seconds).unwrap_or_default();
        self.progress.add(&record.event, at);
        match &record.event {
            Event::Checked { oracle, kind, doubt, .. } => {
                if self.pace.len() <= moment {
                    self.pace.resize(moment + 1, Tally::default());
                }
                if let Some(tally) = self.pace.get_mut(moment) {
                    kind.count(tally);
                }
                if let Some(doubt) = doubt {
                    let doubts = self.doubts.entry(*oracle).or_default();
                    *doubts.entry(doubt.to_string()).or_default() += 1;
                }
            }
            Event::Found(finding) => {
                let folder = record.folder.clone().map(|folder| (finding.shape.clone(), folder));
                self.folders.extend(folder);
            }
            Event::Restarted { reason, .. } => {
                self.restarts.push((record.seconds, reason.clone()));
            }
            Event::Replayed(replayed) => {
                let restarts = replayed.restarts.iter();
                self.restarts.extend(restarts.map(|reason| (record.seconds, reason.clone())));
            }
            _ => {}
        }
    }

    /// Makes one moment of two.
    fn slow_down(&mut self) {
        let both = |pair: &[Tally]| {
            pair.iter().fold(Tally::default(), |a, b| Tally {
                pass: a.pass + b.pass,
                divergence: a.divergence + b.divergence,
                known: a.known + b.known,
                inconclusive: a.inconclusive + b.inconclusive,
                unsupported: a.unsupported + b.unsupported,
            })
        };
        self.pace = self.pace.chunks(2).map(both).collect();
    }

    /// How it ended.
    pub fn end(&self) -> End {
        let Summary { interrupted, error, .. } = &self.summary;
        if !self.finished {
            End::Unfinished
        } else if *interrupted {
            End::Interrupted
        } else if error.is_some() {
            End::Failed
        } else if self.summary.has_conflicts() {
            End::Conflict
        } else if self.summary.has_findings() {
            End::Findings
        } else if self.summary.is_vacuous() {
            End::Vacuous
        } else {
            End::Clean
        }
    }

    /// How it ended, in a sentence.
    pub fn sentence(&self) -> String {
        let own = self.own_sentence();
        match &self.summary.corpus {
            None => own,
            Some(corpus) => format!("{own} Corpus: {}.", gate::counts(corpus)),
        }
    }

    fn own_sentence(&self) -> String {
        let summary = &self.summary;
        let checks = counted(summary.verdicts.total(), "check", "checks");
        match self.end() {
            End::Clean if summary.is_corpus_alone() => "Nothing wrong was found.".to_owned(),
            End::Clean => format!(
                "Nothing wrong was found: {} of {checks} passed{}.",
                summary.verdicts.pass,
                match summary.verdicts.known {
                    0 => String::new(),
                    known => format!(", {known} failed as known issues say"),
                }
            ),
            End::Vacuous => self.proves_nothing(),
            End::Findings => {
                let findings = summary.findings.len() as u64;
                let findings = counted(findings, "distinct finding", "distinct findings");
                match summary.unexplored {
                    0 if summary.is_corpus_alone() => "The corpus has changed.".to_owned(),
                    0 => format!("{findings} in {checks}."),
                    more => format!(
                        "{findings} in {checks}, and {} that could not be looked into in time.",
                        counted(more, "divergence", "divergences")
                    ),
                }
            }
            End::Conflict => "The references disagree with each other. This is a defect of \
                              milvus-difftest, not of Milvus; please report it."
                .to_owned(),
            End::Failed => format!(
                "The run ended early: {}",
                summary.error.as_deref().and_then(|e| e.lines().next()).unwrap_or_default()
            ),
            End::Interrupted => format!("The run was interrupted after {checks}."),
            End::Unfinished => format!(
                "The records stop before the end of the run, after {checks}: it was killed, or \
                 still goes on."
            ),
        }
    }

    /// What there is to say of a run that is vacuous, findings or not.
    pub(super) fn proves_nothing(&self) -> String {
        match self.summary.verdicts.total() {
            _ if self.summary.is_corpus_vacuous() => {
                "This run proves nothing: of no case of the corpus can anything be said.".to_owned()
            }
            0 if self.summary.corpus.is_some() => {
                "This run proves nothing beyond the corpus: no other check was made.".to_owned()
            }
            0 => "This run proves nothing: no check was made.".to_owned(),
            total => format!(
                "This run proves nothing: of {} {:.0} % were rejected, unsupported or \
                 inconclusive.",
                counted(total, "check", "checks"),
                100.0 * self.summary.unproven_share()
            ),
        }
    }

    /// The case file of a finding, if its folder is known.
    pub fn case_file(&self, finding: &Finding) -> Option<PathBuf> {
        self.folders.get(&finding.shape).map(|folder| folder.join("case.json"))
    }
}

/// A number of things.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

impl End {
    /// In a word or two.
    pub fn word(self) -> &'static str {
        match self {
            End::Clean => "clean",
            End::Vacuous => "proves nothing",
            End::Findings => "findings",
            End::Conflict => "references disagree",
            End::Failed => "failed",
            End::Interrupted => "interrupted",
            End::Unfinished => "unfinished",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::Kind;

    fn checked(seconds: f64, target: &str) -> Record {
        let event = Event::Checked {
            case: 0,
            oracle: Oracle::Reference,
            kind: Kind::Pass,
            doubt: None,
            selective: None,
            class: None,
            model_alone: false,
            known: Vec::new(),
        };
        Record { seconds, target: target.to_owned(), event, folder: None }
    }

    #[test]
    fn moments_grow_with_the_run_and_lose_nothing() {
        let records: Vec<Record> = (0..1000)
            .map(|i| checked(f64::from(i) / 10.0, if i < 900 { "a" } else { "b" }))
            .collect();
        let run = Run::of(&records);
        assert_eq!((run.moment, run.seconds), (2.0, 99.9));
        let totals = |side: &Side| side.pace.iter().map(Tally::total).collect::<Vec<_>>();
        assert_eq!(totals(&run.sides[0]), [20; 45]);
        assert_eq!(totals(&run.sides[1]), [[0; 45].as_slice(), &[20; 5]].concat());
    }

    /// A journal may have been edited, or be of another machine.
    #[test]
    fn times_that_make_no_sense_do_no_harm() {
        for seconds in [-1.0, f64::NAN, 1e300] {
            let run = Run::of(&[checked(0.0, "a"), checked(seconds, "a")]);
            assert_eq!(run.sides[0].pace.iter().map(Tally::total).sum::<u64>(), 2);
            assert!(run.sides[0].pace.len() <= MOMENTS + 1);
        }
    }
}
