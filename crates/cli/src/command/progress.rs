//! `candlemill progress ID`, `candlemill follow ID …`

use super::following::{Followed, follow_all};
use crate::context::Context;
use anyhow::Result;
use candlemill_cli::bar;
use clap::Args;

/// Shows how far a task is.
#[derive(Debug, Args)]
pub(crate) struct Progress {
    /// The task's id.
    task: String,
    /// Follows it with a progress bar until its end.
    #[arg(long, short)]
    follow: bool,
}

/// Follows tasks with a progress bar each until their end.
#[derive(Debug, Args)]
pub(crate) struct Follow {
    /// The tasks' ids.
    #[arg(required = true, value_name = "TASK")]
    tasks: Vec<String>,
}

impl Progress {
    pub(crate) async fn run(self, context: &Context) -> Result<u8> {
        if self.follow {
            return Follow { tasks: vec![self.task] }.run(context).await;
        }
        let progress = context.api().await?.progress(&self.task).await?;
        context.answer(&progress, || bar::line(&progress, usize::MAX).trim_start().to_owned())?;
        Ok(0)
    }
}

impl Follow {
    pub(crate) async fn run(self, context: &Context) -> Result<u8> {
        let tasks = self.tasks.into_iter().map(|id| Followed { label: id.clone(), id }).collect();
        follow_all(context, context.api().await?, tasks).await
    }
}
