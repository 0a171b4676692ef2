//! Rule 3: how often a sign-in is tried.

use super::own_tries::PER_MINUTE;
use crate::error::Problem;
use crate::state::AppState;
use axum::http::StatusCode;
use sha2::{Digest, Sha256};
use std::net::IpAddr;

/// Counts a try from `address` for `email`; both counters count it.
pub(super) async fn count(state: &AppState, address: IpAddr, email: &str) -> Result<(), Problem> {
    let email = hex::encode(&Sha256::digest(email.trim().to_lowercase())[..16]);
    // No user's id looks like these.
    let names = [format!("sign-ins from {address}"), format!("sign-ins as {email}")];
    let (mut allowed, mut wait) = (true, 1);
    for name in names {
        match state.tasks.request_rate().count(&name, PER_MINUTE).await {
            Ok(decision) => {
                allowed &= decision.allowed;
                wait = wait.max(decision.reset_seconds);
            }
            Err(error) => {
                tracing::debug!(%error, "a sign-in is counted in this process alone");
                allowed &= state.sign_ins.allow(&name, state.clock.now_ms());
            }
        }
    }
    if allowed {
        return Ok(());
    }
    Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_sign_ins", "Too many tries")
        .detail(format!(
            "{PER_MINUTE} sign-ins a minute are tried from one address and for one e-mail; the next one may come in {wait} s."
        ))
        .retry_after(wait))
}
