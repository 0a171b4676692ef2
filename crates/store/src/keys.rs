//! Every Redis key and channel, and every MongoDB collection. No key is put together anywhere else.
//!
//! Keys that one script touches share a hash tag (the part in braces), so that Redis Cluster keeps them together.

use crate::series::Series;
use candlemill_shared::Exchange;
use candlemill_shared::job::Pool;
use candlemill_shared::task::TaskId;

/// Collections of the database.
pub(crate) mod collections {
    /// Task records.
    pub(crate) const TASKS: &str = "tasks";
    /// Keys that only one task may hold.
    pub(crate) const TASK_KEYS: &str = "task_keys";
    /// Verified ranges.
    pub(crate) const COVERAGE: &str = "coverage";
    /// Absent buckets.
    pub(crate) const GAPS: &str = "coverage_gaps";
    /// Candles that the exchange restated.
    pub(crate) const CORRECTIONS: &str = "candle_corrections";
    /// Markets and what is known of a whole exchange.
    pub(crate) const MARKETS: &str = "markets";
    /// First candle of each series.
    pub(crate) const LISTINGS: &str = "listings";
}

/// `klines.binance.1m`.
pub(crate) fn candles(series: &Series) -> String {
    format!("klines.{}.{}", series.exchange, series.interval)
}

/// `BTCUSDT_1577836800000`: 13 digits hold every millisecond from 2001 to 2286, so text order is time order.
pub(crate) fn candle_id(symbol: &str, open_time: i64) -> String {
    format!("{symbol}_{open_time:013}")
}

/// `binance:BTCUSDT:1m`.
pub(crate) fn series_id(series: &Series) -> String {
    format!("{}:{}:{}", series.exchange, series.symbol, series.interval)
}

/// `binance:BTCUSDT:1m_1577836800000`.
pub(crate) fn ranged_id(series: &Series, start: i64) -> String {
    format!("{}_{start:013}", series_id(series))
}

/// Hash of sequence and JSON of the newest snapshot.
pub(crate) fn progress(id: TaskId) -> String {
    format!("cm:{{{id}}}:progress")
}

/// Channel of a task's snapshots.
pub(crate) fn progress_channel(id: TaskId) -> String {
    format!("cm:{{{id}}}:events")
}

/// Flag that asks a running task to stop.
pub(crate) fn cancel_flag(id: TaskId) -> String {
    format!("cm:{{{id}}}:cancel")
}

/// Channel on which ids of tasks to cancel are called out to all workers.
pub(crate) const CANCEL_CHANNEL: &str = "cm:cancel";

/// Set of one owner's tasks under way.
pub(crate) fn owner_tasks(owner: &str) -> String {
    format!("cm:{{owner:{owner}}}:tasks")
}

/// Requests of one owner in one minute since 1970.
pub(crate) fn owner_requests(owner: &str, minute: i64) -> String {
    format!("cm:{{owner:{owner}}}:requests:{minute}")
}

/// Validated caller of a token, by the token's SHA-256.
pub(crate) fn token(hash: &str) -> String {
    format!("cm:token:{hash}")
}

/// Weight spent in one of the exchange's minutes.
pub(crate) fn weight(exchange: Exchange, minute: i64) -> String {
    format!("cm:{{{exchange}}}:weight:{minute}")
}

/// UTC ms until which nobody may call the exchange.
pub(crate) fn closed_until(exchange: Exchange) -> String {
    format!("cm:{{{exchange}}}:closed")
}

/// Leader of one duty.
pub(crate) fn lease(duty: &str) -> String {
    format!("cm:lease:{duty}")
}

/// Sign of life of one worker process.
pub(crate) fn worker_alive(worker: &str) -> String {
    format!("cm:worker:{worker}")
}

/// The keys of one pool's queue.
pub(crate) struct PoolKeys {
    /// Name that apalis-redis puts before its own keys.
    pub(crate) queue: String,
    /// Sorted set of task ids that wait, by priority and age.
    pub(crate) pending: String,
    /// Sorted set of task ids that wait for their time, by UTC ms.
    pub(crate) delayed: String,
    /// Hash of task id to the id of its only valid delivery.
    pub(crate) tickets: String,
    /// Counter that makes delivery ids unique.
    pub(crate) serial: String,
    /// Channel that tells workers of new deliveries.
    pub(crate) wake: String,
}

impl PoolKeys {
    pub(crate) fn of(pool: Pool) -> Self {
        let queue = format!("cm:{{{}}}", pool.as_str());
        Self {
            pending: format!("{queue}:pending"),
            delayed: format!("{queue}:delayed"),
            tickets: format!("{queue}:tickets"),
            serial: format!("{queue}:serial"),
            wake: format!("{queue}:wake"),
            queue,
        }
    }

    /// A key of apalis-redis, by the name that its `Config` gives it.
    pub(crate) fn apalis(&self, part: &str) -> String {
        format!("{}:{part}", self.queue)
    }
}
