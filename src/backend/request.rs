//! What a backend is asked: which rows, and which change.

use crate::filter::Expr;
use crate::value::{Key, Row};

use super::Answer;

/// Which rows, and what of them. They come sorted by key.
///
/// ```
/// use milvus_difftest::backend::{KeySet, Selection};
/// use milvus_difftest::value::Key;
/// let after_ten = KeySet::Range { after: Some(Key::Int(10)), upto: None };
/// let page = Selection { keys: after_ten, limit: Some(100), ..Selection::default() };
/// assert!(page.fields.is_none());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Selection<'a> {
    /// Those on which it is true; without one, all.
    pub filter: Option<&'a Expr>,
    /// Those with one of these keys.
    pub keys: KeySet<'a>,
    /// These fields alone, `$meta` for the dynamic one, and the key in any case; without a list,
    /// every field.
    pub fields: Option<&'a [String]>,
    /// The first so many.
    pub limit: Option<usize>,
}

/// Keys, of rows that may or may not exist.
#[derive(Debug, Clone, Default)]
pub enum KeySet<'a> {
    /// Every key.
    #[default]
    All,
    /// These keys.
    These(&'a [Key]),
    /// Those greater than `after` and not greater than `upto`, where there are such.
    Range {
        /// The lower bound, itself outside.
        after: Option<Key>,
        /// The upper bound, itself inside.
        upto: Option<Key>,
    },
}

/// A write.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a> {
    /// Rows with keys that no row has.
    Insert(&'a [Row]),
    /// Rows that replace those with the same keys. When a key occurs twice the last row counts.
    Upsert(&'a [Row]),
    /// No rows any more with these keys; keys that no row has are ignored.
    Delete(&'a [Key]),
}

impl Change<'_> {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Change::Insert(rows) | Change::Upsert(rows) => rows.is_empty(),
            Change::Delete(keys) => keys.is_empty(),
        }
    }
}

/// A change that is ready and that nobody sees. It is forgotten when this is dropped.
pub trait Staged: Send {
    /// Makes all of it visible, at once and, where the database lasts, for good. On an error none
    /// of it is.
    fn commit(self: Box<Self>) -> Answer<'static, ()>;

    /// Forgets it.
    fn withdraw(self: Box<Self>) -> Answer<'static, ()>;
}
