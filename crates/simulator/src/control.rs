//! The control plane as methods. The same commands over HTTP stand in [`crate::commands`].

mod market;

use crate::binance::weights::{Ban, MinuteWeight, WeightRules};
use crate::calls::{Call, Counters};
use crate::clock::ClockSetting;
use crate::faults::{FaultReport, FaultRule};
use crate::market::MarketError;
use crate::state::SimulatorState;
use crate::supabase::accounts::{UserChange, UserView};
use crate::supabase::keys::{KeyAlgorithm, KeyError, KeyView};
use crate::supabase::mint;
use crate::supabase::token_spec::{MintError, TokenSpec};
use candlemill_shared::{Clock, Symbol};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Why a command cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// What was waited for did not come.
    #[error("waited {waited:?} for {what}, in vain")]
    TimedOut {
        /// How long.
        waited: Duration,
        /// For what.
        what: String,
    },
    /// No token.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// No key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No candles.
    #[error(transparent)]
    Market(#[from] MarketError),
    /// Rotation needs a standby key.
    #[error("there is no standby key to rotate to; add one first")]
    NoStandbyKey,
    /// The key does not exist.
    #[error("there is no key {0}")]
    UnknownKey(String),
}

/// Everything at a glance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StateView {
    /// Base URL.
    pub url: String,
    /// The exchange's now, UTC ms.
    pub exchange_now_ms: i64,
    /// Supabase's now, UTC ms.
    pub auth_now_ms: i64,
    /// Delay of every answer of the exchange, ms.
    pub latency_ms: u64,
    /// What the exchange allows.
    pub weight_rules: WeightRules,
    /// Weight by minute.
    pub weights: Vec<MinuteWeight>,
    /// The ban in force.
    pub ban: Option<Ban>,
    /// Counters of calls.
    pub counters: Counters,
    /// Scripted faults.
    pub faults: Vec<FaultReport>,
    /// Signing keys.
    pub keys: Vec<KeyView>,
    /// Symbols and their status.
    pub symbols: Vec<(Symbol, String)>,
}

/// Scripts and watches a simulator.
#[derive(Debug, Clone)]
pub struct Control(Arc<SimulatorState>);

/// Faults and waiting.
impl Control {
    pub(crate) const fn new(state: Arc<SimulatorState>) -> Self {
        Self(state)
    }

    /// Adds a fault after all others; its number.
    pub fn add_fault(&self, rule: FaultRule) -> u64 {
        self.0.faults.add(rule)
    }

    /// Removes a fault; whether it was there.
    pub fn remove_fault(&self, id: u64) -> bool {
        self.0.faults.remove(id)
    }

    /// Removes every fault and lets held calls go.
    pub fn clear_faults(&self) {
        self.0.faults.clear();
    }

    /// The faults and what they did so far.
    #[must_use]
    pub fn faults(&self) -> Vec<FaultReport> {
        self.0.faults.reports()
    }

    /// Lets the calls go that [`Fault::Hold`](crate::Fault::Hold) holds. Later ones are held again while the rule stands.
    pub fn release(&self) {
        self.0.faults.release();
    }

    /// Waits until `calls` calls are held at once.
    ///
    /// # Errors
    /// When that takes longer than `timeout`.
    pub async fn wait_for_held(&self, calls: u64, timeout: Duration) -> Result<(), ControlError> {
        let mut held = self.0.faults.held();
        let waited = tokio::time::timeout(timeout, held.wait_for(|held| *held >= calls)).await;
        waited.map(drop).map_err(|_| ControlError::TimedOut { waited: timeout, what: format!("{calls} held calls") })
    }

    /// Waits until so many calls arrived whose path starts with `prefix`, since the counters were last reset.
    ///
    /// # Errors
    /// When that takes longer than `timeout`.
    pub async fn wait_for_calls(&self, prefix: &str, calls: u64, timeout: Duration) -> Result<(), ControlError> {
        let what = format!("{calls} calls to {prefix}");
        self.wait_until(&what, timeout, |counters| counters.calls_to(prefix) >= calls).await
    }

    /// Waits until the counters fulfil a condition; `what` names it in the error.
    ///
    /// # Errors
    /// When that takes longer than `timeout`.
    pub async fn wait_until(
        &self,
        what: &str,
        timeout: Duration,
        condition: impl Fn(&Counters) -> bool,
    ) -> Result<(), ControlError> {
        let mut changes = self.0.calls.watch();
        let fulfilled = async {
            // The simulator state is alive, so the watch ends only by the condition.
            while !condition(&self.counters()) && changes.changed().await.is_ok() {}
        };
        let waited = tokio::time::timeout(timeout, fulfilled).await;
        waited.map_err(|_| ControlError::TimedOut { waited: timeout, what: what.to_owned() })
    }
}

/// Calls, weights, delays and clocks.
impl Control {
    /// All counters. Calls to the control plane are not counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.0.calls.counters()
    }

    /// The latest calls whose path starts with `prefix`, oldest first.
    #[must_use]
    pub fn calls(&self, prefix: &str) -> Vec<Call> {
        self.calls_after(prefix, 0)
    }

    /// As [`Control::calls`], only those after the call of this number.
    #[must_use]
    pub fn calls_after(&self, prefix: &str, sequence: u64) -> Vec<Call> {
        self.0.calls.log(prefix, sequence)
    }

    /// Empties log and counters.
    pub fn reset_counters(&self) {
        self.0.calls.reset();
    }

    /// Weight used by minute, oldest first.
    #[must_use]
    pub fn weights(&self) -> Vec<MinuteWeight> {
        self.0.weights.minutes()
    }

    /// Forgets used weights and bans.
    pub fn reset_weights(&self) {
        self.0.weights.reset();
    }

    /// What the exchange allows.
    #[must_use]
    pub fn weight_rules(&self) -> WeightRules {
        self.0.weights.rules()
    }

    /// Changes what the exchange allows.
    pub fn set_weight_rules(&self, rules: WeightRules) {
        self.0.weights.set_rules(rules);
    }

    /// The ban in force.
    #[must_use]
    pub fn ban(&self) -> Option<Ban> {
        self.0.weights.ban(self.0.exchange_clock.now_ms())
    }

    /// Bans the caller for so many seconds; 0 lifts the ban.
    pub fn ban_for(&self, seconds: u64) {
        self.0.weights.ban_for(seconds, self.0.exchange_clock.now_ms());
    }

    /// Delays every answer of the exchange.
    pub fn set_latency_ms(&self, ms: u64) {
        self.0.set_latency_ms(ms);
    }

    /// The exchange's now, UTC ms.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.0.exchange_clock.now_ms()
    }

    /// Sets the exchange's clock.
    pub fn set_clock(&self, setting: ClockSetting) {
        self.0.exchange_clock.set(setting);
    }

    /// Moves the exchange's clock, forwards or back.
    pub fn advance_clock(&self, ms: i64) {
        self.0.exchange_clock.advance(ms);
    }

    /// Sets Supabase's clock.
    pub fn set_auth_clock(&self, setting: ClockSetting) {
        self.0.auth_clock.set(setting);
    }

    /// Everything at a glance.
    #[must_use]
    pub fn state(&self) -> StateView {
        StateView {
            url: self.0.url.clone(),
            exchange_now_ms: self.now_ms(),
            auth_now_ms: self.0.auth_clock.now_ms(),
            latency_ms: self.0.latency_ms(),
            weight_rules: self.weight_rules(),
            weights: self.weights(),
            ban: self.ban(),
            counters: self.counters(),
            faults: self.faults(),
            keys: self.keys(),
            symbols: self.0.market.symbols(),
        }
    }

    /// Back to the start: faults, delay, clocks, weights, market, counters. Users and keys stay.
    pub fn reset(&self) {
        self.clear_faults();
        self.0.set_latency_ms(self.0.config.latency_ms);
        self.0.exchange_clock.set(self.0.config.clock);
        self.0.auth_clock.set(self.0.config.auth_clock);
        self.0.weights.set_rules(self.0.config.weight_rules);
        self.0.weights.reset();
        self.0.market.reset();
        self.0.calls.reset();
    }
}

/// Supabase.
impl Control {
    /// Mints a token.
    ///
    /// # Errors
    /// When the user or the key does not exist.
    pub fn mint(&self, spec: &TokenSpec) -> Result<String, ControlError> {
        Ok(mint::mint(&self.0, spec)?)
    }

    /// Changes a user, or creates it; `None` only when `email` names no user after all.
    pub fn change_user(&self, email: &str, change: &UserChange) -> Option<UserView> {
        self.0.accounts.change(email, change, self.0.auth_clock.now_ms())
    }

    /// A user by address.
    #[must_use]
    pub fn user(&self, email: &str) -> Option<UserView> {
        self.0.accounts.view(email)
    }

    /// The signing keys, oldest first.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyView> {
        self.0.keys.views()
    }

    /// Makes a key and publishes it; it does not sign yet. Its id.
    ///
    /// # Errors
    /// When the key cannot be made.
    pub fn add_standby_key(&self, algorithm: KeyAlgorithm) -> Result<String, ControlError> {
        Ok(self.0.keys.add_standby(algorithm)?)
    }

    /// The oldest standby key signs from now on, the one before stays trusted. The new key's id.
    ///
    /// # Errors
    /// When there is no standby key.
    pub fn rotate_keys(&self) -> Result<String, ControlError> {
        self.0.keys.rotate().ok_or(ControlError::NoStandbyKey)
    }

    /// Withdraws a key: unpublished, its tokens are refused.
    ///
    /// # Errors
    /// When the key does not exist.
    pub fn revoke_key(&self, kid: &str) -> Result<(), ControlError> {
        if self.0.keys.revoke(kid) { Ok(()) } else { Err(ControlError::UnknownKey(kid.to_owned())) }
    }

    /// Signs new tokens with the legacy secret (HS256), or with the current key again.
    pub fn use_legacy_secret(&self, legacy: bool) {
        self.0.keys.set_legacy(legacy);
    }
}
