//! Signing in at Supabase: `POST /auth/v1/token`. Refusals are told by their codes; the statuses are used interchangeably.

use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// Longest wait for an answer.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Where a project's users sign in.
#[derive(Debug, Clone)]
pub(crate) struct Supabase {
    url: String,
    key: String,
}

/// What a sign-in gives.
#[derive(Debug, Deserialize)]
pub(crate) struct SignedIn {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    /// Seconds that the access token is good for.
    pub(crate) expires_in: i64,
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SupabaseError {
    /// Supabase refused.
    #[error("Supabase refuses: {message} (code {code})")]
    Refused {
        /// Its code.
        code: String,
        /// Its words.
        message: String,
    },
    /// Its answer has another form.
    #[error("Supabase's answer is no session")]
    Unreadable(#[source] serde_json::Error),
    /// It does not answer.
    #[error("Supabase at {url} does not answer")]
    Unreachable {
        /// Its address.
        url: String,
        /// What the connection said.
        #[source]
        source: reqwest::Error,
    },
}

impl Supabase {
    /// The project at `url`, with its publishable (or legacy anon) key.
    pub(crate) fn new(url: &str, key: &str) -> Self {
        Self { url: url.trim_end_matches('/').to_owned(), key: key.to_owned() }
    }

    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> Result<SignedIn, SupabaseError> {
        self.token("password", &json!({ "email": email, "password": password })).await
    }

    /// A new access token, and the refresh token that comes after this one.
    pub(crate) async fn refresh(&self, refresh_token: &str) -> Result<SignedIn, SupabaseError> {
        self.token("refresh_token", &json!({ "refresh_token": refresh_token })).await
    }

    async fn token(&self, grant: &str, body: &Value) -> Result<SignedIn, SupabaseError> {
        let unreachable = |source| SupabaseError::Unreachable { url: self.url.clone(), source };
        let call = Client::new().post(format!("{}/auth/v1/token?grant_type={grant}", self.url));
        let answer = call.header("apikey", &self.key).json(body).timeout(MAX_WAIT).send().await.map_err(unreachable)?;
        let status = answer.status();
        let text = answer.text().await.map_err(unreachable)?;
        if status.is_success() {
            return serde_json::from_str(&text).map_err(SupabaseError::Unreadable);
        }
        Err(refused(status.as_u16(), &text))
    }
}

/// The refusal in a body, which has one of several forms, or none.
fn refused(status: u16, text: &str) -> SupabaseError {
    let body: Value = serde_json::from_str(text).unwrap_or_default();
    let first = |names: &[&str]| names.iter().find_map(|name| body[*name].as_str().map(str::to_owned));
    SupabaseError::Refused {
        code: first(&["error_code", "code", "error"]).unwrap_or_else(|| status.to_string()),
        message: first(&["msg", "message", "error_description"]).unwrap_or_else(|| format!("HTTP {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_every_form_are_read() {
        let check = |text: &str, expected: &str| assert_eq!(refused(400, text).to_string(), expected, "{text}");
        check(
            r#"{"code":400,"error_code":"invalid_credentials","msg":"Invalid login credentials"}"#,
            "Supabase refuses: Invalid login credentials (code invalid_credentials)",
        );
        check(r#"{"code":"bad","message":"no"}"#, "Supabase refuses: no (code bad)");
        check(r#"{"message":"Invalid API key","hint":"…"}"#, "Supabase refuses: Invalid API key (code 400)");
        check("<html>", "Supabase refuses: HTTP 400 (code 400)");
    }
}
