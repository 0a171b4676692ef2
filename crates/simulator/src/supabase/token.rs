//! `POST /auth/v1/token`: sign-in by password, and refresh.

use super::accounts::SignIn;
use super::error::AuthError;
use super::gateway;
use super::mint::{LIFETIME, issue};
use super::refused::Refused;
use crate::server::answer::Answer;
use crate::server::request::Request;
use crate::state::SimulatorState;
use candlemill_shared::Clock;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Password {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
}

#[derive(Deserialize)]
struct Refresh {
    #[serde(default)]
    refresh_token: String,
}

pub(super) fn answer(state: &SimulatorState, request: &Request) -> Result<Answer, Refused> {
    gateway::admit(state, request)?;
    let now = state.auth_clock.now_ms();
    let sign_in = match request.parameter("grant_type").as_deref() {
        Some("password") => {
            let given: Password = request.json().map_err(|error| AuthError::bad_json(&error))?;
            let sign_in = state.accounts.sign_in(&given.email.to_lowercase(), &given.password, now);
            sign_in.ok_or_else(|| AuthError::new(400, "invalid_credentials", "Invalid login credentials"))?
        }
        Some("refresh_token") => {
            let given: Refresh = request.json().map_err(|error| AuthError::bad_json(&error))?;
            let sign_in = state.accounts.refresh(&given.refresh_token);
            sign_in.ok_or_else(|| {
                AuthError::new(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
            })?
        }
        _ => return Err(AuthError::new(400, "validation_failed", "unsupported_grant_type").into()),
    };
    if sign_in.user.banned_until_ms.is_some_and(|until| until > now) {
        return Err(AuthError::new(400, "user_banned", "User is banned").into());
    }
    session(state, &sign_in, now)
}

fn session(state: &SimulatorState, sign_in: &SignIn, now: i64) -> Result<Answer, Refused> {
    let access_token = issue(state, sign_in).map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "a token cannot be issued");
        AuthError::new(500, "unexpected_failure", "Unexpected failure, please check server logs for more information")
    })?;
    Ok(Answer::json(
        200,
        &json!({
            "access_token": access_token,
            "token_type": "bearer",
            "expires_in": LIFETIME,
            "expires_at": now / 1_000 + LIFETIME,
            "refresh_token": sign_in.refresh_token,
            "user": sign_in.user.object(),
        }),
    ))
}
