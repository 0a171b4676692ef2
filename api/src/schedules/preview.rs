//! `POST /api/schedules/preview`: what a schedule would do.

use super::request::{admit, read};
use crate::answer::Json;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::Body;
use crate::state::Shared;
use axum::extract::State;
use candlemill_shared::forms::{ScheduleChange, SchedulePreview, ScheduleRequest, preview};
use candlemill_shared::time_zone::DATABASE_VERSION;

/// Preview a schedule
///
/// Refused as the creation would be; nothing is stored.
#[utoipa::path(
    post, path = "/api/schedules/preview", operation_id = "preview_schedule", tag = "schedules", request_body = ScheduleRequest,
    responses(
        (status = 200, description = "What it would do", body = SchedulePreview),
        (status = 403, description = "`tier_limit`: which limit, and which tier lifts it"),
        (status = 422, description = "`unknown_symbol`, `webhook_refused`, `webhooks_disabled`"),
    ),
    security(("bearer" = []))
)]
pub async fn preview_schedule(
    admitted: Admitted,
    State(state): State<Shared>,
    Body(request): Body<ScheduleChange>,
) -> Result<Json<SchedulePreview>, Problem> {
    let now = state.clock.now_ms();
    let spec = read(request, None, now)?;
    admit(&state, &admitted.caller.grant(now), &spec, now).await?;
    Ok(Json(SchedulePreview {
        words: spec.timing.words(),
        time_zone_data: DATABASE_VERSION.to_owned(),
        next_fires: preview(&spec.timing, now),
    }))
}
