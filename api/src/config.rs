//! The API's own settings.

use crate::admin::token::{ADMIN_TOKEN, AdminToken};
use crate::{auth, cors};
use axum::http::HeaderValue;
use candlemill_shared::env::{Env, EnvError, Variable, wrong};
use candlemill_shared::tier::{TIERS_FILE, TierTable};
use candlemill_shared::webhook::WebhookConfig;
use std::net::SocketAddr;
use url::Url;

static API_ADDR: Variable = Variable {
    name: "API_ADDR",
    default: "127.0.0.1:8080",
    help: "address and port that the API listens on; port 0 takes a free one",
};
static DASHBOARD_ADDR: Variable = Variable {
    name: "DASHBOARD_ADDR",
    default: "127.0.0.1:5555",
    help: "address and port that serve the dashboard and the API as well; off: API_ADDR alone does",
};
static PUBLIC_URL: Variable = Variable {
    name: "PUBLIC_URL",
    default: "",
    help: "where browsers reach the dashboard when a proxy calls it by another name, as in https://candles.example.com; empty: as they call it",
};
static API_EVENT_STREAMS: Variable =
    Variable { name: "API_EVENT_STREAMS", default: "2000", help: "most event streams open at once, 1 to 100000" };
/// Every variable that is read here, besides those of authentication.
pub static VARIABLES: &[&Variable] = &[
    &API_ADDR,
    &DASHBOARD_ADDR,
    &PUBLIC_URL,
    &TIERS_FILE,
    &API_EVENT_STREAMS,
    &ADMIN_TOKEN,
    &cors::CORS_ALLOWED_ORIGINS,
];

/// The API's own settings.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Where the dashboard is served besides.
    pub dashboard: DashboardAddr,
    /// Where people reach the service, if not by the name that is called.
    pub public_url: Option<Url>,
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

/// Where the dashboard is served besides the API's own address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DashboardAddr {
    /// Nowhere.
    Off,
    /// There.
    Asked(SocketAddr),
    /// There, unless somebody else is: nobody asked for it.
    Usual(SocketAddr),
}

impl DashboardAddr {
    fn from_env(env: &Env) -> Result<Self, EnvError> {
        let text = env.text_or_default(&DASHBOARD_ADDR);
        if text == "off" {
            return Ok(Self::Off);
        }
        let addr = text.parse().map_err(|_| {
            wrong(&DASHBOARD_ADDR, format!("{text:?} is no address and port, as in 127.0.0.1:5555, and not off"))
        })?;
        Ok(if env.text(&DASHBOARD_ADDR).is_some() { Self::Asked(addr) } else { Self::Usual(addr) })
    }
}

/// The variable's URL, if there is one.
fn public_url(env: &Env) -> Result<Option<Url>, EnvError> {
    if env.text(&PUBLIC_URL).is_none() {
        return Ok(None);
    }
    let text = env.url(&PUBLIC_URL, &["http", "https"])?;
    Url::parse(&text).map(Some).map_err(|error| wrong(&PUBLIC_URL, error.to_string()))
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
            dashboard: DashboardAddr::from_env(env)?,
            public_url: public_url(env)?,
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
    fn where_the_dashboard_is_served() {
        let read = |text: &str| DashboardAddr::from_env(&Env::of([("DASHBOARD_ADDR", text)]));
        assert_eq!(read("off").unwrap(), DashboardAddr::Off);
        assert!(matches!(read("").unwrap(), DashboardAddr::Usual(addr) if addr.port() == 5555));
        assert!(matches!(read("0.0.0.0:5555").unwrap(), DashboardAddr::Asked(_)));
        assert_eq!(read("5555").unwrap_err().variable, "DASHBOARD_ADDR");
        assert_eq!(public_url(&Env::of([("PUBLIC_URL", "candles.example.com")])).unwrap_err().variable, "PUBLIC_URL");
    }

    #[test]
    fn a_missing_tier_file_names_its_variable() {
        let error = ApiConfig::from_env(&Env::of([("TIERS_FILE", "/nowhere/tiers.json")])).unwrap_err();
        assert_eq!(error.variable, "TIERS_FILE");
    }
}
