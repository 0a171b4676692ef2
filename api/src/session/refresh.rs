//! `POST /api/session/refresh`: the session goes on.

use super::SessionView;
use super::page::OwnPage;
use super::sign_in::answer;
use crate::auth::SessionError;
use crate::error::Problem;
use crate::input::Body;
use crate::state::Shared;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

/// It has no members: the cookie says all.
#[derive(Debug, Deserialize, ToSchema)]
pub struct RefreshRequest {}

/// Renew the session of the dashboard
///
/// By the cookie of the sign-in, which becomes another one. 204 where there is none: nobody is signed in.
#[utoipa::path(
    post, path = "/api/session/refresh", operation_id = "refresh_session", tag = "dashboard", request_body = RefreshRequest,
    responses(
        (status = 200, description = "The session goes on", body = SessionView),
        (status = 204, description = "There is no session"),
        (status = 401, description = "`session_ended`: sign in again"),
        (status = 403, description = "`foreign_page`"),
        (status = 503, description = "`auth_unavailable`, `auth_misconfigured`"),
    ),
)]
pub async fn refresh(
    page: OwnPage,
    State(state): State<Shared>,
    Body(RefreshRequest {}): Body<RefreshRequest>,
) -> Result<Response, Problem> {
    let Some(refresh_token) = &page.refresh_token else { return Ok(StatusCode::NO_CONTENT.into_response()) };
    match state.auth.refresh(refresh_token).await {
        Ok(tokens) => answer(&page, &tokens),
        Err(SessionError::Auth(error)) => Err(error.into()),
        Err(SessionError::Refused) => {
            let ended = Problem::new(StatusCode::UNAUTHORIZED, "session_ended", "The session has ended")
                .detail("It was signed out, or Supabase lets it go on no longer. Sign in again.");
            Err(match page.forget() {
                Some(cookie) => ended.header(header::SET_COOKIE, cookie),
                None => ended,
            })
        }
    }
}
