//! The commands; one file each.

mod admin;
mod batch;
mod cancel;
mod candles;
mod coverage;
mod dead;
mod fetch;
mod following;
mod klines;
mod login;
mod manual;
mod operators;
mod parquet;
mod progress;
mod schedule;
mod schedule_template;
mod series;
mod study;
mod symbols;
mod task;
mod task_words;
mod tasks;
mod wanted;

use crate::context::Context;
use anyhow::Result;
use clap::Subcommand;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Submits backfills of candles, one for each symbol.
    Fetch(fetch::Fetch),
    /// Submits one task that fetches many symbols.
    Batch(batch::Batch),
    /// Has stored candles compared with the exchange's.
    Verify(fetch::Verify),
    /// Follows a task with a progress bar until its end.
    Follow(progress::Follow),
    /// Shows how far a task is.
    Progress(progress::Progress),
    /// Shows the record and result of a task.
    Task(task::Task),
    /// Lists your tasks, newest first.
    Tasks(tasks::Tasks),
    /// Cancels a task.
    Cancel(cancel::Cancel),
    /// Lists, replays and discards tasks that were given up.
    #[command(subcommand)]
    Dead(dead::Dead),
    /// Studies the seasonality of a series; lists, shows and deletes studies.
    Study(study::Study),
    /// Has work submitted by the clock.
    #[command(subcommand)]
    Schedule(schedule::Schedule),
    /// Writes stored candles.
    Klines(klines::Klines),
    /// Shows what is verified and what is absent, and why.
    Coverage(coverage::Coverage),
    /// Lists the stored series.
    Series(series::Series),
    /// Lists the symbols of the exchange.
    Symbols(symbols::Symbols),
    /// Keeps a login for this API; the password or token comes on standard input.
    Login(login::Login),
    /// Forgets the login for this API.
    Logout,
    /// Shows every queue and worker (operators).
    Queues(operators::Queues),
    /// Lets workers take no more tasks of a pool (operators).
    Pause(operators::Pause),
    /// Lets workers take tasks of a pool again (operators).
    Resume(operators::Resume),
    /// Lets a worker take no more tasks (operators).
    Drain(operators::Drain),
    /// Tasks of the operators: has candles verified, shows how that went.
    #[command(subcommand)]
    Admin(admin::Admin),
    /// Writes completions for a shell.
    Completions(manual::Completions),
    /// Writes a manual page.
    Man(manual::Man),
}

impl Command {
    /// Runs the command and returns the exit code; `program` describes the program itself.
    pub(crate) async fn run(self, context: &Context, program: clap::Command) -> Result<u8> {
        let done = |result: Result<()>| result.map(|()| 0);
        match self {
            Self::Fetch(command) => command.run(context).await,
            Self::Batch(command) => command.run(context).await,
            Self::Verify(command) => command.run(context).await,
            Self::Follow(command) => command.run(context).await,
            Self::Progress(command) => command.run(context).await,
            Self::Task(command) => done(command.run(context).await),
            Self::Tasks(command) => done(command.run(context).await),
            Self::Cancel(command) => done(command.run(context).await),
            Self::Dead(command) => command.run(context).await,
            Self::Study(command) => command.run(context).await,
            Self::Schedule(command) => done(command.run(context).await),
            Self::Klines(command) => done(command.run(context).await),
            Self::Coverage(command) => done(command.run(context).await),
            Self::Series(command) => done(command.run(context).await),
            Self::Symbols(command) => done(command.run(context).await),
            Self::Login(command) => done(command.run(context).await),
            Self::Logout => done(login::log_out(context)),
            Self::Queues(command) => done(command.run(context).await),
            Self::Pause(command) => done(command.run(context).await),
            Self::Resume(command) => done(command.run(context).await),
            Self::Drain(command) => done(command.run(context).await),
            Self::Admin(command) => done(command.run(context).await),
            Self::Completions(command) => done(command.run(program)),
            Self::Man(command) => done(command.run(program)),
        }
    }
}
