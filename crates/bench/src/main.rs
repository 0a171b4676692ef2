//! Measures whole flows against real servers on this machine and prints figures for the README.
//!
//! Every command starts what it needs on free ports with throw-away folders, and is bounded in time and count.

mod backfill;
mod budget;
mod bulk;
mod cancel;
mod crowd;
mod figures;
mod http;
mod jobs;
mod kill;
mod load;
mod queue;
mod restarts;
mod retention;
mod schedules;
mod study;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(about)]
struct Arguments {
    #[command(subcommand)]
    flow: Flow,
}

#[derive(Debug, Subcommand)]
enum Flow {
    /// A year of minutes from POST to `succeeded`, its repeat, and the bare driver with the same documents.
    Backfill {
        /// Delay of every answer of the exchange, ms.
        #[arg(long, default_value_t = 100)]
        latency: u64,
        /// Number of one-minute candles.
        #[arg(long, default_value_t = 525_600)]
        candles: u64,
        /// Backfills of as many candles each that run beside it, 0 to 7: what counts then is the worker's memory.
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..=7))]
        beside: i64,
    },
    /// Authorised POSTs and progress reads: latency at a fixed rate, and the most per second.
    Load {
        /// Seconds of each measurement, 1 to 120.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=120))]
        seconds: u64,
        /// Connections of the driver.
        #[arg(long, default_value_t = 32)]
        connections: usize,
    },
    /// One-page tasks from POST to `succeeded`.
    Jobs {
        /// Number of tasks.
        #[arg(long, default_value_t = 5_000)]
        tasks: u64,
        /// Candles of each.
        #[arg(long, default_value_t = 10)]
        candles: u64,
    },
    /// Empty tasks through one worker, the way from enqueue to start, memory of waiting ones; bare apalis-redis beside.
    Queue {
        /// Number of empty tasks.
        #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
        tasks: u64,
    },
    /// Memory of Redis over very many finished tasks.
    Retention {
        /// Number of empty tasks.
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
        tasks: u64,
    },
    /// Candles into columns beside bare cursors, and the calendar study of them.
    Study {
        /// Number of one-minute candles.
        #[arg(long, default_value_t = 2_600_000, value_parser = clap::value_parser!(u64).range(10_000..=5_000_000))]
        candles: u64,
        /// Draws of the bootstrap.
        #[arg(long, default_value_t = 1_000)]
        draws: u32,
        /// A Python with the packages of `crates/bench/peers/requirements.txt`: runs the script of pandas there beside it.
        #[arg(long)]
        python: Option<std::path::PathBuf>,
    },
    /// Fires of schedules: very many at once, some hundred a second, a minute of many symbols.
    Schedules {
        /// Schedules that are due in the same second.
        #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(10..=50_000))]
        crowd: u64,
        /// Symbols of the batch that fires every minute.
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=2_000))]
        symbols: u64,
        /// Delay of every answer of the exchange, ms.
        #[arg(long, default_value_t = 50)]
        latency: u64,
    },
    /// Very many waiting tasks of one user: lists, operators' looks, and another user's start behind them.
    Crowd {
        /// Number of waiting tasks.
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=2_000_000))]
        tasks: u64,
    },
    /// Batches of 1,000 fetches through the API.
    Bulk {
        /// Number of fetches.
        #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1_000..=2_000_000))]
        fetches: u64,
    },
    /// From DELETE to stopped work.
    Cancel {
        /// Number of backfills.
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(10..=2_000))]
        tasks: u32,
    },
    /// Two workers on one budget: which share of the allowed weight they use, and whether the exchange ever says 429.
    Budget {
        /// Whole minutes to measure, 1 to 10.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=10))]
        minutes: u64,
        /// Weight per minute that the exchange allows.
        #[arg(long, default_value_t = 6_000)]
        limit: u32,
    },
    /// kill -9 of the worker at random moments of a backfill; the collection must equal the source every time.
    Kill {
        /// Number of kills.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=300))]
        kills: u32,
        /// Seed of the moments.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// kill -9 and restart of Redis: how soon tasks are accepted and come through again.
    Restarts {
        /// Number of restarts.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=300))]
        restarts: u32,
        /// Seed of the times that Redis is away.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    figures::machine();
    match Arguments::parse().flow {
        Flow::Backfill { latency, candles, beside } => backfill::measure(latency, candles, beside).await,
        Flow::Load { seconds, connections } => load::measure(seconds, connections).await,
        Flow::Jobs { tasks, candles } => jobs::measure(tasks, candles).await,
        Flow::Queue { tasks } => queue::measure(tasks).await,
        Flow::Study { candles, draws, python } => study::measure(candles, draws, python.as_deref()).await,
        Flow::Retention { tasks } => retention::measure(tasks).await,
        Flow::Schedules { crowd, symbols, latency } => schedules::measure(crowd, symbols, latency).await,
        Flow::Crowd { tasks } => crowd::measure(tasks).await,
        Flow::Bulk { fetches } => bulk::measure(fetches).await,
        Flow::Cancel { tasks } => cancel::measure(tasks).await,
        Flow::Budget { minutes, limit } => budget::measure(minutes, limit).await,
        Flow::Kill { kills, seed } => kill::measure(kills, seed).await,
        Flow::Restarts { restarts, seed } => restarts::measure(restarts, seed).await,
    }
}
