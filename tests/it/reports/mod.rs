//! What is made of the events of a run, each read by a reader of its own: an XML schema, a JSON
//! schema, a browser.

mod browser;
mod forms;
pub mod readers;
mod runs;
