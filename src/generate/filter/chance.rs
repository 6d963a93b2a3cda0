//! Random choices.

use proptest::prelude::Rng;
use proptest::test_runner::TestRng;

/// A source of random choices, reproducible from its generator.
pub(in crate::generate) struct Chance(TestRng);

impl Chance {
    pub(in crate::generate) fn new(rng: TestRng) -> Chance {
        Chance(rng)
    }

    /// A number below `bound`, which must not be 0.
    pub(in crate::generate) fn below(&mut self, bound: usize) -> usize {
        // The bias is below 2^-40 for the small bounds here.
        (self.0.next_u64() % bound.max(1) as u64) as usize
    }

    /// A number within both ends.
    pub(in crate::generate) fn within(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// True so many times in a thousand.
    pub(in crate::generate) fn permille(&mut self, times: usize) -> bool {
        self.below(1000) < times
    }

    pub(in crate::generate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// One of them; `None` if there is none.
    pub(in crate::generate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { items.get(self.below(items.len())) }
    }

    /// One of an array that has some.
    pub(in crate::generate) fn one_of<T: Copy, const N: usize>(&mut self, items: [T; N]) -> T {
        const { assert!(N > 0) }
        items[self.below(N)]
    }
}
