//! The wall clock, for what must be told apart from what earlier processes have left. Time is measured
//! by [`Instant`] everywhere else (`clippy.toml` sees to it).

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Since 1970 by the clock of this machine when it was first asked for, and by monotonic time since
/// then: a clock that is set back meanwhile makes nothing new older than what was before it.
pub(crate) fn since_epoch() -> Duration {
    static FIRST: LazyLock<(Duration, Instant)> = LazyLock::new(|| (wall_clock(), Instant::now()));
    FIRST.0 + FIRST.1.elapsed()
}

/// Since 1970 by the clock of this machine as it is set now.
#[expect(clippy::disallowed_methods, reason = "nothing is measured with it")]
pub(crate) fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
