//! References that disagree are never blamed on Milvus; one that cannot say is done without.

use futures::future::FutureExt;
use milvus_difftest::apply::{ApplyError, Sides, apply};
use milvus_difftest::backend::{
    Answer, Backend, BackendError, Change, DuckDb, Selection, Staged, Table,
};
use milvus_difftest::case::Case;
use milvus_difftest::engine::simulated::{Fault, SimulatedMilvus, SimulatedOptions};
use milvus_difftest::filter::Expr;
use milvus_difftest::milvus::{ConnectOptions, Milvus};
use milvus_difftest::value::{Key, Row};
use milvus_difftest::verdict::{Class, Judges, Verdict};
use std::time::Duration;

/// A database that does not answer as it should.
struct Liar {
    database: DuckDb,
    lie: Lie,
}

#[derive(Clone, Copy, PartialEq)]
enum Lie {
    /// Forgets the last match of every query.
    InQueries,
    /// Forgets a row of every scan.
    InScans,
    /// Says of every filter that SQL cannot express it.
    Inexpressible,
    /// Says of every filter that nobody has taught it.
    Unknown,
}

impl Backend for Liar {
    fn name(&self) -> String {
        "a liar".to_owned()
    }

    fn create_table<'a>(&'a mut self, table: &'a Table) -> Answer<'a, ()> {
        self.database.create_table(table)
    }

    fn location(&self) -> Option<String> {
        None
    }

    fn session(&self) -> Result<Box<dyn Backend>, BackendError> {
        self.database.session()
    }

    fn has_table<'a>(&'a mut self, table: &'a Table) -> Answer<'a, bool> {
        self.database.has_table(table)
    }

    fn stage<'a>(
        &'a mut self,
        table: &'a Table,
        change: Change<'a>,
    ) -> Answer<'a, Box<dyn Staged>> {
        self.database.stage(table, change)
    }

    fn query<'a>(&'a mut self, table: &'a Table, filter: &'a Expr) -> Answer<'a, Vec<Key>> {
        let forget = usize::from(self.lie == Lie::InQueries);
        async move {
            match self.lie {
                Lie::Inexpressible => {
                    let (filter, construct) = (filter.to_string(), "anything".to_owned());
                    return Err(BackendError::Inexpressible { filter, construct });
                }
                Lie::Unknown => return Err(BackendError::Lowering(filter.to_string())),
                Lie::InQueries | Lie::InScans => {}
            }
            let mut keys = self.database.query(table, filter).await?;
            keys.truncate(keys.len().saturating_sub(forget));
            Ok(keys)
        }
        .boxed()
    }

    fn select<'a>(
        &'a mut self,
        table: &'a Table,
        selection: Selection<'a>,
    ) -> Answer<'a, Vec<Row>> {
        let forget = usize::from(self.lie == Lie::InScans);
        async move {
            let mut rows = self.database.select(table, selection).await?;
            rows.truncate(rows.len().saturating_sub(forget));
            Ok(rows)
        }
        .boxed()
    }

    fn explain(&self, table: &Table, filter: &Expr) -> Result<String, BackendError> {
        self.database.explain(table, filter)
    }

    fn drop_table<'a>(&'a mut self, table: &'a Table) -> Answer<'a, ()> {
        self.database.drop_table(table)
    }
}

const CASE: &str = r#"{
    "format": "milvus-difftest/case", "version": 1,
    "schema": {"fields": [
        {"name": "id", "type": "INT64", "primary": true},
        {"name": "vec", "type": "FLOAT_VECTOR(2)"}
    ]},
    "operations": [{"insert": [{"id": 1, "vec": [0, 0]}, {"id": 2, "vec": [0, 0]}]}],
    "checks": [{"query": "id > 0"}]
}"#;

async fn judge(lie: Lie, faults: Vec<Fault>) -> Result<Verdict, ApplyError> {
    let liar = Liar { database: DuckDb::in_memory().unwrap(), lie };
    judge_with(&mut [Box::new(liar)], faults).await
}

async fn judge_with(
    backends: &mut [Box<dyn Backend>],
    faults: Vec<Fault>,
) -> Result<Verdict, ApplyError> {
    let (case, _) = Case::from_json(CASE).unwrap();
    let engine = SimulatedMilvus::start(SimulatedOptions { faults, ..Default::default() }).unwrap();
    let deadline = Duration::from_secs(10);
    let options = ConnectOptions { uri: engine.uri(), token: None, deadline };
    let milvus = Milvus::connect(&options).await.unwrap();
    let mut sides = Sides { milvus: &milvus, backends, query_deadline: deadline, engine: None };
    let mut applied = apply(&case, "conflict", &mut sides).await?;
    applied.judge(&case.checks[0]).await
}

async fn conflict(lie: Lie, faults: Vec<Fault>) -> String {
    match judge(lie, faults).await {
        Err(ApplyError::Conflict(conflict)) => conflict.to_string(),
        Err(error) => panic!("{error}"),
        Ok(verdict) => panic!("{verdict:?}"),
    }
}

#[tokio::test]
async fn a_conflict_on_a_query_is_no_divergence() {
    let text = conflict(Lie::InQueries, Vec::new()).await;
    assert_eq!(text, "on `id > 0` the model finds rows 1, 2, a liar row 1");
}

#[tokio::test]
async fn a_conflict_comes_before_a_divergence_of_the_target() {
    // The target agrees with the liar: two against one, and still nobody is blamed.
    let text = conflict(Lie::InQueries, vec![Fault::DropLastMatch]).await;
    assert!(text.contains("a liar"), "{text}");
}

#[tokio::test]
async fn a_conflict_on_stored_rows_is_found_before_the_target_is_asked() {
    let text = conflict(Lie::InScans, Vec::new()).await;
    assert_eq!(text, "a liar does not hold what was written: missing: 2");
}

/// A liar beside one that tells the truth, in this order.
fn beside_an_honest_one(lie: Lie) -> [Box<dyn Backend>; 2] {
    let liar = Liar { database: DuckDb::in_memory().unwrap(), lie };
    [Box::new(liar), Box::new(DuckDb::in_memory().unwrap())]
}

#[tokio::test]
async fn of_several_references_each_is_named_with_what_it_says() {
    let mut backends = beside_an_honest_one(Lie::InQueries);
    let error = judge_with(&mut backends, Vec::new()).await.unwrap_err().to_string();
    let expected = "the references disagree: on `id > 0` the model finds rows 1, 2, a liar row 1, \
                    DuckDB v2.0.0 rows 1, 2";
    assert_eq!(error, expected);
    // In the other order, and though the target agrees with the liar.
    backends = beside_an_honest_one(Lie::InQueries);
    backends.reverse();
    let faults = vec![Fault::DropLastMatch];
    let error = judge_with(&mut backends, faults).await.unwrap_err().to_string();
    assert!(error.ends_with("DuckDB v2.0.0 rows 1, 2, a liar row 1"), "{error}");

    let mut backends = beside_an_honest_one(Lie::InScans);
    let error = judge_with(&mut backends, Vec::new()).await.unwrap_err().to_string();
    assert!(
        error.ends_with("a liar does not hold what was written: missing: 2; DuckDB v2.0.0 does"),
        "{error}"
    );
}

#[tokio::test]
async fn who_cannot_express_a_filter_leaves_it_to_the_others() {
    let mut backends = beside_an_honest_one(Lie::Inexpressible);
    let verdict = judge_with(&mut backends, Vec::new()).await.unwrap();
    assert!(matches!(verdict, Verdict::Pass { judges: Judges::Both, .. }), "{verdict:?}");
}

#[tokio::test]
async fn without_a_database_the_model_judges_alone() {
    let verdict = judge_with(&mut [], vec![Fault::DropLastMatch]).await.unwrap();
    let Verdict::Divergence(divergence) = verdict else { panic!("{verdict:?}") };
    assert_eq!((divergence.class, divergence.judges), (Class::MissingRows, Judges::ModelAlone));
}

#[tokio::test]
async fn what_sql_cannot_express_the_model_judges_alone() {
    let verdict = judge(Lie::Inexpressible, Vec::new()).await.unwrap();
    let Verdict::Pass { matched, judges } = verdict else { panic!("{verdict:?}") };
    assert_eq!((matched, judges), (2, Judges::ModelAlone));
    let verdict = judge(Lie::Inexpressible, vec![Fault::DropLastMatch]).await.unwrap();
    let Verdict::Divergence(divergence) = verdict else { panic!("{verdict:?}") };
    assert_eq!((divergence.class, divergence.judges), (Class::MissingRows, Judges::ModelAlone));
}

#[tokio::test]
async fn what_sql_has_not_been_taught_is_an_error() {
    let error = judge(Lie::Unknown, Vec::new()).await.unwrap_err();
    assert!(matches!(error, ApplyError::Backend(BackendError::Lowering(_))), "{error}");
}
