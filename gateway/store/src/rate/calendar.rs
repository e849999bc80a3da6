//! Calendar spans: days and months in UTC.

use time::{Date, Duration, OffsetDateTime, Time};

use super::terms::QuotaSpan;

impl QuotaSpan {
    /// The name of the span that contains `at`: `2026-02-28`, `2026-02`.
    pub(super) fn name(self, at: OffsetDateTime) -> String {
        let (year, month, day) = at.to_offset(time::UtcOffset::UTC).to_calendar_date();
        let month = u8::from(month);
        match self {
            Self::Day => format!("{year:04}-{month:02}-{day:02}"),
            Self::Month => format!("{year:04}-{month:02}"),
        }
    }

    /// Start of the span that contains `at`.
    fn begin(self, at: OffsetDateTime) -> OffsetDateTime {
        let today = at.to_offset(time::UtcOffset::UTC).date();
        let first = match self {
            Self::Day => today,
            Self::Month => today.replace_day(1).unwrap_or(today),
        };
        first.with_time(Time::MIDNIGHT).assume_utc()
    }

    /// End of the span that contains `at`, which is the start of the next one.
    pub(super) fn end(self, at: OffsetDateTime) -> OffsetDateTime {
        let begin = self.begin(at);
        // This time is always in the next span: later than the end of the longest span, and earlier than the end of
        // the next one.
        let within_next = match self {
            Self::Day => begin.checked_add(Duration::hours(36)),
            Self::Month => begin.checked_add(Duration::days(40)),
        };
        within_next.map_or(Date::MAX.with_time(Time::MIDNIGHT).assume_utc(), |next| self.begin(next))
    }

    /// The ends of the previous, the current and the next span, in seconds since 1970. A server whose clock differs
    /// from this process's takes the first one in its own future.
    pub(super) fn ends_around(self, at: OffsetDateTime) -> [i64; 3] {
        let end = self.end(at);
        [self.begin(at), end, self.end(end)].map(OffsetDateTime::unix_timestamp)
    }

    /// Length of the current span.
    #[must_use]
    pub fn length(self) -> std::time::Duration {
        let now = OffsetDateTime::now_utc();
        (self.end(now) - self.begin(now)).unsigned_abs()
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn spans_follow_the_calendar() {
        let leap = datetime!(2028-02-29 23:59:59.999 UTC);
        assert_eq!(QuotaSpan::Day.name(leap), "2028-02-29");
        assert_eq!(QuotaSpan::Month.name(leap), "2028-02");
        for span in [QuotaSpan::Day, QuotaSpan::Month] {
            assert_eq!(span.end(leap), datetime!(2028-03-01 0:00 UTC));
            assert_eq!(span.end(datetime!(2026-12-31 0:00 UTC)), datetime!(2027-01-01 0:00 UTC));
        }
        assert_eq!(QuotaSpan::Month.end(datetime!(2026-01-01 0:00 UTC)), datetime!(2026-02-01 0:00 UTC));
        assert_eq!(QuotaSpan::Day.end(datetime!(2026-01-01 0:00 +2)), datetime!(2026-01-01 0:00 UTC));
    }

    #[test]
    fn the_ends_around_a_moment_follow_each_other() {
        let ends = QuotaSpan::Month.ends_around(datetime!(2026-01-31 12:00 UTC));
        let expected =
            [datetime!(2026-01-01 0:00 UTC), datetime!(2026-02-01 0:00 UTC), datetime!(2026-03-01 0:00 UTC)];
        assert_eq!(ends, expected.map(OffsetDateTime::unix_timestamp));
    }
}
