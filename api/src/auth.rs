//! Who calls: Supabase access tokens, checked here and by Supabase, remembered for a bounded time.
//!
//! Rules (Supabase Auth's wire contract and our own decisions):
//! 1. A token is remembered under its SHA-256, for at most `TOKEN_CACHE_TTL_SECONDS` and never past its `exp`; a refusal
//!    for at most 30 s; a failure of Supabase not at all.
//! 2. One token is asked for once at a time, however many requests carry it.
//! 3. The signature is checked here by the key that the header names, with that key's own algorithm: ES256, RS256 or
//!    EdDSA, never `none`, never a shared secret against a public key. That spares Supabase forged tokens.
//! 4. Then `GET /auth/v1/user` decides: it alone sees sign-out, deletion and bans, and its `app_metadata` is fresh.
//! 5. A Supabase that is away prolongs nothing: what has left the cache is answered 503 until it is back.
//! 6. Redis is the second level, shared by replicas. Without it, or where it does not answer soon, the first level and
//!    Supabase serve alone. What is found wrong here (signature, claims) is not shared: it costs no call, and rubbish must
//!    not fill Redis. A verdict of another replica is believed no longer than one's own, whatever that replica's clock says.
//! 7. Signing keys are kept for 10 minutes. A key that is not known, or keys past their time, are asked for once in 30 s;
//!    while they cannot be had nobody is refused for it, and Supabase alone checks the signature.

mod authenticator;
mod caller;
mod config;
mod episode;
mod error;
mod jwks;
mod metrics;
mod remembered;
mod session;
mod signed_out;
mod tier;
mod token;
mod told_once;
mod upstream;

/// Name of the second level in Redis: validated callers by the SHA-256 of their token. The token itself is never a key nor a value.
pub const TOKEN_CACHE: &str = "token";

pub use authenticator::{Authenticator, CurrentUser};
pub use caller::Caller;
pub use config::{AuthConfig, TierSource, VARIABLES};
pub use error::AuthError;
pub use metrics::AuthMetrics;
pub use session::{SessionError, SessionTokens};
pub use tier::{TierNames, TierPath};
