//! Settings of a simulator at its start.

use crate::binance::weights::WeightRules;
use crate::clock::ClockSetting;
use crate::supabase::keys::KeyAlgorithm;
use candlemill_shared::Symbol;
use candlemill_shared::env::{Env, EnvError, Variable, wrong};
use chrono::{DateTime, Utc};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Listing time of generated markets that name none: 2020-01-01T00:00:00Z.
const LISTED_AT_MS: i64 = 1_577_836_800_000;

static ADDR: Variable = Variable {
    name: "SIMULATOR_ADDR",
    default: "127.0.0.1:9099",
    help: "address to listen on; port 0 takes a free one",
};
static PUBLIC_URL: Variable = Variable {
    name: "SIMULATOR_PUBLIC_URL",
    default: "",
    help: "URL under which clients reach it, the base of the tokens' issuer; by default the bound address",
};
static DATA_DIR: Variable =
    Variable { name: "SIMULATOR_DATA_DIR", default: "data", help: "folder that holds klines/ and rest/" };
static GENERATED: Variable = Variable {
    name: "SIMULATOR_GENERATED",
    default: "GENUSDT",
    help: "generated markets, comma-separated, each SYMBOL or SYMBOL@<listing time, RFC 3339> (default 2020-01-01)",
};
static LATENCY_MS: Variable = Variable {
    name: "SIMULATOR_LATENCY_MS",
    default: "0",
    help: "delay of every answer of the exchange, milliseconds, 0 to 60000",
};
static WEIGHT_LIMIT: Variable = Variable {
    name: "SIMULATOR_WEIGHT_LIMIT",
    default: "6000",
    help: "request weight that the exchange allows in one minute, 1 to 1000000000",
};
static NOW: Variable = Variable {
    name: "SIMULATOR_NOW",
    default: "",
    help: "RFC 3339 instant from which the exchange's clock runs on; by default the machine's clock",
};
static PUBLISHABLE_KEY: Variable = Variable {
    name: "SIMULATOR_PUBLISHABLE_KEY",
    default: "sb_publishable_simulator",
    help: "publishable key that the Supabase side accepts",
};
static SECRET_KEY: Variable = Variable {
    name: "SIMULATOR_SECRET_KEY",
    default: "sb_secret_simulator",
    help: "secret key that the Supabase side accepts",
};
static JWT_SECRET: Variable = Variable {
    name: "SIMULATOR_JWT_SECRET",
    default: "simulator-jwt-secret-of-no-real-project",
    help: "legacy JWT secret (HS256) of the Supabase side, at least 32 characters",
};
static PASSWORD: Variable =
    Variable { name: "SIMULATOR_PASSWORD", default: "candlemill", help: "password of every demo user" };

/// Every variable that is read here.
pub static VARIABLES: &[&Variable] = &[
    &ADDR,
    &PUBLIC_URL,
    &DATA_DIR,
    &GENERATED,
    &LATENCY_MS,
    &WEIGHT_LIMIT,
    &NOW,
    &PUBLISHABLE_KEY,
    &SECRET_KEY,
    &JWT_SECRET,
    &PASSWORD,
];

/// A market whose candles are computed: every interval, from its listing to the exchange's now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedMarket {
    /// Its symbol.
    pub symbol: Symbol,
    /// Its first candle opens here or at the next bucket, UTC ms.
    pub listed_at_ms: i64,
    /// Another seed gives other prices.
    pub seed: u64,
}

impl GeneratedMarket {
    /// A market that is listed since 2020.
    #[must_use]
    pub const fn new(symbol: Symbol) -> Self {
        Self { symbol, listed_at_ms: LISTED_AT_MS, seed: 1 }
    }
}

/// Everything that a simulator starts with. The default suits tests: a free port, no files, one generated market.
#[derive(Debug, Clone)]
pub struct SimulatorConfig {
    /// Where it listens; port 0 takes a free one.
    pub addr: SocketAddr,
    /// URL under which clients reach it, if that is not the bound address.
    pub public_url: Option<String>,
    /// Folder with `klines/` and `rest/`.
    pub data_dir: Option<PathBuf>,
    /// Markets without files.
    pub generated: Vec<GeneratedMarket>,
    /// Delay of every answer of the exchange, ms.
    pub latency_ms: u64,
    /// What the exchange allows one address.
    pub weight_rules: WeightRules,
    /// The exchange's clock.
    pub clock: ClockSetting,
    /// Supabase's clock.
    pub auth_clock: ClockSetting,
    /// Publishable key.
    pub publishable_key: String,
    /// Secret key.
    pub secret_key: String,
    /// Legacy JWT secret.
    pub jwt_secret: String,
    /// Password of every demo user.
    pub demo_password: String,
    /// One signing key each, the first signs; without any, tokens are signed with the legacy secret.
    pub key_algorithms: Vec<KeyAlgorithm>,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        let generated = GENERATED.default.parse().map(GeneratedMarket::new);
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            public_url: None,
            data_dir: None,
            generated: generated.into_iter().collect(),
            latency_ms: 0,
            weight_rules: WeightRules::default(),
            clock: ClockSetting::default(),
            auth_clock: ClockSetting::default(),
            publishable_key: PUBLISHABLE_KEY.default.to_owned(),
            secret_key: SECRET_KEY.default.to_owned(),
            jwt_secret: JWT_SECRET.default.to_owned(),
            demo_password: PASSWORD.default.to_owned(),
            key_algorithms: vec![KeyAlgorithm::Es256],
        }
    }
}

impl SimulatorConfig {
    /// Reads the binary's configuration.
    ///
    /// # Errors
    /// The first variable that cannot be read.
    pub fn from_env(env: &Env) -> Result<Self, EnvError> {
        let addr = env.text_or_default(&ADDR);
        let addr = addr.parse().map_err(|_| wrong(&ADDR, format!("{addr:?} is no address like 127.0.0.1:9099")))?;
        let public_url = match env.text(&PUBLIC_URL) {
            Some(_) => Some(env.url(&PUBLIC_URL, &["http", "https"])?),
            None => None,
        };
        let data_dir = PathBuf::from(env.text_or_default(&DATA_DIR));
        if !data_dir.join("klines").is_dir() {
            let problem = format!("{} holds no folder klines ({})", data_dir.display(), DATA_DIR.help);
            return Err(wrong(&DATA_DIR, problem));
        }
        let clock = match env.text(&NOW) {
            Some(text) => ClockSetting::RunningFrom { at_ms: instant(&NOW, text)? },
            None => ClockSetting::default(),
        };
        let jwt_secret = env.text_or_default(&JWT_SECRET);
        if jwt_secret.len() < 32 {
            return Err(wrong(&JWT_SECRET, format!("is too short; expected: {}", JWT_SECRET.help)));
        }
        Ok(Self {
            addr,
            public_url,
            data_dir: Some(data_dir),
            generated: generated(&env.text_or_default(&GENERATED))?,
            latency_ms: env.number(&LATENCY_MS, 0, 60_000)?,
            weight_rules: WeightRules { limit: env.number(&WEIGHT_LIMIT, 1, 1_000_000_000)?, ..WeightRules::default() },
            clock,
            publishable_key: env.text_or_default(&PUBLISHABLE_KEY),
            secret_key: env.text_or_default(&SECRET_KEY),
            jwt_secret,
            demo_password: env.text_or_default(&PASSWORD),
            ..Self::default()
        })
    }
}

fn instant(variable: &'static Variable, text: &str) -> Result<i64, EnvError> {
    let instant: Result<DateTime<Utc>, _> = text.parse();
    instant
        .map(|at| at.timestamp_millis())
        .map_err(|_| wrong(variable, format!("{text:?} is no instant like 2020-01-03T12:00:00Z")))
}

fn generated(text: &str) -> Result<Vec<GeneratedMarket>, EnvError> {
    let market = |part: &str| {
        let (symbol, listed) = part.split_once('@').map_or((part, None), |(symbol, listed)| (symbol, Some(listed)));
        let symbol = symbol.parse().map_err(|error| wrong(&GENERATED, format!("{symbol:?}: {error}")))?;
        let mut market = GeneratedMarket::new(symbol);
        if let Some(listed) = listed {
            market.listed_at_ms = instant(&GENERATED, listed)?;
        }
        Ok(market)
    };
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(market).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: (&str, &str) = ("SIMULATOR_DATA_DIR", concat!(env!("CARGO_MANIFEST_DIR"), "/../../data"));

    fn check(variable: (&str, &str), expected: &str) {
        let error = SimulatorConfig::from_env(&Env::of([DATA, variable])).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(variable.0) && error.contains(expected), "{error}");
    }

    #[test]
    fn wrong_values_are_named() {
        check(("SIMULATOR_ADDR", "localhost"), "no address like");
        check(("SIMULATOR_PUBLIC_URL", "simulator"), "no URL that starts with http://");
        check(("SIMULATOR_LATENCY_MS", "-1"), "not a number from 0 to 60000");
        check(("SIMULATOR_WEIGHT_LIMIT", "0"), "not a number from 1");
        check(("SIMULATOR_NOW", "yesterday"), "no instant like");
        check(("SIMULATOR_JWT_SECRET", "short"), "too short");
        check(("SIMULATOR_GENERATED", "A B"), "a symbol is made of");
        let error = SimulatorConfig::from_env(&Env::of([("SIMULATOR_DATA_DIR", "/nowhere")])).unwrap_err();
        assert!(error.to_string().contains("/nowhere holds no folder klines"), "{error}");
    }

    #[test]
    fn values_are_read() {
        let now = ("SIMULATOR_NOW", "2020-01-03T12:00:00Z");
        let markets = ("SIMULATOR_GENERATED", "GENUSDT, NEWBTC@2024-02-03T00:00:00Z");
        let config = SimulatorConfig::from_env(&Env::of([DATA, now, markets])).unwrap();
        assert_eq!(config.clock, ClockSetting::RunningFrom { at_ms: 1_578_052_800_000 });
        assert_eq!(config.addr.port(), 9_099);
        assert_eq!(config.generated[0], SimulatorConfig::default().generated[0]);
        assert_eq!(
            (config.generated[1].symbol.as_str(), config.generated[1].listed_at_ms),
            ("NEWBTC", 1_706_918_400_000)
        );
    }

    #[test]
    fn every_variable_is_documented_once() {
        for (index, variable) in VARIABLES.iter().enumerate() {
            assert!(variable.name.starts_with("SIMULATOR_") && !variable.help.is_empty(), "{}", variable.name);
            assert!(VARIABLES[..index].iter().all(|earlier| earlier.name != variable.name), "{}", variable.name);
        }
    }
}
