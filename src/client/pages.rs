//! The entities of Milvus, range by range in the order of their keys.
//!
//! A query with a limit returns so many rows, but no documentation says which. So a full page is
//! taken only if it is proven to be all there is up to its last key; else the range is halved.

use super::collection::{Client, Collection};
use crate::filter::{BinaryOp, Expr, Literal};
use crate::milvus::{Consistency, MilvusError, QueryOptions};
use crate::schema::Schema;
use crate::value::{Key, Row};

/// The most rows that a query may ask for (documentation, "Milvus limits").
pub(super) const MAX_PAGE: usize = 16_384;

/// Keys greater than the first and not greater than the second, where there are such.
pub(super) type Range = (Option<Key>, Option<Key>);

/// The ranges between bounds, which cover all keys there can be.
pub(super) fn ranges(bounds: &[Key]) -> Vec<Range> {
    let begin = [None].into_iter().chain(bounds.iter().cloned().map(Some));
    let end = bounds.iter().cloned().map(Some).chain([None]);
    begin.zip(end).collect()
}

/// A range of Milvus's rows, read as far as they are asked for.
pub(super) struct Pages<'a> {
    client: &'a Client,
    collection: &'a Collection,
    /// As Milvus takes it; empty for every row.
    filter: String,
    fields: Option<Vec<String>>,
    size: usize,
    consistency: Consistency,
    /// What is left, the next last.
    left: Vec<Range>,
}

impl<'a> Pages<'a> {
    /// The rows in a range on which a filter is true, with these fields or with all, at most `size`
    /// at a time.
    pub(super) fn new(
        client: &'a Client,
        collection: &'a Collection,
        filter: &str,
        fields: Option<Vec<String>>,
        range: Range,
        size: usize,
    ) -> Pages<'a> {
        let size = size.clamp(2, MAX_PAGE);
        let (filter, consistency) = (filter.to_owned(), Consistency::Strong);
        Pages { client, collection, filter, fields, size, consistency, left: vec![range] }
    }

    /// The same, read with another consistency than a strong one.
    pub(super) fn with(self, consistency: Consistency) -> Pages<'a> {
        Pages { consistency, ..self }
    }

    /// The next range with all of its rows, sorted by key; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<(Range, Vec<Row>)>, MilvusError> {
        let schema = self.collection.schema();
        while let Some((after, upto)) = self.left.pop() {
            let filter = self.filter_of(&after, &upto);
            let mut rows = self.query(&filter).await?;
            rows.sort_by_cached_key(|row| row.key(schema));
            if rows.len() < self.size {
                return Ok(Some(((after, upto), rows)));
            }
            let key = |row: Option<&Row>| row.and_then(|row| row.key(schema));
            let (first, middle, last) =
                (key(rows.first()), key(rows.get((rows.len() - 1) / 2)), key(rows.last()));
            let Some(last) = last else {
                return Err(malformed("a full page of rows without keys"));
            };
            let whole = self.filter_of(&after, &Some(last.clone()));
            let options = self.options(None);
            let name = self.collection.name();
            let count = self.client.milvus.count(name, &whole, options).await?;
            if count == rows.len() as u64 {
                if upto.as_ref() != Some(&last) {
                    self.left.push((Some(last.clone()), upto));
                }
                return Ok(Some(((after, Some(last)), rows)));
            }
            match middle {
                Some(middle) if first != Some(last.clone()) && Some(&middle) != upto.as_ref() => {
                    self.left.push((Some(middle.clone()), upto));
                    self.left.push((after, Some(middle)));
                }
                _ => return Err(malformed("more rows with one key than fit a page")),
            }
        }
        Ok(None)
    }

    fn options(&self, limit: Option<usize>) -> QueryOptions<'static> {
        QueryOptions {
            consistency: self.consistency,
            deadline: self.client.options.deadline,
            page: limit.map(|limit| (u32::try_from(limit).unwrap_or(u32::MAX), 0)),
            partitions: &[],
        }
    }

    async fn query(&self, filter: &str) -> Result<Vec<Row>, MilvusError> {
        let (milvus, schema) = (&self.client.milvus, self.collection.schema());
        let (name, options) = (self.collection.name(), self.options(Some(self.size)));
        match &self.fields {
            None => milvus.query(name, schema, filter, options).await,
            Some(fields) => milvus.query_fields(name, schema, filter, fields, options).await,
        }
    }

    fn filter_of(&self, after: &Option<Key>, upto: &Option<Key>) -> String {
        let range = range_filter(self.collection.schema(), after, upto);
        match (self.filter.is_empty(), range.is_empty()) {
            (true, _) => range,
            (_, true) => self.filter.clone(),
            _ => format!("({}) and {range}", self.filter),
        }
    }
}

fn malformed(reason: &str) -> MilvusError {
    MilvusError::Malformed { operation: "query", reason: reason.to_owned() }
}

/// A filter for the keys in a range; empty for all keys.
pub(super) fn range_filter(schema: &Schema, after: &Option<Key>, upto: &Option<Key>) -> String {
    let bound = |op: BinaryOp, key: &Key| {
        let (op, literal) = match (op, key) {
            // The least integer is one that not every engine can read.
            (BinaryOp::Gt, Key::Int(i64::MIN)) => (BinaryOp::Ge, Literal::Int(i64::MIN + 1)),
            (BinaryOp::Le, Key::Int(i64::MIN)) => (BinaryOp::Lt, Literal::Int(i64::MIN + 1)),
            (op, Key::Int(i)) => (op, Literal::Int(*i)),
            (op, Key::Text(text)) => (op, Literal::Text(text.clone())),
        };
        Expr::binary(Expr::field(&schema.primary().name), op, Expr::Literal(literal))
    };
    let after = after.as_ref().map(|key| bound(BinaryOp::Gt, key));
    let upto = upto.as_ref().map(|key| bound(BinaryOp::Le, key));
    match (after, upto) {
        (Some(after), Some(upto)) => Expr::binary(after, BinaryOp::And, upto).to_string(),
        (Some(bound), None) | (None, Some(bound)) => bound.to_string(),
        (None, None) => String::new(),
    }
}
