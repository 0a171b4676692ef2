//! The worker's own settings.

use candlemill_shared::env::{Env, EnvError, Variable, wrong};
use std::net::SocketAddr;
use std::time::Duration;

static WORKER_ADDR: Variable = Variable {
    name: "WORKER_ADDR",
    default: "127.0.0.1:8081",
    help: "address and port of the worker's health and metrics page; port 0 takes a free one",
};
static WORKER_CONCURRENCY: Variable =
    Variable { name: "WORKER_CONCURRENCY", default: "8", help: "tasks that one worker runs at once, 1 to 256" };
static BACKFILL_PAGE_CONCURRENCY: Variable = Variable {
    name: "BACKFILL_PAGE_CONCURRENCY",
    default: "20",
    help: "pages that one backfill fetches at once, 1 to 128; each may hold 0.5 MiB",
};
static WORKER_GRACE_SECONDS: Variable = Variable {
    name: "WORKER_GRACE_SECONDS",
    default: "25",
    help: "seconds that running tasks get to end or be handed back after SIGTERM, 1 to 600",
};
static BINANCE_WEIGHT_LIMIT: Variable = Variable {
    name: "BINANCE_WEIGHT_LIMIT",
    default: "0",
    help: "request weight per minute that all workers together may spend, 10 to 1000000; 0: what the exchange allows",
};
/// Every variable that is read here.
pub static VARIABLES: &[&Variable] =
    &[&WORKER_ADDR, &WORKER_CONCURRENCY, &BACKFILL_PAGE_CONCURRENCY, &WORKER_GRACE_SECONDS, &BINANCE_WEIGHT_LIMIT];

/// The worker's own settings.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Where health and metrics are served.
    pub addr: SocketAddr,
    /// Tasks run at once.
    pub concurrency: usize,
    /// Pages that one backfill fetches at once.
    pub page_concurrency: usize,
    /// Time to end after SIGTERM.
    pub grace: Duration,
    /// Weight per minute for all workers; `None`: the exchange's own limit.
    pub weight_limit: Option<u32>,
}

impl WorkerConfig {
    /// Reads the configuration.
    ///
    /// # Errors
    /// When a variable is wrong.
    pub fn from_env(env: &Env) -> Result<Self, EnvError> {
        let addr = env.text_or_default(&WORKER_ADDR);
        let limit: u32 = env.number(&BINANCE_WEIGHT_LIMIT, 0, 1_000_000)?;
        if (1..10).contains(&limit) {
            return Err(wrong(&BINANCE_WEIGHT_LIMIT, "is less than 10, which no minute's work fits in"));
        }
        Ok(Self {
            addr: addr
                .parse()
                .map_err(|_| wrong(&WORKER_ADDR, format!("{addr:?} is no address and port, as in 127.0.0.1:8081")))?,
            concurrency: env.number(&WORKER_CONCURRENCY, 1, 256)?,
            page_concurrency: env.number(&BACKFILL_PAGE_CONCURRENCY, 1, 128)?,
            grace: Duration::from_secs(env.number(&WORKER_GRACE_SECONDS, 1, 600)?),
            weight_limit: (limit > 0).then_some(limit),
        })
    }
}
