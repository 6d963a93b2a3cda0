//! What can go wrong with a dump.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use super::Format;
use crate::schema::InvalidSchema;

/// Why a dump cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// No format has that name.
    #[error("no format is called '{0}': expected parquet, arrow, csv or jsonl")]
    UnknownFormat(String),
    /// A file's name does not say its format.
    #[error(
        "the name of '{}' does not say its format: end it in .parquet, .arrow, .csv or .jsonl, or \
         state the format", .0.display()
    )]
    UnknownExtension(PathBuf),
    /// The schema is none that Milvus has.
    #[error(transparent)]
    Schema(#[from] InvalidSchema),
    /// The file does not carry its schema.
    #[error("the {format} file '{}' does not say its schema: give the schema with it", path.display())]
    NoSchema {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: Format,
    },
    /// The schema in a file's metadata cannot be read.
    #[error("the schema in the file's metadata is none: {0}; give the schema with the file")]
    Metadata(#[source] serde_json::Error),
    /// The file system refused.
    #[error("cannot {action} '{}': {source}", path.display())]
    File {
        /// What was attempted.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Rows could not be written.
    #[error("cannot write '{}' as {format}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: Format,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file is damaged, cut off, or of another format.
    #[error("cannot read '{}' as {format}: {source}; is the file whole, and of that format?", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: Format,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A line of text is not of its format.
    #[error("line {line} of '{}' {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong there.
        reason: String,
    },
    /// A column is missing that every row needs.
    #[error("there is no column '{column}', which must be {expected}")]
    MissingColumn {
        /// Its name.
        column: String,
        /// Its type in Milvus and in Arrow.
        expected: String,
    },
    /// A column is there that the schema does not have.
    #[error(
        "there is a column '{column}', which the schema does not have: add it there or drop it"
    )]
    ExtraColumn {
        /// Its name.
        column: String,
    },
    /// There are two columns of one name.
    #[error("there are two columns called '{column}': drop or rename one")]
    SameColumn {
        /// Their name.
        column: String,
    },
    /// A column has a type from which its field's does not follow without loss.
    #[error("column '{column}' has the Arrow type {found}: expected {expected}")]
    ColumnType {
        /// Its name.
        column: String,
        /// Its type in Arrow.
        found: String,
        /// Its type in Milvus and in Arrow.
        expected: String,
    },
    /// A value that its field cannot hold.
    #[error("row {row}, column '{column}': expected {expected}, found {found}")]
    Value {
        /// The column.
        column: String,
        /// The row, counted from 1.
        row: u64,
        /// What the column holds.
        expected: String,
        /// What is there, at most 80 characters of it.
        found: String,
    },
    /// The values of a column are too long for one record batch.
    #[error("column '{column}' is too long for one record batch: convert fewer rows at once")]
    TooLong {
        /// The column.
        column: String,
    },
    /// Arrow refused a record batch.
    #[error("cannot make a record batch: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The writer or reader has failed before.
    #[error("'{}' cannot be gone on with after an earlier error: start again", .0.display())]
    Failed(PathBuf),
}

impl DumpError {
    pub(super) fn file(action: &'static str, path: &Path, source: io::Error) -> DumpError {
        DumpError::File { action, path: path.to_owned(), source }
    }

    pub(super) fn value(
        column: &str,
        row: u64,
        expected: impl Display,
        found: impl Display,
    ) -> DumpError {
        DumpError::Value {
            column: column.to_owned(),
            row,
            expected: expected.to_string(),
            found: found.to_string().chars().take(80).collect(),
        }
    }
}
