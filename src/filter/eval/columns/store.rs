//! What rows hold, field by field. Columns are made when they are first asked for.

use std::sync::OnceLock;

use serde_json::Value as Json;

use super::Columns;
use super::kernel::{OPEN, Source, UNKNOWN, VALID};
use crate::filter::ast::{FieldPath, Step};
use crate::filter::check::{Place, resolve};
use crate::filter::eval::operand::descend;
use crate::schema::{DataType, Field, Scalar};
use crate::value::{Row, Value};

/// The values of a field. A value that does not fit its field's type is `OPEN`.
pub(super) enum Column {
    Bool(Typed<bool>),
    Int(Typed<i64>),
    Float(Typed<f32>),
    Double(Typed<f64>),
    Text(Texts),
    Timestamp(Typed<i64>),
    /// `None` where there is no array.
    Array(Vec<Option<Vec<Value>>>),
    /// What is asked on rows alone.
    Other,
}

/// Strings one after the other: those of rows lie far apart.
#[derive(Default)]
pub(super) struct Texts {
    pub(super) bytes: String,
    /// Where each string ends.
    pub(super) ends: Vec<usize>,
    pub(super) states: Vec<u8>,
}

pub(super) struct Typed<T> {
    pub(super) values: Vec<T>,
    /// `VALID`, `UNKNOWN` or `OPEN`.
    pub(super) states: Vec<u8>,
}

/// What is in one place of JSON on each row, and the next such place.
pub(super) struct Found {
    pub(super) path: FieldPath,
    pub(super) values: Vec<JsonPlace>,
    pub(super) next: OnceLock<Box<Found>>,
}

/// `None` if the column is null, and inside of that `None` if there is no such place.
pub(super) type JsonPlace = Option<Option<Json>>;

/// So many places are kept; who asks for more has rows looked at.
pub(super) const MOST_PLACES: usize = 256;

impl Columns<'_> {
    pub(super) fn column(&self, field: &Field) -> Option<&Column> {
        let at = self.schema.fields.iter().position(|other| std::ptr::eq(other, field))?;
        Some(self.columns.get(at)?.get_or_init(|| self.make(field)))
    }

    pub(super) fn make(&self, field: &Field) -> Column {
        let values = || self.rows.iter().map(|row| row.get(&field.name));
        match field.data_type {
            DataType::Scalar(Scalar::Bool) => Column::Bool(typed(values(), |value| match value {
                Value::Bool(b) => Some(*b),
                _ => None,
            })),
            DataType::Scalar(Scalar::Float) => {
                Column::Float(typed(values(), |value| match value {
                    Value::Float(x) if !x.is_nan() => Some(*x),
                    _ => None,
                }))
            }
            DataType::Scalar(Scalar::Double) => {
                Column::Double(typed(values(), |value| match value {
                    Value::Double(x) if !x.is_nan() => Some(*x),
                    _ => None,
                }))
            }
            DataType::Scalar(Scalar::VarChar) => Column::Text(values().collect()),
            DataType::Scalar(_) => Column::Int(typed(values(), |value| match value {
                Value::Int(i) => Some(*i),
                _ => None,
            })),
            DataType::Timestamptz => Column::Timestamp(typed(values(), |value| match value {
                Value::Timestamp(micros) => Some(*micros),
                _ => None,
            })),
            DataType::Array(_) => Column::Array(
                values()
                    .map(|value| match value {
                        Value::Array(items) => Some(items.clone()),
                        _ => None,
                    })
                    .collect(),
            ),
            _ => Column::Other,
        }
    }

    pub(super) fn found(&self, path: &FieldPath) -> Option<&[JsonPlace]> {
        let Place::Json(field, steps) = resolve(&self.schema, path).ok()? else { return None };
        let values = |row: &Row| match (field, steps.split_first()) {
            (Some(field), _) => match row.get(&field.name) {
                Value::Json(json) => Some(descend(json, &steps).cloned()),
                _ => None,
            },
            (None, Some((Step::Key(key), rest))) => {
                Some(row.dynamic.get(key).and_then(|json| descend(json, rest)).cloned())
            }
            (None, _) => Some(None),
        };
        let mut place = &self.places;
        for _ in 0..MOST_PLACES {
            let found = place.get_or_init(|| {
                let values = self.rows.iter().map(values).collect();
                Box::new(Found { path: path.clone(), values, next: OnceLock::new() })
            });
            if found.path == *path {
                return Some(&found.values);
            }
            place = &found.next;
        }
        None
    }
}

impl<'a> FromIterator<&'a Value> for Texts {
    fn from_iter<I: IntoIterator<Item = &'a Value>>(values: I) -> Texts {
        let mut texts = Texts::default();
        for value in values {
            texts.states.push(match value {
                Value::Text(text) => {
                    texts.bytes.push_str(text);
                    VALID
                }
                Value::Null => UNKNOWN,
                _ => OPEN,
            });
            texts.ends.push(texts.bytes.len());
        }
        texts
    }
}

impl Texts {
    pub(super) fn source(&self) -> Source<'_, &str> {
        Source::Computed(Box::new(|row| {
            let start = if row > 0 { self.ends.get(row - 1) } else { Some(&0) };
            match (start, self.ends.get(row), self.states.get(row)) {
                (Some(start), Some(end), Some(state)) => (&self.bytes[*start..*end], *state),
                _ => ("", OPEN),
            }
        }))
    }
}

impl Column {
    /// Where there are values; `None` where rows tell.
    pub(super) fn states(&self) -> Option<&[u8]> {
        match self {
            Column::Bool(Typed { states, .. }) => Some(states),
            Column::Int(Typed { states, .. }) | Column::Timestamp(Typed { states, .. }) => {
                Some(states)
            }
            Column::Float(Typed { states, .. }) => Some(states),
            Column::Double(Typed { states, .. }) => Some(states),
            Column::Text(Texts { states, .. }) => Some(states),
            Column::Array(_) | Column::Other => None,
        }
    }
}

impl<T: Copy> Typed<T> {
    pub(super) fn source(&self) -> Source<'_, T> {
        Source::Column(&self.values, &self.states)
    }
}

fn typed<'a, T: Copy + Default>(
    values: impl Iterator<Item = &'a Value>,
    fitting: impl Fn(&'a Value) -> Option<T>,
) -> Typed<T> {
    let (values, states) = values
        .map(|value| match (fitting(value), value) {
            (Some(value), _) => (value, VALID),
            (None, Value::Null) => (T::default(), UNKNOWN),
            (None, _) => (T::default(), OPEN),
        })
        .unzip();
    Typed { values, states }
}
