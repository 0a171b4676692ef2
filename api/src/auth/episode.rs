//! Telling the operator of a lasting failure once, not once per request.

use super::error::AuthError;
use std::sync::atomic::{AtomicU8, Ordering};

/// What the latest answer of one call of Supabase was: good, or one of two failures.
#[derive(Debug, Default)]
pub(super) struct Episode(AtomicU8);

const GOOD: u8 = 0;
const AWAY: u8 = 1;
const MISCONFIGURED: u8 = 2;

impl Episode {
    /// Takes note of how a call ended. Whether that begins a failure of which nobody was told yet.
    pub(super) fn begins<T>(&self, ended: &Result<T, AuthError>) -> bool {
        let now = match ended {
            Err(AuthError::Unavailable { .. }) => AWAY,
            Err(AuthError::Misconfigured) => MISCONFIGURED,
            // A refusal is a good answer, too.
            Ok(_) | Err(_) => GOOD,
        };
        let before = self.0.swap(now, Ordering::Relaxed);
        now != GOOD && now != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_is_told_once() {
        let episode = Episode::default();
        let away = AuthError::Unavailable { retry_after: None };
        for (ended, expected) in [
            (Ok(()), false),
            (Err(away.clone()), true),
            (Err(away.clone()), false),
            (Err(AuthError::Misconfigured), true),
            (Err(AuthError::Misconfigured), false),
            (Err(AuthError::Banned), false),
            (Err(AuthError::Misconfigured), true),
            (Ok(()), false),
            (Err(away), true),
        ] {
            assert_eq!(episode.begins(&ended), expected, "{ended:?}");
        }
    }
}
