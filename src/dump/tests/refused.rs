use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value as Json, json};

use super::{every_type, file, read, with, write};
use crate::dump::{DumpError, Format, MAX_JSON_DEPTH, Reader, Writer, to_batch};
use crate::generate;
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{Row, Value};

fn some_rows(schema: &Schema) -> Vec<Row> {
    let mut runner = TestRunner::deterministic();
    loop {
        let rows = generate::rows(schema, 12).new_tree(&mut runner).unwrap().current();
        if rows.len() > 3 {
            return rows;
        }
    }
}

#[test]
fn a_file_that_is_cut_off_is_never_taken_for_whole() {
    let schema = every_type();
    let rows = some_rows(&schema);
    let folder = tempfile::tempdir().unwrap();
    for format in Format::ALL {
        let path = file(folder.path(), format);
        write(&path, &schema, &rows).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in (0..whole.len()).step_by(37).chain(whole.len() - 40..whole.len()) {
            std::fs::write(&path, &whole[..cut]).unwrap();
            match read(&path, Some(&schema)) {
                Err(DumpError::Read { .. } | DumpError::Line { .. }) => {}
                Err(error) => panic!("{format} cut at {cut}: {error}"),
                // Text ends with any of its rows; JSON lines with the bracket of its last, too.
                Ok(read) => {
                    let text = matches!(format, Format::Csv | Format::JsonLines);
                    let row = cut == 0 || matches!(whole[cut - 1], b'\n' | b'}');
                    assert!(
                        text && row && (read.len() < rows.len() || format == Format::JsonLines)
                    );
                }
            }
        }
    }
}

/// Damage is an error, or by chance another value, and never a panic.
#[test]
fn damage_does_not_panic() {
    let schema = every_type();
    let rows = some_rows(&schema);
    let folder = tempfile::tempdir().unwrap();
    let mut refused = 0;
    for format in Format::ALL {
        let path = file(folder.path(), format);
        write(&path, &schema, &rows).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for i in 0..400 {
            let mut spoilt = whole.clone();
            let at = i * 7919 % whole.len();
            spoilt[at] ^= 1 << (i % 8);
            std::fs::write(&path, spoilt).unwrap();
            refused += usize::from(read(&path, Some(&schema)).is_err());
        }
    }
    assert!(refused > 400, "{refused}");
}

#[test]
fn columns_that_do_not_suit_the_schema_are_named() {
    let text = with(Field::new("c", DataType::Scalar(Scalar::VarChar)));
    let int = with(Field::new("c", DataType::Scalar(Scalar::Int8)));
    let other = with(Field::new("other", DataType::Scalar(Scalar::VarChar)));
    let nullable = with(Field::new("other", DataType::Scalar(Scalar::VarChar)).nullable());
    let id = Schema { fields: vec![text.fields[0].clone()], dynamic: false };
    let rows = [Row::from_json(&text, &json!({"id": 1, "c": "x"})).unwrap()];
    let folder = tempfile::tempdir().unwrap();
    for format in Format::ALL {
        let path = file(folder.path(), format);
        write(&path, &text, &rows).unwrap();
        let refused = |schema| read(&path, Some(schema)).unwrap_err();
        let lines = format == Format::JsonLines;
        let wrong = refused(&int).to_string();
        let expected = match format {
            Format::Parquet | Format::Arrow => "column 'c' has the Arrow type Utf8: expected INT8",
            Format::Csv => "row 1, column 'c': expected INT8, found x",
            Format::JsonLines => "is no row of the schema: field 'c' is INT8",
        };
        assert!(wrong.contains(expected), "{wrong}");
        for extra in [&id, &nullable] {
            let extra = refused(extra);
            let column = matches!(&extra, DumpError::ExtraColumn { column } if column == "c");
            assert!(column || lines && extra.to_string().contains("'c' is not in the schema"));
        }
        std::fs::remove_file(&path).unwrap();
        write(&path, &id, &[Row::from_json(&id, &json!({"id": 1})).unwrap()]).unwrap();
        let missing = refused(&other);
        let column =
            matches!(&missing, DumpError::MissingColumn { column, .. } if column == "other");
        assert!(column || lines && missing.to_string().contains("'other' is required"));
        let read = read(&path, Some(&nullable)).unwrap();
        assert_eq!(read[0].get("other"), &Value::Null);
    }
}

#[test]
fn values_that_do_not_fit_are_refused_before_they_are_written() {
    let int8 = Field::new("c", DataType::Scalar(Scalar::Int8));
    let mut deep = json!([]);
    for _ in 0..MAX_JSON_DEPTH {
        deep = json!([deep]);
    }
    let field = |data_type| Field::new("c", data_type);
    for (field, value) in [
        (int8.clone(), Value::Int(128)),
        (int8.clone(), Value::Text("1".to_owned())),
        (int8, Value::Null),
        (field(DataType::Scalar(Scalar::Float)), Value::Float(f32::NAN)),
        (field(DataType::Scalar(Scalar::Double)), Value::Double(f64::INFINITY)),
        (field(DataType::Array(Scalar::Int16)), Value::Array(vec![Value::Int(1 << 15)])),
        (field(DataType::Array(Scalar::Int16)), Value::Array(vec![Value::Null])),
        (field(DataType::Timestamptz), Value::Timestamp(i64::MAX)),
        (field(DataType::FloatVector { dim: 2 }), Value::Vector(vec![1.0])),
        (field(DataType::FloatVector { dim: 1 }), Value::Vector(vec![f32::NAN])),
        (field(DataType::BinaryVector { dim: 8 }), Value::BinaryVector(vec![1, 2])),
        (field(DataType::SparseVector), Value::SparseVector(BTreeMap::from([(1, -1.0)]))),
        (field(DataType::Json), Value::Json(deep)),
    ] {
        let schema = with(field);
        let good = Value::plain(&schema.fields[1]);
        let row = |id, value| Row {
            fields: BTreeMap::from([("id".to_owned(), Value::Int(id)), ("c".to_owned(), value)]),
            ..Row::default()
        };
        let rows = [row(1, good), row(2, value)];
        let folder = tempfile::tempdir().unwrap();
        let named =
            |error: &DumpError| error.to_string().starts_with("row 2, column 'c': expected");
        for format in Format::ALL {
            let path = file(folder.path(), format);
            let mut writer = Writer::create(&path, format, &schema).unwrap();
            let error = writer.write(&rows).unwrap_err();
            assert!(named(&error), "{error}");
            assert!(matches!(writer.write(&rows[..1]), Err(DumpError::Failed(_))));
            assert!(matches!(writer.finish(), Err(DumpError::Failed(_))));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(named(&to_batch(&schema, &rows).unwrap_err()));
    }
}

#[test]
fn rows_of_another_schema_are_refused() {
    let schema = with(Field::new("c", DataType::Json).nullable());
    let mut row = Row::from_json(&schema, &json!({"id": 1})).unwrap();
    row.dynamic.insert("k".to_owned(), Json::Null);
    let error = to_batch(&schema, &[row.clone()]).unwrap_err();
    assert!(matches!(error, DumpError::ExtraColumn { column } if column == "$meta"));
    row.dynamic.clear();
    row.fields.insert("other".to_owned(), Value::Null);
    let error = to_batch(&schema, &[row]).unwrap_err();
    assert!(matches!(error, DumpError::ExtraColumn { column } if column == "other"));
}

#[test]
fn a_dump_that_is_not_finished_leaves_nothing() {
    let schema = with(Field::new("c", DataType::Scalar(Scalar::Bool)));
    let rows = some_rows(&schema);
    let folder = tempfile::tempdir().unwrap();
    for format in Format::ALL {
        let path = file(folder.path(), format);
        std::fs::write(&path, "before").unwrap();
        let mut writer = Writer::create(&path, format, &schema).unwrap();
        writer.write(&rows).unwrap();
        drop(writer);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
        write(&path, &schema, &rows).unwrap();
        // Like any other file, not private as temporary ones are.
        let new = folder.path().join("new");
        std::fs::write(&new, "").unwrap();
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&new));
        std::fs::remove_file(&new).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    let nowhere = folder.path().join("none").join("rows.csv");
    assert!(matches!(Writer::create(nowhere, Format::Csv, &schema), Err(DumpError::File { .. })));
}

#[test]
fn a_schema_is_needed_and_must_be_one() {
    let folder = tempfile::tempdir().unwrap();
    let schema = with(Field::new("c", DataType::Scalar(Scalar::Bool)));
    let none = Schema { fields: Vec::new(), dynamic: false };
    for format in Format::ALL {
        let path = file(folder.path(), format);
        assert!(matches!(Reader::open(&path, None), Err(DumpError::File { .. })));
        assert!(matches!(Writer::create(&path, format, &none), Err(DumpError::Schema(_))));
        write(&path, &schema, &[]).unwrap();
        assert!(matches!(Reader::open(&path, Some(&none)), Err(DumpError::Schema(_))));
        let carried = matches!(format, Format::Parquet | Format::Arrow);
        assert_eq!(Reader::open(&path, None).is_ok(), carried);
        // By another name, and as another format.
        let other = folder.path().join("other");
        std::fs::copy(&path, &other).unwrap();
        assert!(matches!(Reader::open(&other, None), Err(DumpError::UnknownExtension(_))));
        assert!(Reader::open_as(&other, format, Some(&schema)).is_ok());
        for wrong in [Format::Parquet, Format::Arrow].into_iter().filter(|f| *f != format) {
            let error = Reader::open_as(&other, wrong, Some(&schema)).err().unwrap();
            assert!(matches!(error, DumpError::Read { .. }), "{error}");
        }
    }
}

#[test]
fn csv_that_is_none_is_refused_with_its_line() {
    let schema = with(Field::new("s", DataType::Scalar(Scalar::VarChar)));
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), Format::Csv);
    for (text, message) in [
        ("", "is missing: expected a header"),
        ("id,s\n1,\"a\nb\"\n2,x,y\n", "line 4 of"),
        ("id,s\n1,\"a\"b\n", "line 2 of"),
        ("id,s\n1,a\"b\"\n", "has a quote within a value that is not quoted"),
        ("id,s\n1,\"a\n", "begins a record that the end of the file cuts off"),
        ("id,s\n1,a", "begins a record that does not end in a line break"),
        ("id,s\n1,a\n\n", "has 1 values, and the header 2"),
        ("id,s\n1,\n", "row 1, column 's': expected VARCHAR, found nothing, which is a null"),
        ("id,s\nnull,a\n", "row 1, column 'id': expected INT64, found null"),
        ("id,s,id\n", "there are two columns called 'id'"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = read(&path, Some(&schema)).unwrap_err().to_string();
        assert!(error.contains(message), "{text:?}: {error}");
    }
    std::fs::write(&path, b"id,s\n1,\xff\n").unwrap();
    assert!(matches!(read(&path, Some(&schema)), Err(DumpError::Read { .. })));
}

#[test]
fn after_an_error_nothing_more_is_read() {
    let schema = with(Field::new("b", DataType::Scalar(Scalar::Bool)));
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), Format::JsonLines);
    std::fs::write(&path, "{\"id\": 1, \"b\": true}\n\nnonsense\n{\"id\": 2, \"b\": true}\n")
        .unwrap();
    let mut reader = Reader::open(&path, Some(&schema)).unwrap();
    assert_eq!(reader.read(1).unwrap().unwrap().len(), 1);
    let error = reader.read(1).unwrap_err().to_string();
    assert!(error.starts_with("line 3 of '") && error.contains("is no JSON"), "{error}");
    assert!(matches!(reader.read(1), Err(DumpError::Failed(_))));
}
