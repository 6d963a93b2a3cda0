//! The file: JSON lines, the first of which has the schema and the rows.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::case::{Case, Check, Operation, key_to_json};
use crate::filter::{Columns, Filter, Semantics};
use crate::schema::Schema;
use crate::value::Row;

const FORMAT: &str = "milvus-difftest/corpus";
const VERSION: u32 = 1;

/// Filters for one schema and its rows, with their answers.
#[derive(Debug, Clone)]
pub struct Corpus {
    /// The collection's schema.
    pub schema: Schema,
    /// Its rows.
    pub rows: Vec<Row>,
    /// What the filters keep to.
    pub dialect: String,
    /// The same seed gives the same filters.
    pub seed: u64,
    /// The filters.
    pub entries: Vec<Entry>,
}

/// A filter and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The filter's text.
    pub filter: String,
    /// How many rows match.
    pub count: usize,
    /// The primary keys of the rows that match, sorted.
    pub keys: Vec<Json>,
    /// The share of all rows that match, from 0 to 1.
    pub selectivity: f64,
    /// The cells of the grammar that the filter uses: construct and type of operand.
    pub features: Vec<String>,
}

/// A file that is not a corpus.
#[derive(Debug, Clone, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct CorpusError {
    line: usize,
    reason: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    version: u32,
    dialect: String,
    seed: u64,
    schema: Schema,
    rows: Vec<Json>,
}

impl Corpus {
    /// The text of a corpus file.
    pub fn to_lines(&self) -> String {
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            dialect: self.dialect.clone(),
            seed: self.seed,
            schema: self.schema.clone(),
            rows: self.rows.iter().map(Row::to_json).collect(),
        };
        // Finite numbers and maps with string keys always serialise.
        let mut text = serde_json::to_string(&header).unwrap_or_default() + "\n";
        for entry in &self.entries {
            text += &serde_json::to_string(entry).unwrap_or_default();
            text.push('\n');
        }
        text
    }

    /// Reads the text of a corpus file.
    pub fn from_lines(text: &str) -> Result<Corpus, CorpusError> {
        let wrong = |line: usize, reason: String| CorpusError { line: line + 1, reason };
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let (number, first) = lines.next().ok_or_else(|| wrong(0, "the file is empty".into()))?;
        let header: Header = serde_json::from_str(first)
            .map_err(|error| wrong(number, format!("it is no corpus's first line: {error}")))?;
        if header.format != FORMAT || header.version != VERSION {
            return Err(wrong(number, format!("it is no {FORMAT} of version {VERSION}")));
        }
        let schema = header.schema;
        schema.validate().map_err(|error| wrong(number, error.to_string()))?;
        let rows = header.rows.iter().map(|row| Row::from_json(&schema, row));
        let rows: Vec<Row> =
            rows.collect::<Result<_, _>>().map_err(|error| wrong(number, error.to_string()))?;
        let mut entries = Vec::new();
        for (number, line) in lines {
            let entry: Entry =
                serde_json::from_str(line).map_err(|error| wrong(number, error.to_string()))?;
            entries.push(entry);
        }
        Ok(Corpus { schema, rows, dialect: header.dialect, seed: header.seed, entries })
    }

    /// The corpus as a case: the rows are inserted, and every filter is a query. Fails if the
    /// corpus expects other rows than the model finds.
    pub fn to_case(&self) -> Result<Case, CorpusError> {
        let mut checks = Vec::new();
        for (i, entry) in self.entries.iter().enumerate() {
            let filter = Filter::parse(&entry.filter)
                .map_err(|error| CorpusError { line: i + 2, reason: error.to_string() })?;
            checks.push(Check::Query(filter));
        }
        let operations = vec![Operation::Insert(self.rows.clone())];
        let case = Case { schema: self.schema.clone(), operations, checks };
        case.validate().map_err(|error| CorpusError { line: 1, reason: error.to_string() })?;
        let rows = case.rows();
        let columns = Columns::new(&case.schema, rows.values());
        for (i, (entry, check)) in self.entries.iter().zip(&case.checks).enumerate() {
            let wrong = |reason: String| CorpusError { line: i + 2, reason };
            let Some(filter) = check.filter() else { continue };
            let truths = columns.evaluate(filter, Semantics::canonical());
            let found = truths
                .select(rows.keys())
                .map_err(|why| wrong(format!("`{}` has no defined answer: {why}", entry.filter)))?;
            let found: Vec<Json> = found.into_iter().map(key_to_json).collect();
            if found != entry.keys || found.len() != entry.count {
                let found = Json::from(found);
                return Err(wrong(format!(
                    "it expects {} rows of `{}`, those with the keys {}; by the documentation they \
                     are {found}",
                    entry.count,
                    entry.filter,
                    Json::from(entry.keys.clone()),
                )));
            }
        }
        Ok(case)
    }
}
