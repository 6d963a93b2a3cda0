//! What selections have in common, whatever the database.

use sha2::{Digest, Sha256};

use super::sql::{Constant, SqlDialect, lower};
use super::{Backend, BackendError, KeySet, Selection, Table};
use crate::schema::Schema;
use crate::value::Key;

/// ` WHERE …`, or nothing.
pub(super) fn conditions(
    dialect: &dyn SqlDialect,
    schema: &Schema,
    selection: &Selection<'_>,
) -> Result<String, BackendError> {
    let mut conditions = Vec::new();
    let column = dialect.column(schema, &schema.primary().name);
    match &selection.keys {
        KeySet::All => {}
        KeySet::These(keys) => conditions.push(key_in(dialect, schema, *keys)),
        KeySet::Range { after, upto } => {
            let bound = |op: &str, key: &Key| format!("{column} {op} {}", constant(dialect, key));
            conditions.extend(after.iter().map(|key| bound(">", key)));
            conditions.extend(upto.iter().map(|key| bound("<=", key)));
        }
    }
    if let Some(filter) = selection.filter {
        conditions.push(format!("({})", lower(dialect, schema, filter)?));
    }
    match conditions.is_empty() {
        true => Ok(String::new()),
        false => Ok(format!(" WHERE {}", conditions.join(" AND "))),
    }
}

/// Whether a row has one of these keys.
pub(super) fn key_in<'a>(
    dialect: &dyn SqlDialect,
    schema: &Schema,
    keys: impl IntoIterator<Item = &'a Key>,
) -> String {
    let column = dialect.column(schema, &schema.primary().name);
    let mut keys: Vec<&Key> = keys.into_iter().collect();
    keys.sort_unstable();
    keys.dedup();
    let (mut runs, mut single) = (Vec::new(), Vec::new());
    for run in keys.chunk_by(|a, b| follows(a, b)) {
        match run {
            [first, .., last] if run.len() >= RUN => {
                let (first, last) = (constant(dialect, first), constant(dialect, last));
                runs.push(format!("{column} BETWEEN {first} AND {last}"));
            }
            run => single.extend(run.iter().map(|key| constant(dialect, key))),
        }
    }
    if !single.is_empty() {
        runs.push(format!("{column} IN ({})", single.join(", ")));
    }
    match runs.as_slice() {
        [] => dialect.constant(Constant::Bool(false)),
        [only] => only.clone(),
        _ => format!("({})", runs.join(" OR ")),
    }
}

/// From so many keys on, one after the other, they are asked for as a range: planning a list of a
/// thousand keys takes DuckDB longer than finding them.
const RUN: usize = 16;

fn follows(key: &Key, next: &Key) -> bool {
    matches!((key, next), (Key::Int(key), Key::Int(next)) if key.checked_add(1) == Some(*next))
}

fn constant(dialect: &dyn SqlDialect, key: &Key) -> String {
    dialect.constant(match key {
        Key::Int(i) => Constant::Int(*i),
        Key::Text(s) => Constant::Text(s),
    })
}

/// Every `step`-th key of a table.
pub(super) fn bounds_statement(key: &str, table: &str, step: usize) -> String {
    format!(
        "SELECT k FROM (SELECT {key} AS k, row_number() OVER (ORDER BY {key}) AS n FROM {table}) \
         WHERE n % {} = 0",
        step.max(1)
    )
}

/// All keys, sorted.
pub(super) async fn keys(
    backend: &mut (impl Backend + ?Sized),
    table: &Table,
) -> Result<Vec<Key>, BackendError> {
    let selection = Selection { fields: Some(&[]), ..Selection::default() };
    let rows = backend.select(table, selection).await?;
    Ok(rows.iter().filter_map(|row| row.key(&table.schema)).collect())
}

/// By which keys are drawn: the least come first. The databases compute the same.
pub(super) fn lot(key: &Key, seed: u64) -> Vec<u8> {
    let text = match key {
        Key::Int(i) => format!("{seed}/{i}"),
        Key::Text(text) => format!("{seed}/{text}"),
    };
    Sha256::digest(text).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::DuckDbDialect;
    use crate::schema::{DataType, Field, Scalar};

    #[test]
    fn keys_one_after_the_other_are_a_range() {
        let id = Field::new("id", DataType::Scalar(Scalar::Int64)).primary();
        let schema = Schema { fields: vec![id], dynamic: false };
        let sql = |keys: &[i64]| {
            let keys: Vec<Key> = keys.iter().copied().map(Key::Int).collect();
            key_in(&DuckDbDialect, &schema, &keys)
        };
        let last: Vec<i64> = (i64::MAX - 15..=i64::MAX).rev().collect();
        assert_eq!(sql(&[]), "FALSE");
        assert_eq!(sql(&[3, 1, 2, 3]), "\"id\" IN (1, 2, 3)");
        assert_eq!(sql(&last), "\"id\" BETWEEN 9223372036854775792 AND 9223372036854775807");
        let both: Vec<i64> = (0..20).chain([7, 40, 42]).collect();
        assert_eq!(sql(&both), "(\"id\" BETWEEN 0 AND 19 OR \"id\" IN (40, 42))");
    }
}
