//! What the grammar and types of each engine version accept, as data.
//!
//! A dialect only keeps the generator from asking for what an engine has not got. It never changes
//! an expected answer.

use serde::Deserialize;

use crate::schema::DataType;

/// The inventory of one engine version. The fields are documented in `dialects.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Dialect {
    /// The name in reports, for instance `milvus-lite-3`.
    pub name: String,
    /// Server versions start with one of these.
    pub versions: Vec<String>,
    /// The types of fields, as [`DataType::kind`] names them.
    pub types: Vec<String>,
    /// What schemas and fields can have.
    pub schema: Vec<SchemaFeature>,
    /// `in` on JSON paths and array elements.
    pub in_on_path: bool,
    /// `is null` on JSON paths.
    pub is_null_on_path: bool,
    /// `%`.
    pub modulo: bool,
    /// Arithmetic compared with `<`, `<=`, `>`, `>=`.
    pub ordered_arithmetic: bool,
    /// LIKE other than `prefix%`, and `_`.
    pub like_infix: bool,
    /// `\%`, `\_` and `\\` in LIKE patterns stand for the character.
    pub like_escape: bool,
    /// `not (…)`.
    pub not: bool,
    /// `exists`.
    pub exists: bool,
    /// `array_length` compared with `<`, `<=`, `>`, `>=`.
    pub ordered_length: bool,
    /// Comparisons with the literal on the left: `5 < a`.
    pub literal_first: bool,
    /// `-9223372036854775808`, whose digits alone are beyond INT64.
    pub least_int: bool,
    /// A negative number as the second argument of `array_contains` and `json_contains`.
    pub negative_contains: bool,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dialects {
    dialect: Vec<Dialect>,
}

impl Dialect {
    /// Every dialect that this crate knows.
    pub fn all() -> Result<Vec<Dialect>, toml::de::Error> {
        toml::from_str::<Dialects>(include_str!("dialects.toml")).map(|file| file.dialect)
    }

    /// The dialect for a version as the server reports it. The longest matching prefix wins, and
    /// the newest documented server stands in for versions that are not listed.
    ///
    /// ```
    /// use milvus_difftest::milvus::Dialect;
    /// assert_eq!(Dialect::for_version("milvus_lite-3.2.2").unwrap().name, "milvus-lite-3");
    /// ```
    pub fn for_version(version: &str) -> Result<Dialect, toml::de::Error> {
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
    pub fn has(&self, feature: SchemaFeature) -> bool {
        self.schema.contains(&feature)
    }

    /// Everything that the documentation of the newest Milvus allows.
    pub fn everything() -> Dialect {
        Dialect {
            name: "documentation".to_owned(),
            versions: Vec::new(),
            types: DataType::KINDS.map(str::to_owned).into(),
            schema: vec![
                SchemaFeature::Nullable,
                SchemaFeature::Default,
                SchemaFeature::PartitionKey,
                SchemaFeature::AutoId,
                SchemaFeature::Dynamic,
                SchemaFeature::ManyVectors,
            ],
            in_on_path: true,
            is_null_on_path: true,
            modulo: true,
            ordered_arithmetic: true,
            like_infix: true,
            like_escape: true,
            not: true,
            exists: true,
            ordered_length: true,
            literal_first: true,
            least_int: true,
            negative_contains: true,
        }
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
        assert_eq!(name("milvus_lite-3.2.2"), "milvus-lite-3");
        assert_eq!(name("milvus_lite-2.5.1"), "milvus-lite-2.5");
        assert_eq!(name("milvus_lite-2"), "milvus-lite-2.5");
        assert_eq!(name("v2.3.5-lite"), "milvus-2.3");
        assert_eq!(name("v2.6.4"), "milvus-2.6");
        assert_eq!(name("v9.0"), "milvus-2.6");
    }
}
