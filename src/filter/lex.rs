//! Filter text as tokens, as the server's lexer (Plan.g4) takes it apart.
//!
//! Where releases read one spelling differently, it is refused: octal escapes of one or two digits,
//! `\x` with more than two, prefixes of strings. What an engine then makes of a filter is never
//! a question of how its text was meant.

use std::ops::Range;

use super::ast::{FieldPath, Step};
use super::parse::ParseError;
use crate::value::META;

/// A token and where it stands, in bytes.
#[derive(Debug)]
pub(super) struct Lexeme<'a> {
    pub(super) token: Token<'a>,
    pub(super) span: Range<usize>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    /// A name, a keyword or a function.
    Word(&'a str),
    /// What only a path can be: a name with steps, `$meta`, `$[member]`.
    Path(FieldPath),
    /// The magnitude of an integer; a sign is a token of its own.
    Int(u64),
    Float(f64),
    Text(String),
    Symbol(&'static str),
    /// `{name}`
    Template(&'a str),
}

/// The tokens of a text, up to its end or to what is none.
pub(super) fn tokenize(text: &str) -> (Vec<Lexeme<'_>>, Option<ParseError>) {
    let mut lexer = Lexer { text, at: 0 };
    let mut lexemes = Vec::new();
    loop {
        lexer.skip_blanks();
        let start = lexer.at;
        match lexer.token() {
            Ok(None) => return (lexemes, None),
            Ok(Some(token)) => lexemes.push(Lexeme { token, span: start..lexer.at }),
            Err(error) => return (lexemes, Some(error)),
        }
    }
}

/// Words that cannot name a field, whatever their case: Milvus Lite folds it.
pub(super) fn is_keyword(word: &str) -> bool {
    const KEYWORDS: [&str; 12] = [
        "and", "or", "not", "in", "like", "is", "null", "exists", "true", "false", "iso",
        "interval",
    ];
    KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word))
}

/// Longest first. Some are only there to be refused.
const SYMBOLS: [&str; 32] = [
    "**", "==", "!=", "<=", ">=", "&&", "||", "<<", ">>", "=~", "!~", "<>", "=>", "=<", "<", ">",
    "+", "-", "*", "/", "%", "!", "~", "&", "|", "^", "(", ")", "[", "]", ",", "=",
];

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn next_byte(&self) -> Option<u8> {
        self.rest().bytes().next()
    }

    /// Takes as many bytes as satisfy the condition.
    fn take_while(&mut self, condition: impl Fn(u8) -> bool) -> &'a str {
        let length = self.rest().bytes().take_while(|byte| condition(*byte)).count();
        let taken = self.rest().get(..length).unwrap_or_default();
        self.at += taken.len();
        taken
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        self.at += if found { text.len() } else { 0 };
        found
    }

    fn skip_blanks(&mut self) -> bool {
        !self.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).is_empty()
    }

    fn word(&mut self) -> &'a str {
        match self.next_byte() {
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => self.take_while(in_word),
            _ => "",
        }
    }

    fn error<T>(&self, start: usize, reason: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError::new(start..self.at, reason))
    }

    fn token(&mut self) -> Result<Option<Token<'a>>, ParseError> {
        let start = self.at;
        let Some(first) = self.rest().chars().next() else { return Ok(None) };
        let token = match first {
            'a'..='z' | 'A'..='Z' | '_' => self.name()?,
            '$' => self.special_path()?,
            '0'..='9' => self.number()?,
            '.' if self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number()?,
            '"' | '\'' => Token::Text(self.string()?),
            '{' => self.template()?,
            _ => match SYMBOLS.iter().find(|symbol| self.take(symbol)) {
                Some(symbol) => Token::Symbol(symbol),
                None => {
                    self.at += first.len_utf8();
                    return Err(unexpected(first, start..self.at));
                }
            },
        };
        Ok(Some(token))
    }

    /// A word; a path, if brackets follow; a string, if it is the prefix of one.
    fn name(&mut self) -> Result<Token<'a>, ParseError> {
        let start = self.at;
        let word = self.word();
        if matches!(self.next_byte(), Some(b'"' | b'\'')) {
            match word {
                "r" => return self.raw_string(start),
                "u8" | "u" | "U" | "L" | "R" => {
                    let reason = "strings have no such prefix; Milvus reads what follows wrongly";
                    return Err(ParseError::new(start..self.at, reason).suggest(""));
                }
                _ => {}
            }
        }
        if is_keyword(word) {
            return Ok(Token::Word(word));
        }
        let path = self.steps(FieldPath::new(word), start)?;
        Ok(if path.steps.is_empty() { Token::Word(word) } else { Token::Path(path) })
    }

    /// `$meta` and `$[member]`.
    fn special_path(&mut self) -> Result<Token<'a>, ParseError> {
        let start = self.at;
        self.at += 1;
        if self.take("[") {
            let member = self.word();
            if member.is_empty() || !self.take("]") {
                return self.error(start, "a member of a struct is written `$[name]`");
            }
            return Ok(Token::Path(FieldPath::member(member)));
        }
        if self.word() != &META[1..] {
            return self.error(start, "only `$meta` and `$[member]` begin with `$`");
        }
        self.steps(FieldPath::new(META), start).map(Token::Path)
    }

    /// The brackets after a name. The server has the whole path as one token, in which no blank may
    /// stand; to say so, one that has blanks is read to its end.
    fn steps(&mut self, mut path: FieldPath, start: usize) -> Result<FieldPath, ParseError> {
        let mut spaced = false;
        let mut written = self.text.get(start..self.at).unwrap_or_default().to_owned();
        loop {
            let end = self.at;
            let before = self.skip_blanks();
            let open = self.at;
            if !self.take("[") {
                self.at = end;
                break;
            }
            let after = self.skip_blanks();
            let content = self.at;
            path.steps.push(self.step(open)?);
            written.push('[');
            written.push_str(self.text.get(content..self.at).unwrap_or_default());
            written.push(']');
            let closing = self.skip_blanks();
            if !self.take("]") {
                return self.error(open, "this bracket is not closed");
            }
            spaced |= before || after || closing;
        }
        if spaced {
            let reason = "a path is one word, in which no blank stands outside of quotes";
            return Err(ParseError::new(start..self.at, reason).suggest(written));
        }
        let dotted = self.rest().strip_prefix('.');
        if dotted.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic())) {
            self.at += 1;
            let key = self.word();
            let reason = "a key is written in brackets and quotes";
            let error = ParseError::new(start..self.at, reason);
            return Err(error.suggest(format!("{written}[\"{key}\"]")));
        }
        Ok(path)
    }

    fn step(&mut self, open: usize) -> Result<Step, ParseError> {
        let start = self.at;
        match self.next_byte() {
            // The server takes the key as it is written, escapes and all.
            Some(b'"' | b'\'') => {
                let key = self.quoted()?;
                Ok(Step::Key(self.text.get(key).unwrap_or_default().to_owned()))
            }
            Some(b'0'..=b'9') => {
                let digits = self.take_while(in_word);
                let index = digits.parse().ok().filter(|index: &u32| index.to_string() == digits);
                match index {
                    Some(index) => Ok(Step::Index(index)),
                    None => self.error(start, "an index is a decimal number below 2^32"),
                }
            }
            Some(b'-') => {
                self.at += 1;
                self.error(start, "an index counts from the start; none is negative")
            }
            _ => self.error(open, "a path has keys in quotes, and indices"),
        }
    }

    fn template(&mut self) -> Result<Token<'a>, ParseError> {
        let start = self.at;
        self.at += 1;
        self.skip_blanks();
        let name = self.word();
        self.skip_blanks();
        if name.is_empty() || is_keyword(name) || !self.take("}") {
            return self.error(start, "a template is a name in braces, `{name}`");
        }
        Ok(Token::Template(name))
    }

    fn number(&mut self) -> Result<Token<'a>, ParseError> {
        let start = self.at;
        let prefix = self.rest().get(..2).unwrap_or_default();
        if matches!(prefix, "0x" | "0X") {
            self.at += 2;
            return self.hexadecimal(start);
        }
        if matches!(prefix, "0b" | "0B") {
            self.at += 2;
            let digits = self.take_while(in_word);
            return self.integer(start, digits, 2);
        }
        let digits = |byte: u8| byte.is_ascii_digit();
        let whole = self.take_while(digits);
        let point = self.take(".");
        if point {
            self.take_while(digits);
        }
        let exponent = matches!(self.next_byte(), Some(b'e' | b'E'));
        if exponent {
            self.at += 1;
            let _ = self.take("+") || self.take("-");
            if self.take_while(digits).is_empty() {
                self.take_while(in_word);
                return self.error(start, "this exponent has no digits");
            }
        }
        if !self.take_while(in_word).is_empty() {
            return self.error(start, "this is neither a number nor a name");
        }
        if !point && !exponent {
            return match whole.strip_prefix('0') {
                Some(octal) if !octal.is_empty() => self.integer(start, octal, 8),
                _ => self.integer(start, whole, 10),
            };
        }
        match self.text.get(start..self.at).unwrap_or_default().parse() {
            Ok(x) if f64::is_finite(x) => Ok(Token::Float(x)),
            _ => self.error(start, "this number is beyond the range of a double"),
        }
    }

    fn integer(&self, start: usize, digits: &str, radix: u32) -> Result<Token<'a>, ParseError> {
        if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
            let reason = match radix {
                2 => "after `0b` stand binary digits",
                8 => "a number that begins with 0 is octal, and has no such digit",
                _ => "after `0x` stand hexadecimal digits",
            };
            return self.error(start, reason);
        }
        match u64::from_str_radix(digits, radix) {
            Ok(int) => Ok(Token::Int(int)),
            Err(_) => self.error(start, OUT_OF_RANGE),
        }
    }

    /// What follows `0x`: an integer, or a float as C writes it: `0x1.8p-1`.
    fn hexadecimal(&mut self, start: usize) -> Result<Token<'a>, ParseError> {
        let whole = self.take_while(|byte| byte.is_ascii_hexdigit());
        let point = self.take(".");
        let fraction = if point {
            self.take_while(|byte| byte.is_ascii_hexdigit())
        } else {
            Default::default()
        };
        if !(self.take("p") || self.take("P")) {
            let rest = self.take_while(in_word);
            return match point {
                true => self.error(start, "a hexadecimal float has an exponent, as in `0x1.8p0`"),
                false if rest.is_empty() => self.integer(start, whole, 16),
                false => self.integer(start, rest, 16),
            };
        }
        let negative = !self.take("+") && self.take("-");
        let exponent = self.take_while(in_word);
        if whole.len() + fraction.len() == 0 || !exponent.bytes().all(|b| b.is_ascii_digit()) {
            return self.error(start, "this is no hexadecimal float");
        }
        // Beyond this, every mantissa that fits into a filter is zero or too large.
        const FAR: i64 = 1 << 40;
        let exponent = match exponent.parse::<i64>() {
            Ok(exponent) => exponent.min(FAR),
            Err(_) if exponent.is_empty() => {
                return self.error(start, "this exponent has no digits");
            }
            Err(_) => FAR,
        };
        let exponent = if negative { -exponent } else { exponent };
        match hexadecimal_float(whole, fraction, exponent) {
            Some(x) => Ok(Token::Float(x)),
            None => self.error(start, "this number is beyond the range of a double"),
        }
    }

    /// Takes a string and gives the place of what is between its quotes, with its escapes checked
    /// but not resolved.
    fn quoted(&mut self) -> Result<Range<usize>, ParseError> {
        let start = self.at;
        let Some(quote) = self.rest().chars().next() else {
            return self.error(start, "expected a string");
        };
        self.at += 1;
        let content = self.at;
        loop {
            let begin = self.at;
            let Some(c) = self.rest().chars().next() else {
                return self.error(start, "this string does not end");
            };
            self.at += c.len_utf8();
            match c {
                c if c == quote => return Ok(content..begin),
                '\n' | '\r' => {
                    self.at = begin;
                    return self.error(start, "this string does not end on its line");
                }
                '\\' => match escape(self.rest()) {
                    Ok((_, length)) => self.at += length,
                    Err(reason) => {
                        let end = self.rest().chars().next().map_or(0, char::len_utf8);
                        return Err(ParseError::new(begin..self.at + end, reason));
                    }
                },
                _ => {}
            }
        }
    }

    fn string(&mut self) -> Result<String, ParseError> {
        let start = self.at;
        let content = self.quoted()?;
        let mut rest = self.text.get(content).unwrap_or_default();
        let mut bytes = Vec::with_capacity(rest.len());
        while let Some(at) = rest.find('\\') {
            bytes.extend_from_slice(&rest.as_bytes()[..at]);
            rest = &rest[at + 1..];
            if let Ok((escaped, length)) = escape(rest) {
                match escaped {
                    Escaped::Byte(byte) => bytes.push(byte),
                    Escaped::Char(c) => {
                        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    }
                }
                rest = &rest[length..];
            }
        }
        bytes.extend_from_slice(rest.as_bytes());
        match String::from_utf8(bytes) {
            Ok(string) => Ok(string),
            Err(_) => self.error(start, "the escapes in this string make no UTF-8"),
        }
    }

    /// `r"…"`, in which a backslash is itself.
    fn raw_string(&mut self, start: usize) -> Result<Token<'a>, ParseError> {
        let double = self.take("\"");
        let _ = double || self.take("'");
        let quote = if double { '"' } else { '\'' };
        let content = self.at;
        let Some(length) = self.rest().find([quote, '\n', '\r']) else {
            self.at = self.text.len();
            return self.error(start, "this string does not end");
        };
        self.at += length;
        let end = self.at;
        if !self.rest().starts_with(quote) {
            return self.error(start, "this string does not end on its line");
        }
        self.at += 1;
        let text = self.text.get(content..end).unwrap_or_default();
        if text.ends_with('\\') {
            return self.error(start, "a raw string cannot end in a backslash, nor hold its quote");
        }
        Ok(Token::Text(text.to_owned()))
    }
}

pub(super) const OUT_OF_RANGE: &str = "this integer is beyond 64 bits";

fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn unexpected(c: char, span: Range<usize>) -> ParseError {
    match c {
        '“' | '”' | '„' | '«' | '»' => {
            ParseError::new(span, "strings stand between straight quotes").suggest("\"")
        }
        '‘' | '’' | '`' => {
            ParseError::new(span, "strings stand between straight quotes").suggest("'")
        }
        '.' => ParseError::new(span, "a point stands only in a number"),
        c if c.is_alphanumeric() => ParseError::new(
            span,
            "names are made of ASCII letters, digits and `_`; other keys stand in quotes, as in \
             $meta[\"…\"]",
        ),
        c => ParseError::new(span, format!("a filter has no character {c:?} outside of strings")),
    }
}

enum Escaped {
    Byte(u8),
    Char(char),
}

/// What stands after a backslash, and its length.
fn escape(rest: &str) -> Result<(Escaped, usize), &'static str> {
    let mut chars = rest.chars();
    let Some(c) = chars.next() else { return Err("this string does not end") };
    let simple = |byte| Ok((Escaped::Byte(byte), 1));
    let code = |length: usize, radix: u32| {
        let digits = rest.get(1..=length).filter(|d| d.chars().all(|c| c.is_digit(radix)))?;
        u32::from_str_radix(digits, radix).ok()
    };
    match c {
        '"' | '\'' | '\\' => simple(c as u8),
        'a' => simple(7),
        'b' => simple(8),
        'f' => simple(12),
        'n' => simple(b'\n'),
        'r' => simple(b'\r'),
        't' => simple(b'\t'),
        'v' => simple(11),
        '0'..='7' => {
            let digits = rest.get(..3).filter(|d| d.chars().all(|c| c.is_digit(8)));
            let byte = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
            let reason = "an octal escape has three digits, up to \\377";
            byte.map(|byte| (Escaped::Byte(byte), 3)).ok_or(reason)
        }
        'x' => match code(2, 16) {
            Some(byte) if !rest[3..].starts_with(|c: char| c.is_ascii_hexdigit()) => {
                Ok((Escaped::Byte(byte as u8), 3))
            }
            _ => Err("a hexadecimal escape has exactly two digits"),
        },
        'u' | 'U' => {
            let length = if c == 'u' { 4 } else { 8 };
            let c = code(length, 16).and_then(char::from_u32);
            let reason =
                "a Unicode escape is \\u and four digits, or \\U and eight, of a character";
            c.map(|c| (Escaped::Char(c), 1 + length)).ok_or(reason)
        }
        _ => Err("strings have no such escape; a backslash itself is written \\\\"),
    }
}

/// `0xWHOLE.FRACTIONpEXPONENT`, rounded once, to the nearest double, ties to even; `None` if that
/// is infinite.
fn hexadecimal_float(whole: &str, fraction: &str, exponent: i64) -> Option<f64> {
    // The value is `mantissa * 2^scale`, and a little more if `sticky`.
    let (mut mantissa, mut scale, mut sticky) = (0_u64, exponent, false);
    let digits = whole.chars().map(|c| (c, 0)).chain(fraction.chars().map(|c| (c, 4)));
    for (digit, places) in digits {
        let digit = u64::from(digit.to_digit(16)?);
        scale -= places;
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | digit;
        } else {
            sticky |= digit != 0;
            scale += 4;
        }
    }
    if mantissa == 0 {
        return Some(0.0);
    }
    let bits = i64::from(64 - mantissa.leading_zeros());
    // The weight of the last bit of the result: 52 below the first, but no smaller than a
    // subnormal's.
    let last = (scale + bits - 53).max(-1074);
    let rounded = match last - scale {
        shift @ ..=0 => mantissa << -shift,
        shift @ 1..=64 => {
            let wide = u128::from(mantissa) << 64 >> shift;
            let (kept, lost) = ((wide >> 64) as u64, wide as u64);
            const HALF: u64 = 1 << 63;
            let up = lost > HALF || lost == HALF && (sticky || kept & 1 == 1);
            kept + u64::from(up)
        }
        _ => 0,
    };
    // Both factors and their product are exact.
    let power = match last {
        ..=-1023 => f64::from_bits(1 << (last + 1074)),
        -1022..=1023 => f64::from_bits(((last + 1023) as u64) << 52),
        _ => return None,
    };
    Some(rounded as f64 * power).filter(|x| x.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Result<Token<'_>, String> {
        let (mut lexemes, error) = tokenize(text);
        match (lexemes.pop(), error) {
            (Some(lexeme), None) if lexemes.is_empty() => Ok(lexeme.token),
            (_, Some(error)) => Err(error.reason),
            _ => Err("not one token".to_owned()),
        }
    }

    #[test]
    fn hexadecimal_floats_round_once() {
        let cases = [
            ("0x1p-1", 0.5),
            ("0x.8p0", 0.5),
            ("0X1.8P+3", 12.0),
            ("0x1p1023", f64::MAX / (2.0 - f64::EPSILON)),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x1p-1074", f64::from_bits(1)),
            // A tie, to even; and a little more than a tie.
            ("0x1p-1075", 0.0),
            ("0x1.8p-1074", f64::from_bits(2)),
            ("0x1.00000000000000000001p-1075", f64::from_bits(1)),
            ("0x1p-99999999999999999999", 0.0),
            ("0x1.00000000000008p0", 1.0),
            ("0x1.000000000000080000000000001p0", 1.0 + f64::EPSILON),
            ("0x1.0000000000000fffffffp0", 1.0 + f64::EPSILON),
            ("0x10000000000000001p0", 18446744073709551616.0),
        ];
        for (text, value) in cases {
            assert_eq!(only(text), Ok(Token::Float(value)), "{text}");
        }
        for text in ["0x1p1024", "0x1.fffffffffffff8p1023", "0x1p99999999999999999999"] {
            assert!(only(text).unwrap_err().contains("range of a double"), "{text}");
        }
    }
}
