//! `candlemill cancel ID`

use crate::context::Context;
use anyhow::Result;
use candlemill_shared::task::TaskState;
use clap::Args;

/// Cancels a task that is queued or runs.
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The task's id.
    task: String,
}

impl Cancel {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let task = context.api().await?.cancel(&self.task).await?;
        let how = if task.state == TaskState::Cancelled { "is cancelled" } else { "is being cancelled" };
        context.answer(&task, || format!("task {} {how}", task.task_id))
    }
}
