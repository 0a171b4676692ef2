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
/// An unknown key id may be a new key, or a forgery: asked for at most this often.
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
}

/// What is known of a key id.
pub(super) enum Found {
    Key(Arc<DecodingKey>),
    /// The project has no such key of that algorithm.
    NoSuchKey,
    /// The keys could not be had.
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
        let stale = known.fetched_at.is_none_or(|at| now - at >= FRESH_MS || now < at);
        let may_try = known.tried_at.is_none_or(|at| now - at >= REFETCH_MS || now < at);
        let has = |known: &Known| known.keys.iter().any(|(id, _, _)| id == kid);
        if stale || (!has(&known) && may_try) {
            known.tried_at = Some(now);
            match self.fetch().await {
                Ok(keys) => {
                    known.keys = keys;
                    known.fetched_at = Some(now);
                }
                Err(error) => {
                    tracing::warn!(%error, "the signing keys cannot be fetched; Supabase is asked about every token");
                    // Keys past their time vouch for nobody: one of them may have been revoked.
                    if stale {
                        return Found::Unavailable;
                    }
                }
            }
        }
        match known.keys.iter().find(|(id, own, _)| id == kid && *own == algorithm) {
            Some((_, _, key)) => Found::Key(Arc::clone(key)),
            None => Found::NoSuchKey,
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
