//! The unit of everything: a schema, operations that build up rows, and checks on them.
//!
//! Fuzzing makes cases, shrinking makes smaller ones, replaying reads them back; all of them enter
//! the comparison by the same door, [`apply`](crate::apply).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::filter::check::{Place, resolve};
use crate::filter::operator::OpClass;
use crate::filter::{self, Expr, Filter, Semantics, Switch};
use crate::schema::{Field, Schema};
use crate::value::{Key, Row};

/// A schema, operations and checks.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The collection's schema.
    pub schema: Schema,
    /// What happens to the collection, in order, before the checks.
    pub operations: Vec<Operation>,
    /// The questions asked of the result.
    pub checks: Vec<Check>,
}

/// One change to a collection.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// Inserts rows with new keys.
    Insert(Vec<Row>),
    /// Inserts rows, replacing those whose keys exist.
    Upsert(Vec<Row>),
    /// Deletes the rows with these keys.
    Delete(Vec<Key>),
    /// Seals and writes out what is in memory; changes no answer.
    Flush,
}

/// One question.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// Every row, and every field of it.
    Entities,
    /// Which rows match, and every field of them.
    Query(Filter),
    /// How many rows match, by `count(*)`.
    Count(Filter),
    /// A page of the rows that match: as many of them as there should be, each once. Which ones,
    /// Milvus does not promise.
    Page {
        /// What the rows match.
        filter: Filter,
        /// Rows on the page, at most; at least 1.
        limit: u32,
        /// Rows before the page.
        offset: u32,
    },
    /// A filter whose types do not fit, which must be refused.
    Refused(Filter),
    /// Which rows match, of an engine that may have no such filter: a refusal is an answer too.
    QueryOrRefusal(Filter),
}

impl Check {
    /// The filter that is asked about; none for all entities.
    pub fn filter(&self) -> Option<&Expr> {
        self.spelled().map(|filter| &filter.expr)
    }

    /// The filter and how it is written.
    pub fn spelled(&self) -> Option<&Filter> {
        match self {
            Check::Entities => None,
            Check::Query(filter)
            | Check::Count(filter)
            | Check::Page { filter, .. }
            | Check::Refused(filter)
            | Check::QueryOrRefusal(filter) => Some(filter),
        }
    }

    /// The same question about another filter, written in the same way.
    pub fn with_filter(&self, expr: Expr) -> Check {
        let spelling = self.spelled().map(|filter| filter.spelling).unwrap_or_default();
        self.with_spelled(Filter { expr, spelling })
    }

    /// The same question about another filter.
    pub fn with_spelled(&self, filter: Filter) -> Check {
        match self {
            Check::Entities | Check::Query(_) => Check::Query(filter),
            Check::Count(_) => Check::Count(filter),
            Check::Page { limit, offset, .. } => {
                Check::Page { filter, limit: *limit, offset: *offset }
            }
            Check::Refused(_) => Check::Refused(filter),
            Check::QueryOrRefusal(_) => Check::QueryOrRefusal(filter),
        }
    }
}

impl Check {
    fn validate(&self, schema: &Schema) -> Result<(), CaseError> {
        let invalid = |reason: String| Err(CaseError::Invalid(reason));
        match self {
            Check::Entities => return Ok(()),
            Check::Page { limit: 0, .. } => return invalid("a page needs a limit".to_owned()),
            Check::Refused(filter) => {
                return if is_mistyped(schema, &filter.expr) {
                    Ok(())
                } else {
                    invalid(format!(
                        "`{filter}` is no single term on a column whose types do not fit"
                    ))
                };
            }
            _ => {}
        }
        match self.filter() {
            Some(filter) => {
                filter::check(schema, filter).map_err(|error| CaseError::Invalid(error.to_string()))
            }
            None => Ok(()),
        }
    }
}

/// Whether a filter is a term on a scalar column, on which every engine must notice that types do
/// not fit. What else is wrong with a filter need not be refused.
fn is_mistyped(schema: &Schema, filter: &Expr) -> bool {
    let column = |operand: &Expr| match operand {
        Expr::Field(path) => matches!(resolve(schema, path), Ok(Place::Column(..))),
        _ => false,
    };
    let literal = |operand: &Expr| matches!(operand, Expr::Literal(_));
    let term = match filter {
        Expr::Binary { op, left, right } if op.is_comparison() && literal(right) => match &**left {
            Expr::Binary { op, left, right } if op.class() == OpClass::Arithmetic => {
                column(left) && literal(right)
            }
            left => column(left),
        },
        Expr::In { operand, .. } | Expr::Like { operand, .. } => column(operand),
        _ => false,
    };
    term && filter::check(schema, filter).is_err()
}

/// What operations have done.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The rows that are left.
    pub rows: BTreeMap<Key, Row>,
    /// Those of them that were last written by an upsert.
    pub upserted: BTreeSet<Key>,
    /// Rows that were deleted or replaced.
    pub dead: Vec<Row>,
}

impl Case {
    /// The rows that the operations leave, by key, as Milvus stores them.
    pub fn rows(&self) -> BTreeMap<Key, Row> {
        self.rows_under(Semantics::canonical())
    }

    /// The rows that the operations leave on an engine that takes some rules otherwise.
    pub fn rows_under(&self, semantics: Semantics) -> BTreeMap<Key, Row> {
        self.history(semantics).rows
    }

    /// What the operations leave on an engine that takes some rules otherwise, and how.
    pub(crate) fn history(&self, semantics: Semantics) -> History {
        let mut history = History::default();
        let History { rows, upserted, dead } = &mut history;
        for operation in &self.operations {
            match operation {
                Operation::Insert(batch) | Operation::Upsert(batch) => {
                    for row in batch {
                        let Some(key) = row.key(&self.schema) else { continue };
                        let old = rows.remove(&key);
                        let new = self.merged(row, old.as_ref(), semantics);
                        dead.extend(old);
                        match operation {
                            Operation::Upsert(_) => upserted.insert(key.clone()),
                            _ => upserted.remove(&key),
                        };
                        rows.insert(key, new);
                    }
                }
                Operation::Delete(keys) => {
                    // Keys are deleted by a filter that lists them.
                    let escapes = !semantics.has(Switch::EscapesAreDropped);
                    for key in keys {
                        let gone = match key {
                            Key::Text(text) if !escapes => {
                                rows.remove(&Key::Text(filter::without_escapes(text)))
                            }
                            key => rows.remove(key),
                        };
                        dead.extend(gone);
                    }
                }
                Operation::Flush => {}
            }
        }
        history
    }

    /// A row as it is stored in the place of another.
    fn merged(&self, row: &Row, old: Option<&Row>, semantics: Semantics) -> Row {
        let Some(old) = old else { return row.stored(&self.schema) };
        let mut row = row.clone();
        if semantics.has(Switch::UpsertKeepsOmittedDefaults) {
            for field in self.schema.fields.iter().filter(|f| f.default.is_some()) {
                let kept = || old.get(&field.name).clone();
                row.fields.entry(field.name.clone()).or_insert_with(kept);
            }
        }
        let mut row = row.stored(&self.schema);
        if semantics.has(Switch::UpsertKeepsDynamicKeys) {
            let mut dynamic = old.dynamic.clone();
            dynamic.append(&mut row.dynamic);
            row.dynamic = dynamic;
        }
        row
    }

    /// Checks what the comparison relies on: a valid schema, filters that fit it, and no key
    /// inserted while it exists.
    pub fn validate(&self) -> Result<(), CaseError> {
        self.schema.validate().map_err(|error| CaseError::Invalid(error.to_string()))?;
        for check in &self.checks {
            check.validate(&self.schema)?;
        }
        if self.schema.primary().auto_id {
            self.validate_handles()?;
        }
        let mut alive = BTreeSet::new();
        for operation in &self.operations {
            match operation {
                Operation::Insert(rows) | Operation::Upsert(rows) => {
                    let may_replace = matches!(operation, Operation::Upsert(_));
                    let mut batch = BTreeSet::new();
                    for row in rows {
                        let unfit = |field: &&Field| !row.get(&field.name).fits(field);
                        if let Some(field) = self.schema.fields.iter().find(unfit) {
                            let (name, value) = (&field.name, row.get(&field.name));
                            return Err(CaseError::Invalid(format!(
                                "'{name}' is {} and cannot hold {value}",
                                field.data_type
                            )));
                        }
                        let key = row.key(&self.schema).ok_or_else(|| {
                            CaseError::Invalid("a row has no primary key".to_owned())
                        })?;
                        if !batch.insert(key.clone()) || !alive.insert(key.clone()) && !may_replace
                        {
                            return Err(CaseError::Invalid(format!(
                                "the key {key} is inserted twice, which Milvus leaves undefined"
                            )));
                        }
                    }
                }
                Operation::Delete(keys) => alive.retain(|key| !keys.contains(key)),
                Operation::Flush => {}
            }
        }
        Ok(())
    }

    /// What the engine assigns, a case can neither name in a filter nor write itself.
    fn validate_handles(&self) -> Result<(), CaseError> {
        let key = &self.schema.primary().name;
        let invalid = |what: &str| {
            let reason = format!("the engine assigns the keys '{key}' (auto_id), so that {what}");
            Err(CaseError::Invalid(reason))
        };
        if self.operations.iter().any(|operation| matches!(operation, Operation::Upsert(_))) {
            return invalid("rows cannot be upserted by them; use insert and delete");
        }
        for filter in self.checks.iter().filter_map(Check::filter) {
            let mut named = false;
            filter.for_each_path(&mut |path| named |= path.root == *key);
            if named {
                return invalid(&format!("`{filter}` must not mention them"));
            }
        }
        Ok(())
    }

    /// The case as the text of a case file.
    pub fn to_json(&self, found: Option<&Found>) -> String {
        let keys = |keys: &[Key]| keys.iter().map(key_to_json).collect();
        let rows = |rows: &[Row]| rows.iter().map(Row::to_json).collect();
        let operation = |operation: &Operation| match operation {
            Operation::Insert(batch) => FileOperation::Insert(rows(batch)),
            Operation::Upsert(batch) => FileOperation::Upsert(rows(batch)),
            Operation::Delete(batch) => FileOperation::Delete(keys(batch)),
            Operation::Flush => FileOperation::Flush,
        };
        let check = |check: &Check| match check {
            Check::Entities => FileCheck::Entities,
            Check::Query(filter) => FileCheck::Query(filter.to_string()),
            Check::Count(filter) => FileCheck::Count(filter.to_string()),
            Check::Page { filter, limit, offset } => FileCheck::Page(FilePage {
                filter: filter.to_string(),
                limit: *limit,
                offset: *offset,
            }),
            Check::Refused(filter) => FileCheck::Refused(filter.to_string()),
            Check::QueryOrRefusal(filter) => FileCheck::QueryOrRefusal(filter.to_string()),
        };
        let file = CaseFile {
            format: FORMAT.to_owned(),
            version: VERSION,
            found: found.cloned(),
            schema: self.schema.clone(),
            operations: self.operations.iter().map(operation).collect(),
            checks: self.checks.iter().map(check).collect(),
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
        let rows = |rows: Vec<Json>| {
            let rows = rows.iter().map(|row| Row::from_json(&schema, row));
            rows.collect::<Result<Vec<_>, _>>()
                .map_err(|error| CaseError::Invalid(error.to_string()))
        };
        let parse = |text: String| {
            Filter::parse(&text).map_err(|error| CaseError::Invalid(format!("{error} in `{text}`")))
        };
        let mut operations = Vec::new();
        for operation in file.operations {
            operations.push(match operation {
                FileOperation::Insert(batch) => Operation::Insert(rows(batch)?),
                FileOperation::Upsert(batch) => Operation::Upsert(rows(batch)?),
                FileOperation::Delete(keys) => {
                    let keys = keys.iter().map(|key| {
                        key_from_json(key)
                            .ok_or_else(|| CaseError::Invalid(format!("{key} is not a key")))
                    });
                    Operation::Delete(keys.collect::<Result<_, _>>()?)
                }
                FileOperation::Flush => Operation::Flush,
            });
        }
        let mut checks = Vec::new();
        for check in file.checks {
            checks.push(match check {
                FileCheck::Entities => Check::Entities,
                FileCheck::Query(text) => Check::Query(parse(text)?),
                FileCheck::Count(text) => Check::Count(parse(text)?),
                FileCheck::Page(FilePage { filter, limit, offset }) => {
                    Check::Page { filter: parse(filter)?, limit, offset }
                }
                FileCheck::Refused(text) => Check::Refused(parse(text)?),
                FileCheck::QueryOrRefusal(text) => Check::QueryOrRefusal(parse(text)?),
            });
        }
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
    /// The campaign's seed.
    pub seed: u64,
    /// The case's number in that campaign.
    pub case: u64,
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
#[serde(rename_all = "lowercase")]
enum FileOperation {
    Insert(Vec<Json>),
    Upsert(Vec<Json>),
    Delete(Vec<Json>),
    Flush,
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
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FilePage {
    filter: String,
    limit: u32,
    offset: u32,
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
