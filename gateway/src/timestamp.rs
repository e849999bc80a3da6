//! Points in time as answers and records show them.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Date, OffsetDateTime};
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// RFC 3339 in UTC, with milliseconds.
const RFC_3339_MILLIS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A point in time, truncated to milliseconds. Text formats (JSON) contain it as RFC 3339 text, binary formats
/// (MessagePack) as the number of milliseconds since the Unix epoch.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// The present time.
    #[must_use]
    pub fn now() -> Self {
        Self::from_millis(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000)
    }

    /// This time plus `later`, at most the end of the year 9999.
    #[must_use]
    pub fn after(self, later: Duration) -> Self {
        let at = time::Duration::try_from(later).ok().and_then(|later| self.0.checked_add(later));
        Self(at.unwrap_or(time::macros::datetime!(9999-12-31 23:59:59 UTC)))
    }

    /// The day of this time in UTC.
    #[must_use]
    pub fn day(self) -> Date {
        self.0.date()
    }

    fn from_millis(millis: i128) -> Self {
        let at = OffsetDateTime::from_unix_timestamp_nanos(millis.saturating_mul(1_000_000));
        Self(at.unwrap_or(OffsetDateTime::UNIX_EPOCH))
    }

    fn millis(self) -> i64 {
        (self.0.unix_timestamp_nanos() / 1_000_000) as i64
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.format(RFC_3339_MILLIS).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_i64(self.millis());
        }
        let text = self.0.format(RFC_3339_MILLIS).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

/// Reads the number only: the service never reads the text form back.
impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_millis(i64::deserialize(deserializer)?.into()))
    }
}

impl ToSchema for Timestamp {
    /// The name of the schema in the OpenAPI document.
    fn name() -> Cow<'static, str> {
        "Stamp".into()
    }
}

/// The schema of the text form.
impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("RFC 3339, UTC, with milliseconds."))
            .pattern(Some(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"))
            .examples(["2018-10-25T14:32:48.863Z"])
            .into()
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn text(time: OffsetDateTime) -> String {
        String::from_utf8(crate::families::json::to_vec(&Timestamp(time)).unwrap()).unwrap()
    }

    #[test]
    fn a_time_is_utc_with_milliseconds() {
        assert_eq!(text(datetime!(2018-10-25 14:32:48.863 UTC)), r#""2018-10-25T14:32:48.863Z""#);
        assert_eq!(text(datetime!(2017-05-18 12:41:09.58 UTC)), r#""2017-05-18T12:41:09.580Z""#);
        assert_eq!(text(datetime!(2017-05-18 12:41:09 UTC)), r#""2017-05-18T12:41:09.000Z""#);
    }

    #[test]
    fn a_time_comes_back_from_a_record() {
        let now = Timestamp::now();
        let bytes = rmp_serde::to_vec(&now).unwrap();
        assert_eq!(rmp_serde::from_slice::<Timestamp>(&bytes).unwrap(), now);
    }

    #[test]
    fn later_is_later_and_has_an_end() {
        let now = Timestamp::now();
        assert_eq!(now.after(Duration::from_millis(1500)).millis() - now.millis(), 1500);
        assert_eq!(text(now.after(Duration::MAX).0), r#""9999-12-31T23:59:59.000Z""#);
    }
}
