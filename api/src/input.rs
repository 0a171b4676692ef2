//! What comes in: bodies, queries, paths and times. Everything that cannot be read is refused with a problem that names it.

use crate::bounds::BODY_PATIENCE;
use crate::error::Problem;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use candlemill_shared::job::Pool;
use candlemill_shared::task::TaskId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use std::fmt;

/// A JSON body.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let reading = axum::Json::<T>::from_request(request, state);
        let read = tokio::time::timeout(BODY_PATIENCE, reading).await.map_err(|_| {
            Problem::new(StatusCode::REQUEST_TIMEOUT, "slow_body", "The body did not arrive")
                .detail("The body of a request must arrive within 10 s.")
        })?;
        read.map(|body| Self(body.0)).map_err(|rejection| match rejection {
            JsonRejection::MissingJsonContentType(_) => Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "The body is not declared as JSON",
            )
            .detail("Send the body with the header Content-Type: application/json."),
            JsonRejection::BytesRejection(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The body is too large")
                    .detail("A request has a few hundred bytes, and at most 16 KiB; a batch at most 2 MiB.")
            }
            JsonRejection::JsonSyntaxError(error) => {
                Problem::new(StatusCode::BAD_REQUEST, "malformed_json", "The body is not JSON")
                    .detail(error.body_text())
            }
            JsonRejection::JsonDataError(error) => Problem::invalid_request().detail(error.body_text()),
            other => Problem::invalid_request().detail(other.body_text()),
        })
    }
}

/// A JSON body that may be left out.
#[derive(Debug)]
pub struct MaybeBody<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for MaybeBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if is_without_body(request.headers()) {
            return Ok(Self(T::default()));
        }
        Body::from_request(request, state).await.map(|body| Self(body.0))
    }
}

/// One with a body says how long it is, or sends it in chunks.
fn is_without_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    !headers.contains_key(header::TRANSFER_ENCODING) && length.is_none_or(|length| length == "0")
}

/// A query string.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        read.map(|query| Self(query.0))
            .map_err(|rejection: QueryRejection| Problem::invalid_request().detail(rejection.body_text()))
    }
}

/// The task id in a path.
#[derive(Debug, Clone, Copy)]
pub struct TaskPath(pub TaskId);

impl<S: Send + Sync> FromRequestParts<S> for TaskPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, state).await.map(|path| path.0).unwrap_or_default();
        text.parse().map(Self).map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, "invalid_task_id", "This is no task id").detail(format!("{error}."))
        })
    }
}

/// The pool in a path.
#[derive(Debug, Clone, Copy)]
pub struct PoolPath(pub Pool);

impl<S: Send + Sync> FromRequestParts<S> for PoolPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let name = Path::<String>::from_request_parts(parts, state).await.map(|path| path.0).unwrap_or_default();
        Pool::named(&name).map(Self).ok_or_else(|| {
            Problem::new(StatusCode::NOT_FOUND, "pool_not_found", "There is no such queue")
                .detail(format!("The queues are {}.", Pool::ALL.map(Pool::as_str).join(", ")))
        })
    }
}

/// The id of a worker in a path.
#[derive(Debug, Clone)]
pub struct WorkerPath(pub String);

/// `w-` and a ULID have 28.
const LONGEST_WORKER_ID: usize = 64;

impl<S: Send + Sync> FromRequestParts<S> for WorkerPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = Path::<String>::from_request_parts(parts, state).await.map(|path| path.0).unwrap_or_default();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if id.is_empty() || id.len() > LONGEST_WORKER_ID || !id.bytes().all(fits) {
            return Err(Problem::no_such_worker());
        }
        Ok(Self(id))
    }
}

/// A time in a body or query: RFC 3339, or UTC milliseconds as number or text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(i64);

/// 2286-11-20: the last millisecond of 13 digits, which is what ids of candles hold.
const LATEST_MS: i64 = 9_999_999_999_999;

impl Time {
    /// UTC ms, 0 to the year 2286.
    #[must_use]
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// Reads a time.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let ms = match text.parse::<i64>() {
            Ok(ms) => ms,
            Err(_) => chrono::DateTime::parse_from_rfc3339(text)
                .map_err(|_| {
                    let shown: String = text.chars().take(40).collect();
                    format!("{shown:?} is no time: RFC 3339 (2024-01-31T00:00:00Z) or UTC milliseconds")
                })?
                .timestamp_millis(),
        };
        Self::from_ms(ms)
    }

    fn from_ms(ms: i64) -> Result<Self, String> {
        if (0..=LATEST_MS).contains(&ms) {
            Ok(Self(ms))
        } else {
            Err(format!("{ms} lies outside of 1970 to 2286 in UTC milliseconds"))
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time: RFC 3339 text or UTC milliseconds")
            }

            fn visit_i64<E: serde::de::Error>(self, ms: i64) -> Result<Time, E> {
                Time::from_ms(ms).map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, ms: u64) -> Result<Time, E> {
                Time::from_ms(i64::try_from(ms).unwrap_or(i64::MAX)).map_err(E::custom)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Time, E> {
                Time::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Option<i64>) {
        assert_eq!(serde_json::from_str::<Time>(json).ok().map(Time::ms), expected, "{json}");
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
    }
}
