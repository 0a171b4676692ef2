//! The simulator state: everything that one simulator knows. Handlers take it by reference.

use crate::binance::recorded_symbols::{RecordedSymbols, recorded};
use crate::binance::weights::Weights;
use crate::calls::Calls;
use crate::clock::SimulatorClock;
use crate::config::SimulatorConfig;
use crate::error::SimulatorError;
use crate::faults::Faults;
use crate::market::Market;
use crate::supabase::accounts::Accounts;
use crate::supabase::keys::KeyRing;
use crate::supabase::signature::legacy_api_key;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The Supabase project's keys for callers.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) publishable_key: String,
    pub(crate) secret_key: String,
    pub(crate) jwt_secret: String,
    /// Legacy key of the role `anon`.
    pub(crate) anon_key: String,
    /// Legacy key of the role `service_role`.
    pub(crate) service_role_key: String,
}

/// State of one simulator.
#[derive(Debug)]
pub(crate) struct SimulatorState {
    pub(crate) config: SimulatorConfig,
    pub(crate) url: String,
    pub(crate) market: Market,
    pub(crate) weights: Weights,
    pub(crate) calls: Calls,
    pub(crate) faults: Faults,
    pub(crate) exchange_clock: SimulatorClock,
    pub(crate) auth_clock: SimulatorClock,
    pub(crate) accounts: Accounts,
    pub(crate) keys: KeyRing,
    pub(crate) project: Project,
    latency_ms: AtomicU64,
    recorded_symbols: OnceLock<RecordedSymbols>,
}

impl SimulatorState {
    /// Opens the market and makes the keys of a simulator that clients reach under `url`.
    pub(crate) fn new(config: SimulatorConfig, url: String) -> Result<Self, SimulatorError> {
        let project = Project {
            publishable_key: config.publishable_key.clone(),
            secret_key: config.secret_key.clone(),
            jwt_secret: config.jwt_secret.clone(),
            anon_key: legacy_api_key(&config.jwt_secret, "anon")?,
            service_role_key: legacy_api_key(&config.jwt_secret, "service_role")?,
        };
        Ok(Self {
            market: Market::open(config.data_dir.as_deref(), &config.generated)?,
            weights: Weights::new(config.weight_rules),
            calls: Calls::default(),
            faults: Faults::default(),
            exchange_clock: SimulatorClock::new(config.clock),
            auth_clock: SimulatorClock::new(config.auth_clock),
            accounts: Accounts::new(&config.demo_password),
            keys: KeyRing::new(&config.key_algorithms)?,
            project,
            latency_ms: AtomicU64::new(config.latency_ms),
            recorded_symbols: OnceLock::new(),
            url,
            config,
        })
    }

    /// Issuer of tokens; JWKS stands below it.
    pub(crate) fn issuer(&self) -> String {
        format!("{}/auth/v1", self.url)
    }

    /// Delay of every answer of the exchange, ms.
    pub(crate) fn latency_ms(&self) -> u64 {
        self.latency_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn set_latency_ms(&self, ms: u64) {
        self.latency_ms.store(ms, Ordering::Relaxed);
    }

    /// The clock of the side that owns `path`.
    pub(crate) fn clock_of(&self, path: &str) -> &SimulatorClock {
        if path.starts_with("/api/") { &self.exchange_clock } else { &self.auth_clock }
    }

    /// Recorded descriptions of the symbols that are held; read on first use.
    pub(crate) fn recorded_symbols(&self) -> &RecordedSymbols {
        self.recorded_symbols.get_or_init(|| {
            self.config
                .data_dir
                .as_deref()
                .map(|data_dir| recorded(data_dir, &self.market.symbols()))
                .unwrap_or_default()
        })
    }
}
