//! `candlemill-worker`: runs the jobs of the queue until SIGTERM.

use candlemill_db::{Db, DbConfig};
use candlemill_exchanges::ExchangesConfig;
use candlemill_market_store::MarketStore;
use candlemill_shared::SystemClock;
use candlemill_shared::env::Env;
use candlemill_shared::telemetry;
use candlemill_tasks::{TaskEngine, TasksConfig};
use candlemill_worker::{Worker, WorkerConfig};
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
#[expect(clippy::print_stderr, reason = "a start that fails tells why, whatever the log is set to")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("candlemill-worker: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the one line that those who start it wait for")]
async fn run() -> Result<(), Box<dyn Error>> {
    let env = Env::from_process();
    let config = WorkerConfig::from_env(&env)?;
    let stores = DbConfig::from_env(&env)?;
    let exchanges = ExchangesConfig::from_env(&env)?;
    telemetry::start(&env)?;
    let db = Db::connect(&stores, Arc::new(SystemClock)).await?;
    let (tasks, market) = (TaskEngine::new(&db, TasksConfig::from_env(&env)?)?, MarketStore::new(&db));
    let worker = Worker::bind(config, tasks, market, exchanges).await?;
    println!("listening on http://{}", worker.addr()?);
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let stopping = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        stopping.cancel();
    });
    worker.run(shutdown).await?;
    Ok(())
}
