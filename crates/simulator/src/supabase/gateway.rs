//! The gateway: every call but JWKS needs one of the project's keys.

use super::refused::Refused;
use crate::server::answer::Answer;
use crate::server::request::Request;
use crate::state::SimulatorState;
use serde_json::json;

/// Whose key a call carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyRole {
    /// Publishable or legacy anon key: no more than its user may.
    Anon,
    /// Secret or legacy service-role key: everything.
    Service,
}

/// Checks the key of a call.
pub(super) fn admit(state: &SimulatorState, request: &Request) -> Result<KeyRole, Refused> {
    let Some(key) = request.header("apikey").map(str::to_owned).or_else(|| request.parameter("apikey")) else {
        return Err(refuse("No API key found in request", "No `apikey` request header or url param was found."));
    };
    let project = &state.project;
    let role = if key == project.publishable_key || key == project.anon_key {
        KeyRole::Anon
    } else if key == project.secret_key || key == project.service_role_key {
        KeyRole::Service
    } else {
        return Err(invalid());
    };
    // The new keys are no JWTs: as a bearer they are refused, unless the same key stands in `apikey`.
    if request.bearer().is_some_and(|bearer| bearer.starts_with("sb_") && bearer != key) {
        return Err(invalid());
    }
    let browser = request.header("user-agent").is_some_and(|agent| agent.starts_with("Mozilla/"));
    if key == project.secret_key && browser {
        return Err(refuse(
            "Forbidden use of secret API key in browser",
            "Secret API keys can only be used in a protected environment and should never be used in a browser.",
        ));
    }
    Ok(role)
}

fn invalid() -> Refused {
    refuse("Invalid API key", "Double check your Supabase `anon` or `service_role` API key.")
}

fn refuse(message: &str, hint: &str) -> Refused {
    Refused::Gateway(Answer::json(401, &json!({ "message": message, "hint": hint })).into())
}
