//! Cron patterns: parsed once, kept in the words of the user.

mod fields;

use super::wall::{Meaning, Wall, meaning};
use crate::ZoneName;
use crate::timestamp::LATEST_MS;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

pub use fields::MAX_PATTERN_CHARS;

/// A cron pattern: 5 fields, or 6 with seconds first. Names, lists, ranges, steps, `L`, `W`, `#`, `+` and `@hourly` to `@yearly`.
///
/// Equal are those that the user wrote alike: `@daily` is not `0 0 * * *`. Clones share what was parsed.
#[derive(Clone, PartialEq, Eq)]
pub struct CronPattern {
    text: Arc<str>,
    cron: Arc<Cron>,
    /// Whether seconds, minutes and hours are all told without `*`.
    fixed: bool,
}

impl CronPattern {
    /// The pattern as the user wrote it, without spaces around it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first due instant after `after_ms` on the wall clock of `zone`, UTC ms; `None` when none comes before 2286.
    #[must_use]
    pub fn next_after(&self, after_ms: i64, zone: &ZoneName) -> Option<i64> {
        self.next_with_shift(after_ms, zone).map(|(due, _)| due)
    }

    /// The first due instant after `after_ms`, and whether its wall time does not exist or comes twice.
    pub(super) fn next_with_shift(&self, after_ms: i64, zone: &ZoneName) -> Option<(i64, bool)> {
        let after = after_ms.clamp(-1, LATEST_MS).div_euclid(1_000);
        let (second, shifted) = if self.fixed {
            self.next_fixed(after, zone.zone())?
        } else {
            let found = self.cron.find_next_occurrence(&Wall::of(after, zone.zone())?, false).ok()?;
            (found.second(), found.comes_twice())
        };
        let due = second.checked_mul(1_000)?;
        (due <= LATEST_MS).then_some((due, shifted))
    }

    /// Rule 1: the search walks wall times as if no clock ever changed, and asks the zone what each of them means.
    fn next_fixed(&self, after: i64, zone: &TimeZone) -> Option<(i64, bool)> {
        let mut shown = Wall::of(after, zone)?.shown();
        loop {
            let from = Wall::of(jiff::tz::Offset::UTC.to_timestamp(shown).ok()?.as_second(), &TimeZone::UTC)?;
            shown = self.cron.find_next_occurrence(&from, false).ok()?.shown();
            let (second, shifted) = match meaning(shown, zone)? {
                Meaning::Once(second) => (second, false),
                Meaning::FirstOfTwo(second) | Meaning::AfterGap(second) => (second, true),
            };
            // In the second half of a fold the wall times ahead were due in the first one.
            if second > after {
                return Some((second, shifted));
            }
        }
    }

    /// The pattern in English: "At 02:30, on Monday".
    #[must_use]
    pub fn words(&self) -> String {
        let told = self.cron.describe();
        let told = told.trim_end_matches('.').replacen("At every", "Every", 1);
        // The library tells LW like L.
        if self.text.to_ascii_uppercase().contains("LW") {
            return told.replacen("the last day of the month", "the last day of the month from Monday to Friday", 1);
        }
        told
    }
}

impl FromStr for CronPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let fields = fields::admit(text)?;
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|why| format!("the pattern can't be read: {why}"))?;
        // The calendar repeats after 400 years; the search ends long after that.
        let never = Wall::of(0, &TimeZone::UTC).is_none_or(|from| cron.find_next_occurrence(&from, true).is_err());
        if never {
            return Err("no date fits the pattern: its days do not exist in its months, such as 30 February".to_owned());
        }
        Ok(Self { text: text.into(), cron: Arc::new(cron), fixed: fields.fixed_time })
    }
}

impl fmt::Display for CronPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for CronPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CronPattern({:?})", self.text)
    }
}

impl Serialize for CronPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for CronPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl PartialSchema for CronPattern {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "A cron pattern: minute, hour, day, month, weekday; or six fields, seconds first. Lists, ranges, steps, names, L, W, \
                 #, and @hourly, @daily, @weekly, @monthly, @yearly.",
            ))
            .max_length(Some(MAX_PATTERN_CHARS))
            .examples(["30 2 * * MON-FRI"])
            .into()
    }
}

impl ToSchema for CronPattern {
    fn name() -> Cow<'static, str> {
        "CronPattern".into()
    }
}

#[cfg(test)]
mod tests;
