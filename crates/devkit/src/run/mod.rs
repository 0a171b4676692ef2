//! `candlemill-dev run`: the main job from an empty machine to candles on the screen.

mod schedule;
mod screen;
mod story;

use anyhow::{Context as _, Result, bail};
use candlemill_client::Api;
use candlemill_devkit::{Stack, project_root};
use candlemill_shared::env::{Env, Variable};
use clap::Args;
use screen::Screen;
use std::fs::{File, OpenOptions, TryLockError};
use std::future::Future;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

static REDIS_URL: Variable =
    Variable { name: "REDIS_URL", default: "", help: "a Redis that runs already, redis:// or rediss://" };
static MONGODB_URI: Variable =
    Variable { name: "MONGODB_URI", default: "", help: "a MongoDB that runs already, mongodb:// or mongodb+srv://" };

static BINANCE_REST_URL: Variable = Variable {
    name: "BINANCE_REST_URL",
    default: "https://data-api.binance.vision",
    help: "the exchange's market-data host, for --live",
};
/// Of webhooks of a run on this machine, whose API listens to this machine alone.
const WEBHOOK_SECRET: &str = "whsec_Y2FuZGxlbWlsbCBkZW1vLCBubyByZWFsIHNlY3JldCE=";
/// The apalis inbox of a run: its queue, and the demo user, whom the simulator gives the same id each time.
const INBOX: [(&str, &str); 3] = [
    ("APALIS_INBOX", "candles"),
    ("APALIS_INBOX_OWNER", "c55fe69d-9a14-89bd-b60c-c15aa96ba543"),
    ("APALIS_INBOX_TIER", "pro"),
];
/// Where the dashboard is served besides, as it is by default.
const DASHBOARD_ADDR: &str = "127.0.0.1:5555";
/// Longest wait for the exchange's first answer.
const REACH_WITHIN: Duration = Duration::from_secs(10);

/// Says at once when there is no way to the exchange: a task would wait for it for an hour.
async fn reach_exchange(env: &Env) -> Result<()> {
    let host = env.text_or_default(&BINANCE_REST_URL);
    let url = format!("{}/api/v3/ping", host.trim_end_matches('/'));
    let client = reqwest::Client::builder().timeout(REACH_WITHIN).build().context("setting up HTTP")?;
    let answered = client.get(&url).send().await.and_then(reqwest::Response::error_for_status);
    answered.map(drop).with_context(|| {
        format!("{host} cannot be reached, and --live needs it: check the network, or run without --live over recorded candles")
    })
}

/// Starts everything, runs a backfill of real candles and keeps serving until Ctrl-C.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Ends after the result: with 0 when all went well.
    #[arg(long)]
    once: bool,
    /// Fetches from the exchange's real market-data host instead of the simulator.
    #[arg(long)]
    live: bool,
}

/// How a run was ended from outside.
#[derive(Debug)]
enum End {
    /// Ctrl-C or SIGTERM.
    Asked,
    /// A process died; what its log says.
    Death(String),
}

impl Run {
    pub(crate) async fn execute(self) -> Result<()> {
        let folder = project_root().join(".dev");
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let _lock = lock(&folder)?;
        let mut screen = Screen::default();
        let started = or_asked_to_end(self.start(&folder)).await?;
        let Some(mut stack) = started else {
            screen.note("stopped before everything had started")?;
            return Ok(());
        };
        let outcome = self.tell(&mut stack, &mut screen, &folder).await;
        let stopped = stack.stop().await;
        outcome?;
        stopped.context("stopping everything")?;
        screen.note("everything has stopped; the data stays in .dev")
    }

    /// Starts the stack on data that stays. Live candles and simulated ones never share a database.
    async fn start(&self, folder: &Path) -> Result<Stack> {
        let env = Env::from_process();
        let mut builder = Stack::builder().without_ledger_check().kept_in(folder);
        builder = builder.database(if self.live { "candlemill_live" } else { "candlemill_demo" });
        let webhooks =
            [("WEBHOOK_SECRET", WEBHOOK_SECRET), ("WEBHOOK_ALLOW_HTTP", "true"), ("WEBHOOK_ALLOW_PRIVATE", "true")];
        for (name, value) in webhooks {
            builder = builder.api_env(name, value).worker_env(name, value);
        }
        for (name, value) in INBOX {
            builder = builder.worker_env(name, value);
        }
        // Another run, or another program, may have the usual port: the API's own address shows the dashboard as well.
        if TcpListener::bind(DASHBOARD_ADDR).is_ok() {
            builder = builder.api_env("DASHBOARD_ADDR", DASHBOARD_ADDR);
        }
        if self.live {
            reach_exchange(&env).await?;
            builder = builder.real_exchange();
        }
        if let Some(url) = env.text(&REDIS_URL) {
            builder = builder.outside_redis(url);
        }
        if let Some(uri) = env.text(&MONGODB_URI) {
            builder = builder.outside_mongo(uri);
        }
        builder.start().await
    }

    async fn tell(&self, stack: &mut Stack, screen: &mut Screen, folder: &Path) -> Result<()> {
        screen.servers(stack, folder, self.live)?;
        let api = stack.client("pro").await?;
        let charts = folder.join("charts");
        let told = tokio::select! {
            told = story(&api, screen, &charts) => told,
            end = end(stack) => match end? {
                End::Asked => return Ok(()),
                End::Death(log) => bail!("{log}"),
            },
        };
        screen.where_to_look(&api, &told?)?;
        if self.once {
            return Ok(());
        }
        screen.note("serving until Ctrl-C")?;
        match end(stack).await? {
            End::Asked => Ok(()),
            End::Death(log) => bail!("{log}"),
        }
    }
}

/// A schedule, backfills, a study of what they stored, the schedule's fires; the id of the last backfill.
async fn story(api: &Api, screen: &mut Screen, charts: &Path) -> Result<String> {
    let schedule = schedule::create(api, screen).await?;
    let last = story::tell(api, screen).await?;
    story::study(api, screen, charts).await?;
    schedule::show_fires(api, screen, schedule).await?;
    Ok(last)
}

/// Waits until the run is ended from outside.
async fn end(stack: &mut Stack) -> Result<End> {
    tokio::select! {
        asked = asked_to_end() => asked.map(|()| End::Asked),
        death = stack.first_death() => death.map(End::Death),
    }
}

async fn asked_to_end() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut hang_up = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed.context("listening for Ctrl-C"),
        _ = terminate.recv() => Ok(()),
        _ = hang_up.recv() => Ok(()),
    }
}

/// The result of `work`; `None` when the run was to end before it was done (`work` is dropped, and its processes with it).
async fn or_asked_to_end<T>(work: impl Future<Output = Result<T>>) -> Result<Option<T>> {
    tokio::select! {
        asked = asked_to_end() => asked.map(|()| None),
        done = work => done.map(Some),
    }
}

/// Two runs on one data folder would spoil it. The kernel frees the lock whatever way this process ends.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("opening {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!("another ./dev run uses {}; end it first", folder.display()),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("locking {}", path.display())),
    }
}
