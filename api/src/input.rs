//! What comes in: bodies, queries and paths. Everything that cannot be read is refused with a problem that names it.

mod names;

use crate::bounds::BODY_TIME_LIMIT;
use crate::error::Problem;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use candlemill_shared::forms::FieldErrors;
use candlemill_shared::job::Pool;
use candlemill_shared::schedule::ScheduleId;
use candlemill_shared::task::TaskId;
use names::{Members, field_names};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A JSON object.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "The body is not declared as JSON",
            )
            .detail("Send the body with the header Content-Type: application/json."));
        }
        let reading = Bytes::from_request(request, state);
        let bytes = tokio::time::timeout(BODY_TIME_LIMIT, reading).await.map_err(|_| {
            Problem::new(StatusCode::REQUEST_TIMEOUT, "slow_body", "The body did not arrive")
                .detail("The body of a request must arrive within 10 s.")
        })?;
        let bytes = bytes.map_err(|rejection: BytesRejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The body is too large")
                    .detail("A request has a few hundred bytes, and at most 16 KiB; a batch at most 2 MiB.")
            } else {
                Problem::invalid_request().detail(rejection.body_text())
            }
        })?;
        read_object(&bytes).map(Self)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// Reads a JSON object whose members are those of `T`, each once.
fn read_object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let value: Members = serde_json::from_slice(bytes).map_err(|error| {
        if error.is_data() {
            return Problem::invalid_request()
                .detail("The body must be a JSON object.")
                .field("", "must be a JSON object");
        }
        Problem::new(StatusCode::BAD_REQUEST, "malformed_json", "The body is not JSON").detail(error.to_string())
    })?;
    read_members(value, "field")
}

/// Reads what has these members; `called` is what a member is called.
fn read_members<T: DeserializeOwned>(members: Members, called: &str) -> Result<T, Problem> {
    let known = field_names::<T>();
    let mut wrong = FieldErrors::default();
    for name in &members.doubled {
        wrong.refuse(shown(name), format!("is there more than once; send each {called} once"));
    }
    for name in members.first.keys().filter(|name| !known.contains(&name.as_str())) {
        wrong.refuse(shown(name), format!("is no {called} of this call; its {called}s are {}", known.join(", ")));
    }
    if !wrong.is_empty() {
        return Err(Problem::of_fields(wrong));
    }
    serde_path_to_error::deserialize(Value::Object(members.first)).map_err(|error| {
        wrong.refuse(error.path().to_string(), error.inner().to_string());
        Problem::of_fields(wrong)
    })
}

/// Names of strangers are repeated in part.
fn shown(name: &str) -> String {
    const MAX_SHOWN: usize = 40;
    name.chars().take(MAX_SHOWN).collect()
}

/// A JSON object that may be left out.
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

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read_query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Reads a query whose parameters are the members of `T`, each once.
fn read_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    let mut members = Members::default();
    for (name, value) in pairs {
        members.add(name.into_owned(), Value::String(value.into_owned()));
    }
    read_members(members, "parameter")
}

/// The task id in a path.
#[derive(Debug, Clone, Copy)]
pub struct TaskPath(pub TaskId);

impl<S: Send + Sync> FromRequestParts<S> for TaskPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, state).await.map(|path| path.0).unwrap_or_default();
        task_id(&text).map(Self)
    }
}

fn task_id(text: &str) -> Result<TaskId, Problem> {
    text.parse().map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_task_id", "This is no task id").detail(format!("{error}."))
    })
}

/// The id of a schedule in a path.
#[derive(Debug, Clone, Copy)]
pub struct SchedulePath(pub ScheduleId);

impl<S: Send + Sync> FromRequestParts<S> for SchedulePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, state).await.map(|path| path.0).unwrap_or_default();
        text.parse().map(Self).map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, "invalid_schedule_id", "This is no id of a schedule")
                .detail(format!("{error}."))
        })
    }
}

/// A study's id and the name of one of its charts in a path.
#[derive(Debug, Clone)]
pub struct ChartPath(pub TaskId, pub String);

impl<S: Send + Sync> FromRequestParts<S> for ChartPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let (id, name) = path.map(|path| path.0).unwrap_or_default();
        let id = task_id(&id)?;
        // The names of all charts are such; others are not looked for.
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        match name.strip_suffix(".svg") {
            Some(chart) if (1..=MAX_CHART_NAME).contains(&chart.len()) && chart.bytes().all(plain) => {
                Ok(Self(id, chart.to_owned()))
            }
            _ => Err(Problem::new(StatusCode::NOT_FOUND, "chart_not_found", "The study has no such chart")
                .detail("Names are those that the study's charts lists, with .svg, as in hour-return.svg.")),
        }
    }
}

/// Characters of a chart's name.
const MAX_CHART_NAME: usize = 64;

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

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_shared::forms::{FetchRequest, Given, TaskFilter};

    fn refused(problem: Problem) -> Vec<(String, String)> {
        let document = problem.document();
        let errors = document["errors"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        errors.iter().map(|error| (text(&error["field"]), text(&error["message"]))).collect()
    }

    fn check_body(body: &str, expected: &[(&str, &str)]) {
        let got = read_object::<FetchRequest>(body.as_bytes()).map_or_else(refused, |_| Vec::new());
        assert_eq!(got.len(), expected.len(), "{body}: {got:?}");
        for ((field, message), (expected_field, part)) in got.iter().zip(expected) {
            assert!(field == expected_field && message.contains(part), "{body}: {got:?}");
        }
    }

    #[test]
    fn bodies() {
        check_body("{}", &[]);
        check_body("null", &[("", "must be a JSON object")]);
        check_body("[1]", &[("", "must be a JSON object")]);
        check_body("\"text\"", &[("", "must be a JSON object")]);
        check_body(
            r#"{"symbol":"A","ende":1,"symbol":"B"}"#,
            &[("symbol", "more than once"), ("ende", "symbol, interval, start")],
        );
        // Wrong values are told by the call, all at once.
        check_body(r#"{"symbol":7,"start":"soon"}"#, &[]);
        assert_eq!(read_object::<FetchRequest>(b"{\"symbol\":").unwrap_err().code(), "malformed_json");
    }

    #[test]
    fn queries() {
        let read = read_query::<TaskFilter>("state=running&limit=7&symbol=btcusdt").unwrap();
        assert!(matches!(read.limit, Some(Given::Read(limit)) if limit.get() == 7));
        let got = refused(read_query::<TaskFilter>("limit=1&limit=2&page=3").unwrap_err());
        assert_eq!(got.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), ["limit", "page"]);
        assert!(got[1].1.contains("is no parameter of this call; its parameters are state, kind, symbol"), "{got:?}");
    }

    #[test]
    fn the_names_of_a_form_are_known() {
        assert_eq!(field_names::<FetchRequest>(), ["symbol", "interval", "start", "end", "run_at", "webhook"]);
    }
}
