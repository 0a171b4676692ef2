//! Lengths of time, as people write them: `2d`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Longest span, ms: ten years.
const MAX_MS: i64 = 3_653 * 86_400_000;
/// Units by their letters, ms, the largest first.
const UNITS: [(&str, i64); 5] = [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];

/// A length of time: a whole number and one of `s m h d w`, from a second to ten years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(i64);

impl Span {
    /// A span of so many seconds.
    #[must_use]
    pub fn of_seconds(seconds: u64) -> Self {
        Self(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000).clamp(1_000, MAX_MS))
    }

    /// Milliseconds.
    #[must_use]
    pub const fn ms(self) -> i64 {
        self.0
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let told = || {
            let shown: String = text.chars().take(20).collect();
            format!(
                "{shown:?} is no length of time: a whole number and one of s, m, h, d, w, as in 2d, at most ten years"
            )
        };
        let (unit, letter_at) = UNITS
            .iter()
            .find_map(|(letter, unit)| text.strip_suffix(letter).map(|number| (*unit, number.len())))
            .ok_or_else(told)?;
        let digits = text.get(..letter_at).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let number: i64 = digits.and_then(|digits| digits.parse().ok()).ok_or_else(told)?;
        let ms = number.checked_mul(unit).filter(|ms| (1..=MAX_MS).contains(ms)).ok_or_else(told)?;
        Ok(Self(ms))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (letter, unit) = UNITS.into_iter().find(|(_, unit)| self.0 % unit == 0).unwrap_or(("s", 1_000));
        write!(f, "{}{letter}", self.0 / unit)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl PartialSchema for Span {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("A length of time: a whole number and one of `s m h d w`, at most ten years."))
            .pattern(Some("^[0-9]+[smhdw]$"))
            .examples(["2d"])
            .into()
    }
}

impl ToSchema for Span {
    fn name() -> Cow<'static, str> {
        "Span".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (text, ms, written) in [
            ("2d", 172_800_000, "2d"),
            ("48h", 172_800_000, "2d"),
            ("90s", 90_000, "90s"),
            ("14d", 1_209_600_000, "2w"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!((span.ms(), span.to_string().as_str()), (ms, written));
        }
        for odd in ["", "d", "0d", "-1d", "+1d", "1.5h", "2 d", "2D", "99999d", "99999999999999999999d", "2µ"] {
            assert!(odd.parse::<Span>().is_err_and(|why| why.contains("as in 2d")), "{odd}");
        }
    }
}
