//! The API's JSON, as a client reads it. Unknown fields are ignored, so that a newer API stays readable.

use candlemill_shared::Interval;
use candlemill_shared::Symbol;
use candlemill_shared::job::FetchResult;
use candlemill_shared::range::rfc3339;
use candlemill_shared::task::{TaskError, TaskState};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// An instant, UTC ms. Read from a number of milliseconds or an RFC 3339 text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub i64);

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Milliseconds(i64),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Milliseconds(ms) => Ok(Self(ms)),
            Form::Text(text) => chrono::DateTime::parse_from_rfc3339(&text)
                .map(|at| Self(at.timestamp_millis()))
                .map_err(|error| serde::de::Error::custom(format!("{text:?} is no RFC 3339 time: {error}"))),
        }
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&rfc3339(self.0))
    }
}

/// Body of `POST /api/market-data/fetch` and `/verify`. Times go as the user wrote them: RFC 3339, milliseconds, or `listing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FetchRequest {
    /// What.
    pub symbol: Symbol,
    /// Length of the candles.
    pub interval: Interval,
    /// First open time.
    pub start: Moment,
    /// First open time that is no longer wanted; absent: now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Moment>,
    /// Where the end is reported; absent: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
}

/// Body of `POST /api/market-data/fetch/batch`: fetches of their own ranges, run as one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BatchRequest {
    /// At least one, and as many as the tier allows; ranges may overlap. None has a webhook.
    pub fetches: Vec<FetchRequest>,
}

/// Where a signed POST goes when a task has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Webhook {
    /// An `https` URL of a public host, unless the API allows others.
    pub url: String,
}

impl FetchRequest {
    /// The candles of `symbol` that open from `start` up to `end`; see [`Moment`] for how times are written.
    ///
    /// # Errors
    /// What is no symbol or no interval.
    pub fn new(symbol: &str, interval: &str, start: &str, end: Option<&str>) -> Result<Self, anyhow::Error> {
        Ok(Self {
            symbol: symbol.parse()?,
            interval: interval.parse()?,
            start: Moment::from(start),
            end: end.map(Moment::from),
            webhook: None,
        })
    }
}

/// A time as a user writes it: digits are milliseconds, anything else goes to the API as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Moment {
    /// UTC ms.
    Milliseconds(i64),
    /// RFC 3339 or `listing`.
    Text(String),
}

impl From<&str> for Moment {
    /// A bare date means its midnight, UTC.
    fn from(text: &str) -> Self {
        if let Ok(ms) = text.parse() {
            return Self::Milliseconds(ms);
        }
        match text.parse::<chrono::NaiveDate>() {
            Ok(date) => Self::Text(format!("{date}T00:00:00Z")),
            Err(_) => Self::Text(text.to_owned()),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Milliseconds(ms) => ms.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Answer to an accepted fetch.
#[derive(Debug, Clone, Deserialize)]
pub struct Accepted {
    /// The task's id.
    pub task_id: String,
    /// Where it stands.
    pub status: TaskState,
}

/// Answer of `GET /api/task/{id}/progress` and data of its server-sent events.
#[derive(Debug, Clone, Deserialize)]
pub struct ProgressView {
    /// Which task.
    pub task_id: String,
    /// Where it stands.
    pub state: TaskState,
    /// Share done, 0 to 100.
    pub percent: f64,
    /// Pages fetched, checked and stored.
    pub pages_done: u64,
    /// Pages of the whole task; 0 before it is planned.
    pub pages_total: u64,
    /// Candles newly stored.
    pub candles_stored: u64,
    /// Candles that were stored before.
    pub duplicates: u64,
    /// Candles per second.
    pub rate: f64,
    /// Seconds left; absent while unknown and at the end.
    #[serde(default)]
    pub eta_seconds: Option<f64>,
    /// Number of the attempt.
    #[serde(default)]
    pub attempt: u32,
    /// Start of the first attempt.
    #[serde(default)]
    pub started_at: Option<Instant>,
    /// Time of this snapshot.
    #[serde(default)]
    pub updated_at: Option<Instant>,
    /// Why the last attempt failed, where it did.
    #[serde(default)]
    pub error: Option<TaskError>,
}

/// Answer of `GET /api/task/{id}`.
#[derive(Debug, Clone, Deserialize)]
pub struct TaskView {
    /// Which task.
    pub task_id: String,
    /// Where it stands.
    pub state: TaskState,
    /// What it did; absent before its first checkpoint.
    #[serde(default)]
    pub result: Option<FetchResult>,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<TaskError>,
}

/// An error answer: a problem document (RFC 9457) with our stable `code`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Problem {
    /// What kind of problem, in words.
    #[serde(default)]
    pub title: String,
    /// HTTP status.
    #[serde(default)]
    pub status: u16,
    /// What exactly, and what to do.
    #[serde(default)]
    pub detail: Option<String>,
    /// Stable name of the problem.
    #[serde(default)]
    pub code: Option<String>,
    /// Every field that was refused.
    #[serde(default)]
    pub errors: Vec<FieldProblem>,
}

/// One refused field of a request.
#[derive(Debug, Clone, Deserialize)]
pub struct FieldProblem {
    /// Its name.
    pub field: String,
    /// What was wrong with it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (HTTP {}", self.title, self.status)?;
        if let Some(code) = &self.code {
            write!(f, ", code {code}")?;
        }
        f.write_str(")")?;
        if let Some(detail) = &self.detail {
            write!(f, "\n{detail}")?;
        }
        for FieldProblem { field, message } in &self.errors {
            write!(f, "\n  {field}: {message}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn moments_go_as_they_are_written() {
        let check = |text: &str, expected: serde_json::Value| {
            assert_eq!(serde_json::to_value(Moment::from(text)).unwrap(), expected, "{text}");
        };
        check("1577836800000", json!(1_577_836_800_000_i64));
        check("2020-01-01", json!("2020-01-01T00:00:00Z"));
        check("2020-01-01T05:00:00+05:00", json!("2020-01-01T05:00:00+05:00"));
        check("listing", json!("listing"));
    }

    #[test]
    fn instants_are_read_from_numbers_and_texts() {
        let read = |value| serde_json::from_value::<Instant>(value).map(|at| at.0).ok();
        assert_eq!(read(json!(5)), Some(5));
        assert_eq!(read(json!("1970-01-01T00:00:01Z")), Some(1_000));
        assert_eq!(read(json!("yesterday")), None);
    }

    #[test]
    fn problems_say_title_code_and_detail() {
        let problem: Problem = serde_json::from_value(json!({
            "type": "about:blank", "title": "Range over tier", "status": 403, "detail": "ask for less", "code": "tier_limit",
            "limit": 5, "errors": [{"field": "end", "message": "too late"}]}))
        .unwrap();
        assert_eq!(problem.to_string(), "Range over tier (HTTP 403, code tier_limit)\nask for less\n  end: too late");
    }
}
