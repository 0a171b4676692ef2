//! `POST /auth/v1/logout`: ends sessions. Tokens stay cryptographically valid until they expire.

use super::error::AuthError;
use super::gateway;
use super::refused::Refused;
use super::user::authenticate;
use crate::server::answer::Answer;
use crate::server::request::Request;
use crate::state::SimulatorState;

pub(super) fn answer(state: &SimulatorState, request: &Request) -> Result<Answer, Refused> {
    gateway::admit(state, request)?;
    let caller = authenticate(state, request)?;
    let own = caller.session_id.as_deref();
    match request.parameter("scope").as_deref() {
        None | Some("" | "global") => state.accounts.end_sessions(&caller.user.id, |_| true),
        Some("local") => state.accounts.end_sessions(&caller.user.id, |session| Some(session) == own),
        Some("others") => state.accounts.end_sessions(&caller.user.id, |session| Some(session) != own),
        Some(other) => {
            let message = format!("Unsupported logout scope {other:?}");
            return Err(AuthError::new(400, "validation_failed", message).into());
        }
    }
    Ok(Answer::empty(204))
}
