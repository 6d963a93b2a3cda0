//! Comma-separated values as in RFC 4180, with nulls as PostgreSQL's `COPY … CSV` has them: a null
//! is an empty value, and an empty text is `""`.
//!
//! The usual reader of CSV does not say whether a value was quoted, nor that a file ends within
//! quotes; a null could not be told from an empty text, nor a whole file from one that was cut off.

use std::io::{self, BufRead, Write};

use serde_json::{Map, Value as Json};

use super::DumpError;
use super::from_arrow::no_object;
use super::types::expected;
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{META, Row, Value};

pub(super) fn write_header(out: &mut impl Write, schema: &Schema) -> io::Result<()> {
    let names = schema.fields.iter().map(|field| field.name.as_str());
    let names: Vec<&str> = names.chain(schema.dynamic.then_some(META)).collect();
    writeln!(out, "{}", names.join(","))
}

/// Writes a row that has been checked.
pub(super) fn write_row(out: &mut impl Write, schema: &Schema, row: &Row) -> io::Result<()> {
    for (i, field) in schema.fields.iter().enumerate() {
        if i > 0 {
            out.write_all(b",")?;
        }
        match row.get(&field.name) {
            Value::Null => {}
            Value::Text(text) | Value::Geometry(text) => write_text(out, text)?,
            moment @ Value::Timestamp(_) => {
                write_text(out, moment.to_json().as_str().unwrap_or_default())?;
            }
            other => write_text(out, &other.to_json().to_string())?,
        }
    }
    if schema.dynamic {
        out.write_all(b",")?;
        if !row.dynamic.is_empty() {
            write_text(out, &serde_json::to_string(&row.dynamic)?)?;
        }
    }
    out.write_all(b"\n")
}

fn write_text(out: &mut impl Write, text: &str) -> io::Result<()> {
    if text.is_empty() || text.contains([',', '"', '\n', '\r']) {
        write!(out, "\"{}\"", text.replace('"', "\"\""))
    } else {
        out.write_all(text.as_bytes())
    }
}

/// Which column has which field.
pub(super) struct Header {
    /// `None` is the dynamic field's.
    columns: Vec<Option<Field>>,
}

impl Header {
    pub(super) fn new(schema: &Schema, names: &[Option<String>]) -> Result<Header, DumpError> {
        let mut columns = Vec::with_capacity(names.len());
        for (i, name) in names.iter().enumerate() {
            let column = name.clone().unwrap_or_default();
            if names.iter().take(i).any(|other| other == name) {
                return Err(DumpError::SameColumn { column });
            }
            match schema.field(&column) {
                Some(field) => columns.push(Some(field.clone())),
                None if schema.dynamic && column == META => columns.push(None),
                None => return Err(DumpError::ExtraColumn { column }),
            }
        }
        let missing = |field: &&Field| {
            !field.is_optional() && !names.iter().flatten().any(|name| *name == field.name)
        };
        if let Some(field) = schema.fields.iter().find(missing) {
            let (column, expected) = (field.name.clone(), expected(field));
            return Err(DumpError::MissingColumn { column, expected });
        }
        Ok(Header { columns })
    }

    pub(super) fn len(&self) -> usize {
        self.columns.len()
    }

    /// The row of a record with as many values as there are columns.
    pub(super) fn row(&self, record: Vec<Option<String>>, number: u64) -> Result<Row, DumpError> {
        let mut row = Row::default();
        for (field, text) in self.columns.iter().zip(record) {
            match (field, text) {
                (None, None) => {}
                (None, Some(text)) => {
                    let members = serde_json::from_str::<Map<String, Json>>(&text);
                    row.dynamic = members.map_err(|_| no_object(number, &text))?;
                }
                (Some(field), None) if field.default.is_some() => {}
                (Some(field), None) if !field.nullable => {
                    let found = "nothing, which is a null; an empty text is \"\"";
                    return Err(DumpError::value(&field.name, number, field.data_type, found));
                }
                (Some(field), None) => {
                    row.fields.insert(field.name.clone(), Value::Null);
                }
                (Some(field), Some(text)) => {
                    let value = value(field, &text);
                    let value = value.ok_or_else(|| {
                        DumpError::value(&field.name, number, field.data_type, &text)
                    })?;
                    row.fields.insert(field.name.clone(), value);
                }
            }
        }
        Ok(row)
    }
}

fn value(field: &Field, text: &str) -> Option<Value> {
    match field.data_type {
        DataType::Scalar(Scalar::VarChar) => Some(Value::Text(text.to_owned())),
        DataType::Geometry => Some(Value::Geometry(text.to_owned())),
        DataType::Timestamptz => Value::timestamp(text),
        DataType::Json => serde_json::from_str(text).ok().map(Value::Json),
        _ => {
            let json: Json = serde_json::from_str(text).ok()?;
            let value = Value::from_json(field, &json).ok()?;
            Some(value).filter(|value| *value != Value::Null)
        }
    }
}

/// The records of a file.
pub(super) struct Records<R> {
    input: R,
    lines: u64,
    line: u64,
}

impl<R: BufRead> Records<R> {
    pub(super) fn new(input: R) -> Records<R> {
        Records { input, lines: 0, line: 0 }
    }

    /// The line with which the last record began, counted from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The values of the next record, `None` for those that are empty and not quoted; `None` at the
    /// end. The outer error is of the file, the inner one says what is wrong with the record.
    #[expect(clippy::type_complexity, reason = "a name would not say more")]
    pub(super) fn next(&mut self) -> io::Result<Option<Result<Vec<Option<String>>, &'static str>>> {
        let (mut text, mut quotes) = (String::new(), 0);
        self.line = self.lines + 1;
        loop {
            let start = text.len();
            if self.input.read_line(&mut text)? == 0 {
                let cut = "begins a record that the end of the file cuts off";
                return Ok((!text.is_empty()).then_some(Err(cut)));
            }
            self.lines += 1;
            quotes += text.get(start..).unwrap_or_default().matches('"').count();
            // Quotes stand around values and, doubled, within them: a line break is within a value
            // if and only if their number so far is odd.
            if quotes % 2 == 0 {
                break;
            }
        }
        // Spreadsheets begin with a byte order mark.
        if self.line == 1 && text.starts_with('\u{feff}') {
            text.remove(0);
        }
        let Some(record) = text.strip_suffix('\n') else {
            return Ok(Some(Err("begins a record that does not end in a line break")));
        };
        Ok(Some(split(record.strip_suffix('\r').unwrap_or(record))))
    }
}

fn split(record: &str) -> Result<Vec<Option<String>>, &'static str> {
    let mut values = Vec::new();
    let mut rest = record;
    loop {
        let (value, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_value(quoted).map(|(value, after)| (Some(value), after))?,
            None => {
                let (value, after) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                if value.contains('"') {
                    return Err("has a quote within a value that is not quoted");
                }
                ((!value.is_empty()).then(|| value.to_owned()), after)
            }
        };
        values.push(value);
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None if after.is_empty() => return Ok(values),
            None => return Err("has text after a closing quote"),
        }
    }
}

/// A value up to its closing quote, and what follows that.
fn quoted_value(mut text: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    loop {
        let (head, after) = text.split_once('"').ok_or("has a quote that is not closed")?;
        value.push_str(head);
        let Some(more) = after.strip_prefix('"') else {
            return Ok((value, after));
        };
        value.push('"');
        text = more;
    }
}
