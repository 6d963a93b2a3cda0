//! TIMESTAMPTZ literals: ISO 8601 instants and intervals.

use std::fmt::{self, Display, Formatter};

use jiff::civil::DateTime;
use jiff::{SignedDuration, Span};

use super::ast::Interval;
use super::eval::Undefined;
use crate::value::timestamp::{EPOCH, RANGE, from_text};

/// Microseconds in a day: there is no other in UTC.
const DAY: i64 = 86_400_000_000;

/// Reads an instant, which must state its offset.
pub(super) fn parse_instant(text: &str) -> Option<i64> {
    from_text(text.trim())
}

/// Reads an interval: `P1Y2M3W4DT5H6M7.5S`. None is negative, as in the server.
pub(super) fn parse_interval(text: &str) -> Option<Interval> {
    // jiff would also read "1 day".
    let text = Some(text.trim()).filter(|text| text.starts_with('P'))?;
    let span: Span = text.parse().ok().filter(|span: &Span| !span.is_negative())?;
    let months = i64::from(span.get_years()) * 12 + i64::from(span.get_months());
    let days = i64::from(span.get_weeks()) * 7 + i64::from(span.get_days());
    let seconds = i64::from(span.get_hours())
        .checked_mul(3600)?
        .checked_add(span.get_minutes().checked_mul(60)?)?
        .checked_add(span.get_seconds())?;
    let micros = span
        .get_milliseconds()
        .checked_mul(1000)?
        .checked_add(span.get_microseconds())?
        .checked_add(span.get_nanoseconds() / 1000)?;
    let interval = Interval {
        months: i32::try_from(months).ok()?,
        days: i32::try_from(days).ok()?,
        micros: seconds.checked_mul(1_000_000)?.checked_add(micros)?,
    };
    // Years and months together may be more months than jiff reads.
    interval.to_string().parse::<Span>().is_ok().then_some(interval)
}

impl Interval {
    /// Its length in microseconds, if it has one: a month has none. `None` also beyond the years
    /// that timestamps have, to which nothing can be moved.
    pub(crate) fn length(&self) -> Option<i64> {
        let days = i64::from(self.days).checked_mul(DAY)?;
        (self.months == 0).then_some(days.checked_add(self.micros)?)
    }
}

/// An instant moved by an interval, in the calendar of UTC.
///
/// What a month after 31 January is, no documentation says, nor whether months are added before
/// days: both are undefined where the answer depends on it.
pub(super) fn shift(micros: i64, interval: Interval, backwards: bool) -> Result<i64, Undefined> {
    let instant = EPOCH.checked_add(SignedDuration::from_micros(micros));
    let instant = instant.map_err(|_| Undefined::Overflow)?;
    // Days of 1 to 28 are in every month.
    if interval.months != 0 && instant.day() > 28 {
        return Err(Undefined::MonthEnd);
    }
    let months = Span::new().try_months(interval.months);
    let days = Span::new().try_days(interval.days);
    let (Ok(months), Ok(days)) = (months, days) else { return Err(Undefined::Overflow) };
    let clock = SignedDuration::from_micros(interval.micros);
    let by_span = |from: DateTime, span: Span| match backwards {
        true => from.checked_sub(span),
        false => from.checked_add(span),
    };
    let by_clock = |from: DateTime| match backwards {
        true => from.checked_sub(clock),
        false => from.checked_add(clock),
    };
    let months_first = by_span(instant, months).and_then(|at| by_span(at, days)).and_then(by_clock);
    let months_last = by_span(instant, days).and_then(by_clock).and_then(|at| by_span(at, months));
    let (Ok(moved), Ok(other)) = (months_first, months_last) else {
        return Err(Undefined::Overflow);
    };
    if moved != other {
        return Err(Undefined::MonthEnd);
    }
    let micros = i64::try_from(moved.duration_since(EPOCH).as_micros());
    micros.ok().filter(|micros| RANGE.contains(micros)).ok_or(Undefined::Overflow)
}

impl Display for Interval {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let clock = SignedDuration::from_micros(self.micros);
        f.write_str("P")?;
        for (count, unit) in [(self.months, "M"), (self.days, "D")] {
            if count != 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        let none = self.months == 0 && self.days == 0;
        let (seconds, micros) = (clock.as_secs(), clock.subsec_micros());
        match (seconds, micros) {
            (0, 0) if none => f.write_str("0D"),
            (0, 0) => Ok(()),
            (seconds, 0) if seconds % 3600 == 0 => write!(f, "T{}H", seconds / 3600),
            (seconds, 0) => write!(f, "T{seconds}S"),
            (seconds, micros) => {
                let sign = if self.micros < 0 { "-" } else { "" };
                write!(f, "T{sign}{}.{:06}S", seconds.abs(), micros.abs())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_read_back() {
        for text in ["P1M", "P3D", "P1DT2H", "PT90S", "PT0.000001S", "PT0S", "P14M2DT0.5S"] {
            let interval = parse_interval(text).unwrap();
            assert_eq!(parse_interval(&interval.to_string()), Some(interval), "{text}");
        }
        assert_eq!(parse_instant("2026-01-01T00:00:00"), None);
        assert_eq!(
            parse_instant("2026-01-01T02:00:00+02:00"),
            parse_instant("2026-01-01T00:00:00Z")
        );
    }

    #[test]
    fn a_month_is_the_calendars() {
        let at = |text| parse_instant(text).unwrap();
        let moved = |from, interval, backwards| {
            shift(at(from), parse_interval(interval).unwrap(), backwards)
        };
        for (from, interval, backwards, to) in [
            ("2026-01-28T00:00:00Z", "P1M", false, "2026-02-28T00:00:00Z"),
            ("2026-03-01T00:00:00Z", "P1M", true, "2026-02-01T00:00:00Z"),
            ("2024-02-28T12:00:00Z", "P1Y", false, "2025-02-28T12:00:00Z"),
            ("2024-02-28T12:00:00Z", "P1DT12H", false, "2024-03-01T00:00:00Z"),
            ("9999-12-31T23:59:59Z", "PT0.999999S", false, "9999-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(moved(from, interval, backwards), Ok(at(to)), "{from} {interval}");
        }
        for (from, interval, backwards, open) in [
            ("2026-01-31T00:00:00Z", "P1M", false, Undefined::MonthEnd),
            ("2026-01-15T00:00:00Z", "P1M20D", false, Undefined::MonthEnd),
            ("9999-12-31T23:59:59Z", "PT1S", false, Undefined::Overflow),
            ("0001-01-01T00:00:00Z", "PT1S", true, Undefined::Overflow),
            ("2026-01-01T00:00:00Z", "P200000M", false, Undefined::Overflow),
        ] {
            assert_eq!(moved(from, interval, backwards), Err(open), "{from} {interval}");
        }
    }
}
