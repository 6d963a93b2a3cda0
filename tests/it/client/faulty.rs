//! A backend that fails where it is told to.

use std::sync::{Arc, Mutex};

use futures::future::FutureExt;
use milvus_difftest::backend::{
    Answer, Backend, BackendError, Change, DuckDb, Selection, Staged, Table,
};
use milvus_difftest::filter::Expr;
use milvus_difftest::value::{Key, Row};

use super::world::NAME;

/// Where it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Writing down that a write begins.
    Note,
    /// Preparing the change, before it is done or after it.
    StageBefore,
    StageAfter,
    /// Making it visible, before it is or after it.
    CommitBefore,
    CommitAfter,
}

impl Step {
    pub const ALL: [Step; 5] =
        [Step::Note, Step::StageBefore, Step::StageAfter, Step::CommitBefore, Step::CommitAfter];
}

/// How.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// With an error.
    Error,
    /// With the whole process.
    Abort,
}

/// The next failure; it happens once.
#[derive(Clone, Default)]
pub struct Plan(Arc<Mutex<Option<(Step, How)>>>);

impl Plan {
    pub fn set(&self, step: Step, how: How) {
        *self.0.lock().unwrap() = Some((step, how));
    }

    pub fn clear(&self) {
        *self.0.lock().unwrap() = None;
    }

    pub fn is_pending(&self) -> bool {
        self.0.lock().unwrap().is_some()
    }

    fn at(&self, step: Step) -> Result<(), BackendError> {
        let mut next = self.0.lock().unwrap();
        match *next {
            Some((planned, how)) if planned == step => {
                if how == How::Abort {
                    std::process::abort();
                }
                *next = None;
                Err(BackendError::Open {
                    backend: "faulty".to_owned(),
                    place: format!("{step:?}"),
                    reason: "it was told to fail".to_owned(),
                })
            }
            _ => Ok(()),
        }
    }
}

pub struct Faulty {
    pub inner: Box<dyn Backend>,
    pub plan: Plan,
}

impl Faulty {
    /// On a DuckDB in a file: one in memory keeps no notes.
    pub fn open(path: &std::path::Path, plan: &Plan) -> Box<dyn Backend> {
        let inner = Box::new(DuckDb::open(path).unwrap());
        Box::new(Faulty { inner, plan: plan.clone() })
    }
}

struct FaultyStage {
    inner: Box<dyn Staged>,
    plan: Plan,
    counts: bool,
}

impl Staged for FaultyStage {
    fn commit(self: Box<Self>) -> Answer<'static, ()> {
        async move {
            if !self.counts {
                return self.inner.commit().await;
            }
            self.plan.at(Step::CommitBefore)?;
            self.inner.commit().await?;
            self.plan.at(Step::CommitAfter)
        }
        .boxed()
    }

    fn withdraw(self: Box<Self>) -> Answer<'static, ()> {
        self.inner.withdraw()
    }
}

impl Backend for Faulty {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn location(&self) -> Option<String> {
        self.inner.location()
    }

    fn session(&self) -> Result<Box<dyn Backend>, BackendError> {
        Ok(Box::new(Faulty { inner: self.inner.session()?, plan: self.plan.clone() }))
    }

    fn create_table<'a>(&'a mut self, table: &'a Table) -> Answer<'a, ()> {
        self.inner.create_table(table)
    }

    fn has_table<'a>(&'a mut self, table: &'a Table) -> Answer<'a, bool> {
        self.inner.has_table(table)
    }

    fn drop_table<'a>(&'a mut self, table: &'a Table) -> Answer<'a, ()> {
        self.inner.drop_table(table)
    }

    fn stage<'a>(
        &'a mut self,
        table: &'a Table,
        change: Change<'a>,
    ) -> Answer<'a, Box<dyn Staged>> {
        async move {
            let counts = table.name == NAME;
            match counts {
                true => self.plan.at(Step::StageBefore)?,
                false => self.plan.at(Step::Note)?,
            }
            let inner = self.inner.stage(table, change).await?;
            if counts {
                self.plan.at(Step::StageAfter)?;
            }
            let staged: Box<dyn Staged> =
                Box::new(FaultyStage { inner, plan: self.plan.clone(), counts });
            Ok(staged)
        }
        .boxed()
    }

    fn select<'a>(
        &'a mut self,
        table: &'a Table,
        selection: Selection<'a>,
    ) -> Answer<'a, Vec<Row>> {
        self.inner.select(table, selection)
    }

    fn query<'a>(&'a mut self, table: &'a Table, filter: &'a Expr) -> Answer<'a, Vec<Key>> {
        self.inner.query(table, filter)
    }

    fn explain(&self, table: &Table, filter: &Expr) -> Result<String, BackendError> {
        self.inner.explain(table, filter)
    }
}
