//! Members of a request, each read for itself, so that one answer tells of all that are wrong.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::fmt::Display;
use utoipa::ToSchema;

/// A member of a request as it came in. Clients make it of a value, and it is written as that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given<T> {
    /// A value.
    Read(T),
    /// What was expected in place of what came.
    Wrong(String),
}

impl<T> From<T> for Given<T> {
    fn from(value: T) -> Self {
        Self::Read(value)
    }
}

impl<T: Serialize> Serialize for Given<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Read(value) => value.serialize(serializer),
            Self::Wrong(why) => Err(serde::ser::Error::custom(why)),
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(T::deserialize(value).map_or_else(|error| Self::Wrong(error.to_string()), Self::Read))
    }
}

/// A member or parameter that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// Its name; of a member inside another its path, as in `fetches[3].start`.
    #[schema(example = "start")]
    pub field: String,
    /// What was wrong with it, and what was expected.
    #[schema(example = "must lie before end (2020-01-01T00:00:00Z)")]
    pub message: String,
}

/// All that is wrong with a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// Refuses a member.
    pub fn refuse(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(FieldError { field: field.into(), message: message.into() });
    }

    /// The value of a member that may be absent; one that is wrong is refused.
    pub fn optional<T>(&mut self, field: &str, given: Option<Given<T>>) -> Option<T> {
        match given? {
            Given::Read(value) => Some(value),
            Given::Wrong(why) => {
                self.refuse(field, why);
                None
            }
        }
    }

    /// The value of a member that must be there; an absent one is refused too.
    pub fn required<T>(&mut self, field: &str, given: Option<Given<T>>) -> Option<T> {
        if given.is_none() {
            self.refuse(field, "is missing");
        }
        self.optional(field, given)
    }

    /// The value, or the refusal of the member that it was read from.
    pub fn check<T>(&mut self, field: &str, read: Result<T, impl Display>) -> Option<T> {
        read.map_err(|error| self.refuse(field, error.to_string())).ok()
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every refused member, in the order in which they were looked at.
    #[must_use]
    pub fn into_vec(self) -> Vec<FieldError> {
        self.0
    }
}
