//! What a campaign learns from its cases: which to let others grow from, and which constructs the
//! engine refuses.
//!
//! Cases come in windows of [`WINDOW`] by their numbers. What a case is made of follows from the
//! windows before the last: so it does not depend on the number of workers, on which of them is
//! faster, or on whether the campaign was killed and resumed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sha2::{Digest, Sha256};

use super::event::Event;
use super::shard::Shard;
use crate::filter::grammar::{Cell, Construct};
use crate::generate::Weights;

/// So many cases make a window.
const WINDOW: u64 = 16;
/// A window is learned from when it and so many that follow are over.
const LAG: u64 = 1;
/// Every second case grows from another, once there is one.
const GROWN: u64 = 2;
/// Others grow from the last so many that were kept.
const KEPT: usize = 64;
/// A case grows from one that grew from one, and so on, so many times at most.
const GENERATIONS: usize = 6;
/// A construct is held back when it was refused in more than this share of so many checks.
const REFUSED: (f64, u64) = (0.5, 20);
/// What is refused is asked so often all the same: it may depend on what is asked with it.
const LEAST: f64 = 0.1;

/// What is learned from a case.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Lesson {
    /// The numbers of the cases that it grew from, the first first, and its own.
    pub lineage: Vec<u64>,
    /// The combinations that it reached, and that no window before the last had reached.
    pub reached: BTreeSet<String>,
    /// How many of its checks touched each cell.
    pub cells: BTreeMap<Cell, u64>,
    /// How many of them the engine refused.
    pub refused: BTreeMap<Cell, u64>,
}

impl Lesson {
    /// What an event teaches: that a case is over.
    pub fn of(event: &Event) -> Option<Lesson> {
        match event {
            Event::CaseDone { number, parents, reached, cells, refused, .. } => Some(Lesson {
                lineage: parents.iter().copied().chain([*number]).collect(),
                reached: reached.clone(),
                cells: cells.clone(),
                refused: refused.clone(),
            }),
            _ => None,
        }
    }
}

/// How a case is made: the numbers of its lineage, each with what holds constructs back in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Plan(pub Vec<(u64, Weights)>);

impl Plan {
    /// A case that grows from nothing.
    pub fn fresh(number: u64) -> Plan {
        Plan(vec![(number, Weights::default())])
    }

    /// The numbers alone.
    pub fn lineage(&self) -> Vec<u64> {
        self.0.iter().map(|(number, _)| *number).collect()
    }
}

/// How often constructs were asked for and refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Uses(BTreeMap<Construct, Use>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Use {
    asked: u64,
    refused: u64,
}

impl Uses {
    /// Takes into account how many checks touched each cell, and how many of those were refused.
    pub fn add(&mut self, cells: &BTreeMap<Cell, u64>, refused: &BTreeMap<Cell, u64>) {
        for (cell, count) in cells {
            self.0.entry(cell.construct).or_default().asked += count;
        }
        for (cell, count) in refused {
            self.0.entry(cell.construct).or_default().refused += count;
        }
    }

    /// Constructs that the engine refuses, by the share that is asked all the same.
    pub fn held_back(&self) -> Weights {
        let mut weights = Weights::default();
        for (construct, Use { asked, refused }) in &self.0 {
            let share = *refused as f64 / (*asked).max(1) as f64;
            if *asked >= REFUSED.1 && share > REFUSED.0 {
                weights.limit(*construct, (1.0 - share).max(LEAST));
            }
        }
        weights
    }
}

/// What a campaign has learned so far.
#[derive(Debug)]
pub(super) struct Feedback {
    seed: u64,
    shard: Shard,
    /// What is not over yet, by window and case.
    open: BTreeMap<u64, BTreeMap<u64, Lesson>>,
    /// What holds constructs back after each window that is over.
    weights: Vec<Weights>,
    uses: Uses,
    /// The window in which each combination was reached first.
    reached: HashMap<String, u64>,
    /// The lineages of the cases that reached something new, with their windows.
    kept: Vec<(u64, Vec<u64>)>,
}

impl Feedback {
    /// Nothing learned yet, in a campaign with this seed that judges this part of its cases.
    pub fn new(seed: u64, shard: Shard) -> Feedback {
        Feedback {
            seed,
            shard,
            open: BTreeMap::new(),
            weights: Vec::new(),
            uses: Uses::default(),
            reached: HashMap::new(),
            kept: Vec::new(),
        }
    }

    /// How to make the case with this number; `None` as long as cases that it may depend on are
    /// being judged.
    pub fn plan(&mut self, number: u64) -> Option<Plan> {
        let over = over_for(number);
        while self.weights.len() < over {
            self.close_next()?;
        }
        let end = self.kept.partition_point(|(window, _)| (*window as usize) < over);
        let kept = &self.kept[end.saturating_sub(KEPT)..end];
        let mut chance = self.chance(number);
        let mut lineage = match kept.len() as u64 {
            0 => Vec::new(),
            _ if !chance.is_multiple_of(GROWN) => Vec::new(),
            len => {
                chance /= GROWN;
                kept[(chance % len) as usize].1.clone()
            }
        };
        lineage.push(number);
        let weights = |number: u64| match over_for(number).checked_sub(1) {
            Some(last) => self.weights.get(last).cloned().unwrap_or_default(),
            None => Weights::default(),
        };
        Some(Plan(lineage.into_iter().map(|number| (number, weights(number))).collect()))
    }

    /// Whether a combination is new to the case with this number.
    pub fn is_new(&self, number: u64, combination: &str) -> bool {
        let first = self.reached.get(combination);
        first.is_none_or(|window| *window as usize >= over_for(number))
    }

    /// Takes what came of a case into account.
    pub fn learn(&mut self, number: u64, lesson: Lesson) {
        self.open.entry(number / WINDOW).or_default().insert(number, lesson);
    }

    /// Learns from the next window, if its cases were judged.
    fn close_next(&mut self) -> Option<()> {
        let window = self.weights.len() as u64;
        let numbers = window * WINDOW..(window + 1) * WINDOW;
        let all = numbers.filter(|number| self.shard.has(*number)).count();
        if self.open.get(&window).map_or(0, BTreeMap::len) < all {
            return None;
        }
        let lessons = self.open.remove(&window).unwrap_or_default();
        lessons.into_values().for_each(|lesson| self.close(window, lesson));
        self.weights.push(self.uses.held_back());
        Some(())
    }

    fn close(&mut self, window: u64, lesson: Lesson) {
        self.uses.add(&lesson.cells, &lesson.refused);
        let before = self.reached.len();
        for combination in lesson.reached {
            self.reached.entry(combination).or_insert(window);
        }
        if self.reached.len() > before && lesson.lineage.len() <= GENERATIONS {
            self.kept.push((window, lesson.lineage));
        }
    }

    fn chance(&self, number: u64) -> u64 {
        let mut hash = Sha256::new();
        hash.update(b"lineage");
        hash.update(self.seed.to_le_bytes());
        hash.update(number.to_le_bytes());
        hash.finalize().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}

/// How many windows are over for the case with this number.
fn over_for(number: u64) -> usize {
    (number / WINDOW).saturating_sub(LAG) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lesson(lineage: &[u64], reached: &[&str]) -> Lesson {
        let reached = reached.iter().map(|text| (*text).to_owned()).collect();
        Lesson { lineage: lineage.to_vec(), reached, ..Lesson::default() }
    }

    fn numbers(feedback: &mut Feedback, number: u64) -> Option<Vec<u64>> {
        feedback.plan(number).map(|plan| plan.lineage())
    }

    #[test]
    fn what_a_case_grows_from_does_not_depend_on_the_order_of_the_others() {
        let mut feedback = Feedback::new(1, Shard::WHOLE);
        // Case 3 is slow.
        for number in (0..WINDOW).rev().filter(|number| *number != 3) {
            feedback.learn(number, lesson(&[number], &["same"]));
        }
        assert_eq!(numbers(&mut feedback, WINDOW), Some(vec![WINDOW]));
        assert!(feedback.plan(2 * WINDOW).is_none());
        feedback.learn(3, lesson(&[3], &["other"]));
        let grown = |feedback: &mut Feedback| -> Vec<Vec<u64>> {
            let next = 2 * WINDOW..3 * WINDOW;
            next.map(|number| numbers(feedback, number).expect("all are over")).collect()
        };
        let before = grown(&mut feedback);
        // The first of those that reach the same is kept, and the one that reached another.
        let parents: BTreeSet<u64> =
            before.iter().filter(|lineage| lineage.len() == 2).map(|lineage| lineage[0]).collect();
        assert_eq!(parents, BTreeSet::from([0, 3]));
        assert!(before.iter().any(|lineage| lineage.len() == 1));
        // What is learned later changes nothing of it.
        assert!(!feedback.is_new(2 * WINDOW, "same") && feedback.is_new(2 * WINDOW - 1, "same"));
        for number in WINDOW..2 * WINDOW {
            feedback.learn(number, lesson(&[number], &["new"]));
        }
        assert_eq!(grown(&mut feedback), before);
        assert!(feedback.plan(3 * WINDOW).is_some());
        assert!(feedback.is_new(2 * WINDOW, "new") && !feedback.is_new(3 * WINDOW, "new"));
    }

    #[test]
    fn a_shard_waits_for_its_own_cases() {
        let shard: Shard = "2/4".parse().unwrap();
        let mut feedback = Feedback::new(1, shard);
        for number in (0..2 * WINDOW).filter(|number| shard.has(*number)) {
            feedback.learn(number, lesson(&[number], &["same"]));
        }
        assert!(feedback.plan(3 * WINDOW).is_some());
        let rare: Shard = "40/40".parse().unwrap();
        let mut feedback = Feedback::new(1, rare);
        feedback.learn(39, lesson(&[39], &["same"]));
        assert!(feedback.plan(79).is_some());
        feedback.learn(79, lesson(&[79], &["other"]));
        assert!(feedback.plan(119).is_some());
    }

    #[test]
    fn what_is_refused_is_held_back() {
        let cell: Cell = "add on INT8?".parse().unwrap();
        let of = |asked, refused| {
            let mut uses = Uses::default();
            uses.add(&BTreeMap::from([(cell, asked)]), &BTreeMap::from([(cell, refused)]));
            uses.held_back()
        };
        let limited = |share| {
            let mut weights = Weights::default();
            weights.limit(cell.construct, share);
            weights
        };
        assert_eq!(of(40, 30), limited(0.25));
        assert_eq!(of(40, 40), limited(LEAST));
        assert_eq!(of(40, 20), Weights::default());
        assert_eq!(of(10, 10), Weights::default());
    }
}
