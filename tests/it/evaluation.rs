//! What terms come to, row by row: true, false, unknown or undefined.

use milvus_difftest::filter::{Semantics, Switch, Truth, Undefined, check, evaluate, parse};
use milvus_difftest::schema::Schema;
use milvus_difftest::value::Row;
use serde_json::{Value as Json, json};

/// `T`, `F`, `U`, or `-` where the answer is undefined.
fn answer(schema: &Schema, row: &Json, filter: &str) -> char {
    let row = Row::from_json(schema, row).unwrap();
    let filter = parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
    check(schema, &filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
    match evaluate(&filter, schema, &row, Semantics::canonical()) {
        Ok(Truth::True) => 'T',
        Ok(Truth::False) => 'F',
        Ok(Truth::Unknown) => 'U',
        Err(Undefined::Type(error)) => panic!("{filter}: {error}"),
        Err(_) => '-',
    }
}

/// Each filter with its answers on the values of the field `x`, in their order.
fn table(field: Json, values: &[Json], cases: &[(&str, &str)]) {
    let id = json!({"name": "id", "type": "INT64", "primary": true});
    let fields = json!({"fields": [id, field]});
    let schema: Schema = serde_json::from_value(fields).unwrap();
    schema.validate().unwrap();
    for (filter, expected) in cases {
        let rows = values.iter().map(|value| json!({"id": 1, "x": value}));
        let found: String = rows.map(|row| answer(&schema, &row, filter)).collect();
        assert_eq!(found, *expected, "{filter}");
    }
}

/// Whether the checker refuses a filter.
fn refused(field: Json, filters: &[&str]) {
    let id = json!({"name": "id", "type": "INT64", "primary": true});
    let schema: Schema = serde_json::from_value(json!({"fields": [id, field]})).unwrap();
    for filter in filters {
        let parsed = parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
        assert!(check(&schema, &parsed).is_err(), "{filter}");
    }
}

#[test]
fn times() {
    let field = json!({"name": "x", "type": "TIMESTAMPTZ", "nullable": true});
    let values = [
        Json::Null,
        json!("2024-02-28T12:00:00Z"),
        json!("2024-02-28T12:00:00.000001Z"),
        json!("2024-03-31T00:00:00Z"),
        json!("9999-12-31T23:59:59.999999Z"),
    ];
    table(
        field.clone(),
        &values,
        &[
            ("x == ISO '2024-02-28T14:00:00+02:00'", "UTFFF"),
            ("x != ISO '2024-02-28T12:00:00Z'", "UFTTT"),
            ("x > ISO '2024-02-28T12:00:00Z'", "UFTTT"),
            ("ISO '2024-02-28T12:00:00Z' >= x", "UTFFF"),
            ("not (x <= ISO '2024-02-28T12:00:00Z')", "UFTTT"),
            ("x is null", "TFFFF"),
            ("x is not null", "FTTTT"),
            ("x == x", "UTTTT"),
            ("x < x", "UFFFF"),
            // Leap day: two days later is 1 March.
            ("x + INTERVAL 'P2D' == ISO '2024-03-01T12:00:00Z'", "UTFF-"),
            ("x - INTERVAL 'PT12H0.000001S' < ISO '2024-02-28T00:00:00Z'", "UTFFF"),
            ("ISO '2024-03-28T12:00:00Z' == x + INTERVAL 'P1M'", "UTF--"),
            ("x + INTERVAL 'P1Y' > ISO '2025-02-28T12:00:00Z'", "UFT--"),
            ("x - INTERVAL 'PT0S' <= ISO '9999-12-31T23:59:59.999999Z'", "UTTTT"),
        ],
    );
    refused(
        field,
        &[
            "x == '2024-02-28T12:00:00Z'",
            "x > 1",
            "x in [ISO '2024-02-28T12:00:00Z']",
            "ISO '2024-02-28T12:00:00Z' < x < ISO '2024-02-29T12:00:00Z'",
            "x + INTERVAL 'P1D' == x",
            "id + INTERVAL 'P1D' == 1",
            "id == ISO '2024-02-28T12:00:00Z'",
            "x like 'a%'",
        ],
    );
}

#[test]
fn geometries() {
    let field = json!({"name": "x", "type": "GEOMETRY", "nullable": true});
    let values = [
        Json::Null,
        json!("POINT (1 2)"),
        // On the edge of the square below, and at its corner.
        json!("POINT (4 2)"),
        json!("POINT (4 4)"),
        json!("POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0))"),
        json!("POLYGON ((2 2, 6 2, 6 6, 2 6, 2 2))"),
        json!("POLYGON ((4 0, 8 0, 8 4, 4 4, 4 0))"),
        // A bow tie.
        json!("POLYGON ((0 0, 4 4, 4 0, 0 4, 0 0))"),
    ];
    let square = "POLYGON ((0 0, 0 4, 4 4, 4 0, 0 0))";
    let about = |function: &str| format!("{function}(x, '{square}')");
    let cases = [
        (about("st_equals"), "UFFFTFF-"),
        (about("st_within"), "UTFFTFF-"),
        (about("st_contains"), "UFFFTFF-"),
        (about("st_intersects"), "UTTTTTT-"),
        (about("st_touches"), "UFTTFFT-"),
        (about("st_overlaps"), "UFFFFTF-"),
        (about("st_crosses"), "UFFFFFF-"),
        ("not (st_within(x, 'POINT (1 2)'))".to_owned(), "UFTTTTT-"),
        ("st_contains(x, 'POINT (1 2)')".to_owned(), "UTFFTFF-"),
        // On an edge of all three squares: their interiors have no point in common with it.
        ("st_contains(x, 'POINT (4 2)')".to_owned(), "UFTFFFF-"),
        ("st_isvalid(x)".to_owned(), "UTTTTTT-"),
        ("x is null".to_owned(), "TFFFFFFF"),
        // A degree is about 111 km.
        ("st_dwithin(x, 'POINT (1 2)', 0)".to_owned(), "UTFF----"),
        ("st_dwithin(x, 'POINT (1 2)', 10)".to_owned(), "UTFF----"),
        ("st_dwithin(x, 'POINT (1 2)', 350000)".to_owned(), "UTTF----"),
        ("st_dwithin(x, 'POINT (2 2)', 111195)".to_owned(), "U-FF----"),
    ];
    let cases: Vec<(&str, &str)> = cases.iter().map(|(f, a)| (f.as_str(), *a)).collect();
    table(field.clone(), &values, &cases);
    refused(
        field,
        &[
            "x == 'POINT (1 2)'",
            "st_within(x, 'POINT (1)')",
            "st_dwithin(x, 'POINT (1 2)', -1)",
            "st_within(id, 'POINT (1 2)')",
            "x in ['POINT (1 2)']",
        ],
    );
}

#[test]
fn structs() {
    let field = json!({"name": "x", "type": "ARRAY<STRUCT>", "members": [
        {"name": "i", "type": "INT8"},
        {"name": "s", "type": "VARCHAR"},
        {"name": "f", "type": "FLOAT"},
        {"name": "b", "type": "BOOL"},
    ]});
    let of = |i: i64, s: &str| json!({"i": i, "s": s, "f": 0.1_f32, "b": i > 1});
    let values = [
        json!([]),
        json!([of(1, "a")]),
        json!([of(1, "a"), of(2, "b")]),
        json!([of(2, "a"), of(2, "b"), of(1, "b")]),
        json!([of(2, "a"), of(3, "a"), of(127, "a"), of(2, "b")]),
    ];
    table(
        field.clone(),
        &values,
        &[
            ("match_any(x, $[i] == 1)", "FTTTF"),
            ("match_all(x, $[i] == 1)", "TTFFF"),
            ("match_all(x, $[i] > 0)", "TTTTT"),
            ("match_least(x, $[i] >= 2, threshold=1)", "FFTTT"),
            ("match_least(x, $[i] >= 2, threshold=2)", "FFFTT"),
            ("match_most(x, $[i] >= 2, threshold=0)", "TTFFF"),
            ("match_most(x, $[i] >= 2, threshold=2)", "TTTTF"),
            ("match_exact(x, $[i] >= 2, threshold=0)", "TTFFF"),
            ("match_exact(x, $[i] >= 2, threshold=2)", "FFFTF"),
            ("match_exact(x, $[i] >= 2, threshold=4)", "FFFFT"),
            // Of one and the same struct.
            ("match_any(x, $[i] == 2 and $[s] == 'a')", "FFFTT"),
            ("match_any(x, $[i] == 2) and match_any(x, $[s] == 'a')", "FFTTT"),
            ("not match_any(x, $[i] == 1)", "TFFFT"),
            ("match_any(x, not ($[i] == 1 or $[s] like 'b%'))", "FFFTT"),
            ("match_any(x, 1 < $[i] < 100 and $[s] in ['b', 'c'])", "FFTTT"),
            ("match_any(x, $[i] not in [1, 2])", "FFFFT"),
            ("match_all(x, $[i] in [])", "TFFFF"),
            ("match_any(x, $[i] + 1 == 128)", "FFFFT"),
            ("match_any(x, $[i] % 2 == 0)", "FFTTT"),
            ("match_any(x, 255 < $[i] * 3)", "FFFFT"),
            ("match_any(x, $[i] == 300)", "FFFFF"),
            // As a column: the literal is rounded to 32 bits.
            ("match_any(x, $[f] == 0.1)", "FTTTT"),
            ("match_any(x, $[b] == true)", "FFTTT"),
            ("match_all(x, !($[b] == true))", "TTFFF"),
            // Known of `element_filter` is where no element matches.
            ("element_filter(x, $[i] == 3)", "FFFF-"),
            ("id > 0 and element_filter(x, $[i] == 1)", "F---F"),
            ("id > 0 and (id < 9 and element_filter(x, $[i] == 1))", "F---F"),
        ],
    );
    refused(
        field,
        &[
            "match_least(x, $[i] == 1, threshold=0)",
            "match_any(id, $[i] == 1)",
            "match_any(y, $[i] == 1)",
            "match_any(x, $[n] == 1)",
            "match_any(x, $[i] == 'a')",
            "match_any(x, $[s] > 1)",
            "match_any(x, $[f] % 2 == 1)",
            "match_any(x, id == 1)",
            "match_any(x, $[i] == 1 and id == 1)",
            "match_any(x, true)",
            "match_any(x, $[i] == 1 or 1 == 1)",
            "match_any(x, $[b])",
            "match_any(x, not $[b])",
            "match_any(x, $[b] < true)",
            "match_any(x, $[b] in [true])",
            "match_any(x, $[i] < $[f])",
            "match_any(x, $[i] + $[i] == 2)",
            "match_any(x, -$[i] == 2)",
            "match_any(x, ($[i] & 1) == 1)",
            "match_any(x, ($[i] + 1) in [2])",
            "match_any(x, $[i] is null)",
            "match_any(x, exists $[i])",
            "match_any(x, array_length($[s]) == 1)",
            "match_any(x, text_match($[s], 'a'))",
            "match_any(x, $[s] == ['a'])",
            "element_filter(x, $[i] == 1) and id > 0",
            "element_filter(x, $[i] == 1) and element_filter(x, $[i] == 1)",
            "id > 0 or element_filter(x, $[i] == 1)",
            "not element_filter(x, $[i] == 1)",
            "id > 0 and not (element_filter(x, $[i] == 1))",
            "x is null",
            "x == 1",
            "array_length(x) == 1",
        ],
    );
}

/// A name that the structs have not got is no key of the dynamic field.
#[test]
fn members_are_no_dynamic_keys() {
    let schema = json!({"dynamic": true, "fields": [
        {"name": "id", "type": "INT64", "primary": true},
        {"name": "x", "type": "ARRAY<STRUCT>", "members": [{"name": "i", "type": "INT8"}]},
    ]});
    let schema: Schema = serde_json::from_value(schema).unwrap();
    for filter in ["match_any(x, $[n] == 1)", "match_any(x, n == 1)", "match_any(n, $[i] == 1)"] {
        assert!(check(&schema, &parse(filter).unwrap()).is_err(), "{filter}");
    }
    assert!(check(&schema, &parse("match_any(x, $[i] == 1)").unwrap()).is_ok());
}

/// Milvus 3 has nullable arrays of structs, and older rows have a null in one that was added.
#[test]
fn a_null_instead_of_structs_is_unknown() {
    let field = json!({"name": "x", "type": "ARRAY<STRUCT>", "members": [
        {"name": "i", "type": "INT8"},
    ]});
    let id = json!({"name": "id", "type": "INT64", "primary": true});
    let schema: Schema = serde_json::from_value(json!({"fields": [id, field]})).unwrap();
    for filter in ["match_all(x, $[i] == 1)", "not match_any(x, $[i] == 1)"] {
        let truth =
            evaluate(&parse(filter).unwrap(), &schema, &Row::default(), Semantics::canonical());
        assert_eq!(truth, Ok(Truth::Unknown), "{filter}");
    }
}

#[test]
fn match_all_of_no_structs_can_be_turned() {
    let schema = json!({"fields": [
        {"name": "id", "type": "INT64", "primary": true},
        {"name": "x", "type": "ARRAY<STRUCT>", "members": [{"name": "i", "type": "INT8"}]},
    ]});
    let schema: Schema = serde_json::from_value(schema).unwrap();
    let turned = Semantics::canonical().with(Switch::MatchAllOfNoneIsFalse);
    let truth = |filter: &str, structs: Json, semantics| {
        let row = Row::from_json(&schema, &json!({"id": 1, "x": structs})).unwrap();
        evaluate(&parse(filter).unwrap(), &schema, &row, semantics).unwrap()
    };
    let (all, most) = ("match_all(x, $[i] == 1)", "match_most(x, $[i] == 1, threshold=0)");
    assert_eq!(truth(all, json!([]), Semantics::canonical()), Truth::True);
    assert_eq!(truth(all, json!([]), turned), Truth::False);
    assert_eq!(truth(all, json!([{"i": 1}]), turned), Truth::True);
    assert_eq!(truth(most, json!([]), turned), Truth::True);
}
