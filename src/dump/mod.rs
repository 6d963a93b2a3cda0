//! Entities as files, and as Arrow.
//!
//! A dump is a file of rows: [`Parquet`](Format::Parquet), [`Arrow`](Format::Arrow),
//! [`CSV`](Format::Csv) or [`JSON lines`](Format::JsonLines). What a [`Writer`] writes, a
//! [`Reader`] reads back to the bit. Both stream, so that a dump may be larger than memory.
//!
//! ```
//! use milvus_difftest::dump::{Format, Reader, Writer};
//! use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
//! use milvus_difftest::value::Row;
//! use serde_json::json;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
//! let vec = Field::new("vec", DataType::FloatVector { dim: 2 });
//! let schema = Schema { fields: vec![id, vec], dynamic: true };
//! let row = json!({"id": 1, "vec": [0.5, -0.0], "$meta": {"colour": "red"}});
//! let row = Row::from_json(&schema, &row)?;
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("rows.parquet");
//! let mut writer = Writer::create(&path, Format::of(&path)?, &schema)?;
//! writer.write(&[row.clone()])?;
//! assert_eq!(writer.finish()?, 1);
//!
//! let mut reader = Reader::open(&path, None)?;
//! assert_eq!(reader.schema(), &schema);
//! assert_eq!(reader.read(1000)?, Some(vec![row]));
//! assert_eq!(reader.read(1000)?, None);
//! # Ok(())
//! # }
//! ```
//!
//! # Types
//!
//! | Milvus | Arrow and Parquet | CSV |
//! |---|---|---|
//! | BOOL, INT8 … INT64, FLOAT, DOUBLE | the same | as in JSON |
//! | VARCHAR | Utf8 | text |
//! | JSON | Utf8, JSON text | JSON text |
//! | TIMESTAMPTZ | Timestamp(Microsecond, "UTC") | ISO 8601 |
//! | GEOMETRY | Utf8, well-known text | well-known text |
//! | ARRAY | List | JSON text |
//! | ARRAY of STRUCT | List of Struct | JSON text |
//! | FLOAT_VECTOR, FLOAT16_VECTOR, INT8_VECTOR | FixedSizeList of Float32, Float16, Int8 | JSON text |
//! | BFLOAT16_VECTOR | FixedSizeList of Float32, which has all of its values | JSON text |
//! | BINARY_VECTOR | FixedSizeBinary | JSON text, its bytes |
//! | SPARSE_FLOAT_VECTOR | List of Struct (index UInt32, value Float32) | JSON text |
//! | the dynamic field, as `$meta` | Utf8, a JSON object | a JSON object |
//!
//! JSON lines have the form of [`Row::to_json`](crate::value::Row::to_json), one row a line.
//!
//! # What a dump does not keep, and what it refuses
//!
//! A null and a field left out mean the same ([`Row::get`](crate::value::Row::get)). Columns do not
//! tell them apart: what has neither a value comes back as a null, or is left out if the field has
//! a default.
//!
//! Rows that do not fit the schema are refused, in both directions, with the column, the row and
//! what was found: other types, integers beyond the range of theirs, floats that are not finite,
//! vectors of other dimensions, JSON nested deeper than [`MAX_JSON_DEPTH`]. Not the lengths of
//! VARCHAR and ARRAY, nor what a geometry is: a dump holds what an engine gave.
//!
//! A file that was cut off is an error, except text that was cut between two rows.

mod check;
mod csv;
mod error;
mod format;
mod from_arrow;
mod json_lines;
mod reader;
#[cfg(test)]
mod tests;
mod to_arrow;
mod types;
mod writer;

pub use arrow;

pub use check::MAX_JSON_DEPTH;
pub use error::DumpError;
pub use format::Format;
pub use from_arrow::from_batch;
pub use reader::Reader;
pub use to_arrow::to_batch;
pub use types::{SCHEMA_KEY, TYPE_KEY, arrow_schema, embedded_schema};
pub use writer::Writer;
