//! Who calls.

use candlemill_shared::tier::Tier;
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
