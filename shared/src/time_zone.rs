//! Time zones by their IANA names, from a database that is part of the program: the same on every machine.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// The zones of the program.
static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Version of the database that the program carries.
pub const DATABASE_VERSION: &str = "2026f";

/// Characters of a wrong name that its refusal repeats.
const MAX_SHOWN: usize = 40;

/// A time zone of the IANA database, in its own spelling: `Europe/Berlin`, `UTC`.
#[derive(Debug, Clone, PartialEq)]
pub struct ZoneName {
    name: String,
    zone: TimeZone,
}

impl ZoneName {
    /// The zone's rules.
    #[must_use]
    pub const fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The zone's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl Default for ZoneName {
    fn default() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }
}

impl FromStr for ZoneName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let zone = DATABASE.get(text).map_err(|_| {
            let shown: String = text.chars().take(MAX_SHOWN).collect();
            format!("{shown:?} is no time zone of the IANA database: such as UTC, Europe/Berlin, America/New_York")
        })?;
        let name = zone.iana_name().unwrap_or("UTC").to_owned();
        Ok(Self { name, zone })
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Serialize for ZoneName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

impl<'de> Deserialize<'de> for ZoneName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl PartialSchema for ZoneName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("A time zone of the IANA database."))
            .max_length(Some(MAX_SHOWN))
            .examples(["Europe/Berlin"])
            .into()
    }
}

impl ToSchema for ZoneName {
    fn name() -> Cow<'static, str> {
        "TimeZone".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case_and_written_in_their_own() {
        for (text, name) in [("utc", "UTC"), ("europe/berlin", "Europe/Berlin"), ("Asia/Calcutta", "Asia/Calcutta")] {
            assert_eq!(text.parse::<ZoneName>().map(|zone| zone.to_string()), Ok(name.to_owned()));
        }
        for text in ["", "Berlin", "UTC+1", "../../etc/passwd"] {
            assert!(text.parse::<ZoneName>().is_err_and(|why| why.contains("Europe/Berlin")), "{text}");
        }
    }
}
