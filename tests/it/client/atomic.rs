//! Something fails at every step of every write, and afterwards both sides have all of it or
//! nothing.

use std::time::Duration;

use futures::stream::{self, StreamExt};
use milvus_difftest::client::{ClientError, Settled, Written};
use milvus_difftest::engine::simulated::{Disturbance, SimulatedMilvus, SimulatedOptions};

use super::faulty::{Faulty, How, Plan, Step};
use super::world::{Deed, assert_whole, client, found};

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
    Disturbance::Late(Duration::from_millis(480)),
    Disturbance::DownBefore,
    Disturbance::DownAfter,
    Disturbance::DownHalfway,
];

async fn try_it(deed: Deed, failure: Failure) -> Result<Written, ClientError> {
    let what = format!("{deed:?} with {failure:?}");
    let engine = SimulatedMilvus::start(SimulatedOptions::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan::default();
    let backend = Faulty::open(&folder.path().join("reference.duckdb"), &plan);
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
        // It takes no writes meanwhile, and says so.
        let refused = deed.perform(&client).await;
        assert!(matches!(refused, Err(ClientError::InDoubt { .. })), "{what}: {refused:?}");
        engine.revive();
        client.settle(super::world::NAME).await.unwrap();
        let (before, after) = deed.account();
        // A delete whose rows cannot be given back is repeated.
        let expected = if deed == Deed::DeleteAssigned { after } else { before };
        assert_eq!(super::world::in_backend(&client).await, expected, "{what}");
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
    assert_eq!(super::world::in_backend(&client).await, account, "{what}, afterwards");
    client.close().await;
    outcome
}

async fn try_all(failures: &[Failure]) -> Vec<(Deed, Failure, Result<Written, ClientError>)> {
    let cases = Deed::ALL.into_iter().flat_map(|deed| failures.iter().map(move |f| (deed, *f)));
    let tried = stream::iter(cases)
        .map(|(deed, failure)| async move { (deed, failure, try_it(deed, failure).await) });
    tried.buffer_unordered(6).collect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn milvus_fails_at_every_step() {
    let failures = CALLS.map(|call| Failure { call: Some(call), step: None });
    let tried = try_all(&failures).await;
    assert_eq!(tried.len(), 70);
    for (deed, failure, outcome) in tried {
        let what = format!("{deed:?} with {failure:?}: {outcome:?}");
        match (failure.call.unwrap(), outcome) {
            (Disturbance::Refused, Err(ClientError::Refused(_))) => {}
            // The client read back that it was done.
            (
                Disturbance::LostAfter | Disturbance::SilentAfter | Disturbance::Late(_),
                Ok(Written { settled: Settled::ReadBack(_), .. }),
            ) if deed != Deed::InsertAssigned => {}
            (
                Disturbance::LostBefore | Disturbance::LostHalfway | Disturbance::SilentBefore,
                Err(ClientError::NotWritten(_)),
            ) => {}
            // Of rows whose keys nobody knows, none are kept; of those that are to be deleted and
            // cannot be given back, none.
            (
                Disturbance::LostAfter | Disturbance::SilentAfter | Disturbance::Late(_),
                Err(ClientError::NotWritten(_)),
            ) if deed == Deed::InsertAssigned => {}
            (
                Disturbance::LostBefore | Disturbance::LostHalfway | Disturbance::SilentBefore,
                Ok(_),
            ) if deed == Deed::DeleteAssigned => {}
            (
                Disturbance::DownBefore | Disturbance::DownAfter | Disturbance::DownHalfway,
                Err(ClientError::InDoubt { .. }),
            ) => {}
            _ => panic!("{what}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backend_fails_at_every_step() {
    let failures = Step::ALL.map(|step| Failure { call: None, step: Some(step) });
    let tried = try_all(&failures).await;
    assert_eq!(tried.len(), 35);
    for (deed, failure, outcome) in tried {
        let what = format!("{deed:?} with {failure:?}: {outcome:?}");
        match (failure.step.unwrap(), outcome) {
            // It had come through.
            (Step::CommitAfter, Ok(Written { settled: Settled::ReadBack(_), .. })) => {}
            (_, Err(ClientError::Backend(_))) => {}
            // What cannot be given back is deleted all the same.
            (_, Ok(Written { settled: Settled::ReadBack(_), .. }))
                if deed == Deed::DeleteAssigned => {}
            _ => panic!("{what}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_fail_at_once() {
    let calls = [Disturbance::Refused, Disturbance::LostAfter, Disturbance::LostHalfway];
    let failures = calls.map(|call| {
        [Step::StageBefore, Step::CommitBefore]
            .map(|step| Failure { call: Some(call), step: Some(step) })
    });
    let tried = try_all(failures.as_flattened()).await;
    assert_eq!(tried.len(), 42);
}
