//! `candlemill queues`, `pause`, `resume`, `drain`: operators' calls, with the operators' token.

use crate::context::Context;
use crate::exit::Usage;
use crate::output::table;
use anyhow::Result;
use candlemill_cli::report::{count, counted, seconds};
use candlemill_client::Api;
use candlemill_client::forms::{PauseRequest, QueueList, QueueView, WorkerView};
use clap::Args;

/// Who calls.
#[derive(Debug, Args)]
pub(crate) struct Operator {
    /// The operators' token, `ADMIN_TOKEN` of the API. Better set by the variable: other users of this machine see options.
    #[arg(long, env = "CANDLEMILL_ADMIN_TOKEN", default_value = "", hide_env_values = true)]
    admin_token: String,
}

impl Operator {
    pub(super) fn api(&self, context: &Context) -> Result<Api, Usage> {
        if self.admin_token.is_empty() {
            return Err(Usage("operators' calls need their token: set CANDLEMILL_ADMIN_TOKEN".to_owned()));
        }
        Ok(context.open_api().with_token(&self.admin_token))
    }
}

/// Shows every queue and worker.
#[derive(Debug, Args)]
pub(crate) struct Queues {
    #[command(flatten)]
    operator: Operator,
}

impl Queues {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let list = self.operator.api(context)?.queues().await?;
        context.answer(&list, || words(&list))
    }
}

fn words(list: &QueueList) -> String {
    let queue = |queue: &QueueView| {
        let paused = queue.paused.as_ref().map_or_else(String::new, |paused| {
            let why = paused.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            format!("paused since {} by {}{why}", paused.since, paused.by)
        });
        let oldest = queue.oldest_waiting_seconds.map_or_else(String::new, seconds);
        let [waiting, delayed, running] = [queue.waiting, queue.delayed, queue.running].map(count);
        vec![queue.pool.as_str().to_owned(), waiting, delayed, running, oldest, paused]
    };
    let worker = |worker: &WorkerView| {
        let running = worker.running.to_string();
        vec![worker.id.clone(), worker.state.as_str().to_owned(), running, worker.host.clone(), worker.version.clone()]
    };
    let heading = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let queues = [heading(&["QUEUE", "WAITING", "DELAYED", "RUNNING", "OLDEST", ""])];
    let workers = [heading(&["WORKER", "STATE", "TASKS", "HOST", "VERSION"])];
    let queues: Vec<_> = queues.into_iter().chain(list.queues.iter().map(queue)).collect();
    let workers: Vec<_> = workers.into_iter().chain(list.workers.iter().map(worker)).collect();
    format!("{}\n\n{}", table(&queues), table(&workers))
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
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let request = PauseRequest { reason: self.reason.map(Into::into), by: self.by.map(Into::into) };
        let queue = self.operator.api(context)?.pause_queue(&self.pool, &request).await?;
        context.answer(&queue, || {
            let since = queue
                .paused
                .as_ref()
                .map_or_else(String::new, |paused| format!(" since {} by {}", paused.since, paused.by));
            format!("{} is paused{since}; waiting: {}", queue.pool.as_str(), counted(queue.waiting, "task"))
        })
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
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let queue = self.operator.api(context)?.resume_queue(&self.pool).await?;
        context.answer(&queue, || format!("{} goes on", queue.pool.as_str()))
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
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let worker = self.operator.api(context)?.drain_worker(&self.worker).await?;
        context.answer(&worker, || {
            format!("{} drains; `{} queues` shows when it is drained", worker.id, context.program())
        })
    }
}
