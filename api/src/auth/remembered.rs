//! What is remembered of a token, in the process and in Redis.

use super::caller::Caller;
use super::error::AuthError;
use candlemill_shared::tier::Tier;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// A verdict and how long it may be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) outcome: Result<Caller, AuthError>,
    /// UTC ms.
    pub(super) until_ms: i64,
}

/// Longest memory of a refusal.
pub(super) const REFUSAL: Duration = Duration::from_secs(30);

/// A verdict as Redis keeps it: nothing of the token, and of the user only what is needed.
#[derive(Serialize, Deserialize)]
struct Stored {
    v: u32,
    until_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    caller: Option<StoredCaller>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredCaller {
    sub: String,
    role: String,
    tier: Tier,
    exp_ms: i64,
    is_anonymous: bool,
}

/// Version of the stored form; others are passed over.
const VERSION: u32 = 1;
/// What stands for the two refusals without a reason of their own.
const EXPIRED: &str = "\u{1}expired";
const BANNED: &str = "\u{1}banned";

impl Verdict {
    /// How long it may still be believed.
    pub(super) fn left(&self, now_ms: i64) -> Duration {
        Duration::from_millis(u64::try_from(self.until_ms - now_ms).unwrap_or(0))
    }

    pub(super) fn to_stored(&self) -> Vec<u8> {
        let (caller, refused) = match &self.outcome {
            Ok(caller) => {
                let stored = StoredCaller {
                    sub: caller.user_id.to_string(),
                    role: caller.role.to_string(),
                    tier: caller.tier,
                    exp_ms: caller.expires_at_ms,
                    is_anonymous: caller.is_anonymous,
                };
                (Some(stored), None)
            }
            Err(AuthError::Invalid(why)) => (None, Some(why.to_string())),
            Err(AuthError::Banned) => (None, Some(BANNED.to_owned())),
            Err(_) => (None, Some(EXPIRED.to_owned())),
        };
        serde_json::to_vec(&Stored { v: VERSION, until_ms: self.until_ms, caller, refused }).unwrap_or_default()
    }

    /// `None`: of another version, or no longer to be believed. Believed for `longest`: the clock of the process that stored it may be
    /// ahead of ours.
    pub(super) fn from_stored(stored: &[u8], now_ms: i64, longest: Duration) -> Option<Self> {
        let stored: Stored = serde_json::from_slice(stored).ok()?;
        let outcome = match (stored.caller, stored.refused) {
            (Some(caller), None) => Ok(Caller {
                user_id: caller.sub.into(),
                role: caller.role.into(),
                tier: caller.tier,
                expires_at_ms: caller.exp_ms,
                is_anonymous: caller.is_anonymous,
            }),
            (None, Some(why)) => Err(match why.as_str() {
                EXPIRED => AuthError::Expired,
                BANNED => AuthError::Banned,
                other => AuthError::Invalid(Arc::from(other)),
            }),
            _ => return None,
        };
        let longest = if outcome.is_ok() { longest } else { longest.min(REFUSAL) };
        let latest = now_ms.saturating_add(i64::try_from(longest.as_millis()).unwrap_or(i64::MAX));
        let until_ms = stored.until_ms.min(latest);
        (stored.v == VERSION && until_ms > now_ms).then_some(Self { outcome, until_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(300);

    #[test]
    fn verdicts_come_back_until_their_time() {
        let caller = Caller {
            user_id: "6f1c".into(),
            role: "authenticated".into(),
            tier: Tier::Pro,
            expires_at_ms: 9_000,
            is_anonymous: false,
        };
        for outcome in [Ok(caller), Err(AuthError::Banned), Err(AuthError::Expired), Err(AuthError::invalid("x"))] {
            let verdict = Verdict { outcome, until_ms: 1_000 };
            let stored = verdict.to_stored();
            assert_eq!(Verdict::from_stored(&stored, 999, LONGEST), Some(verdict.clone()));
            assert_eq!(Verdict::from_stored(&stored, 1_000, LONGEST), None);
            // Stored by a clock that is an hour ahead.
            let believed = Verdict::from_stored(&stored, -3_600_000, LONGEST).unwrap();
            let expected = if verdict.outcome.is_ok() { LONGEST } else { REFUSAL };
            assert_eq!(believed.left(-3_600_000), expected, "{verdict:?}");
        }
        assert_eq!(Verdict::from_stored(br#"{"v":2,"until_ms":99,"refused":"x"}"#, 0, LONGEST), None);
        assert_eq!(Verdict::from_stored(b"rubbish", 0, LONGEST), None);
    }
}
