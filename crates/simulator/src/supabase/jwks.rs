//! `GET /auth/v1/.well-known/jwks.json`: the public keys, no key needed to read them.

use crate::server::answer::Answer;
use crate::state::SimulatorState;
use serde_json::json;

pub(super) fn answer(state: &SimulatorState) -> Answer {
    Answer::json(200, &json!({ "keys": state.keys.published() })).with_header("cache-control", "public, max-age=600")
}
