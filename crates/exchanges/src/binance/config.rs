use crate::backoff::RetryPolicy;
use candlemill_shared::env::{Env, EnvError, Variable, wrong};
use std::time::Duration;

/// Where the REST interface is.
pub static BINANCE_REST_URL: Variable = Variable {
    name: "BINANCE_REST_URL",
    default: "https://data-api.binance.vision",
    help: "base URL of Binance's REST interface; the default serves market data only and needs no key",
};
/// Longest time to connect.
pub static BINANCE_CONNECT_TIMEOUT_SECONDS: Variable = Variable {
    name: "BINANCE_CONNECT_TIMEOUT_SECONDS",
    default: "5",
    help: "longest time to connect to Binance, seconds, 1 to 60",
};
/// Longest time of one attempt.
pub static BINANCE_CALL_TIMEOUT_SECONDS: Variable = Variable {
    name: "BINANCE_CALL_TIMEOUT_SECONDS",
    default: "15",
    help: "longest time of one call to Binance from connecting to the body's end, seconds, 1 to 120; Binance's own limit is 10",
};
/// Most attempts of one call.
pub static BINANCE_CALL_ATTEMPTS: Variable = Variable {
    name: "BINANCE_CALL_ATTEMPTS",
    default: "6",
    help: "most attempts of one call to Binance within one attempt of a task, 1 to 20",
};
/// Limit of the request weight.
static BINANCE_WEIGHT_LIMIT: Variable = Variable {
    name: "BINANCE_WEIGHT_LIMIT",
    default: "0",
    help: "request weight per minute that all workers together may spend, 10 to 1000000; 0: what the exchange allows",
};
/// Every variable that is read here.
pub static VARIABLES: &[&Variable] = &[
    &BINANCE_REST_URL,
    &BINANCE_CONNECT_TIMEOUT_SECONDS,
    &BINANCE_CALL_TIMEOUT_SECONDS,
    &BINANCE_CALL_ATTEMPTS,
    &BINANCE_WEIGHT_LIMIT,
];

/// How to reach Binance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinanceConfig {
    /// Base URL of the REST interface, without a trailing slash.
    pub rest_url: String,
    /// Longest time to connect.
    pub connect_timeout: Duration,
    /// Longest time of one attempt, from connecting to the body's end.
    pub call_timeout: Duration,
    /// Idle connections that are kept; the most calls that are under way at once.
    pub idle_connections: usize,
    /// How calls are repeated.
    pub retry: RetryPolicy,
    /// Request weight per minute for all workers; `None`: the exchange's own limit.
    pub weight_limit: Option<u32>,
}

impl BinanceConfig {
    /// Reads the environment.
    ///
    /// # Errors
    /// When a variable has no valid value.
    pub fn from_env(env: &Env) -> Result<Self, EnvError> {
        let weight_limit: u32 = env.number(&BINANCE_WEIGHT_LIMIT, 0, 1_000_000)?;
        if (1..10).contains(&weight_limit) {
            return Err(wrong(&BINANCE_WEIGHT_LIMIT, "is less than 10, which no minute's work fits in"));
        }
        let seconds = |variable, most| env.number(variable, 1, most).map(Duration::from_secs);
        Ok(Self {
            rest_url: env.url(&BINANCE_REST_URL, &["http", "https"])?,
            connect_timeout: seconds(&BINANCE_CONNECT_TIMEOUT_SECONDS, 60)?,
            call_timeout: seconds(&BINANCE_CALL_TIMEOUT_SECONDS, 120)?,
            idle_connections: 128,
            retry: RetryPolicy { attempts: env.number(&BINANCE_CALL_ATTEMPTS, 1, 20)?, ..RetryPolicy::default() },
            weight_limit: (weight_limit > 0).then_some(weight_limit),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_market_data_host() {
        let config = BinanceConfig::from_env(&Env::default()).unwrap();
        assert_eq!(config.rest_url, "https://data-api.binance.vision");
        assert_eq!((config.connect_timeout.as_secs(), config.call_timeout.as_secs()), (5, 15));
        assert_eq!((config.retry, config.weight_limit), (RetryPolicy::default(), None));
    }

    #[test]
    fn wrong_values_name_their_variable() {
        for (name, value) in [
            ("BINANCE_REST_URL", "wss://data-api.binance.vision"),
            ("BINANCE_CALL_TIMEOUT_SECONDS", "0"),
            ("BINANCE_CALL_ATTEMPTS", "many"),
            ("BINANCE_WEIGHT_LIMIT", "9"),
        ] {
            assert_eq!(BinanceConfig::from_env(&Env::of([(name, value)])).unwrap_err().variable, name);
        }
    }
}
