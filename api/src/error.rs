//! The one place that turns errors into HTTP: RFC 9457 problem documents with a stable `code`.

use crate::auth::AuthError;
use crate::json_line::json_line;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use candlemill_db::StoreError;
use candlemill_shared::forms::{FieldError, FieldErrors};
use candlemill_shared::tier::TierRefusal;
use candlemill_tasks::SubmitError;
use serde_json::{Map, Value, json};
use ulid::Ulid;

/// An answer that says what was wrong, where, and what to do.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: Option<String>,
    errors: Vec<FieldError>,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Wrong fields that one answer lists.
const MAX_ERRORS: usize = 20;
/// What clients are told to wait before they try an overloaded or half-available service again.
const TRY_AGAIN_SECONDS: u32 = 2;

impl Problem {
    /// A problem of this status, stable code and title.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self { status, code, title, detail: None, errors: Vec::new(), members: Map::new(), headers: Vec::new() }
    }

    /// What was wrong this time, and what to do.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds a refused field.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.errors.push(FieldError { field: field.into(), message: message.into() });
        self
    }

    /// Adds a member of its own.
    #[must_use]
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        self.member("retry_after", seconds).header(header::RETRY_AFTER, seconds)
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// What was wrong this time, as text.
    #[must_use]
    pub fn told(&self) -> String {
        self.detail.clone().unwrap_or_else(|| self.title.to_owned())
    }

    /// Whether the same request may be granted in a moment.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE
    }

    /// A request that cannot be read or does not make sense; to be filled with fields.
    #[must_use]
    pub fn invalid_request() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", "The request is not valid")
    }

    /// A request of which these fields or parameters are wrong. At most 20 are listed.
    #[must_use]
    pub fn of_fields(wrong: FieldErrors) -> Self {
        let mut errors = wrong.into_vec();
        let told = match errors.len().saturating_sub(MAX_ERRORS) {
            0 => "The member errors names each field and parameter that is wrong.".to_owned(),
            more => {
                format!("The member errors names fields and parameters that are wrong; {more} more are not listed.")
            }
        };
        errors.truncate(MAX_ERRORS);
        Self { errors, ..Self::invalid_request().detail(told) }
    }

    /// The caller has no such task, or nobody has.
    #[must_use]
    pub fn no_such_task() -> Self {
        Self::new(StatusCode::NOT_FOUND, "task_not_found", "There is no such task")
            .detail("No task of yours has this id. Ended tasks are kept for a limited time.")
    }

    /// No worker of this id lives.
    #[must_use]
    pub fn no_such_worker() -> Self {
        Self::new(StatusCode::NOT_FOUND, "worker_not_found", "There is no such worker")
            .detail("No worker of this id lives. GET /api/admin/queues lists those that do.")
    }

    /// This deployment has no webhooks.
    #[must_use]
    pub fn webhooks_disabled() -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "webhooks_disabled", "There are no webhooks here").detail(
            "This deployment has no WEBHOOK_SECRET, so nothing could be signed. Leave webhook out, and watch the task.",
        )
    }

    /// An unexpected error: logged once with an id, and only the id is told.
    #[must_use]
    pub fn internal(error: &dyn std::error::Error) -> Self {
        let id = Ulid::generate().to_string();
        let causes = std::iter::successors(error.source(), |cause| cause.source());
        let told = causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"));
        tracing::error!(error.id = id, error = told, "an unexpected error");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong here")
            .detail(format!("The error is logged under the id {id}. Please report it."))
            .member("error_id", id)
    }
}

impl Problem {
    /// The members of its document, without those that tell where it occurred.
    fn body(&self) -> Map<String, Value> {
        let mut body = self.members.clone();
        body.insert("type".into(), format!("/problems#{}", self.code).into());
        body.insert("title".into(), self.title.into());
        body.insert("status".into(), self.status.as_u16().into());
        body.insert("code".into(), self.code.into());
        if let Some(detail) = &self.detail {
            body.insert("detail".into(), detail.as_str().into());
        }
        if !self.errors.is_empty() {
            body.insert("errors".into(), json!(self.errors));
        }
        body
    }

    /// Names of the refused fields, in order.
    #[cfg(test)]
    pub(crate) fn refused(&self) -> Vec<String> {
        let body = self.body();
        let errors = body.get("errors").and_then(Value::as_array).cloned().unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Its document.
    #[cfg(test)]
    pub(crate) fn document(&self) -> Value {
        self.body().into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = self.body();
        let written = json_line(&body).unwrap_or_default();
        let mut response = (self.status, written).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response.headers_mut().extend(self.headers);
        response.extensions_mut().insert(Members(body));
        response
    }
}

/// The members of an answer that is a problem, for the code that knows where it occurred.
#[derive(Debug, Clone)]
struct Members(Map<String, Value>);

/// Adds to a problem which request it was: its path (`instance`) and its trace. Other answers pass.
pub(crate) fn locate(response: Response, path: &str, trace: &str) -> Response {
    let (mut parts, body) = response.into_parts();
    let Some(Members(mut members)) = parts.extensions.remove::<Members>() else {
        return Response::from_parts(parts, body);
    };
    members.insert("instance".to_owned(), path.into());
    members.insert("trace_id".to_owned(), trace.into());
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, json_line(&members).map_or_else(|_| Body::empty(), Body::from))
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Overloaded) {
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Too much is under way")
                .detail("More requests wait than may be held. Nothing was stored; try again in a moment.")
                .retry_after(TRY_AGAIN_SECONDS);
        }
        if error.is_unavailable() {
            let store = error.store();
            tracing::warn!(%error, "a store is away");
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", "A store does not answer")
                .detail(format!("The store {store} does not answer at the moment. Nothing is lost; try again."))
                .member("store", store)
                .retry_after(TRY_AGAIN_SECONDS);
        }
        Self::internal(&error)
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Store(error) => error.into(),
            SubmitError::IdempotencyConflict(id) => {
                Self::new(StatusCode::CONFLICT, "idempotency_conflict", "The Idempotency-Key was used before")
                    .detail(format!(
                        "This key stands for another request (task {id}). Use a new key for a new request."
                    ))
                    .member("task_id", id.to_string())
            }
            SubmitError::Tier(refusal) => refusal.into(),
            SubmitError::Invalid { field, why } => {
                Self::invalid_request().detail("See errors for each field.").field(field, why)
            }
            SubmitError::WebhooksDisabled => Self::webhooks_disabled(),
            SubmitError::WebhookRefused(why) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "webhook_refused", "The webhook's URL may not be called")
                    .detail(format!("The URL of the webhook {why}."))
                    .field("webhook.url", why)
            }
            // The tier's own refusal is made where the tier is known.
            SubmitError::TooManyTasks => {
                Self::new(StatusCode::FORBIDDEN, "tier_limit", "Your tier does not allow this")
            }
        }
    }
}

impl From<TierRefusal> for Problem {
    fn from(refusal: TierRefusal) -> Self {
        let lifted = refusal.lifted_by.map_or_else(
            || "No tier lifts this limit.".to_owned(),
            |tier| format!("The {tier} tier lifts this limit."),
        );
        Self::new(StatusCode::FORBIDDEN, "tier_limit", "Your tier does not allow this")
            .detail(format!("{}. {lifted}", capitalised(&refusal.detail)))
            .member("limit", refusal.limit)
            .member("lifted_by", refusal.lifted_by.map(|tier| tier.as_str()))
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        let code = error.code();
        let detail = error.to_string();
        match code {
            "user_banned" => Self::new(StatusCode::FORBIDDEN, code, "This user is banned").detail(detail),
            "auth_unavailable" | "auth_misconfigured" => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, code, "Tokens cannot be checked at the moment")
                    .detail(detail)
                    .retry_after(error.retry_after_seconds().unwrap_or(TRY_AGAIN_SECONDS))
            }
            _ => {
                let challenge = if code == "missing_token" { "Bearer" } else { "Bearer error=\"invalid_token\"" };
                Self::new(StatusCode::UNAUTHORIZED, code, "A valid access token is needed")
                    .detail(detail)
                    .header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
            }
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use candlemill_shared::Interval;
    use candlemill_shared::tier::{Tier, TierTable};

    async fn check(problem: Problem, status: u16, expected: Value) {
        let response = problem.into_response();
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let body: Value = serde_json::from_slice(&to_bytes(response.into_body(), 9_999).await.unwrap()).unwrap();
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&body[name], value, "{name} of {body}");
        }
    }

    #[tokio::test]
    async fn documents() {
        let refusal = TierTable::default().admit_fetch(Tier::Free, Interval::Second1, 1).unwrap_err();
        check(refusal.into(), 403, json!({"code": "tier_limit", "limit": "intervals", "lifted_by": "enterprise"}))
            .await;
        let fields = Problem::invalid_request().field("start", "must lie before end");
        let expected = json!({"code": "invalid_request", "status": 400, "errors": [{"field": "start", "message": "must lie before end"}]});
        check(fields, 400, expected).await;
        check(StoreError::Overloaded.into(), 503, json!({"code": "overloaded", "retry_after": 2})).await;
        let secret = std::io::Error::other("mongodb://user:secret@host");
        check(Problem::internal(&secret), 500, json!({"code": "internal_error"})).await;
    }

    #[tokio::test]
    async fn internal_errors_stay_opaque() {
        let response = Problem::internal(&std::io::Error::other("secret@host")).into_response();
        let body = to_bytes(response.into_body(), 9_999).await.unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("secret@host"));
    }
}
