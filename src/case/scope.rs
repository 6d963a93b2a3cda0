//! The part of a collection that a question is about.

use std::fmt;

/// The partition that every collection has: for rows that are written into no other.
pub(crate) const DEFAULT_PARTITION: &str = "_default";

/// The part of a collection that a question is about.
///
/// ```
/// use milvus_difftest::case::Scope;
/// let scope = Scope { partitions: vec!["a".to_owned(), "_default".to_owned()] };
/// assert_eq!(scope.to_string(), "in the partitions a, _default");
/// assert!(Scope::WHOLE.is_whole());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// The partitions that are looked at; all of them if none is named.
    pub partitions: Vec<String>,
}

impl Scope {
    /// All of the collection.
    pub const WHOLE: &Scope = &Scope { partitions: Vec::new() };

    /// Whether it is all of the collection.
    pub fn is_whole(&self) -> bool {
        self == Scope::WHOLE
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.partitions.as_slice() {
            [] => Ok(()),
            [one] => write!(f, "in the partition {one}"),
            several => write!(f, "in the partitions {}", several.join(", ")),
        }
    }
}
