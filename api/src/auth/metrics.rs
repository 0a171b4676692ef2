//! Counters of authentication.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// Counters of authentication, declared once.
#[derive(Debug, Clone)]
pub struct AuthMetrics {
    pub(super) process_hits: Counter,
    pub(super) redis_hits: Counter,
    pub(super) misses: Counter,
    pub(super) redis_bypasses: Counter,
    pub(super) refused: Counter,
    pub(super) user_calls: Counter,
    pub(super) user_failures: Counter,
    pub(super) key_fetches: Counter,
    pub(super) unknown_tiers: Counter,
}

impl AuthMetrics {
    /// Declares them in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        Self {
            process_hits: counter("token_process_hits", "Tokens known to the process"),
            redis_hits: counter("token_redis_hits", "Tokens known to Redis"),
            misses: counter("token_misses", "Tokens that nobody knew"),
            redis_bypasses: counter("token_redis_bypasses", "Tokens checked without Redis, which was away"),
            refused: counter("tokens_refused", "Tokens found invalid"),
            user_calls: counter("supabase_user_calls", "Calls of /auth/v1/user"),
            user_failures: counter(
                "supabase_user_failures",
                "Calls of /auth/v1/user that said nothing about the token",
            ),
            key_fetches: counter("supabase_key_fetches", "Fetches of the signing keys"),
            unknown_tiers: counter("unknown_tiers", "Users taken as free because no tier has the name of theirs"),
        }
    }
}
