//! Values as Python literals, exactly.

use serde_json::Value as Json;

use crate::filter::Literal;
use crate::schema::Schema;
use crate::value::{Key, Row, Value};

/// A value of a field.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(b) => boolean(*b).to_owned(),
        Value::Int(i) => i.to_string(),
        Value::Float(x) => float(*x),
        Value::Double(x) => double(*x),
        Value::Text(text) => string(text),
        Value::Json(value) => json(value),
        Value::Array(items) => list(items.iter().map(self::value)),
        Value::Timestamp(_) => json(&value.to_json()),
        Value::Geometry(text) => string(text),
        Value::Structs(structs) => list(structs.iter().map(|members| {
            dict(members.iter().map(|(name, value)| (name.as_str(), self::value(value))))
        })),
        Value::Vector(items) => list(items.iter().map(|x| float(*x))),
        Value::BinaryVector(bytes) => self::bytes(bytes),
        // pymilvus takes the bytes of these as well, and they leave no doubt.
        Value::Float16Vector(items) => {
            self::bytes(&items.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>())
        }
        Value::BFloat16Vector(items) => {
            self::bytes(&items.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>())
        }
        Value::Int8Vector(items) => {
            self::bytes(&items.iter().map(|x| x.cast_unsigned()).collect::<Vec<_>>())
        }
        Value::SparseVector(values) => {
            let entry = |(at, x): (&u32, &f32)| format!("{at}: {}", float(*x));
            format!("{{{}}}", values.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

/// A constant of a filter that can be sent beside it.
pub(super) fn constant(literal: &Literal) -> String {
    match literal {
        Literal::Bool(b) => boolean(*b).to_owned(),
        Literal::Int(i) => i.to_string(),
        Literal::Float(x) => double(*x),
        Literal::Text(text) => string(text),
        Literal::List(items) => list(items.iter().map(constant)),
        Literal::Timestamp(_) | Literal::Interval(_) | Literal::Template(_) => "None".to_owned(),
    }
}

/// A JSON value.
pub(super) fn json(value: &Json) -> String {
    match value {
        Json::Null => "None".to_owned(),
        Json::Bool(b) => boolean(*b).to_owned(),
        Json::Number(number) => match number.as_f64() {
            Some(x) if number.is_f64() => double(x),
            _ => number.to_string(),
        },
        Json::String(text) => string(text),
        Json::Array(items) => list(items.iter().map(json)),
        Json::Object(members) => {
            dict(members.iter().map(|(key, value)| (key.as_str(), json(value))))
        }
    }
}

/// A primary key.
pub(super) fn key(key: &Key) -> String {
    match key {
        Key::Int(i) => i.to_string(),
        Key::Text(text) => string(text),
    }
}

/// A row as pymilvus takes it, with the dynamic keys beside the fields.
pub(super) fn row(schema: &Schema, row: &Row) -> String {
    let names = schema.fields.iter().map(|field| field.name.as_str());
    let fields = names.filter_map(|name| Some((name, self::value(row.fields.get(name)?))));
    dict(fields.chain(row.dynamic.iter().map(|(key, value)| (key.as_str(), json(value)))))
}

/// A string.
pub(in crate::report) fn string(text: &str) -> String {
    let quote = if text.contains('"') && !text.contains('\'') { '\'' } else { '"' };
    let mut literal = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            c if c == quote => literal.extend(['\\', c]),
            c if c == ' ' || c.is_ascii_graphic() => literal.push(c),
            c if c.is_ascii() => literal.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if is_legible(c) => literal.push(c),
            c => literal.push_str(&match u32::from(c) {
                code @ ..=0xffff => format!("\\u{code:04x}"),
                code => format!("\\U{code:08x}"),
            }),
        }
    }
    literal.push(quote);
    literal
}

/// Whether a character beyond ASCII shows what it is: letters do, others may be invisible, change
/// the direction of the text, or join their neighbours.
pub(super) fn is_legible(c: char) -> bool {
    c.is_alphanumeric()
}

/// A list of literals.
pub(super) fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn dict<'a>(members: impl Iterator<Item = (&'a str, String)>) -> String {
    let members = members.map(|(key, value)| format!("{}: {value}", string(key)));
    format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
}

fn bytes(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("bytes.fromhex(\"{hex}\")")
}

fn boolean(b: bool) -> &'static str {
    if b { "True" } else { "False" }
}

/// The shortest form, where Python, which reads a double and packs it into 32 bits, comes to the
/// same value.
fn float(x: f32) -> String {
    let shortest = format!("{x:?}");
    match shortest.parse::<f64>() {
        Ok(read) if (read as f32).to_bits() == x.to_bits() => finite(f64::from(x), shortest),
        _ => double(f64::from(x)),
    }
}

fn double(x: f64) -> String {
    finite(x, format!("{x:?}"))
}

fn finite(x: f64, literal: String) -> String {
    if x.is_finite() { literal } else { format!("float(\"{x}\")") }
}
