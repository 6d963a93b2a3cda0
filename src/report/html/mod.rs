//! A run as one HTML page that needs nothing else: no network, no scripts, no fonts.

mod coverage;
mod finding;
mod pace;
mod page;
mod rows;

pub use page::page;
