//! The many ways to write one filter.
//!
//! A [`Spelling`] changes nothing about what a filter means, only how it looks: engines have read
//! `AND`, `0x10` and `'…'` otherwise than `and`, `16` and `"…"`.

use super::ast::Expr;
use super::parse::{ParseError, parse};

/// How a filter is written. The default is what every engine reads alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Spelling {
    /// Words or symbols, in lower or upper case.
    pub words: Words,
    /// The quotes around strings and keys.
    pub quotes: Quotes,
    /// The base of integers.
    pub radix: Radix,
    /// Floats with or without an exponent.
    pub floats: Floats,
    /// What is escaped in strings.
    pub strings: Strings,
}

/// How keywords are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub enum Words {
    /// `and or not`
    #[default]
    Lower,
    /// `AND OR NOT`, `IN`, `LIKE`, `TRUE`, `ARRAY_CONTAINS`
    Upper,
    /// `&& || !`
    Symbols,
}

/// How strings are quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub enum Quotes {
    /// `"a"`
    #[default]
    Double,
    /// `'a'`
    Single,
}

/// How integers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub enum Radix {
    /// `16`
    #[default]
    Decimal,
    /// `0x10`
    Hexadecimal,
    /// `020`
    Octal,
    /// `0b10000`
    Binary,
}

/// How floats are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub enum Floats {
    /// `0.5`; an exponent where that is shorter.
    #[default]
    Plain,
    /// `5e-1`
    Exponent,
}

/// How the characters of strings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub enum Strings {
    /// Only quotes, backslashes, line ends and tabs are escaped.
    #[default]
    Plain,
    /// Everything beyond printable ASCII is `\u00e9` or `\U0001f600`.
    Unicode,
    /// `r"…"`, in which a backslash is itself (Milvus 3.0). Strings that cannot be written so are
    /// plain.
    Raw,
}

impl Spelling {
    /// Every spelling that differs from the plain one in a single respect, and the plain one.
    pub fn single() -> Vec<Spelling> {
        let plain = Spelling::default();
        vec![
            plain,
            Spelling { words: Words::Upper, ..plain },
            Spelling { words: Words::Symbols, ..plain },
            Spelling { quotes: Quotes::Single, ..plain },
            Spelling { radix: Radix::Hexadecimal, ..plain },
            Spelling { radix: Radix::Octal, ..plain },
            Spelling { radix: Radix::Binary, ..plain },
            Spelling { floats: Floats::Exponent, ..plain },
            Spelling { strings: Strings::Unicode, ..plain },
            Spelling { strings: Strings::Raw, ..plain },
        ]
    }
}

/// A filter and how it is written.
///
/// ```
/// use milvus_difftest::filter::{Filter, Spelling, Words, parse};
/// let expr = parse("a > 1 and b == 'x'").unwrap();
/// let filter = Filter { expr, spelling: Spelling { words: Words::Symbols, ..Default::default() } };
/// assert_eq!(filter.to_string(), "(a > 1) && (b == \"x\")");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// What it says.
    pub expr: Expr,
    /// How it is written.
    pub spelling: Spelling,
}

impl Filter {
    /// Reads a filter and how it is written.
    pub fn parse(text: &str) -> Result<Filter, ParseError> {
        parse(text).map(Filter::from)
    }
}

impl From<Expr> for Filter {
    fn from(expr: Expr) -> Filter {
        Filter { expr, spelling: Spelling::default() }
    }
}
