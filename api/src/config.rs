//! The API's own settings.

use crate::admin::token::{ADMIN_TOKEN, AdminToken};
use crate::{auth, cors};
use axum::http::HeaderValue;
use candlemill_shared::env::{Env, EnvError, Variable, wrong};
use candlemill_shared::tier::{TIERS_FILE, TierTable};
use candlemill_shared::webhook::WebhookConfig;
use std::net::SocketAddr;

static API_ADDR: Variable = Variable {
    name: "API_ADDR",
    default: "127.0.0.1:8080",
    help: "address and port that the API listens on; port 0 takes a free one",
};
static API_EVENT_STREAMS: Variable =
    Variable { name: "API_EVENT_STREAMS", default: "2000", help: "most event streams open at once, 1 to 100000" };
/// Every variable that is read here, besides those of authentication.
pub static VARIABLES: &[&Variable] =
    &[&API_ADDR, &TIERS_FILE, &API_EVENT_STREAMS, &ADMIN_TOKEN, &cors::CORS_ALLOWED_ORIGINS];

/// The API's own settings.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Where it listens.
    pub addr: SocketAddr,
    /// What tiers allow.
    pub tiers: TierTable,
    /// Most event streams open at once.
    pub event_streams: usize,
    /// The operators' token; `None`: their calls are refused.
    pub admin: Option<AdminToken>,
    /// Origins of pages that may call it from a browser.
    pub cors_origins: Vec<HeaderValue>,
    /// How callers are known.
    pub auth: auth::AuthConfig,
    /// Where owners may have themselves told.
    pub webhooks: WebhookConfig,
}

impl ApiConfig {
    /// Reads the configuration.
    ///
    /// # Errors
    /// When a variable, or the file of tiers, is wrong.
    pub fn from_env(env: &Env) -> Result<Self, EnvError> {
        let addr = env.text_or_default(&API_ADDR);
        let addr = addr
            .parse()
            .map_err(|_| wrong(&API_ADDR, format!("{addr:?} is no address and port, as in 127.0.0.1:8080")))?;
        let event_streams = env.number(&API_EVENT_STREAMS, 1, 100_000)?;
        Ok(Self {
            addr,
            tiers: TierTable::from_env(env)?,
            event_streams,
            admin: AdminToken::from_env(env)?,
            cors_origins: cors::origins(env)?,
            auth: auth::AuthConfig::from_env(env)?,
            webhooks: WebhookConfig::from_env(env)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_address_names_its_variable() {
        let error = ApiConfig::from_env(&Env::of([("API_ADDR", "here")])).unwrap_err();
        assert_eq!(error.variable, "API_ADDR");
        assert!(error.to_string().contains("127.0.0.1:8080"));
    }

    #[test]
    fn a_missing_tier_file_names_its_variable() {
        let error = ApiConfig::from_env(&Env::of([("TIERS_FILE", "/nowhere/tiers.json")])).unwrap_err();
        assert_eq!(error.variable, "TIERS_FILE");
    }
}
