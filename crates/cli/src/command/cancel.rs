//! `candlemill cancel ID`

use super::output::say;
use anyhow::Result;
use candlemill_cli::Api;
use clap::Args;
use std::process::ExitCode;

/// Cancels a task that is queued or runs.
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The task's id.
    task: String,
}

impl Cancel {
    pub(crate) async fn run(self, api: &Api) -> Result<ExitCode> {
        api.cancel(&self.task).await?;
        say(&format!("task {} is being cancelled", self.task))?;
        Ok(ExitCode::SUCCESS)
    }
}
