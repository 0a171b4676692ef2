//! Who calls.

use candlemill_shared::tier::Tier;
use candlemill_tasks::Grant;
use std::sync::Arc;

/// The user behind a valid token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `sub`: the user's id.
    pub user_id: Arc<str>,
    /// The subscription.
    pub tier: Tier,
    /// The Postgres role, `authenticated` for users.
    pub role: Arc<str>,
    /// A guest sign-in.
    pub is_anonymous: bool,
    /// `exp`, UTC ms.
    pub expires_at_ms: i64,
}

impl Caller {
    /// Leave to submit tasks as this user, confirmed at `now_ms`, UTC.
    #[must_use]
    pub fn grant(&self, now_ms: i64) -> Grant {
        Grant::of_token(&*self.user_id, self.tier, now_ms)
    }
}
