//! Rows against rows: keys as multisets first, then every value.

use std::collections::BTreeMap;
use std::fmt;

use comfy_table::Table;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use serde::Serialize;

use crate::schema::Schema;
use crate::value::{Key, META, Row, Value};

/// What differs between the expected rows and an answer. Nothing is dropped before the comparison.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Diff {
    /// Expected, and not in the answer.
    pub missing: Vec<Key>,
    /// In the answer without being expected, or more often than expected.
    pub extra: Vec<Key>,
    /// In both, with another value.
    pub changed: Vec<Change>,
    /// Rows of the answer that have no key at all.
    pub keyless: usize,
}

/// One value that differs.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// The row.
    pub key: Key,
    /// The field.
    pub field: String,
    /// What was written.
    pub expected: Value,
    /// What came back.
    pub actual: Value,
}

/// Differences with values that can be read back without their schema, where [`Diff`] itself has
/// them as plain JSON.
pub(crate) mod typed {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Key;
    use crate::value::Typed;

    #[derive(Serialize, Deserialize)]
    struct Diff {
        missing: Vec<Key>,
        extra: Vec<Key>,
        changed: Vec<Change>,
        keyless: usize,
    }

    #[derive(Serialize, Deserialize)]
    struct Change {
        key: Key,
        field: String,
        expected: Typed,
        actual: Typed,
    }

    pub(crate) fn serialize<S: Serializer>(
        diff: &super::Diff,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let change = |change: &super::Change| Change {
            key: change.key.clone(),
            field: change.field.clone(),
            expected: Typed::from(&change.expected),
            actual: Typed::from(&change.actual),
        };
        let super::Diff { missing, extra, changed, keyless } = diff.clone();
        let changed = changed.iter().map(change).collect();
        Diff { missing, extra, changed, keyless }.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<super::Diff, D::Error> {
        let Diff { missing, extra, changed, keyless } = Diff::deserialize(deserializer)?;
        let change = |Change { key, field, expected, actual }| super::Change {
            key,
            field,
            expected: expected.into(),
            actual: actual.into(),
        };
        let changed = changed.into_iter().map(change).collect();
        Ok(super::Diff { missing, extra, changed, keyless })
    }
}

impl Diff {
    /// Compares an answer with the rows that it should consist of.
    pub fn rows(schema: &Schema, expected: &BTreeMap<Key, &Row>, actual: &[Row]) -> Diff {
        let mut diff = Diff::default();
        let mut answered: BTreeMap<Key, Vec<&Row>> = BTreeMap::new();
        for row in actual {
            match row.key(schema) {
                Some(key) => answered.entry(key).or_default().push(row),
                None => diff.keyless += 1,
            }
        }
        for (key, rows) in &answered {
            let wanted = usize::from(expected.contains_key(key));
            diff.extra.extend(rows.iter().skip(wanted).map(|_| key.clone()));
        }
        for (key, row) in expected {
            let Some(rows) = answered.get(key) else {
                diff.missing.push(key.clone());
                continue;
            };
            for answer in rows {
                diff.changed.extend(changes(schema, key, row, answer));
            }
        }
        diff
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty()
            && self.extra.is_empty()
            && self.changed.is_empty()
            && self.keyless == 0
    }

    /// The differences as a table for people, a line each, the first hundred.
    pub fn table(&self) -> String {
        const LINES: usize = 100;
        let mut lines: Vec<[String; 4]> = Vec::new();
        let whole = |key: &Key, what: &str| {
            [key.to_string(), what.to_owned(), String::new(), String::new()]
        };
        lines.extend(self.missing.iter().take(LINES).map(|key| whole(key, "missing in Milvus")));
        lines.extend(self.extra.iter().take(LINES).map(|key| whole(key, "only in Milvus")));
        lines.extend(self.changed.iter().take(LINES).map(|change| {
            let value = |value: &Value| {
                let text = value.to_string();
                match text.char_indices().nth(60) {
                    Some((end, _)) => format!("{}…", &text[..end]),
                    None => text,
                }
            };
            let (expected, actual) = (value(&change.expected), value(&change.actual));
            [change.key.to_string(), change.field.clone(), expected, actual]
        }));
        let all = self.missing.len() + self.extra.len() + self.changed.len();
        lines.truncate(LINES);
        let mut table = Table::new();
        table.load_style(UTF8_BORDERS_ONLY);
        table.set_header(["key", "difference", "backend", "Milvus"]);
        let shown = lines.len();
        lines.into_iter().for_each(|line| {
            table.add_row(line);
        });
        let mut text = table.to_string();
        if all > shown {
            text.push_str(&format!("\nand {} more", all - shown));
        }
        if self.keyless > 0 {
            text.push_str(&format!("\nrows of Milvus without a key: {}", self.keyless));
        }
        text
    }
}

fn changes(schema: &Schema, key: &Key, expected: &Row, actual: &Row) -> Vec<Change> {
    let change = |field: &str, expected: &Value, actual: &Value| Change {
        key: key.clone(),
        field: field.to_owned(),
        expected: expected.clone(),
        actual: actual.clone(),
    };
    let mut changes = Vec::new();
    for field in &schema.fields {
        let (expected, actual) = (expected.get(&field.name), actual.get(&field.name));
        if !expected.same(actual) {
            changes.push(change(&field.name, expected, actual));
        }
    }
    let (expected, actual) = (dynamic(expected), dynamic(actual));
    if !expected.same(&actual) {
        changes.push(change(META, &expected, &actual));
    }
    changes
}

fn dynamic(row: &Row) -> Value {
    Value::Json(serde_json::Value::Object(row.dynamic.clone()))
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |keys: &[Key]| {
            let shown: Vec<String> = keys.iter().take(10).map(Key::to_string).collect();
            let more = if keys.len() > shown.len() { ", …" } else { "" };
            format!("{}{more}", shown.join(", "))
        };
        let mut parts = Vec::new();
        if !self.missing.is_empty() {
            parts.push(format!("missing: {}", list(&self.missing)));
        }
        if !self.extra.is_empty() {
            parts.push(format!("extra: {}", list(&self.extra)));
        }
        if self.keyless > 0 {
            parts.push(format!("rows without a key: {}", self.keyless));
        }
        for change in self.changed.iter().take(5) {
            let Change { key, field, expected, actual } = change;
            parts.push(format!("row {key}: {field} is {actual}, expected {expected}"));
        }
        f.write_str(&parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{DataType, Field, Scalar};

    fn schema() -> Schema {
        let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
        let x = Field::new("x", DataType::Scalar(Scalar::Float)).nullable();
        Schema { fields: vec![id, x], dynamic: true }
    }

    fn row(id: i64, x: f32) -> Row {
        let mut row = Row::default();
        row.fields.insert("id".to_owned(), Value::Int(id));
        row.fields.insert("x".to_owned(), Value::Float(x));
        row
    }

    #[test]
    fn missing_extra_duplicate_and_changed_rows_are_all_seen() {
        let schema = schema();
        let rows = [row(1, 1.0), row(2, 2.0), row(3, 3.0)];
        let expected = rows.iter().map(|row| (row.key(&schema).unwrap(), row)).collect();
        let answer = [row(2, 2.0), row(2, 2.0), row(3, -3.0), row(4, 4.0)];
        let diff = Diff::rows(&schema, &expected, &answer);
        assert_eq!(diff.missing, [Key::Int(1)]);
        assert_eq!(diff.extra, [Key::Int(2), Key::Int(4)]);
        assert_eq!(diff.changed.len(), 1);
        assert!(Diff::rows(&schema, &expected, &rows).is_empty());
    }
}
