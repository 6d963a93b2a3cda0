//! How often constructs are used.

use std::collections::BTreeMap;

use crate::filter::Filter;
use crate::filter::grammar::{Construct, UnknownConstruct, cells, family};
use crate::schema::Schema;

/// How often constructs are used, from 0, never, to 1, as often as otherwise; those without a
/// weight are not held back.
///
/// ```
/// use milvus_difftest::generate::Weights;
/// let mut weights = Weights::default();
/// weights.set("like", 0.2).unwrap();
/// assert!(weights.set("modulos", 0.2).unwrap_err().to_string().contains("'modulo'?"));
/// assert!(weights.set("like", 2.0).is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Weights(BTreeMap<Construct, f64>);

/// A weight that cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightError {
    /// The name is no construct's.
    #[error(transparent)]
    Unknown(#[from] UnknownConstruct),
    /// The weight is no share.
    #[error("the weight of '{name}' is not within 0 and 1: {weight}")]
    OutOfRange {
        /// The construct's name.
        name: String,
        /// Its weight.
        weight: f64,
    },
}

impl Weights {
    /// Gives the constructs that a name stands for a weight, by the names that dialects use, as
    /// `like` or `arithmetic`; see [`family`].
    ///
    /// # Errors
    /// If there are no such constructs, or the weight is not within 0 and 1.
    pub fn set(&mut self, name: &str, weight: f64) -> Result<(), WeightError> {
        if !(0.0..=1.0).contains(&weight) {
            return Err(WeightError::OutOfRange { name: name.to_owned(), weight });
        }
        self.0.extend(family(name)?.into_iter().map(|construct| (construct, weight)));
        Ok(())
    }

    /// The constructs that have a weight, by their names.
    pub fn iter(&self) -> impl Iterator<Item = (Construct, f64)> {
        self.0.iter().map(|(construct, weight)| (*construct, *weight))
    }

    /// Holds a construct back to this share at most.
    pub(crate) fn limit(&mut self, construct: Construct, share: f64) {
        let weight = self.0.entry(construct).or_insert(1.0);
        *weight = weight.min(share);
    }

    /// The lesser of both weights of each construct.
    pub(crate) fn limited_by(&self, other: &Weights) -> Weights {
        let mut limited = self.clone();
        other.0.iter().for_each(|(construct, share)| limited.limit(*construct, *share));
        limited
    }

    /// The share of filters like this one that is kept: the least of the weights of what it uses,
    /// and 1 if nothing of it has one.
    pub fn share(&self, schema: &Schema, filter: &Filter) -> f64 {
        if self.0.is_empty() {
            return 1.0;
        }
        let used = cells(schema, filter).into_iter();
        used.filter_map(|cell| self.0.get(&cell.construct)).fold(1.0, |least, it| least.min(*it))
    }
}
