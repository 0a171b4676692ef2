//! `GET /api/webhooks/secret`: what the caller's webhooks are signed with.

use crate::answer::Json;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::state::Shared;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use candlemill_shared::forms::WebhookSecret;

/// Show the secret that your webhooks are signed with
#[utoipa::path(
    get, path = "/api/webhooks/secret", operation_id = "show_webhook_secret", tag = "webhooks",
    responses(
        (status = 200, description = "The caller's own secret", body = WebhookSecret),
        (status = 422, description = "`webhooks_disabled`"),
    ),
    security(("bearer" = []))
)]
pub async fn secret(admitted: Admitted, State(state): State<Shared>) -> Result<impl IntoResponse, Problem> {
    let master = state.webhooks.secret.as_ref().ok_or_else(Problem::webhooks_disabled)?;
    let secret = master.of_owner(&admitted.caller.user_id).reveal();
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(WebhookSecret { secret })))
}
