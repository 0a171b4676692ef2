//! One call as the handlers read it.

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::de::DeserializeOwned;

/// A call whose body was read whole.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Path without query, as sent.
    pub(crate) path: String,
    /// Query without `?`, as sent; empty when there is none.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The token of `Authorization: Bearer <token>`.
    pub(crate) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
    }

    /// A parameter of the query, decoded.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .find(|(sent, _)| sent == name)
            .map(|(_, text)| text.into_owned())
    }

    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}
