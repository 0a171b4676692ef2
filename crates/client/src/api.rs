//! The connection: an address, a token, and how requests are sent and answers read.

use crate::error::ApiError;
use candlemill_shared::forms::ProblemDocument;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::{Display, Write as _};
use std::time::Duration;

/// Longest time to connect and, on calls that are no stream, from the call to the whole answer.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// A client of the API with one user's token.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    token: String,
    http: Client,
}

impl Api {
    /// A client of the API at `base` (`http://host:port`) that sends `token`.
    #[must_use]
    pub fn new(base: &str, token: &str) -> Self {
        let http = Client::builder().connect_timeout(MAX_WAIT).build().unwrap_or_default();
        Self { base: base.trim_end_matches('/').to_owned(), token: token.to_owned(), http }
    }

    /// The same API with another token: of another user, of the operators, or a fresh one. It shares the connections.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// The API's address.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The access token that is sent.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A request to `path` with the token, for calls that have no method here.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    /// `GET <path>?<query>` as JSON, for what has no form here.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T, ApiError> {
        self.read(self.request(Method::GET, path).query(query)).await
    }

    /// `POST <path>` with a JSON body, or without one, for what has no form here.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: Option<&Value>) -> Result<T, ApiError> {
        let call = self.request(Method::POST, path);
        self.read(if let Some(body) = body { call.json(body) } else { call }).await
    }

    /// `GET <path>?<query>` as a stream, for answers of any length.
    ///
    /// # Errors
    /// The API's refusal, or no answer.
    pub async fn stream(&self, path: &str, query: &[(&str, String)]) -> Result<Response, ApiError> {
        self.answer(self.request(Method::GET, path).query(query)).await
    }

    pub(crate) async fn read<T: DeserializeOwned>(&self, call: RequestBuilder) -> Result<T, ApiError> {
        let answer = self.answer(call.timeout(MAX_WAIT)).await?;
        let text = answer.text().await.map_err(|source| self.unsent(source))?;
        parse(if text.is_empty() { "null" } else { &text })
    }

    /// A request without the token, for open calls.
    pub(crate) fn open_request(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.base)).timeout(MAX_WAIT)
    }

    /// `POST <path>` with a key that makes a repetition the same request.
    pub(crate) async fn submit<T: DeserializeOwned>(
        &self,
        path: &str,
        request: &impl Serialize,
        idempotency_key: Option<&str>,
    ) -> Result<T, ApiError> {
        let mut call = self.request(Method::POST, path).json(request);
        if let Some(key) = idempotency_key {
            call = call.header("Idempotency-Key", key);
        }
        self.read(call).await
    }

    /// Sends; turns every answer that is not 2xx into an error.
    pub(crate) async fn answer(&self, call: RequestBuilder) -> Result<Response, ApiError> {
        let answer = call.send().await.map_err(|source| self.unsent(source))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let wait = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let text = answer.text().await.unwrap_or_default();
        match serde_json::from_str::<ProblemDocument>(&text) {
            Ok(mut problem) if !problem.title.is_empty() => {
                problem.status = status.as_u16();
                if let Some(wait) = wait {
                    problem.detail = Some(format!("{} Try again in {wait} s.", problem.detail.unwrap_or_default()));
                }
                Err(ApiError::Problem(Box::new(problem)))
            }
            _ => Err(ApiError::Foreign { status: status.as_u16(), text: beginning(&text) }),
        }
    }

    /// Why no whole answer came.
    pub(crate) fn unsent(&self, source: reqwest::Error) -> ApiError {
        let base = self.base.clone();
        if source.is_builder() { ApiError::Unsendable { base, source } } else { ApiError::Unreachable { base, source } }
    }
}

pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    serde_json::from_str(text).map_err(|source| ApiError::Unreadable { text: beginning(text), source })
}

pub(crate) fn beginning(text: &str) -> String {
    text.chars().take(300).collect()
}

/// A name as one part of a path, whatever it holds.
pub(crate) fn segment(name: impl Display) -> String {
    let mut kept = String::new();
    for byte in name.to_string().bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~' | b'.') {
            kept.push(char::from(byte));
        } else {
            let written = write!(kept, "%{byte:02X}");
            debug_assert!(written.is_ok(), "memory takes every text");
        }
    }
    // As a whole part these would lead up the path.
    if kept.is_empty() || kept.bytes().all(|byte| byte == b'.') { "-".to_owned() } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_one_part_of_a_path() {
        let check = |name: &str, expected: &str| assert_eq!(segment(name), expected, "{name}");
        check("01JC5Y7V9N8B3M2K1H0G9F8E7D", "01JC5Y7V9N8B3M2K1H0G9F8E7D");
        check("../../task", "..%2F..%2Ftask");
        check("..", "-");
        check("", "-");
        check("a?b#c", "a%3Fb%23c");
    }

    #[tokio::test]
    async fn an_address_that_is_none_is_said_to_be_none() {
        let refused = Api::new("nonsense", "token").get::<Value>("/api/tasks", &[]).await.unwrap_err();
        assert!(matches!(refused, ApiError::Unsendable { .. }), "{refused:?}");
        assert!(refused.to_string().contains("\"nonsense\""), "{refused}");
    }
}
