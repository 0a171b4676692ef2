//! `/auth/v1/admin/users/{id}`: what only the secret key may do.

use super::accounts::User;
use super::error::AuthError;
use super::gateway::{self, KeyRole};
use super::identity::is_uuid;
use super::refused::Refused;
use crate::server::answer::Answer;
use crate::server::request::Request;
use crate::state::SimulatorState;
use candlemill_shared::Clock;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What an administrator changes; everything else of the body is ignored, as the server does.
#[derive(Deserialize)]
struct Change {
    /// Merged into the stored one; `null` removes a field.
    #[serde(default)]
    app_metadata: Map<String, Value>,
    /// Merged likewise.
    #[serde(default)]
    user_metadata: Map<String, Value>,
    /// `"24h"`, `"90m"`, `"30s"`, or `"none"`.
    ban_duration: Option<String>,
}

pub(super) fn answer(state: &SimulatorState, request: &Request) -> Result<Answer, Refused> {
    if gateway::admit(state, request)? != KeyRole::Service {
        return Err(AuthError::new(403, "not_admin", "User not allowed").into());
    }
    let id = request.path.trim_start_matches("/auth/v1/admin/users/");
    if !is_uuid(id) {
        return Err(AuthError::new(404, "validation_failed", "user_id must be an UUID").into());
    }
    let missing = || AuthError::new(404, "user_not_found", "User not found");
    match request.method.as_str() {
        "GET" => Ok(Answer::json(200, &state.accounts.user(id).ok_or_else(missing)?.object())),
        "PUT" => {
            let change: Change = request.json().map_err(|error| AuthError::bad_json(&error))?;
            let now = state.auth_clock.now_ms();
            let ban = change.ban_duration.as_deref().map(|text| ban_until(text, now)).transpose()?;
            let user = state.accounts.update(id, now, |user| apply(user, &change, ban));
            Ok(Answer::json(200, &user.ok_or_else(missing)?.object()))
        }
        "DELETE" if state.accounts.delete(id) => Ok(Answer::json(200, &json!({}))),
        "DELETE" => Err(missing().into()),
        _ => Ok(Answer::empty(405)),
    }
}

fn apply(user: &mut User, change: &Change, ban: Option<Option<i64>>) {
    for (stored, sent) in
        [(&mut user.app_metadata, &change.app_metadata), (&mut user.user_metadata, &change.user_metadata)]
    {
        for (name, value) in sent {
            if value.is_null() {
                stored.remove(name);
            } else {
                stored.insert(name.clone(), value.clone());
            }
        }
    }
    if let Some(ban) = ban {
        user.banned_until_ms = ban;
    }
}

fn ban_until(text: &str, now: i64) -> Result<Option<i64>, AuthError> {
    if text == "none" {
        return Ok(None);
    }
    let unit = match text.chars().last() {
        Some('h') => Some(3_600_000),
        Some('m') => Some(60_000),
        Some('s') => Some(1_000),
        _ => None,
    };
    let number = text.get(..text.len().saturating_sub(1)).and_then(|number| number.parse::<i64>().ok());
    match (number, unit) {
        (Some(number), Some(unit)) => Ok(Some(now.saturating_add(number.saturating_mul(unit)))),
        _ => Err(AuthError::new(400, "validation_failed", "invalid format for ban duration")),
    }
}
