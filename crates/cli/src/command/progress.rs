//! `candlemill progress ID`

use super::fetch;
use super::output::say;
use anyhow::Result;
use candlemill_cli::{Api, bar};
use clap::Args;
use std::process::ExitCode;

/// Shows how far a task is.
#[derive(Debug, Args)]
pub(crate) struct Progress {
    /// The task's id.
    task: String,
    /// Follows it with a progress bar until its end.
    #[arg(long, short)]
    follow: bool,
}

impl Progress {
    pub(crate) async fn run(self, api: &Api) -> Result<ExitCode> {
        if self.follow {
            return fetch::follow(api, &self.task, &self.task).await;
        }
        say(bar::line(&api.progress(&self.task).await?).trim_start())?;
        Ok(ExitCode::SUCCESS)
    }
}
