//! `POST /api/market-data/verify`: has stored candles compared with the exchange's.

use super::fetch::accept;
use super::submission::Submitted;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::Body;
use crate::state::Shared;
use crate::trace::Trace;
use axum::extract::State;
use axum::http::HeaderMap;
use candlemill_shared::forms::{Accepted, FetchRequest};
use candlemill_shared::job::FetchMode;

/// Compare stored candles with the exchange's
///
/// A fetch that asks for everything again, whatever is stored: restated candles are recorded, holes filled. Otherwise it is as
/// a fetch: the same fields, limits and answers. The same request while a task for it is under way returns that task.
#[utoipa::path(
    post, path = "/api/market-data/verify", operation_id = "submit_verification", tag = "backfills", request_body = FetchRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated submission the same task, for 24 hours",
        min_length = 1, max_length = 255)),
    responses(
        (status = 202, description = "Accepted", body = Accepted, headers(("Location" = String, description = "The task's record"))),
        (status = 403, description = "`tier_limit`: which limit, and which tier lifts it"),
        (status = 409, description = "`idempotency_conflict`"),
        (status = 422, description = "`unknown_symbol`, `webhook_refused`, `webhooks_disabled`"),
    ),
    security(("bearer" = []))
)]
pub async fn verify(
    admitted: Admitted,
    State(state): State<Shared>,
    Trace(trace): Trace,
    headers: HeaderMap,
    Body(request): Body<FetchRequest>,
) -> Result<Submitted, Problem> {
    let grant = admitted.caller.grant(state.clock.now_ms());
    accept(request, FetchMode::Verify, &state, &grant, trace, &headers).await
}
