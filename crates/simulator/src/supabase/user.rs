//! `GET /auth/v1/user`: the user of a token, fresh from the tables.

use super::accounts::User;
use super::error::AuthError;
use super::gateway;
use super::identity::is_uuid;
use super::mint::{AUDIENCE, verify};
use super::refused::Refused;
use crate::server::answer::Answer;
use crate::server::request::Request;
use crate::state::SimulatorState;
use candlemill_shared::Clock;
use serde_json::{Map, Value};

/// A user whose token holds.
pub(super) struct Authenticated {
    pub(super) user: User,
    pub(super) session_id: Option<String>,
}

pub(super) fn answer(state: &SimulatorState, request: &Request) -> Result<Answer, Refused> {
    gateway::admit(state, request)?;
    let authenticated = authenticate(state, request)?;
    Ok(Answer::json(200, &authenticated.user.object()))
}

/// Rule 1: checks the bearer token in the server's order.
pub(super) fn authenticate(state: &SimulatorState, request: &Request) -> Result<Authenticated, AuthError> {
    let token = request
        .bearer()
        .ok_or_else(|| AuthError::new(401, "no_authorization", "This endpoint requires a valid Bearer token"))?;
    let claims = verify(state, token)?;
    let subject = text(&claims, "sub").ok_or_else(|| AuthError::bad_jwt("invalid claim: missing sub claim"))?;
    if !is_uuid(subject) {
        return Err(AuthError::new(400, "bad_jwt", "invalid claim: sub claim must be a UUID"));
    }
    let user = state.accounts.user(subject);
    let user =
        user.ok_or_else(|| AuthError::new(403, "user_not_found", "User from sub claim in JWT does not exist"))?;
    let session_id = text(&claims, "session_id").filter(|id| !id.is_empty()).map(str::to_owned);
    if session_id.as_ref().is_some_and(|id| !state.accounts.has_session(id)) {
        let message = "Session from session_id claim in JWT does not exist";
        return Err(AuthError::new(403, "session_not_found", message));
    }
    if user.banned_until_ms.is_some_and(|until| until > state.auth_clock.now_ms()) {
        return Err(AuthError::new(403, "user_banned", "User is banned"));
    }
    if !has_audience(&claims) {
        let message = "Token audience doesn't match request audience";
        return Err(AuthError::new(400, "validation_failed", message));
    }
    Ok(Authenticated { user, session_id })
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name)?.as_str()
}

/// `aud` is a text or an array of texts.
fn has_audience(claims: &Map<String, Value>) -> bool {
    match claims.get("aud") {
        Some(Value::String(one)) => one == AUDIENCE,
        Some(Value::Array(several)) => several.iter().any(|one| one == AUDIENCE),
        _ => false,
    }
}
