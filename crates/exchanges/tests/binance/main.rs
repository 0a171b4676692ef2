//! The Binance client against a scripted exchange on a real socket.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod absence;
mod calls;
mod clock;
mod exchange;
mod faults;
mod ledger;
mod names;
mod pauses;

use candlemill_exchanges::backoff::RetryPolicy;
use candlemill_exchanges::{BinanceClient, BinanceConfig, CallCounters, HistoricalMarketData};
use candlemill_shared::env::Env;
use candlemill_shared::{Interval, ManualClock, Symbol, TimeRange};
use exchange::{Exchange, Step};
use ledger::Ledger;
use std::sync::Arc;
use std::time::Duration;

/// What our clock shows.
const NOW: i64 = 1_700_000_000_000;
const MINUTE: i64 = 60_000;
/// 2023-11-14 20:00, hours before [`NOW`].
const OPEN: i64 = 1_699_992_000_000;

/// One client, its exchange, its budget and what it counted.
struct Bench {
    exchange: Exchange,
    config: BinanceConfig,
    budget: Arc<Ledger>,
    client: BinanceClient<Arc<Ledger>>,
    counters: Arc<CallCounters>,
}

/// Four attempts almost without delay.
const RETRY: RetryPolicy = RetryPolicy {
    attempts: 4,
    first_delay: Duration::from_millis(1),
    longest_delay: Duration::from_millis(4),
    whole_call: Duration::from_secs(30),
    longest_pause: Duration::from_secs(90),
};

impl Bench {
    async fn new(script: Vec<Step>) -> Self {
        Self::with(script, RETRY, Duration::from_secs(10)).await
    }

    async fn with(script: Vec<Step>, retry: RetryPolicy, call_timeout: Duration) -> Self {
        let exchange = Exchange::start(NOW, script).await;
        let config = BinanceConfig {
            rest_url: exchange.url.clone(),
            call_timeout,
            retry,
            ..BinanceConfig::from_env(&Env::default()).unwrap()
        };
        let (budget, counters) = (Arc::<Ledger>::default(), Arc::<CallCounters>::default());
        let client = connect(&config, &budget, &counters);
        Self { exchange, config, budget, client, counters }
    }

    /// Goes on with another budget.
    fn spend_from(&mut self, budget: Ledger) {
        self.budget = Arc::new(budget);
        self.client = connect(&self.config, &self.budget, &self.counters);
    }
}

fn connect(config: &BinanceConfig, budget: &Arc<Ledger>, counters: &Arc<CallCounters>) -> BinanceClient<Arc<Ledger>> {
    let client = BinanceClient::new(config, Arc::clone(budget), Arc::new(ManualClock::at(NOW))).unwrap();
    client.for_job(Arc::clone(counters))
}

fn btcusdt() -> Symbol {
    "BTCUSDT".parse().unwrap()
}

/// `count` minutes from [`OPEN`] on.
fn window(count: i64) -> TimeRange {
    TimeRange::new(OPEN, OPEN + count * MINUTE)
}

const INTERVAL: Interval = Interval::Minute1;

/// The row that opens `minute` minutes after [`OPEN`].
fn row(minute: i64) -> String {
    let open = OPEN + minute * MINUTE;
    let close = open + MINUTE - 1;
    format!(r#"[{open},"10.0","11.0","9.5","10.5","3.2",{close},"33.6",12,"1.1","11.5","0"]"#)
}

/// An answer with these minutes.
fn rows(minutes: &[i64]) -> String {
    format!("[{}]", minutes.iter().map(|minute| row(*minute)).collect::<Vec<_>>().join(","))
}
