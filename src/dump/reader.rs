//! A file to rows.

use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow_ipc::reader::FileReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::check::Check;
use super::csv::{Header, Records};
use super::from_arrow::Decoder;
use super::json_lines::Lines;
use super::types::embedded_schema;
use super::{DumpError, Format};
use crate::schema::Schema;
use crate::value::Row;

/// Rows of Parquet that are decoded at once, if they are narrow, and the bytes of vectors.
const BATCH_ROWS: usize = 1024;
const BATCH_BYTES: usize = 16 << 20;

/// Reads a dump, rows at a time.
///
/// A file of Parquet or Arrow that another program has written is read with a given schema; its
/// columns may have any types that [`from_batch`](super::from_batch) converts.
///
/// ```
/// use milvus_difftest::dump::Reader;
/// use milvus_difftest::schema::{DataType, Field, Scalar, Schema};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
/// let name = Field::new("name", DataType::Scalar(Scalar::VarChar)).nullable();
/// let schema = Schema { fields: vec![id, name], dynamic: false };
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("names.csv");
/// std::fs::write(&path, "name,id\n\"\",1\n,2\n")?;
/// let mut reader = Reader::open(&path, Some(&schema))?;
/// let mut names = Vec::new();
/// while let Some(rows) = reader.read(1)? {
///     names.extend(rows.iter().map(|row| row.get("name").to_string()));
/// }
/// assert_eq!(names, ["\"\"", "null"]);
/// # Ok(())
/// # }
/// ```
pub struct Reader {
    path: PathBuf,
    schema: Schema,
    check: Check,
    rows: u64,
    /// `None` once a read has failed.
    source: Option<Source>,
}

/// Rows in their order.
type Source = Box<dyn Iterator<Item = Result<Row, DumpError>> + Send>;

impl Reader {
    /// Opens a file whose name says its format. Parquet and Arrow files that a
    /// [`Writer`](super::Writer) has written carry their schema; one that is given counts before
    /// it, and is needed for all others.
    ///
    /// # Errors
    /// [`DumpError::UnknownExtension`], [`DumpError::NoSchema`], [`DumpError::Schema`],
    /// [`DumpError::Metadata`]; [`DumpError::File`] if there is no such file, [`DumpError::Read`]
    /// if it is damaged or of another format; and if the columns of CSV do not suit the schema, as
    /// [`from_batch`](super::from_batch) says.
    pub fn open(path: impl AsRef<Path>, schema: Option<&Schema>) -> Result<Reader, DumpError> {
        let path = path.as_ref();
        Reader::open_as(path, Format::of(path)?, schema)
    }

    /// Opens a file of a given format, whatever its name.
    ///
    /// # Errors
    /// Those of [`Reader::open`].
    pub fn open_as(
        path: impl AsRef<Path>,
        format: Format,
        schema: Option<&Schema>,
    ) -> Result<Reader, DumpError> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|error| DumpError::file("open", path, error))?;
        let place = Place { path: path.to_owned(), format };
        if let Some(schema) = schema {
            schema.validate()?;
        }
        let (schema, source) = match format {
            Format::Parquet => open_parquet(file, place, schema)?,
            Format::Arrow => open_arrow(file, place, schema)?,
            Format::Csv | Format::JsonLines => {
                let schema = place.schema(schema.cloned())?;
                let source = match format {
                    Format::Csv => open_csv(file, place, &schema)?,
                    _ => open_json_lines(file, place, &schema),
                };
                (schema, source)
            }
        };
        let check = Check::new(&schema);
        Ok(Reader { path: path.to_owned(), schema, check, rows: 0, source: Some(source) })
    }

    /// The schema of the rows: the one that was given, else the file's own.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The next rows, exactly as many as asked for unless the file ends before; `None` at its end.
    /// A number of 0 counts as 1.
    ///
    /// # Errors
    /// [`DumpError::Read`] or [`DumpError::Line`] if the file is damaged; what
    /// [`from_batch`](super::from_batch) says if a column or a value does not suit the schema.
    /// After that there is nothing more to be read.
    pub fn read(&mut self, most: usize) -> Result<Option<Vec<Row>>, DumpError> {
        let mut source = self.source.take().ok_or_else(|| DumpError::Failed(self.path.clone()))?;
        let mut rows = Vec::new();
        while rows.len() < most.max(1) {
            let Some(row) = source.next() else { break };
            let row = row?;
            self.rows += 1;
            self.check.row(&row, self.rows)?;
            rows.push(row);
        }
        self.source = Some(source);
        Ok(Some(rows).filter(|rows| !rows.is_empty()))
    }
}

/// Where an error happened.
#[derive(Clone)]
struct Place {
    path: PathBuf,
    format: Format,
}

impl Place {
    fn damaged(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DumpError {
        let (path, format) = (self.path.clone(), self.format);
        DumpError::Read { path, format, source: error.into() }
    }

    /// What a reader of Arrow's says. They panic on some damaged files, for instance on a buffer
    /// that is said to lie beyond the end; only what is dropped then has been touched.
    fn guarded<T, E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        &self,
        read: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, DumpError> {
        match catch_unwind(AssertUnwindSafe(read)) {
            Ok(read) => read.map_err(|error| self.damaged(error)),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                Err(self.damaged(text.unwrap_or("its reader stopped")))
            }
        }
    }

    fn line(&self, line: u64, reason: impl Into<String>) -> DumpError {
        DumpError::Line { path: self.path.clone(), line, reason: reason.into() }
    }

    fn schema(&self, schema: Option<Schema>) -> Result<Schema, DumpError> {
        let (path, format) = (self.path.clone(), self.format);
        schema.ok_or(DumpError::NoSchema { path, format })
    }

    /// The given schema, else the one in the metadata.
    fn choose(
        &self,
        given: Option<&Schema>,
        arrow: &arrow::datatypes::Schema,
    ) -> Result<Schema, DumpError> {
        match given {
            Some(schema) => Ok(schema.clone()),
            None => self.schema(embedded_schema(arrow)?),
        }
    }
}

fn open_parquet(
    file: File,
    place: Place,
    given: Option<&Schema>,
) -> Result<(Schema, Source), DumpError> {
    let builder = place.guarded(|| ParquetRecordBatchReaderBuilder::try_new(file))?;
    let schema = place.choose(given, builder.schema())?;
    // Of four bytes a dimension, the widest.
    let dims = schema.fields.iter().filter_map(|field| field.data_type.dim());
    let width = 4 * dims.map(|dim| dim as usize).sum::<usize>();
    let rows = (BATCH_BYTES / width.max(1)).clamp(1, BATCH_ROWS);
    let reader = place.guarded(|| builder.with_batch_size(rows).build())?;
    let batches = Batches::new(reader, place, schema.clone());
    Ok((schema, Box::new(batches)))
}

fn open_arrow(
    file: File,
    place: Place,
    given: Option<&Schema>,
) -> Result<(Schema, Source), DumpError> {
    let reader = place.guarded(|| FileReader::try_new(BufReader::new(file), None))?;
    let schema = place.choose(given, &reader.schema())?;
    let batches = Batches::new(reader, place, schema.clone());
    Ok((schema, Box::new(batches)))
}

/// The rows of batches.
struct Batches<I> {
    batches: I,
    place: Place,
    schema: Schema,
    current: Option<Decoder>,
    /// The next row of the current batch, and how many it has.
    next: usize,
    len: usize,
    rows: u64,
}

impl<I> Batches<I> {
    fn new(batches: I, place: Place, schema: Schema) -> Batches<I> {
        Batches { batches, place, schema, current: None, next: 0, len: 0, rows: 0 }
    }
}

impl<I: Iterator<Item = Result<RecordBatch, ArrowError>>> Iterator for Batches<I> {
    type Item = Result<Row, DumpError>;

    fn next(&mut self) -> Option<Result<Row, DumpError>> {
        loop {
            if let Some(decoder) = self.current.as_ref().filter(|_| self.next < self.len) {
                self.rows += 1;
                let row = decoder.row(self.next, self.rows);
                self.next += 1;
                return Some(row);
            }
            let batch = match self.place.guarded(|| self.batches.next().transpose()) {
                Ok(batch) => batch?,
                Err(error) => return Some(Err(error)),
            };
            match Decoder::new(&self.schema, &batch) {
                Ok(decoder) => self.current = Some(decoder),
                Err(error) => return Some(Err(error)),
            }
            (self.next, self.len) = (0, batch.num_rows());
        }
    }
}

fn open_csv(file: File, place: Place, schema: &Schema) -> Result<Source, DumpError> {
    let mut records = Records::new(BufReader::new(file));
    let names = match records.next().map_err(|error| place.damaged(error))? {
        Some(names) => names.map_err(|reason| place.line(1, reason))?,
        None => return Err(place.line(1, "is missing: expected a header with the columns' names")),
    };
    let header = Header::new(schema, &names)?;
    let mut number = 0;
    Ok(Box::new(std::iter::from_fn(move || {
        let record = match records.next().map_err(|error| place.damaged(error)) {
            Ok(record) => record?,
            Err(error) => return Some(Err(error)),
        };
        number += 1;
        Some(record.map_err(|reason| place.line(records.line(), reason)).and_then(|record| {
            if record.len() != header.len() {
                let reason =
                    format!("has {} values, and the header {}", record.len(), header.len());
                return Err(place.line(records.line(), reason));
            }
            header.row(record, number)
        }))
    })))
}

fn open_json_lines(file: File, place: Place, schema: &Schema) -> Source {
    let mut lines = Lines::new(BufReader::new(file));
    let schema = schema.clone();
    Box::new(std::iter::from_fn(move || match lines.row(&schema) {
        Ok(row) => row.map(|row| row.map_err(|reason| place.line(lines.line(), reason))),
        Err(error) => Some(Err(place.damaged(error))),
    }))
}
