//! What a question is about, beside its filter: a part of a collection, by one of its names.

use std::fmt;

/// The partition that every collection has: for rows that are written into no other.
pub(crate) const DEFAULT_PARTITION: &str = "_default";

/// The part of a collection that a question is about, and the name by which it is asked.
///
/// ```
/// use milvus_difftest::case::Scope;
/// let partitions = vec!["red".to_owned(), "_default".to_owned()];
/// let scope = Scope { partitions, alias: Some("latest".to_owned()) };
/// assert_eq!(scope.to_string(), "in the partitions red, _default through the alias latest");
/// assert!(Scope::default().is_whole());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// The partitions that are looked at; all of them if none is named.
    pub partitions: Vec<String>,
    /// The alias in the place of the collection's name.
    pub alias: Option<String>,
}

impl Scope {
    /// All of the collection, by its name.
    pub const WHOLE: &Scope = &Scope { partitions: Vec::new(), alias: None };

    /// Whether it is all of the collection, by its name.
    pub fn is_whole(&self) -> bool {
        self == Scope::WHOLE
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.partitions.as_slice() {
            [] => {}
            [one] => write!(f, "in the partition {one}")?,
            several => write!(f, "in the partitions {}", several.join(", "))?,
        }
        match &self.alias {
            None => Ok(()),
            Some(alias) => {
                f.write_str(if self.partitions.is_empty() { "" } else { " " })?;
                write!(f, "through the alias {alias}")
            }
        }
    }
}
