//! Tests on simulated engines.

use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::builder::Aim;
use super::plan::Plan;
use super::*;
use crate::campaign::Outcome;
use crate::case::{Case, Check, Found, Operation};
use crate::engine::simulated::{Fault, SimulatedOptions};
use crate::filter::grammar::{Construct, cells};
use crate::filter::{Filter, Switch};
use crate::generate::{Options, case_with};
use crate::milvus::Dialect;
use crate::schema::Schema;
use crate::value::{Row, Value};

fn schema() -> Schema {
    serde_json::from_value(json!({"dynamic": true, "fields": [
        {"name": "id", "type": "INT64", "primary": true},
        {"name": "name", "type": "VARCHAR", "max_length": 40},
        {"name": "price", "type": "DOUBLE", "nullable": true},
        {"name": "vec", "type": "FLOAT_VECTOR(2)"},
    ]}))
    .unwrap()
}

fn test(folder: &TempDir, faults: &[Fault]) -> DiffTest {
    let options = SimulatedOptions { faults: faults.to_vec(), ..SimulatedOptions::default() };
    DiffTest::new("products", schema())
        .simulated(options)
        .cases(4)
        .filters(30)
        .seed(1)
        .regressions(folder.path())
}

/// What a test asks for where these variables are set.
fn plan(test: DiffTest, variables: &[(&str, &str)]) -> Result<Plan, DiffTestError> {
    let found = |name: &str| variables.iter().find(|(variable, _)| *variable == name);
    Plan::of(test, &|name| found(name).map(|(_, value)| (*value).to_owned()))
}

/// Runs it in an environment without variables.
async fn run(test: DiffTest) -> Result<Report, DiffTestError> {
    plan(test, &[])?.run().await
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// The cases that a test would ask an engine that has everything.
fn generated(test: DiffTest, cases: u64) -> Vec<Case> {
    let Plan { generation, seed, .. } = plan(test, &[]).unwrap();
    let dialect = Dialect::everything();
    (0..cases).map(|number| case_with(seed, number, &dialect, &generation).unwrap()).collect()
}

fn filters(cases: &[Case]) -> impl Iterator<Item = &Filter> {
    cases.iter().flat_map(|case| &case.checks).filter_map(Check::spelled)
}

#[tokio::test]
async fn an_engine_without_a_fault_passes() {
    let folder = tempfile::tempdir().unwrap();
    let report = run(test(&folder, &[])).await.unwrap();
    assert_eq!((report.summary.cases, report.summary.seed), (4, 1));
    assert!(report.summary.verdicts.pass > 60, "{report}");
    assert!(report.to_string().contains("seed 1: 4 cases, "), "{report}");
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_finding_is_kept_and_asked_first_until_it_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let fault = Fault::Turned(Switch::NotUnknownIsTrue);
    let error = run(test(&folder, &[fault])).await.unwrap_err();
    let text = error.to_string();
    let DiffTestError::Found { findings, .. } = error else { panic!("{text}") };
    let Finding { finding, kept } = &findings[0];
    let kept = kept.as_ref().unwrap();
    assert!(kept.starts_with(folder.path().join("products")), "{}", kept.display());
    let (case, found) = Case::load(&kept.join("case.json")).unwrap();
    assert_eq!(case, finding.case);
    assert!(matches!(found, Some(Found { seed: Some(1), .. })));
    assert_eq!((finding.rows(), case.checks.len()), (1, 1), "it is shrunk");
    for part in [
        "difftest 'products' found ExtraRows: `",
        "schema    id INT64 primary key",
        "price",
        "insert    {\"id\":0",
        "query     ",
        "expected  no row",
        "got       row 0 (extra: 0)",
        "from      seed 1, case ",
        &kept.display().to_string(),
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }

    // With no new cases at all: it is the old ones that fail.
    let again = run(test(&folder, &[fault]).cases(0)).await.unwrap_err();
    let text = again.to_string();
    let DiffTestError::Regressed { failing, .. } = again else { panic!("{text}") };
    assert_eq!(failing.len(), findings.len());
    assert!(failing.iter().any(|it| it.path == kept.join("case.json") && it.case == case));
    assert!(text.contains(" failed before still do"), "{text}");
    assert!(text.contains("got       row 0 (extra: 0)"), "{text}");

    let report = run(test(&folder, &[])).await.unwrap();
    assert_eq!(report.regressions.len(), findings.len());
    assert!(report.regressions.iter().all(|it| matches!(it.outcome, Outcome::Pass)));
    assert!(report.to_string().contains(" replayed"), "{report}");
    assert!(files(folder.path()).contains(&kept.join("case.json")), "it is still kept");
}

#[tokio::test]
async fn a_kept_case_that_cannot_be_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("products/broken");
    std::fs::create_dir_all(&kept).unwrap();
    std::fs::write(kept.join("case.json"), "{").unwrap();
    let error = run(test(&folder, &[])).await.unwrap_err().to_string();
    assert!(error.contains("broken/case.json is not a usable case"), "{error}");
}

#[tokio::test]
async fn what_proves_nothing_fails() {
    let folder = tempfile::tempdir().unwrap();
    let error = run(test(&folder, &[]).cases(0)).await.unwrap_err().to_string();
    assert!(error.contains("no check was made"), "{error}");
    // Reading all rows is not what was asked for.
    let everything = Construct::ALL.iter().map(|construct| construct.name());
    let nothing = everything.fold(test(&folder, &[]).cases(1), |test, name| test.weight(name, 0.0));
    let error = run(nothing).await.unwrap_err().to_string();
    assert!(error.contains("no filter was judged"), "{error}");
    // What was asked for is no filter.
    run(test(&folder, &[]).cases(1).filters(0)).await.unwrap();
}

#[tokio::test]
async fn the_panic_says_where_the_test_is() {
    let run = tokio::spawn(DiffTest::new("no/name", schema()).run());
    let panic = run.await.unwrap_err().into_panic();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("tests.rs:") && text.contains("'no/name' cannot be"), "{text}");
}

#[tokio::test]
async fn rows_come_from_the_users_strategy() {
    let own = (0..40i64, "(red|green) shoe").prop_map(|(id, name)| {
        let row = json!({"id": id, "name": name, "price": 9.5, "vec": [0, 1]});
        Row::from_json(&schema(), &row).unwrap()
    });
    let folder = tempfile::tempdir().unwrap();
    let cases = generated(test(&folder, &[]).rows(own.clone()), 20);
    let mut rewritten = 0;
    for operation in cases.iter().flat_map(|case| &case.operations) {
        rewritten += usize::from(matches!(operation, Operation::Upsert(_)));
        if let Operation::Insert(rows) | Operation::Upsert(rows) = operation {
            for row in rows {
                assert_eq!(*row.get("price"), Value::Double(9.5));
                assert!(matches!(row.get("name"), Value::Text(it) if it.ends_with(" shoe")));
            }
        }
    }
    assert!(rewritten > 0);
    let literals = filters(&cases).filter(|filter| filter.to_string().contains("green shoe"));
    assert!(literals.count() > 0, "filters are made of the rows' values");
    run(test(&folder, &[]).rows(own)).await.unwrap();
}

#[tokio::test]
async fn rows_that_do_not_fit_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let row = |name: &str, value: Value| {
        let json = json!({"id": 1, "name": "a", "vec": [0, 1]});
        let mut row = Row::from_json(&schema(), &json).unwrap();
        row.fields.insert(name.to_owned(), value);
        row
    };
    for (wrong, reason) in [
        (row("name", Value::Text("x".repeat(41))), "name"),
        (row("colour", Value::Bool(true)), "not in the schema"),
        (row("id", Value::Null), "id"),
    ] {
        let test = test(&folder, &[]).rows(Just(wrong));
        let error = run(test).await.unwrap_err().to_string();
        assert!(error.contains("came to no result"), "{error}");
        assert!(error.contains(reason), "{error}");
    }
    let none = Just(row("id", Value::Int(1))).prop_filter("none will do", |_| false);
    let error = run(test(&folder, &[]).rows(none)).await.unwrap_err().to_string();
    assert!(error.contains("rejects nearly all"), "{error}");
}

#[test]
fn weights_are_honoured() {
    let folder = tempfile::tempdir().unwrap();
    let likes = |test: DiffTest| {
        let cases = generated(test.filters(60), 20);
        let has = |filter: &&Filter| {
            let cells = cells(&schema(), filter);
            cells.iter().any(|cell| cell.construct.name().starts_with("like"))
        };
        (filters(&cases).filter(has).count(), filters(&cases).count())
    };
    let (otherwise, all) = likes(test(&folder, &[]));
    // Some searches have no filter.
    assert!((1100..=1200).contains(&all), "{all}");
    assert!(otherwise > 60, "{otherwise}");
    let (rarely, _) = likes(test(&folder, &[]).weight("like", 0.2));
    assert!(0 < rarely && rarely < otherwise / 2, "{rarely} of {otherwise}");
    let (never, all) = likes(test(&folder, &[]).weight("like", 0.0));
    assert!(never == 0 && all > 1100, "{never} of {all}");
    // 1 changes nothing, not even which cases there are.
    let one = generated(test(&folder, &[]).weight("like", 1.0), 3);
    assert_eq!(one, generated(test(&folder, &[]), 3));
}

#[test]
fn every_case_has_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    let cases = generated(test(&folder, &[]), 5);
    assert!(cases.iter().all(|case| case.schema == schema()));
    for case in &cases {
        case.validate().unwrap();
    }
    assert_ne!(cases[0], cases[1]);
    let options = Options { schema: None, ..Options::default() };
    let any = case_with(1, 0, &Dialect::everything(), &options).unwrap();
    assert_eq!(any, crate::generate::case(1, 0, &Dialect::everything()));
}

#[test]
fn what_cannot_be_meant_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error =
        |test: DiffTest, variables: &[(&str, &str)]| plan(test, variables).unwrap_err().to_string();
    let test = || test(&folder, &[]);
    let text = error(test().weight("modulos", 0.5), &[]);
    assert_eq!(
        text,
        "difftest 'products': there is no construct 'modulos'; did you mean 'modulo'?"
    );
    assert!(error(test().weight("like", 1.5), &[]).contains("not within 0 and 1: 1.5"));
    assert!(error(test().weight("like", f64::NAN), &[]).contains("not within 0 and 1"));
    for name in ["", "..", "a/b", "a b"] {
        assert!(error(DiffTest::new(name, schema()), &[]).contains("cannot be the name"));
    }
    let mut twice = schema();
    twice.fields.push(twice.fields[1].clone());
    assert!(error(DiffTest::new("twice", twice), &[]).contains("declares 'name' twice"));
    for (variable, value) in [
        ("MILVUS_DIFFTEST_CASES", "many"),
        ("MILVUS_DIFFTEST_SEED", "-1"),
        ("MILVUS_DIFFTEST_TIME", "soon"),
        ("MILVUS_DIFFTEST_FILTERS", "1.5"),
    ] {
        let text = error(test(), &[(variable, value)]);
        assert!(text.contains(variable) && text.contains(value), "{text}");
    }
    let bare = || DiffTest::new("bare", schema());
    let two = [("MILVUS_DIFFTEST_ENGINE", "milvus-2.3.5"), ("MILVUS_DIFFTEST_TARGET", "http://x")];
    assert!(error(bare(), &two).contains("as well"));
    assert!(error(bare(), &[("MILVUS_DIFFTEST_ENGINE", "a,b")]).contains("several"));
}

#[test]
fn the_environment_says_how_long_and_the_code_what() {
    let bare = || DiffTest::new("bare", schema());
    let budget = |test: DiffTest, variables: &[(&str, &str)]| {
        let plan = plan(test, variables).unwrap();
        (plan.cases, plan.time.map(|time| time.as_secs()))
    };
    let minute = Duration::from_secs(60);
    assert_eq!(budget(bare(), &[]), (Some(10), None));
    assert_eq!(budget(bare().time(minute), &[]), (None, Some(60)));
    assert_eq!(budget(bare().time(minute).cases(3), &[]), (Some(3), Some(60)));
    assert_eq!(budget(bare().cases(3), &[("MILVUS_DIFFTEST_TIME", "1h")]), (None, Some(3600)));
    assert_eq!(budget(bare().time(minute), &[("MILVUS_DIFFTEST_CASES", "5")]), (Some(5), None));
    assert_eq!(budget(bare(), &[("MILVUS_DIFFTEST_CASES", "")]), (Some(10), None));
    let set = [
        ("MILVUS_DIFFTEST_SEED", "9"),
        ("MILVUS_DIFFTEST_FILTERS", "2"),
        ("MILVUS_DIFFTEST_ENGINE", "milvus-2.3.5"),
        ("CARGO_MANIFEST_DIR", "/project"),
    ];
    let plan = plan(bare().seed(1).filters(1), &set).unwrap();
    assert_eq!((plan.seed, plan.generation.filters), (9, 2));
    assert!(matches!(plan.aim, Some(Aim::Engine(name)) if name == "milvus-2.3.5"));
    assert_eq!(plan.folder, Path::new("/project/difftest-regressions/bare"));
    let named = self::plan(bare().target("http://here"), &set).unwrap();
    assert!(matches!(named.aim, Some(Aim::Uri(uri)) if uri == "http://here"));
}
