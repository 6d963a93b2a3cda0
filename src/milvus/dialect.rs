//! What the grammar and types of each engine version accept, as data.
//!
//! A dialect only keeps the generator from asking for what an engine has not got. It never changes
//! an expected answer. The format is described in `dialects.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::filter::Filter;
use crate::filter::grammar::{self, Cell, Construct, Group, Kind, family};
use crate::schema::{DataType, Scalar, Schema};

/// The inventory of one engine version.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dialect {
    /// The name in reports, for instance `milvus-lite-3.2`.
    pub name: String,
    /// Server versions start with one of these.
    pub versions: Vec<String>,
    /// The types of fields, as [`DataType::kind`] names them.
    pub types: Vec<String>,
    /// What schemas and fields can have.
    pub schema: Vec<SchemaFeature>,
    /// What calls can ask for.
    pub calls: Vec<CallFeature>,
    /// Those of them that take seconds, and are asked for seldom.
    pub slow: Vec<CallFeature>,
    /// Kinds of indexes of scalar fields, and exact ones of vectors, in Milvus's own names, and the
    /// types that each takes.
    pub indexes: BTreeMap<String, Vec<String>>,
    /// Constructs that it refuses.
    lacks: BTreeSet<Construct>,
    /// Constructs that it takes on these operands alone.
    only: BTreeMap<Construct, Vec<BTreeSet<Group>>>,
}

/// A dialect as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    #[serde(default)]
    versions: Vec<String>,
    types: Option<Vec<String>>,
    schema: Option<Vec<SchemaFeature>>,
    calls: Option<Vec<CallFeature>>,
    #[serde(default)]
    slow: Vec<CallFeature>,
    #[serde(default)]
    indexes: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    lacks: Vec<Spanned<String>>,
    #[serde(default)]
    only: BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
}

/// What a schema or a field can have, beside names and types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SchemaFeature {
    /// Fields that may be null.
    Nullable,
    /// Default values.
    Default,
    /// A partition key.
    PartitionKey,
    /// Keys that the engine assigns.
    AutoId,
    /// The dynamic field.
    Dynamic,
    /// More than one vector.
    ManyVectors,
}

impl SchemaFeature {
    /// Every feature.
    pub const ALL: [SchemaFeature; 6] = [
        SchemaFeature::Nullable,
        SchemaFeature::Default,
        SchemaFeature::PartitionKey,
        SchemaFeature::AutoId,
        SchemaFeature::Dynamic,
        SchemaFeature::ManyVectors,
    ];
}

impl fmt::Display for SchemaFeature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SchemaFeature::Nullable => "nullable fields",
            SchemaFeature::Default => "default values",
            SchemaFeature::PartitionKey => "partition keys",
            SchemaFeature::AutoId => "assigned keys",
            SchemaFeature::Dynamic => "the dynamic field",
            SchemaFeature::ManyVectors => "more than one vector",
        })
    }
}

/// What a call can ask for, beside what every engine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallFeature {
    /// Upserts of some fields, which keep the others.
    PartialUpsert,
    /// How many shards a collection has.
    Shards,
    /// The consistency of a collection, for reads that ask for none.
    ConsistencyLevel,
    /// How many replicas of a collection are loaded.
    Replicas,
    /// Sealing and writing out what is in memory.
    Flush,
    /// Merging what is written out.
    Compaction,
    /// What states the segments of a collection are in.
    Segments,
    /// Releasing a collection, so that it cannot be read until it is loaded again.
    Release,
    /// Going on after a restart with what was stored.
    Restart,
    /// Searching.
    Search,
    /// Several writers to one collection at a time.
    ConcurrentWrites,
    /// Partitions by name.
    Partitions,
    /// Aliases of collections.
    Aliases,
    /// Searches for the nearest of each group.
    GroupBy,
    /// Adding a field to a collection.
    AddField,
}

impl CallFeature {
    /// Every feature.
    pub const ALL: [CallFeature; 15] = [
        CallFeature::PartialUpsert,
        CallFeature::Shards,
        CallFeature::ConsistencyLevel,
        CallFeature::Replicas,
        CallFeature::Flush,
        CallFeature::Compaction,
        CallFeature::Segments,
        CallFeature::Release,
        CallFeature::Restart,
        CallFeature::Search,
        CallFeature::ConcurrentWrites,
        CallFeature::Partitions,
        CallFeature::Aliases,
        CallFeature::GroupBy,
        CallFeature::AddField,
    ];
}

impl fmt::Display for CallFeature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CallFeature::PartialUpsert => "partial upserts",
            CallFeature::Shards => "choice of shards",
            CallFeature::ConsistencyLevel => "consistency levels of collections",
            CallFeature::Replicas => "choice of replicas",
            CallFeature::Flush => "flushes",
            CallFeature::Compaction => "compactions",
            CallFeature::Segments => "the states of segments",
            CallFeature::Release => "releasing collections",
            CallFeature::Restart => "restarts with what was stored",
            CallFeature::Search => "searches",
            CallFeature::ConcurrentWrites => "concurrent writers to one collection",
            CallFeature::Partitions => "partitions by name",
            CallFeature::Aliases => "aliases of collections",
            CallFeature::GroupBy => "searches by groups",
            CallFeature::AddField => "fields added to collections",
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    dialect: Vec<Entry>,
}

/// A dialect that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialectError {
    /// The file cannot be read.
    #[error("cannot read the dialect {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something that means nothing.
    #[error("the dialect {origin} is wrong: line {line}: {reason}")]
    Invalid {
        /// The file, or that it is built in.
        origin: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Neither a file nor a built-in dialect has this name.
    #[error("there is no dialect '{name}', and no file of that name; built in are {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The built-in dialects.
        known: String,
    },
}

impl Dialect {
    /// Every dialect that this crate knows.
    pub fn all() -> Result<Vec<Dialect>, DialectError> {
        Dialect::parse(include_str!("dialects.toml"), "dialects.toml (built in)")
    }

    /// The dialect for a version as the server reports it. The longest matching prefix wins, and
    /// the newest documented server stands in for versions that are not listed.
    ///
    /// ```
    /// use milvus_difftest::milvus::Dialect;
    /// assert_eq!(Dialect::for_version("milvus_lite-3.2.2").unwrap().name, "milvus-lite-3.2");
    /// ```
    pub fn for_version(version: &str) -> Result<Dialect, DialectError> {
        let fit = |dialect: &Dialect| {
            let prefixes = dialect.versions.iter().filter(|prefix| version.starts_with(*prefix));
            prefixes.map(String::len).max()
        };
        let all = Dialect::all()?;
        Ok(all.into_iter().max_by_key(|dialect| fit(dialect)).unwrap_or_else(Dialect::everything))
    }

    /// Whether fields can have this type.
    pub fn has_type(&self, data_type: DataType) -> bool {
        self.types.iter().any(|kind| kind == data_type.kind())
    }

    /// Whether schemas can have this.
    pub fn allows(&self, feature: SchemaFeature) -> bool {
        self.schema.contains(&feature)
    }

    /// Whether calls can ask for this.
    ///
    /// ```
    /// use milvus_difftest::milvus::{CallFeature, Dialect};
    /// let old = Dialect::load("milvus-2.3")?;
    /// assert!(!old.offers(CallFeature::PartialUpsert));
    /// assert!(Dialect::load("milvus-2.6")?.offers(CallFeature::PartialUpsert));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn offers(&self, feature: CallFeature) -> bool {
        self.calls.contains(&feature)
    }

    /// The kinds of indexes that a field can have.
    pub fn indexes_of(&self, data_type: DataType) -> impl Iterator<Item = &str> {
        let takes = move |types: &Vec<String>| types.iter().any(|kind| kind == data_type.kind());
        self.indexes.iter().filter(move |(_, types)| takes(types)).map(|(kind, _)| kind.as_str())
    }

    /// The built-in dialect of that name, or the one in the file of that name.
    pub fn load(name: &str) -> Result<Dialect, DialectError> {
        let mut known = Dialect::all()?;
        known.push(Dialect::everything());
        if let Some(found) = known.iter().find(|dialect| dialect.name == name) {
            return Ok(found.clone());
        }
        let path = Path::new(name);
        if !path.exists() {
            let known: Vec<String> = known.into_iter().map(|dialect| dialect.name).collect();
            let (name, known) = (name.to_owned(), known.join(", "));
            return Err(DialectError::Unknown { name, known });
        }
        let text = std::fs::read_to_string(path)
            .map_err(|source| DialectError::Io { path: path.to_owned(), source })?;
        let invalid = |reason: &str| DialectError::Invalid {
            origin: name.to_owned(),
            line: 1,
            reason: reason.to_owned(),
        };
        match Dialect::parse(&text, name)?.as_slice() {
            [dialect] => Ok(dialect.clone()),
            _ => Err(invalid("a file must have one [[dialect]], and has not")),
        }
    }

    /// Reads the dialects of a file; `origin` names it in errors.
    ///
    /// ```
    /// use milvus_difftest::milvus::Dialect;
    /// let text = "[[dialect]]\nname = 'mine'\nlacks = ['modulos']";
    /// let error = Dialect::parse(text, "mine.toml").unwrap_err().to_string();
    /// assert!(error.contains("line 3") && error.contains("did you mean 'modulo'?"), "{error}");
    /// ```
    pub fn parse(text: &str, origin: &str) -> Result<Vec<Dialect>, DialectError> {
        let invalid = |at: usize, reason: String| DialectError::Invalid {
            origin: origin.to_owned(),
            line: 1 + text.get(..at).unwrap_or(text).matches('\n').count(),
            reason,
        };
        let file: File = toml::from_str(text).map_err(|error| {
            invalid(error.span().map_or(0, |span| span.start), error.message().to_owned())
        })?;
        let constructs = |name: &Spanned<String>| {
            family(name.get_ref()).map_err(|error| invalid(name.span().start, error.to_string()))
        };
        let mut all = Vec::new();
        for entry in file.dialect {
            let mut lacks = BTreeSet::new();
            for name in &entry.lacks {
                lacks.extend(constructs(name)?);
            }
            let mut only: BTreeMap<Construct, Vec<BTreeSet<Group>>> = BTreeMap::new();
            for (name, groups) in &entry.only {
                let mut operands = BTreeSet::new();
                for group in groups {
                    let parsed = group.get_ref().parse::<Group>();
                    let wrong = |error: grammar::UnknownGroup| {
                        invalid(group.span().start, error.to_string())
                    };
                    operands.insert(parsed.map_err(wrong)?);
                }
                for construct in constructs(name)? {
                    only.entry(construct).or_default().push(operands.clone());
                }
            }
            // A dialect that does not say has every type, and schemas with everything.
            let types = entry.types.unwrap_or_else(|| DataType::KINDS.map(str::to_owned).into());
            let unknown = |name: &&String| !DataType::KINDS.contains(&name.as_str());
            if let Some(name) = types.iter().find(unknown) {
                let known = DataType::KINDS.join(", ");
                return Err(invalid(0, format!("there is no type '{name}'; known are {known}")));
            }
            let schema = entry.schema.unwrap_or_else(|| SchemaFeature::ALL.to_vec());
            let calls = entry.calls.unwrap_or_else(|| CallFeature::ALL.to_vec());
            let Entry { name, versions, slow, indexes, .. } = entry;
            all.push(Dialect { name, versions, types, schema, calls, slow, indexes, lacks, only });
        }
        Ok(all)
    }

    /// Everything that this crate's checker and model give a meaning: more than any engine has.
    pub fn everything() -> Dialect {
        Dialect {
            name: "everything".to_owned(),
            versions: Vec::new(),
            types: DataType::KINDS.map(str::to_owned).into(),
            schema: SchemaFeature::ALL.to_vec(),
            calls: CallFeature::ALL.to_vec(),
            slow: Vec::new(),
            indexes: BTreeMap::from([(
                "INVERTED".to_owned(),
                Scalar::ALL.map(|scalar| DataType::Scalar(scalar).kind().to_owned()).to_vec(),
            )]),
            lacks: BTreeSet::new(),
            only: BTreeMap::new(),
        }
    }

    /// Whether the engine has a construct, on some operand at least.
    pub fn has(&self, construct: Construct) -> bool {
        !self.lacks.contains(&construct)
    }

    /// Whether the engine has a construct on this operand.
    ///
    /// ```
    /// use milvus_difftest::filter::grammar::everything;
    /// use milvus_difftest::milvus::Dialect;
    /// let lite = Dialect::load("milvus-lite-3.2").unwrap();
    /// let refused = everything(true).into_iter().filter(|cell| !lite.accepts(cell));
    /// assert!(refused.map(|cell| cell.to_string()).any(|cell| cell == "in on ARRAY<INT8>[i]"));
    /// ```
    pub fn accepts(&self, cell: &Cell) -> bool {
        if !self.has(cell.construct) {
            return false;
        }
        let Some(operand) = cell.operand else { return true };
        let typed = match operand.kind {
            Kind::Timestamp => self.has_type(DataType::Timestamptz),
            Kind::Geometry => self.has_type(DataType::Geometry),
            Kind::Structs => self.has_type(DataType::StructArray),
            // They are named where structs are asked, and nowhere else.
            Kind::Member(_) => {
                self.has_type(DataType::StructArray)
                    && Construct::ELEMENTS.iter().any(|construct| self.has(*construct))
            }
            // Every engine has these.
            _ => true,
        };
        let restrictions = self.only.get(&cell.construct).map(Vec::as_slice).unwrap_or_default();
        typed
            && (self.allows(SchemaFeature::Nullable) || !operand.nullable)
            && restrictions.iter().all(|groups| groups.iter().any(|g| g.has(operand.kind)))
    }

    /// What a filter asks for that the engine has not got; `None` if it has everything.
    pub fn lacks_for(&self, schema: &Schema, filter: &Filter) -> Option<Cell> {
        grammar::cells(schema, filter).into_iter().find(|cell| !self.accepts(cell))
    }

    /// What a schema has that the engine's have not; `None` if it has everything.
    ///
    /// ```
    /// use milvus_difftest::milvus::Dialect;
    /// use milvus_difftest::schema::Schema;
    /// let schema: Schema = serde_json::from_value(serde_json::json!({"fields": [
    ///     {"name": "id", "type": "INT64", "primary": true},
    ///     {"name": "place", "type": "GEOMETRY"},
    ///     {"name": "v", "type": "FLOAT_VECTOR(2)"},
    /// ]}))?;
    /// let old = Dialect::load("milvus-2.3")?;
    /// assert_eq!(old.lacks_in(&schema).as_deref(), Some("the type GEOMETRY"));
    /// assert_eq!(Dialect::load("milvus-2.6")?.lacks_in(&schema), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lacks_in(&self, schema: &Schema) -> Option<String> {
        let vectors = schema.fields.iter().filter(|field| field.data_type.is_vector()).count();
        let used = |feature: SchemaFeature| match feature {
            SchemaFeature::Nullable => schema.fields.iter().any(|field| field.nullable),
            SchemaFeature::Default => schema.fields.iter().any(|field| field.default.is_some()),
            SchemaFeature::PartitionKey => schema.fields.iter().any(|field| field.partition_key),
            SchemaFeature::AutoId => schema.fields.iter().any(|field| field.auto_id),
            SchemaFeature::Dynamic => schema.dynamic,
            SchemaFeature::ManyVectors => vectors > 1,
        };
        let lacking = schema.fields.iter().find(|field| !self.has_type(field.data_type));
        if let Some(field) = lacking {
            return Some(format!("the type {}", field.data_type.kind()));
        }
        let lacking = SchemaFeature::ALL.into_iter().find(|it| used(*it) && !self.allows(*it));
        lacking.map(|feature| feature.to_string())
    }

    /// What all of these have: the dialect of questions that every one of their engines can be
    /// asked. Its name is theirs, joined by `+`.
    ///
    /// ```
    /// use milvus_difftest::filter::grammar::Construct;
    /// use milvus_difftest::milvus::Dialect;
    /// let [lite, old] = ["milvus-lite-3.2", "milvus-2.3"].map(|name| Dialect::load(name).unwrap());
    /// let common = Dialect::common(&[lite, old]);
    /// assert_eq!(common.name, "milvus-lite-3.2+milvus-2.3");
    /// assert!(!common.has(Construct::IsNull) && !common.has(Construct::Modulo));
    /// ```
    pub fn common(dialects: &[Dialect]) -> Dialect {
        let Some((first, others)) = dialects.split_first() else { return Dialect::everything() };
        let mut common = first.clone();
        for other in others {
            if other.name != common.name {
                common.name = format!("{}+{}", common.name, other.name);
            }
            common.types.retain(|kind| other.types.contains(kind));
            common.schema.retain(|feature| other.schema.contains(feature));
            common.calls.retain(|feature| other.calls.contains(feature));
            common.lacks.extend(&other.lacks);
            for (construct, groups) in &other.only {
                common.only.entry(*construct).or_default().extend(groups.iter().cloned());
            }
        }
        common
    }

    /// Every cell that the engine has.
    pub fn cells(&self) -> BTreeSet<Cell> {
        let all = grammar::everything(self.allows(SchemaFeature::Nullable)).into_iter();
        all.filter(|cell| self.accepts(cell)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_one() {
        for dialect in Dialect::all().unwrap() {
            let unknown = |kind: &&String| !DataType::KINDS.contains(&kind.as_str());
            assert_eq!(dialect.types.iter().find(unknown), None, "{}", dialect.name);
        }
    }

    #[test]
    fn every_version_has_a_dialect() {
        let name = |version: &str| Dialect::for_version(version).unwrap().name;
        assert_eq!(name("milvus_lite-3.2.2"), "milvus-lite-3.2");
        assert_eq!(name("milvus_lite-2.5.1"), "milvus-lite-2.5");
        assert_eq!(name("milvus_lite-2"), "milvus-lite-2.5");
        assert_eq!(name("v2.3.5-lite"), "milvus-2.3");
        assert_eq!(name("v2.6.4"), "milvus-2.6");
        assert_eq!(name("v9.0"), "milvus-3");
    }

    #[test]
    fn what_a_dialect_says_of_cells_is_as_written() {
        let of = |name: &str| {
            let cells = Dialect::load(name).unwrap().cells();
            cells.iter().map(ToString::to_string).collect::<BTreeSet<_>>()
        };
        let lite = of("milvus-lite-3.2");
        for (cell, has) in [
            ("in on INT8", true),
            ("in on dynamic", true),
            ("in on JSON[key]", false),
            ("in-empty on JSON[key]", false),
            ("in-long", true),
            ("modulo on INT8", false),
            ("ordered-modulo on INT8", false),
            ("commuted-arithmetic on INT8?", true),
            ("constant-left on INT8?", true),
        ] {
            assert_eq!(lite.contains(cell), has, "{cell}");
        }
        let old = of("milvus-2.3");
        assert!(old.contains("commuted-arithmetic on INT8") && !old.contains("equality on INT8?"));
        assert!(!old.contains("constant-left on INT8"));
        for newer in ["milvus-2.4", "milvus-2.5", "milvus-2.6"] {
            let without: Vec<_> = old.difference(&of(newer)).cloned().collect();
            assert_eq!(without, Vec::<String>::new(), "{newer} has less than 2.3");
        }
    }

    #[test]
    fn mistakes_are_named_with_their_lines() {
        let message = |text: &str| Dialect::parse(text, "mine.toml").unwrap_err().to_string();
        let head = "[[dialect]]\nname = 'mine'\n";
        let text = format!("{head}[dialect.only]\nin = ['colum']");
        assert!(message(&text).contains("line 4: there is no operand 'colum'; did you mean"));
        assert!(message(&format!("{head}lakcs = []")).contains("line 3: unknown field `lakcs`"));
        let error = Dialect::load("milvus-lite-33").unwrap_err().to_string();
        assert!(error.contains("built in are milvus-lite-3.2, "), "{error}");
    }
}
