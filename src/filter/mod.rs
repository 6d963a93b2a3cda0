//! The filter language alone: syntax tree, printer, parser, type checker and three-valued
//! evaluator. Nothing here knows a server or SQL.

pub mod ast;
pub mod check;
pub mod eval;
pub mod parse;
mod print;
pub mod semantics;

pub use ast::{BinaryOp, Expr, FieldPath, Function, Literal, Step};
pub use check::{TypeError, check};
pub use eval::{Truth, Undefined, evaluate};
pub use parse::{ParseError, parse};
pub use semantics::Semantics;
