//! The tree as Milvus filter text.
//!
//! Fully parenthesised: engines disagree on the precedence of `not` and `exists`, never on
//! parentheses. The top level goes without.

use std::fmt::{self, Display, Formatter, Write as _};

use super::ast::{Expr, FieldPath, Literal, Step};
use super::operator::{BinaryOp, Function};
use super::spelling::{Filter, Floats, Quotes, Radix, Spelling, Strings, Words};
use crate::value::timestamp::to_text;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Printer { f, spelling: Spelling::default() }.expr(self)
    }
}

impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Printer { f, spelling: self.spelling }.expr(&self.expr)
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Printer { f, spelling: Spelling::default() }.literal(self)
    }
}

impl Display for FieldPath {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Printer { f, spelling: Spelling::default() }.path(self)
    }
}

struct Printer<'a, 'f> {
    f: &'a mut Formatter<'f>,
    spelling: Spelling,
}

impl Printer<'_, '_> {
    fn expr(&mut self, expr: &Expr) -> fmt::Result {
        match expr {
            Expr::Literal(literal) => self.literal(literal),
            Expr::Field(path) => self.path(path),
            Expr::Not(inner) => {
                match self.spelling.words {
                    Words::Symbols => self.f.write_char('!')?,
                    _ => {
                        self.word("not")?;
                        self.f.write_char(' ')?;
                    }
                }
                self.parenthesised(inner)
            }
            Expr::Unary { op, operand } => {
                self.f.write_str(op.symbol())?;
                match **operand {
                    // Otherwise the sign would be the number's.
                    Expr::Literal(Literal::Int(_) | Literal::Float(_)) => {
                        self.parenthesised(operand)
                    }
                    _ => self.operand(operand),
                }
            }
            Expr::Binary { op, left, right } => {
                match op {
                    BinaryOp::Pow => self.base(left)?,
                    op if op.is_comparison() && is_shifted_time(left) => self.expr(left)?,
                    _ => self.operand(left)?,
                }
                self.f.write_char(' ')?;
                match (op, self.spelling.words) {
                    (BinaryOp::And, Words::Symbols) => self.f.write_str("&&")?,
                    (BinaryOp::Or, Words::Symbols) => self.f.write_str("||")?,
                    (op, _) => self.word(op.symbol())?,
                }
                self.f.write_char(' ')?;
                match op {
                    op if op.is_comparison() && is_shifted_time(right) => self.expr(right),
                    _ => self.operand(right),
                }
            }
            Expr::Range { operand, low, high, descending } => {
                let (first, last) = if *descending { (high, low) } else { (low, high) };
                let symbol = |inclusive| match (descending, inclusive) {
                    (false, false) => " < ",
                    (false, true) => " <= ",
                    (true, false) => " > ",
                    (true, true) => " >= ",
                };
                self.literal(&first.value)?;
                self.f.write_str(symbol(first.inclusive))?;
                self.path(operand)?;
                self.f.write_str(symbol(last.inclusive))?;
                self.literal(&last.value)
            }
            Expr::In { operand, list, negated } => {
                self.operand(operand)?;
                self.word(if *negated { " not in " } else { " in " })?;
                match list.as_slice() {
                    [template @ Literal::Template(_)] => self.literal(template),
                    list => self.list(list),
                }
            }
            Expr::Like { operand, pattern } => {
                self.base(operand)?;
                self.word(" like ")?;
                self.string(pattern)
            }
            Expr::IsNull { operand, negated } => {
                self.path(operand)?;
                self.word(if *negated { " is not null" } else { " is null" })
            }
            Expr::Exists(path) => {
                self.word("exists ")?;
                self.path(path)
            }
            Expr::Call { function, operand, arguments } => {
                self.word(function.name())?;
                self.f.write_char('(')?;
                self.path(operand)?;
                for (i, argument) in arguments.iter().enumerate() {
                    self.f.write_str(", ")?;
                    if *function == Function::TextMatch && i == 1 {
                        self.f.write_str("minimum_should_match=")?;
                    }
                    self.literal(argument)?;
                }
                self.f.write_char(')')
            }
            Expr::Elements { elements, field, predicate } => {
                self.word(elements.name())?;
                write!(self.f, "({field}, ")?;
                self.expr(predicate)?;
                if let Some(threshold) = elements.threshold() {
                    write!(self.f, ", threshold={threshold}")?;
                }
                self.f.write_char(')')
            }
        }
    }

    /// A child of an operator: in parentheses unless it is one word.
    fn operand(&mut self, expr: &Expr) -> fmt::Result {
        match expr {
            Expr::Literal(_) | Expr::Field(_) | Expr::Call { .. } | Expr::Elements { .. } => {
                self.expr(expr)
            }
            compound => self.parenthesised(compound),
        }
    }

    /// What stands before an operator that binds tighter than a minus.
    fn base(&mut self, expr: &Expr) -> fmt::Result {
        let negative = match expr {
            Expr::Literal(Literal::Int(i)) => *i < 0,
            Expr::Literal(Literal::Float(x)) => x.is_sign_negative(),
            _ => false,
        };
        if negative { self.parenthesised(expr) } else { self.operand(expr) }
    }

    fn parenthesised(&mut self, expr: &Expr) -> fmt::Result {
        self.f.write_char('(')?;
        self.expr(expr)?;
        self.f.write_char(')')
    }

    /// A keyword or a function's name, given in lower case.
    fn word(&mut self, word: &str) -> fmt::Result {
        match self.spelling.words {
            Words::Upper => self.f.write_str(&word.to_ascii_uppercase()),
            _ => self.f.write_str(word),
        }
    }

    fn literal(&mut self, literal: &Literal) -> fmt::Result {
        match literal {
            Literal::Bool(b) => self.word(if *b { "true" } else { "false" }),
            Literal::Int(i) => self.int(*i),
            // Debug always writes a point or an exponent, which keeps it a float.
            Literal::Float(x) => match self.spelling.floats {
                Floats::Plain => write!(self.f, "{x:?}"),
                Floats::Exponent => write!(self.f, "{x:e}"),
            },
            Literal::Text(s) => self.string(s),
            Literal::List(items) => self.list(items),
            Literal::Timestamp(micros) => write!(self.f, "ISO '{}'", to_text(*micros)),
            Literal::Interval(interval) => write!(self.f, "INTERVAL '{interval}'"),
            Literal::Template(name) => write!(self.f, "{{{name}}}"),
        }
    }

    fn int(&mut self, i: i64) -> fmt::Result {
        let magnitude = i.unsigned_abs();
        let sign = if i < 0 { "-" } else { "" };
        match self.spelling.radix {
            // Its magnitude is no 64-bit integer in any base but the one that engines special-case.
            _ if i == i64::MIN => write!(self.f, "{i}"),
            Radix::Decimal => write!(self.f, "{i}"),
            Radix::Hexadecimal => write!(self.f, "{sign}0x{magnitude:x}"),
            Radix::Octal if i == 0 => self.f.write_char('0'),
            Radix::Octal => write!(self.f, "{sign}0{magnitude:o}"),
            Radix::Binary => write!(self.f, "{sign}0b{magnitude:b}"),
        }
    }

    fn list(&mut self, items: &[Literal]) -> fmt::Result {
        self.f.write_char('[')?;
        for (i, item) in items.iter().enumerate() {
            self.f.write_str(if i > 0 { ", " } else { "" })?;
            self.literal(item)?;
        }
        self.f.write_char(']')
    }

    fn path(&mut self, path: &FieldPath) -> fmt::Result {
        self.f.write_str(&path.root)?;
        for step in &path.steps {
            match step {
                // The server family takes what is between the quotes as it stands.
                Step::Key(key) => {
                    let single = match self.spelling.quotes {
                        Quotes::Double => !fits(key, '"'),
                        Quotes::Single => fits(key, '\''),
                    };
                    let quote = if single { '\'' } else { '"' };
                    write!(self.f, "[{quote}{key}{quote}]")?;
                }
                Step::Index(index) => write!(self.f, "[{index}]")?,
            }
        }
        Ok(())
    }

    fn string(&mut self, text: &str) -> fmt::Result {
        let quote = if self.spelling.quotes == Quotes::Single { '\'' } else { '"' };
        let fits_raw = !text.contains(['\n', '\r', quote]) && !text.ends_with('\\');
        if self.spelling.strings == Strings::Raw && fits_raw {
            return write!(self.f, "r{quote}{text}{quote}");
        }
        self.f.write_char(quote)?;
        for c in text.chars() {
            match c {
                c if c == quote => write!(self.f, "\\{c}")?,
                '\\' => self.f.write_str("\\\\")?,
                '\n' => self.f.write_str("\\n")?,
                '\r' => self.f.write_str("\\r")?,
                '\t' => self.f.write_str("\\t")?,
                c if self.spelling.strings == Strings::Unicode && !(' '..='~').contains(&c) => {
                    match u32::from(c) {
                        c @ ..=0xffff => write!(self.f, "\\u{c:04x}")?,
                        c => write!(self.f, "\\U{c:08x}")?,
                    }
                }
                c => self.f.write_char(c)?,
            }
        }
        self.f.write_char(quote)
    }
}

/// `tsz + INTERVAL "…"`, for which the grammar has no parentheses.
fn is_shifted_time(expr: &Expr) -> bool {
    match expr {
        Expr::Binary { right, .. } => matches!(**right, Expr::Literal(Literal::Interval(_))),
        _ => false,
    }
}

/// Whether a key can stand between such quotes, as it is.
fn fits(key: &str, quote: char) -> bool {
    let mut chars = key.chars();
    while let Some(c) = chars.next() {
        if c == quote {
            return false;
        }
        if c == '\\' {
            chars.next();
        }
    }
    true
}
