//! Rows to a file.

use std::fs::{File, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow_ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use tempfile::NamedTempFile;

use super::check::Check;
use super::to_arrow::Encoder;
use super::{DumpError, Format, csv, json_lines};
use crate::schema::{DataType, Schema};
use crate::value::Row;

/// Rows that are converted at once, whatever their width.
const PIECE: usize = 256;
/// A record batch of an Arrow file ends with the piece that reaches one of these.
const BATCH_ROWS: usize = 8192;
const BATCH_BYTES: usize = 16 << 20;
/// A row group of a Parquet file is kept in memory until it is full.
const GROUP_ROWS: usize = 1 << 20;
const GROUP_BYTES: usize = 64 << 20;

/// Writes a dump, rows at a time. It becomes a file of its name when it is whole: until
/// [`finish`](Writer::finish) it is a hidden file beside that, which vanishes with the writer.
///
/// Memory is bounded whatever the number of rows: 64 MiB for Parquet, 16 MiB for Arrow, and 256
/// rows.
pub struct Writer {
    path: PathBuf,
    format: Format,
    schema: Schema,
    check: Check,
    rows: u64,
    file: NamedTempFile,
    /// `None` once a write has failed.
    sink: Option<Sink>,
}

enum Sink {
    Parquet(Encoder, Box<ArrowWriter<File>>),
    Arrow(Encoder, Box<FileWriter<BufWriter<File>>>, Vec<RecordBatch>),
    Csv(BufWriter<File>),
    JsonLines(BufWriter<File>),
}

impl Writer {
    /// Begins a dump of rows of a schema, in a folder that must exist.
    ///
    /// # Errors
    /// [`DumpError::Schema`] if the schema is none, [`DumpError::File`] if the folder cannot be
    /// written to.
    pub fn create(
        path: impl AsRef<Path>,
        format: Format,
        schema: &Schema,
    ) -> Result<Writer, DumpError> {
        let path = path.as_ref();
        schema.validate()?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let refused = |error| DumpError::file("create", path, error);
        let file = tempfile::Builder::new()
            .prefix(".dump-")
            // As any new file: what the user's mask leaves of this.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder.unwrap_or(Path::new(".")))
            .map_err(refused)?;
        let handle = file.as_file().try_clone().map_err(refused)?;
        let sink = Sink::new(handle, format, schema);
        let sink = sink.map_err(|error| failed(path, format, error))?;
        Ok(Writer {
            path: path.to_owned(),
            format,
            schema: schema.clone(),
            check: Check::new(schema),
            rows: 0,
            file,
            sink: Some(sink),
        })
    }

    /// Writes rows. Any number of them will do: batches and row groups are made as they fill.
    ///
    /// # Errors
    /// [`DumpError::Value`] or [`DumpError::ExtraColumn`] if a row does not fit the schema, and
    /// [`DumpError::Write`] if the file system refuses. After that the writer takes no more.
    pub fn write(&mut self, rows: &[Row]) -> Result<(), DumpError> {
        let mut sink = self.sink.take().ok_or_else(|| DumpError::Failed(self.path.clone()))?;
        for piece in rows.chunks(PIECE) {
            for (row, number) in piece.iter().zip(self.rows + 1..) {
                self.check.row(row, number)?;
                if self.format == Format::JsonLines {
                    json_lines::check(&self.schema, row, number)?;
                }
            }
            let written = sink.write(&self.schema, piece)?;
            written.map_err(|error| failed(&self.path, self.format, error))?;
            self.rows += piece.len() as u64;
        }
        self.sink = Some(sink);
        Ok(())
    }

    /// Ends the dump, brings it to the disk and gives it its name, in place of a file that had it.
    /// Returns how many rows it has.
    ///
    /// # Errors
    /// [`DumpError::Write`] or [`DumpError::File`] if the file system refuses,
    /// [`DumpError::Failed`] if an earlier write has failed.
    pub fn finish(mut self) -> Result<u64, DumpError> {
        let sink = self.sink.take().ok_or_else(|| DumpError::Failed(self.path.clone()))?;
        sink.finish().map_err(|error| failed(&self.path, self.format, error))?;
        let refused = |error| DumpError::file("write", &self.path, error);
        self.file.as_file().sync_all().map_err(refused)?;
        self.file.persist(&self.path).map_err(|error| refused(error.error))?;
        Ok(self.rows)
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn failed(path: &Path, format: Format, source: Failure) -> DumpError {
    DumpError::Write { path: path.to_owned(), format, source }
}

impl Sink {
    fn new(file: File, format: Format, schema: &Schema) -> Result<Sink, Failure> {
        Ok(match format {
            Format::Parquet => {
                let encoder = Encoder::new(schema);
                let properties = parquet_properties(schema);
                let writer = ArrowWriter::try_new(file, encoder.arrow(), Some(properties))?;
                Sink::Parquet(encoder, Box::new(writer))
            }
            Format::Arrow => {
                let encoder = Encoder::new(schema);
                let writer = FileWriter::try_new(BufWriter::new(file), &encoder.arrow())?;
                Sink::Arrow(encoder, Box::new(writer), Vec::new())
            }
            Format::Csv => {
                let mut out = BufWriter::new(file);
                csv::write_header(&mut out, schema)?;
                Sink::Csv(out)
            }
            Format::JsonLines => Sink::JsonLines(BufWriter::new(file)),
        })
    }

    /// Writes rows that have been checked. The outer error is of a row, the inner one of the file.
    fn write(&mut self, schema: &Schema, rows: &[Row]) -> Result<Result<(), Failure>, DumpError> {
        Ok(match self {
            Sink::Parquet(encoder, writer) => {
                writer.write(&encoder.batch(rows)?).map_err(Failure::from)
            }
            Sink::Arrow(encoder, writer, pending) => {
                pending.push(encoder.batch(rows)?);
                let count: usize = pending.iter().map(RecordBatch::num_rows).sum();
                let bytes: usize = pending.iter().map(RecordBatch::get_array_memory_size).sum();
                let full = count >= BATCH_ROWS || bytes >= BATCH_BYTES;
                if full { flush(writer, pending) } else { Ok(()) }
            }
            Sink::Csv(out) => {
                let mut rows = rows.iter();
                rows.try_for_each(|row| csv::write_row(out, schema, row)).map_err(Failure::from)
            }
            Sink::JsonLines(out) => {
                let mut rows = rows.iter();
                rows.try_for_each(|row| json_lines::write_row(out, row)).map_err(Failure::from)
            }
        })
    }

    fn finish(self) -> Result<(), Failure> {
        match self {
            Sink::Parquet(_, writer) => {
                writer.close()?;
            }
            Sink::Arrow(_, mut writer, mut pending) => {
                flush(&mut writer, &mut pending)?;
                writer.finish()?;
                writer.get_mut().flush()?;
            }
            Sink::Csv(mut out) | Sink::JsonLines(mut out) => out.flush()?,
        }
        Ok(())
    }
}

fn flush(
    writer: &mut FileWriter<BufWriter<File>>,
    pending: &mut Vec<RecordBatch>,
) -> Result<(), Failure> {
    if let Some(first) = pending.first() {
        writer.write(&concat_batches(first.schema_ref(), &*pending)?)?;
        pending.clear();
    }
    Ok(())
}

/// Snappy is what most programs write and every one reads. Vectors hardly repeat, so that a
/// dictionary or the least and greatest component would cost time and help nobody.
fn parquet_properties(schema: &Schema) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_max_row_group_bytes(Some(GROUP_BYTES));
    for field in &schema.fields {
        let dense = field.is_vector() && field.data_type != DataType::SparseVector;
        if !dense {
            continue;
        }
        let path = match field.data_type {
            DataType::BinaryVector { .. } => vec![field.name.clone()],
            _ => vec![field.name.clone(), "list".to_owned(), "element".to_owned()],
        };
        let path = ColumnPath::new(path);
        properties = properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_statistics_enabled(path, EnabledStatistics::None);
    }
    properties.build()
}
