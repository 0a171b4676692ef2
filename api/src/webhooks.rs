//! Webhooks: where the owner of a task wants to hear that it has ended.

pub mod secret;
mod view;
mod wanted;

pub use view::WebhookView;
pub use wanted::WebhookRequest;

pub(crate) use wanted::Wanted;

use crate::error::Problem;
use axum::http::StatusCode;

/// This deployment has no webhooks.
pub(crate) fn switched_off() -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "webhooks_disabled", "There are no webhooks here").detail(
        "This deployment has no WEBHOOK_SECRET, so nothing could be signed. Leave webhook out, and watch the task.",
    )
}
