//! From a header to a caller.

use super::caller::Caller;
use super::config::{AuthConfig, TierSource};
use super::error::AuthError;
use super::jwks::KeySet;
use super::metrics::AuthMetrics;
use super::remembered::{REFUSAL, Verdict};
use super::session::{SessionError, SessionTokens, Sessions};
use super::tier::TierReader;
use super::token;
use super::token::Claims;
use super::told_once::ToldOnce;
use super::upstream::Upstream;
use candlemill_db::{ExpiringCache, StoreError};
use candlemill_shared::Clock;
use candlemill_shared::tier::Tier;
use candlemill_tasks::{OwnerRecord, OwnerState};
use jsonwebtoken::{Algorithm, DecodingKey};
use moka::Expiry;
use moka::future::Cache;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Other issuers that the log tells of, each once: the caller chooses what stands in a token.
const MAX_ISSUERS_TOLD: usize = 16;
/// Characters of an issuer that the log shows.
const MAX_ISSUER_SHOWN: usize = 100;
/// Tokens that the process remembers at most.
const MOST_TOKENS: u64 = 100_000;
/// Longest wait for Supabase.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest wait for Redis. It only spares a call of Supabase, so it may take about as long as that call.
const REDIS_PATIENCE: Duration = Duration::from_secs(1);

/// What Supabase says of a user that is not there itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CurrentUser {
    /// It has this tier.
    Active(Tier),
    /// It is banned.
    Banned,
    /// There is none.
    Deleted,
}

/// Sessions that were renewed a moment ago, and how long their answer stands: as long as Supabase takes the same refresh token again.
const MOST_RENEWED: u64 = 10_000;
const RENEWED: Duration = Duration::from_secs(10);

pub(super) type TokenHash = [u8; 32];

/// Knows callers by their tokens.
pub struct Authenticator {
    pub(super) remembered: Cache<TokenHash, Arc<Verdict>>,
    pub(super) shared: ExpiringCache,
    sessions: Sessions,
    /// By the refresh token that was shown.
    renewed: Cache<TokenHash, SessionTokens>,
    keys: KeySet,
    upstream: Upstream,
    legacy_key: Option<DecodingKey>,
    config: AuthConfig,
    tiers: TierReader,
    /// Other issuers that the log has told of.
    other_issuers: ToldOnce,
    clock: Arc<dyn Clock>,
    metrics: AuthMetrics,
    /// Who is told what Supabase says of users.
    told: Option<mpsc::Sender<OwnerRecord>>,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Every verdict has its own time.
struct UntilItsTime(Arc<dyn Clock>);

impl Expiry<TokenHash, Arc<Verdict>> for UntilItsTime {
    fn expire_after_create(&self, _: &TokenHash, verdict: &Arc<Verdict>, _: Instant) -> Option<Duration> {
        Some(verdict.left(self.0.now_ms()))
    }
}

impl Authenticator {
    /// Prepares the calls to Supabase.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(
        config: AuthConfig,
        shared: ExpiringCache,
        clock: Arc<dyn Clock>,
        metrics: AuthMetrics,
    ) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .build()?;
        let expiry = UntilItsTime(Arc::clone(&clock));
        Ok(Self {
            remembered: Cache::builder().max_capacity(MOST_TOKENS).expire_after(expiry).build(),
            keys: KeySet::new(http.clone(), &config.auth_url(), Arc::clone(&clock), metrics.clone()),
            sessions: Sessions::new(http.clone(), config.clone()),
            renewed: Cache::builder().max_capacity(MOST_RENEWED).time_to_live(RENEWED).build(),
            upstream: Upstream::new(http, config.clone()),
            legacy_key: config.jwt_secret.as_deref().map(|secret| DecodingKey::from_secret(secret.as_bytes())),
            shared,
            tiers: TierReader::new(config.tier_names.clone(), metrics.unknown_tiers.clone()),
            other_issuers: ToldOnce::new(MAX_ISSUERS_TOLD, MAX_ISSUER_SHOWN),
            config,
            clock,
            metrics,
            told: None,
        })
    }

    /// Tells `told` of every user that Supabase confirms or bans. It never waits: what does not fit is told at the next time.
    #[must_use]
    pub fn telling(self, told: mpsc::Sender<OwnerRecord>) -> Self {
        Self { told: Some(told), ..self }
    }

    /// Whether a user's tier can be asked for without its token: the tier stands in Supabase, and there is a key that may read it.
    #[must_use]
    pub fn can_ask_for_users(&self) -> bool {
        self.config.secret_key.is_some() && self.config.tier_source != TierSource::Claim
    }

    /// What Supabase says now of the user `id`, asked with the secret key.
    ///
    /// # Errors
    /// When it does not answer, or refuses the key.
    pub async fn ask_for_user(&self, id: &str) -> Result<CurrentUser, AuthError> {
        let Some(user) = self.upstream.user_of_id(id).await? else { return Ok(CurrentUser::Deleted) };
        if user.is_banned(self.clock.now_ms()) {
            return Ok(CurrentUser::Banned);
        }
        if user.is_anonymous.unwrap_or(false) {
            return Ok(CurrentUser::Active(Tier::Free));
        }
        Ok(CurrentUser::Active(match self.config.tier_source {
            TierSource::Table => self.tiers.read(self.upstream.subscription(&user.id).await?.as_ref()),
            TierSource::AppMetadata | TierSource::Claim => self.tier_in(user.app_metadata.as_ref()),
        }))
    }

    /// The tier of a user's `app_metadata`.
    fn tier_in(&self, data: Option<&Value>) -> Tier {
        self.tiers.read(match &self.config.tier_path {
            Some(path) => path.find(|name| data.filter(|_| name == "app_metadata")),
            None => data.and_then(|data| data.get("tier")),
        })
    }

    fn tell(&self, user: &str, tier: Tier, state: OwnerState) {
        if let Some(told) = &self.told {
            let confirmed_at = self.clock.now_ms();
            drop(told.try_send(OwnerRecord { id: user.to_owned(), tier, state, confirmed_at }));
        }
    }

    /// The caller of a request with this `Authorization` header.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn caller(&self, authorization: Option<&str>) -> Result<Caller, AuthError> {
        let token = token::bearer(authorization)?;
        // Rule 1: the token itself is never a key.
        let hash: TokenHash = Sha256::digest(token).into();
        let known = self.remembered.get(&hash).await;
        // The cache forgets by the machine's steady clock; a verdict's time is wall-clock time, which may jump.
        let verdict = match known.filter(|verdict| !verdict.left(self.clock.now_ms()).is_zero()) {
            Some(verdict) => {
                self.metrics.process_hits.inc();
                verdict
            }
            None => {
                self.forget_overdue(&hash).await;
                // Rule 2.
                let learnt = self.remembered.try_get_with(hash, self.learn(token, hash)).await;
                learnt.map_err(|error| (*error).clone())?
            }
        };
        let caller = verdict.outcome.clone()?;
        // A verdict may be in the cache for a moment longer than its token lives.
        if caller.expires_at_ms <= self.clock.now_ms() { Err(AuthError::Expired) } else { Ok(caller) }
    }

    /// Opens a session.
    ///
    /// # Errors
    /// When Supabase opens none, or does not answer.
    pub async fn sign_in(&self, email: &str, password: &str) -> Result<SessionTokens, SessionError> {
        self.sessions.by_password(email, password).await
    }

    /// Lets a session go on. Many that ask with one token at once ask Supabase once.
    ///
    /// # Errors
    /// As [`Self::sign_in`].
    pub async fn refresh(&self, refresh_token: &str) -> Result<SessionTokens, SessionError> {
        let shown: TokenHash = Sha256::digest(refresh_token).into();
        let renewal = self.renewed.try_get_with(shown, self.sessions.by_refresh_token(refresh_token));
        renewal.await.map_err(|error| (*error).clone())
    }

    /// Ends a session by its access token, or by its refresh token where that one is good no longer. What Supabase cannot be told ends
    /// by itself; here the token is forgotten in any case.
    pub async fn sign_out(&self, authorization: Option<&str>, refresh_token: Option<&str>) {
        // What was renewed a moment ago is asked for again, for all users: one of those sessions has ended.
        self.renewed.invalidate_all();
        if let Ok(token) = token::bearer(authorization) {
            let ended = self.sessions.end(token).await;
            self.forget(token).await;
            if ended {
                return;
            }
        }
        let Some(refresh_token) = refresh_token else { return };
        match self.refresh(refresh_token).await {
            Ok(tokens) if self.sessions.end(&tokens.access_token).await => self.forget(&tokens.access_token).await,
            _ => tracing::debug!("a session was signed out here alone"),
        }
    }

    async fn forget_overdue(&self, hash: &TokenHash) {
        let now = self.clock.now_ms();
        if self.remembered.get(hash).await.is_some_and(|verdict| verdict.left(now).is_zero()) {
            self.remembered.invalidate(hash).await;
        }
    }

    /// A verdict from Redis or from Supabase. Failures are errors, and are not remembered.
    async fn learn(&self, token: &str, hash: TokenHash) -> Result<Arc<Verdict>, AuthError> {
        let key = hex::encode(hash);
        let stored = self.of_redis(self.shared.get(&key)).await.flatten();
        let believed = |stored: Vec<u8>| Verdict::from_stored(&stored, self.clock.now_ms(), self.config.cache_ttl);
        if let Some(verdict) = stored.and_then(believed) {
            self.metrics.redis_hits.inc();
            return Ok(Arc::new(verdict));
        }
        self.metrics.misses.inc();
        let claims = match self.precheck(token).await {
            Ok(claims) => claims,
            Err(error) => {
                // Found wrong here, and as quickly again: rubbish must not fill the memory that all replicas share.
                self.metrics.refused.inc();
                return Ok(Arc::new(Verdict { outcome: Err(error), until_ms: self.until(REFUSAL) }));
            }
        };
        let user = claims.sub.clone();
        let outcome = self.ask(token, claims).await;
        match (&outcome, user) {
            (Ok(caller), _) => self.tell(&caller.user_id, caller.tier, OwnerState::Active),
            (Err(AuthError::Banned), Some(user)) => self.tell(&user, Tier::Free, OwnerState::Banned),
            _ => {}
        }
        let until_ms = match &outcome {
            Ok(caller) => caller.expires_at_ms.min(self.until(self.config.cache_ttl)),
            Err(error) if error.is_verdict() => {
                self.metrics.refused.inc();
                self.until(REFUSAL)
            }
            Err(error) => return Err(error.clone()),
        };
        let verdict = Verdict { outcome, until_ms };
        let left = verdict.left(self.clock.now_ms());
        self.of_redis(self.shared.put(&key, &verdict.to_stored(), left)).await;
        Ok(Arc::new(verdict))
    }

    /// Rule 6: Redis's answer; `None` when it gives none in time.
    async fn of_redis<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
        let answer = tokio::time::timeout(REDIS_PATIENCE, call).await;
        match answer {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => tracing::debug!(%error, "a token is checked without Redis"),
            Err(_) => tracing::debug!("a token is checked without Redis, which does not answer"),
        }
        self.metrics.redis_bypasses.inc();
        None
    }

    /// UTC ms of `ttl` from now, or of the longest memory where that ends sooner.
    fn until(&self, ttl: Duration) -> i64 {
        let ms = ttl.min(self.config.cache_ttl).as_millis();
        self.clock.now_ms().saturating_add(i64::try_from(ms).unwrap_or(i64::MAX))
    }

    /// What can be found wrong without Supabase. Its errors are verdicts.
    async fn precheck(&self, token: &str) -> Result<Claims, AuthError> {
        let (header, claims) = token::read(token)?;
        let checked = claims.check(&self.config.issuer, &self.config.audience, self.clock.now_ms());
        if !claims.is_issued_by(&self.config.issuer)
            && let Some(found) = self.other_issuers.first_time(claims.issuer())
        {
            let expected = &self.config.issuer;
            tracing::warn!(
                found,
                expected,
                "a token is of another issuer; where users reach Supabase by another name, set SUPABASE_JWT_ISSUER"
            );
        }
        checked?;
        // Rule 3.
        match header.alg {
            Algorithm::ES256 | Algorithm::RS256 | Algorithm::EdDSA => {
                let kid = header.kid.ok_or_else(|| AuthError::invalid("it names no signing key"))?;
                if let Some(key) = self.keys.find(&kid, header.alg).await.key()? {
                    token::verify(token, &key, header.alg)?;
                }
            }
            // A shared secret that we do not have is Supabase's to check.
            Algorithm::HS256 => {
                if let Some(key) = &self.legacy_key {
                    token::verify(token, key, Algorithm::HS256)?;
                }
            }
            _ => return Err(AuthError::invalid("its algorithm is not accepted")),
        }
        Ok(claims)
    }

    /// Rule 4.
    async fn ask(&self, token: &str, claims: Claims) -> Result<Caller, AuthError> {
        self.metrics.user_calls.inc();
        let user = self.upstream.user(token).await.inspect_err(|error| {
            if !error.is_verdict() {
                self.metrics.user_failures.inc();
            }
        })?;
        if claims.sub.as_deref() != Some(user.id.as_str()) {
            return Err(AuthError::invalid("it belongs to another user than it says"));
        }
        let is_anonymous = user.is_anonymous.or(claims.is_anonymous).unwrap_or(false);
        let tier = if is_anonymous {
            Tier::Free
        } else {
            match self.config.tier_source {
                TierSource::AppMetadata => self.tier_in(user.app_metadata.as_ref()),
                TierSource::Claim => self.tiers.read(match &self.config.tier_path {
                    Some(path) => path.find(|name| claims.claim(name)),
                    None => {
                        let in_metadata = claims.app_metadata.as_ref().and_then(|data| data.get("tier"));
                        in_metadata.filter(|tier| !tier.is_null()).or_else(|| claims.claim("tier"))
                    }
                }),
                TierSource::Table => self.tiers.read(self.upstream.subscription(&user.id).await?.as_ref()),
            }
        };
        Ok(Caller {
            expires_at_ms: claims.expires_at_ms(),
            role: user.role.or(claims.role).unwrap_or_else(|| "authenticated".to_owned()).into(),
            user_id: user.id.into(),
            tier,
            is_anonymous,
        })
    }
}
