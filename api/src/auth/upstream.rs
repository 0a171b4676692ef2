//! Asking Supabase.

use super::config::AuthConfig;
use super::error::AuthError;
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;

/// Calls to Supabase.
pub(super) struct Upstream {
    http: reqwest::Client,
    config: AuthConfig,
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
}

/// Both forms of an error body: `{"code":403,"error_code":"…"}` and `{"code":"…"}`.
#[derive(Debug, Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    code: Option<Value>,
    #[serde(default)]
    error_code: Option<String>,
}

const CODE_HEADER: &str = "x-sb-error-code";

impl Upstream {
    pub(super) const fn new(http: reqwest::Client, config: AuthConfig) -> Self {
        Self { http, config }
    }

    /// `GET /auth/v1/user`.
    pub(super) async fn user(&self, token: &str) -> Result<User, AuthError> {
        let answer = self
            .http
            .get(format!("{}/user", self.config.issuer()))
            .header("apikey", &self.config.publishable_key)
            .header("x-supabase-api-version", "2024-01-01")
            .bearer_auth(token)
            .send()
            .await
            .map_err(|error| unreachable(&error))?;
        if answer.status().is_success() {
            return answer.json().await.map_err(|error| unreachable(&error));
        }
        Err(refusal(answer).await)
    }

    /// `tier` of the user's row in `subscriptions`.
    pub(super) async fn subscription(&self, user_id: &str) -> Result<Option<Value>, AuthError> {
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
        let answer = call.send().await.map_err(|error| unreachable(&error))?;
        let status = answer.status();
        if !status.is_success() {
            tracing::error!(
                status = status.as_u16(),
                "the table of subscriptions cannot be read; check SUPABASE_SECRET_KEY"
            );
            return Err(if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
                AuthError::Unavailable { retry_after: retry_after(&answer) }
            } else {
                AuthError::Misconfigured
            });
        }
        let rows: Vec<Value> = answer.json().await.map_err(|error| unreachable(&error))?;
        Ok(rows.first().and_then(|row| row.get("tier")).cloned())
    }
}

fn unreachable(error: &reqwest::Error) -> AuthError {
    // Its URL holds no token, and is left out all the same: it may hold a password.
    tracing::warn!(timeout = error.is_timeout(), connect = error.is_connect(), "Supabase does not answer");
    AuthError::Unavailable { retry_after: None }
}

fn retry_after(answer: &Response) -> Option<u32> {
    answer.headers().get("retry-after")?.to_str().ok()?.parse().ok()
}

async fn refusal(answer: Response) -> AuthError {
    let (status, wait) = (answer.status(), retry_after(&answer));
    let from_header = answer.headers().get(CODE_HEADER).and_then(|code| code.to_str().ok()).map(str::to_owned);
    let body: ErrorBody = answer.json().await.unwrap_or_default();
    let from_body = body.error_code.or_else(|| body.code.and_then(|code| code.as_str().map(str::to_owned)));
    meaning(status.as_u16(), from_header.or(from_body).as_deref(), wait)
}

/// What an answer other than 200 means (contract, section 3).
fn meaning(status: u16, code: Option<&str>, retry_after: Option<u32>) -> AuthError {
    match (status, code) {
        (429 | 500.., _) => {
            tracing::warn!(status, code, "Supabase cannot tell at the moment");
            AuthError::Unavailable { retry_after }
        }
        (403, Some("user_banned")) => AuthError::Banned,
        (_, Some("session_not_found")) => AuthError::invalid("its session was signed out"),
        (_, Some("user_not_found")) => AuthError::invalid("its user no longer exists"),
        (_, Some(_)) if matches!(status, 400 | 401 | 403) => {
            AuthError::invalid("the authentication service refuses it")
        }
        (401 | 403, None) => {
            // The gateway in front of Auth: it speaks of our key, never of the token.
            tracing::error!(status, "Supabase's gateway refuses our key; check SUPABASE_PUBLISHABLE_KEY");
            AuthError::Misconfigured
        }
        _ => {
            tracing::error!(status, code, "Supabase answers what it should not; check SUPABASE_URL");
            AuthError::Misconfigured
        }
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
