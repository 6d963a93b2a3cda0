//! Changes that wait in a table beside the one they are for.
//!
//! ClickHouse has no transactions that could be held open. But moving a part from one table to
//! another is one step, which nobody sees half done, so that a staged change is a part in another
//! table until it is committed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::dialect::{identifier, text};
use super::{ClickHouse, create_statements, drop_statements, part_name, versions};
use crate::backend::{Answer, BackendError, Change, Staged, Table};

/// Tables for staged changes that none occupies, by the table that the changes are for.
#[derive(Clone, Default)]
pub(super) struct Stages(Arc<Mutex<BTreeMap<String, Vec<Table>>>>);

impl Stages {
    fn tables(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Table>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn free(&self, table: &Table) -> Option<Table> {
        self.tables().get_mut(&table.name)?.pop()
    }

    fn put_back(&self, table: &Table, beside: Option<Table>) {
        self.tables().entry(table.name.clone()).or_default().extend(beside);
    }

    /// All that belong to a table, which is about to be dropped.
    pub(super) fn take(&self, table: &Table) -> Vec<Table> {
        self.tables().remove(&table.name).unwrap_or_default()
    }
}

impl ClickHouse {
    /// Writes a change to a table beside the one it is for, from which it can be moved there.
    pub(super) async fn stage_now(
        &mut self,
        table: &Table,
        change: Change<'_>,
    ) -> Result<Stage, BackendError> {
        let rows = versions(&table.schema, change)?;
        let mut stage = Stage { session: self.connected(), table: table.clone(), beside: None };
        if rows.rows.is_empty() {
            return Ok(stage);
        }
        let beside = match self.stages.free(table) {
            Some(beside) => beside,
            None => {
                let name = format!("{}~staged~{:016x}", table.name, rand::random::<u64>());
                let beside = Table::new(name, table.schema.clone());
                let cluster = self.options.cluster.as_deref();
                let sql = create_statements(&beside, &table.name, cluster);
                self.execute("prepare a write to", table, &sql).await?;
                beside
            }
        };
        let staged = self.insert("write to", &beside, rows).await;
        stage.beside = Some(beside);
        match staged {
            Ok(()) => Ok(stage),
            Err(error) => {
                // Whatever has arrived there is gone with the table.
                stage.discard().await?;
                Err(error)
            }
        }
    }
}

/// A change in a table beside the one it is for.
pub(super) struct Stage {
    session: ClickHouse,
    table: Table,
    /// Without one there is nothing to write.
    beside: Option<Table>,
}

impl Stage {
    /// Moves the one part there is, which is visible in one table or in the other.
    async fn publish(mut self) -> Result<(), BackendError> {
        let Some(beside) = &self.beside else { return Ok(()) };
        let sql = move_statement(beside, &self.table, self.session.options.cluster.as_deref());
        let moved = self.session.execute("write to", &self.table, &[sql]).await;
        match moved {
            Ok(()) => {
                self.session.stages.put_back(&self.table, self.beside.take());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn discard(&mut self) -> Result<(), BackendError> {
        let Some(beside) = self.beside.take() else { return Ok(()) };
        let sql = drop_statements(&beside, self.session.options.cluster.as_deref());
        self.session.execute("withdraw a write to", &self.table, &sql).await
    }
}

impl Staged for Stage {
    fn commit(self: Box<Self>) -> Answer<'static, ()> {
        Box::pin(self.publish())
    }

    fn withdraw(mut self: Box<Self>) -> Answer<'static, ()> {
        Box::pin(async move { self.discard().await })
    }
}

/// Moves all that is in one table to another, in one step: their parts have the same columns, order
/// and place.
fn move_statement(from: &Table, to: &Table, cluster: Option<&str>) -> String {
    let (from, to, on) = match cluster {
        None => (from.name.clone(), to.name.clone(), String::new()),
        Some(cluster) => (part_name(from), part_name(to), format!(" ON CLUSTER {}", text(cluster))),
    };
    let (from, to) = (identifier(&from), identifier(&to));
    format!("ALTER TABLE {from}{on} MOVE PARTITION tuple() TO TABLE {to}")
}
