//! Rule 3: how often a sign-in is tried.

use crate::error::Problem;
use crate::state::AppState;
use axum::http::StatusCode;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

const PER_MINUTE: u32 = 5;
const MINUTE_MS: i64 = 60_000;
/// Names that one process counts by itself in a minute; more are not let in.
const MOST_NAMES: usize = 10_000;

/// Counters of this process, for while Redis is away: passwords are not to be tried without end then.
#[derive(Debug, Default)]
pub struct OwnTries(Mutex<(i64, HashMap<String, u32>)>);

impl OwnTries {
    /// Whether one more try of `name` is within the bounds of its minute.
    fn allow(&self, name: &str, now_ms: i64) -> bool {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now_ms.div_euclid(MINUTE_MS);
        if counted.0 != minute {
            *counted = (minute, HashMap::new());
        }
        if counted.1.len() >= MOST_NAMES && !counted.1.contains_key(name) {
            return false;
        }
        let tries = counted.1.entry(name.to_owned()).or_default();
        *tries += 1;
        *tries <= PER_MINUTE
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_a_minute_each() {
        let tries = OwnTries::default();
        for name in ["a", "b"] {
            let allowed: Vec<bool> = (0..7).map(|_| tries.allow(name, 30_000)).collect();
            assert_eq!(allowed, [true, true, true, true, true, false, false], "{name}");
        }
        assert!(tries.allow("a", 60_000), "a new minute");
    }
}
