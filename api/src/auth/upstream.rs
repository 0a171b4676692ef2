//! Asking Supabase.

use super::config::AuthConfig;
use super::episode::Episode;
use super::error::AuthError;
use candlemill_shared::Timestamp;
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;

/// Calls to Supabase.
pub(super) struct Upstream {
    http: reqwest::Client,
    config: AuthConfig,
    /// Of the calls of the user.
    users: Episode,
    /// Of the calls of the table.
    table: Episode,
}

/// The user of a token, as the database has it now.
#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub(super) id: String,
    #[serde(default)]
    pub(super) role: Option<String>,
    #[serde(default)]
    pub(super) app_metadata: Option<Value>,
    #[serde(default)]
    pub(super) is_anonymous: Option<bool>,
    #[serde(default)]
    banned_until: Option<String>,
}

impl User {
    /// Whether it is banned at `now_ms`, UTC.
    pub(super) fn is_banned(&self, now_ms: i64) -> bool {
        let until = self.banned_until.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
        until.is_some_and(|until| until.ms() > now_ms)
    }
}

/// Every form of an error body of Auth: `{"code":"…"}`, `{"code":403,"error_code":"…"}`, and of old servers
/// `{"code":403,"msg":"…"}`. A gateway's has a `message` and no code.
#[derive(Debug, Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    code: Option<Value>,
    #[serde(default)]
    error_code: Option<String>,
    #[serde(default)]
    msg: Option<Value>,
}

impl ErrorBody {
    fn name(self) -> Option<String> {
        match (self.error_code, self.code) {
            (Some(name), _) | (None, Some(Value::String(name))) => Some(name),
            (None, Some(_)) if self.msg.is_some() => Some(UNNAMED.to_owned()),
            _ => None,
        }
    }
}

const CODE_HEADER: &str = "x-sb-error-code";
/// Stands for the code of an old server's error, which has only a number.
const UNNAMED: &str = "unnamed";

impl Upstream {
    pub(super) fn new(http: reqwest::Client, config: AuthConfig) -> Self {
        Self { http, config, users: Episode::default(), table: Episode::default() }
    }

    /// `GET /auth/v1/user`.
    pub(super) async fn user(&self, token: &str) -> Result<User, AuthError> {
        let (ended, status) = self.ask_user(token).await;
        if self.users.begins(&ended) {
            match &ended {
                Err(AuthError::Misconfigured) => {
                    tracing::error!(status, "Supabase refuses us; check SUPABASE_URL and SUPABASE_PUBLISHABLE_KEY");
                }
                _ => tracing::warn!(status, "Supabase does not answer as it should; tokens cannot be checked"),
            }
        }
        ended
    }

    /// The user and the status of the answer, where there was one.
    async fn ask_user(&self, token: &str) -> (Result<User, AuthError>, Option<u16>) {
        let call = self
            .http
            .get(format!("{}/user", self.config.auth_url()))
            .header("apikey", &self.config.publishable_key)
            .header("x-supabase-api-version", "2024-01-01")
            .bearer_auth(token);
        match call.send().await {
            Ok(answer) => {
                let status = answer.status();
                let ended = if status.is_success() {
                    answer.json().await.map_err(unreadable)
                } else {
                    Err(refusal(answer).await)
                };
                (ended, Some(status.as_u16()))
            }
            Err(error) => (Err(unreadable(error)), None),
        }
    }

    /// `GET /auth/v1/admin/users/{id}`, with the secret key; `None`: there is no such user.
    pub(super) async fn user_of_id(&self, id: &str) -> Result<Option<User>, AuthError> {
        let key = self.config.secret_key.as_deref().unwrap_or_default();
        let call = self
            .http
            .get(format!("{}/admin/users/{id}", self.config.auth_url()))
            .header("apikey", key)
            .bearer_auth(key);
        let answer = call.send().await.map_err(unreadable)?;
        match answer.status() {
            status if status.is_success() => answer.json().await.map(Some).map_err(unreadable),
            StatusCode::NOT_FOUND => match refusal_code(answer).await {
                Some(_) => Ok(None),
                // A gateway's, not Auth's: the URL is wrong, and nobody is deleted by that.
                None => Err(AuthError::Misconfigured),
            },
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(AuthError::Unavailable { retry_after: retry_after(&answer) })
            }
            status => {
                tracing::error!(
                    status = status.as_u16(),
                    "Supabase refuses to tell of users; check SUPABASE_SECRET_KEY"
                );
                Err(AuthError::Misconfigured)
            }
        }
    }

    /// `tier` of the user's row in `subscriptions`.
    pub(super) async fn subscription(&self, user_id: &str) -> Result<Option<Value>, AuthError> {
        let (ended, status) = self.ask_table(user_id).await;
        if self.table.begins(&ended) {
            match &ended {
                Err(AuthError::Misconfigured) => {
                    tracing::error!(status, "the table subscriptions cannot be read; check it and SUPABASE_SECRET_KEY");
                }
                _ => tracing::warn!(status, "Supabase does not answer as it should; tiers cannot be read"),
            }
        }
        ended
    }

    async fn ask_table(&self, user_id: &str) -> (Result<Option<Value>, AuthError>, Option<u16>) {
        let key = self.config.secret_key.as_deref().unwrap_or_default();
        let mut call = self
            .http
            .get(format!("{}/rest/v1/subscriptions", self.config.url))
            .query(&[("select", "tier"), ("user_id", &format!("eq.{user_id}")), ("limit", "1")])
            .header("apikey", key)
            .header("accept", "application/json");
        // Legacy keys are tokens and go into both headers; the new ones are refused as bearers.
        if !key.starts_with("sb_") {
            call = call.bearer_auth(key);
        }
        let answer = match call.send().await {
            Ok(answer) => answer,
            Err(error) => return (Err(unreadable(error)), None),
        };
        let status = answer.status();
        let ended = if status.is_success() {
            let rows = answer.json::<Vec<Value>>().await.map_err(unreadable);
            rows.map(|rows| rows.first().and_then(|row| row.get("tier")).cloned())
        } else if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            Err(AuthError::Unavailable { retry_after: retry_after(&answer) })
        } else {
            Err(AuthError::Misconfigured)
        };
        (ended, Some(status.as_u16()))
    }
}

/// No answer, or none that can be read.
pub(super) fn unreadable(error: reqwest::Error) -> AuthError {
    // Its URL holds no token, and is left out all the same: it may hold a password.
    tracing::debug!(timeout = error.is_timeout(), connect = error.is_connect(), "a call of Supabase failed");
    AuthError::Unavailable { retry_after: None }
}

pub(super) fn retry_after(answer: &Response) -> Option<u32> {
    answer.headers().get("retry-after")?.to_str().ok()?.parse().ok()
}

async fn refusal(answer: Response) -> AuthError {
    let (status, wait) = (answer.status(), retry_after(&answer));
    meaning(status.as_u16(), refusal_code(answer).await.as_deref(), wait)
}

/// The code of a refused call; a gateway's answer has none.
pub(super) async fn refusal_code(answer: Response) -> Option<String> {
    let from_header = answer.headers().get(CODE_HEADER).and_then(|code| code.to_str().ok()).map(str::to_owned);
    let body: ErrorBody = answer.json().await.unwrap_or_default();
    from_header.or(body.name())
}

/// What an answer other than 200 means (contract, section 3).
fn meaning(status: u16, code: Option<&str>, retry_after: Option<u32>) -> AuthError {
    match (status, code) {
        (429 | 500.., _) => AuthError::Unavailable { retry_after },
        (403, Some("user_banned")) => AuthError::Banned,
        (_, Some("session_not_found")) => AuthError::invalid("its session was signed out"),
        (_, Some("user_not_found")) => AuthError::invalid("its user no longer exists"),
        (400 | 401 | 403, Some(_)) => AuthError::invalid("the authentication service refuses it"),
        // 401 or 403 without a code is the gateway in front of Auth: it speaks of our key, never of the token. Anything
        // else is no answer of Auth, so the URL is wrong.
        _ => AuthError::Misconfigured,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, code: Option<&str>, expected: &str) {
        assert_eq!(meaning(status, code, Some(7)).code(), expected, "{status} {code:?}");
    }

    #[test]
    fn refusals() {
        check(401, Some("no_authorization"), "invalid_token");
        check(403, Some("bad_jwt"), "invalid_token");
        check(403, Some("session_not_found"), "invalid_token");
        check(403, Some("user_not_found"), "invalid_token");
        check(403, Some("user_banned"), "user_banned");
        check(400, Some("validation_failed"), "invalid_token");
        check(429, Some("over_request_rate_limit"), "auth_unavailable");
        check(500, Some("unexpected_failure"), "auth_unavailable");
        check(504, None, "auth_unavailable");
        check(401, None, "auth_misconfigured");
        check(404, None, "auth_misconfigured");
        assert_eq!(meaning(429, None, Some(7)).retry_after_seconds(), Some(7));
    }
}
