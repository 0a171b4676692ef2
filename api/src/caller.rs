//! Permission as an argument: a handler that takes [`Admitted`] runs for nobody else.

use crate::auth::Caller;
use crate::error::Problem;
use crate::rate_headers::tell;
use crate::state::Shared;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use candlemill_tasks::RateDecision;

/// A caller whose token is valid and whose request was counted and allowed.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Who calls.
    pub caller: Caller,
}

impl<S: Sync> FromRequestParts<S> for Admitted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Put there by `admit`. A route outside of it is a mistake of ours, and refused.
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            Problem::new(StatusCode::UNAUTHORIZED, "missing_token", "A valid access token is needed")
                .detail("This call needs an access token")
        })
    }
}

/// Authenticates and counts every request of the routes that it stands before.
pub async fn admit(State(state): State<Shared>, mut request: Request, next: Next) -> Response {
    let authorization = request.headers().get(header::AUTHORIZATION).map(HeaderValue::to_str);
    let authorization = match authorization {
        Some(Ok(text)) => Some(text),
        // Not text: no token looks like that.
        Some(Err(_)) => Some(""),
        None => None,
    };
    let caller = match state.auth.caller(authorization).await {
        Ok(caller) => caller,
        Err(error) => return Problem::from(error).into_response(),
    };
    let per_minute = state.tiers.of(caller.tier).requests_per_minute;
    let decision = match state.tasks.request_rate().count(&caller.user_id, per_minute).await {
        Ok(decision) => Some(decision),
        Err(error) => {
            // A failing counter never fails a request; what needs Redis fails for itself.
            state.metrics.redis_bypasses.inc();
            // The first to notice a restart: what Redis has of progress may be older than what was shown.
            state.tasks.progress().doubt();
            tracing::debug!(%error, "a request was not counted");
            None
        }
    };
    let mut response = match decision {
        Some(decision) if !decision.allowed => too_many(decision, &caller).into_response(),
        _ => {
            request.extensions_mut().insert(Admitted { caller });
            next.run(request).await
        }
    };
    if let Some(decision) = decision {
        tell(decision, &mut response);
    }
    response
}

fn too_many(decision: RateDecision, caller: &Caller) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "Too many requests")
        .detail(format!(
            "The {} tier allows {} requests a minute; the next one may come in {} s.",
            caller.tier, decision.limit, decision.reset_seconds
        ))
        .retry_after(decision.reset_seconds)
}
