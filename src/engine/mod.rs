//! Getting a running engine: embedded (pinned packages in a cache) or external (a URL).

pub mod simulated;
