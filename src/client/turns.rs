//! Who may touch a collection when: writes to the same key one after the other, in the order in
//! which they were asked for, and no reading of both sides while one of them is ahead.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::value::Key;

/// What somebody is about to touch.
#[derive(Debug)]
pub(super) enum Need {
    /// Reading: beside others who read.
    Read,
    /// Writing rows with these keys: beside others who write rows with other keys.
    Keys(HashSet<Key>),
    /// Writing rows that cannot be told beforehand: alone.
    All,
}

impl Need {
    fn excludes(&self, other: &Need) -> bool {
        match (self, other) {
            (Need::Read, Need::Read) => false,
            (Need::Keys(a), Need::Keys(b)) => {
                let (few, many) = if a.len() < b.len() { (a, b) } else { (b, a) };
                few.iter().any(|key| many.contains(key))
            }
            _ => true,
        }
    }
}

/// One collection's order of turns.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    line: Mutex<Line>,
    moved: Notify,
}

#[derive(Debug, Default)]
struct Line {
    next: u64,
    /// What everybody needs who has a turn or waits for one, first come first.
    tickets: BTreeMap<u64, Need>,
}

impl Shared {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody's place in the line; dropped, they have left it.
#[derive(Debug)]
pub(super) struct Turn {
    shared: Arc<Shared>,
    ticket: u64,
}

impl Turns {
    /// Waits for those before who exclude this one.
    pub(super) async fn take(&self, need: Need) -> Turn {
        let turn = {
            let mut line = self.0.line();
            let ticket = line.next;
            line.next += 1;
            line.tickets.insert(ticket, need);
            Turn { shared: self.0.clone(), ticket }
        };
        loop {
            let moved = self.0.moved.notified();
            tokio::pin!(moved);
            // From here on no move is missed.
            moved.as_mut().enable();
            if turn.has_come() {
                return turn;
            }
            moved.await;
        }
    }
}

impl Turn {
    fn has_come(&self) -> bool {
        let line = self.shared.line();
        let Some(need) = line.tickets.get(&self.ticket) else { return false };
        line.tickets.range(..self.ticket).all(|(_, other)| !need.excludes(other))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.shared.line().tickets.remove(&self.ticket);
        self.shared.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn keys(keys: &[i64]) -> Need {
        Need::Keys(keys.iter().copied().map(Key::Int).collect())
    }

    #[test]
    fn those_who_exclude_each_other_come_in_order() {
        let turns = Turns::default();
        let now = |need: Need| Box::pin(turns.take(need));
        let first = now(keys(&[1, 2])).now_or_never().unwrap();
        let other = now(keys(&[3])).now_or_never().unwrap();
        let mut same = now(keys(&[2]));
        assert!(same.as_mut().now_or_never().is_none());
        let mut reader = now(Need::Read);
        assert!(reader.as_mut().now_or_never().is_none());
        // Behind the reader, whom it would keep waiting.
        let mut late = now(keys(&[9]));
        assert!(late.as_mut().now_or_never().is_none());
        drop(first);
        let same = same.now_or_never().unwrap();
        drop((same, other));
        let reader = reader.now_or_never().unwrap();
        let beside = now(Need::All);
        drop(beside);
        assert!(late.as_mut().now_or_never().is_none());
        drop(reader);
        let late = late.now_or_never().unwrap();
        let mut all = now(Need::All);
        assert!(all.as_mut().now_or_never().is_none());
        drop(late);
        assert!(all.now_or_never().is_some());
    }
}
