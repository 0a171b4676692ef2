//! Sessions at Supabase: password, refresh, sign-out.

use super::config::AuthConfig;
use super::error::AuthError;
use super::upstream::{refusal_code, retry_after, unreadable};
use reqwest::RequestBuilder;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt;

/// The tokens of a session. Their debug form shows none.
#[derive(Clone, Deserialize)]
pub struct SessionTokens {
    /// Goes with every call.
    pub access_token: String,
    /// Good for one use.
    pub refresh_token: String,
    /// When the access token ends, seconds since 1970.
    #[serde(default)]
    pub expires_at: i64,
}

impl fmt::Debug for SessionTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionTokens").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Supabase gives none for what was shown; why is nobody's business.
    #[error("Supabase opens no session")]
    Refused,
    /// It could not be asked.
    #[error(transparent)]
    Auth(#[from] AuthError),
}

/// Calls of sessions.
pub(super) struct Sessions {
    http: reqwest::Client,
    config: AuthConfig,
}

impl Sessions {
    pub(super) const fn new(http: reqwest::Client, config: AuthConfig) -> Self {
        Self { http, config }
    }

    pub(super) async fn by_password(&self, email: &str, password: &str) -> Result<SessionTokens, SessionError> {
        self.tokens("password", &json!({"email": email, "password": password})).await
    }

    pub(super) async fn by_refresh_token(&self, refresh_token: &str) -> Result<SessionTokens, SessionError> {
        self.tokens("refresh_token", &json!({"refresh_token": refresh_token})).await
    }

    async fn tokens(&self, grant_type: &str, body: &Value) -> Result<SessionTokens, SessionError> {
        let call = self.http.post(format!("{}/token", self.config.auth_url())).query(&[("grant_type", grant_type)]);
        let answer = self.with_key(call).json(body).send().await.map_err(unreadable)?;
        if answer.status().is_success() {
            return Ok(answer.json().await.map_err(unreadable)?);
        }
        let (status, wait) = (answer.status().as_u16(), retry_after(&answer));
        Err(meaning(status, refusal_code(answer).await.as_deref(), wait))
    }

    /// Ends the session of an access token. Whether Supabase did.
    pub(super) async fn end(&self, access_token: &str) -> bool {
        let call = self.http.post(format!("{}/logout", self.config.auth_url())).query(&[("scope", "local")]);
        let answer = self.with_key(call).bearer_auth(access_token).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    fn with_key(&self, call: RequestBuilder) -> RequestBuilder {
        call.header("apikey", &self.config.publishable_key).header("x-supabase-api-version", "2024-01-01")
    }
}

/// What an answer other than 200 means (contract, section 8): errors of Auth have a code, those of the gateway have none.
fn meaning(status: u16, code: Option<&str>, retry_after: Option<u32>) -> SessionError {
    match (status, code) {
        (429 | 500.., _) => AuthError::Unavailable { retry_after }.into(),
        (400..=499, Some(_)) => SessionError::Refused,
        _ => AuthError::Misconfigured.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals() {
        let check = |status, code, expected: &str| {
            let told = match meaning(status, code, None) {
                SessionError::Refused => "refused",
                SessionError::Auth(error) => error.code(),
            };
            assert_eq!(told, expected, "{status} {code:?}");
        };
        check(400, Some("invalid_credentials"), "refused");
        check(401, Some("invalid_credentials"), "refused");
        check(422, Some("email_not_confirmed"), "refused");
        check(400, Some("captcha_failed"), "refused");
        check(403, Some("user_banned"), "refused");
        check(429, Some("over_request_rate_limit"), "auth_unavailable");
        check(500, Some("unexpected_failure"), "auth_unavailable");
        check(504, None, "auth_unavailable");
        check(401, None, "auth_misconfigured");
        check(404, None, "auth_misconfigured");
    }

    #[test]
    fn tokens_stay_out_of_the_debug_form() {
        let tokens = SessionTokens { access_token: "aaa".into(), refresh_token: "rrr".into(), expires_at: 1 };
        let shown = format!("{tokens:?}");
        assert!(!shown.contains("aaa") && !shown.contains("rrr"), "{shown}");
    }
}
