//! How to reach the exchanges.

use crate::binance::{BinanceConfig, USUAL_WEIGHT_LIMIT};
use candlemill_shared::Exchange;
use candlemill_shared::env::{Env, EnvError};

/// The configuration of every exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangesConfig {
    /// Of Binance.
    pub binance: BinanceConfig,
}

impl ExchangesConfig {
    /// Reads the environment.
    ///
    /// # Errors
    /// When a variable has no valid value.
    pub fn from_env(env: &Env) -> Result<Self, EnvError> {
        Ok(Self { binance: BinanceConfig::from_env(env)? })
    }

    /// Keeps as many idle connections to each exchange as calls may be under way at once, where it kept fewer.
    pub fn allow_calls(&mut self, at_once: usize) {
        let kept = &mut self.binance.idle_connections;
        *kept = at_once.max(*kept);
    }

    /// Request weight per minute that the operator sets for all workers together, in place of the exchange's own limit.
    #[must_use]
    pub const fn fixed_weight_limit(&self, exchange: Exchange) -> Option<u32> {
        match exchange {
            Exchange::Binance => self.binance.weight_limit,
        }
    }

    /// Request weight per minute until the exchange's own word is known: the operator's, or what is usual there.
    #[must_use]
    pub fn first_weight_limit(&self, exchange: Exchange) -> u32 {
        let usual = match exchange {
            Exchange::Binance => USUAL_WEIGHT_LIMIT,
        };
        self.fixed_weight_limit(exchange).unwrap_or(usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operators_weight_limit_stands_above_the_exchanges_own() {
        let read = |limit| ExchangesConfig::from_env(&Env::of([("BINANCE_WEIGHT_LIMIT", limit)])).unwrap();
        for (limit, fixed, first) in [("0", None, USUAL_WEIGHT_LIMIT), ("10", Some(10), 10)] {
            let config = read(limit);
            let limits = (config.fixed_weight_limit(Exchange::Binance), config.first_weight_limit(Exchange::Binance));
            assert_eq!(limits, (fixed, first), "{limit}");
        }
    }

    #[test]
    fn connections_are_kept_for_all_calls_at_once() {
        let mut config = ExchangesConfig::from_env(&Env::default()).unwrap();
        let kept = config.binance.idle_connections;
        config.allow_calls(1);
        assert_eq!(config.binance.idle_connections, kept);
        config.allow_calls(kept + 1);
        assert_eq!(config.binance.idle_connections, kept + 1);
    }
}
