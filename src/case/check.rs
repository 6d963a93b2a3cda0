//! The questions of a case.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Maintenance, Scope};
use crate::filter::{Expr, FieldPath, Filter, Rewrite};
use crate::milvus::Consistency;
use crate::schema::{DataType, Field, Metric, Scalar, Schema};

/// One question.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// Every row, and every field of it.
    Entities,
    /// Which rows match, and every field of them.
    Query(Filter),
    /// How many rows match, by `count(*)`.
    Count(Filter),
    /// How many rows there are, by `count(*)` without a filter.
    CountAll,
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
    /// Two ways of asking the same engine, which must agree.
    Agree {
        /// The ways.
        relation: Relation,
        /// What is asked about.
        filter: Filter,
    },
    /// The nearest of the rows that match.
    Search {
        /// What to look for.
        search: Search,
        /// What the rows match; all of them without one.
        filter: Option<Filter>,
    },
    /// A question about part of the collection: for entities, a query, a count, a page or a search.
    In {
        /// What part.
        scope: Scope,
        /// The question.
        check: Box<Check>,
    },
}

/// How an engine is asked in two ways.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// Where the filter is true, where it is false and where it is unknown: together the whole.
    Partition,
    /// By the filter, and by the filter's answer on what the engine returns without it.
    Projection,
    /// By a filter that means the same.
    Rewrite(Rewrite),
    /// With its constants written out, and sent beside it.
    Template,
    /// At once, and page by page of so many rows, by offsets and by keys.
    Paging(u32),
    /// By rows, and by `count(*)`.
    Counts,
    /// At this level of consistency, and at the strong one.
    Consistency(Consistency),
    /// Before this, and after it.
    After(Maintenance),
}

/// A search in one field, for a vector that every engine can be asked about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// The field, a FLOAT_VECTOR.
    pub field: String,
    /// What is looked for: as many numbers as the field's vectors have.
    pub near: Vec<f32>,
    /// So many rows, at most; at least 1.
    pub limit: u32,
    /// Only rows nearer than this, in the field's metric: the square of a distance for L2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radius: Option<f32>,
    /// Only rows no nearer than this, in the same way; with a radius alone, which is further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range_filter: Option<f32>,
    /// Only the nearest row of those with the same value in this field: a whole number, a string or
    /// a boolean, never null. Not together with a radius.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_by: Option<String>,
}

impl Search {
    /// The metric of the field that it searches.
    pub fn metric(&self, schema: &Schema) -> Metric {
        schema.field(&self.field).and_then(|field| field.metric).unwrap_or(Metric::L2)
    }

    /// Whether rows can be grouped by a field (documentation, "Grouping Search"). What becomes of
    /// those with a null it leaves open.
    pub(crate) fn can_group_by(field: &Field) -> bool {
        let fits = match field.data_type {
            DataType::Scalar(scalar) => {
                scalar.int_range().is_some() || matches!(scalar, Scalar::Bool | Scalar::VarChar)
            }
            _ => false,
        };
        fits && !field.nullable && !field.auto_id
    }
}

impl Check {
    /// The question, whatever part of the collection it is about.
    pub fn plain(&self) -> &Check {
        match self {
            Check::In { check, .. } => check.plain(),
            other => other,
        }
    }

    /// What part of the collection it is about.
    pub fn scope(&self) -> &Scope {
        match self {
            Check::In { scope, .. } => scope,
            _ => Scope::WHOLE,
        }
    }

    /// The same question about that part of the collection.
    #[must_use]
    pub fn within(self, scope: &Scope) -> Check {
        let plain = match self {
            Check::In { check, .. } => *check,
            other => other,
        };
        match scope.is_whole() {
            true => plain,
            false => Check::In { scope: scope.clone(), check: Box::new(plain) },
        }
    }

    /// The filter that is asked about; none for all entities.
    pub fn filter(&self) -> Option<&Expr> {
        self.spelled().map(|filter| &filter.expr)
    }

    /// The filter and how it is written.
    pub fn spelled(&self) -> Option<&Filter> {
        match self {
            Check::Entities | Check::CountAll => None,
            Check::In { check, .. } => check.spelled(),
            Check::Query(filter)
            | Check::Count(filter)
            | Check::Page { filter, .. }
            | Check::Refused(filter)
            | Check::QueryOrRefusal(filter)
            | Check::Agree { filter, .. } => Some(filter),
            Check::Search { filter, .. } => filter.as_ref(),
        }
    }

    /// Whether it is about a field: its filter uses it, it searches or groups by it, or it asks
    /// before and after a step that is about it.
    pub(crate) fn names(&self, field: &str) -> bool {
        let otherwise = match self.plain() {
            Check::Search { search, .. } => {
                search.field == field || search.group_by.as_deref() == Some(field)
            }
            Check::Agree { relation: Relation::After(step), .. } => step.field() == Some(field),
            _ => false,
        };
        otherwise || self.filter().is_some_and(|filter| filter.names(field))
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
            Check::Count(_) | Check::CountAll => Check::Count(filter),
            Check::In { scope, check } => check.with_spelled(filter).within(scope),
            Check::Page { limit, offset, .. } => {
                Check::Page { filter, limit: *limit, offset: *offset }
            }
            Check::Refused(_) => Check::Refused(filter),
            Check::QueryOrRefusal(_) => Check::QueryOrRefusal(filter),
            Check::Agree { relation, .. } => Check::Agree { relation: relation.clone(), filter },
            Check::Search { search, .. } => {
                Check::Search { search: search.clone(), filter: Some(filter) }
            }
        }
    }

    /// Every filter that is sent to an engine for it, but for those that pages by key make.
    pub fn filters(&self, schema: &Schema) -> Vec<Filter> {
        let mut filters: Vec<Filter> = self.spelled().cloned().into_iter().collect();
        if let Check::Agree { relation, filter } = self.plain() {
            match relation {
                Relation::Partition => {
                    filters.push(Expr::Not(Box::new(filter.expr.clone())).into());
                    filters.extend(unknown(schema, &filter.expr).map(Filter::from));
                }
                Relation::Rewrite(rewrite) => {
                    filters.extend(rewrite.apply(schema, &filter.expr).map(Filter::from));
                }
                Relation::Projection
                | Relation::Template
                | Relation::Paging(_)
                | Relation::Counts
                | Relation::Consistency(_)
                | Relation::After(_) => {}
            }
        }
        filters
    }
}

/// Where a filter may be unknown: where a column that it uses is null. `None` if none can be.
pub(crate) fn unknown(schema: &Schema, filter: &Expr) -> Option<Expr> {
    let mut used = Vec::new();
    filter.for_each_path(&mut |path| {
        let nullable = schema.field(&path.root).is_some_and(|field| field.nullable);
        if nullable && !used.contains(&path.root) {
            used.push(path.root.clone());
        }
    });
    let is_null = |name: String| Expr::IsNull { operand: FieldPath::new(name), negated: false };
    used.into_iter().map(is_null).reduce(|all, one| all.or(one))
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Check::Entities => f.write_str("all entities"),
            Check::Query(filter) | Check::QueryOrRefusal(filter) => filter.fmt(f),
            Check::Count(filter) => write!(f, "count(*) of {filter}"),
            Check::CountAll => f.write_str("count(*) of all entities"),
            Check::In { scope, check } => write!(f, "{check} {scope}"),
            Check::Page { filter, limit, offset } => {
                write!(f, "limit {limit} offset {offset} of {filter}")
            }
            Check::Refused(filter) => write!(f, "refusal of {filter}"),
            Check::Agree { relation, filter } => write!(f, "{filter} ({relation})"),
            Check::Search { search, filter } => {
                write!(f, "the {} nearest to {:?} in {}", search.limit, search.near, search.field)?;
                if let Some(radius) = search.radius {
                    write!(f, ", nearer than {radius}")?;
                }
                if let Some(bound) = search.range_filter {
                    write!(f, ", no nearer than {bound}")?;
                }
                if let Some(field) = &search.group_by {
                    write!(f, ", one for each {field}")?;
                }
                filter.as_ref().map_or(Ok(()), |filter| write!(f, " of {filter}"))
            }
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Relation::Partition => f.write_str("where it is true, false and unknown"),
            Relation::Projection => f.write_str("and the same of all rows"),
            Relation::Rewrite(rule) => write!(f, "and rewritten by {rule}"),
            Relation::Paging(size) => write!(f, "at once and {size} rows at a time"),
            Relation::Template => f.write_str("with its constants as templates"),
            Relation::Counts => f.write_str("by rows and by count(*)"),
            Relation::Consistency(level) => write!(f, "at the levels {level} and strong"),
            Relation::After(step) => write!(f, "before and after: {step}"),
        }
    }
}
