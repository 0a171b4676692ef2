//! `POST /api/session`: a session of an e-mail and a password.

use super::SessionView;
use super::page::OwnPage;
use super::tries;
use crate::answer::Json;
use crate::auth::{AuthError, SessionError, SessionTokens};
use crate::error::Problem;
use crate::input::Body;
use crate::state::Shared;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::fmt;
use utoipa::ToSchema;

/// Longest e-mail and password that are passed on, bytes.
const LONGEST: usize = 1_024;

/// Who signs in. Its debug form shows nothing.
#[derive(Deserialize, ToSchema)]
pub struct SignInRequest {
    /// E-mail of the account.
    #[schema(max_length = 1024)]
    email: String,
    /// Its password.
    #[schema(max_length = 1024)]
    password: String,
}

impl fmt::Debug for SignInRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignInRequest")
    }
}

/// Sign in on the dashboard
///
/// For pages of this service alone: `Origin` must be its own. The refresh token becomes a cookie of `/api/session`.
#[utoipa::path(
    post, path = "/api/session", operation_id = "sign_in", tag = "dashboard", request_body = SignInRequest,
    responses(
        (status = 200, description = "The session", body = SessionView),
        (status = 401, description = "`sign_in_refused`, whatever the reason"),
        (status = 403, description = "`foreign_page`"),
        (status = 429, description = "`too_many_sign_ins`: five a minute from one address, and for one e-mail"),
        (status = 503, description = "`auth_unavailable`, `auth_misconfigured`"),
    ),
)]
pub async fn sign_in(
    page: OwnPage,
    State(state): State<Shared>,
    Body(request): Body<SignInRequest>,
) -> Result<Response, Problem> {
    tries::count(&state, page.address, &request.email).await?;
    if request.email.len() > LONGEST || request.password.len() > LONGEST {
        return Err(refused());
    }
    let tokens = state.auth.sign_in(&request.email, &request.password).await.map_err(|error| match error {
        SessionError::Refused => refused(),
        SessionError::Auth(error) => error.into(),
    })?;
    answer(&page, &tokens)
}

fn refused() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "sign_in_refused", "Not signed in").detail(
        "E-mail and password do not sign in here. Accounts with single sign-on, a magic link, a captcha or a second factor: \
         paste the access token of a session instead.",
    )
}

/// The access token, and the cookie.
pub(super) fn answer(page: &OwnPage, tokens: &SessionTokens) -> Result<Response, Problem> {
    let Some(cookie) = page.keep(&tokens.refresh_token) else {
        return Err(AuthError::Unavailable { retry_after: None }.into());
    };
    let mut answer = Json(SessionView::from(tokens)).into_response();
    answer.headers_mut().insert(header::SET_COOKIE, cookie);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}
