//! Problem documents.

use super::given::FieldError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use utoipa::ToSchema;

/// The form of every error (`application/problem+json`, RFC 9457).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProblemDocument {
    /// Address of the code's explanation.
    #[serde(default, rename = "type")]
    #[schema(format = UriReference, example = "/problems#tier_limit")]
    pub kind: String,
    /// The code in words.
    #[serde(default)]
    #[schema(required)]
    pub title: String,
    /// HTTP status.
    #[serde(default)]
    #[schema(required, minimum = 400, maximum = 599)]
    pub status: u16,
    /// Stable name of the error, for programs.
    #[serde(default)]
    #[schema(required)]
    pub code: String,
    /// What was wrong this time, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Path of the request.
    #[serde(default)]
    #[schema(required, format = UriReference, example = "/api/market-data/fetch")]
    pub instance: String,
    /// Trace of the request, as in the header `X-Trace-Id`.
    #[serde(default)]
    #[schema(required, pattern = "^[0-9a-f]{32}$")]
    pub trace_id: String,
    /// Every member and parameter that was refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Members of this code: `limit` and `lifted_by`, `retry_after`, …
    #[serde(flatten)]
    pub members: Map<String, Value>,
}

impl fmt::Display for ProblemDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (HTTP {}", self.title, self.status)?;
        if !self.code.is_empty() {
            write!(f, ", code {}", self.code)?;
        }
        f.write_str(")")?;
        if let Some(detail) = &self.detail {
            write!(f, "\n{detail}")?;
        }
        for FieldError { field, message } in &self.errors {
            write!(f, "\n  {field}: {message}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn problems_say_title_code_and_detail() {
        let problem: ProblemDocument = serde_json::from_value(json!({
            "type": "about:blank", "title": "Range over tier", "status": 403, "detail": "ask for less", "code": "tier_limit",
            "limit": 5, "errors": [{"field": "end", "message": "too late"}]}))
        .unwrap();
        assert_eq!(problem.to_string(), "Range over tier (HTTP 403, code tier_limit)\nask for less\n  end: too late");
        assert_eq!(problem.members["limit"], 5);
    }
}
