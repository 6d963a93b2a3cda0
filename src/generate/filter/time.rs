//! Predicates on TIMESTAMPTZ columns.

use super::site::Site;
use super::term::Terms;
use crate::filter::grammar::Construct;
use crate::filter::{BinaryOp, Expr, Interval, Literal};
use crate::generate::boundary;
use crate::value::timestamp::RANGE;

const SECOND: i64 = 1_000_000;

/// Intervals without months: one of each unit, and those at which a count overflows or a fraction
/// is lost.
const CLOCKS: [(i32, i64); 12] = [
    (0, 0),
    (0, 1),
    (0, SECOND / 2),
    (0, SECOND),
    (0, 90 * SECOND),
    (0, 60 * SECOND),
    (0, 3600 * SECOND),
    (0, 100 * 3600 * SECOND),
    (1, 0),
    (1, 7200 * SECOND + 1),
    (31, 0),
    (400 * 366, 0),
];
const MONTHS: [i32; 6] = [1, 2, 11, 12, 25, 1200];

impl Terms<'_> {
    /// A comparison of a TIMESTAMPTZ column, moved or not, with a constant.
    pub(super) fn time(&mut self, construct: Construct, site: &Site) -> Expr {
        let field = Expr::Field(site.path.clone());
        let moment = self.moment(site);
        let (days, micros) = self.chance.one_of(CLOCKS);
        let interval = match construct {
            Construct::TimestampInterval => Some(Interval { months: 0, days, micros }),
            Construct::TimestampIntervalMonths => {
                let months = self.chance.one_of(MONTHS);
                let alone = !self.chance.one_in(4);
                Some(match alone {
                    true => Interval { months, ..Interval::default() },
                    false => Interval { months, days: 1, micros: micros % SECOND },
                })
            }
            _ => None,
        };
        let (operand, moment) = match interval {
            None => (field, moment),
            Some(interval) => {
                let forwards = self.chance.one_in(2);
                let op = if forwards { BinaryOp::Add } else { BinaryOp::Sub };
                // About where the column comes to, so that the answer depends on every part.
                let month = 2_629_746 * SECOND;
                let length = Interval { months: 0, ..interval }.length().unwrap_or_default();
                let length = length.saturating_add(i64::from(interval.months) * month);
                let moved = match forwards {
                    true => moment.saturating_add(length),
                    false => moment.saturating_sub(length),
                };
                let within = moved.clamp(*RANGE.start(), *RANGE.end());
                (Expr::binary(field, op, Expr::Literal(Literal::Interval(interval))), within)
            }
        };
        let moment = Expr::Literal(Literal::Timestamp(moment));
        let op = self.chance.one_of(BinaryOp::COMPARISONS);
        let reversed = match construct {
            Construct::TimestampReversed => true,
            Construct::Timestamp => false,
            _ => self.chance.one_in(4),
        };
        if reversed { Expr::binary(moment, op, operand) } else { Expr::binary(operand, op, moment) }
    }

    /// A moment that some row has, or one at which implementations go wrong; now and then one
    /// microsecond off.
    fn moment(&mut self, site: &Site) -> i64 {
        let found = match self.chance.one_in(4) {
            false => self.chance.pick(&site.values),
            true => None,
        };
        let moment = match found {
            Some(Literal::Timestamp(micros)) => *micros,
            _ => self.chance.one_of(boundary::MOMENTS),
        };
        let off = self.chance.one_of([0, 0, 0, 1, -1]);
        moment.saturating_add(off).clamp(*RANGE.start(), *RANGE.end())
    }
}
