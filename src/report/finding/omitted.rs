//! The part of `repro.py` for rows that leave out fields with a default. pymilvus sends nulls in
//! their place, which some servers take otherwise than columns that are not there, as other SDKs
//! send them.

use super::literal;
use crate::case::{Case, Operation};
use crate::schema::{Field, Schema};
use crate::value::Row;

const SPARSELY: &str = r#"

def sparsely(write, client, name, rows, **options):
    """Writes rows without the columns that they leave out; pymilvus sends nulls in those."""
    stub, method = client._get_connection()._stub, write.capitalize()
    call, ids = getattr(stub, method), []
    for given, batch in itertools.groupby(rows, key=set):
        omitted = DEFAULTS - given

        def send(request, **arguments):
            columns = [c for c in request.fields_data if c.field_name not in omitted]
            del request.fields_data[:]
            request.fields_data.extend(columns)
            return call(request, **arguments)

        setattr(stub, method, send)
        try:
            ids += getattr(client, write)(name, list(batch), **options).get("ids", [])
        finally:
            setattr(stub, method, call)
    return {"ids": ids}
"#;

/// The module that the part needs, if a case has such rows.
pub(super) fn module(case: &Case) -> Option<&'static str> {
    has_any(case).then_some("itertools")
}

/// The names that it compares with, a line, if a case has such rows.
pub(super) fn constant(case: &Case) -> String {
    if !has_any(case) {
        return String::new();
    }
    let names = defaults(&case.schema).map(|field| literal::string(&field.name));
    format!("DEFAULTS = {{{}}}\n", names.collect::<Vec<_>>().join(", "))
}

/// The function by which such rows are written.
pub(super) fn function(case: &Case) -> &'static str {
    if has_any(case) { SPARSELY } else { "" }
}

/// What a call that writes rows begins with.
pub(super) fn call(schema: &Schema, write: &str, rows: &[Row]) -> String {
    match leaves_out(schema, rows) {
        true => format!("sparsely(\"{write}\", client, name, rows, "),
        false => format!("client.{write}(name, rows, "),
    }
}

fn has_any(case: &Case) -> bool {
    case.operations.iter().enumerate().any(|(number, operation)| match operation.plain() {
        Operation::Insert(rows) | Operation::Upsert(rows) => {
            leaves_out(&case.schema_at(number), rows)
        }
        _ => false,
    })
}

fn leaves_out(schema: &Schema, rows: &[Row]) -> bool {
    rows.iter().any(|row| defaults(schema).any(|field| !row.fields.contains_key(&field.name)))
}

fn defaults(schema: &Schema) -> impl Iterator<Item = &Field> {
    schema.fields.iter().filter(|field| field.default.is_some())
}
