//! How callers are known.

use super::tier::{TierNames, TierPath};
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
static SUPABASE_JWT_ISSUER: Variable = Variable {
    name: "SUPABASE_JWT_ISSUER",
    default: "",
    help: "iss of the tokens, where Supabase is reached by another name than users know; empty: SUPABASE_URL and /auth/v1",
};
static SUPABASE_JWT_AUDIENCE: Variable =
    Variable { name: "SUPABASE_JWT_AUDIENCE", default: "authenticated", help: "aud that tokens of users have" };
static TIER_CLAIM: Variable = Variable {
    name: "TIER_CLAIM",
    default: "",
    help: "where the tier stands in the user (app_metadata.plan) or in the token's claims; empty: app_metadata.tier, in a token also tier",
};
static TIER_NAMES: Variable = Variable {
    name: "TIER_NAMES",
    default: "",
    help: "the project's own names of tiers, as in gold=pro,business=enterprise",
};
/// Every variable that is read here.
pub static VARIABLES: &[&Variable] = &[
    &SUPABASE_URL,
    &SUPABASE_PUBLISHABLE_KEY,
    &SUPABASE_SECRET_KEY,
    &SUPABASE_JWT_SECRET,
    &TOKEN_CACHE_TTL_SECONDS,
    &TIER_SOURCE,
    &SUPABASE_JWT_ISSUER,
    &SUPABASE_JWT_AUDIENCE,
    &TIER_CLAIM,
    &TIER_NAMES,
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
    /// What `iss` of a token must be.
    pub issuer: String,
    /// What `aud` of a token must hold.
    pub audience: String,
    /// Where in the user or the claims the tier stands; `None`: where it usually does.
    pub tier_path: Option<TierPath>,
    /// The project's own names of tiers.
    pub tier_names: TierNames,
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
        let url = env.url(&SUPABASE_URL, &["http", "https"])?;
        let tier_path = env.text(&TIER_CLAIM).map(|text| tier_path(text, tier_source)).transpose();
        Ok(Self {
            issuer: env.text(&SUPABASE_JWT_ISSUER).map_or_else(|| format!("{url}/auth/v1"), str::to_owned),
            audience: env.text_or_default(&SUPABASE_JWT_AUDIENCE),
            tier_path: tier_path.map_err(|why| wrong(&TIER_CLAIM, why))?,
            tier_names: TierNames::read(&env.text_or_default(&TIER_NAMES)).map_err(|why| wrong(&TIER_NAMES, why))?,
            url,
            publishable_key: env.required(&SUPABASE_PUBLISHABLE_KEY)?,
            secret_key,
            jwt_secret: env.text(&SUPABASE_JWT_SECRET).map(str::to_owned),
            cache_ttl: Duration::from_secs(env.number(&TOKEN_CACHE_TTL_SECONDS, 1, 300)?),
            tier_source,
        })
    }

    /// Where Auth is reached.
    pub(super) fn auth_url(&self) -> String {
        format!("{}/auth/v1", self.url)
    }
}

/// Claims that Auth itself writes, and that say who a user is: none of them is a tier.
const CLAIMS_OF_AUTH: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "role", "is_anonymous"];

/// The path of `TIER_CLAIM`, if the tier can stand there.
fn tier_path(text: &str, source: TierSource) -> Result<TierPath, String> {
    let path = TierPath::read(text)?;
    match (source, path.first()) {
        (TierSource::Table, _) => {
            Err("goes with TIER_SOURCE app_metadata or claim; a table has the column tier".to_owned())
        }
        (TierSource::Claim, name) if CLAIMS_OF_AUTH.contains(&name) => {
            Err(format!("{text:?} says something else in every token; a claim of its own is expected, as in plan"))
        }
        (TierSource::AppMetadata, "app_metadata") | (TierSource::Claim, _) => Ok(path),
        (TierSource::AppMetadata, _) => Err(format!(
            "{text:?} must begin with app_metadata., as in app_metadata.plan; or TIER_SOURCE must be claim"
        )),
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
        check(("TIER_CLAIM", "app_metadata.plan"), Ok(TierSource::AppMetadata));
        for odd in ["plan", "user_metadata.plan", "app_metadata", "app_metadata.", "a..b", &"a.".repeat(9)] {
            check(("TIER_CLAIM", odd), Err("TIER_CLAIM"));
        }
        let of_claim =
            |path| AuthConfig::from_env(&Env::of([BASE[0], BASE[1], ("TIER_SOURCE", "claim"), ("TIER_CLAIM", path)]));
        for path in ["plan", "app_metadata.plan", "billing.plan.name"] {
            assert_eq!(of_claim(path).unwrap().tier_source, TierSource::Claim, "{path}");
        }
        for odd in ["role", "aud", "user_metadata.plan", "raw_user_meta_data.plan"] {
            assert_eq!(of_claim(odd).unwrap_err().variable, "TIER_CLAIM", "{odd}");
        }
        check(("TIER_NAMES", "gold=pro, Business = enterprise"), Ok(TierSource::AppMetadata));
        for odd in ["gold", "gold=silver", "=pro", "gold=pro,GOLD=free", "gold=pro,,x=free"] {
            check(("TIER_NAMES", odd), Err("TIER_NAMES"));
        }
        assert_eq!(AuthConfig::from_env(&Env::default()).unwrap_err().variable, "SUPABASE_URL");
    }

    #[test]
    fn tokens_may_be_issued_under_another_name_than_supabase_is_reached_by() {
        let read = |extra| AuthConfig::from_env(&Env::of([BASE[0], BASE[1], extra])).unwrap();
        let usual = read(("TIER_CLAIM", ""));
        assert_eq!(
            (usual.issuer.as_str(), usual.audience.as_str()),
            ("https://x.supabase.co/auth/v1", "authenticated")
        );
        let outside = read(("SUPABASE_JWT_ISSUER", "https://auth.example.com/auth/v1"));
        assert_eq!(
            (outside.issuer.as_str(), outside.url.as_str()),
            ("https://auth.example.com/auth/v1", "https://x.supabase.co")
        );
        assert_eq!(outside.auth_url(), "https://x.supabase.co/auth/v1");
    }

    #[test]
    fn keys_stay_out_of_the_debug_form() {
        let env = Env::of([BASE[0], BASE[1], ("SUPABASE_SECRET_KEY", "sb_secret_y"), ("SUPABASE_JWT_SECRET", "zzz")]);
        let shown = format!("{:?}", AuthConfig::from_env(&env).unwrap());
        assert!(!shown.contains("sb_") && !shown.contains("zzz"), "{shown}");
    }
}
