//! Errors of Auth, in both versions of their body.

use crate::server::answer::Answer;
use crate::server::request::Request;
use serde_json::json;

/// The version of the interface that has the newer error body.
const NEWER: &str = "2024-01-01";

/// A refused call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuthError {
    status: u16,
    code: &'static str,
    message: String,
}

impl AuthError {
    /// An error with the string code that clients branch on.
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// The token does not hold.
    pub(crate) fn bad_jwt(message: impl Into<String>) -> Self {
        Self::new(403, "bad_jwt", message)
    }

    /// The body is not what the call needs.
    pub(crate) fn bad_json(error: &serde_json::Error) -> Self {
        Self::new(400, "bad_json", format!("Could not parse request body as JSON: {error}"))
    }

    /// As an answer in the version that the caller asked for.
    pub(crate) fn answer(&self, request: &Request) -> Answer {
        let body = if request.header("x-supabase-api-version").is_some_and(|version| version >= NEWER) {
            json!({ "code": self.code, "message": self.message })
        } else {
            json!({ "code": self.status, "error_code": self.code, "msg": self.message })
        };
        Answer::json(self.status, &body).with_header("x-sb-error-code", self.code)
    }
}
