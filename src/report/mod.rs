//! What people read: each report is a consumer of findings and events, and changes nothing.

pub mod finding;
