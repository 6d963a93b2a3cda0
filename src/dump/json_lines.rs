//! One JSON object a line.

use std::io::{self, BufRead, Write};

use serde_json::Value as Json;

use super::DumpError;
use crate::schema::{DataType, Schema};
use crate::value::{Row, Value};

/// Refuses a JSON null that is a value, which JSON lines cannot tell from no value.
pub(super) fn check(schema: &Schema, row: &Row, number: u64) -> Result<(), DumpError> {
    let json = schema.fields.iter().filter(|field| field.data_type == DataType::Json);
    for field in json {
        if *row.get(&field.name) == Value::Json(Json::Null) {
            let expected =
                "JSON other than a null alone, which JSON lines cannot tell from no value";
            return Err(DumpError::value(&field.name, number, expected, "null"));
        }
    }
    Ok(())
}

/// Writes a row that has been checked.
pub(super) fn write_row(out: &mut impl Write, row: &Row) -> io::Result<()> {
    writeln!(out, "{}", row.to_json())
}

/// The lines of a file, without those that are empty.
pub(super) struct Lines<R> {
    input: R,
    line: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Lines<R> {
        Lines { input, line: 0 }
    }

    /// The number of the line that was read last, counted from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The next row; `None` at the end. The outer error is of the file, the inner one says what is
    /// wrong with the line.
    pub(super) fn row(&mut self, schema: &Schema) -> io::Result<Option<Result<Row, String>>> {
        let mut text = String::new();
        loop {
            text.clear();
            self.line += 1;
            if self.input.read_line(&mut text)? == 0 {
                return Ok(None);
            }
            if !text.trim().is_empty() {
                break;
            }
        }
        let json: Json = match serde_json::from_str(&text) {
            Ok(json) => json,
            Err(error) => return Ok(Some(Err(format!("is no JSON ({error})")))),
        };
        let row = Row::from_json(schema, &json);
        Ok(Some(row.map_err(|error| format!("is no row of the schema: {error}"))))
    }
}
