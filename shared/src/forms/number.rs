//! Numbers within bounds, and flags: what a query has as text and a body as a value.

use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A number from `LEAST` to `MOST`, read from a number or from digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Number<const LEAST: u32, const MOST: u32>(u32);

impl<const LEAST: u32, const MOST: u32> Number<LEAST, MOST> {
    /// The number nearest to `number` within the bounds.
    #[must_use]
    pub fn nearest(number: u32) -> Self {
        Self(number.clamp(LEAST, MOST))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl<const LEAST: u32, const MOST: u32> FromStr for Number<LEAST, MOST> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number| (LEAST..=MOST).contains(number));
        number.map(Self).ok_or_else(|| format!("must be a number from {LEAST} to {MOST}"))
    }
}

impl<'de, const LEAST: u32, const MOST: u32> Deserialize<'de> for Number<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<const LEAST: u32, const MOST: u32>;
        impl<const LEAST: u32, const MOST: u32> serde::de::Visitor<'_> for Visitor<LEAST, MOST> {
            type Value = Number<LEAST, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a number from {LEAST} to {MOST}")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl<const LEAST: u32, const MOST: u32> PartialSchema for Number<LEAST, MOST> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(LEAST)).maximum(Some(MOST)).into()
    }
}

impl<const LEAST: u32, const MOST: u32> ToSchema for Number<LEAST, MOST> {
    fn name() -> Cow<'static, str> {
        format!("NumberFrom{LEAST}To{MOST}").into()
    }
}

/// `true` or `false`, as a value or as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Flag;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true or false")
            }

            fn visit_bool<E: serde::de::Error>(self, flag: bool) -> Result<Flag, E> {
                Ok(Flag(flag))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Flag, E> {
                text.parse().map(Flag).map_err(|_| E::custom("must be true or false"))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(value: Value, expected: Option<u32>) {
        let read = serde_json::from_value::<Number<1, 200>>(value.clone());
        assert_eq!(read.ok().map(Number::get), expected, "{value}");
    }

    #[test]
    fn numbers() {
        check(json!(1), Some(1));
        check(json!("200"), Some(200));
        check(json!(0), None);
        check(json!("201"), None);
        check(json!(-1), None);
        check(json!("many"), None);
        check(json!(1.5), None);
        check(json!(99_999_999_999_u64), None);
    }

    #[test]
    fn flags() {
        let read = |value: Value| serde_json::from_value::<Flag>(value).ok();
        assert_eq!(read(json!("true")), Some(Flag(true)));
        assert_eq!(read(json!(false)), Some(Flag(false)));
        assert_eq!(read(json!("yes")), None);
    }
}
