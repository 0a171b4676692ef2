//! The trace of a request: taken from `traceparent` or made here, logged, answered, and handed to the task.

use crate::error;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use candlemill_shared::telemetry::TraceId;
use std::convert::Infallible;
use tracing::Instrument;

/// The request's trace.
#[derive(Debug, Clone)]
pub struct Trace(pub TraceId);

impl<S: Sync> FromRequestParts<S> for Trace {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self(TraceId::random())))
    }
}

/// Gives every request a trace and a span.
pub async fn follow(mut request: Request, next: Next) -> Response {
    let given = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    let trace = given.and_then(TraceId::from_traceparent).unwrap_or_else(TraceId::random);
    let path = request.uri().path().to_owned();
    let span = tracing::info_span!("request", trace_id = %trace, method = %request.method(), path);
    request.extensions_mut().insert(Trace(trace.clone()));
    let mut response = error::locate(next.run(request).instrument(span).await, &path, trace.as_str());
    if let Ok(told) = HeaderValue::from_str(trace.as_str()) {
        response.headers_mut().insert(HeaderName::from_static("x-trace-id"), told);
    }
    response
}
