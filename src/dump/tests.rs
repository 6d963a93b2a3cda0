//! What is written is read back, and what is wrong is said.

mod foreign;
mod refused;
mod round_trip;

use std::path::{Path, PathBuf};

use super::{DumpError, Format, Reader, Writer};
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{Row, Value};

/// A schema with every type, the dynamic field, and everything nullable that may be.
fn every_type() -> Schema {
    let mut types: Vec<DataType> = Scalar::ALL.map(DataType::Scalar).to_vec();
    types.extend([DataType::Json, DataType::Timestamptz, DataType::Geometry]);
    types.extend(Scalar::ALL.map(DataType::Array));
    let mut fields = vec![Field::new("id", DataType::Scalar(Scalar::Int64)).primary()];
    for (i, data_type) in types.into_iter().enumerate() {
        fields.push(Field::new(format!("f{i}"), data_type));
        fields.push(Field::new(format!("n{i}"), data_type).nullable());
    }
    let vectors = [
        DataType::FloatVector { dim: 3 },
        DataType::BinaryVector { dim: 16 },
        DataType::Float16Vector { dim: 3 },
        DataType::BFloat16Vector { dim: 3 },
        DataType::Int8Vector { dim: 3 },
        DataType::SparseVector,
    ];
    let vectors = vectors.into_iter().enumerate();
    fields.extend(vectors.map(|(i, data_type)| Field::new(format!("v{i}"), data_type)));
    let members = Scalar::ALL.map(|s| Field::new(format!("m{s:?}"), DataType::Scalar(s)));
    fields
        .push(Field { members: members.to_vec(), ..Field::new("structs", DataType::StructArray) });
    fields.push(Field::new("d", DataType::Scalar(Scalar::Int8)).or_default(7));
    Schema { fields, dynamic: true }
}

/// An INT64 key and another field.
fn with(field: Field) -> Schema {
    let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
    Schema { fields: vec![id, field], dynamic: false }
}

fn file(folder: &Path, format: Format) -> PathBuf {
    folder.join(format!("rows.{format}"))
}

/// Writes rows in pieces that are no multiples of anything.
fn write(path: &Path, schema: &Schema, rows: &[Row]) -> Result<u64, DumpError> {
    let mut writer = Writer::create(path, Format::of(path)?, schema)?;
    for piece in rows.chunks(7) {
        writer.write(piece)?;
    }
    writer.finish()
}

fn read(path: &Path, schema: Option<&Schema>) -> Result<Vec<Row>, DumpError> {
    let mut reader = Reader::open(path, schema)?;
    let mut all = Vec::new();
    while let Some(rows) = reader.read(5)? {
        assert!(rows.len() <= 5);
        all.extend(rows);
    }
    Ok(all)
}

/// Asserts that rows are the same to the bit, but for nulls that one side leaves out.
fn assert_same(schema: &Schema, written: &[Row], read: &[Row]) {
    assert_eq!(written.len(), read.len());
    for (a, b) in written.iter().zip(read) {
        for field in &schema.fields {
            let (a, b) = (a.get(&field.name), b.get(&field.name));
            // The same JSON in the same words: `same` takes 1 for 1.0.
            let words = |value: &Value| value.to_json().to_string();
            assert!(a.same(b) && words(a) == words(b), "{}: {a} became {b}", field.name);
        }
        let words = |row: &Row| serde_json::to_string(&row.dynamic).unwrap();
        assert_eq!(words(a), words(b));
    }
}
