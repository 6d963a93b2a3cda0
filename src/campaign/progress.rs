//! What a campaign has come to, from its events: what it takes to go on after it was killed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::event::Event;
use super::feedback::Lesson;
use super::summary::Summary;
use super::worker::Met;

/// A campaign up to some event.
///
/// A case is *settled* when all of its checks were judged and each of their divergences has become
/// something: a finding, one more of a finding, known, or gone. Cases that are not are begun again
/// when the campaign goes on, and what had been counted of them is dropped. What was found in them
/// is kept.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// The settled cases, and what is about no case.
    settled: Summary,
    /// The events of the others, by case.
    open: BTreeMap<u64, Vec<Event>>,
    /// What is learned from the settled cases, by their numbers.
    done: BTreeMap<u64, Lesson>,
    /// What became of divergences, by the shapes that they had when they were seen.
    shapes: HashMap<String, Met>,
    begun: bool,
    ended: bool,
    /// When the campaign was begun or resumed last, and how long it had taken before.
    since: Duration,
    before: Duration,
}

impl Progress {
    /// Takes an event into account. `at` is when it happened, from any moment before the first.
    ///
    /// Returns the events of the case that is settled by it.
    pub fn add(&mut self, event: &Event, at: Duration) -> Vec<Event> {
        match event {
            Event::Started { .. } => {
                (self.begun, self.since) = (true, at);
            }
            Event::Resumed { elapsed, .. } => {
                self.reopen();
                (self.ended, self.since, self.before) = (false, at, *elapsed);
            }
            _ => {}
        }
        self.settled.elapsed = self.before + at.saturating_sub(self.since);
        let Some(case) = event.case() else {
            self.ended = matches!(event, Event::Finished { .. });
            self.settled.add(event);
            return Vec::new();
        };
        self.learn(event);
        self.open.entry(case).or_default().push(event.clone());
        let Some(lesson) = Lesson::of(event).filter(|_| self.is_settled(case)) else {
            return Vec::new();
        };
        let events = self.open.remove(&case).unwrap_or_default();
        events.iter().for_each(|event| self.settled.add(event));
        self.done.insert(case, lesson);
        events
    }

    /// Whether there was any event.
    pub fn is_begun(&self) -> bool {
        self.begun
    }

    /// Whether the last event was the campaign's end.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// The events of the cases that are not settled, by case.
    pub fn open(&self) -> &BTreeMap<u64, Vec<Event>> {
        &self.open
    }

    /// Everything, as a report has it.
    pub fn summary(&self) -> Summary {
        let mut summary = self.settled.clone();
        self.open.values().flatten().for_each(|event| summary.add(event));
        summary
    }

    /// What the settled cases come to, with all findings.
    pub(super) fn resumed(mut self) -> Resumed {
        self.reopen();
        let Progress { settled, done, mut shapes, .. } = self;
        let found: BTreeSet<&str> = settled.findings.iter().map(|f| f.shape.as_str()).collect();
        // What another worker was shrinking is found by whoever meets it next.
        shapes.retain(|_, met| match met {
            Met::Finding(shape) => found.contains(shape.as_str()),
            Met::Known(_) => true,
        });
        Resumed { summary: settled, done, shapes }
    }

    fn is_settled(&self, case: u64) -> bool {
        let found = |shape: &String| {
            let is = |event: &Event| matches!(event, Event::Found(f) if f.shape == *shape);
            self.settled.findings.iter().any(|finding| finding.shape == *shape)
                || self.open.values().flatten().any(is)
        };
        self.open.get(&case).into_iter().flatten().all(|event| match event {
            Event::Unexplored { .. } => false,
            // One more of what another worker is still shrinking may turn out to be nothing.
            Event::Repeated { shape, .. } => found(shape),
            _ => true,
        })
    }

    fn learn(&mut self, event: &Event) {
        match event {
            Event::Found(finding) => {
                for shape in [&finding.seen_as, &finding.shape] {
                    self.shapes.insert(shape.clone(), Met::Finding(finding.shape.clone()));
                }
            }
            Event::Repeated { shape, seen_as, .. } => {
                self.shapes.insert(seen_as.clone(), Met::Finding(shape.clone()));
            }
            Event::Recognised { titles, seen_as, .. } => {
                self.shapes.insert(seen_as.clone(), Met::Known(titles.clone()));
            }
            Event::Unstable { what, .. } => {
                self.shapes.remove(what);
            }
            _ => {}
        }
    }

    /// Drops what is not settled, but for what was found.
    fn reopen(&mut self) {
        for event in std::mem::take(&mut self.open).into_values().flatten() {
            if let Event::Found(mut finding) = event {
                // It is counted when its case has been begun again.
                finding.count = 0;
                self.settled.add(&Event::Found(finding));
            }
        }
    }
}

/// What a campaign goes on from.
pub(super) struct Resumed {
    pub summary: Summary,
    pub done: BTreeMap<u64, Lesson>,
    pub shapes: HashMap<String, Met>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Case;
    use crate::finding::Finding;
    use crate::oracle::Oracle;
    use crate::schema::Schema;
    use crate::verdict::{Actual, Class, Divergence, Expected, Judges};

    fn found(number: u64, seen_as: &str, shape: &str) -> Event {
        let schema = Schema { fields: Vec::new(), dynamic: false };
        Event::Found(Box::new(Finding {
            shape: shape.to_owned(),
            oracle: Oracle::Reference,
            seen_as: seen_as.to_owned(),
            case: Case { schema, operations: Vec::new(), checks: Vec::new() },
            divergence: Divergence {
                class: Class::WrongCount,
                expected: Expected::Count(1),
                actual: Actual::Count(2),
                judges: Judges::Both,
            },
            sql: None,
            engine: String::new(),
            backend: String::new(),
            count: 1,
            minimal: true,
            evaluations: 1,
            seconds_to_first: 0.0,
            seed: Some(1),
            number: Some(number),
        }))
    }

    fn repeated(case: u64, seen_as: &str, shape: &str) -> Event {
        Event::Repeated { case, shape: shape.to_owned(), seen_as: seen_as.to_owned() }
    }

    fn done(number: u64) -> Event {
        Event::CaseDone {
            number,
            digest: 1,
            parents: Vec::new(),
            cells: BTreeMap::new(),
            refused: BTreeMap::new(),
            reached: BTreeSet::new(),
            steps: BTreeMap::new(),
        }
    }

    fn progress(events: &[Event]) -> Progress {
        let mut progress = Progress::default();
        for event in events {
            progress.add(event, Duration::ZERO);
        }
        progress
    }

    fn counts(summary: &Summary) -> Vec<(&str, u64)> {
        summary.findings.iter().map(|f| (f.shape.as_str(), f.count)).collect()
    }

    #[test]
    fn what_was_found_in_a_case_that_is_begun_again_stays_and_counts_once() {
        let killed = [found(0, "seen", "small"), repeated(0, "other", "small")];
        let resumed = progress(&killed).resumed();
        assert_eq!(counts(&resumed.summary), [("small", 0)]);
        assert!(resumed.done.is_empty());
        for seen in ["seen", "small", "other"] {
            assert_eq!(resumed.shapes.get(seen), Some(&Met::Finding("small".to_owned())));
        }
        let mut again = progress(&killed);
        let resumption = Event::Resumed { elapsed: Duration::ZERO, jobs: 1 };
        for event in
            [resumption, repeated(0, "seen", "small"), repeated(0, "other", "small"), done(0)]
        {
            again.add(&event, Duration::ZERO);
        }
        assert_eq!(counts(&again.summary()), [("small", 2)]);
        assert_eq!(again.resumed().done.into_keys().collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn one_more_of_what_another_worker_has_not_shrunk_yet_is_not_settled() {
        // Case 0 is being shrunk when case 1 meets the same.
        let killed = progress(&[repeated(1, "seen", "seen"), done(1)]).resumed();
        assert!(killed.done.is_empty() && killed.shapes.is_empty());
        // Not killed, it comes to two.
        let ended =
            progress(&[repeated(1, "seen", "seen"), done(1), found(0, "seen", "small"), done(0)]);
        assert_eq!(counts(&ended.summary()), [("small", 2)]);
    }

    #[test]
    fn a_case_for_which_there_was_no_time_is_begun_again() {
        let short = progress(&[Event::Unexplored { case: 0 }, done(0), done(1)]);
        assert_eq!((short.summary().unexplored, short.summary().cases), (1, 2));
        let resumed = short.resumed();
        assert_eq!((resumed.summary.unexplored, resumed.summary.cases), (0, 1));
        assert_eq!(resumed.done.into_keys().collect::<Vec<_>>(), [1]);
    }
}
