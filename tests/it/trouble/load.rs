//! Collections that cannot be loaded again after a step that releases them: the step is what is
//! wrong then, never the questions after it.

use std::time::Duration;

use milvus_difftest::apply::{Carried, Sides, apply};
use milvus_difftest::case::Case;
use milvus_difftest::engine::simulated::{Disturbance, Fault, SimulatedMilvus, SimulatedOptions};
use milvus_difftest::milvus::{ConnectOptions, Milvus};
use milvus_difftest::verdict::{Class, Doubt, Expected, Verdict};
use serde_json::{Value as Json, json};

/// What this check comes to after a history that ends with the step, if there is one: the verdict,
/// and what became of the step.
async fn after(
    engine: &SimulatedMilvus,
    step: Option<Json>,
    check: Json,
) -> (Verdict, Option<Carried>) {
    let mut operations = vec![json!({"insert": [{"id": 1, "n": 5, "vec": [0.5, 1.0]}]})];
    operations.extend(step.map(|step| json!({"maintain": step})));
    let file = json!({
        "format": "milvus-difftest/case",
        "version": 1,
        "schema": {
            "fields": [
                {"name": "id", "type": "INT64", "primary": true},
                {"name": "n", "type": "INT8"},
                {"name": "vec", "type": "FLOAT_VECTOR(2)"},
            ],
        },
        "operations": operations,
        "checks": [check],
    });
    let (case, _) = Case::from_json(&file.to_string()).expect("it is a case");
    let deadline = Duration::from_secs(10);
    let options = ConnectOptions { uri: engine.uri(), token: None, deadline };
    let milvus = Milvus::connect(&options).await.expect("it answers");
    let mut sides =
        Sides { milvus: &milvus, backends: &mut [], query_deadline: deadline, engine: None };
    let mut applied = apply(&case, "loaded", &mut sides).await.expect("it can be judged");
    let verdict = applied.judge(&case.checks[0]).await.expect("it can be judged");
    let carried = applied.steps().values().next().cloned();
    applied.close().await.expect("there are no databases");
    (verdict, carried)
}

/// As Milvus Lite 3.2.2 refuses to load now and then (`No data left in file`).
#[tokio::test]
async fn a_load_that_is_refused_once_is_asked_for_again() {
    for step in [
        json!("reload"),
        json!({"drop_index": {"field": "n"}}),
        json!({"rebuild": {"field": "vec", "kind": "IVF_FLAT"}}),
    ] {
        let engine = SimulatedMilvus::start(SimulatedOptions::default()).expect("it starts");
        // That of the creation is answered.
        engine.disturb("LoadCollection", Disturbance::Nothing);
        engine.disturb("LoadCollection", Disturbance::Refused);
        let (verdict, carried) =
            after(&engine, Some(step.clone()), json!({"query": "n == 5"})).await;
        assert_eq!(engine.disturbances_left(), 0, "{step}");
        assert!(matches!(verdict, Verdict::Pass { .. }), "{step}: {verdict:?}");
        let carried = carried.expect("it is counted");
        let reasons: Vec<&str> = carried.unproven.keys().map(String::as_str).collect();
        assert_eq!((carried.done, reasons), (0, vec!["refused on purpose"]), "{step}");
    }
}

/// The comparison of before and after proves nothing then, and leaves a collection that answers.
#[tokio::test]
async fn what_is_asked_around_such_a_step_is_inconclusive() {
    let engine = SimulatedMilvus::start(SimulatedOptions::default()).expect("it starts");
    engine.disturb("LoadCollection", Disturbance::Nothing);
    engine.disturb("LoadCollection", Disturbance::Refused);
    let check = json!({"agree": {"relation": {"after": "reload"}, "filter": "n == 5"}});
    let (verdict, carried) = after(&engine, None, check).await;
    assert_eq!((engine.disturbances_left(), carried), (0, None));
    let Verdict::Inconclusive(Doubt::Unproven(why)) = verdict else { panic!("{verdict:?}") };
    assert_eq!(why, "the target refuses to release and load: refused on purpose");
}

/// No query is blamed, however many are asked.
#[tokio::test]
async fn a_load_that_is_refused_for_good_is_what_diverges() {
    let questions =
        [json!({"query": "n == 5"}), json!("entities"), json!({"count": "n == 5 or id in [2]"})];
    let around = json!({"agree": {"relation": {"after": "reload"}, "filter": "n == 5"}});
    let asked = questions.map(|check| (Some(json!("reload")), check)).into_iter();
    for (step, check) in asked.chain([(None, around)]) {
        let faults = vec![Fault::ReleasedForGood];
        let options = SimulatedOptions { faults, ..SimulatedOptions::default() };
        let engine = SimulatedMilvus::start(options).expect("it starts");
        let (verdict, _) = after(&engine, step, check.clone()).await;
        let Verdict::Divergence(divergence) = verdict else { panic!("{check}: {verdict:?}") };
        assert_eq!(divergence.class, Class::WronglyRejected, "{check}");
        assert!(matches!(divergence.expected, Expected::CarriedOut), "{check}: {divergence:?}");
        let actual = divergence.actual.to_string();
        let expected = "milvus rejected load: the file of an index is empty (code 700)";
        assert_eq!(actual, expected, "{check}");
    }
}
