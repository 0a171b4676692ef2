//! The commands; one file each.

mod cancel;
mod coverage;
mod fetch;
mod klines;
mod operators;
mod output;
mod progress;
mod task;
mod tasks;

use anyhow::Result;
use candlemill_cli::Api;
use clap::Subcommand;
use std::process::ExitCode;

pub(crate) use output::complain;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Submits a backfill of candles.
    Fetch(fetch::Fetch),
    /// Has stored candles compared with the exchange's.
    Verify(fetch::Verify),
    /// Shows how far a task is.
    Progress(progress::Progress),
    /// Shows the record and result of a task.
    Task(task::Task),
    /// Cancels a task.
    Cancel(cancel::Cancel),
    /// Lists your tasks, newest first.
    Tasks(tasks::Tasks),
    /// Writes stored candles.
    Klines(klines::Klines),
    /// Shows what is verified and what is absent, and why.
    Coverage(coverage::Coverage),
    /// Shows every queue and worker (operators).
    Queues(operators::Queues),
    /// Lets workers take no more tasks of a pool (operators).
    Pause(operators::Pause),
    /// Lets workers take tasks of a pool again (operators).
    Resume(operators::Resume),
    /// Lets a worker take no more tasks (operators).
    Drain(operators::Drain),
}

impl Command {
    /// Whether it takes the operators' token in place of a user's.
    pub(crate) const fn is_for_operators(&self) -> bool {
        matches!(self, Self::Queues(_) | Self::Pause(_) | Self::Resume(_) | Self::Drain(_))
    }

    /// Runs the command; its exit code is a failure also when the task that it followed failed.
    pub(crate) async fn run(self, api: &Api) -> Result<ExitCode> {
        match self {
            Self::Fetch(command) => command.run(api).await,
            Self::Verify(command) => command.run(api).await,
            Self::Progress(command) => command.run(api).await,
            Self::Task(command) => command.run(api).await,
            Self::Cancel(command) => command.run(api).await,
            Self::Tasks(command) => command.run(api).await,
            Self::Klines(command) => command.run(api).await,
            Self::Coverage(command) => command.run(api).await,
            Self::Queues(command) => command.run(api).await,
            Self::Pause(command) => command.run(api).await,
            Self::Resume(command) => command.run(api).await,
            Self::Drain(command) => command.run(api).await,
        }
    }
}
