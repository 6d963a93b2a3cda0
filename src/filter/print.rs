//! The tree as Milvus filter text.
//!
//! Fully parenthesised: engines disagree on the precedence of `not` and `exists`, never on
//! parentheses. The top level goes without.

use std::fmt::{self, Display, Formatter, Write as _};

use super::ast::{Expr, FieldPath, Literal, Step};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Literal(literal) => write!(f, "{literal}"),
            Expr::Field(path) => write!(f, "{path}"),
            Expr::Not(inner) => write!(f, "not ({inner})"),
            Expr::Binary { op, left, right } => {
                write!(f, "{} {} {}", Operand(left), op.symbol(), Operand(right))
            }
            Expr::In { operand, list, negated } => {
                let word = if *negated { "not in" } else { "in" };
                write!(f, "{} {word} ", Operand(operand))?;
                write_list(f, list)
            }
            Expr::Like { operand, pattern } => {
                write!(f, "{} like ", Operand(operand))?;
                write_string(f, pattern)
            }
            Expr::IsNull { operand, negated } => {
                write!(f, "{operand} is {}null", if *negated { "not " } else { "" })
            }
            Expr::Exists(path) => write!(f, "exists {path}"),
            Expr::Call { function, operand, argument } => {
                write!(f, "{}({operand}", function.name())?;
                if let Some(argument) = argument {
                    write!(f, ", {argument}")?;
                }
                f.write_str(")")
            }
        }
    }
}

/// A child of an operator: in parentheses unless it is one word.
struct Operand<'a>(&'a Expr);

impl Display for Operand<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expr::Literal(_) | Expr::Field(_) | Expr::Call { .. } => write!(f, "{}", self.0),
            compound => write!(f, "({compound})"),
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Bool(b) => write!(f, "{b}"),
            Literal::Int(i) => write!(f, "{i}"),
            // Debug always writes a point or an exponent, which keeps it a float.
            Literal::Float(x) => write!(f, "{x:?}"),
            Literal::Text(s) => write_string(f, s),
            Literal::List(items) => write_list(f, items),
        }
    }
}

impl Display for FieldPath {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root)?;
        for step in &self.steps {
            match step {
                // The server family takes what is between the quotes as it stands.
                Step::Key(key) if key.contains('"') => write!(f, "['{key}']")?,
                Step::Key(key) => write!(f, "[\"{key}\"]")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

fn write_list(f: &mut Formatter<'_>, items: &[Literal]) -> fmt::Result {
    f.write_str("[")?;
    for (i, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if i > 0 { ", " } else { "" })?;
    }
    f.write_str("]")
}

/// Only the escapes that every engine reads alike; the rest of Unicode stands for itself.
fn write_string(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c => f.write_char(c)?,
        }
    }
    f.write_str("\"")
}
