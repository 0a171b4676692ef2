//! The project's public signing keys.

use super::error::AuthError;
use super::metrics::AuthMetrics;
use candlemill_shared::Clock;
use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Supabase's own edge keeps keys for 10 minutes; no longer here.
const FRESH_MS: i64 = 600_000;
/// An unknown key id may be a new key, or a forgery; and keys that cannot be had now cannot be had by the next request
/// either. Asked for at most this often.
const REFETCH_MS: i64 = 30_000;

pub(super) struct KeySet {
    http: reqwest::Client,
    url: String,
    clock: Arc<dyn Clock>,
    metrics: AuthMetrics,
    /// Held while keys are fetched, so that they are fetched once.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    keys: Vec<(String, Algorithm, Arc<DecodingKey>)>,
    fetched_at: Option<i64>,
    tried_at: Option<i64>,
    /// The latest fetch brought nothing.
    failed: bool,
}

impl Known {
    fn is_stale(&self, now_ms: i64) -> bool {
        self.fetched_at.is_none_or(|at| now_ms - at >= FRESH_MS || now_ms < at)
    }

    /// The key of this id, and the one algorithm that it is for.
    fn key(&self, kid: &str) -> Option<(Algorithm, Arc<DecodingKey>)> {
        let key = self.keys.iter().find(|(id, _, _)| id == kid);
        key.map(|(_, algorithm, key)| (*algorithm, Arc::clone(key)))
    }
}

/// What is known of a key id.
pub(super) enum Found {
    Key(Arc<DecodingKey>),
    /// The project has no such key of that algorithm.
    NoSuchKey,
    /// The keys, or this one, could not be had.
    Unavailable,
}

impl KeySet {
    pub(super) fn new(http: reqwest::Client, issuer: &str, clock: Arc<dyn Clock>, metrics: AuthMetrics) -> Self {
        Self { http, url: format!("{issuer}/.well-known/jwks.json"), clock, metrics, known: Mutex::default() }
    }

    /// The key `kid`, if it is one for `algorithm`.
    pub(super) async fn find(&self, kid: &str, algorithm: Algorithm) -> Found {
        let mut known = self.known.lock().await;
        let now = self.clock.now_ms();
        let may_try = known.tried_at.is_none_or(|at| now - at >= REFETCH_MS || now < at);
        if may_try && (known.is_stale(now) || known.key(kid).is_none()) {
            known.tried_at = Some(now);
            match self.fetch().await {
                Ok(keys) => *known = Known { keys, fetched_at: Some(now), tried_at: Some(now), failed: false },
                Err(error) => {
                    let error = error.without_url();
                    tracing::warn!(%error, "the signing keys cannot be fetched; Supabase alone checks signatures");
                    known.failed = true;
                }
            }
        }
        match known.key(kid) {
            // Keys past their time vouch for nobody: one of them may have been revoked.
            _ if known.is_stale(now) => Found::Unavailable,
            Some((own, key)) if own == algorithm => Found::Key(key),
            // It may stand among those that could not be had.
            None if known.failed => Found::Unavailable,
            Some(_) | None => Found::NoSuchKey,
        }
    }

    async fn fetch(&self) -> Result<Vec<(String, Algorithm, Arc<DecodingKey>)>, reqwest::Error> {
        self.metrics.key_fetches.inc();
        let set: JwkSet = self.http.get(&self.url).send().await?.error_for_status()?.json().await?;
        Ok(set.keys.iter().filter_map(usable).collect())
    }
}

/// A key with an id and one of the algorithms that are accepted.
fn usable(key: &Jwk) -> Option<(String, Algorithm, Arc<DecodingKey>)> {
    let algorithm = match key.common.key_algorithm? {
        KeyAlgorithm::ES256 => Algorithm::ES256,
        KeyAlgorithm::RS256 => Algorithm::RS256,
        KeyAlgorithm::EdDSA => Algorithm::EdDSA,
        _ => return None,
    };
    Some((key.common.key_id.clone()?, algorithm, Arc::new(DecodingKey::from_jwk(key).ok()?)))
}

impl Found {
    /// The key; `None` when only Supabase itself can tell.
    pub(super) fn key(self) -> Result<Option<Arc<DecodingKey>>, AuthError> {
        match self {
            Self::Key(key) => Ok(Some(key)),
            Self::NoSuchKey => Err(AuthError::invalid("it is signed with a key that this project does not have")),
            Self::Unavailable => Ok(None),
        }
    }
}
