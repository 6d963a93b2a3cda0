//! Runs made by hand, with everything in them that is hard to write down.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use milvus_difftest::apply::{Carried, Steps};
use milvus_difftest::campaign::{Event, Kind};
use milvus_difftest::case::Case;
use milvus_difftest::compare::Diff;
use milvus_difftest::filter::Filter;
use milvus_difftest::filter::grammar::{Cell, cells};
use milvus_difftest::finding::Finding;
use milvus_difftest::oracle::Oracle;
use milvus_difftest::report::events::Record;
use milvus_difftest::report::run::Run;
use milvus_difftest::triage::shape;
use milvus_difftest::value::{Key, Row, Value};
use milvus_difftest::verdict::{Actual, Class, Divergence, Doubt, Expected, Judges};
use serde_json::{Value as Json, json};

/// Records as they come, on any engine.
#[derive(Default)]
pub struct Recorder {
    seconds: f64,
    pub records: Vec<Record>,
}

impl Recorder {
    fn event(&mut self, target: &str, event: Event) {
        let folder = match &event {
            Event::Found(finding) => {
                let number = finding.number.expect("a case of the run");
                Some(PathBuf::from(format!("runs/1/{target}/{number}")))
            }
            _ => None,
        };
        let target = target.to_owned();
        self.records.push(Record { seconds: self.seconds, target, event, folder });
    }

    fn start(&mut self, target: &str, engine: &str, dialect: &str) {
        let (engine, backend) = (engine.to_owned(), "DuckDB v2.0.0".to_owned());
        let cells = touched(&ASKED).into_keys().chain(touched(&NEVER).into_keys()).collect();
        let dialect = dialect.to_owned();
        self.event(target, Event::Started { seed: 1, engine, backend, dialect, cells, jobs: 2 });
    }

    fn checks(&mut self, target: &str, count: u64, oracle: Oracle, kind: Kind) {
        for i in 0..count {
            self.seconds += 0.02;
            let doubt = (kind == Kind::Inconclusive)
                .then(|| Doubt::Undefined("integer arithmetic overflows".to_owned()));
            let class = (kind == Kind::Divergence).then_some(Class::ExtraRows);
            let known = match kind {
                Kind::Known => vec!["`not` of a null is true, <b>or</b> *so*".to_owned()],
                _ => Vec::new(),
            };
            let selective = Some(i % 3 > 0);
            let event = Event::Checked {
                case: i,
                oracle,
                kind,
                doubt,
                selective,
                class,
                model_alone: false,
                known,
            };
            self.event(target, event);
        }
    }

    fn finish(&mut self, target: &str, interrupted: bool, error: Option<&str>) {
        let elapsed = Duration::from_secs_f64(self.seconds);
        let error = error.map(str::to_owned);
        self.event(target, Event::Finished { elapsed, interrupted, error });
    }
}

fn case(schema: Json, rows: Json, checks: Json) -> Case {
    let file = json!({
        "format": "milvus-difftest/case", "version": 1,
        "schema": schema, "operations": [{"insert": rows}, "flush"], "checks": checks,
    });
    Case::from_json(&file.to_string()).expect("a case").0
}

fn finding(number: u64, oracle: Oracle, case: Case, divergence: Divergence) -> Event {
    let shape = shape(&case, &divergence);
    Event::Found(Box::new(Finding {
        seen_as: shape.clone(),
        shape,
        oracle,
        case,
        divergence,
        sql: Some("\"n\" NOT IN (0) AND 1 < 2".to_owned()),
        engine: "milvus_lite-3.2.2".to_owned(),
        backend: "DuckDB v2.0.0".to_owned(),
        count: 1,
        minimal: number.is_multiple_of(2),
        evaluations: 23,
        seconds_to_first: 0.5,
        seed: Some(1),
        number: Some(number),
    }))
}

fn differs(case: &Case, class: Class, expected: &[Key], answer: &[Row]) -> Divergence {
    let rows = case.rows();
    let wanted: BTreeMap<Key, &Row> =
        expected.iter().map(|key| (key.clone(), &rows[key])).collect();
    let diff = Diff::rows(&case.schema, &wanted, answer);
    let keys = answer.iter().filter_map(|row| row.key(&case.schema)).collect();
    Divergence {
        class,
        expected: Expected::Rows(expected.to_vec()),
        actual: Actual::Differs { keys, diff },
        judges: Judges::Both,
    }
}

fn extra_rows() -> Event {
    let case = case(
        json!({"fields": [
            {"name": "id", "type": "INT64", "primary": true},
            {"name": "n", "type": "INT32", "nullable": true},
            {"name": "vec", "type": "FLOAT_VECTOR(2)"},
        ]}),
        json!([{"id": 0, "n": null, "vec": [0.0, 0.0]}, {"id": 1, "n": 7, "vec": [0.0, 0.0]}]),
        json!([{"query": "not (n in [0]) and id >= 0"}]),
    );
    let answer: Vec<Row> = case.rows().into_values().collect();
    let divergence = differs(&case, Class::ExtraRows, &[Key::Int(1)], &answer);
    finding(2, Oracle::Reference, case, divergence)
}

/// Markup, long words and invisible characters in names, values and keys.
fn wrong_value() -> Event {
    let hostile = "</script><img src=x onerror=alert(1)>\u{1b}[31m ]]> & \u{0} `|` %0A::error::x";
    let long = "long".repeat(60);
    let case = case(
        json!({"dynamic": true, "fields": [
            {"name": "key", "type": "VARCHAR", "primary": true, "max_length": 500},
            {"name": "a_field_with_a_name_that_is_longer_than_most_of_them", "type": "JSON"},
            {"name": "score", "type": "DOUBLE", "nullable": true},
            {"name": "vec", "type": "FLOAT_VECTOR(2)"},
        ]}),
        json!([
            {"key": hostile, "a_field_with_a_name_that_is_longer_than_most_of_them": {"k": long},
             "score": 0.1, "vec": [0.5, 0.0], "$meta": {"<b>": hostile}},
            {"key": "b", "a_field_with_a_name_that_is_longer_than_most_of_them": [1, 2],
             "score": null, "vec": [0.0, 0.25]},
        ]),
        json!([{"query": "key != \"<i>|`\""}]),
    );
    let mut answer: Vec<Row> = case.rows().into_values().collect();
    for row in &mut answer {
        row.fields.insert("score".to_owned(), Value::Double(-0.5));
        row.fields.insert("vec".to_owned(), Value::Vector(vec![1.0, 1.0]));
        row.dynamic.clear();
    }
    let keys: Vec<Key> = case.rows().into_keys().collect();
    let divergence = differs(&case, Class::WrongValue, &keys, &answer);
    finding(4, Oracle::Projection, case, divergence)
}

fn wrongly_rejected() -> Event {
    let case = case(
        json!({"fields": [
            {"name": "id", "type": "INT64", "primary": true},
            {"name": "vec", "type": "FLOAT_VECTOR(2)"},
        ]}),
        json!([{"id": 3, "vec": [0.0, 0.0]}]),
        json!([{"query": "id in [1, 3] or id > 9007199254740993"}]),
    );
    let divergence = Divergence {
        class: Class::WronglyRejected,
        expected: Expected::Rows(vec![Key::Int(3)]),
        actual: Actual::Error("value not in range\nat <unknown>: 100 %, code: 1".to_owned()),
        judges: Judges::ModelAlone,
    };
    finding(5, Oracle::Reference, case, divergence)
}

const ASKED: [(&str, u64); 3] =
    [("id + 1 == 2 and id > 0", 3), ("s like 'a%' or s in ['b']", 40), ("not (d == 1)", 12_345)];
const NEVER: [(&str, u64); 1] = [("id % 2 == 0 and s is null", 0)];

fn touched(filters: &[(&str, u64)]) -> BTreeMap<Cell, u64> {
    let schema = case(
        json!({"dynamic": true, "fields": [
            {"name": "id", "type": "INT64", "primary": true},
            {"name": "s", "type": "VARCHAR", "nullable": true},
            {"name": "v", "type": "FLOAT_VECTOR(2)"},
        ]}),
        json!([]),
        json!([]),
    )
    .schema;
    let mut counts = BTreeMap::new();
    for (filter, count) in filters {
        let filter = Filter::parse(filter).expect("a filter");
        counts.extend(cells(&schema, &filter).into_iter().map(|cell| (cell, *count)));
    }
    counts
}

fn steps() -> Steps {
    let unproven = BTreeMap::from([("the target has no such call".to_owned(), 2)]);
    Steps::from([
        ("flush".to_owned(), Carried { done: 3, unproven }),
        ("kill".to_owned(), Carried { done: 1, ..Carried::default() }),
    ])
}

/// Two engines: one with findings of every kind and trouble, one that is right.
pub fn full() -> Vec<Record> {
    let mut run = Recorder::default();
    let (bad, good) = ("milvus-lite-3.2.2", "milvus-2.3.5");
    run.start(bad, "milvus_lite-3.2.2", "milvus-lite-3.2");
    run.start(good, "v2.3.5-lite", "milvus-2.3");
    for round in 0..10 {
        run.checks(bad, 12 + round, Oracle::Reference, Kind::Pass);
        run.checks(good, 20, Oracle::Reference, Kind::Pass);
        run.checks(bad, round % 3, Oracle::Reference, Kind::Divergence);
        run.checks(bad, 3, Oracle::Reference, Kind::Known);
        run.checks(bad, 2, Oracle::Projection, Kind::Divergence);
        run.checks(bad, 2, Oracle::Paging, Kind::Inconclusive);
        run.checks(good, 1, Oracle::Partition, Kind::Pass);
        match round {
            2 => run.event(bad, extra_rows()),
            3 => run.event(bad, wrong_value()),
            4 => run.event(bad, wrongly_rejected()),
            5 => {
                let reason = "it did not answer in 10 s\nlast lines of its log:\n<panic> at 1 & 2";
                run.event(bad, Event::Restarted { case: 9, reason: reason.to_owned() });
                run.event(bad, Event::Restarted { case: 9, reason: "it died".to_owned() });
            }
            6 => {
                let Event::Found(found) = extra_rows() else { unreachable!() };
                let (shape, seen_as) = (found.shape, found.seen_as);
                run.event(bad, Event::Repeated { case: 8, shape, seen_as });
            }
            _ => {}
        }
    }
    run.event(bad, Event::Fixed { title: "a list of one <element> is empty".to_owned() });
    run.event(bad, Event::Steered { case: 1, dropped: 30, kept: 10 });
    let done = Event::CaseDone {
        number: 1,
        digest: 1,
        parents: vec![0],
        cells: touched(&ASKED),
        refused: BTreeMap::new(),
        reached: ["add on INT8? | INVERTED | sealed | some".to_owned()].into(),
        steps: steps(),
    };
    run.event(bad, done.clone());
    run.event(good, done);
    run.event(bad, Event::Unexplored { case: 7 });
    run.finish(bad, false, None);
    run.finish(good, false, None);
    run.records
}

/// One engine on which enough was checked, and nothing was wrong.
pub fn clean() -> Vec<Record> {
    let mut run = Recorder::default();
    run.start("milvus-2.3.5", "v2.3.5-lite", "milvus-2.3");
    run.checks("milvus-2.3.5", 200, Oracle::Reference, Kind::Pass);
    run.finish("milvus-2.3.5", false, None);
    run.records
}

/// One engine about which nothing was proven.
pub fn vacuous() -> Vec<Record> {
    let mut run = Recorder::default();
    run.start("milvus-2.3.5", "v2.3.5-lite", "milvus-2.3");
    run.checks("milvus-2.3.5", 9, Oracle::Reference, Kind::Inconclusive);
    run.checks("milvus-2.3.5", 2, Oracle::Count, Kind::Unsupported);
    run.finish("milvus-2.3.5", false, None);
    run.records
}

/// Interrupted, ended by an error, and killed.
pub fn ended_early() -> [Vec<Record>; 3] {
    let run = |end: fn(&mut Recorder)| {
        let mut run = Recorder::default();
        run.start("milvus-2.3.5", "v2.3.5-lite", "milvus-2.3");
        run.checks("milvus-2.3.5", 9, Oracle::Reference, Kind::Pass);
        end(&mut run);
        run.records
    };
    [
        run(|run| run.finish("milvus-2.3.5", true, None)),
        run(|run| run.finish("milvus-2.3.5", false, Some("the engine is gone\nits log"))),
        run(|_| ()),
    ]
}

pub fn of(records: &[Record]) -> Run {
    Run::of(records)
}
