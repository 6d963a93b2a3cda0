//! The many ways to write one filter.
//!
//! A [`Spelling`] changes nothing about what a filter means, only how it looks: engines have read
//! `AND`, `0x10` and `'…'` otherwise than `and`, `16` and `"…"`.

use std::fmt::{self, Write};

use super::ast::{Expr, FieldPath, Literal};
use super::lex::{Lexeme, Token, is_keyword, tokenize};
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
    ///
    /// A text that mixes spellings has the one that most of it is written in, and where nothing
    /// tells, the plain one.
    ///
    /// ```
    /// use milvus_difftest::filter::{Filter, Quotes, Words};
    /// let filter = Filter::parse("a > 1 AND b == 'x'").unwrap();
    /// assert_eq!(filter.spelling.words, Words::Upper);
    /// assert_eq!(filter.to_string(), "(a > 1) AND (b == 'x')");
    /// ```
    pub fn parse(text: &str) -> Result<Filter, ParseError> {
        let expr = parse(text)?;
        Ok(Filter { expr, spelling: Spelling::of(text) })
    }

    /// The same filter, plain in whatever does not show: a filter without strings has no quotes.
    /// What [`Filter::parse`] reads is like that, so that a filter read back from its own text
    /// equals `filter.normalised()`.
    #[must_use]
    pub fn normalised(self) -> Filter {
        let plain = Spelling::default();
        if self.spelling == plain {
            return self;
        }
        let text = self.to_string();
        let mut filter = self;
        for set in [
            |spelling, plain| spelling.words = plain.words,
            |spelling, plain| spelling.quotes = plain.quotes,
            |spelling, plain| spelling.radix = plain.radix,
            |spelling, plain| spelling.floats = plain.floats,
            |spelling, plain| spelling.strings = plain.strings,
        ] as [fn(&mut Spelling, Spelling); 5]
        {
            let before = filter.spelling;
            set(&mut filter.spelling, plain);
            if filter.spelling != before && !is_written(&filter, &text) {
                filter.spelling = before;
            }
        }
        filter
    }
}

/// Whether a filter reads so. It is written no further than to the first difference.
fn is_written(filter: &Filter, text: &str) -> bool {
    struct Left<'a>(&'a str);

    impl Write for Left<'_> {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(part).ok_or(fmt::Error)?;
            Ok(())
        }
    }

    let mut left = Left(text);
    write!(left, "{filter}").is_ok() && left.0.is_empty()
}

impl Spelling {
    /// How a filter is written: of each choice the one that most tokens are consistent with.
    fn of(text: &str) -> Spelling {
        let (lexemes, _) = tokenize(text);
        let mut words = Votes::new([Words::Lower, Words::Upper, Words::Symbols]);
        let mut quotes = Votes::new([Quotes::Double, Quotes::Single]);
        let mut radix =
            Votes::new([Radix::Decimal, Radix::Hexadecimal, Radix::Octal, Radix::Binary]);
        let mut floats = Votes::new([Floats::Plain, Floats::Exponent]);
        let mut strings = Votes::new([Strings::Plain, Strings::Unicode, Strings::Raw]);
        for (i, Lexeme { token, span }) in lexemes.iter().enumerate() {
            let written = text.get(span.clone()).unwrap_or_default();
            let is_written = |literal: Literal, spelling: Spelling| {
                Filter { expr: Expr::Literal(literal), spelling }.to_string() == written
            };
            let plain = Spelling::default();
            let word = |offset: usize| match lexemes.get(offset).map(|lexeme| &lexeme.token) {
                Some(Token::Word(word)) => *word,
                _ => "",
            };
            let before = if i > 0 { word(i - 1) } else { "" };
            match token {
                Token::Symbol("!" | "&&" | "||") => words.vote(|it| it == Words::Symbols),
                Token::Word(name) => {
                    let function = matches!(
                        lexemes.get(i + 1).map(|lexeme| &lexeme.token),
                        Some(Token::Symbol("("))
                    );
                    // ISO and INTERVAL are always written so.
                    let fixed =
                        name.eq_ignore_ascii_case("iso") || name.eq_ignore_ascii_case("interval");
                    if fixed || !function && !is_keyword(name) {
                        continue;
                    }
                    let lower = name.to_ascii_lowercase();
                    let in_symbols = match lower.as_str() {
                        "and" | "or" => false,
                        // Within `not in` and `is not null` it stays a word.
                        "not" => {
                            word(i + 1).eq_ignore_ascii_case("in")
                                || before.eq_ignore_ascii_case("is")
                        }
                        _ => true,
                    };
                    words.vote(|it| match it {
                        Words::Lower => *name == lower,
                        Words::Upper => *name == lower.to_ascii_uppercase(),
                        Words::Symbols => in_symbols && *name == lower,
                    });
                }
                Token::Path(path) => {
                    let spell = |quotes| {
                        let expr = Expr::Field(FieldPath::clone(path));
                        Filter { expr, spelling: Spelling { quotes, ..plain } }.to_string()
                    };
                    quotes.vote(|it| spell(it) == written);
                }
                Token::Int(int) => {
                    // A threshold is always decimal.
                    let threshold = i > 1 && word(i - 2).eq_ignore_ascii_case("threshold");
                    if let (Ok(int), false) = (i64::try_from(*int), threshold) {
                        radix.vote(|radix| {
                            is_written(Literal::Int(int), Spelling { radix, ..plain })
                        });
                    }
                }
                Token::Float(x) => {
                    floats.vote(|floats| {
                        is_written(Literal::Float(*x), Spelling { floats, ..plain })
                    });
                }
                Token::Text(string) => {
                    if ["iso", "interval"].contains(&before.to_ascii_lowercase().as_str()) {
                        continue;
                    }
                    let single = written.ends_with('\'');
                    quotes.vote(|it| (it == Quotes::Single) == single);
                    let spelling = Spelling {
                        quotes: if single { Quotes::Single } else { Quotes::Double },
                        ..plain
                    };
                    strings.vote(|strings| {
                        is_written(Literal::Text(string.clone()), Spelling { strings, ..spelling })
                    });
                }
                Token::Symbol(_) | Token::Template(_) => {}
            }
        }
        Spelling {
            words: words.winner(),
            quotes: quotes.winner(),
            radix: radix.winner(),
            floats: floats.winner(),
            strings: strings.winner(),
        }
    }
}

/// How many tokens are written as each choice would have them.
struct Votes<T, const N: usize>([(T, usize); N]);

impl<T: Copy + Default, const N: usize> Votes<T, N> {
    fn new(choices: [T; N]) -> Votes<T, N> {
        Votes(choices.map(|choice| (choice, 0)))
    }

    fn vote(&mut self, consistent: impl Fn(T) -> bool) {
        for (choice, votes) in &mut self.0 {
            *votes += usize::from(consistent(*choice));
        }
    }

    /// The earliest of those with the most votes.
    fn winner(self) -> T {
        let best = self.0.into_iter().rev().max_by_key(|(_, votes)| *votes);
        best.map(|(choice, _)| choice).unwrap_or_default()
    }
}

impl From<Expr> for Filter {
    fn from(expr: Expr) -> Filter {
        Filter { expr, spelling: Spelling::default() }
    }
}
