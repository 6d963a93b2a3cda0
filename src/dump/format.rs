//! The formats, and how they are called.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::DumpError;

/// The format of a dump.
///
/// ```
/// use std::path::Path;
/// use milvus_difftest::dump::Format;
/// assert_eq!(Format::of(Path::new("rows.JSONL")).unwrap(), Format::JsonLines);
/// assert_eq!("parquet".parse::<Format>().unwrap(), Format::Parquet);
/// assert_eq!(Format::Arrow.to_string(), "arrow");
/// assert!(Format::of(Path::new("rows")).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Apache Parquet, compressed with snappy. Carries its schema.
    Parquet,
    /// Arrow's IPC file format, also known as Feather 2. Carries its schema. The file and not the
    /// stream, because its footer shows whether it is whole.
    Arrow,
    /// Comma-separated values as in RFC 4180, with a header, as PostgreSQL's `COPY … CSV HEADER`
    /// writes them: a null is an empty value, an empty text is `""`.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 4] = [Format::Parquet, Format::Arrow, Format::Csv, Format::JsonLines];

    /// The names and extensions; the first is the one to write.
    fn names(self) -> &'static [&'static str] {
        match self {
            Format::Parquet => &["parquet", "pq"],
            Format::Arrow => &["arrow", "feather", "ipc"],
            Format::Csv => &["csv"],
            Format::JsonLines => &["jsonl", "ndjson"],
        }
    }

    /// The format that a file's extension says, in any case of letters.
    ///
    /// # Errors
    /// [`DumpError::UnknownExtension`] if it says none.
    pub fn of(path: &Path) -> Result<Format, DumpError> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let format = extension.and_then(|extension| extension.parse().ok());
        format.ok_or_else(|| DumpError::UnknownExtension(path.to_owned()))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.names().first().copied().unwrap_or_default())
    }
}

impl FromStr for Format {
    type Err = DumpError;

    fn from_str(text: &str) -> Result<Format, DumpError> {
        let name = text.to_ascii_lowercase();
        let format = Format::ALL.into_iter().find(|format| format.names().contains(&name.as_str()));
        format.ok_or_else(|| DumpError::UnknownFormat(text.chars().take(40).collect()))
    }
}
