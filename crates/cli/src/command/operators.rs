//! `candlemill queues`, `pause`, `resume`, `drain`: operators' calls, with the operators' token.

use super::output::{say, say_json};
use anyhow::{Context as _, Result};
use candlemill_cli::Api;
use clap::Args;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Who calls.
#[derive(Debug, Args)]
pub(crate) struct Operator {
    /// The operators' token, `ADMIN_TOKEN` of the API.
    #[arg(long, env = "CANDLEMILL_ADMIN_TOKEN", default_value = "", hide_env_values = true)]
    admin_token: String,
}

impl Operator {
    fn api(&self, api: &Api) -> Api {
        Api::new(api.base(), &self.admin_token)
    }
}

/// Shows every queue and worker, as JSON.
#[derive(Debug, Args)]
pub(crate) struct Queues {
    #[command(flatten)]
    operator: Operator,
}

impl Queues {
    pub(crate) async fn run(self, api: &Api) -> Result<ExitCode> {
        say_json(&self.operator.api(api).get("/api/admin/queues", &[]).await?)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Lets workers take no more tasks of a pool; what runs goes on.
#[derive(Debug, Args)]
pub(crate) struct Pause {
    /// The pool: backfill, seasonality or maintenance.
    pool: String,
    /// Why; shown in the list.
    #[arg(long)]
    reason: Option<String>,
    /// Who; shown in the list.
    #[arg(long)]
    by: Option<String>,
    #[command(flatten)]
    operator: Operator,
}

impl Pause {
    pub(crate) async fn run(self, api: &Api) -> Result<ExitCode> {
        let body = json!({ "reason": self.reason, "by": self.by });
        let path = format!("/api/admin/queues/{}/pause", segment(&self.pool));
        let paused: Value = self.operator.api(api).post(&path, Some(&body)).await?;
        let (since, by) = (&paused["paused"]["since"], &paused["paused"]["by"]);
        let (since, by) = since.as_str().zip(by.as_str()).context("the answer names the pause")?;
        say(&format!("{} is paused since {since} by {by}; {} tasks wait", self.pool, paused["waiting"]))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Lets workers take tasks of a pool again.
#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// The pool: backfill, seasonality or maintenance.
    pool: String,
    #[command(flatten)]
    operator: Operator,
}

impl Resume {
    pub(crate) async fn run(self, api: &Api) -> Result<ExitCode> {
        let path = format!("/api/admin/queues/{}/resume", segment(&self.pool));
        self.operator.api(api).post::<Value>(&path, None).await?;
        say(&format!("{} goes on", self.pool))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Lets a worker take no more tasks and hand back what it has.
#[derive(Debug, Args)]
pub(crate) struct Drain {
    /// The worker's id, as `candlemill queues` shows it.
    worker: String,
    #[command(flatten)]
    operator: Operator,
}

impl Drain {
    pub(crate) async fn run(self, api: &Api) -> Result<ExitCode> {
        let path = format!("/api/admin/workers/{}/drain", segment(&self.worker));
        self.operator.api(api).post::<Value>(&path, None).await?;
        say(&format!("{} drains; `candlemill queues` shows when it is drained", self.worker))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A name as one part of a path: what does not belong into one names nothing.
fn segment(name: &str) -> String {
    let fits = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '-';
    let kept: String = name.chars().filter(fits).collect();
    if kept.len() == name.len() && !kept.is_empty() { kept } else { "-".to_owned() }
}
