//! The filter language alone: syntax tree, printer, parser, type checker and three-valued
//! evaluator. Nothing here knows a server or SQL.

pub mod ast;
mod caret;
pub mod check;
pub(crate) mod elements;
pub mod eval;
pub(crate) mod fold;
pub mod grammar;
mod lex;
mod like;
pub mod operator;
pub mod parse;
pub(crate) mod partition;
mod print;
mod rewrite;
pub mod semantics;
pub mod spatial;
mod spelling;
pub mod template;
mod text;
mod time;

pub use ast::{Bound, Expr, FieldPath, Interval, Literal, Step};
pub use check::{TypeError, check};
pub use eval::{Columns, Truth, Truths, Undefined, evaluate};
pub(crate) use eval::{matching, without_escapes};
pub use operator::{BinaryOp, Elements, Function, UnaryOp};
pub use parse::{MAX_DEPTH, ParseError, parse};
pub use rewrite::Rewrite;
pub use semantics::{Semantics, Switch};
pub use spelling::{Filter, Floats, Quotes, Radix, Spelling, Strings, Words};
pub use template::BindError;
