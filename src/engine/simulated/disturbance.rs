//! What can happen to a single call, whoever is at fault.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What happens to a call, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disturbance {
    /// Nothing: the call passes, and the next disturbance is for the next call.
    Nothing,
    /// It is refused.
    Refused,
    /// The connection is lost before the server has done anything.
    LostBefore,
    /// The connection is lost after the server has done all of it.
    LostAfter,
    /// The connection is lost after the server has done every second row.
    LostHalfway,
    /// There is never an answer, and the server does nothing.
    SilentBefore,
    /// There is never an answer, and the server has done all of it.
    SilentAfter,
    /// There is never an answer, and the server does all of it after this time.
    Late(Duration),
    /// The server is down from before the call on, until it is revived.
    DownBefore,
    /// The server is down from after the call on.
    DownAfter,
    /// The server is down after it has done every second row.
    DownHalfway,
}

/// What is to happen to the calls of a server.
#[derive(Debug, Clone, Default)]
pub(super) struct Disturbances(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    next: Vec<(String, Disturbance)>,
    down: bool,
}

impl Disturbances {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, call: &str, disturbance: Disturbance) {
        self.state().next.push((call.to_owned(), disturbance));
    }

    /// What is to happen to a call that has come, which is then forgotten. Where the server goes
    /// down, it is down from then on for all other calls: whoever sees that nothing is left to
    /// happen may revive it.
    pub(super) fn take(&self, call: &str) -> Option<Disturbance> {
        let mut state = self.state();
        let at = state.next.iter().position(|(name, _)| name == call)?;
        let taken = state.next.remove(at).1;
        state.down |= matches!(
            taken,
            Disturbance::DownBefore | Disturbance::DownAfter | Disturbance::DownHalfway
        );
        Some(taken)
    }

    pub(super) fn left(&self) -> usize {
        self.state().next.len()
    }

    pub(super) fn is_down(&self) -> bool {
        self.state().down
    }

    pub(super) fn revive(&self) {
        self.state().down = false;
    }
}
