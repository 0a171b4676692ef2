//! `GET /api/webhooks/secret`: what the caller's webhooks are signed with.

use crate::caller::Admitted;
use crate::error::{Problem, ProblemDocument};
use crate::state::Shared;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

/// The secret of the caller's webhooks.
#[derive(Serialize, ToSchema)]
pub struct WebhookSecret {
    /// `whsec_` and the Base64 of the key. The caller's alone, and always the same.
    #[schema(example = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")]
    secret: String,
}

/// The secret that the caller's webhooks are signed with.
#[utoipa::path(
    get, path = "/api/webhooks/secret", tag = "webhooks",
    responses(
        (status = 200, body = WebhookSecret),
        (status = 401, description = "No valid token", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "`webhooks_disabled`", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("bearer" = []))
)]
pub async fn secret(admitted: Admitted, State(state): State<Shared>) -> Result<impl IntoResponse, Problem> {
    let master = state.webhooks.secret.as_ref().ok_or_else(Problem::webhooks_disabled)?;
    let secret = master.of_owner(&admitted.caller.user_id).reveal();
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(WebhookSecret { secret })))
}
