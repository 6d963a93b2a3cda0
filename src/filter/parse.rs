//! Milvus filter text as a tree.
//!
//! The language is the server's of Milvus 3.x (Plan.g4) with its precedence, tightest first:
//!
//! | | |
//! |---|---|
//! | `is null`, `exists`, `like` | |
//! | `**` | |
//! | `not`, `-`, `+`, `~` | so that `not a == 1` would be `(not a) == 1`, which is refused |
//! | `* / %`, then `+ -`, then `<< >>` | |
//! | `in`, `not in` | |
//! | `1 < a <= 4` | constants outside, a bare field or path between them |
//! | `< <= > >=`, then `== !=` | |
//! | `&`, then `^`, then `\|` | looser than comparisons: `(a & 4) == 4` |
//! | `and`, then `or` | |
//!
//! Binary operators are left-associative. `and` and `or` chains become balanced trees instead,
//! which mean the same: a chain of 10 000 terms is 14 levels deep, not 10 000, so that whatever
//! walks, prints, clones or drops the tree by recursion does not exhaust the stack. Everything else
//! that nests is bounded by [`MAX_DEPTH`].

use std::ops::Range;

use super::ast::{Bound, Expr, FieldPath, Literal};
use super::caret::underline;
use super::fold;
use super::lex::{Lexeme, OUT_OF_RANGE, Token, is_keyword, tokenize};
use super::operator::{BinaryOp, Elements, Function, UnaryOp};
use super::time;

/// Text that is not a filter.
///
/// ```
/// let text = "a > 1 and b = 2";
/// let error = milvus_difftest::filter::parse(text).unwrap_err();
/// assert_eq!(error.render(text), "\
/// a > 1 and b = 2
///             ^ equality is written `==`
/// write `==`");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot parse the filter at byte {position}: {reason}{}", .suggestion.as_deref().map(advice).unwrap_or_default())]
pub struct ParseError {
    /// Where, in bytes from the start.
    pub position: usize,
    /// How much of the text is meant, in bytes; 0 at its end.
    pub length: usize,
    /// What was expected, or what is wrong there.
    pub reason: String,
    /// What to write there instead, where that is known.
    pub suggestion: Option<String>,
}

fn advice(suggestion: &str) -> String {
    match suggestion {
        "" => "; leave it out".to_owned(),
        suggestion => format!("; write `{suggestion}`"),
    }
}

impl ParseError {
    pub(super) fn new(span: Range<usize>, reason: impl Into<String>) -> ParseError {
        let length = span.end.saturating_sub(span.start);
        ParseError { position: span.start, length, reason: reason.into(), suggestion: None }
    }

    pub(super) fn suggest(self, suggestion: impl Into<String>) -> ParseError {
        ParseError { suggestion: Some(suggestion.into()), ..self }
    }

    /// The line of the filter, a caret under the place with the reason, and the suggestion.
    pub fn render(&self, text: &str) -> String {
        let shown = underline(text, self.position..self.position + self.length);
        let advice = self.suggestion.as_deref().map(advice).unwrap_or_default();
        let advice = advice.strip_prefix("; ").map(|advice| format!("\n{advice}"));
        format!("{shown} {}{}", self.reason, advice.unwrap_or_default())
    }
}

/// Trees deeper than this are refused, so that no input can exhaust the stack: neither here nor in
/// what walks the tree. Parentheses alone may nest twice as deep.
///
/// Measured with a debug build: at the limit, parsing needs less than 1 MiB of stack, and whatever
/// walks the tree less than that; threads have 2 MiB.
pub const MAX_DEPTH: usize = 200;

/// Parses a filter.
///
/// The empty filter, which to Milvus is true of every row, is an error: nothing is asked by it.
///
/// ```
/// use milvus_difftest::filter::parse;
/// let filter = parse("a > 1 and not (b in [1, 2])").unwrap();
/// assert_eq!(filter.to_string(), "(a > 1) and (not (b in [1, 2]))");
/// assert_eq!(parse("a >").unwrap_err().position, 3);
/// ```
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    let (tokens, unreadable) = tokenize(text);
    if tokens.is_empty() && unreadable.is_none() {
        let reason = "the filter is empty, which to Milvus is true of every row";
        return Err(ParseError::new(0..text.len(), reason));
    }
    let mut parser = Parser { text, tokens, unreadable, next: 0, nesting: 0, in_elements: false };
    let tree = parser.expr(0)?;
    match parser.peek() {
        None if parser.unreadable.is_none() => Ok(tree.expr),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Lexeme<'a>>,
    /// Why the tokens end before the text does.
    unreadable: Option<ParseError>,
    next: usize,
    /// Calls of [`Parser::expr`] that have not returned.
    nesting: usize,
    /// Inside of `match_any` and its like, where `$[member]` has a meaning.
    in_elements: bool,
}

/// A part of the tree, and what is known of its text.
struct Tree {
    expr: Expr,
    height: usize,
    shape: Shape,
    /// The index of its first token.
    first: usize,
}

/// What a part looks like without parentheses around it.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    /// One word, or anything in parentheses.
    Closed,
    /// `not …`
    Not,
    /// `… < …`, or a chained range.
    Relational,
    Other,
}

/// How tight an operator binds its operands.
mod power {
    pub(super) const OR: u8 = 1;
    pub(super) const AND: u8 = 2;
    pub(super) const EQUAL: u8 = 6;
    pub(super) const RELATIONAL: u8 = 7;
    pub(super) const RANGE: u8 = 8;
    pub(super) const IN: u8 = 9;
    pub(super) const SHIFT: u8 = 10;
    pub(super) const UNARY: u8 = 13;
    pub(super) const POW: u8 = 14;
    pub(super) const LIKE: u8 = 15;
    pub(super) const NULL: u8 = 16;
}

fn power_of(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => power::OR,
        BinaryOp::And => power::AND,
        BinaryOp::BitOr => 3,
        BinaryOp::BitXor => 4,
        BinaryOp::BitAnd => 5,
        BinaryOp::Eq | BinaryOp::Ne => power::EQUAL,
        BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => power::RELATIONAL,
        BinaryOp::Add | BinaryOp::Sub => 11,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod => 12,
        BinaryOp::Pow => power::POW,
    }
}

/// What may follow an operand.
#[derive(Clone, Copy)]
enum Infix {
    Binary(BinaryOp),
    Range { descending: bool },
    In { negated: bool },
    Shift,
    Like,
    IsNull,
}

impl Infix {
    fn power(self) -> u8 {
        match self {
            Infix::Binary(op) => power_of(op),
            Infix::Range { .. } => power::RANGE,
            Infix::In { .. } => power::IN,
            Infix::Shift => power::SHIFT,
            Infix::Like => power::LIKE,
            Infix::IsNull => power::NULL,
        }
    }
}

impl<'a> Parser<'a> {
    fn at(&self, ahead: usize) -> Option<&Token<'a>> {
        self.tokens.get(self.next + ahead).map(|lexeme| &lexeme.token)
    }

    fn peek(&self) -> Option<&Token<'a>> {
        self.at(0)
    }

    fn word(&self, ahead: usize) -> Option<&'a str> {
        match self.at(ahead) {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn is_symbol(&self, ahead: usize, symbol: &str) -> bool {
        matches!(self.at(ahead), Some(Token::Symbol(found)) if *found == symbol)
    }

    /// A keyword as the server has it: in lower case or in upper case.
    fn is_word(&self, ahead: usize, word: &str) -> bool {
        self.word(ahead).is_some_and(|found| found == word || found == word.to_ascii_uppercase())
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(0, symbol);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), ParseError> {
        match self.take_symbol(symbol) {
            true => Ok(()),
            false => Err(self.unexpected(&format!("`{symbol}`"))),
        }
    }

    /// The place of a token; the end of the text if there is none.
    fn span(&self, index: usize) -> Range<usize> {
        let end = self.text.trim_end_matches([' ', '\t', '\r', '\n']).len();
        self.tokens.get(index).map_or(end..end, |lexeme| lexeme.span.clone())
    }

    /// From one token to the last that was taken.
    fn since(&self, first: usize) -> Range<usize> {
        let start = self.span(first).start;
        start..self.span(self.next.saturating_sub(1)).end.max(start)
    }

    fn error<T>(&self, index: usize, reason: impl Into<String>) -> Result<T, ParseError> {
        match (&self.unreadable, self.tokens.len() <= index) {
            (Some(error), true) => Err(error.clone()),
            _ => Err(ParseError::new(self.span(index), reason)),
        }
    }

    /// Something else stands where an operator or a bracket would.
    #[inline(never)]
    fn unexpected(&self, expected: &str) -> ParseError {
        if let (Some(error), None) = (&self.unreadable, self.peek()) {
            return error.clone();
        }
        let span = self.span(self.next);
        let wrong = |reason: &str| ParseError::new(span.clone(), reason);
        match self.peek() {
            Some(Token::Symbol("=")) => wrong("equality is written `==`").suggest("=="),
            Some(Token::Symbol("<>")) => wrong("inequality is written `!=`").suggest("!="),
            Some(Token::Symbol("=>")) => wrong("at least is written `>=`").suggest(">="),
            Some(Token::Symbol("=<")) => wrong("at most is written `<=`").suggest("<="),
            Some(Token::Symbol("=~" | "!~")) => wrong(
                "regular expressions are not supported: the documentation leaves their \
                       syntax to the engine",
            ),
            Some(Token::Symbol("!")) => wrong("`!` stands before an operand, `!=` between two"),
            Some(Token::Word(word)) => self.unexpected_word(word, expected),
            Some(_) => wrong(&format!("expected {expected}")),
            None => ParseError::new(span, format!("the filter ends where {expected} should be")),
        }
    }

    fn unexpected_word(&self, word: &str, expected: &str) -> ParseError {
        let lower = word.to_ascii_lowercase();
        let wrong = |reason: String| ParseError::new(self.span(self.next), reason);
        if self.is_word(0, "not") && self.is_word(1, "like") {
            let span = self.span(self.next).start..self.span(self.next + 1).end;
            return ParseError::new(
                span,
                "`not` stands before the whole term: `not (s like \"…\")`",
            );
        }
        if lower == "not" && self.is_word(0, "not") {
            return wrong("between operands, `in` follows `not`".to_owned());
        }
        if is_keyword(word) && word != lower && word != word.to_ascii_uppercase() {
            let reason = "keywords are written in lower case or in upper case".to_owned();
            return wrong(reason).suggest(lower);
        }
        match lower.as_str() {
            "between" => wrong("a range is written `1 <= a <= 2`".to_owned()),
            "ilike" | "rlike" | "regexp" => wrong(format!("there is no `{lower}`, only `like`")),
            "xor" => wrong("there is no `xor` of truth values".to_owned()),
            "contains" => wrong("what contains what is asked by `array_contains(a, x)`".to_owned()),
            _ => wrong(format!("expected {expected}")),
        }
    }

    fn tree(
        &self,
        expr: Expr,
        height: usize,
        shape: Shape,
        first: usize,
    ) -> Result<Tree, ParseError> {
        if height > MAX_DEPTH {
            return self.error(first, format!("this is nested deeper than {MAX_DEPTH}"));
        }
        Ok(Tree { expr, height, shape, first })
    }

    /// An expression whose operators all bind at least so tight.
    fn expr(&mut self, tightest: u8) -> Result<Tree, ParseError> {
        // Printing writes at most two levels for one of the tree: an operand and its parentheses.
        if self.nesting > 2 * MAX_DEPTH {
            return self.error(self.next, format!("this is nested deeper than {MAX_DEPTH}"));
        }
        self.nesting += 1;
        let mut left = self.prefix()?;
        while let Some(infix) = self.infix() {
            if infix.power() < tightest {
                break;
            }
            left = self.apply(left, infix)?;
        }
        self.nesting -= 1;
        Ok(left)
    }

    fn infix(&self) -> Option<Infix> {
        let op = match self.peek()? {
            Token::Symbol(symbol) => match *symbol {
                "||" => BinaryOp::Or,
                "&&" => BinaryOp::And,
                "<<" | ">>" => return Some(Infix::Shift),
                symbol => BinaryOp::ALL.into_iter().find(|op| op.symbol() == symbol)?,
            },
            Token::Word(_) if self.is_word(0, "or") => BinaryOp::Or,
            Token::Word(_) if self.is_word(0, "and") => BinaryOp::And,
            Token::Word(_) if self.is_word(0, "in") => return Some(Infix::In { negated: false }),
            Token::Word(_) if self.is_word(0, "not") && self.is_word(1, "in") => {
                return Some(Infix::In { negated: true });
            }
            Token::Word(_) if self.is_word(0, "like") => return Some(Infix::Like),
            Token::Word(word) if word.eq_ignore_ascii_case("is") => return Some(Infix::IsNull),
            _ => return None,
        };
        let between = match self.at(1) {
            Some(Token::Word(word)) => !is_keyword(word),
            Some(Token::Path(_)) => true,
            _ => false,
        };
        let again = |first, second| self.is_symbol(2, first) || self.is_symbol(2, second);
        Some(match op {
            BinaryOp::Lt | BinaryOp::Le if between && again("<", "<=") => {
                Infix::Range { descending: false }
            }
            BinaryOp::Gt | BinaryOp::Ge if between && again(">", ">=") => {
                Infix::Range { descending: true }
            }
            op => Infix::Binary(op),
        })
    }

    fn apply(&mut self, left: Tree, infix: Infix) -> Result<Tree, ParseError> {
        let compares = match infix {
            Infix::Binary(op) => op.is_comparison(),
            Infix::Range { .. } | Infix::In { .. } => true,
            _ => false,
        };
        if compares && left.shape == Shape::Not {
            return Err(self.negated_operand(&left));
        }
        match infix {
            Infix::Binary(op) if op.is_logical() => self.chain(left, op),
            Infix::Binary(op) => self.binary(left, op),
            Infix::Range { descending } => self.range(left, descending),
            Infix::In { negated } => self.membership(left, negated),
            Infix::Shift => self.error(
                self.next,
                "shifts are reserved: Milvus reads them and then refuses every one",
            ),
            Infix::Like => self.like(left),
            Infix::IsNull => self.null_test(left),
        }
    }

    /// `not a == 1`, which the server reads as `(not a) == 1` and refuses.
    #[inline(never)]
    fn negated_operand(&mut self, left: &Tree) -> ParseError {
        self.next = left.first + 1;
        let operand = self.next;
        match self.expr(power::EQUAL) {
            Err(error) => error,
            Ok(_) => {
                let not = self.span(left.first);
                let space = if self.is_not_symbol(left.first) { "" } else { " " };
                let (not, term) = (&self.text[not], &self.text[self.since(operand)]);
                let reason = "`not` binds tighter than a comparison";
                ParseError::new(self.since(left.first), reason)
                    .suggest(format!("{not}{space}({term})"))
            }
        }
    }

    fn is_not_symbol(&self, index: usize) -> bool {
        self.tokens.get(index).is_some_and(|lexeme| lexeme.token == Token::Symbol("!"))
    }

    /// `left and … and …`, as a balanced tree.
    fn chain(&mut self, left: Tree, op: BinaryOp) -> Result<Tree, ParseError> {
        let (first, mut height) = (left.first, left.height);
        let mut terms = vec![left.expr];
        while matches!(self.infix(), Some(Infix::Binary(next)) if next == op) {
            self.next += 1;
            let term = self.expr(power_of(op) + 1)?;
            height = height.max(term.height);
            terms.push(term.expr);
        }
        let (levels, count) = (terms.len().next_power_of_two().ilog2() as usize, terms.len());
        match balanced(op, &mut terms.into_iter(), count) {
            Some(expr) => self.tree(expr, height + levels, Shape::Other, first),
            None => self.error(first, "expected an operand"),
        }
    }

    fn binary(&mut self, left: Tree, op: BinaryOp) -> Result<Tree, ParseError> {
        let operator = self.next;
        let relational = power_of(op) == power::RELATIONAL;
        if relational && left.shape == Shape::Relational {
            return self.error(
                operator,
                "comparisons do not chain, but for a range in one direction with a bare field \
                 between constants: `1 < a <= 4`",
            );
        }
        self.next += 1;
        if op.is_comparison() && self.word(0).is_some_and(|w| w.eq_ignore_ascii_case("null")) {
            let test = if op == BinaryOp::Ne { "is not null" } else { "is null" };
            let span = self.span(operator).start..self.span(self.next).end;
            return Err(ParseError::new(span, "nothing compares with null").suggest(test));
        }
        let interval = self.is_word(0, "interval") && matches!(op, BinaryOp::Add | BinaryOp::Sub);
        let right = if interval { self.interval(&left)? } else { self.expr(power_of(op) + 1)? };
        let height = 1 + left.height.max(right.height);
        let shape = if relational { Shape::Relational } else { Shape::Other };
        self.tree(Expr::binary(left.expr, op, right.expr), height, shape, left.first)
    }

    /// `INTERVAL "…"`, after `+` or `-` and a bare field.
    #[inline(never)]
    fn interval(&mut self, left: &Tree) -> Result<Tree, ParseError> {
        let first = self.next;
        if !matches!(&left.expr, Expr::Field(path) if path.steps.is_empty()) {
            return self.error(left.first, "an interval is added to a bare field");
        }
        self.next += 1;
        let text = self.string("an interval in quotes, as in `INTERVAL \"P1DT2H\"`")?;
        match time::parse_interval(&text) {
            Some(interval) => {
                let literal = Expr::Literal(Literal::Interval(interval));
                self.tree(literal, 1, Shape::Closed, first)
            }
            None => self.error(self.next - 1, "this is no interval as in `P1Y2M3DT4H5M6S`"),
        }
    }

    #[inline(never)]
    fn range(&mut self, left: Tree, descending: bool) -> Result<Tree, ParseError> {
        let inclusive =
            |parser: &Parser<'_>| parser.is_symbol(0, "<=") || parser.is_symbol(0, ">=");
        let first = left.first;
        let left_inclusive = inclusive(self);
        self.next += 1;
        let operand = self.path()?;
        let right_inclusive = inclusive(self);
        self.next += 1;
        let right = self.expr(power::RANGE + 1)?;
        let height = 1 + left.height.max(right.height);
        let what = "a chained range has constants outside";
        let left = Bound { value: self.constant(left, what)?, inclusive: left_inclusive };
        let right = Bound { value: self.constant(right, what)?, inclusive: right_inclusive };
        let (low, high) = if descending { (right, left) } else { (left, right) };
        let expr = Expr::Range { operand, low, high, descending };
        self.tree(expr, height, Shape::Relational, first)
    }

    #[inline(never)]
    fn membership(&mut self, left: Tree, negated: bool) -> Result<Tree, ParseError> {
        self.next += 1 + usize::from(negated);
        let (list, list_height) = match self.peek() {
            Some(Token::Template(name)) => {
                let list = vec![Literal::Template((*name).to_owned())];
                self.next += 1;
                (list, 1)
            }
            Some(Token::Symbol("[")) => self.list()?,
            Some(Token::Symbol("(")) => {
                let open = self.next;
                let error = ParseError::new(self.span(open), "a list stands in square brackets");
                let close = self
                    .tokens
                    .iter()
                    .skip(open + 1)
                    .position(|lexeme| matches!(lexeme.token, Token::Symbol("(" | ")")));
                let close = close.map(|at| open + 1 + at).filter(|at| {
                    self.tokens.get(*at).is_some_and(|lexeme| lexeme.token == Token::Symbol(")"))
                });
                let Some(close) = close else { return Err(error) };
                let inside = &self.text[self.span(open).end..self.span(close).start];
                let span = self.span(open).start..self.span(close).end;
                let error = ParseError::new(span, error.reason);
                return Err(error.suggest(format!("[{inside}]")));
            }
            _ => return Err(self.unexpected("a list in brackets, or a template")),
        };
        let height = 1 + left.height.max(list_height);
        let expr = Expr::In { operand: Box::new(left.expr), list, negated };
        self.tree(expr, height, Shape::Other, left.first)
    }

    #[inline(never)]
    fn like(&mut self, left: Tree) -> Result<Tree, ParseError> {
        self.next += 1;
        let pattern = self.string("a pattern in quotes")?;
        let expr = Expr::Like { operand: Box::new(left.expr), pattern };
        self.tree(expr, 1 + left.height, Shape::Other, left.first)
    }

    /// `is null` and `is not null`: to the server one word each, with single blanks.
    #[inline(never)]
    fn null_test(&mut self, left: Tree) -> Result<Tree, ParseError> {
        let operator = self.next;
        self.next += 1;
        let keyword = |parser: &Parser<'_>, word: &str| {
            parser.word(0).is_some_and(|found| found.eq_ignore_ascii_case(word))
        };
        let negated = keyword(self, "not");
        self.next += usize::from(negated);
        let test = if negated { "is not null" } else { "is null" };
        if !keyword(self, "null") {
            if self.word(0).is_some() {
                let span = self.span(operator).start..self.span(self.next).end;
                return Err(ParseError::new(span, "only null is asked for by `is`").suggest(test));
            }
            return Err(self.unexpected("`null`"));
        }
        self.next += 1;
        let span = self.since(operator);
        let written = &self.text[span.clone()];
        if written != test && written != test.to_ascii_uppercase() {
            let reason = "this is one word, all in one case and with single blanks";
            return Err(ParseError::new(span, reason).suggest(test));
        }
        match (left.expr, left.shape) {
            // One token: not that in parentheses.
            (Expr::Field(operand), Shape::Closed) if left.first + 1 == operator => {
                self.tree(Expr::IsNull { operand, negated }, 2, Shape::Other, left.first)
            }
            _ => {
                let reason = format!("`{test}` stands after a field or a path");
                Err(ParseError::new(span, reason))
            }
        }
    }

    fn prefix(&mut self) -> Result<Tree, ParseError> {
        let first = self.next;
        match self.peek() {
            Some(Token::Symbol("(")) => {
                self.next += 1;
                let inner = self.expr(0)?;
                self.expect(")")?;
                Ok(Tree { shape: Shape::Closed, first, ..inner })
            }
            Some(Token::Symbol("!")) => self.negation(),
            Some(Token::Symbol("-")) => self.minus(),
            Some(Token::Symbol("+")) => {
                self.next += 1;
                let operand = self.expr(power::UNARY)?;
                Ok(Tree { shape: Shape::Other, first, ..operand })
            }
            Some(Token::Symbol("~")) => self.unary(UnaryOp::BitNot),
            Some(Token::Symbol("[")) => {
                let (items, height) = self.list()?;
                self.tree(Expr::Literal(Literal::List(items)), height, Shape::Closed, first)
            }
            Some(Token::Word(word)) => self.word_operand(word),
            Some(Token::Path(_)) => {
                let path = self.path()?;
                self.tree(Expr::Field(path), 1, Shape::Closed, first)
            }
            Some(token) => {
                let literal = match token {
                    Token::Int(int) => match i64::try_from(*int) {
                        Ok(int) => Literal::Int(int),
                        Err(_) => return self.error(first, OUT_OF_RANGE),
                    },
                    Token::Float(x) => Literal::Float(*x),
                    Token::Text(text) => Literal::Text(text.clone()),
                    Token::Template(name) => Literal::Template((*name).to_owned()),
                    _ => return Err(self.no_operand()),
                };
                self.next += 1;
                self.tree(Expr::Literal(literal), 1, Shape::Closed, first)
            }
            None => Err(self.no_operand()),
        }
    }

    #[inline(never)]
    fn no_operand(&self) -> ParseError {
        match self.peek() {
            None => self.unexpected("an operand"),
            Some(Token::Symbol("=" | "<>" | "=>" | "=<" | "=~" | "!~")) => self.unexpected(""),
            Some(_) => {
                let reason =
                    "expected an operand: a field, a constant, or something in parentheses";
                ParseError::new(self.span(self.next), reason)
            }
        }
    }

    fn negation(&mut self) -> Result<Tree, ParseError> {
        let first = self.next;
        self.next += 1;
        let operand = self.expr(power::UNARY)?;
        self.tree(Expr::Not(Box::new(operand.expr)), 1 + operand.height, Shape::Not, first)
    }

    fn unary(&mut self, op: UnaryOp) -> Result<Tree, ParseError> {
        let first = self.next;
        self.next += 1;
        let operand = self.expr(power::UNARY)?;
        let expr = Expr::Unary { op, operand: Box::new(operand.expr) };
        self.tree(expr, 1 + operand.height, Shape::Other, first)
    }

    /// A minus belongs to the number that follows it, unless something tighter takes that first.
    fn minus(&mut self) -> Result<Tree, ParseError> {
        let first = self.next;
        let tighter = self.is_symbol(2, "**") || self.is_word(2, "like");
        let literal = match self.at(1) {
            _ if tighter => None,
            Some(Token::Int(int)) => match i64::try_from(-i128::from(*int)) {
                Ok(int) => Some(Literal::Int(int)),
                Err(_) => return self.error(first + 1, OUT_OF_RANGE),
            },
            Some(Token::Float(x)) => Some(Literal::Float(-x)),
            _ => None,
        };
        match literal {
            Some(literal) => {
                self.next += 2;
                self.tree(Expr::Literal(literal), 1, Shape::Other, first)
            }
            None => self.unary(UnaryOp::Negate),
        }
    }

    #[inline(never)]
    fn word_operand(&mut self, word: &'a str) -> Result<Tree, ParseError> {
        let first = self.next;
        if self.is_word(0, "not") {
            return self.negation();
        }
        if self.is_word(0, "exists") {
            self.next += 1;
            let operand = self.expr(power::LIKE + 1)?;
            return match operand.expr {
                Expr::Field(path) => self.tree(Expr::Exists(path), 2, Shape::Other, first),
                _ => self.error(operand.first, "`exists` takes a path"),
            };
        }
        if self.is_word(0, "iso") {
            self.next += 1;
            let text = self.string("a time in quotes, as in `ISO \"2026-01-31T00:00:00Z\"`")?;
            return match time::parse_instant(&text) {
                Some(micros) => {
                    let literal = Expr::Literal(Literal::Timestamp(micros));
                    self.tree(literal, 1, Shape::Closed, first)
                }
                None => self.error(
                    self.next - 1,
                    "this is no time with an offset as in `2026-01-31T00:00:00Z`",
                ),
            };
        }
        let truth = match word {
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        };
        if let Some(truth) = truth {
            self.next += 1;
            return self.tree(Expr::Literal(Literal::Bool(truth)), 1, Shape::Closed, first);
        }
        if self.is_symbol(1, "(") && !is_keyword(word) {
            return self.call(word);
        }
        let path = self.path()?;
        self.tree(Expr::Field(path), 1, Shape::Closed, first)
    }

    /// A field, or a path.
    fn path(&mut self) -> Result<FieldPath, ParseError> {
        let path = match self.peek() {
            Some(Token::Word(word)) => {
                if let Some(error) = self.not_a_name(word) {
                    return Err(error);
                }
                FieldPath::new(*word)
            }
            Some(Token::Path(path)) => {
                if path.root.starts_with("$[") && !self.in_elements {
                    return self.error(
                        self.next,
                        "members of a struct are named inside of `element_filter`, `match_any` \
                         and the like",
                    );
                }
                path.clone()
            }
            Some(_) => return self.error(self.next, "expected a field or a path"),
            None => return Err(self.unexpected("a field or a path")),
        };
        self.next += 1;
        Ok(path)
    }

    /// Words that the language keeps for itself.
    fn not_a_name(&self, word: &str) -> Option<ParseError> {
        let lower = word.to_ascii_lowercase();
        let error = |reason: String| Some(ParseError::new(self.span(self.next), reason));
        if lower == "interval" {
            return error("`INTERVAL` follows `+` or `-` after a field".to_owned());
        }
        if lower == "null" {
            return error("null is no constant; `a is null` asks for it".to_owned());
        }
        if is_keyword(word) {
            let error = error(format!("`{word}` is a keyword and names no field"));
            let mixed = word != lower && word != word.to_ascii_uppercase();
            return if mixed { error.map(|error| error.suggest(lower)) } else { error };
        }
        let function = FUNCTIONS.iter().copied().chain(Function::ALL.map(Function::name));
        if function.into_iter().any(|name| name == lower) {
            return error(format!("`{word}` is a function and names no field"));
        }
        None
    }

    #[inline(never)]
    fn string(&mut self, expected: &str) -> Result<String, ParseError> {
        match self.peek() {
            Some(Token::Text(text)) => {
                let text = text.clone();
                self.next += 1;
                Ok(text)
            }
            Some(_) => self.error(self.next, format!("expected {expected}")),
            None => Err(self.unexpected(expected)),
        }
    }

    /// A part that does not depend on the row. The server computes it while it parses.
    #[inline(never)]
    fn constant(&self, tree: Tree, otherwise: &str) -> Result<Literal, ParseError> {
        match tree.expr {
            Expr::Literal(literal) => Ok(literal),
            expr => match fold::constant(&expr) {
                Ok(Some(literal)) => Ok(literal),
                Ok(None) => self.error(tree.first, otherwise),
                Err(error) => self.error(tree.first, error.reason()),
            },
        }
    }

    /// The elements between brackets, and their height.
    #[inline(never)]
    fn list(&mut self) -> Result<(Vec<Literal>, usize), ParseError> {
        self.next += 1;
        let (mut items, mut height) = (Vec::new(), 0);
        while !self.take_symbol("]") {
            let element = self.expr(0)?;
            let (first, element_height) = (element.first, element.height);
            let item = self.constant(element, "the elements of a list are constants")?;
            if matches!(item, Literal::Template(_)) {
                return self.error(first, "a template stands for a whole list, not in one");
            }
            height = height.max(element_height);
            items.push(item);
            if !self.take_symbol(",") {
                self.expect("]")?;
                break;
            }
        }
        Ok((items, 1 + height))
    }

    #[inline(never)]
    fn call(&mut self, word: &str) -> Result<Tree, ParseError> {
        let first = self.next;
        let name = word.to_ascii_lowercase();
        if let Some(function) = Function::ALL.into_iter().find(|f| f.name() == name) {
            return self.function(function);
        }
        let reason = match name.as_str() {
            "element_filter" | "match_any" | "match_all" | "match_least" | "match_most"
            | "match_exact" => return self.elements(&name),
            "random_sample" => {
                "random_sample has another answer each time, so that none can be expected"
            }
            "text_match_fuzzy" => {
                "text_match_fuzzy is not supported: its answer depends on the analyzer"
            }
            _ => {
                let known = FUNCTIONS.iter().copied().chain(Function::ALL.map(Function::name));
                let close = known.map(|known| (strsim::jaro_winkler(&name, known), known));
                let closest = close.max_by(|a, b| a.0.total_cmp(&b.0));
                let error = ParseError::new(self.span(first), format!("no function is `{word}`"));
                return Err(match closest {
                    Some((likeness, known)) if likeness > 0.8 => error.suggest(known),
                    _ => error,
                });
            }
        };
        self.error(first, reason)
    }

    #[inline(never)]
    fn function(&mut self, function: Function) -> Result<Tree, ParseError> {
        let first = self.next;
        self.next += 2;
        let operand = self.path()?;
        let (mut arguments, mut height) = (Vec::new(), 1);
        while self.take_symbol(",") {
            let named = function == Function::TextMatch && arguments.len() == 1;
            if named {
                self.name_of_argument("minimum_should_match")?;
            }
            let argument = self.expr(0)?;
            height = height.max(argument.height);
            let what = "the arguments after the first are constants";
            arguments.push(self.constant(argument, what)?);
        }
        self.expect(")")?;
        let accepted = match function {
            Function::ArrayLength | Function::StIsvalid => 0..=0,
            Function::TextMatch | Function::PhraseMatch => 1..=2,
            Function::StDwithin => 2..=2,
            _ => 1..=1,
        };
        if !accepted.contains(&arguments.len()) {
            let count = |n: &usize| match n {
                0 => "one argument".to_owned(),
                n => format!("{} arguments", n + 1),
            };
            let (least, most) = (count(accepted.start()), count(accepted.end()));
            let takes =
                if least == most { least } else { format!("{least} or {}", 1 + accepted.end()) };
            let reason = format!("{} takes {takes}", function.name());
            return Err(ParseError::new(self.since(first), reason));
        }
        let expr = Expr::Call { function, operand, arguments };
        self.tree(expr, 1 + height, Shape::Closed, first)
    }

    /// `name=`
    fn name_of_argument(&mut self, name: &str) -> Result<(), ParseError> {
        let found = self.word(0).is_some_and(|word| word.eq_ignore_ascii_case(name));
        if !found || !self.is_symbol(1, "=") {
            return match self.peek() {
                Some(_) => self.error(self.next, format!("expected `{name}=`")),
                None => Err(self.unexpected(&format!("`{name}=`"))),
            };
        }
        self.next += 2;
        Ok(())
    }

    #[inline(never)]
    fn elements(&mut self, name: &str) -> Result<Tree, ParseError> {
        let first = self.next;
        if self.in_elements {
            return self.error(first, format!("{name} does not stand inside of another such"));
        }
        self.next += 2;
        let FieldPath { root: field, steps } = self.path()?;
        if !steps.is_empty() || field.starts_with('$') {
            return self.error(self.next - 1, format!("{name} takes the name of a field"));
        }
        self.expect(",")?;
        self.in_elements = true;
        let predicate = self.expr(0)?;
        self.in_elements = false;
        let elements = match name {
            "element_filter" => Elements::Filter,
            "match_any" => Elements::Any,
            "match_all" => Elements::All,
            _ => {
                self.expect(",")?;
                self.name_of_argument("threshold")?;
                let threshold = match self.peek() {
                    Some(Token::Int(int)) => u32::try_from(*int).ok(),
                    _ => None,
                };
                let Some(threshold) = threshold else {
                    return self.error(self.next, "a threshold is a number from 0 to 2^32 - 1");
                };
                self.next += 1;
                match name {
                    "match_least" => Elements::Least(threshold),
                    "match_most" => Elements::Most(threshold),
                    _ => Elements::Exact(threshold),
                }
            }
        };
        self.expect(")")?;
        let height = 1 + predicate.height;
        let expr = Expr::Elements { elements, field, predicate: Box::new(predicate.expr) };
        self.tree(expr, height, Shape::Closed, first)
    }
}

/// Functions that are not in [`Function::ALL`].
const FUNCTIONS: [&str; 8] = [
    "element_filter",
    "match_any",
    "match_all",
    "match_least",
    "match_most",
    "match_exact",
    "random_sample",
    "text_match_fuzzy",
];

/// The next so many terms, in order. The left half has the odd one, so that three terms are
/// `(a and b) and c`.
fn balanced(op: BinaryOp, terms: &mut std::vec::IntoIter<Expr>, count: usize) -> Option<Expr> {
    if count <= 1 {
        return terms.next();
    }
    let half = count.div_ceil(2);
    let left = balanced(op, terms, half)?;
    let right = balanced(op, terms, count - half)?;
    Some(Expr::binary(left, op, right))
}
