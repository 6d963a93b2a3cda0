//! How often each cell was touched.

use std::collections::{BTreeMap, BTreeSet};

use super::Cell;

/// Counts of the cells that filters touched, against those that an engine has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    wanted: BTreeSet<Cell>,
    counts: BTreeMap<Cell, u64>,
}

impl Coverage {
    /// Nothing touched yet of these cells.
    pub fn of(wanted: BTreeSet<Cell>) -> Coverage {
        Coverage { wanted, counts: BTreeMap::new() }
    }

    /// Counts some cells, whether wanted or not.
    pub fn add(&mut self, touched: &BTreeMap<Cell, u64>) {
        for (cell, count) in touched {
            *self.counts.entry(*cell).or_default() += count;
        }
    }

    /// How often a cell was touched.
    pub fn count(&self, cell: &Cell) -> u64 {
        self.counts.get(cell).copied().unwrap_or(0)
    }

    /// The cells that the engine has.
    pub fn wanted(&self) -> &BTreeSet<Cell> {
        &self.wanted
    }

    /// How many of them were touched.
    pub fn hit(&self) -> usize {
        self.wanted.iter().filter(|cell| self.count(cell) > 0).count()
    }

    /// Those that were not.
    pub fn missed(&self) -> impl Iterator<Item = &Cell> {
        self.wanted.iter().filter(|cell| self.count(cell) == 0)
    }

    /// The share that was touched; 1 if there is nothing to touch.
    pub fn share(&self) -> f64 {
        match self.wanted.len() {
            0 => 1.0,
            all => self.hit() as f64 / all as f64,
        }
    }
}
