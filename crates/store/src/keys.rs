//! Every Redis key and channel, and every MongoDB collection. No key is put together anywhere else.
//!
//! Keys that one script touches share a hash tag (the part in braces), so that Redis Cluster keeps them together.

use crate::series::Series;
use candlemill_shared::job::Pool;
use candlemill_shared::task::TaskId;
use candlemill_shared::{Exchange, Symbol};

/// Collections of the database.
pub(crate) mod collections {
    /// Task records.
    pub(crate) const TASKS: &str = "tasks";
    /// Keys that only one task may hold.
    pub(crate) const TASK_KEYS: &str = "task_keys";
    /// When all that is stored was looked at last.
    pub(crate) const STEPS: &str = "steps";
    /// The coverage ledger: a document for each chunk of a series.
    pub(crate) const COVERAGE_CHUNKS: &str = "coverage_chunks";
    /// Verified ranges, as earlier versions wrote them.
    pub(crate) const COVERAGE: &str = "coverage";
    /// Absent buckets, as earlier versions wrote them.
    pub(crate) const GAPS: &str = "coverage_gaps";
    /// Candles that the exchange restated.
    pub(crate) const CORRECTIONS: &str = "candle_corrections";
    /// Markets and what is known of a whole exchange.
    pub(crate) const MARKETS: &str = "markets";
    /// What operators said about pools.
    pub(crate) const POOLS: &str = "pools";
    /// What the exchange said of a symbol that its list lacks.
    pub(crate) const VERDICTS: &str = "market_verdicts";
    /// First candle of each series.
    pub(crate) const LISTINGS: &str = "listings";
}

/// `klines.binance.1m`.
pub(crate) fn candles(series: &Series) -> String {
    format!("klines.{}.{}", series.exchange, series.interval)
}

/// `BTCUSDT_1577836800000`: 13 digits hold every millisecond from 2001 to 2286, so text order is time order. A `_` of the
/// symbol is written `%5F`: otherwise the candles of `GENUSDT_240927` would lie among those of `GENUSDT`.
pub(crate) fn candle_id(symbol: &str, open_time: i64) -> String {
    if symbol.contains('_') {
        return format!("{}_{open_time:013}", symbol.replace('_', "%5F"));
    }
    format!("{symbol}_{open_time:013}")
}

/// Open time in an id that [`candle_id`] made.
pub(crate) fn open_time_of(id: &str) -> Option<i64> {
    id.rsplit_once('_')?.1.parse().ok()
}

/// `binance:BTCUSDT`.
pub(crate) fn market_id(exchange: Exchange, symbol: &Symbol) -> String {
    format!("{exchange}:{symbol}")
}

/// `binance:BTCUSDT:1m`.
pub(crate) fn series_id(series: &Series) -> String {
    format!("{}:{}:{}", series.exchange, series.symbol, series.interval)
}

/// Who fetches one page of a series at the moment; `done` for a while after it was fetched.
pub(crate) fn page(series: &Series, start: i64) -> String {
    format!("cm:{{{}}}:page:{start}", series_id(series))
}

/// `binance:BTCUSDT:1m_1577836800000`. No symbol holds a `:`, and what follows the last one no `_` but this.
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

/// Channel on which workers hear that an operator wants something: a hint to look at once.
pub(crate) const CONTROL_CHANNEL: &str = "cm:control";

/// Sorted set of workers by their last sign of life.
pub(crate) const WORKERS: &str = "cm:{workers}:all";

/// A worker's card.
pub(crate) fn worker(id: &str) -> String {
    format!("cm:{{workers}}:card:{id}")
}

/// Present when a worker is asked to drain.
pub(crate) fn worker_drain(id: &str) -> String {
    format!("cm:{{workers}}:drain:{id}")
}

/// Reservations of places whose tasks may not be stored yet, by their time.
pub(crate) const RESERVING: &str = "cm:reserving";

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

/// The keys of one pool's queue, in the order in which its scripts take them.
pub(crate) struct PoolKeys {
    /// 1 hash of task id to entry, 2 sorted set of owners by turn, 3 sorted set of delayed tasks by UTC ms, 4 sorted set of
    /// leases by their end in Redis's own ms, 5 hash of task id to the token of who holds it, 6 hash of owner to tasks
    /// held, 7 the current turn, 8 mark of a paused queue, 9 time of the last tick,
    /// 10 mark of a grace time for leases.
    pub(crate) all: [String; 10],
    /// Put before an owner: sorted set of his waiting tasks by rank.
    pub(crate) waiting: String,
    /// Channel that tells workers of waiting tasks.
    pub(crate) wake: String,
    /// Mark that Redis has kept the queue since it was set.
    pub(crate) epoch: String,
}

impl PoolKeys {
    pub(crate) fn of(pool: Pool) -> Self {
        let key = |part: &str| format!("cm:{{{}}}:{part}", pool.as_str());
        let parts = ["tasks", "owners", "delayed", "leases", "holders", "running", "turn", "paused", "ticked", "grace"];
        Self { all: parts.map(key), waiting: key("waiting:"), wake: key("wake"), epoch: key("epoch") }
    }

    pub(crate) fn tasks(&self) -> &str {
        &self.all[0]
    }

    pub(crate) fn delayed(&self) -> &str {
        &self.all[2]
    }

    pub(crate) fn leases(&self) -> &str {
        &self.all[3]
    }

    pub(crate) fn paused(&self) -> &str {
        &self.all[7]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Symbols that begin alike, with separators, digits and signs of other scripts in them.
    fn symbols() -> impl Strategy<Value = String> {
        "(GENUSDT|币安人生USDT|G)(_[0-9]{0,14}|[0-9]{0,6}|-[A-Z]|_|\\.[A-Z_]{0,3}){0,2}"
            .prop_filter("at most 20 characters", |symbol| symbol.chars().count() <= 20)
    }

    proptest! {
        #[test]
        fn no_candle_lies_among_those_of_another_symbol(
            one in symbols(), other in symbols(), times in [0i64..9_999_999_999_999, 0i64..9_999_999_999_999, 0i64..9_999_999_999_999],
        ) {
            let [a, b, open] = times;
            let bounds = candle_id(&one, a.min(b))..candle_id(&one, a.max(b));
            let id = candle_id(&other, open);
            let is_inside = one == other && (a.min(b)..a.max(b)).contains(&open);
            prop_assert_eq!(bounds.contains(&id), is_inside, "{} among those of {}", id, one);
            prop_assert_eq!(open_time_of(&id), Some(open));
        }

        #[test]
        fn no_range_of_the_ledger_lies_among_those_of_another_series(
            one in symbols(), other in symbols(), a in 0usize..16, b in 0usize..16, open in 0i64..9_999_999_999_999,
        ) {
            use candlemill_shared::{Exchange, Interval, Symbol};
            let series = |symbol: &str, index: usize| {
                symbol.parse::<Symbol>().ok().map(|symbol| Series::new(Exchange::Binance, symbol, Interval::ALL[index]))
            };
            if let (Some(one), Some(other)) = (series(&one, a), series(&other, b)) {
                let bounds = ranged_id(&one, 0)..ranged_id(&one, 9_999_999_999_999);
                prop_assert_eq!(bounds.contains(&ranged_id(&other, open)), one == other);
            }
        }
    }
}
