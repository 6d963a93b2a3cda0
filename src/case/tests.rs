//! What a history may do, and what it leaves.

use serde_json::{Value as Json, json};

use super::{Case, Check, Operation, Scope};
use crate::filter::{Filter, Semantics, Switch};
use crate::schema::Schema;
use crate::value::{Key, Value};

/// A case of rows with a key alone.
fn case(fields: Json, operations: Json, checks: Json) -> Result<Case, String> {
    let file = json!({
        "format": "milvus-difftest/case", "version": 1,
        "schema": {"fields": fields}, "operations": operations, "checks": checks,
    });
    Case::from_json(&file.to_string()).map(|(case, _)| case).map_err(|error| error.to_string())
}

fn plain(operations: Json, checks: Json) -> Result<Case, String> {
    case(json!([{"name": "id", "type": "INT64", "primary": true}]), operations, checks)
}

fn rows(keys: &[i64]) -> Json {
    keys.iter().map(|key| json!({"id": key})).collect()
}

fn into(partition: &str, write: &str, keys: &[i64]) -> Json {
    json!({"into": {"partition": partition, "write": {write: rows(keys)}}})
}

#[test]
fn rows_are_where_they_were_written() {
    let asked = |partitions: Json| json!({"in": {"partitions": partitions, "check": "entities"}});
    let case = plain(
        json!([
            {"create_partition": "red"},
            {"insert": rows(&[1, 2])},
            into("red", "insert", &[3, 4]),
            into("red", "upsert", &[4, 5]),
            {"delete": [3]},
            {"create_partition": "blue"},
            into("blue", "insert", &[6]),
            {"drop_partition": "blue"},
            {"create_partition": "blue"},
        ]),
        json!([
            asked(json!(["red"])),
            asked(json!(["_default"])),
            asked(json!(["blue"])),
            asked(json!(["red", "_default"])),
            "entities",
        ]),
    )
    .unwrap();
    let keys = |check: &Check| case.rows_asked(check).into_keys().collect::<Vec<_>>();
    let found: Vec<Vec<Key>> = case.checks.iter().map(keys).collect();
    let of = |keys: &[i64]| keys.iter().copied().map(Key::Int).collect::<Vec<_>>();
    let all = [of(&[4, 5]), of(&[1, 2]), of(&[]), of(&[1, 2, 4, 5]), of(&[1, 2, 4, 5])];
    assert_eq!(found, all);
    assert_eq!(case.rows_at_questions(), [2, 2, 0, 4, 4]);
    let (read, _) = Case::from_json(&case.to_json(None)).unwrap();
    assert_eq!(read, case);
    // A question keeps its part when it is asked otherwise.
    let scope = Scope { partitions: vec!["red".to_owned()], alias: None };
    assert_eq!(case.checks[0].scope(), &scope);
    assert_eq!(*case.checks[0].plain(), Check::Entities);
    assert_eq!(case.checks[0].to_string(), "all entities in the partition red");
}

/// What the documentation leaves open, or what there is not.
#[test]
fn partitions_have_preconditions() {
    let red = json!({"create_partition": "red"});
    let asks = json!([{"in": {"partitions": ["red"], "check": "entities"}}]);
    let none = json!([]);
    for (operations, checks, reason) in [
        (json!([into("red", "insert", &[1])]), &none, "no partition 'red' to write into"),
        (json!([red, red]), &none, "there is a partition 'red' already"),
        (json!([{"create_partition": "_default"}]), &none, "a partition '_default' already"),
        (json!([{"create_partition": "1st"}]), &none, "'1st' is no name"),
        (json!([{"drop_partition": "red"}]), &none, "no partition 'red' to drop"),
        (json!([{"drop_partition": "_default"}]), &none, "no partition '_default' to drop"),
        (json!([]), &asks, "no partition 'red' to ask"),
        (json!([red, "recreate"]), &asks, "no partition 'red' to ask"),
        (
            json!([red, {"ask": {"in": {"partitions": ["blue"], "check": "entities"}}}]),
            &none,
            "'blue'",
        ),
        (
            json!([red, into("red", "insert", &[1]), {"upsert": rows(&[1])}]),
            &none,
            "the row 1 is in the partition 'red'",
        ),
        (
            json!([red, {"insert": rows(&[1])}, into("red", "upsert", &[1])]),
            &none,
            "the row 1 is in the partition '_default'",
        ),
        (
            json!([red, {"into": {"partition": "red", "write": {"drop_partition": "red"}}}]),
            &none,
            "in 'red' rows are written and deleted, and nothing else",
        ),
        (
            json!([{"into": {"partition": "red", "write": {"delete": [1]}}}]),
            &none,
            "no partition 'red' to write into or delete from",
        ),
        (
            json!([red]),
            &json!([{"in": {"partitions": ["red"], "check": {"agree": {
                "relation": "counts", "filter": "id > 0",
            }}}}]),
            "in the partition red alone",
        ),
        (json!([]), &json!([{"in": {"partitions": [], "check": "entities"}}]), "names it"),
    ] {
        let error = plain(operations.clone(), checks.clone()).unwrap_err();
        assert!(error.contains(reason), "{operations}: {error}");
    }
    let fields = json!([
        {"name": "id", "type": "INT64", "primary": true},
        {"name": "p", "type": "INT64", "partition_key": true},
    ]);
    let error = case(fields, json!([red]), none).unwrap_err();
    assert!(error.contains("a collection with a partition key has no partitions"), "{error}");
}

/// A deletion that names a partition leaves rows elsewhere, on an engine that takes the name into
/// account.
#[test]
fn deletions_are_limited_to_the_partition_that_they_name() {
    let within =
        |partition: &str, write: Json| json!({"into": {"partition": partition, "write": write}});
    let left = |deletion: Json| {
        let made = json!({"create_partition": "red"});
        let (here, there) = (json!({"insert": rows(&[1, 2])}), into("red", "insert", &[3, 4]));
        let case = plain(json!([made, here, there, deletion]), json!(["entities"])).unwrap();
        let (read, _) = Case::from_json(&case.to_json(None)).unwrap();
        assert_eq!(read, case);
        let ignores = Semantics::canonical().with(Switch::DeleteIgnoresPartition);
        [Semantics::canonical(), ignores].map(|semantics| {
            let keys = case.rows_under(semantics).into_keys();
            keys.map(|key| key.to_string()).collect::<Vec<_>>().join(" ")
        })
    };
    assert_eq!(left(within("red", json!({"delete": [1, 3]}))), ["1 2 4", "2 4"]);
    assert_eq!(left(within("_default", json!({"delete": [1, 3]}))), ["2 3 4", "2 4"]);
    assert_eq!(left(within("red", json!({"delete_where": "id != 2"}))), ["1 2", "2"]);
    assert_eq!(left(json!({"delete": [1, 3]})), ["2 4", "2 4"]);
}

/// What depends on a step that is gone goes with it.
#[test]
fn what_has_become_impossible_is_left_out() {
    let mut case = plain(
        json!([
            {"create_partition": "red"},
            into("red", "insert", &[1]),
            {"insert": rows(&[2])},
            {"drop_partition": "red"},
            {"create_partition": "red"},
        ]),
        json!([{"in": {"partitions": ["red"], "check": "count_all"}}, "count_all"]),
    )
    .unwrap();
    case.operations.retain(|step| !matches!(step, Operation::CreatePartition(_)));
    case.leave_out_the_impossible();
    assert_eq!((case.operations.len(), &*case.checks), (1, &[Check::CountAll][..]));
    case.validate().unwrap();
}

#[test]
fn an_alias_stands_for_what_it_was_pointed_to_last() {
    let through = json!({"in": {"alias": "latest", "check": "entities"}});
    let made = json!({"create_alias": "latest"});
    let alter =
        |elsewhere: bool| json!({"alter_alias": {"alias": "latest", "elsewhere": elsewhere}});
    let case = plain(
        json!([
            {"insert": rows(&[1, 2])}, made, {"ask": through}, alter(true), {"ask": through},
            alter(false), {"delete": [1]},
        ]),
        json!([through]),
    )
    .unwrap();
    assert_eq!(case.rows_at_questions(), [2, 0, 1]);
    let (read, _) = Case::from_json(&case.to_json(None)).unwrap();
    assert_eq!(read, case);
    let none = json!([]);
    for (operations, checks, reason) in [
        (json!([]), &json!([through]), "no alias 'latest' to ask"),
        (json!([made, made]), &none, "there is an alias 'latest' already"),
        (json!([made, alter(false)]), &none, "no alias 'latest' that points otherwise"),
        (json!([{"drop_alias": "latest"}]), &none, "no alias 'latest' to drop"),
        (json!([made, "recreate"]), &none, "has an alias cannot be dropped"),
        (
            json!([made, {"create_partition": "red"}, alter(true)]),
            &json!([{"in": {"alias": "latest", "partitions": ["red"], "check": "entities"}}]),
            "points to a collection without partitions",
        ),
    ] {
        let error = plain(operations.clone(), checks.clone()).unwrap_err();
        assert!(error.contains(reason), "{operations}: {error}");
    }
}

#[test]
fn searches_have_preconditions() {
    let fields = json!([
        {"name": "id", "type": "INT64", "primary": true},
        {"name": "n", "type": "INT8"},
        {"name": "maybe", "type": "INT8", "nullable": true},
        {"name": "x", "type": "FLOAT"},
        {"name": "l2", "type": "FLOAT_VECTOR(1)"},
        {"name": "ip", "type": "FLOAT_VECTOR(1)", "metric": "IP"},
    ]);
    let search = |more: Json| {
        let mut search = json!({"field": "l2", "near": [0], "limit": 1});
        search.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        case(fields.clone(), json!([]), json!([{"search": {"search": search}}]))
    };
    for fine in [
        json!({"radius": 2, "range_filter": 1}),
        json!({"field": "ip", "radius": 1, "range_filter": 2}),
        json!({"group_by": "n"}),
        json!({"group_by": "id"}),
    ] {
        let case = search(fine.clone()).unwrap_or_else(|error| panic!("{fine}: {error}"));
        let (read, _) = Case::from_json(&case.to_json(None)).unwrap();
        assert_eq!(read, case);
    }
    for (field, kind) in [("l2", "HNSW"), ("n", "FLAT"), ("none", "FLAT")] {
        let step = json!([{"maintain": {"rebuild": {"field": field, "kind": kind}}}]);
        assert!(case(fields.clone(), step, json!([])).is_err(), "{field} as {kind}");
    }
    for (wrong, reason) in [
        (json!({"range_filter": 1}), "a range_filter needs a radius"),
        (json!({"radius": 1, "range_filter": 2}), "nothing is nearer than 1"),
        (json!({"field": "ip", "radius": 2, "range_filter": 1}), "nothing is nearer than 2"),
        (json!({"radius": 1, "group_by": "n"}), "a search in a range has no groups"),
        (json!({"group_by": "maybe"}), "cannot be grouped by 'maybe'"),
        (json!({"group_by": "x"}), "cannot be grouped by 'x'"),
        (json!({"group_by": "y"}), "cannot be grouped by 'y'"),
    ] {
        let error = search(wrong.clone()).unwrap_err();
        assert!(error.contains(reason), "{wrong}: {error}");
    }
}

#[test]
fn a_field_is_there_from_its_addition_on() {
    let fields = json!([
        {"name": "id", "type": "INT64", "primary": true},
        {"name": "n", "type": "INT8", "nullable": true},
        {"name": "five", "type": "INT8", "nullable": true, "default": 5},
    ]);
    let case = case(
        fields,
        json!([
            {"insert": rows(&[1])}, {"ask": "entities"}, {"add_field": "five"},
            {"ask": {"query": "five == 5"}}, "recreate", {"insert": [{"id": 2, "five": 6}]},
            {"insert": rows(&[3])}, {"add_field": "n"}, {"upsert": [{"id": 3, "n": 1}]},
        ]),
        json!([{"query": "n is null"}]),
    )
    .unwrap();
    let (read, _) = Case::from_json(&case.to_json(None)).unwrap();
    assert_eq!(read, case);
    let names = |schema: &Schema| -> Vec<String> {
        schema.fields.iter().map(|field| field.name.clone()).collect()
    };
    assert_eq!(names(&case.schema_at(0)), ["id"]);
    assert_eq!(names(&case.schema_at(4)), ["id", "five"]);
    // Asked in between, there is no more of the schema than there was.
    let asked = case.asking(0).unwrap();
    assert_eq!(names(&asked.schema), ["id"]);
    asked.validate().unwrap();
    let asked = case.asking(1).unwrap();
    assert_eq!(names(&asked.schema), ["id", "five"]);
    assert_eq!(asked.rows()[&Key::Int(1)].get("five"), &Value::Int(5));
    let left = case.rows();
    assert_eq!(left[&Key::Int(2)].get("n"), &Value::Null);
    assert_eq!(left[&Key::Int(3)].get("five"), &Value::Int(5));
}

#[test]
fn fields_that_are_added_have_preconditions() {
    let fields = json!([
        {"name": "id", "type": "INT64", "primary": true},
        {"name": "n", "type": "INT8", "nullable": true},
        {"name": "sure", "type": "INT8"},
        {"name": "v", "type": "FLOAT_VECTOR(1)"},
    ]);
    let add = |name: &str| json!({"add_field": name});
    let row = json!({"id": 1, "sure": 1, "v": [0], "n": 1});
    let with_null = json!({"id": 1, "sure": 1, "v": [0], "n": null});
    let after = json!({"agree": {
        "relation": {"after": {"index": {"field": "n", "kind": "INVERTED"}}}, "filter": "id > 0",
    }});
    let used = "'n' is used before it is added";
    for (operations, reason) in [
        (json!([add("x")]), "no field 'x' in the schema to add"),
        (json!([add("id")]), "'id' cannot be added"),
        (json!([add("sure")]), "'sure' cannot be added"),
        (json!([add("v")]), "'v' cannot be added"),
        (json!([add("n"), add("n")]), "'n' is added twice"),
        (json!([{"insert": [row]}, add("n")]), used),
        (json!([{"insert": [with_null]}, add("n")]), used),
        (json!([{"ask": {"query": "n > 0"}}, add("n")]), used),
        (json!([{"ask": after}, add("n")]), used),
        (json!([{"delete_where": "n is null"}, add("n")]), used),
        (json!([{"maintain": {"index": {"field": "n", "kind": "INVERTED"}}}, add("n")]), used),
    ] {
        let error = case(fields.clone(), operations.clone(), json!([])).unwrap_err();
        assert!(error.contains(reason), "{operations}: {error}");
    }
    // What is said too early goes when the impossible is left out; without the addition it may stay.
    let mut case = case(fields, json!([{"ask": "count_all"}, add("n")]), json!([])).unwrap();
    let named = Operation::Ask(Check::Query(Filter::parse("n > 0").unwrap()));
    case.operations.insert(0, named.clone());
    let mut possible = case.clone();
    possible.leave_out_the_impossible();
    assert_eq!(possible.operations, case.operations[1..]);
    case.operations = vec![named];
    case.validate().unwrap();
}
