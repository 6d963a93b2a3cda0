//! The types of what a filter is about.

use std::fmt;
use std::str::FromStr;

use super::construct::nearest;
use crate::filter::ast::{FieldPath, Step};
use crate::filter::check::{Place, resolve};
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::META;

/// The type of an operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Operand {
    /// What it is.
    pub kind: Kind,
    /// Whether its field may be null.
    pub nullable: bool,
}

/// What an operand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A scalar column: `INT8`.
    Column(Scalar),
    /// An element of an ARRAY column: `ARRAY<INT8>[i]`.
    Element(Scalar),
    /// A whole ARRAY column: `ARRAY<INT8>`.
    Array(Scalar),
    /// A whole JSON column: `JSON`.
    Json,
    /// A member of a JSON column: `JSON[key]`.
    JsonKey,
    /// A member of a member: `JSON[key][key]`.
    JsonNested,
    /// An element of an array in JSON: `JSON[key][i]`.
    JsonIndex,
    /// A dynamic key by its bare name: `dynamic`.
    Dynamic,
    /// A place inside a dynamic key: `dynamic[path]`.
    DynamicPath,
    /// A dynamic key through `$meta`: `$meta[key]`.
    Meta,
    /// A TIMESTAMPTZ column.
    Timestamp,
    /// A GEOMETRY column.
    Geometry,
    /// An array of structs.
    Structs,
    /// A member of structs, inside of a predicate on them: `$[INT8]`.
    Member(Scalar),
}

impl Kind {
    /// The scalar type of the single value that it is, if it is one.
    pub fn scalar(self) -> Option<Scalar> {
        match self {
            Kind::Column(scalar) | Kind::Element(scalar) | Kind::Member(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// Whether it is a place inside JSON.
    pub fn is_json_path(self) -> bool {
        use Kind::*;
        matches!(self, JsonKey | JsonNested | JsonIndex | Dynamic | DynamicPath | Meta)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Column(scalar) => write!(f, "{}", DataType::Scalar(*scalar)),
            Kind::Element(scalar) => write!(f, "{}[i]", DataType::Array(*scalar)),
            Kind::Array(scalar) => write!(f, "{}", DataType::Array(*scalar)),
            Kind::Json => f.write_str("JSON"),
            Kind::JsonKey => f.write_str("JSON[key]"),
            Kind::JsonNested => f.write_str("JSON[key][key]"),
            Kind::JsonIndex => f.write_str("JSON[key][i]"),
            Kind::Dynamic => f.write_str("dynamic"),
            Kind::DynamicPath => f.write_str("dynamic[path]"),
            Kind::Meta => f.write_str("$meta[key]"),
            Kind::Timestamp => f.write_str("TIMESTAMPTZ"),
            Kind::Geometry => f.write_str("GEOMETRY"),
            Kind::Structs => f.write_str("ARRAY<STRUCT>"),
            Kind::Member(scalar) => write!(f, "$[{}]", DataType::Scalar(*scalar)),
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind, if self.nullable { "?" } else { "" })
    }
}

impl FromStr for Operand {
    type Err = UnknownGroup;

    fn from_str(name: &str) -> Result<Operand, UnknownGroup> {
        let (kind, nullable) = match name.strip_suffix('?') {
            Some(kind) => (kind, true),
            None => (name, false),
        };
        match kind.parse()? {
            Group::One(kind) => Ok(Operand { kind, nullable }),
            _ => Err(UnknownGroup { name: name.to_owned(), hint: String::new() }),
        }
    }
}

impl Operand {
    /// What a path leads to; `None` if the schema has no such place.
    pub fn of(schema: &Schema, path: &FieldPath) -> Option<Operand> {
        let place = resolve(schema, path).ok()?;
        let (field, kind) = match &place {
            Place::Column(field, scalar) if path.is_member() => {
                (Some(*field), Kind::Member(*scalar))
            }
            Place::Column(field, scalar) => (Some(*field), Kind::Column(*scalar)),
            Place::Structs(field) => (Some(*field), Kind::Structs),
            Place::Array(field, element) => (Some(*field), Kind::Array(*element)),
            Place::JsonColumn(field) => (Some(*field), Kind::Json),
            Place::Geometry(field) => (Some(*field), Kind::Geometry),
            Place::Timestamp(field) => (Some(*field), Kind::Timestamp),
            Place::Element(field, element, _) => (Some(*field), Kind::Element(*element)),
            Place::Json(Some(field), steps) => {
                let kind = match steps.as_slice() {
                    [_] => Kind::JsonKey,
                    [.., Step::Index(_)] => Kind::JsonIndex,
                    _ => Kind::JsonNested,
                };
                (Some(*field), kind)
            }
            Place::Json(None, _) if path.root == META => (None, Kind::Meta),
            Place::Json(None, _) if path.steps.is_empty() => (None, Kind::Dynamic),
            Place::Json(None, _) => (None, Kind::DynamicPath),
        };
        Some(Operand { kind, nullable: field.is_some_and(|field| field.nullable) })
    }

    /// What a field offers to filters.
    pub fn of_field(field: &Field) -> Vec<Operand> {
        let kinds = match field.data_type {
            DataType::Scalar(scalar) => vec![Kind::Column(scalar)],
            DataType::Array(element) => vec![Kind::Array(element), Kind::Element(element)],
            DataType::Json => {
                vec![Kind::Json, Kind::JsonKey, Kind::JsonNested, Kind::JsonIndex]
            }
            DataType::Geometry => vec![Kind::Geometry],
            DataType::Timestamptz => vec![Kind::Timestamp],
            DataType::StructArray => {
                let scalar = |member: &Field| match member.data_type {
                    DataType::Scalar(scalar) => Some(Kind::Member(scalar)),
                    _ => None,
                };
                let members = field.members.iter().filter_map(scalar);
                std::iter::once(Kind::Structs).chain(members).collect()
            }
            // Filters do not look into vectors.
            _ => Vec::new(),
        };
        kinds.into_iter().map(|kind| Operand { kind, nullable: field.nullable }).collect()
    }

    /// What the dynamic field offers to filters.
    pub fn of_dynamic() -> [Operand; 3] {
        [Kind::Dynamic, Kind::DynamicPath, Kind::Meta].map(|kind| Operand { kind, nullable: false })
    }
}

/// Some operands, by a name in a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// `column`: scalar columns.
    Columns,
    /// `element`: elements of ARRAY columns.
    Elements,
    /// `array`: whole ARRAY columns.
    Arrays,
    /// `json`: places in JSON columns.
    Json,
    /// `member`: members of structs.
    Members,
    /// `integer`: integer columns, elements and members.
    Integers,
    /// Operands of one kind, by the kind's own name.
    One(Kind),
}

impl Group {
    /// Whether an operand is one of them.
    pub fn has(self, kind: Kind) -> bool {
        match self {
            Group::Columns => matches!(kind, Kind::Column(_)),
            Group::Elements => matches!(kind, Kind::Element(_)),
            Group::Arrays => matches!(kind, Kind::Array(_)),
            Group::Json => matches!(kind, Kind::JsonKey | Kind::JsonNested | Kind::JsonIndex),
            Group::Members => matches!(kind, Kind::Member(_)),
            Group::Integers => kind.scalar().is_some_and(|scalar| scalar.int_range().is_some()),
            Group::One(one) => one == kind,
        }
    }

    fn all() -> Vec<(String, Group)> {
        let named = [
            ("column", Group::Columns),
            ("element", Group::Elements),
            ("array", Group::Arrays),
            ("json", Group::Json),
            ("member", Group::Members),
            ("integer", Group::Integers),
        ];
        let scalars = Scalar::ALL.into_iter().flat_map(|scalar| {
            use Kind::*;
            [Column(scalar), Element(scalar), Array(scalar), Member(scalar)]
        });
        use Kind::*;
        let others = [
            Json,
            JsonKey,
            JsonNested,
            JsonIndex,
            Dynamic,
            DynamicPath,
            Meta,
            Timestamp,
            Geometry,
            Structs,
        ];
        let kinds = scalars.chain(others).map(|kind| (kind.to_string(), Group::One(kind)));
        named.map(|(name, group)| (name.to_owned(), group)).into_iter().chain(kinds).collect()
    }
}

impl FromStr for Group {
    type Err = UnknownGroup;

    fn from_str(name: &str) -> Result<Group, UnknownGroup> {
        let all = Group::all();
        if let Some((_, group)) = all.iter().find(|(known, _)| known == name) {
            return Ok(*group);
        }
        let hint = match nearest(name, all.iter().map(|(known, _)| known.as_str())) {
            Some(close) => format!("; did you mean '{close}'?"),
            None => "; there are column, element, array, json, member, integer, dynamic, dynamic[path], \
                     $meta[key] and the names of types"
                .to_owned(),
        };
        Err(UnknownGroup { name: name.to_owned(), hint })
    }
}

/// A name that no operand has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no operand '{name}'{hint}")]
pub struct UnknownGroup {
    name: String,
    hint: String,
}
