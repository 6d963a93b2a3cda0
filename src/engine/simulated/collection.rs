//! One collection, and how it is read.

use std::collections::{BTreeMap, BTreeSet};

use milvus::proto::{common, milvus as pb, schema as schema_pb};

use super::fault::Fault;
use super::life::Life;
use super::reply::{Reply, invalid, no_partition, no_plan};
use super::sabotage::Sabotage;
use crate::case::DEFAULT_PARTITION;
use crate::filter::partition::{partition_of, partition_of_row, searched};
use crate::filter::{Literal, Switch, check, parse};
use crate::schema::{Field, Schema};
use crate::value::{Key, META, Row};

/// A collection and its rows.
#[derive(Debug)]
pub(super) struct Collection {
    pub(super) id: i64,
    pub(super) created: u64,
    pub(super) schema: Schema,
    pub(super) described: schema_pb::CollectionSchema,
    pub(super) properties: Vec<common::KeyValuePair>,
    pub(super) indexes: Vec<pb::IndexDescription>,
    pub(super) shards: i32,
    pub(super) consistency_level: i32,
    pub(super) loaded: bool,
    pub(super) replicas: i32,
    pub(super) rows: BTreeMap<Key, Row>,
    /// Whether nothing was written since the last flush.
    pub(super) sealed: bool,
    /// What the last query is answered with, on a server that remembers answers.
    pub(super) cached: BTreeSet<Key>,
    /// The timestamp of the last write.
    pub(super) written: u64,
    /// The rows as they were before it, on a server whose queries may be behind.
    pub(super) rows_before: BTreeMap<Key, Row>,
    /// The rows that an upsert has put into the partition of their primary key.
    pub(super) misplaced: BTreeSet<Key>,
    /// What its history has left behind.
    pub(super) life: Life,
    /// The last row of each vector whose index was dropped, at that time.
    pub(super) unindexed: BTreeMap<String, Key>,
    /// The partitions beside the default one.
    pub(super) partitions: BTreeSet<String>,
    /// Those of them that are released while the collection is loaded.
    pub(super) released: BTreeSet<String>,
    /// The rows outside of the default partition, and where they are.
    pub(super) homes: BTreeMap<Key, String>,
    /// Deleted and replaced rows, on a server that still computes filters on them.
    pub(super) dead: Vec<Row>,
}

/// What a query returns.
pub(super) enum Output<'a> {
    Count,
    Fields {
        /// Declared fields, in the order of the schema.
        fields: Vec<&'a Field>,
        /// Dynamic keys, or all of them as `$meta`.
        dynamic: Vec<String>,
    },
}

impl Collection {
    /// Notes when a write was and, if queries may be behind it, the rows as they are before it.
    pub(super) fn write_begins(&mut self, timestamp: u64, lags: bool) {
        self.written = timestamp;
        if lags {
            self.rows_before.clone_from(&self.rows);
        }
    }

    /// Notes that a read had to show the last write.
    pub(super) fn caught_up(&mut self) {
        self.rows_before.clone_from(&self.rows);
    }

    /// Whether there is a partition of that name; an empty one stands for the default.
    pub(super) fn require_partition(&self, name: &str) -> Reply<()> {
        match name.is_empty() || name == DEFAULT_PARTITION || self.partitions.contains(name) {
            true => Ok(()),
            false => Err(no_partition(name)),
        }
    }

    /// Whether a row is in one of these partitions, all of which there are; in any, if none is
    /// named.
    pub(super) fn is_in(&self, partitions: &[String], key: &Key) -> bool {
        let home = self.homes.get(key).map_or(DEFAULT_PARTITION, String::as_str);
        partitions.is_empty() || partitions.iter().any(|name| name == home)
    }

    /// Those of some rows that match a filter, in the order of their keys.
    pub(super) fn select<'a>(
        &self,
        rows: &'a BTreeMap<Key, Row>,
        sabotage: &Sabotage,
        filter: &str,
    ) -> Reply<Vec<(&'a Key, &'a Row)>> {
        if filter.trim().is_empty() {
            return Ok(rows.iter().collect());
        }
        let expr = parse(filter).map_err(no_plan)?;
        match check(&self.schema, &expr) {
            Err(_) if sabotage.has(Fault::TypeErrorAccepted) => return Ok(Vec::new()),
            Err(error) => return Err(no_plan(error)),
            Ok(()) => sabotage.survive(&expr)?,
        }
        let expr = sabotage.misread(&self.schema, expr);
        if let Some(reason) =
            self.dead.iter().find_map(|row| sabotage.fails(&self.schema, &expr, row))
        {
            return Err(no_plan(reason));
        }
        let or_prunes = sabotage.has(Fault::Turned(Switch::OrPrunesPartitions));
        let searched = (or_prunes || !self.misplaced.is_empty())
            .then(|| searched(&self.schema, &expr, or_prunes))
            .flatten();
        let is_searched = |key: &Key, row: &Row| match &searched {
            None => true,
            Some(searched) => {
                let home = match self.misplaced.contains(key) {
                    true => Some(partition_of(key)),
                    false => partition_of_row(&self.schema, row),
                };
                home.is_some_and(|home| searched.contains(&home))
            }
        };
        let rows = rows.iter().filter(|(key, row)| is_searched(key, row));
        let matches = rows.filter(|(_, row)| sabotage.matches(&self.schema, &expr, row));
        let is_found =
            |(key, row): &(&Key, &Row)| self.life.is_found(sabotage, &self.schema, &expr, key, row);
        let matches = matches.filter(is_found);
        let listed = expr.list_of(&self.schema.primary().name);
        match listed.filter(|_| sabotage.has(Fault::Turned(Switch::KeyListRepeatsRows))) {
            None => Ok(matches.collect()),
            Some(list) => {
                let same = |key: &Key, item: &Literal| match (key, item) {
                    (Key::Int(a), Literal::Int(b)) => a == b,
                    (Key::Text(a), Literal::Text(b)) => a == b,
                    _ => false,
                };
                let repeated = matches.flat_map(|(key, row)| {
                    let times = list.iter().filter(|item| same(key, item)).count();
                    std::iter::repeat_n((key, row), times)
                });
                Ok(repeated.collect())
            }
        }
    }

    /// Resolves the names a query asks for. The primary key always comes along.
    pub(super) fn output(&self, names: &[String]) -> Reply<Output<'_>> {
        if names.iter().any(|name| name.replace(' ', "") == "count(*)") {
            return Ok(Output::Count);
        }
        let all = names.iter().any(|name| name == "*");
        let asked = |field: &&Field| all || field.primary || names.contains(&field.name);
        let fields: Vec<_> = self.schema.fields.iter().filter(asked).collect();
        let undeclared = |name: &&String| *name != "*" && self.schema.field(name).is_none();
        let mut dynamic: Vec<_> = names.iter().filter(undeclared).cloned().collect();
        match dynamic.first() {
            Some(name) if !self.schema.dynamic => {
                return Err(invalid(format!("field {name} not exist")));
            }
            _ if all && self.schema.dynamic => dynamic.push(META.to_owned()),
            _ => {}
        }
        Ok(Output::Fields { fields, dynamic })
    }
}
