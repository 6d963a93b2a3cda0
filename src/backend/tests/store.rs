//! Changes that wait to be seen, and selections.

use super::fixture::databases;
use crate::backend::{Change, Digest, KeySet, Selection, Table};
use crate::filter::parse;
use crate::schema::{DataType, Field, Scalar, Schema};
use crate::value::{Key, META, Row, Value};

fn table(key: Scalar) -> Table {
    let fields = vec![
        Field::new("id", DataType::Scalar(key)).primary(),
        Field::new("n", DataType::Scalar(Scalar::Int64)).nullable(),
        Field::new("v", DataType::FloatVector { dim: 2 }),
    ];
    Table::new("it's \"staged\"", Schema { fields, dynamic: true })
}

fn row(key: Key, n: Option<i64>) -> Row {
    let mut row = Row::default();
    row.fields.insert("id".to_owned(), key.into());
    row.fields.insert("n".to_owned(), n.map_or(Value::Null, Value::Int));
    row.fields.insert("v".to_owned(), Value::Vector(vec![0.5, -0.0]));
    row.dynamic.insert("k".to_owned(), n.into());
    row
}

fn int(id: i64, n: i64) -> Row {
    row(Key::Int(id), Some(n))
}

#[tokio::test]
async fn a_staged_change_is_seen_once_it_is_committed_and_never_if_it_is_not() {
    let table = table(Scalar::Int64);
    for mut backend in databases().await {
        let name = backend.name();
        assert!(!backend.has_table(&table).await.unwrap());
        backend.create_table(&table).await.unwrap();
        assert!(backend.has_table(&table).await.unwrap());
        backend.upsert(&table, &[int(1, 1), int(2, 2)]).await.unwrap();
        let before = backend.scan(&table).await.unwrap();
        let mut other = backend.session().unwrap();

        // Two at once, on one session, while others read.
        let rows = [int(3, 3), int(4, 4)];
        let first = backend.stage(&table, Change::Insert(&rows)).await.unwrap();
        let rows = [int(1, 10), int(5, 5)];
        let second = backend.stage(&table, Change::Upsert(&rows)).await.unwrap();
        assert_eq!(backend.scan(&table).await.unwrap(), before, "{name}");
        assert_eq!(other.scan(&table).await.unwrap(), before, "{name}");
        second.commit().await.unwrap();
        let expected = [int(1, 10), int(2, 2), int(5, 5)];
        assert_eq!(other.scan(&table).await.unwrap(), expected, "{name}");
        first.withdraw().await.unwrap();
        assert_eq!(other.scan(&table).await.unwrap(), expected, "{name}");

        let keys = [Key::Int(2), Key::Int(77)];
        let delete = other.stage(&table, Change::Delete(&keys)).await.unwrap();
        assert_eq!(backend.scan(&table).await.unwrap(), expected, "{name}");
        delete.commit().await.unwrap();
        assert_eq!(backend.scan(&table).await.unwrap(), [int(1, 10), int(5, 5)], "{name}");

        // Dropped, a change is forgotten; what is staged next does not bring it back.
        drop(backend.stage(&table, Change::Delete(&[Key::Int(1)])).await.unwrap());
        for change in [Change::Insert(&[]), Change::Upsert(&[int(6, 6)]), Change::Delete(&[])] {
            backend.stage(&table, change).await.unwrap().commit().await.unwrap();
        }
        let expected = [int(1, 10), int(5, 5), int(6, 6)];
        assert_eq!(backend.scan(&table).await.unwrap(), expected, "{name}");
        backend.drop_table(&table).await.unwrap();
        assert!(!other.has_table(&table).await.unwrap());
    }
}

#[tokio::test]
async fn selections_count_and_divide() {
    let table = table(Scalar::VarChar);
    let keys = ["", "A", "a", "a b", "it's", "z", "é", "日"];
    let rows: Vec<Row> = keys
        .iter()
        .enumerate()
        .map(|(i, key)| row(Key::Text((*key).to_owned()), (i != 3).then_some(i as i64)))
        .collect();
    let text = |key: &str| Key::Text(key.to_owned());
    for mut backend in databases().await {
        let name = backend.name();
        backend.create_table(&table).await.unwrap();
        backend.upsert(&table, &rows).await.unwrap();

        let range = |after: Option<&str>, upto: Option<&str>| Selection {
            keys: KeySet::Range { after: after.map(text), upto: upto.map(text) },
            ..Selection::default()
        };
        let found = backend.select(&table, range(Some("A"), Some("it's"))).await.unwrap();
        assert_eq!(found, rows[2..=4], "{name}");
        let found = backend.select(&table, range(Some("z"), None)).await.unwrap();
        assert_eq!(found, rows[6..], "{name}");
        let limited = Selection { limit: Some(2), ..range(None, Some("zz")) };
        assert_eq!(backend.select(&table, limited).await.unwrap(), rows[..2], "{name}");

        let filter = parse("n >= 2").unwrap();
        let fields = ["n".to_owned(), META.to_owned()];
        let these = [text("é"), text("A"), text("none"), text("z")];
        let selection = Selection {
            filter: Some(&filter),
            keys: KeySet::These(&these),
            fields: Some(&fields),
            limit: None,
        };
        let found = backend.select(&table, selection).await.unwrap();
        let mut expected = vec![rows[5].clone(), rows[6].clone()];
        for row in &mut expected {
            row.fields.remove("v");
        }
        assert_eq!(found, expected, "{name}");
        let none = Selection { keys: KeySet::These(&[]), ..Selection::default() };
        assert_eq!(backend.select(&table, none).await.unwrap(), [], "{name}");

        assert_eq!(backend.count(&table, None).await.unwrap(), 8, "{name}");
        assert_eq!(backend.count(&table, Some(&filter)).await.unwrap(), 5, "{name}");
        let bounds = backend.bounds(&table, 3).await.unwrap();
        assert_eq!(bounds, [text("a"), text("z")], "{name}");
        assert_eq!(backend.bounds(&table, 9).await.unwrap(), [], "{name}");
    }
}

#[tokio::test]
async fn every_database_draws_the_same_keys() {
    let table = table(Scalar::Int64);
    let rows: Vec<Row> = (-50..50).map(|id| int(id, id)).collect();
    for mut backend in databases().await {
        backend.create_table(&table).await.unwrap();
        backend.upsert(&table, &rows).await.unwrap();
        let drawn = backend.draw(&table, 5, 7).await.unwrap();
        let mut keys: Vec<_> = rows.iter().filter_map(|row| row.key(&table.schema)).collect();
        keys.sort_by_cached_key(|key| crate::backend::select::lot(key, 7));
        keys.truncate(5);
        keys.sort_unstable();
        assert_eq!(drawn, keys, "{}", backend.name());
        assert_ne!(backend.draw(&table, 5, 8).await.unwrap(), keys);
        assert_eq!(backend.draw(&table, 1000, 8).await.unwrap().len(), 100);
    }
}

#[tokio::test]
async fn a_digest_is_that_of_the_rows_as_they_are() {
    let table = table(Scalar::Int64);
    for mut backend in databases().await {
        let name = backend.name();
        backend.create_table(&table).await.unwrap();
        assert_eq!(backend.digest(&table, KeySet::All).await.unwrap(), Digest::default(), "{name}");
        let rows: Vec<Row> = (0..50).map(|i| int(i, i % 7)).collect();
        backend.upsert(&table, &rows).await.unwrap();
        backend.upsert(&table, &[int(3, 100)]).await.unwrap();
        backend.delete(&table, &[Key::Int(4), Key::Int(40)]).await.unwrap();
        for keys in [
            KeySet::All,
            KeySet::Range { after: Some(Key::Int(2)), upto: Some(Key::Int(30)) },
            KeySet::These(&[Key::Int(3), Key::Int(4), Key::Int(5)]),
        ] {
            let selection = Selection { keys: keys.clone(), ..Selection::default() };
            let rows = backend.select(&table, selection).await.unwrap();
            let digest = backend.digest(&table, keys).await.unwrap();
            assert_eq!(digest, Digest::of(&table.schema, &rows), "{name}");
            assert_eq!(digest.rows, rows.len() as u64, "{name}");
        }
        backend.drop_table(&table).await.unwrap();
    }
}
