//! Supabase: Auth under `/auth/v1/`, one table under `/rest/v1/`, and the gateway in front of both.
//!
//! Rules from the Auth server's source and documentation:
//!
//! 1. A token is checked in this order: signature and expiry, user, session, ban, audience. An expired token is 403 `bad_jwt`.
//! 2. A key is picked by `kid` and must have the header's algorithm; HS256 is checked with the legacy secret only.
//! 3. JWKS shows every asymmetric key that is not revoked, and no shared secret, for ten minutes of caching.
//! 4. `app_metadata` of `GET /user` is fresh; in a token it is as of issue.

pub(crate) mod accounts;
mod admin;
mod error;
mod gateway;
mod identity;
mod jwks;
pub(crate) mod keys;
mod logout;
pub(crate) mod mint;
mod refused;
pub(crate) mod signature;
mod subscriptions;
mod token;
pub(crate) mod token_spec;
mod user;

use crate::server::answer::Answer;
use crate::server::request::Request;
use crate::state::SimulatorState;

/// Answers one call that is not the exchange's.
pub(crate) fn answer(state: &SimulatorState, request: &Request) -> Answer {
    let result = match (request.method.as_str(), request.path.as_str()) {
        // The only call that needs no key.
        ("GET", "/auth/v1/.well-known/jwks.json") => Ok(jwks::answer(state)),
        ("POST", "/auth/v1/token") => token::answer(state, request),
        ("GET", "/auth/v1/user") => user::answer(state, request),
        ("POST", "/auth/v1/logout") => logout::answer(state, request),
        (_, path) if path.starts_with("/auth/v1/admin/users/") => admin::answer(state, request),
        ("GET", path) if path.starts_with("/rest/v1/") => Ok(subscriptions::answer(state, request)),
        _ => Ok(Answer::text(404, "text/plain; charset=utf-8", "404 page not found")),
    };
    result.unwrap_or_else(|error| error.answer(request))
}
