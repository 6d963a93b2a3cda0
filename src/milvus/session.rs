//! When a connection wrote last, for reads that must show its own writes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock;

/// The last writes of a connection and its clones, by collection.
#[derive(Debug, Clone, Default)]
pub(super) struct Session(Arc<Mutex<BTreeMap<String, LastWrite>>>);

/// A moment not before a connection's last write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LastWrite {
    /// As Milvus counts: milliseconds, and a counter in the lower 18 bits.
    timestamp: u64,
    /// Whether it is the server's word, and not this machine's clock.
    told: bool,
}

impl Session {
    fn writes(&self) -> MutexGuard<'_, BTreeMap<String, LastWrite>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A write was answered with this timestamp; 0 if the server does not say, as servers up to 2.3
    /// of deletes.
    pub(super) fn wrote(&self, collection: &str, timestamp: u64) {
        if timestamp == 0 {
            return self.may_have_written(collection);
        }
        let mut writes = self.writes();
        // What the server says of a later write holds for the earlier ones, too.
        let earlier = writes.get(collection).filter(|last| last.told).map(|last| last.timestamp);
        let timestamp = timestamp.max(earlier.unwrap_or_default());
        writes.insert(collection.to_owned(), LastWrite { timestamp, told: true });
    }

    /// A write was not answered.
    pub(super) fn may_have_written(&self, collection: &str) {
        let mut writes = self.writes();
        let earlier = writes.get(collection).map_or(0, |last| last.timestamp);
        let timestamp = now().max(earlier);
        writes.insert(collection.to_owned(), LastWrite { timestamp, told: false });
    }

    pub(super) fn forget(&self, collection: &str) {
        self.writes().remove(collection);
    }

    /// A moment not before the last write, if there was one.
    pub(super) fn last_write(&self, collection: &str) -> Option<u64> {
        self.writes().get(collection).map(|last| last.timestamp)
    }

    /// Whether that moment is the server's word.
    pub(super) fn is_told(&self, collection: &str) -> bool {
        self.writes().get(collection).is_some_and(|last| last.told)
    }
}

/// This machine's clock, as a timestamp of Milvus's. The server's may be another: what rests on this
/// alone is not called certain ([`Session::is_told`]).
fn now() -> u64 {
    u64::try_from(clock::wall_clock().as_millis()).unwrap_or(u64::MAX >> 18) << 18
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_knows_its_last_write_and_who_said_so() {
        let session = Session::default();
        assert_eq!((session.last_write("a"), session.is_told("a")), (None, false));
        session.wrote("a", 7);
        session.wrote("a", 5);
        assert_eq!((session.last_write("a"), session.is_told("a")), (Some(7), true));
        assert_eq!(session.last_write("b"), None);
        // A write without an answer, and one whose answer does not say when.
        let before = now();
        session.may_have_written("a");
        session.wrote("b", 0);
        for collection in ["a", "b"] {
            assert!(session.last_write(collection).is_some_and(|at| at >= before));
            assert!(!session.is_told(collection));
        }
        // The server's word counts again, whatever this machine's clock said.
        session.clone().wrote("a", 9);
        assert_eq!((session.last_write("a"), session.is_told("a")), (Some(9), true));
        session.forget("a");
        assert_eq!(session.last_write("a"), None);
    }
}
