//! The figures of a campaign, added up from its events.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::event::Event;
use super::feedback::Uses;
use super::gate::{Replayed, Standing};
use crate::apply::{Steps, in_general};
use crate::filter::grammar::Coverage;
use crate::finding::Finding;
use crate::generate::Weights;
use crate::oracle::Oracle;
use crate::verdict::{Class, Doubt, Tally};

/// What a campaign has come to so far.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// The seed.
    pub seed: u64,
    /// The engine, as it reported itself.
    pub engine: String,
    /// The reference database.
    pub backend: String,
    /// The dialect.
    pub dialect: String,
    /// Workers.
    pub jobs: usize,
    /// The corpus that was replayed before; `None` without any.
    pub corpus: Option<Corpus>,
    /// Cases judged whole.
    pub cases: u64,
    /// The sum of the hashes of these cases: equal for equal cases, in whatever order.
    pub cases_digest: u64,
    /// Which cells of the grammar were touched.
    pub coverage: Coverage,
    /// Verdicts.
    pub verdicts: Tally,
    /// The same by oracle.
    pub oracles: BTreeMap<Oracle, Tally>,
    /// Checks that the target refused to answer, among the divergences.
    pub refused: u64,
    /// Checks on which the references disagreed, among the divergences.
    pub conflicts: u64,
    /// Filters whose answer is known.
    pub filters: u64,
    /// Those of them that select some rows and not all.
    pub selective: u64,
    /// Why the documentation leaves the answer to checks open, and how often.
    pub undefined: BTreeMap<String, u64>,
    /// Why it was not proven that what checks are about happened, and how often.
    pub unproven: BTreeMap<String, u64>,
    /// What became of the steps of maintenance in histories.
    pub steps: Steps,
    /// Cases that grew from others.
    pub grown: u64,
    /// The combinations that were reached: of a cell of the grammar, the kind of index on what it
    /// is about, where the rows are, and how many of them match or how the engine failed.
    pub reached: BTreeSet<String>,
    /// How many checks touched each construct, and how many of them the engine refused.
    uses: Uses,
    /// Checks that the model judged alone, because SQL cannot express their filters.
    pub model_alone: u64,
    /// Wrong answers that were not given again.
    pub unrepeatable: u64,
    /// How often each known issue was met, by its title.
    pub known: BTreeMap<String, u64>,
    /// Known issues whose cases pass on this engine.
    pub fixed: Vec<String>,
    /// Checks that were left out because known issues bear on their answers.
    pub steered: u64,
    /// Checks on whose answers known issues bear, and that were kept.
    pub unsteered: u64,
    /// Distinct findings.
    pub findings: Vec<Finding>,
    /// More of shapes that are not among them yet: another worker is still shrinking the first.
    waiting: BTreeMap<String, u64>,
    /// Divergences of new shapes for which there was no time left.
    pub unexplored: u64,
    /// How often the engine was restarted.
    pub restarts: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// Whether it was interrupted.
    pub interrupted: bool,
    /// What ended it before its budget.
    pub error: Option<String>,
}

/// What a corpus has come to.
#[derive(Debug, Clone, Default)]
pub struct Corpus {
    /// How many cases it has.
    pub cases: usize,
    /// Whether no others were to be made.
    pub alone: bool,
    /// Whether a case that is fixed fails the campaign.
    pub deny_fixed: bool,
    /// Those that were replayed, in the order of their names.
    pub replayed: Vec<Replayed>,
}

impl Corpus {
    /// The cases of this standing.
    pub fn of(&self, standing: Standing) -> impl Iterator<Item = &Replayed> {
        self.replayed.iter().filter(move |replayed| replayed.standing == standing)
    }

    /// The cases that fail a campaign.
    pub fn failed(&self) -> impl Iterator<Item = &Replayed> {
        self.replayed.iter().filter(|replayed| self.fails(replayed))
    }

    /// Whether this case fails a campaign.
    pub fn fails(&self, replayed: &Replayed) -> bool {
        match replayed.standing {
            Standing::Changed => true,
            Standing::Fixed => self.deny_fixed,
            _ => false,
        }
    }

    /// Whether none of its cases says anything about the engine.
    fn proves_nothing(&self) -> bool {
        !self.replayed.iter().any(|replayed| replayed.standing.is_proof())
    }
}

/// More than this share of checks rejected, unsupported or inconclusive makes a run vacuous.
pub const MOST_UNPROVEN: f64 = 0.5;

impl Summary {
    /// Takes an event into account.
    pub fn add(&mut self, event: &Event) {
        match event {
            Event::Started { seed, engine, backend, dialect, cells, jobs } => {
                self.seed = *seed;
                self.engine.clone_from(engine);
                self.backend.clone_from(backend);
                self.dialect.clone_from(dialect);
                self.coverage = Coverage::of(cells.clone());
                self.jobs = *jobs;
            }
            Event::Resumed { elapsed, jobs } => {
                self.elapsed = *elapsed;
                self.jobs = *jobs;
                self.interrupted = false;
                self.error = None;
            }
            Event::Gate { cases, alone, deny_fixed } => {
                let (cases, alone, deny_fixed) = (*cases, *alone, *deny_fixed);
                self.corpus = Some(Corpus { cases, alone, deny_fixed, replayed: Vec::new() });
            }
            Event::Replayed(replayed) => {
                self.restarts += replayed.restarts.len() as u64;
                let all = &mut self.corpus.get_or_insert_default().replayed;
                let at = all.partition_point(|other| other.name <= replayed.name);
                all.insert(at, (**replayed).clone());
            }
            Event::Checked {
                oracle, kind, doubt, selective, class, model_alone, known, ..
            } => {
                self.model_alone += u64::from(*model_alone);
                for tally in [&mut self.verdicts, self.oracles.entry(*oracle).or_default()] {
                    kind.count(tally);
                }
                self.refused += u64::from(*class == Some(Class::WronglyRejected));
                self.know(known);
                self.conflicts += u64::from(*class == Some(Class::ReferenceConflict));
                self.filters += u64::from(selective.is_some());
                self.selective += u64::from(*selective == Some(true));
                match doubt {
                    Some(Doubt::Undefined(reason)) => {
                        *self.undefined.entry(reason.clone()).or_default() += 1;
                    }
                    Some(Doubt::Unrepeatable(_)) => self.unrepeatable += 1,
                    Some(Doubt::Unproven(reason)) => {
                        *self.unproven.entry(in_general(reason)).or_default() += 1;
                    }
                    None => {}
                }
            }
            Event::CaseDone { digest, parents, cells, refused, reached, steps, .. } => {
                self.grown += u64::from(!parents.is_empty());
                self.reached.extend(reached.iter().cloned());
                self.uses.add(cells, refused);
                for (name, carried) in steps {
                    self.steps.entry(name.clone()).or_default().add(carried);
                }
                self.coverage.add(cells);
                self.cases += 1;
                self.cases_digest = self.cases_digest.wrapping_add(*digest);
            }
            Event::Found(finding) => {
                let waited = [&finding.shape, &finding.seen_as].map(|shape| self.waited(shape));
                let count = finding.count + waited[0] + waited[1];
                match self.finding(&finding.shape) {
                    Some(found) => found.count += count,
                    None => self.findings.push(Finding { count, ..(**finding).clone() }),
                }
            }
            Event::Repeated { shape, seen_as, .. } => {
                let count = 1 + if seen_as == shape { 0 } else { self.waited(seen_as) };
                // While another worker is shrinking the first, it has the shape that it was seen as.
                let found = self.findings.iter().find(|f| f.shape == *shape || f.seen_as == *shape);
                let shape = found.map_or(shape, |found| &found.shape).clone();
                match self.finding(&shape) {
                    Some(found) => found.count += count,
                    None => *self.waiting.entry(shape).or_default() += count,
                }
            }
            Event::Steered { dropped, kept, .. } => {
                self.steered += dropped;
                self.unsteered += kept;
            }
            Event::Recognised { oracle, titles, .. } => {
                for tally in [&mut self.verdicts, self.oracles.entry(*oracle).or_default()] {
                    tally.divergence = tally.divergence.saturating_sub(1);
                    tally.known += 1;
                }
                self.know(titles);
            }
            // Where a campaign goes on, or is put together from parts, not all know what was met.
            Event::Fixed { title } => {
                if !self.known.contains_key(title) && !self.fixed.contains(title) {
                    self.fixed.push(title.clone());
                }
            }
            Event::Unexplored { .. } => self.unexplored += 1,
            Event::Unstable { .. } => self.unrepeatable += 1,
            Event::Restarted { .. } => self.restarts += 1,
            Event::Finished { elapsed, interrupted, error } => {
                self.elapsed = *elapsed;
                self.interrupted = *interrupted;
                self.error.clone_from(error);
            }
        }
    }

    fn know(&mut self, titles: &[String]) {
        for title in titles {
            *self.known.entry(title.clone()).or_default() += 1;
            self.fixed.retain(|fixed| fixed != title);
        }
    }

    fn finding(&mut self, shape: &str) -> Option<&mut Finding> {
        self.findings.iter_mut().find(|finding| finding.shape == shape)
    }

    fn waited(&mut self, shape: &str) -> u64 {
        self.waiting.remove(shape).unwrap_or(0)
    }

    /// The constructs that are held back because the engine refuses them, with the share of them
    /// that is asked all the same.
    pub fn held_back(&self) -> Weights {
        self.uses.held_back()
    }

    /// Checks per second.
    pub fn checks_per_second(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.verdicts.total() as f64 / seconds } else { 0.0 }
    }

    /// The share of filters that select some rows and not all; 0 without filters.
    pub fn selective_share(&self) -> f64 {
        share(self.selective, self.filters)
    }

    /// The share of checks left out among those on which known issues bear; 0 without any.
    pub fn steered_share(&self) -> f64 {
        share(self.steered, self.steered + self.unsteered)
    }

    /// The share of checks that prove nothing: rejected, unsupported or inconclusive.
    pub fn unproven_share(&self) -> f64 {
        let unproven = self.refused + self.verdicts.unsupported + self.verdicts.inconclusive;
        share(unproven, self.verdicts.total())
    }

    /// Whether so little was proven that a green result would mean nothing: by its own cases, or by
    /// those of the corpus, if it has any.
    pub fn is_vacuous(&self) -> bool {
        let own = self.verdicts.total() == 0 || self.unproven_share() > MOST_UNPROVEN;
        (own && !self.is_corpus_alone()) || self.is_corpus_vacuous()
    }

    /// Whether there is a corpus, and there were to be no other cases.
    pub fn is_corpus_alone(&self) -> bool {
        self.corpus.as_ref().is_some_and(|corpus| corpus.alone && corpus.cases > 0)
    }

    /// Whether there is a corpus, and none of its cases says anything about the engine.
    pub fn is_corpus_vacuous(&self) -> bool {
        self.corpus.as_ref().is_some_and(|corpus| corpus.cases > 0 && corpus.proves_nothing())
    }

    /// Whether anything was wrong that is not known: a finding, a divergence that was not looked
    /// into, or a case of the corpus that fails.
    pub fn has_findings(&self) -> bool {
        !self.findings.is_empty()
            || self.unexplored > 0
            || self.corpus.as_ref().is_some_and(|corpus| corpus.failed().next().is_some())
    }

    /// Whether the references disagreed on anything.
    pub fn has_conflicts(&self) -> bool {
        let conflict = |corpus: &Corpus| corpus.of(Standing::Conflict).next().is_some();
        self.conflicts > 0 || self.corpus.as_ref().is_some_and(conflict)
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
