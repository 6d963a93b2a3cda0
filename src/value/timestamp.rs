//! Moments as microseconds since 1970, and as ISO 8601 text.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp, Unit};

pub(crate) const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// The moments of the years 1 to 9999, which is what ISO 8601 and Milvus's clients can write.
pub(crate) const RANGE: std::ops::RangeInclusive<i64> =
    -62_135_596_800_000_000..=253_402_300_799_999_999;

/// The moment in UTC: `2024-02-29T12:00:00.500000Z`, without zeros alone.
pub(crate) fn to_text(micros: i64) -> String {
    // Beyond the range nothing is a value; see `Value::fits`.
    let moment = EPOCH.saturating_add(SignedDuration::from_micros(micros));
    if moment.subsec_nanosecond() == 0 { format!("{moment}Z") } else { format!("{moment:.6}Z") }
}

/// Reads ISO 8601 text with `Z` or an offset. `None` if it is not that, or not a whole number of
/// microseconds.
pub(crate) fn from_text(text: &str) -> Option<i64> {
    let nanoseconds = match text.strip_suffix('Z') {
        // Not as a `Timestamp`, which ends a day before the year does, to have room for offsets.
        Some(civil) => {
            let since = civil.parse::<DateTime>().ok()?.since((Unit::Second, EPOCH)).ok()?;
            since.total(Unit::Second).ok()?;
            SignedDuration::try_from(since).ok()?.as_nanos()
        }
        None => text.parse::<Timestamp>().ok()?.as_nanosecond(),
    };
    let micros = i64::try_from(nanoseconds / 1000).ok()?;
    (nanoseconds % 1000 == 0 && RANGE.contains(&micros)).then_some(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_round_trip_through_their_text() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (1_709_208_000_500_000, "2024-02-29T12:00:00.500000Z"),
            (*RANGE.start(), "0001-01-01T00:00:00Z"),
            (*RANGE.end(), "9999-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(to_text(micros), text);
            assert_eq!(from_text(text), Some(micros), "{text}");
        }
        assert_eq!(from_text("1970-01-01T01:00:00+01:00"), Some(0));
        for wrong in ["1970-01-01", "1970-01-01T00:00:00", "1970-01-01T00:00:00.0000001Z", "x", ""]
        {
            assert_eq!(from_text(wrong), None, "{wrong}");
        }
    }
}
