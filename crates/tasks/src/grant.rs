//! Who may submit tasks, and by which tier.

use candlemill_shared::tier::Tier;

/// What confirmed an owner and its tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfirmedBy {
    /// A valid access token.
    Token,
    /// An operator's token.
    Operator,
    /// The service's own configuration.
    Configuration,
    /// What Supabase last said of the owner, as it is written down.
    OwnerRecord,
}

/// Leave to submit tasks as `owner`, within the limits of a tier. It is made where the owner is known: by authentication, an
/// operator's token, or configuration; no message of a caller becomes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    owner: String,
    tier: Tier,
    confirmed_by: ConfirmedBy,
    confirmed_at: i64,
}

impl Grant {
    /// Of the user behind a valid access token that was confirmed at `confirmed_at`, UTC ms.
    #[must_use]
    pub fn of_token(owner: impl Into<String>, tier: Tier, confirmed_at: i64) -> Self {
        Self { owner: owner.into(), tier, confirmed_by: ConfirmedBy::Token, confirmed_at }
    }

    /// Of the operators, who have the limits of the highest tier. Their tasks belong to `owner`, which is no user's id.
    #[must_use]
    pub fn of_operator(owner: impl Into<String>, confirmed_at: i64) -> Self {
        Self { owner: owner.into(), tier: Tier::Enterprise, confirmed_by: ConfirmedBy::Operator, confirmed_at }
    }

    /// Of an owner that the configuration names.
    #[must_use]
    pub fn of_configuration(owner: impl Into<String>, tier: Tier, confirmed_at: i64) -> Self {
        Self { owner: owner.into(), tier, confirmed_by: ConfirmedBy::Configuration, confirmed_at }
    }

    /// Of an owner that Supabase confirmed at `confirmed_at`, UTC ms. Only the record of owners makes it.
    #[must_use]
    pub(crate) fn of_owner_record(owner: impl Into<String>, tier: Tier, confirmed_at: i64) -> Self {
        Self { owner: owner.into(), tier, confirmed_by: ConfirmedBy::OwnerRecord, confirmed_at }
    }

    /// User id of the owner.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The tier whose limits hold.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        self.tier
    }

    /// What confirmed owner and tier.
    #[must_use]
    pub const fn confirmed_by(&self) -> ConfirmedBy {
        self.confirmed_by
    }

    /// When that was, UTC ms.
    #[must_use]
    pub const fn confirmed_at(&self) -> i64 {
        self.confirmed_at
    }
}
