//! Milvus filter text as a tree.
//!
//! The precedence is the server's (Plan.g4): `not` binds tighter than comparisons, `exists` is
//! tight (as since March 2025). Templates, chained ranges and bit operators are not read yet.

use super::ast::{Expr, FieldPath, Literal, Step};
use super::operator::{BinaryOp, Function, Quantifier};

/// Text that is not a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot parse the filter at byte {position}: {reason}")]
pub struct ParseError {
    /// Where, in bytes from the start.
    pub position: usize,
    /// What was expected.
    pub reason: String,
}

/// Trees deeper than this are refused, so that no input can exhaust the stack.
const MAX_DEPTH: usize = 200;

/// Parses a filter.
///
/// ```
/// use milvus_difftest::filter::parse;
/// let filter = parse("a > 1 and not (b in [1, 2])").unwrap();
/// assert_eq!(filter.to_string(), "(a > 1) and (not (b in [1, 2]))");
/// assert_eq!(parse("a >").unwrap_err().position, 3);
/// ```
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    let tokens = tokenize(text)?;
    let mut parser = Parser { tokens, next: 0, end: text.len(), depth: 0 };
    let expr = parser.binary(0)?;
    match parser.peek() {
        None => Ok(expr),
        Some(_) => Err(parser.error("expected an operator or the end")),
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Int(u64),
    Float(f64),
    Text(String),
    Symbol(&'static str),
}

// Longest first.
const SYMBOLS: [&str; 20] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "+", "-", "*", "/", "%", "!", "(", ")", "[", "]",
    ",", "=",
];

fn tokenize(text: &str) -> Result<Vec<(Token, usize)>, ParseError> {
    let bytes = text.as_bytes();
    let error = |position, reason: &str| Err(ParseError { position, reason: reason.to_owned() });
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let start = at;
        if c.is_ascii_whitespace() {
            at += 1;
        } else if c.is_ascii_alphabetic() || c == '_' || c == '$' {
            at += 1;
            while bytes.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_') {
                at += 1;
            }
            tokens.push((Token::Word(text[start..at].to_owned()), start));
        } else if c.is_ascii_digit() {
            let (token, length) = match number(&text[at..]) {
                Some(token) => token,
                None => return error(start, "this number is out of range or malformed"),
            };
            at += length;
            tokens.push((token, start));
        } else if c == '"' || c == '\'' {
            let (string, length) = match string(&text[at..], c) {
                Some(string) => string,
                None => return error(start, "this string does not end, or has an unknown escape"),
            };
            at += length;
            tokens.push((Token::Text(string), start));
        } else if let Some(symbol) = SYMBOLS.iter().find(|s| text[at..].starts_with(**s)) {
            at += symbol.len();
            if *symbol == "=" {
                return error(start, "equality is written `==`");
            }
            tokens.push((Token::Symbol(symbol), start));
        } else {
            return error(start, &format!("unexpected character {c:?}"));
        }
    }
    Ok(tokens)
}

fn number(text: &str) -> Option<(Token, usize)> {
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(text);
    let mut end = whole;
    if text[end..].starts_with('.') {
        end += 1 + digits(&text[end + 1..]);
    }
    if text[end..].starts_with(['e', 'E']) {
        let sign = usize::from(text[end + 1..].starts_with(['+', '-']));
        let exponent = digits(&text[end + 1 + sign..]);
        if exponent == 0 {
            return None;
        }
        end += 1 + sign + exponent;
    }
    if text[end..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        return None;
    }
    let token = if end == whole {
        Token::Int(text[..end].parse().ok()?)
    } else {
        Token::Float(text[..end].parse().ok().filter(|x: &f64| x.is_finite())?)
    };
    Some((token, end))
}

fn string(text: &str, quote: char) -> Option<(String, usize)> {
    let mut result = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((result, at + 1)),
            '\n' | '\r' => return None,
            '\\' => result.push(match chars.next()?.1 {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                c @ ('"' | '\'' | '\\') => c,
                _ => return None,
            }),
            c => result.push(c),
        }
    }
    None
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    next: usize,
    end: usize,
    depth: usize,
}

/// Loosest first; each level is left-associative.
const LEVELS: [&[(&str, BinaryOp)]; 6] = [
    &[("or", BinaryOp::Or), ("OR", BinaryOp::Or), ("||", BinaryOp::Or)],
    &[("and", BinaryOp::And), ("AND", BinaryOp::And), ("&&", BinaryOp::And)],
    &[("==", BinaryOp::Eq), ("!=", BinaryOp::Ne)],
    &[("<", BinaryOp::Lt), ("<=", BinaryOp::Le), (">", BinaryOp::Gt), (">=", BinaryOp::Ge)],
    &[("+", BinaryOp::Add), ("-", BinaryOp::Sub)],
    &[("*", BinaryOp::Mul), ("/", BinaryOp::Div), ("%", BinaryOp::Mod)],
];

/// The first of [`LEVELS`] that is tighter than `in`.
const ARITHMETIC: usize = 4;

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }

    fn error(&self, reason: &str) -> ParseError {
        let position = self.tokens.get(self.next).map_or(self.end, |(_, position)| *position);
        ParseError { position, reason: reason.to_owned() }
    }

    /// Takes the next token if it is this symbol or keyword.
    fn take(&mut self, text: &str) -> bool {
        let found = match self.peek() {
            Some(Token::Symbol(symbol)) => *symbol == text,
            Some(Token::Word(word)) => word == text,
            _ => false,
        };
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, text: &str) -> Result<(), ParseError> {
        if self.take(text) { Ok(()) } else { Err(self.error(&format!("expected `{text}`"))) }
    }

    fn binary(&mut self, level: usize) -> Result<Expr, ParseError> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.tighter(level)?;
        while let Some((_, op)) = operators.iter().find(|(symbol, _)| self.take(symbol)) {
            left = Expr::binary(left, *op, self.tighter(level)?);
        }
        Ok(left)
    }

    fn tighter(&mut self, level: usize) -> Result<Expr, ParseError> {
        if level + 1 == ARITHMETIC { self.membership() } else { self.binary(level + 1) }
    }

    /// `in` and `not in`, whose operand may be arithmetic.
    fn membership(&mut self) -> Result<Expr, ParseError> {
        let mut expr = self.binary(ARITHMETIC)?;
        loop {
            let negated = self.take("not") || self.take("NOT");
            if self.take("in") || self.take("IN") {
                let list = self.list()?;
                expr = Expr::In { operand: Box::new(expr), list, negated };
            } else if negated {
                return Err(self.error("expected `in` after `not`"));
            } else {
                return Ok(expr);
            }
        }
    }

    /// `like` and `is null`, which are tighter than every operator, `not` included.
    fn postfix(&mut self) -> Result<Expr, ParseError> {
        let mut expr = self.primary()?;
        loop {
            if self.take("like") || self.take("LIKE") {
                let Some(Token::Text(pattern)) = self.peek().cloned() else {
                    return Err(self.error("expected a pattern in quotes"));
                };
                self.next += 1;
                expr = Expr::Like { operand: Box::new(expr), pattern };
            } else if self.take("is") || self.take("IS") {
                let negated = self.take("not") || self.take("NOT");
                let Expr::Field(operand) = expr else {
                    return Err(self.error("`is null` takes a column or a path"));
                };
                if !self.take("null") && !self.take("NULL") {
                    return Err(self.error("expected `null`"));
                }
                expr = Expr::IsNull { operand, negated };
            } else {
                return Ok(expr);
            }
        }
    }

    fn unary(&mut self) -> Result<Expr, ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(&format!("nested deeper than {MAX_DEPTH}")));
        }
        let expr = if self.take("not") || self.take("NOT") || self.take("!") {
            Expr::Not(Box::new(self.unary()?))
        } else if self.take("exists") || self.take("EXISTS") {
            Expr::Exists(self.path()?)
        } else {
            self.postfix()?
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn primary(&mut self) -> Result<Expr, ParseError> {
        if self.take("(") {
            let inner = self.binary(0)?;
            self.expect(")")?;
            return Ok(inner);
        }
        if let Some(literal) = self.literal()? {
            return Ok(Expr::Literal(literal));
        }
        if let Some(Token::Word(word)) = self.peek() {
            let name = word.to_ascii_lowercase();
            let call = self.tokens.get(self.next + 1).is_some_and(|t| t.0 == Token::Symbol("("));
            if call {
                let function = Function::ALL.into_iter().find(|f| f.name() == name);
                let function = function.ok_or_else(|| self.error("unknown function"))?;
                self.next += 2;
                return self.call(function);
            }
        }
        Ok(Expr::Field(self.path()?))
    }

    fn call(&mut self, function: Function) -> Result<Expr, ParseError> {
        let operand = self.path()?;
        let arguments = match function.quantifier() {
            None => Vec::new(),
            Some(quantifier) => {
                self.expect(",")?;
                let literal = self.literal()?;
                let literal = literal.ok_or_else(|| self.error("expected a constant"))?;
                if matches!(literal, Literal::List(_)) && quantifier == Quantifier::One {
                    return Err(self.error("expected one value, not a list"));
                }
                if !matches!(literal, Literal::List(_)) && quantifier != Quantifier::One {
                    return Err(self.error("expected a list"));
                }
                vec![literal]
            }
        };
        self.expect(")")?;
        Ok(Expr::Call { function, operand, arguments })
    }

    /// A constant, if the next token starts one. A minus belongs to the number that follows it.
    fn literal(&mut self) -> Result<Option<Literal>, ParseError> {
        let negative = self.peek() == Some(&Token::Symbol("-"));
        let token = self.tokens.get(self.next + usize::from(negative)).map(|(token, _)| token);
        let literal = match token {
            Some(Token::Int(i)) => {
                let value = if negative { -i128::from(*i) } else { i128::from(*i) };
                match i64::try_from(value) {
                    Ok(value) => Literal::Int(value),
                    Err(_) => return Err(self.error("this integer is out of the 64-bit range")),
                }
            }
            Some(Token::Float(x)) => Literal::Float(if negative { -x } else { *x }),
            _ if negative => return Err(self.error("`-` must be followed by a number")),
            Some(Token::Text(text)) => Literal::Text(text.clone()),
            Some(Token::Word(word)) => match word.as_str() {
                "true" | "True" | "TRUE" => Literal::Bool(true),
                "false" | "False" | "FALSE" => Literal::Bool(false),
                _ => return Ok(None),
            },
            Some(Token::Symbol("[")) => return self.list().map(|list| Some(Literal::List(list))),
            _ => return Ok(None),
        };
        self.next += 1 + usize::from(negative);
        Ok(Some(literal))
    }

    fn list(&mut self) -> Result<Vec<Literal>, ParseError> {
        self.expect("[")?;
        let mut items = Vec::new();
        while !self.take("]") {
            let item = self.literal()?.ok_or_else(|| self.error("expected a constant or `]`"))?;
            if matches!(item, Literal::List(_)) {
                return Err(self.error("lists do not nest"));
            }
            items.push(item);
            if !self.take(",") {
                self.expect("]")?;
                break;
            }
        }
        Ok(items)
    }

    fn path(&mut self) -> Result<FieldPath, ParseError> {
        let root = match self.peek() {
            Some(Token::Word(word)) if !is_keyword(word) => word.clone(),
            _ => return Err(self.error("expected a field")),
        };
        self.next += 1;
        let mut path = FieldPath::new(root);
        while self.take("[") {
            match self.peek().cloned() {
                Some(Token::Text(key)) => path.steps.push(Step::Key(key)),
                Some(Token::Int(index)) => {
                    let index = u32::try_from(index);
                    let index = index.map_err(|_| self.error("this index is too large"))?;
                    path.steps.push(Step::Index(index));
                }
                _ => return Err(self.error("expected a key in quotes or an index")),
            }
            self.next += 1;
            self.expect("]")?;
        }
        Ok(path)
    }
}

/// Words that cannot name a field.
pub(crate) fn is_keyword(word: &str) -> bool {
    const KEYWORDS: [&str; 11] =
        ["and", "or", "not", "in", "like", "is", "null", "exists", "true", "false", "iso"];
    KEYWORDS.contains(&word.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn precedence_is_the_servers() {
        let cases = [
            ("a + 1 in [2] and b == 3", "((a + 1) in [2]) and (b == 3)"),
            ("a % 2 not in [1]", "(a % 2) not in [1]"),
            ("not s like \"x%\"", "not (s like \"x%\")"),
            ("not s is null", "not (s is null)"),
            ("not a in [1]", "(not (a)) in [1]"),
            ("a + 1 < 2 == b", "((a + 1) < 2) == b"),
        ];
        for (text, tree) in cases {
            assert_eq!(parse(text).unwrap().to_string(), tree, "{text}");
        }
    }
}
