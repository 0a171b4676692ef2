//! The headers that tell a user how many requests are left.

use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use candlemill_tasks::RateDecision;

/// Adds them to an answer.
pub(crate) fn tell(decision: RateDecision, response: &mut Response) {
    const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
    const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
    const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
    const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
    let headers = response.headers_mut();
    headers.insert(LIMIT, decision.limit.into());
    headers.insert(REMAINING, decision.remaining.into());
    headers.insert(RESET, decision.reset_seconds.into());
    if let Ok(policy) = HeaderValue::from_str(&format!("{};w=60", decision.limit)) {
        headers.insert(POLICY, policy);
    }
}
