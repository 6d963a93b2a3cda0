//! Values as ClickHouse's RowBinary, byte by byte: of its formats the one in which no number is
//! written as text. (The client's own rows are Rust types, and a table's are known at run time
//! alone.)

use std::fmt::Display;

use half::{bf16, f16};
use serde_json::{Map, Value as Json};

use crate::backend::BackendError;
use crate::backend::row::{misfit, wrong};
use crate::schema::{DataType, Field, Scalar};
use crate::value::{META, Value};

/// The SQL type of a field's column.
pub(super) fn column_type(field: &Field) -> String {
    let nullable = |ty: &str| match field.nullable {
        true => format!("Nullable({ty})"),
        false => ty.to_owned(),
    };
    match field.data_type {
        DataType::Scalar(scalar) => nullable(scalar_type(scalar)),
        // Wrapped, as the dialect says.
        DataType::Array(element) => format!("Array(Array({}))", scalar_type(element)),
        // Microseconds. Its own DateTime64 knows no year before 1900.
        DataType::Timestamptz => nullable("Int64"),
        // Text as it was written: the type JSON would drop keys that hold null and read numbers
        // anew, the geometric types would round. The functions that filters need take the text.
        DataType::Json | DataType::Geometry | DataType::StructArray => nullable("String"),
        // Filters do not see into vectors, and strings hold any bytes.
        DataType::FloatVector { .. }
        | DataType::Int8Vector { .. }
        | DataType::BinaryVector { .. }
        | DataType::Float16Vector { .. }
        | DataType::BFloat16Vector { .. }
        | DataType::SparseVector => nullable("String"),
    }
}

/// The type of the dynamic field's column.
pub(super) const DYNAMIC_TYPE: &str = "String";

fn scalar_type(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Bool => "Bool",
        Scalar::Int8 => "Int8",
        Scalar::Int16 => "Int16",
        Scalar::Int32 => "Int32",
        Scalar::Int64 => "Int64",
        Scalar::Float => "Float32",
        Scalar::Double => "Float64",
        Scalar::VarChar => "String",
    }
}

/// Rows on their way into ClickHouse.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What comes first: which columns follow, and what they are.
    pub(super) fn header(&mut self, columns: &[(String, String)]) {
        self.length(columns.len());
        columns.iter().for_each(|(name, _)| self.text(name.as_bytes()));
        columns.iter().for_each(|(_, ty)| self.text(ty.as_bytes()));
    }

    /// LEB128, as all lengths.
    fn length(&mut self, mut length: usize) {
        while length > 0x7f {
            self.0.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        self.0.push(length as u8);
    }

    pub(super) fn text(&mut self, text: &[u8]) {
        self.length(text.len());
        self.0.extend_from_slice(text);
    }

    pub(super) fn fixed<const N: usize>(&mut self, bytes: [u8; N]) {
        self.0.extend_from_slice(&bytes);
    }

    /// A value that fits its field.
    pub(super) fn value(&mut self, field: &Field, value: &Value) -> Result<(), BackendError> {
        match (field.data_type, value) {
            (DataType::Array(_), Value::Null) => self.length(0),
            (DataType::Array(element), Value::Array(items)) => {
                self.length(1);
                self.length(items.len());
                for item in items {
                    self.scalar(element, item).ok_or_else(|| misfit(field, value))?;
                }
            }
            (_, Value::Null) => self.0.push(1),
            (data_type, value) => {
                if field.nullable {
                    self.0.push(0);
                }
                match data_type {
                    DataType::Scalar(scalar) => self.scalar(scalar, value),
                    data_type => self.other(data_type, value),
                }
                .ok_or_else(|| misfit(field, value))?;
            }
        }
        Ok(())
    }

    pub(super) fn scalar(&mut self, scalar: Scalar, value: &Value) -> Option<()> {
        match (scalar, value) {
            (Scalar::Bool, Value::Bool(b)) => self.0.push(u8::from(*b)),
            (Scalar::Int8, Value::Int(i)) => self.fixed(i8::try_from(*i).ok()?.to_le_bytes()),
            (Scalar::Int16, Value::Int(i)) => self.fixed(i16::try_from(*i).ok()?.to_le_bytes()),
            (Scalar::Int32, Value::Int(i)) => self.fixed(i32::try_from(*i).ok()?.to_le_bytes()),
            (Scalar::Int64, Value::Int(i)) => self.fixed(i.to_le_bytes()),
            (Scalar::Float, Value::Float(x)) => self.fixed(x.to_le_bytes()),
            (Scalar::Double, Value::Double(x)) => self.fixed(x.to_le_bytes()),
            (Scalar::VarChar, Value::Text(s)) => self.text(s.as_bytes()),
            _ => return None,
        }
        Some(())
    }

    fn other(&mut self, data_type: DataType, value: &Value) -> Option<()> {
        match (data_type, value) {
            (DataType::Timestamptz, Value::Timestamp(micros)) => self.fixed(micros.to_le_bytes()),
            (DataType::Json, Value::Json(json)) => self.text(json.to_string().as_bytes()),
            (DataType::Geometry, Value::Geometry(text)) => self.text(text.as_bytes()),
            (DataType::StructArray, Value::Structs(_)) => {
                self.text(value.to_json().to_string().as_bytes());
            }
            (DataType::FloatVector { .. }, Value::Vector(items)) => {
                self.joined(items.iter().map(|x| x.to_le_bytes()));
            }
            (DataType::Int8Vector { .. }, Value::Int8Vector(items)) => {
                self.joined(items.iter().map(|x| x.to_le_bytes()));
            }
            (DataType::BinaryVector { .. }, Value::BinaryVector(bytes)) => self.text(bytes),
            (DataType::Float16Vector { .. }, Value::Float16Vector(items)) => {
                self.joined(items.iter().map(|x| x.to_le_bytes()));
            }
            (DataType::BFloat16Vector { .. }, Value::BFloat16Vector(items)) => {
                self.joined(items.iter().map(|x| x.to_le_bytes()));
            }
            (DataType::SparseVector, Value::SparseVector(values)) => {
                self.joined(values.iter().flat_map(|(at, x)| [at.to_le_bytes(), x.to_le_bytes()]));
            }
            _ => return None,
        }
        Some(())
    }

    fn joined<const N: usize>(&mut self, items: impl Iterator<Item = [u8; N]>) {
        self.text(&items.flatten().collect::<Vec<_>>());
    }
}

/// Rows on their way out of ClickHouse. `None` stands for bytes that are no such value.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// What follows the header, once it is certain that the columns are of these types.
    pub(super) fn new(bytes: &'a [u8], types: &[String]) -> Result<Reader<'a>, String> {
        let mut reader = Reader(bytes);
        let found = reader.header().ok_or("it ends within its header")?;
        if found != types {
            return Err(format!("its columns are {}", found.join(", ")));
        }
        Ok(reader)
    }

    fn header(&mut self) -> Option<Vec<String>> {
        let columns = self.length()?;
        for _ in 0..columns {
            self.text()?;
        }
        (0..columns).map(|_| String::from_utf8(self.text()?.to_vec()).ok()).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn length(&mut self) -> Option<usize> {
        let mut length = 0_usize;
        for shift in (0..usize::BITS).step_by(7) {
            let [byte] = self.fixed()?;
            length |= usize::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(length);
            }
        }
        None
    }

    pub(super) fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }

    fn string(&mut self) -> Option<String> {
        String::from_utf8(self.text()?.to_vec()).ok()
    }

    fn json(&mut self) -> Option<Json> {
        serde_json::from_slice(self.text()?).ok()
    }

    pub(super) fn is_null(&mut self) -> Option<bool> {
        let [flag] = self.fixed()?;
        Some(flag != 0)
    }

    /// A column's value as the field's.
    pub(super) fn value(&mut self, field: &Field) -> Result<Value, BackendError> {
        self.decoded(field).ok_or_else(|| misfit(field, unreadable()))
    }

    fn decoded(&mut self, field: &Field) -> Option<Value> {
        if let DataType::Array(element) = field.data_type {
            if self.length()? == 0 {
                return Some(Value::Null);
            }
            let items = (0..self.length()?).map(|_| self.scalar(element));
            return items.collect::<Option<_>>().map(Value::Array);
        }
        if field.nullable && self.is_null()? {
            return Some(Value::Null);
        }
        Some(match field.data_type {
            DataType::Scalar(scalar) | DataType::Array(scalar) => self.scalar(scalar)?,
            DataType::Timestamptz => Value::Timestamp(i64::from_le_bytes(self.fixed()?)),
            DataType::Json => Value::Json(self.json()?),
            DataType::Geometry => Value::Geometry(self.string()?),
            DataType::StructArray => Value::from_json(field, &self.json()?).ok()?,
            DataType::FloatVector { .. } => Value::Vector(self.parted(f32::from_le_bytes)?),
            DataType::Int8Vector { .. } => Value::Int8Vector(self.parted(i8::from_le_bytes)?),
            DataType::BinaryVector { .. } => Value::BinaryVector(self.text()?.to_vec()),
            DataType::Float16Vector { .. } => {
                Value::Float16Vector(self.parted(f16::from_le_bytes)?)
            }
            DataType::BFloat16Vector { .. } => {
                Value::BFloat16Vector(self.parted(bf16::from_le_bytes)?)
            }
            DataType::SparseVector => {
                let pair = |[a, b, c, d, e, f, g, h]: [u8; 8]| {
                    (u32::from_le_bytes([a, b, c, d]), f32::from_le_bytes([e, f, g, h]))
                };
                Value::SparseVector(self.parted(pair)?.into_iter().collect())
            }
        })
    }

    fn parted<T, const N: usize>(&mut self, item: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
        match self.text()?.as_chunks() {
            (items, []) => Some(items.iter().map(|bytes| item(*bytes)).collect()),
            _ => None,
        }
    }

    fn scalar(&mut self, scalar: Scalar) -> Option<Value> {
        Some(match scalar {
            Scalar::Bool => Value::Bool(self.fixed::<1>()? != [0]),
            Scalar::Int8 => Value::Int(i8::from_le_bytes(self.fixed()?).into()),
            Scalar::Int16 => Value::Int(i16::from_le_bytes(self.fixed()?).into()),
            Scalar::Int32 => Value::Int(i32::from_le_bytes(self.fixed()?).into()),
            Scalar::Int64 => Value::Int(i64::from_le_bytes(self.fixed()?)),
            Scalar::Float => Value::Float(f32::from_le_bytes(self.fixed()?)),
            Scalar::Double => Value::Double(f64::from_le_bytes(self.fixed()?)),
            Scalar::VarChar => Value::Text(self.string()?),
        })
    }

    /// The dynamic field's column.
    pub(super) fn dynamic(&mut self) -> Result<Map<String, Json>, BackendError> {
        match self.json() {
            Some(Json::Object(object)) => Ok(object),
            _ => Err(wrong(META, "a JSON object", unreadable())),
        }
    }
}

fn unreadable() -> impl Display {
    "what came back"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_headers_come_back() {
        for length in [0, 1, 127, 128, 300, 1 << 20, usize::MAX] {
            let mut writer = Writer::default();
            writer.length(length);
            assert_eq!(Reader(writer.bytes()).length(), Some(length));
        }
        let mut writer = Writer::default();
        writer.header(&[("a".to_owned(), "Int8".to_owned())]);
        writer.fixed([7]);
        let mut reader = Reader::new(writer.bytes(), &["Int8".to_owned()]).ok().unwrap();
        assert_eq!(reader.scalar(Scalar::Int8), Some(Value::Int(7)));
        assert!(reader.is_empty());
        assert_eq!(
            Reader::new(writer.bytes(), &["Int16".to_owned()]).err(),
            Some("its columns are Int8".to_owned())
        );
    }

    #[test]
    fn what_ends_too_soon_is_no_value() {
        for bytes in [&[][..], &[0x80], &[5, b'a'], &[0xff; 20]] {
            assert_eq!(Reader(bytes).text(), None);
            assert_eq!(Reader(&bytes[..bytes.len().min(3)]).fixed::<4>(), None);
        }
    }
}
