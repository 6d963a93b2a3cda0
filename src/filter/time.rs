//! TIMESTAMPTZ literals: ISO 8601 instants and intervals.

use std::fmt::{self, Display, Formatter};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

use super::ast::Interval;

/// Microseconds since the epoch as an ISO 8601 instant in UTC.
pub(super) struct Iso(pub(super) i64);

impl Display for Iso {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match Timestamp::from_microsecond(self.0) {
            Ok(instant) => write!(f, "{instant}"),
            // Beyond the year 9999: nothing that a literal or a row could say.
            Err(_) => Err(fmt::Error),
        }
    }
}

/// Reads an instant, which must state its offset.
pub(super) fn parse_instant(text: &str) -> Option<i64> {
    let instant: Timestamp = text.trim().parse().ok()?;
    Some(instant.as_microsecond())
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

/// An instant moved by an interval, in the calendar of UTC; `None` beyond the years that
/// timestamps have.
pub(super) fn shift(micros: i64, interval: Interval, backwards: bool) -> Option<i64> {
    let instant = Timestamp::from_microsecond(micros).ok()?.to_zoned(TimeZone::UTC);
    let span = Span::new().try_months(interval.months).ok()?.try_days(interval.days).ok()?;
    let clock = SignedDuration::from_micros(interval.micros);
    let moved = if backwards {
        instant.checked_sub(span).ok()?.checked_sub(clock)
    } else {
        instant.checked_add(span).ok()?.checked_add(clock)
    };
    Some(moved.ok()?.timestamp().as_microsecond())
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
            (0, 0) if none => f.write_str("T0S"),
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
    fn instants_and_intervals_read_back() {
        for micros in [0, -1, 1_700_000_000_123_456, 253_402_207_200_000_000] {
            assert_eq!(parse_instant(&Iso(micros).to_string()), Some(micros));
        }
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
        let month = parse_interval("P1M").unwrap();
        assert_eq!(
            shift(at("2026-01-31T00:00:00Z"), month, false),
            Some(at("2026-02-28T00:00:00Z"))
        );
        assert_eq!(
            shift(at("2026-03-01T00:00:00Z"), month, true),
            Some(at("2026-02-01T00:00:00Z"))
        );
    }
}
