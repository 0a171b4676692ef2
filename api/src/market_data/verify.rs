//! `POST /api/market-data/verify`: has stored candles compared with the exchange's.

use super::fetch::FetchRequest;
use super::submission::Accepted;
use crate::caller::Admitted;
use crate::error::{Problem, ProblemDocument};
use crate::input::Body;
use crate::state::Shared;
use crate::trace::Trace;
use axum::extract::State;
use axum::http::HeaderMap;
use candlemill_shared::job::FetchMode;

/// Compares stored candles with the exchange's.
///
/// A fetch that asks for everything again, whatever is stored: restated candles are recorded, holes filled. Otherwise it is as
/// a fetch: the same fields, limits and answers. The same request while a task for it is under way returns that task.
#[utoipa::path(
    post, path = "/api/market-data/verify", tag = "market data", request_body = FetchRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters; kept 24 h")),
    responses(
        (status = 202, description = "Accepted; `Location` names the task", body = Accepted),
        (status = 400, description = "`invalid_request`, `malformed_json`: what and where", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "`tier_limit`: which limit, and which tier lifts it", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`idempotency_conflict`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "`unknown_symbol`, `webhook_refused`, `webhooks_disabled`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_requests`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "`store_unavailable`, `overloaded`: nothing was stored", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("bearer" = []))
)]
pub async fn verify(
    admitted: Admitted,
    State(state): State<Shared>,
    Trace(trace): Trace,
    headers: HeaderMap,
    Body(request): Body<FetchRequest>,
) -> Result<Accepted, Problem> {
    request.accept(FetchMode::Verify, &state, &admitted.caller.grant(state.clock.now_ms()), trace, &headers).await
}
