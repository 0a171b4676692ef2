//! The prefix of all Redis keys and channels. What stands behind it is each module's own.
//!
//! Keys that one script touches share a hash tag (the part in braces), so that Redis Cluster keeps them together.

const PREFIX: &str = "cm";

/// The key or channel `rest`, prefixed: `cm:<rest>`.
#[must_use]
pub fn key(rest: &str) -> String {
    format!("{PREFIX}:{rest}")
}
