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
    let keys: Vec<_> = keys.into_iter().map(|key| constant(dialect, key)).collect();
    match keys.is_empty() {
        true => dialect.constant(Constant::Bool(false)),
        false => {
            let column = dialect.column(schema, &schema.primary().name);
            format!("{column} IN ({})", keys.join(", "))
        }
    }
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
