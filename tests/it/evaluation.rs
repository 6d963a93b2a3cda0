//! What terms come to, row by row: true, false, unknown or undefined.

use milvus_difftest::filter::{Semantics, Truth, Undefined, check, evaluate, parse};
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
