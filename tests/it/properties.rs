//! Properties of the pieces, on random input and without any Milvus: what is printed parses back,
//! the model and DuckDB agree, shrinking only makes smaller, case files lose nothing.

use std::time::{Duration, Instant};

use milvus_difftest::backend::{Backend, BackendError, DuckDb, Table};
use milvus_difftest::case::{Case, Check, Maintenance, Operation};
use milvus_difftest::filter::{Elements, Expr, Semantics, Truth, evaluate, parse};
use milvus_difftest::generate::case;
use milvus_difftest::milvus::Dialect;
use milvus_difftest::shrink::{Budget, Probe, candidates, shrink, size};
use milvus_difftest::value::Key;
use serde_json::json;

fn cases(seed: u64, count: u64) -> impl Iterator<Item = Case> {
    let dialect = Dialect::load("simulated").expect("a built-in dialect");
    (0..count).map(move |number| case(seed, number, &dialect))
}

#[test]
fn what_is_printed_parses_back() {
    let mut filters = 0;
    for case in cases(1, 60) {
        for filter in case.checks.iter().filter_map(Check::filter) {
            let text = filter.to_string();
            assert_eq!(parse(&text).as_ref(), Ok(filter), "{text}");
            filters += 1;
        }
    }
    assert!(filters > 3000, "{filters}");
}

#[test]
fn generated_cases_are_valid_and_survive_their_files() {
    for case in cases(2, 60) {
        case.validate().unwrap();
        let (read, _) = Case::from_json(&case.to_json(None)).unwrap();
        assert_eq!(read, case);
    }
}

/// Zero false alarms begin here: two independent implementations of the same semantics.
#[tokio::test]
async fn the_model_and_duckdb_agree_on_20_000_filters() {
    const FILTERS: usize = 20_000;
    let semantics = Semantics::canonical();
    let mut backend = DuckDb::in_memory().unwrap();
    let (mut compared, mut undefined, mut selective) = (0, 0, 0);
    let mut all = cases(3, u64::MAX);
    while compared < FILTERS {
        let case = all.next().unwrap();
        let rows = case.rows();
        let table = Table::new(format!("t{compared}"), case.schema.clone());
        backend.create_table(&table).await.unwrap();
        let written: Vec<_> = rows.values().cloned().collect();
        backend.upsert(&table, &written).await.unwrap();
        for check in &case.checks {
            if matches!(check, Check::Refused(_)) {
                continue;
            }
            let Some(filter) = check.filter() else { continue };
            let truths: Result<Vec<(&Key, Truth)>, _> = rows
                .iter()
                .map(|(key, row)| Ok((key, evaluate(filter, &case.schema, row, semantics)?)))
                .collect::<Result<_, milvus_difftest::filter::Undefined>>();
            let Ok(truths) = truths else {
                undefined += 1;
                continue;
            };
            let matching = truths.iter().filter(|(_, truth)| *truth == Truth::True);
            let expected: Vec<Key> = matching.map(|(key, _)| (*key).clone()).collect();
            let answer = match backend.query(&table, filter).await {
                Err(BackendError::Inexpressible { .. }) => continue,
                answer => answer.unwrap(),
            };
            assert_eq!(answer, expected, "{filter}\n{}", case.to_json(None));
            compared += 1;
            selective += usize::from(!expected.is_empty() && expected.len() < rows.len());
        }
        backend.drop_table(&table).await.unwrap();
    }
    // The agreement says something only if the filters do.
    assert!(selective * 3 > compared, "{selective} of {compared} filters are selective");
    assert!(undefined * 20 < compared, "{undefined} of {compared} filters are undefined");
}

#[test]
fn every_reduction_is_smaller_and_valid() {
    for case in cases(4, 4) {
        let before = size(&case);
        for check in case.checks.iter().take(3) {
            let single = Case { checks: vec![check.clone()], ..case.clone() };
            for smaller in candidates(&single) {
                assert!(size(&smaller) < size(&single));
                smaller.validate().unwrap();
            }
        }
        assert_eq!(size(&case), before);
    }
}

/// Diverges as long as the case has a property; counts what it is asked.
struct Property<F> {
    holds: F,
    largest: usize,
}

impl<F: FnMut(&Case) -> bool + Send> Probe for Property<F> {
    type Error = std::convert::Infallible;

    async fn first_diverging(
        &mut self,
        cases: &[Case],
        _until: Instant,
    ) -> Result<(Option<usize>, usize), Self::Error> {
        self.largest = self.largest.max(cases.len());
        let found = cases.iter().position(&mut self.holds);
        Ok((found, found.map_or(cases.len(), |index| index + 1)))
    }
}

#[tokio::test]
async fn shrinking_keeps_the_property_and_ends_in_a_fixpoint() {
    let budget = Budget { evaluations: 20_000, time: Duration::from_secs(60) };
    let mut shrunk_ones = 0;
    for case in cases(5, 40) {
        // Stands for a defect: a row that matches is lost when a null is about.
        let matches = |case: &Case| {
            let Some(filter) = case.checks.first().and_then(Check::filter) else { return false };
            case.rows().values().any(|row| {
                let truth = evaluate(filter, &case.schema, row, Semantics::canonical());
                truth == Ok(Truth::Unknown)
            })
        };
        for check in case.checks.iter().filter(|check| matches!(check, Check::Query(_))).take(4) {
            let single = Case { checks: vec![check.clone()], ..case.clone() };
            if !matches(&single) {
                continue;
            }
            let before = size(&single);
            let mut probe = Property { holds: |case: &Case| matches(case), largest: 0 };
            let shrunk = shrink(single, &[], budget, &mut probe).await.unwrap();
            assert!(shrunk.minimal);
            assert!(matches(&shrunk.case));
            assert!(size(&shrunk.case) <= before);
            assert!(!candidates(&shrunk.case).iter().any(matches), "a step was left");
            // One null in one field under one comparison is all it takes.
            assert_eq!(size(&shrunk.case).rows, 1, "{}", shrunk.case.to_json(None));
            assert!(size(&shrunk.case).nodes <= 4, "{}", shrunk.case.to_json(None));
            shrunk_ones += 1;
        }
    }
    assert!(shrunk_ones > 10, "{shrunk_ones}");
}

/// A row that was written out and deleted comes back, in its old partition, when its key is written
/// into another one: whatever the history in which that is found, it is shrunk to the same.
#[tokio::test]
async fn a_defect_of_partitions_is_shrunk_to_one_history() {
    fn comes_back(case: &Case) -> bool {
        let [check] = case.checks.as_slice() else { return false };
        let [asked] = check.scope().partitions.as_slice() else { return false };
        // How far it has come: written there, written out, deleted, written elsewhere.
        let mut reached = 0;
        for step in &case.operations {
            let there = step.partition().unwrap_or("_default") == asked;
            reached += usize::from(match (reached, step.plain()) {
                (0, Operation::Insert(_)) => there,
                (1, Operation::Maintain(Maintenance::Flush) | Operation::DropPartition(_)) => true,
                (2, Operation::Delete(_)) => true,
                (3, Operation::Insert(_)) => !there,
                _ => false,
            });
        }
        reached == 4
    }
    let row = json!([{"id": 0, "vec": [0.0, 0.0]}]);
    let (insert, delete) = (json!({"insert": row}), json!({"delete": [0]}));
    let into = |name: &str| json!({"into": {"partition": name, "write": insert}});
    let (make, drop) =
        (|name: &str| json!({"create_partition": name}), json!({"drop_partition": "blue"}));
    let histories = [
        (json!([make("red"), into("red"), "flush", delete, insert]), "red"),
        (json!([insert, "flush", delete, make("red"), into("red")]), "_default"),
        (json!([make("blue"), insert, drop, delete, make("red"), into("red")]), "_default"),
        (json!([make("blue"), make("red"), into("red"), drop, delete, insert]), "red"),
    ];
    let mut shrunk = Vec::new();
    for (operations, asked) in histories {
        let file = json!({
            "format": "milvus-difftest/case", "version": 1,
            "schema": {"fields": [
                {"name": "id", "type": "INT64", "primary": true},
                {"name": "vec", "type": "FLOAT_VECTOR(2)"},
            ]},
            "operations": operations,
            "checks": [{"in": {"partitions": [asked], "check": "entities"}}],
        });
        let (case, _) = Case::from_json(&file.to_string()).unwrap();
        let mut probe = Property { holds: comes_back, largest: 0 };
        shrunk.push(shrink(case, &[], Budget::default(), &mut probe).await.unwrap().case);
    }
    assert_eq!(shrunk[0].operations.len(), 5);
    for other in &shrunk {
        assert_eq!(other, &shrunk[0], "{}", other.to_json(None));
    }
}

/// An engine that counts one struct too many, brought down to one struct and one comparison.
#[tokio::test]
async fn what_is_asked_of_structs_is_shrunk() {
    fn miscounted(expr: &Expr) -> Expr {
        let mut expr = expr.clone();
        if let Expr::Elements { elements: Elements::Least(n), .. } = &mut expr {
            *n += 1;
        }
        for child in expr.children_mut() {
            *child = miscounted(child);
        }
        expr
    }
    let differs = |case: &Case| {
        let Some(filter) = case.checks.first().and_then(Check::filter) else { return false };
        let other = miscounted(filter);
        case.rows().values().any(|row| {
            let truth = |filter| evaluate(filter, &case.schema, row, Semantics::canonical());
            matches!((truth(filter), truth(&other)), (Ok(a), Ok(b)) if a != b)
        })
    };
    let budget = Budget { evaluations: 50_000, time: Duration::from_secs(60) };
    let mut shrunk_ones = 0;
    for case in cases(6, 200) {
        for check in case.checks.iter().filter(|check| matches!(check, Check::Query(_))) {
            let single = Case { checks: vec![check.clone()], ..case.clone() };
            if shrunk_ones == 5 || !differs(&single) {
                continue;
            }
            let mut probe = Property { holds: |case: &Case| differs(case), largest: 0 };
            let shrunk = shrink(single, &[], budget, &mut probe).await.unwrap();
            let text = shrunk.case.to_json(None);
            assert!(shrunk.minimal, "{text}");
            assert_eq!(size(&shrunk.case).rows, 1, "{text}");
            let filter = shrunk.case.checks[0].filter().unwrap();
            let Expr::Elements { elements, field, predicate } = filter else { panic!("{text}") };
            assert_eq!(*elements, Elements::Least(1), "{text}");
            assert!(predicate.nodes() <= 3, "{text}");
            let payload: Vec<_> = shrunk.case.schema.payload().collect();
            assert_eq!(payload.iter().map(|f| &f.name).collect::<Vec<_>>(), [field], "{text}");
            assert_eq!(payload[0].members.len(), 1, "{text}");
            // Whatever vectors there were.
            let vectors = shrunk.case.schema.fields.iter().filter(|field| field.is_vector());
            let vectors: Vec<String> = vectors.map(|field| field.data_type.to_string()).collect();
            assert_eq!(vectors, ["FLOAT_VECTOR(2)"], "{text}");
            let structs = shrunk.case.rows().into_values().next().unwrap();
            assert_eq!(structs.get(field).to_json().as_array().unwrap().len(), 1, "{text}");
            shrunk_ones += 1;
        }
    }
    assert_eq!(shrunk_ones, 5);
}
