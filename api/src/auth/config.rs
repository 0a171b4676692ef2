//! How callers are known.

use candlemill_shared::env::{Env, EnvError, Variable, wrong};
use std::fmt;
use std::time::Duration;

static SUPABASE_URL: Variable = Variable {
    name: "SUPABASE_URL",
    default: "",
    help: "base URL of the Supabase project, as in https://<ref>.supabase.co",
};
static SUPABASE_PUBLISHABLE_KEY: Variable = Variable {
    name: "SUPABASE_PUBLISHABLE_KEY",
    default: "",
    help: "publishable key of the project (or its legacy anon key)",
};
static SUPABASE_SECRET_KEY: Variable = Variable {
    name: "SUPABASE_SECRET_KEY",
    default: "",
    help: "secret key of the project; needed only for TIER_SOURCE=table",
};
static SUPABASE_JWT_SECRET: Variable = Variable {
    name: "SUPABASE_JWT_SECRET",
    default: "",
    help: "shared JWT secret of a legacy project; lets HS256 tokens be checked here before Supabase is asked",
};
static TOKEN_CACHE_TTL_SECONDS: Variable = Variable {
    name: "TOKEN_CACHE_TTL_SECONDS",
    default: "300",
    help: "seconds that a validated token is remembered, 1 to 300",
};
static TIER_SOURCE: Variable = Variable {
    name: "TIER_SOURCE",
    default: "app_metadata",
    help: "where the tier stands: app_metadata (fresh, of the user), claim (of the token) or table (subscriptions)",
};
/// Every variable that is read here.
pub static VARIABLES: &[&Variable] = &[
    &SUPABASE_URL,
    &SUPABASE_PUBLISHABLE_KEY,
    &SUPABASE_SECRET_KEY,
    &SUPABASE_JWT_SECRET,
    &TOKEN_CACHE_TTL_SECONDS,
    &TIER_SOURCE,
];

/// Where a user's tier stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TierSource {
    /// `app_metadata.tier` of the user, as of now.
    AppMetadata,
    /// `app_metadata.tier` or `tier` of the token, as of its issue.
    Claim,
    /// `tier` of the user's row in the table `subscriptions`.
    Table,
}

/// How callers are known. Its debug form shows no key.
#[derive(Clone)]
pub struct AuthConfig {
    /// Without a trailing slash.
    pub url: String,
    /// Sent as `apikey`.
    pub publishable_key: String,
    /// For the table of subscriptions.
    pub secret_key: Option<String>,
    /// For HS256.
    pub jwt_secret: Option<String>,
    /// Longest time that a valid token is remembered.
    pub cache_ttl: Duration,
    /// Where the tier stands.
    pub tier_source: TierSource,
}

impl fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthConfig")
            .field("url", &self.url)
            .field("tier_source", &self.tier_source)
            .finish_non_exhaustive()
    }
}

impl AuthConfig {
    /// Reads the configuration.
    ///
    /// # Errors
    /// When a variable is missing or wrong.
    pub fn from_env(env: &Env) -> Result<Self, EnvError> {
        let secret_key = env.text(&SUPABASE_SECRET_KEY).map(str::to_owned);
        let tier_source = match env.text_or_default(&TIER_SOURCE).as_str() {
            "app_metadata" => TierSource::AppMetadata,
            "claim" => TierSource::Claim,
            "table" if secret_key.is_none() => {
                return Err(wrong(&TIER_SOURCE, "is table, which needs SUPABASE_SECRET_KEY to be set"));
            }
            "table" => TierSource::Table,
            other => return Err(wrong(&TIER_SOURCE, format!("{other:?} is none of app_metadata, claim, table"))),
        };
        Ok(Self {
            url: env.url(&SUPABASE_URL, &["http", "https"])?,
            publishable_key: env.required(&SUPABASE_PUBLISHABLE_KEY)?,
            secret_key,
            jwt_secret: env.text(&SUPABASE_JWT_SECRET).map(str::to_owned),
            cache_ttl: Duration::from_secs(env.number(&TOKEN_CACHE_TTL_SECONDS, 1, 300)?),
            tier_source,
        })
    }

    /// What `iss` must be.
    pub(super) fn issuer(&self) -> String {
        format!("{}/auth/v1", self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: [(&str, &str); 2] =
        [("SUPABASE_URL", "https://x.supabase.co/"), ("SUPABASE_PUBLISHABLE_KEY", "sb_publishable_x")];

    fn check(extra: (&str, &str), expected: Result<TierSource, &str>) {
        let got = AuthConfig::from_env(&Env::of([BASE[0], BASE[1], extra]));
        assert_eq!(got.map(|config| config.tier_source).map_err(|error| error.variable), expected, "{extra:?}");
    }

    #[test]
    fn variables() {
        check(("TIER_SOURCE", ""), Ok(TierSource::AppMetadata));
        check(("TIER_SOURCE", "claim"), Ok(TierSource::Claim));
        check(("TIER_SOURCE", "table"), Err("TIER_SOURCE"));
        check(("TIER_SOURCE", "guess"), Err("TIER_SOURCE"));
        check(("TOKEN_CACHE_TTL_SECONDS", "301"), Err("TOKEN_CACHE_TTL_SECONDS"));
        check(("SUPABASE_URL", "x.supabase.co"), Err("SUPABASE_URL"));
        assert_eq!(AuthConfig::from_env(&Env::default()).unwrap_err().variable, "SUPABASE_URL");
    }

    #[test]
    fn keys_stay_out_of_the_debug_form() {
        let env = Env::of([BASE[0], BASE[1], ("SUPABASE_SECRET_KEY", "sb_secret_y"), ("SUPABASE_JWT_SECRET", "zzz")]);
        let shown = format!("{:?}", AuthConfig::from_env(&env).unwrap());
        assert!(!shown.contains("sb_") && !shown.contains("zzz"), "{shown}");
    }
}
