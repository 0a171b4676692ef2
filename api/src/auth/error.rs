//! Why nobody is let in.

use std::sync::Arc;

/// Why a request has no caller. Holds no part of any token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No `Authorization` header.
    #[error("This call needs the header Authorization: Bearer <access token of a signed-in user>.")]
    Missing,
    /// A header that holds no token.
    #[error("The Authorization header does not hold \"Bearer\" and a JSON Web Token of at most 8 KiB.")]
    Malformed,
    /// A token that is not, or no longer, valid.
    #[error("The access token is not valid: {0}. Sign in again for a new one.")]
    Invalid(Arc<str>),
    /// A token whose time is over.
    #[error("The access token has expired. Refresh the session for a new one.")]
    Expired,
    /// The user may not use the service.
    #[error("This user is banned.")]
    Banned,
    /// Supabase does not answer, or not as it should. Says nothing about the token.
    #[error("The authentication service does not answer at the moment. Try again.")]
    Unavailable {
        /// Seconds that it asked for.
        retry_after: Option<u32>,
    },
    /// Supabase refuses our own key.
    #[error("The authentication service refuses this server's key. Its operator has been told by the log.")]
    Misconfigured,
}

impl AuthError {
    pub(super) fn invalid(why: impl Into<Arc<str>>) -> Self {
        Self::Invalid(why.into())
    }

    /// Stable name of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "missing_token",
            Self::Malformed => "malformed_token",
            Self::Invalid(_) => "invalid_token",
            Self::Expired => "expired_token",
            Self::Banned => "user_banned",
            Self::Unavailable { .. } => "auth_unavailable",
            Self::Misconfigured => "auth_misconfigured",
        }
    }

    /// Seconds to wait, where Supabase named any.
    #[must_use]
    pub const fn retry_after_seconds(&self) -> Option<u32> {
        match self {
            Self::Unavailable { retry_after } => *retry_after,
            _ => None,
        }
    }

    /// Whether it is about the token, so that it may be remembered for a while.
    pub(super) const fn is_verdict(&self) -> bool {
        matches!(self, Self::Invalid(_) | Self::Expired | Self::Banned)
    }
}
