//! Something fails at every step of every write, and afterwards both sides have all of it or
//! nothing.

use std::time::Duration;

use futures::stream::{self, StreamExt};
use milvus_difftest::backend::{Backend, DuckDb};
use milvus_difftest::client::{ClientError, Settled, Written};
use milvus_difftest::engine::simulated::{Disturbance, SimulatedMilvus, SimulatedOptions};

use super::faulty::{Faulty, How, Plan, Step};
use super::world::{Deed, NAME, assert_whole, client, found};

/// What fails: a call to Milvus, a step of the backend, or both.
#[derive(Debug, Clone, Copy)]
struct Failure {
    call: Option<Disturbance>,
    step: Option<Step>,
}

const CALLS: [Disturbance; 10] = [
    Disturbance::Refused,
    Disturbance::LostBefore,
    Disturbance::LostAfter,
    Disturbance::LostHalfway,
    Disturbance::SilentBefore,
    Disturbance::SilentAfter,
    // After the client has given up, and before it takes it for not written.
    Disturbance::Late(Duration::from_millis(1600)),
    Disturbance::DownBefore,
    Disturbance::DownAfter,
    Disturbance::DownHalfway,
];

async fn try_it(
    deed: Deed,
    failure: Failure,
    backend: Box<dyn Backend>,
) -> Result<Written, ClientError> {
    let what = format!("{deed:?} with {failure:?}");
    let engine = SimulatedMilvus::start(SimulatedOptions::default()).unwrap();
    let plan = Plan::default();
    let backend = Box::new(Faulty { inner: backend, plan: plan.clone() });
    let client = client(&engine.uri(), backend, deed).await;
    found(&client, deed).await;

    if let Some(call) = failure.call {
        engine.disturb(deed.call(), call);
    }
    if let Some(step) = failure.step {
        plan.set(step, How::Error);
    }
    let outcome = deed.perform(&client).await;
    let reached_milvus = failure.step != Some(Step::Note);
    assert_eq!(engine.disturbances_left() == 0, reached_milvus || failure.call.is_none(), "{what}");
    assert!(!plan.is_pending() || failure.call.is_some(), "{what}: the step was not reached");
    plan.clear();
    if let Err(ClientError::InDoubt { .. }) = outcome {
        let doubts = client.in_doubt();
        assert_eq!(doubts.len(), 1, "{what}: {doubts:?}");
        let call = failure.call.unwrap();
        if matches!(
            call,
            Disturbance::DownBefore | Disturbance::DownAfter | Disturbance::DownHalfway
        ) {
            // It takes no writes meanwhile, and says so.
            let refused = deed.perform(&client).await;
            assert!(matches!(refused, Err(ClientError::InDoubt { .. })), "{what}: {refused:?}");
            engine.revive();
        }
        client.settle(NAME).await.unwrap();
        let (before, after) = deed.account();
        // A delete whose rows cannot be given back is repeated.
        let expected = if deed == Deed::DeleteAssigned { after } else { before };
        assert_eq!(super::world::in_backend(&what, &client).await, expected, "{what}");
        assert_eq!(super::world::in_milvus(&engine.uri(), deed).await, expected, "{what}");
        assert_eq!(client.in_doubt(), [], "{what}");
    } else {
        assert_whole(&what, &engine.uri(), &client, deed, &outcome).await;
    }
    // It goes on as if nothing had been.
    let again = match (&outcome, deed) {
        (Ok(_), Deed::Insert) => {
            let again = deed.perform(&client).await;
            assert!(matches!(again, Err(ClientError::Exists { .. })), "{what}: {again:?}");
            Ok(())
        }
        (Ok(_), Deed::InsertAssigned) => Ok(()),
        _ => deed.perform(&client).await.map(drop),
    };
    again.unwrap_or_else(|error| panic!("{what}: afterwards {error}"));
    let account = deed.account().1;
    assert_eq!(super::world::in_backend(&what, &client).await, account, "{what}, afterwards");
    client.drop_collection(NAME).await.unwrap();
    client.close().await;
    outcome
}

type Tried = Vec<(Deed, Failure, Result<Written, ClientError>)>;

/// Every deed with every failure, each with a DuckDB in a file: one in memory keeps no notes.
async fn try_all(failures: &[Failure]) -> Tried {
    let cases = Deed::ALL.into_iter().flat_map(|deed| failures.iter().map(move |f| (deed, *f)));
    let tried = stream::iter(cases).map(|(deed, failure)| async move {
        let folder = tempfile::tempdir().unwrap();
        let file = DuckDb::open(&folder.path().join("reference.duckdb")).unwrap();
        (deed, failure, try_it(deed, failure, Box::new(file)).await)
    });
    tried.buffer_unordered(6).collect().await
}

fn calls() -> Vec<Failure> {
    CALLS.map(|call| Failure { call: Some(call), step: None }).to_vec()
}

fn steps() -> Vec<Failure> {
    Step::ALL.map(|step| Failure { call: None, step: Some(step) }).to_vec()
}

fn both() -> Vec<Failure> {
    let calls = [Disturbance::Refused, Disturbance::LostAfter, Disturbance::LostHalfway];
    let failures = calls.map(|call| {
        [Step::StageBefore, Step::CommitBefore]
            .map(|step| Failure { call: Some(call), step: Some(step) })
    });
    failures.as_flattened().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn milvus_fails_at_every_step() {
    let tried = try_all(&calls()).await;
    assert_eq!(tried.len(), 80);
    assert_right(tried);
}

/// Whether each outcome is the one that the failure must have.
fn assert_right(tried: Tried) {
    use Disturbance as D;
    for (deed, Failure { call, step }, outcome) in tried {
        let read_back = matches!(&outcome, Ok(Written { settled: Settled::ReadBack(_), .. }));
        let not_written = matches!(&outcome, Err(ClientError::NotWritten(_)));
        // Rows whose keys the engine has assigned cannot be recognised, and are not kept. Deleted
        // ones cannot be given back, and are deleted all the same.
        let (blind, forward) = (deed == Deed::InsertAssigned, deed == Deed::DeleteAssigned);
        let right = match (call, step) {
            (Some(D::Refused), _) => matches!(&outcome, Err(ClientError::Refused(_))),
            (Some(D::LostAfter | D::SilentAfter | D::Late(_)), None) => {
                if blind {
                    not_written
                } else {
                    read_back
                }
            }
            (Some(D::LostBefore | D::LostHalfway | D::SilentBefore), None) => {
                if forward {
                    read_back
                } else {
                    not_written
                }
            }
            (Some(D::DownBefore | D::DownAfter | D::DownHalfway), None) => {
                matches!(&outcome, Err(ClientError::InDoubt { .. }))
            }
            // It had come through.
            (None, Some(Step::CommitAfter)) => read_back,
            (None, Some(Step::Note)) => matches!(&outcome, Err(ClientError::Backend(_))),
            (None, Some(_)) if forward => read_back,
            (None, Some(_)) => matches!(&outcome, Err(ClientError::Backend(_))),
            // Whatever comes of it: that it is whole was looked at.
            _ => true,
        };
        assert!(right, "{deed:?} with {call:?} and {step:?}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backend_fails_at_every_step() {
    let tried = try_all(&steps()).await;
    assert_eq!(tried.len(), 40);
    assert_right(tried);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_fail_at_once() {
    let tried = try_all(&both()).await;
    assert_eq!(tried.len(), 48);
}

/// The same on ClickHouse, where a staged change is a table and not a transaction.
#[tokio::test(flavor = "multi_thread")]
async fn with_clickhouse_everything_fails_at_every_step() {
    let server = &super::world::clickhouse().await;
    let failures = [calls(), steps(), both()].concat();
    let cases = Deed::ALL.into_iter().flat_map(|deed| failures.iter().map(move |f| (deed, *f)));
    let tried = stream::iter(cases.enumerate()).map(|(number, (deed, failure))| async move {
        let backend = super::world::database(server, &format!("case_{number}")).await;
        (deed, failure, try_it(deed, failure, backend).await)
    });
    let mut tried: Tried = tried.buffer_unordered(6).collect().await;
    assert_eq!(tried.len(), 168);
    tried.retain(|(_, failure, _)| failure.call.is_none() || failure.step.is_none());
    assert_eq!(tried.len(), 120);
    assert_right(tried);
}
