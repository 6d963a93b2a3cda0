//! Property-based differential testing of Milvus.
//!
//! Random schemas, data and filters go to a Milvus engine and to a reference database; a
//! three-valued evaluator says what the documentation says. Where the references agree and Milvus
//! does not, twice, there is a divergence. It is shrunk to a minimal case and reported with a
//! script that reproduces it.
//!
//! ```text
//! generate ──▶ Case ──▶ apply ──▶ Observation × sides ──▶ compare ──▶ Verdict ──▶ shrink ──▶ triage ──▶ report
//!               ▲                                                        │
//!               └──────────────────────── replay ◀───────────────────────┘
//! ```
//!
//! Nothing flows back except through a [`Case`](case::Case). The rooms, ground floor first; each
//! imports only from floors below it:
//!
//! | floor | rooms |
//! |---|---|
//! | 0 | [`value`], [`schema`]: Milvus's data model |
//! | 1 | [`filter`]: the filter language, its types and its three-valued meaning |
//! | 2 | [`backend`]: reference databases; [`milvus`]: the system under test; [`engine`]: getting one to run; [`dump`]: entities as files and as Arrow |
//! | 3 | [`mod@reference`]: which databases judge; [`case`]: the unit of everything; [`compare`]: rows against rows; [`verdict`]: the words of judgement |
//! | 4 | [`generate`]: random cases; [`apply`], `oracle`: from a case to verdicts; [`triage`]: the shapes of divergences |
//! | 5 | [`shrink`], [`known`], [`finding`], [`corpus`]: make it minimal; is it known; keep it; [`client`]: both sides of a live collection |
//! | 6 | [`campaign`]: many cases under a budget, as a stream of events |
//! | 7 | [`report`]: terminal, summary file, folders of findings; HTML, JUnit XML, SARIF, GitHub |
//! | 8 | [`cli`]: one file a subcommand; [`difftest`]: a test of a schema of one's own |
//!
//! A campaign on a simulated engine that loses a row of every answer:
//!
//! ```
//! use milvus_difftest::campaign::{Campaign, Stop, Target};
//! use milvus_difftest::engine::simulated::{Fault, SimulatedOptions};
//! use milvus_difftest::verdict::Class;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let faults = vec![Fault::DropLastMatch];
//! let target = Target::Simulated(SimulatedOptions { faults, ..Default::default() });
//! let campaign = Campaign { cases: Some(2), seed: 1, ..Campaign::new(target) };
//! let summary = campaign.run(&Stop::default(), &mut |_event, _summary| ()).await?;
//! assert_eq!(summary.findings[0].divergence.class, Class::MissingRows);
//! # Ok(())
//! # }
//! ```
#![deny(missing_docs)]

pub mod apply;
pub mod backend;
pub mod campaign;
pub mod case;
pub mod cli;
pub mod client;
mod clock;
pub mod compare;
pub mod corpus;
pub mod difftest;
pub mod dump;
pub mod engine;
pub mod filter;
pub mod finding;
pub mod generate;
pub mod known;
pub mod milvus;
pub mod oracle;
pub mod reference;
pub mod report;
pub mod schema;
mod secret;
pub mod shrink;
pub mod triage;
pub mod value;
pub mod verdict;

/// The examples of the README run, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
