//! `GET /auth/v1/.well-known/jwks.json`: the public keys, no key needed to read them.

use crate::server::answer::Answer;
use crate::world::World;
use serde_json::json;

pub(super) fn answer(world: &World) -> Answer {
    Answer::json(200, &json!({ "keys": world.keys.published() })).with_header("cache-control", "public, max-age=600")
}
