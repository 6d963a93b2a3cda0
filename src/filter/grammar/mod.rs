//! The inventory of the filter language: what there is to say, and about which operands.
//!
//! A [`Construct`] is a way to say something, an [`Operand`] the type of what it is said about, and
//! a [`Cell`] one construct on one operand. [`cells()`] tells which of them a filter touches, and
//! [`applicable`] which of them a schema has room for. Coverage is counted in cells, and a dialect
//! says which of them an engine has.

mod cell;
mod construct;
mod coverage;
mod operand;

pub use cell::{Cell, UnknownCell, applicable, cells, everything};
pub(crate) use cell::{depth, for_each_cell};
pub use construct::{Construct, UnknownConstruct, family};
pub use coverage::Coverage;
pub use operand::{Group, Kind, Operand, UnknownGroup};
