//! Instants, as the documents of the API have them.

use crate::range::rfc3339;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{KnownFormat, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// 2286-11-20: the last millisecond of 13 digits, which is what ids of candles hold.
pub const LATEST_MS: i64 = 9_999_999_999_999;

/// An instant, UTC ms, from 1970 to [`LATEST_MS`]. Written as RFC 3339; read from that, or from milliseconds as number or text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text or number is no instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTimestamp {
    /// Neither RFC 3339 nor a number.
    #[error("{0:?} is no time: RFC 3339 (2024-01-31T00:00:00Z) or UTC milliseconds")]
    Unreadable(String),
    /// Too early or too late.
    #[error("{0} lies outside of 1970 to 2286 in UTC milliseconds")]
    Outside(i64),
}

/// Characters of a wrong text that its refusal repeats.
const MAX_SHOWN: usize = 40;

impl Timestamp {
    /// The instant `ms` (UTC ms).
    ///
    /// # Errors
    /// When it lies before 1970 or after [`LATEST_MS`].
    pub fn of_ms(ms: i64) -> Result<Self, InvalidTimestamp> {
        if (0..=LATEST_MS).contains(&ms) { Ok(Self(ms)) } else { Err(InvalidTimestamp::Outside(ms)) }
    }

    /// UTC ms.
    #[must_use]
    pub const fn ms(self) -> i64 {
        self.0
    }
}

/// Times that the service itself has written down; they are shown as they are.
impl From<i64> for Timestamp {
    fn from(ms: i64) -> Self {
        Self(ms)
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        if let Ok(ms) = text.parse() {
            return Self::of_ms(ms);
        }
        let read = chrono::DateTime::parse_from_rfc3339(text)
            .map_err(|_| InvalidTimestamp::Unreadable(text.chars().take(MAX_SHOWN).collect()))?;
        Self::of_ms(read.timestamp_millis())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&rfc3339(self.0))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time: RFC 3339 text or UTC milliseconds")
            }

            fn visit_i64<E: serde::de::Error>(self, ms: i64) -> Result<Timestamp, E> {
                Timestamp::of_ms(ms).map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, ms: u64) -> Result<Timestamp, E> {
                self.visit_i64(i64::try_from(ms).unwrap_or(i64::MAX))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

fn date_time() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .examples(["2020-01-01T00:00:00Z"])
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        date_time().description(Some("RFC 3339, UTC.")).into()
    }
}

impl ToSchema for Timestamp {
    fn name() -> Cow<'static, str> {
        "Timestamp".into()
    }
}

/// Schema of a time in a request: RFC 3339, or UTC milliseconds as number or text.
#[derive(Debug)]
pub struct GivenTime;

impl GivenTime {
    /// The forms of a time that are taken, to be extended.
    #[must_use]
    pub fn forms() -> AnyOfBuilder {
        let number = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(0))
            .maximum(Some(LATEST_MS))
            .description(Some("UTC milliseconds"));
        AnyOfBuilder::new().item(date_time()).item(number)
    }
}

impl PartialSchema for GivenTime {
    fn schema() -> RefOr<Schema> {
        Self::forms().description(Some("RFC 3339, or UTC milliseconds.")).into()
    }
}

impl ToSchema for GivenTime {
    fn name() -> Cow<'static, str> {
        "GivenTime".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Option<i64>) {
        assert_eq!(serde_json::from_str::<Timestamp>(json).ok().map(Timestamp::ms), expected, "{json}");
    }

    #[test]
    fn times() {
        check("1577836800000", Some(1_577_836_800_000));
        check("\"1577836800000\"", Some(1_577_836_800_000));
        check("\"2020-01-01T00:00:00Z\"", Some(1_577_836_800_000));
        check("\"2020-01-01T01:00:00.5+01:00\"", Some(1_577_836_800_500));
        check("\"2020-01-01\"", None);
        check("-1", None);
        check("99999999999999999999", None);
        check("10000000000000", None);
        check("1.5", None);
        check("null", None);
        let written = serde_json::to_string(&Timestamp::from(1_577_836_800_500)).unwrap();
        assert_eq!(written, "\"2020-01-01T00:00:00.500Z\"");
    }
}
