//! `candlemill fetch BTCUSDT 1m --start 2020-01-01 --end 2020-01-04 --follow`, and `verify` with the same arguments.

use super::output::{complain, say};
use anyhow::{Context as _, Result};
use candlemill_cli::wire::{FetchRequest, Moment, Webhook};
use candlemill_cli::{Accepted, Api, Bar, report};
use candlemill_shared::task::TaskState;
use candlemill_shared::{Interval, Symbol};
use clap::Args;
use std::process::ExitCode;

/// Submits a backfill of candles.
#[derive(Debug, Args)]
pub(crate) struct Fetch {
    #[command(flatten)]
    asked: Asked,
}

/// Has stored candles compared with the exchange's: restated ones are recorded, holes filled.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    asked: Asked,
}

/// Which candles, and what happens after the submission.
#[derive(Debug, Args)]
struct Asked {
    /// Symbol, as in BTCUSDT.
    symbol: Symbol,
    /// Length of the candles: 1m, 1h, 1d, 1M, …
    interval: Interval,
    /// First open time: a date, RFC 3339, milliseconds, or "listing".
    #[arg(long)]
    start: String,
    /// First open time that is no longer wanted; now when left out.
    #[arg(long)]
    end: Option<String>,
    /// Makes a repeated submission the same task.
    #[arg(long)]
    idempotency_key: Option<String>,
    /// URL that is told of the end by a signed POST.
    #[arg(long)]
    webhook: Option<String>,
    /// Follows the task with a progress bar until its end.
    #[arg(long, short)]
    follow: bool,
}

impl Fetch {
    pub(crate) async fn run(self, api: &Api) -> Result<ExitCode> {
        let (request, asked) = self.asked.request();
        let accepted = api.fetch(&request, asked.idempotency_key.as_deref()).await?;
        asked.go_on(api, &accepted).await
    }
}

impl Verify {
    pub(crate) async fn run(self, api: &Api) -> Result<ExitCode> {
        let (request, asked) = self.asked.request();
        let accepted = api.verify(&request, asked.idempotency_key.as_deref()).await?;
        asked.go_on(api, &accepted).await
    }
}

/// What is left to do once the request is known.
struct Rest {
    label: String,
    idempotency_key: Option<String>,
    follow: bool,
}

impl Asked {
    fn request(self) -> (FetchRequest, Rest) {
        let label = format!("{} {}", self.symbol, self.interval);
        let request = FetchRequest {
            symbol: self.symbol,
            interval: self.interval,
            start: Moment::from(self.start.as_str()),
            end: self.end.as_deref().map(Moment::from),
            webhook: self.webhook.map(|url| Webhook { url }),
        };
        (request, Rest { label, idempotency_key: self.idempotency_key, follow: self.follow })
    }
}

impl Rest {
    async fn go_on(&self, api: &Api, accepted: &Accepted) -> Result<ExitCode> {
        say(&accepted.task_id)?;
        if self.follow { follow(api, &accepted.task_id, &self.label).await } else { Ok(ExitCode::SUCCESS) }
    }
}

/// Exit code of a program that Ctrl-C ended: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

/// Follows a task to its end and prints its result.
pub(super) async fn follow(api: &Api, task: &str, label: &str) -> Result<ExitCode> {
    let mut bar = Bar::new(label);
    tokio::select! {
        followed = api.follow(task, |progress| bar.show(progress)) => followed.map(drop)?,
        pressed = tokio::signal::ctrl_c() => {
            pressed.context("listening for Ctrl-C")?;
            bar.leave();
            complain(&anyhow::anyhow!(
                "no longer followed; the task goes on. To look at it: candlemill progress {task}; to stop it: candlemill cancel {task}"
            ));
            return Ok(ExitCode::from(INTERRUPTED));
        }
    }
    let record = api.task(task).await?;
    if let Some(result) = &record.result {
        say(&report::result_lines(result))?;
    }
    if let Some(error) = &record.error {
        say(&format!("{}: {} (code {})", record.state, error.message, error.code))?;
    }
    Ok(if record.state == TaskState::Succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
