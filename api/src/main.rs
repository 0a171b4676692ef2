//! `candlemill-api`: serves the API until SIGTERM.

use axum::Router;
use axum::serve::ListenerExt;
use candlemill_api::auth::{Authenticator, TOKEN_CACHE};
use candlemill_api::metrics::Metrics;
use candlemill_api::session::OwnTries;
use candlemill_api::{ApiConfig, AppState, DashboardAddr, Refresher, app};
use candlemill_db::{Db, DbConfig, ExpiringCache};
use candlemill_market_store::MarketStore;
use candlemill_shared::env::Env;
use candlemill_shared::{Clock, SystemClock, telemetry};
use candlemill_tasks::{OwnerRecord, TaskEngine, TaskService, TasksConfig};
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Requests under way get this long after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);
/// Users of whom Supabase spoke and that are not written down yet.
const CONFIRMED: usize = 4_096;
const PREPARE_AGAIN: Duration = Duration::from_secs(1);

#[tokio::main]
#[expect(clippy::print_stderr, reason = "a start that fails tells why, whatever the log is set to")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("candlemill-api: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the one line that those who start it wait for")]
async fn run() -> Result<(), Box<dyn Error>> {
    let env = Env::from_process();
    let config = ApiConfig::from_env(&env)?;
    let stores = DbConfig::from_env(&env)?;
    telemetry::start(&env)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let db = Db::connect(&stores, Arc::clone(&clock)).await?;
    let (tasks, market) = (TaskEngine::new(&db, TasksConfig::from_env(&env)?)?, MarketStore::new(&db));
    let metrics = Arc::new(Metrics::new());
    let (told, confirmed) = mpsc::channel(CONFIRMED);
    let auth = Authenticator::new(
        config.auth,
        ExpiringCache::new(db.redis(), TOKEN_CACHE),
        Arc::clone(&clock),
        metrics.auth.clone(),
    )?;
    let auth = Arc::new(auth.telling(told));
    let stopping = CancellationToken::new();
    let tiers = Arc::new(config.tiers);
    let state = AppState {
        service: TaskService::start(&tasks, Arc::clone(&tiers), config.webhooks.clone()),
        auth: Arc::clone(&auth),
        admin: config.admin,
        cors_origins: config.cors_origins,
        public_url: config.public_url,
        sign_ins: OwnTries::default(),
        tiers,
        webhooks: config.webhooks,
        streams: Arc::new(Semaphore::new(config.event_streams)),
        stopping: stopping.clone(),
        metrics,
        clock,
        db,
        tasks: tasks.clone(),
        market: market.clone(),
    };
    let listener =
        TcpListener::bind(config.addr).await.map_err(|error| format!("API_ADDR {}: {error}", config.addr))?;
    let dashboard = dashboard(config.dashboard).await?;
    println!("listening on http://{}", listener.local_addr()?);
    if let Some(dashboard) = &dashboard {
        println!("dashboard on http://{}", dashboard.local_addr()?);
    }
    tokio::spawn({
        let (auth, bus) = (Arc::clone(&state.auth), state.db.bus().clone());
        async move { auth.follow_sign_outs(&bus).await }
    });
    tokio::spawn(tasks.progress().clone().watch());
    tokio::spawn(keep_owners(tasks.clone(), confirmed));
    tokio::spawn(Refresher { auth, tasks: tasks.clone() }.run(stopping.clone()));
    tokio::spawn(prepare(tasks, market, stopping.clone()));
    stop_on_signal(stopping.clone())?;
    let app = app(state);
    let beside = async {
        match dashboard {
            Some(listener) => serve(listener, app.clone(), stopping.clone()).await,
            None => Ok(()),
        }
    };
    let served = async { tokio::try_join!(serve(listener, app.clone(), stopping.clone()), beside).map(drop) };
    let over = async {
        stopping.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = served => served?,
        () = over => tracing::warn!("requests under way did not end within the grace time"),
    }
    Ok(())
}

/// Writes down what Supabase says of users, for schedules, which fire without their tokens.
async fn keep_owners(tasks: TaskEngine, mut confirmed: mpsc::Receiver<OwnerRecord>) {
    while let Some(owner) = confirmed.recv().await {
        if let Err(error) = tasks.owners().confirm(&owner).await {
            tracing::debug!(%error, "a user's tier is not written down; it is when its token is checked again");
        }
    }
}

/// Answers on one address until the process stops.
async fn serve(listener: TcpListener, app: Router, stopping: CancellationToken) -> std::io::Result<()> {
    let listener = listener.tap_io(|socket| {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "answers may be delayed on this connection");
        }
    });
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).with_graceful_shutdown(stopping.cancelled_owned()).await
}

/// The dashboard's own address. The usual one may be another's: then the API's is enough.
async fn dashboard(wanted: DashboardAddr) -> Result<Option<TcpListener>, Box<dyn Error>> {
    match wanted {
        DashboardAddr::Off => Ok(None),
        DashboardAddr::Asked(addr) => {
            let bound = TcpListener::bind(addr).await.map_err(|error| format!("DASHBOARD_ADDR {addr}: {error}"))?;
            Ok(Some(bound))
        }
        DashboardAddr::Usual(addr) => {
            let bound = TcpListener::bind(addr).await;
            if let Err(error) = &bound {
                tracing::warn!(%addr, %error, "the dashboard is served at API_ADDR alone");
            }
            Ok(bound.ok())
        }
    }
}

/// Creates the indexes as soon as MongoDB answers. Until then requests that need it are refused one by one.
async fn prepare(tasks: TaskEngine, market: MarketStore, stopping: CancellationToken) {
    let prepared = async || {
        tasks.prepare().await?;
        market.prepare().await
    };
    while let Err(error) = prepared().await {
        tracing::warn!(%error, "the stores are not ready; trying again");
        tokio::select! {
            () = tokio::time::sleep(PREPARE_AGAIN) => {}
            () = stopping.cancelled() => return,
        }
    }
}

fn stop_on_signal(stopping: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        tracing::info!("stopping: no more connections are taken");
        stopping.cancel();
    });
    Ok(())
}
