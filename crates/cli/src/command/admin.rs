//! `candlemill admin verify`, `admin task`: tasks of the operators, with the operators' token.

use super::operators::Operator;
use super::task;
use crate::context::Context;
use anyhow::Result;
use candlemill_client::forms::{FetchRequest, FetchStart};
use candlemill_client::{parse_start, parse_time};
use candlemill_shared::{Interval, Symbol, Timestamp};
use clap::{Args, Subcommand};

/// Tasks of the operators.
#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    /// Has stored candles compared with the exchange's, by a task of the operators.
    Verify(Verify),
    /// Shows the record and result of a task of the operators.
    Task(Task),
}

/// Has stored candles compared with the exchange's, by a task of the operators.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The symbol, as in BTCUSDT.
    symbol: Symbol,
    /// Length of the candles, as in 1h.
    interval: Interval,
    /// First open time: a date, RFC 3339, milliseconds, or "listing".
    #[arg(long, value_parser = parse_start)]
    start: FetchStart,
    /// First open time that is no longer wanted; now when left out.
    #[arg(long, value_parser = parse_time)]
    end: Option<Timestamp>,
    /// Makes a repeated submission the same task.
    #[arg(long)]
    idempotency_key: Option<String>,
    #[command(flatten)]
    operator: Operator,
}

/// Shows the record and result of a task of the operators.
#[derive(Debug, Args)]
pub(crate) struct Task {
    /// The task's id.
    task: String,
    #[command(flatten)]
    operator: Operator,
}

impl Admin {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        match self {
            Self::Verify(command) => command.run(context).await,
            Self::Task(command) => command.run(context).await,
        }
    }
}

impl Verify {
    async fn run(self, context: &Context) -> Result<()> {
        let request =
            FetchRequest { end: self.end.map(Into::into), ..FetchRequest::new(self.symbol, self.interval, self.start) };
        let api = self.operator.api(context)?;
        let accepted = api.operators_verify(&request, self.idempotency_key.as_deref()).await?;
        context.submitted(&accepted, None)
    }
}

impl Task {
    async fn run(self, context: &Context) -> Result<()> {
        let task = self.operator.api(context)?.operators_task(self.task.as_str()).await?;
        context.answer(&task, || task::words(&task))
    }
}
