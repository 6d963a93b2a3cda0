use crate::backend::sql::{Constant, JsonKind, JsonPlace, SqlDialect, SqlType};
use crate::filter::{BinaryOp, Expr, Literal, Step, UnaryOp};
use crate::schema::Schema;

/// SQL as ClickHouse speaks it.
///
/// Its arrays cannot be null. Those of a table are therefore wrapped in another array, which is
/// empty where the value is null: unlike a flag beside it, the value then says all by itself, in
/// expressions too. `list` below always means one that is wrapped.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClickHouseDialect;

/// An element of a JSON array, in a lambda. No column is called so: see [`column_name`].
const POSITION: &str = "\"~position\"";

/// A step that is an index on arrays and a key on objects doubles what is written for a place.
const MOST_AMBIGUOUS_STEPS: usize = 6;

/// A name as an SQL identifier. Within its quotes a backslash escapes.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", escaped(name, '"'))
}

/// A string as an SQL literal.
pub(super) fn text(text: &str) -> String {
    format!("'{}'", escaped(text, '\''))
}

fn escaped(text: &str, quote: char) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => escaped.push_str("\\0"),
            '\\' => escaped.push_str("\\\\"),
            c => {
                if c == quote {
                    escaped.push('\\');
                }
                escaped.push(c);
            }
        }
    }
    escaped
}

/// The column's name for a field's: points would make it a part of a Nested column or name a
/// subcolumn, and a tilde begins the names that are not fields'.
pub(super) fn column_name(name: &str) -> String {
    name.replace('~', "~~").replace('.', "~d")
}

/// An integer, of a type that has room for it.
fn integer(i: i64) -> String {
    // A literal's type is the smallest that fits, so that from 2^63 on it would be unsigned, and
    // have no common type with signed ones in a list. Such wide ones are rare.
    if i.unsigned_abs() < 1 << 32 { i.to_string() } else { format!("toInt64({i})") }
}

fn converter(ty: SqlType) -> &'static str {
    match ty {
        SqlType::Bool => "toBool",
        SqlType::Int => "toInt64",
        SqlType::Wide => "toInt128",
        SqlType::Float => "toFloat32",
        SqlType::Double => "toFloat64",
        SqlType::Text => "toString",
    }
}

/// The array's position that a step would be, as JSON pointers (RFC 6901) read it.
fn index(step: &Step) -> Option<u32> {
    match step {
        Step::Index(index) => Some(*index),
        Step::Key(key) => key.parse().ok().filter(|index: &u32| index.to_string() == *key),
    }
}

/// `call` with the arguments that lead to a place: the document, then a key or a position for each
/// step. ClickHouse would take a position on an object, too, as that of a member.
fn at(place: &JsonPlace, call: &dyn Fn(&str) -> String) -> String {
    fn walk(arguments: &str, steps: &[Step], call: &dyn Fn(&str) -> String) -> String {
        let Some((step, rest)) = steps.split_first() else { return call(arguments) };
        let key = match step {
            Step::Key(key) => text(key),
            Step::Index(index) => text(&index.to_string()),
        };
        let by_key = walk(&format!("{arguments}, {key}"), rest, call);
        let Some(index) = index(step) else { return by_key };
        let position = u64::from(index) + 1;
        let by_position = walk(&format!("{arguments}, {position}"), rest, call);
        format!("if({}, {by_position}, {by_key})", is_array(arguments))
    }
    walk(&place.document, &place.steps, call)
}

fn is_array(arguments: &str) -> String {
    format!("JSONType({arguments}) = 'Array'")
}

/// The array's length; 0 if it is none.
fn length(arguments: &str) -> String {
    format!("ifNull(if({}, JSONLength({arguments}), 0), 0)", is_array(arguments))
}

/// A function of the wrapped list, null where that is empty.
fn unwrapped(list: &str, value: &str) -> String {
    format!("if(empty({list}), NULL, {value})")
}

fn nesting(literal: &Literal) -> usize {
    match literal {
        Literal::List(items) => 1 + items.iter().map(nesting).max().unwrap_or(0),
        _ => 0,
    }
}

impl SqlDialect for ClickHouseDialect {
    fn inexpressible(&self, filter: &Expr) -> Option<String> {
        let (mut steps, mut nested) = (0, 0);
        filter.for_each_path(&mut |path| {
            steps = steps.max(path.steps.iter().filter(|step| index(step).is_some()).count());
        });
        filter.for_each_literal(&mut |literal| nested = nested.max(nesting(literal)));
        (steps + nested > MOST_AMBIGUOUS_STEPS).then(|| "so many indices into JSON".to_owned())
    }

    fn column(&self, _: &Schema, name: &str) -> String {
        identifier(&column_name(name))
    }

    fn constant(&self, constant: Constant<'_>) -> String {
        match constant {
            Constant::Bool(b) => b.to_string(),
            Constant::Int(i) => integer(i),
            Constant::Wide(i) => match i64::try_from(i) {
                Ok(i) => integer(i),
                Err(_) => format!("toInt128('{i}')"),
            },
            Constant::Float(x) if !x.is_finite() => format!("toFloat32('{x}')"),
            // Read as a double, then rounded: the shortest text of the float nearly always survives
            // that.
            Constant::Float(x) => {
                let short = format!("{x:?}");
                let survives = short.parse().is_ok_and(|double: f64| double as f32 == x);
                let digits = if survives { short } else { format!("{:?}", f64::from(x)) };
                format!("toFloat32({digits})")
            }
            Constant::Double(x) if !x.is_finite() => format!("toFloat64('{x}')"),
            // With its point or exponent this is a Float64.
            Constant::Double(x) => format!("{x:?}"),
            Constant::Text(s) => text(s),
        }
    }

    fn cast(&self, sql: &str, to: SqlType) -> String {
        format!("{}({sql})", converter(to))
    }

    fn narrow(&self, sql: &str) -> String {
        // It wraps around.
        format!("toInt64({sql})")
    }

    fn cast_list(&self, list: &str, to: SqlType) -> String {
        let ty = converter(to).trim_start_matches("to");
        format!("CAST({list} AS Array(Array({ty})))")
    }

    fn list_is_null(&self, list: &str, negated: bool) -> String {
        format!("{}({list})", if negated { "notEmpty" } else { "empty" })
    }

    fn unary(&self, op: UnaryOp, _: SqlType, operand: &str) -> String {
        match op {
            // Two minus signs would begin a comment.
            UnaryOp::Negate => format!("negate({operand})"),
            UnaryOp::BitNot => format!("bitNot(toInt64({operand}))"),
        }
    }

    fn arithmetic(&self, op: BinaryOp, ty: SqlType, left: &str, right: &str) -> String {
        let integers = matches!(ty, SqlType::Int | SqlType::Wide);
        match op {
            // The result has the wider of the types, and literals the narrowest that fits.
            BinaryOp::BitAnd => format!("bitAnd(toInt64({left}), toInt64({right}))"),
            BinaryOp::BitOr => format!("bitOr(toInt64({left}), toInt64({right}))"),
            BinaryOp::BitXor => format!("bitXor(toInt64({left}), toInt64({right}))"),
            BinaryOp::Pow => format!("pow({left}, {right})"),
            // A quotient has the dividend's width, a remainder the divisor's, and both a sign if
            // either has one: 255 would be -1. By zero these are 0 and no error.
            BinaryOp::Div if integers => {
                format!("intDivOrZero(toInt128({left}), toInt128({right}))")
            }
            BinaryOp::Mod if integers => {
                format!("moduloOrZero(toInt128({left}), toInt128({right}))")
            }
            // Floats of 32 bits compute as doubles here. Rounding the double rounds as 32 bits
            // alone would, for it has more than twice their digits.
            op if ty == SqlType::Float => format!("toFloat32({left} {} {right})", op.symbol()),
            op => format!("({left} {} {right})", op.symbol()),
        }
    }

    fn is_one_of(&self, value: &str, constants: &[Constant<'_>]) -> String {
        // Sets compare bits, in which -0.0 is not 0.0; adding 0 makes the one the other.
        let mut value = value.to_owned();
        let unsigned = |constant: &Constant<'_>| match constant {
            Constant::Float(x) => self.constant(Constant::Float(x + 0.0)),
            Constant::Double(x) => self.constant(Constant::Double(x + 0.0)),
            constant => self.constant(*constant),
        };
        if let [Constant::Float(_) | Constant::Double(_), ..] = constants {
            value = format!("({value} + 0)");
        }
        let constants: Vec<_> = constants.iter().map(unsigned).collect();
        format!("{value} IN ({})", constants.join(", "))
    }

    fn like(&self, string: &str, pattern: &str) -> String {
        // Before anything but these a backslash would stand for itself.
        let mut plain = String::with_capacity(pattern.len());
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => {
                    let escaped = chars.next().unwrap_or('\\');
                    if matches!(escaped, '\\' | '%' | '_') {
                        plain.push('\\');
                    }
                    plain.push(escaped);
                }
                c => plain.push(c),
            }
        }
        format!("{string} LIKE {}", text(&plain))
    }

    fn length(&self, list: &str) -> String {
        unwrapped(list, &format!("toInt64(length({list}[1]))"))
    }

    fn element(&self, list: &str, index: u32) -> String {
        unwrapped(list, &format!("{list}[1][{}]", u64::from(index) + 1))
    }

    fn contains(&self, list: &str, constant: &str) -> String {
        unwrapped(list, &format!("has({list}[1], {constant})"))
    }

    fn list_equals(&self, list: &str, constants: &[String]) -> String {
        unwrapped(list, &format!("{list}[1] = [{}]", constants.join(", ")))
    }

    fn json_is(&self, place: &JsonPlace, kind: JsonKind) -> String {
        let kinds = match kind {
            JsonKind::Int => "IN ('Int64', 'UInt64')",
            JsonKind::Double => "= 'Double'",
            JsonKind::Text => "= 'String'",
            JsonKind::Bool => "= 'Bool'",
        };
        format!("{} {kinds}", at(place, &|arguments| format!("JSONType({arguments})")))
    }

    fn json_value(&self, place: &JsonPlace, kind: JsonKind) -> String {
        let ty = match kind {
            JsonKind::Int => "Int128",
            JsonKind::Double => "Float64",
            JsonKind::Text => "String",
            JsonKind::Bool => "Bool",
        };
        at(place, &|arguments| format!("JSONExtract({arguments}, 'Nullable({ty})')"))
    }

    fn json_is_array(&self, place: &JsonPlace) -> String {
        format!("ifNull({}, false)", at(place, &is_array))
    }

    fn json_length(&self, place: &JsonPlace) -> String {
        format!("toInt64({})", at(place, &length))
    }

    fn json_exists(&self, place: &JsonPlace) -> String {
        // A missing place is Null, too.
        let exists = at(place, &|arguments| {
            format!(
                "if(JSONType({arguments}) IN ('Array', 'Object'), JSONLength({arguments}) > 0, \
                 JSONType({arguments}) <> 'Null')"
            )
        });
        format!("ifNull({exists}, false)")
    }

    fn json_any(&self, place: &JsonPlace, predicate: &dyn Fn(&JsonPlace) -> String) -> String {
        // By position: the text of an extracted element writes 1.0 as 1, and 2e19 in digits that
        // are no number to the parser.
        at(place, &|arguments| {
            let document = format!("{arguments}, {POSITION}");
            let found = predicate(&JsonPlace { document, steps: Vec::new() });
            let positions = format!("range(1, {} + 1)", length(arguments));
            format!("arrayExists({POSITION} -> ifNull({found}, false), {positions})")
        })
    }
}
