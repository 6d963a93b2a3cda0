//! Cases as files.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::{Case, Check, Maintenance, Operation, Relation, Scope, Search};
use crate::filter::Filter;
use crate::schema::Schema;
use crate::value::{Key, Row};

impl Case {
    /// A hash of the case's file: equal campaigns have equal sums of them.
    pub(crate) fn digest(&self) -> u64 {
        let hash = Sha256::digest(self.to_json(None));
        hash.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    /// The case as the text of a case file.
    pub fn to_json(&self, found: Option<&Found>) -> String {
        let file = CaseFile {
            format: FORMAT.to_owned(),
            version: VERSION,
            found: found.cloned(),
            schema: self.schema.clone(),
            operations: self.operations.iter().map(file_operation).collect(),
            checks: self.checks.iter().map(file_check).collect(),
        };
        // Nothing in a case file fails to serialise: its maps have string keys, its floats are
        // finite.
        serde_json::to_string_pretty(&file).unwrap_or_default() + "\n"
    }

    /// Reads the text of a case file.
    ///
    /// ```
    /// use milvus_difftest::case::Case;
    /// let text = r#"{
    ///     "format": "milvus-difftest/case", "version": 1,
    ///     "schema": {"fields": [{"name": "id", "type": "INT64", "primary": true}]},
    ///     "operations": [{"insert": [{"id": 1}, {"id": 2}]}],
    ///     "checks": [{"query": "id > 1"}]
    /// }"#;
    /// let (case, _) = Case::from_json(text).unwrap();
    /// assert_eq!(case.rows().len(), 2);
    /// ```
    pub fn from_json(text: &str) -> Result<(Case, Option<Found>), CaseError> {
        // First as any JSON object: a newer version may have another shape.
        let any: serde_json::Map<String, Json> =
            serde_json::from_str(text).map_err(CaseError::Syntax)?;
        if any.get("format").and_then(Json::as_str) != Some(FORMAT) {
            return Err(CaseError::Invalid(format!("its \"format\" is not \"{FORMAT}\"")));
        }
        match any.get("version").and_then(Json::as_u64) {
            Some(found) if found == u64::from(VERSION) => {}
            Some(found) => return Err(CaseError::Version { found }),
            None => return Err(CaseError::Invalid("its \"version\" is no number".to_owned())),
        }
        let file: CaseFile = serde_json::from_str(text).map_err(CaseError::Syntax)?;
        let schema = file.schema;
        schema.validate().map_err(|error| CaseError::Invalid(error.to_string()))?;
        let operations = file.operations.into_iter();
        let operations =
            operations.map(|step| read_operation(&schema, step)).collect::<Result<_, _>>()?;
        let checks = file.checks.into_iter().map(read_check).collect::<Result<_, _>>()?;
        let case = Case { schema, operations, checks };
        case.validate()?;
        Ok((case, file.found))
    }

    /// A file, or every `case.json` below a folder, sorted by path.
    pub fn files(path: &Path) -> Result<Vec<PathBuf>, CaseError> {
        let io = |source| CaseError::Io { path: path.to_owned(), source };
        if !std::fs::metadata(path).map_err(io)?.is_dir() {
            return Ok(vec![path.to_owned()]);
        }
        let entries = std::fs::read_dir(path).map_err(io)?;
        let mut entries: Vec<PathBuf> = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()
            .map_err(io)?;
        entries.sort();
        let mut files = Vec::new();
        for entry in entries {
            if entry.is_dir() {
                files.extend(Case::files(&entry)?);
            } else if entry.file_name().is_some_and(|name| name == "case.json") {
                files.push(entry);
            }
        }
        Ok(files)
    }

    /// Reads a case file.
    pub fn load(path: &Path) -> Result<(Case, Option<Found>), CaseError> {
        let io = |source| CaseError::Io { path: path.to_owned(), source };
        let size = std::fs::metadata(path).map_err(io)?.len();
        if size > MAX_BYTES {
            return Err(CaseError::TooLarge { path: path.to_owned(), size });
        }
        let text = std::fs::read_to_string(path).map_err(io)?;
        Case::from_json(&text)
            .map_err(|error| CaseError::File { path: path.to_owned(), source: Box::new(error) })
    }
}

/// Where a case comes from. Nothing here is needed to run it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// The engine's version, as it reported it.
    pub engine: String,
    /// The class of the divergence.
    pub class: String,
    /// What was wrong, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where it is discussed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The versions that are like the engine's: they start with one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// The campaign's seed, if a campaign found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The case's number in that campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<u64>,
}

const FORMAT: &str = "milvus-difftest/case";
const VERSION: u32 = 1;
/// A generated case is well below 1 MB; what is larger is not one.
const MAX_BYTES: u64 = 16 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    format: String,
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    found: Option<Found>,
    schema: Schema,
    operations: Vec<FileOperation>,
    checks: Vec<FileCheck>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FileOperation {
    Insert(Vec<Json>),
    Upsert(Vec<Json>),
    Patch(Vec<Json>),
    Delete(Vec<Json>),
    DeleteWhere(String),
    Into(FileInto),
    AddField(String),
    CreateAlias(String),
    AlterAlias(FileAlter),
    DropAlias(String),
    CreatePartition(String),
    DropPartition(String),
    Recreate,
    Flush,
    Maintain(Maintenance),
    Ask(FileCheck),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileAlter {
    alias: String,
    elsewhere: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileInto {
    partition: String,
    write: Box<FileOperation>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FileCheck {
    Entities,
    Query(String),
    Count(String),
    Page(FilePage),
    Refused(String),
    #[serde(rename = "query_or_refusal")]
    QueryOrRefusal(String),
    Agree(FileAgree),
    Search(FileSearch),
    #[serde(rename = "count_all")]
    CountAll,
    In(FileIn),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileIn {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    partitions: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alias: Option<String>,
    check: Box<FileCheck>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileAgree {
    relation: Relation,
    filter: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSearch {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filter: Option<String>,
    search: Search,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FilePage {
    filter: String,
    limit: u32,
    offset: u32,
}

fn file_operation(operation: &Operation) -> FileOperation {
    let keys = |keys: &[Key]| keys.iter().map(key_to_json).collect();
    let rows = |rows: &[Row]| rows.iter().map(Row::to_json).collect();
    match operation {
        Operation::Insert(batch) => FileOperation::Insert(rows(batch)),
        Operation::Upsert(batch) => FileOperation::Upsert(rows(batch)),
        Operation::Delete(batch) => FileOperation::Delete(keys(batch)),
        Operation::Patch(batch) => FileOperation::Patch(rows(batch)),
        Operation::DeleteWhere(filter) => FileOperation::DeleteWhere(filter.to_string()),
        Operation::Into { partition, write } => FileOperation::Into(FileInto {
            partition: partition.clone(),
            write: Box::new(file_operation(write)),
        }),
        Operation::AddField(name) => FileOperation::AddField(name.clone()),
        Operation::CreateAlias(name) => FileOperation::CreateAlias(name.clone()),
        Operation::AlterAlias { alias, elsewhere } => {
            FileOperation::AlterAlias(FileAlter { alias: alias.clone(), elsewhere: *elsewhere })
        }
        Operation::DropAlias(name) => FileOperation::DropAlias(name.clone()),
        Operation::CreatePartition(name) => FileOperation::CreatePartition(name.clone()),
        Operation::DropPartition(name) => FileOperation::DropPartition(name.clone()),
        Operation::Recreate => FileOperation::Recreate,
        Operation::Maintain(Maintenance::Flush) => FileOperation::Flush,
        Operation::Maintain(step) => FileOperation::Maintain(step.clone()),
        Operation::Ask(check) => FileOperation::Ask(file_check(check)),
    }
}

fn read_operation(schema: &Schema, operation: FileOperation) -> Result<Operation, CaseError> {
    let rows = |rows: Vec<Json>| {
        let rows = rows.iter().map(|row| Row::from_json(schema, row));
        rows.collect::<Result<Vec<_>, _>>().map_err(|error| CaseError::Invalid(error.to_string()))
    };
    Ok(match operation {
        FileOperation::Insert(batch) => Operation::Insert(rows(batch)?),
        FileOperation::Upsert(batch) => Operation::Upsert(rows(batch)?),
        FileOperation::Delete(keys) => {
            let keys = keys.iter().map(|key| {
                key_from_json(key).ok_or_else(|| CaseError::Invalid(format!("{key} is not a key")))
            });
            Operation::Delete(keys.collect::<Result<_, _>>()?)
        }
        FileOperation::Patch(batch) => {
            let given = batch.iter().map(|row| partial(schema, row));
            Operation::Patch(given.collect::<Result<_, _>>()?)
        }
        FileOperation::DeleteWhere(text) => Operation::DeleteWhere(parse(text)?),
        FileOperation::Into(FileInto { partition, write }) => {
            let write = Box::new(read_operation(schema, *write)?);
            Operation::Into { partition, write }
        }
        FileOperation::AddField(name) => Operation::AddField(name),
        FileOperation::CreateAlias(name) => Operation::CreateAlias(name),
        FileOperation::AlterAlias(FileAlter { alias, elsewhere }) => {
            Operation::AlterAlias { alias, elsewhere }
        }
        FileOperation::DropAlias(name) => Operation::DropAlias(name),
        FileOperation::CreatePartition(name) => Operation::CreatePartition(name),
        FileOperation::DropPartition(name) => Operation::DropPartition(name),
        FileOperation::Recreate => Operation::Recreate,
        FileOperation::Flush => Operation::Maintain(Maintenance::Flush),
        FileOperation::Maintain(step) => Operation::Maintain(step),
        FileOperation::Ask(check) => Operation::Ask(read_check(check)?),
    })
}

fn file_check(check: &Check) -> FileCheck {
    match check {
        Check::CountAll => FileCheck::CountAll,
        Check::In { scope: Scope { partitions, alias }, check } => FileCheck::In(FileIn {
            partitions: partitions.clone(),
            alias: alias.clone(),
            check: Box::new(file_check(check)),
        }),
        Check::Entities => FileCheck::Entities,
        Check::Query(filter) => FileCheck::Query(filter.to_string()),
        Check::Count(filter) => FileCheck::Count(filter.to_string()),
        Check::Page { filter, limit, offset } => {
            FileCheck::Page(FilePage { filter: filter.to_string(), limit: *limit, offset: *offset })
        }
        Check::Refused(filter) => FileCheck::Refused(filter.to_string()),
        Check::QueryOrRefusal(filter) => FileCheck::QueryOrRefusal(filter.to_string()),
        Check::Agree { relation, filter } => {
            FileCheck::Agree(FileAgree { relation: relation.clone(), filter: filter.to_string() })
        }
        Check::Search { search, filter } => FileCheck::Search(FileSearch {
            filter: filter.as_ref().map(Filter::to_string),
            search: search.clone(),
        }),
    }
}

fn read_check(check: FileCheck) -> Result<Check, CaseError> {
    Ok(match check {
        FileCheck::CountAll => Check::CountAll,
        FileCheck::In(FileIn { partitions, alias, check }) => {
            Check::In { scope: Scope { partitions, alias }, check: Box::new(read_check(*check)?) }
        }
        FileCheck::Entities => Check::Entities,
        FileCheck::Query(text) => Check::Query(parse(text)?),
        FileCheck::Count(text) => Check::Count(parse(text)?),
        FileCheck::Page(FilePage { filter, limit, offset }) => {
            Check::Page { filter: parse(filter)?, limit, offset }
        }
        FileCheck::Refused(text) => Check::Refused(parse(text)?),
        FileCheck::QueryOrRefusal(text) => Check::QueryOrRefusal(parse(text)?),
        FileCheck::Agree(FileAgree { relation, filter }) => {
            Check::Agree { relation, filter: parse(filter)? }
        }
        FileCheck::Search(FileSearch { filter, search }) => {
            Check::Search { search, filter: filter.map(parse).transpose()? }
        }
    })
}

/// A row of a partial upsert, which has some of the fields.
fn partial(schema: &Schema, row: &Json) -> Result<Row, CaseError> {
    let is_given = |name: &str| row.get(name).is_some();
    let fields = schema.fields.iter().filter(|f| f.primary || is_given(&f.name)).cloned();
    let given = Schema { fields: fields.collect(), dynamic: schema.dynamic };
    Row::from_json(&given, row).map_err(|error| CaseError::Invalid(error.to_string()))
}

fn parse(text: String) -> Result<Filter, CaseError> {
    Filter::parse(&text).map_err(|error| CaseError::Invalid(format!("{error} in `{text}`")))
}

/// A key in a file.
pub(crate) fn key_to_json(key: &Key) -> Json {
    match key {
        Key::Int(i) => Json::from(*i),
        Key::Text(text) => Json::from(text.as_str()),
    }
}

fn key_from_json(json: &Json) -> Option<Key> {
    json.as_i64().map(Key::Int).or_else(|| json.as_str().map(|text| Key::Text(text.to_owned())))
}

/// A case that cannot be read or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is too large to be a case.
    #[error(
        "{} has {size} bytes, and a case file at most {MAX_BYTES}; is it one?", path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
    },
    /// The file is not a case.
    #[error("{} is not a usable case: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<CaseError>,
    },
    /// Not JSON, truncated, or of other types.
    #[error("{0}")]
    Syntax(serde_json::Error),
    /// Written by a newer release.
    #[error(
        "it has format version {found}, and this release reads version {VERSION}; update \
         milvus-difftest"
    )]
    Version {
        /// The version in the file.
        found: u64,
    },
    /// Well-formed, but without a meaning.
    #[error("{0}")]
    Invalid(String),
}
