//! Identities of schedules.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use ulid::Ulid;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A schedule's identity: a ULID, so that ids sort by the time of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScheduleId(Ulid);

/// The text is no id of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the id of a schedule is a ULID of 26 characters, as the call that created it returned it")]
pub struct InvalidScheduleId;

impl ScheduleId {
    /// A new id of the instant `now_ms`, UTC.
    #[must_use]
    pub fn new(now_ms: i64) -> Self {
        Self(Ulid::from_parts(u64::try_from(now_ms).unwrap_or(0), Ulid::generate().random()))
    }
}

impl fmt::Display for ScheduleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ScheduleId {
    type Err = InvalidScheduleId;

    fn from_str(text: &str) -> Result<Self, InvalidScheduleId> {
        let id = Ulid::from_string(text).map_err(|_| InvalidScheduleId)?;
        // One id, one spelling, as with tasks.
        if id.to_string() == text { Ok(Self(id)) } else { Err(InvalidScheduleId) }
    }
}

impl TryFrom<String> for ScheduleId {
    type Error = InvalidScheduleId;

    fn try_from(text: String) -> Result<Self, InvalidScheduleId> {
        text.parse()
    }
}

impl From<ScheduleId> for String {
    fn from(id: ScheduleId) -> Self {
        id.to_string()
    }
}

impl PartialSchema for ScheduleId {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("A ULID: ids sort by the time of creation."))
            .pattern(Some("^[0-7][0-9A-HJKMNP-TV-Z]{25}$"))
            .examples(["01JC5Y7V9N8B3M2K1H0G9F8E7D"])
            .into()
    }
}

impl ToSchema for ScheduleId {
    fn name() -> std::borrow::Cow<'static, str> {
        "ScheduleId".into()
    }
}
