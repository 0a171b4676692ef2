//! `candlemill tasks`

use super::output::say_json;
use anyhow::Result;
use candlemill_cli::Api;
use candlemill_shared::task::TaskState;
use clap::Args;
use std::process::ExitCode;

/// Lists your tasks, newest first, as JSON.
#[derive(Debug, Args)]
pub(crate) struct Tasks {
    /// Only tasks in this state.
    #[arg(long)]
    state: Option<TaskState>,
    /// Most tasks of one page.
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Where the page begins: the cursor of the page before.
    #[arg(long)]
    cursor: Option<String>,
}

impl Tasks {
    pub(crate) async fn run(self, api: &Api) -> Result<ExitCode> {
        let mut query = vec![("limit", self.limit.to_string())];
        query.extend(self.state.map(|state| ("state", state.to_string())));
        query.extend(self.cursor.map(|cursor| ("cursor", cursor)));
        say_json(&api.get("/api/tasks", &query).await?)?;
        Ok(ExitCode::SUCCESS)
    }
}
