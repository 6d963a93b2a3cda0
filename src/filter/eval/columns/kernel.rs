//! Loops over rows. Truths are bytes in them.

use std::cmp::Ordering;
use std::ops::Range;

use crate::filter::eval::Truth;
use crate::filter::eval::operand::{Operand, double_arithmetic, float_arithmetic, integers};
use crate::filter::operator::BinaryOp;

// Truths as bytes, so that loops over many are loops over bytes: `and` is the least of two, `or`
// the greatest, but for OPEN, which wins: the row evaluator knows no short cuts either.
pub(super) const FALSE: u8 = 0;
pub(super) const UNKNOWN: u8 = 1;
pub(super) const TRUE: u8 = 2;
/// The row evaluator must be asked.
pub(super) const OPEN: u8 = 3;

/// A column that holds a value here; a null is `UNKNOWN`, anything else `OPEN`.
pub(super) const VALID: u8 = 0;

pub(super) fn coded(truth: Truth) -> u8 {
    match truth {
        Truth::False => FALSE,
        Truth::Unknown => UNKNOWN,
        Truth::True => TRUE,
    }
}

pub(super) fn decoded(code: u8) -> Truth {
    match code {
        FALSE => Truth::False,
        TRUE => Truth::True,
        _ => Truth::Unknown,
    }
}

pub(super) fn not(code: u8) -> u8 {
    if code == OPEN { OPEN } else { TRUE - code }
}

pub(super) fn and(a: u8, b: u8) -> u8 {
    if a.max(b) == OPEN { OPEN } else { a.min(b) }
}

/// The first row from `at` on that loops have left open.
pub(super) fn next_open(codes: &[u8], at: usize) -> Option<usize> {
    codes.get(at..)?.iter().position(|code| *code == OPEN).map(|offset| at + offset)
}

pub(super) fn holds(truth: bool) -> u8 {
    if truth { TRUE } else { FALSE }
}

/// So many rows are looked at together: what a tree keeps of them fits the nearest cache.
pub(super) const BLOCK: usize = 1024;

/// Writes the truth of one predicate on these rows, at most [`BLOCK`].
pub(super) type Kernel<'c> = Box<dyn Fn(Range<usize>, &mut [u8]) + 'c>;

/// Typed values of all rows: a column, or what is computed from some.
pub(super) enum Source<'c, T> {
    Column(&'c [T], &'c [u8]),
    Computed(Box<dyn Fn(usize) -> (T, u8) + 'c>),
}

/// An operand on all rows.
pub(super) enum Values<'c> {
    Bool(Source<'c, bool>),
    Int(Source<'c, i64>),
    Float(Source<'c, f32>),
    Double(Source<'c, f64>),
    Text(Source<'c, &'c str>),
    Timestamp(Source<'c, i64>),
    /// Each row decides what it is; `None` is `OPEN`.
    Any(Box<dyn Fn(usize) -> Option<Operand<'c>> + 'c>),
}

impl<'c, T: Copy + 'c> Source<'c, T> {
    pub(super) fn get(&self, row: usize) -> Option<(T, u8)> {
        match self {
            Source::Column(values, states) => Some((*values.get(row)?, *states.get(row)?)),
            Source::Computed(compute) => Some(compute(row)),
        }
    }

    /// What a function makes of each value; `None` is `OPEN`.
    pub(super) fn map<U: Copy + Default + 'c>(
        self,
        function: impl Fn(T) -> Option<U> + 'c,
    ) -> Source<'c, U> {
        Source::Computed(Box::new(move |row| match self.get(row) {
            Some((value, VALID)) => match function(value) {
                Some(value) => (value, VALID),
                None => (U::default(), OPEN),
            },
            Some((_, state)) => (U::default(), state),
            None => (U::default(), OPEN),
        }))
    }

    /// What a function makes of each pair of values; `None` is `OPEN`, and so is a pair with one.
    pub(super) fn with<U: Copy + 'c, V: Copy + Default + 'c>(
        self,
        other: Source<'c, U>,
        function: impl Fn(T, U) -> Option<V> + 'c,
    ) -> Source<'c, V> {
        Source::Computed(Box::new(move |row| match (self.get(row), other.get(row)) {
            (Some((a, VALID)), Some((b, VALID))) => match function(a, b) {
                Some(value) => (value, VALID),
                None => (V::default(), OPEN),
            },
            (Some((_, a)), Some((_, b))) => (V::default(), a.max(b)),
            _ => (V::default(), OPEN),
        }))
    }
}

pub(super) fn constantly<'c>(code: u8) -> Kernel<'c> {
    Box::new(move |_, out| out.fill(code))
}

pub(super) fn joined<'c>(
    left: Kernel<'c>,
    right: Kernel<'c>,
    join: impl Fn(u8, u8) -> u8 + 'c,
) -> Kernel<'c> {
    Box::new(move |range, out| {
        left(range.clone(), out);
        let mut others = [OPEN; BLOCK];
        let others = &mut others[..out.len()];
        right(range, others);
        for (code, other) in out.iter_mut().zip(others) {
            *code = join(*code, *other);
        }
    })
}

/// One test on each value; a null is unknown.
pub(super) fn each<'c, T: Copy + 'c>(
    source: Source<'c, T>,
    test: impl Fn(T) -> u8 + 'c,
) -> Kernel<'c> {
    match source {
        Source::Column(values, states) => Box::new(move |range, out| {
            let rows = values[range.clone()].iter().zip(&states[range]);
            for (out, (value, state)) in out.iter_mut().zip(rows) {
                *out = if *state == VALID { test(*value) } else { *state };
            }
        }),
        Source::Computed(compute) => Box::new(move |range, out| {
            for (out, row) in out.iter_mut().zip(range) {
                let (value, state) = compute(row);
                *out = if state == VALID { test(value) } else { state };
            }
        }),
    }
}

pub(super) fn any_each<'c>(
    any: Box<dyn Fn(usize) -> Option<Operand<'c>> + 'c>,
    test: impl Fn(Operand<'c>) -> u8 + 'c,
) -> Kernel<'c> {
    Box::new(move |range, out| {
        for (out, row) in out.iter_mut().zip(range) {
            *out = any(row).map_or(OPEN, &test);
        }
    })
}

/// A comparison of values that all have an order with one of them.
pub(super) fn compare<'c, T: PartialOrd + Copy + 'c>(
    op: BinaryOp,
    source: Source<'c, T>,
    constant: T,
) -> Option<Kernel<'c>> {
    Some(match op {
        BinaryOp::Eq => each(source, move |value| holds(value == constant)),
        BinaryOp::Ne => each(source, move |value| holds(value != constant)),
        BinaryOp::Lt => each(source, move |value| holds(value < constant)),
        BinaryOp::Le => each(source, move |value| holds(value <= constant)),
        BinaryOp::Gt => each(source, move |value| holds(value > constant)),
        BinaryOp::Ge => each(source, move |value| holds(value >= constant)),
        _ => return None,
    })
}

/// The truth that a value and its neighbours have in common.
pub(super) fn steady<T>(truth: impl Fn(T) -> Option<bool>, values: [T; 3]) -> u8 {
    match values.map(truth) {
        [Some(a), Some(b), Some(c)] if a == b && b == c => holds(a),
        _ => OPEN,
    }
}

/// A comparison of two operands that both depend on the row, with the usual arithmetic conversions.
pub(super) fn ordered<'c>(op: BinaryOp, left: Values<'c>, right: Values<'c>) -> Option<Kernel<'c>> {
    fn by<'c, T: Copy + 'c, U: Copy + 'c>(
        op: BinaryOp,
        left: Source<'c, T>,
        right: Source<'c, U>,
        order: impl Fn(T, U) -> Option<Ordering> + 'c,
    ) -> Kernel<'c> {
        each(left.with(right, move |a, b| op.holds(order(a, b)?)), holds)
    }
    use Values::{Bool, Double, Float, Int, Text, Timestamp};
    Some(match (left, right) {
        (Bool(a), Bool(b)) => by(op, a, b, |a, b| Some(a.cmp(&b))),
        (Text(a), Text(b)) => by(op, a, b, |a, b| Some(a.as_bytes().cmp(b.as_bytes()))),
        (Timestamp(a), Timestamp(b)) | (Int(a), Int(b)) => by(op, a, b, |a, b| Some(a.cmp(&b))),
        (Int(a), Float(b)) => by(op, a, b, |a, b| (a as f32).partial_cmp(&b)),
        (Float(a), Int(b)) => by(op, a, b, |a, b| a.partial_cmp(&(b as f32))),
        (Float(a), Float(b)) => by(op, a, b, |a, b| a.partial_cmp(&b)),
        (Double(a), Double(b)) => by(op, a, b, |a, b| a.partial_cmp(&b)),
        (Int(a), Double(b)) => by(op, a, b, |a, b| (a as f64).partial_cmp(&b)),
        (Double(a), Int(b)) => by(op, a, b, |a, b| a.partial_cmp(&(b as f64))),
        (Float(a), Double(b)) => by(op, a, b, |a, b| f64::from(a).partial_cmp(&b)),
        (Double(a), Float(b)) => by(op, a, b, |a, b| a.partial_cmp(&f64::from(b))),
        _ => return None,
    })
}

/// Arithmetic between operands that both depend on the row.
pub(super) fn arithmetic<'c>(
    op: BinaryOp,
    left: Values<'c>,
    right: Values<'c>,
) -> Option<Values<'c>> {
    use Values::{Double, Float, Int};
    let float = move |a, b| float_arithmetic(op, a, b).ok();
    let double = move |a, b| double_arithmetic(op, a, b).ok();
    Some(match (left, right) {
        (Int(a), Int(b)) => Int(a.with(b, move |a, b| integers(op, a, b))),
        (Float(a), Float(b)) => Float(a.with(b, float)),
        (Int(a), Float(b)) => Float(a.with(b, move |a, b| float(a as f32, b))),
        (Float(a), Int(b)) => Float(a.with(b, move |a, b| float(a, b as f32))),
        (Double(a), Double(b)) => Double(a.with(b, double)),
        (Int(a), Double(b)) => Double(a.with(b, move |a, b| double(a as f64, b))),
        (Double(a), Int(b)) => Double(a.with(b, move |a, b| double(a, b as f64))),
        (Float(a), Double(b)) => Double(a.with(b, move |a, b| double(a.into(), b))),
        (Double(a), Float(b)) => Double(a.with(b, move |a, b| double(a, b.into()))),
        _ => return None,
    })
}
