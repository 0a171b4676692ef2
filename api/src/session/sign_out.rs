//! `DELETE /api/session`: ends the session, here and at Supabase.

use super::page::OwnPage;
use crate::error::Problem;
use crate::state::Shared;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Sign out of the dashboard
///
/// Ends this session alone (`scope=local`), drops its token in every process, and takes the cookie away. Takes the session's token
/// where the page has one that is good. It always succeeds for the page: what Supabase could not be told ends by itself.
#[utoipa::path(
    delete, path = "/api/session", operation_id = "sign_out", tag = "dashboard",
    responses((status = 204, description = "Signed out"), (status = 403, description = "`foreign_page`")),
)]
pub async fn sign_out(page: OwnPage, State(state): State<Shared>, headers: HeaderMap) -> Result<Response, Problem> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|text| text.to_str().ok());
    state.auth.sign_out(authorization, page.refresh_token.as_deref()).await;
    let mut answer = StatusCode::NO_CONTENT.into_response();
    if let Some(cookie) = page.forget() {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(answer)
}
