//! The request weight that all workers together may spend on one exchange.
//!
//! Rules of the exchange (Binance spot, limits): weight counts per IP address in fixed minutes of the exchange's clock;
//! 429 and 418 close the whole address until `Retry-After`.
//!
//! 1. A call is charged before it is sent, with its real weight, to the minute it will arrive in.
//! 2. Near a border of minutes nobody knows which of the two counts it: the call is charged to both.
//! 3. What the exchange reports as used is believed when it is more than we counted: others may share our address.
//! 4. While the exchange is closed nobody gets a grant, whatever is left.

use candlemill_db::{StoreError, key};
use candlemill_shared::Exchange;
use redis::Script;
use redis::aio::ConnectionManager;
use std::sync::Arc;

const MINUTE_MS: i64 = 60_000;

/// The weight ledger of one exchange.
#[derive(Clone)]
pub struct WeightLedger {
    connection: ConnectionManager,
    exchange: Exchange,
    charge: Arc<Script>,
    correct: Arc<Script>,
    close: Arc<Script>,
}

/// Weight spent in one of the exchange's minutes.
fn weight_key(exchange: Exchange, minute: i64) -> String {
    key(&format!("{{{exchange}}}:weight:{minute}"))
}

/// UTC ms until which no call may be made to the exchange.
fn closed_key(exchange: Exchange) -> String {
    key(&format!("{{{exchange}}}:closed"))
}

impl std::fmt::Debug for WeightLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WeightLedger").field("exchange", &self.exchange).finish_non_exhaustive()
    }
}

/// What the ledger says to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetAnswer {
    /// Charged: send it now.
    Granted {
        /// The exchange's minute since 1970 that it was charged to.
        minute: i64,
    },
    /// Not now.
    Wait {
        /// Ask again after this many ms.
        milliseconds: u64,
        /// Whether the exchange is closed, rather than the minute spent.
        closed: bool,
    },
}

impl WeightLedger {
    pub(crate) fn new(connection: ConnectionManager, exchange: Exchange) -> Self {
        Self {
            connection,
            exchange,
            charge: Arc::new(Script::new(include_str!("budget/charge.lua"))),
            correct: Arc::new(Script::new(include_str!("budget/correct.lua"))),
            close: Arc::new(Script::new(include_str!("budget/close.lua"))),
        }
    }

    /// Charges `weight` if `limit` per minute allows. `exchange_now_ms` is the exchange's clock as the caller knows it,
    /// right to `uncertainty_ms`. Closures run by Redis's clock alone.
    ///
    /// # Errors
    /// When Redis fails: without the shared count no call may be made.
    pub async fn charge(
        &self,
        weight: u32,
        limit: u32,
        exchange_now_ms: i64,
        uncertainty_ms: i64,
    ) -> Result<BudgetAnswer, StoreError> {
        let minute = exchange_now_ms.div_euclid(MINUTE_MS);
        let into = exchange_now_ms.rem_euclid(MINUTE_MS);
        // Rule 2.
        let neighbour = if into < uncertainty_ms {
            minute - 1
        } else if MINUTE_MS - into <= uncertainty_ms {
            minute + 1
        } else {
            minute
        };
        let mut connection = self.connection.clone();
        let (granted, wait, closed): (i64, i64, i64) = self
            .charge
            .key(weight_key(self.exchange, minute))
            .key(weight_key(self.exchange, neighbour))
            .key(closed_key(self.exchange))
            .arg(weight)
            .arg(limit)
            // Until the border is past for sure.
            .arg(if neighbour < minute { uncertainty_ms - into } else { MINUTE_MS - into + uncertainty_ms })
            .invoke_async(&mut connection)
            .await
            .map_err(StoreError::redis("charging request weight"))?;
        Ok(if granted == 1 {
            BudgetAnswer::Granted { minute }
        } else {
            BudgetAnswer::Wait { milliseconds: u64::try_from(wait.max(1)).unwrap_or(1), closed: closed == 1 }
        })
    }

    /// Rule 3: `used` is what the exchange reported for `minute`.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn correct(&self, minute: i64, used: u32) -> Result<(), StoreError> {
        let mut connection = self.connection.clone();
        self.correct
            .key(weight_key(self.exchange, minute))
            .arg(used)
            .invoke_async(&mut connection)
            .await
            .map_err(StoreError::redis("correcting request weight"))
    }

    /// Rule 4: closes the exchange for everybody. A closure that lasts longer stays.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn close_for(&self, milliseconds: u64) -> Result<(), StoreError> {
        let mut connection = self.connection.clone();
        self.close
            .key(closed_key(self.exchange))
            .arg(milliseconds)
            .invoke_async(&mut connection)
            .await
            .map_err(StoreError::redis("closing the exchange"))
    }

    /// Weight counted for `minute`, and for how many more ms the exchange is closed.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn state(&self, minute: i64) -> Result<(u32, u64), StoreError> {
        let mut connection = self.connection.clone();
        let (used, closed): (Option<u32>, i64) = redis::pipe()
            .get(weight_key(self.exchange, minute))
            .pttl(closed_key(self.exchange))
            .query_async(&mut connection)
            .await
            .map_err(StoreError::redis("reading request weight"))?;
        Ok((used.unwrap_or(0), u64::try_from(closed).unwrap_or(0)))
    }
}
