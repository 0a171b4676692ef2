//! `candlemill task ID`

use super::output::say_json;
use anyhow::Result;
use candlemill_cli::Api;
use clap::Args;
use std::process::ExitCode;

/// Shows the record and result of a task, as JSON.
#[derive(Debug, Args)]
pub(crate) struct Task {
    /// The task's id.
    task: String,
}

impl Task {
    pub(crate) async fn run(self, api: &Api) -> Result<ExitCode> {
        say_json(&api.get(&format!("/api/task/{}", self.task), &[]).await?)?;
        Ok(ExitCode::SUCCESS)
    }
}
