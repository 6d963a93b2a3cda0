use crate::filter::TypeError;

/// Why a backend could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// A database could not be opened.
    #[error("cannot open the {backend} database '{place}': {reason}; check its path and rights")]
    Open {
        /// The database.
        backend: String,
        /// Where it is.
        place: String,
        /// Its own words.
        reason: String,
    },
    /// A statement failed, and so changed nothing.
    #[error(
        "{backend} could not {task}: {reason}; to look into it, run: {}", excerpt(.sql)
    )]
    Statement {
        /// The database, with its version.
        backend: String,
        /// What it should have done, as in `create 'items'`.
        task: String,
        /// Its own words.
        reason: String,
        /// The statement, in full.
        sql: String,
    },
    /// A database gave no answer: it has ended, or cannot be reached. What was to be done may have
    /// been done.
    #[error(
        "{backend} gave no answer when it was to {task}: {reason}; it has ended or cannot be \
         reached, see to it that it runs, and what it has to say of that"
    )]
    Unreachable {
        /// The database, with its version.
        backend: String,
        /// What it should have done, as in `create 'items'`.
        task: String,
        /// The connection's words.
        reason: String,
    },
    /// The filter has no meaning on this table's schema.
    #[error("{0}; check filters against the schema before they are sent to a backend")]
    Filter(#[from] TypeError),
    /// The type checker accepted a construct that the lowering does not know.
    #[error("no SQL is known for `{0}`; teach it to `backend::sql`, or make the checker reject it")]
    Lowering(String),
    /// The filter has a meaning that SQL cannot express exactly. No defect: whoever asks has to do
    /// without this database.
    #[error("SQL cannot express {construct}, and so not `{filter}`; judge it by the model alone")]
    Inexpressible {
        /// The filter.
        filter: String,
        /// What in it has no counterpart.
        construct: String,
    },
    /// A value is not one of its field's type, in a row to be stored or in what came back.
    #[error("'{field}' is {expected} and cannot be {found}; check that the row fits the schema")]
    Value {
        /// The field.
        field: String,
        /// Its type.
        expected: String,
        /// What it was to hold, shortened.
        found: String,
    },
}

/// The beginning of a statement, enough to recognise it by.
fn excerpt(sql: &str) -> String {
    const LONGEST: usize = 1000;
    match sql.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}… ({} bytes in all)", &sql[..end], sql.len()),
        None => sql.to_owned(),
    }
}
