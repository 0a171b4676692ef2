//! `candlemill task ID`

use super::task_words::{result_words, what};
use crate::context::Context;
use crate::output::table;
use anyhow::Result;
use candlemill_client::forms::TaskView;
use clap::Args;

/// Shows the record and result of a task.
#[derive(Debug, Args)]
pub(crate) struct Task {
    /// The task's id.
    task: String,
}

impl Task {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let task = context.api().await?.task(&self.task).await?;
        context.answer(&task, || words(&task))
    }
}

pub(super) fn words(task: &TaskView) -> String {
    let mut rows = vec![("task", task.task_id.to_string()), ("does", what(task)), ("state", task.state.to_string())];
    let mut add = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
    add("part of", task.parent.map(|parent| parent.to_string()));
    add("parts", task.children.as_ref().map(|children| children.total.to_string()));
    add("submitted", Some(task.created_at.to_string()));
    add("runs from", task.run_at.filter(|_| !task.state.is_end()).map(|at| at.to_string()));
    add("started", task.started_at.map(|at| at.to_string()));
    add("ended", task.ended_at.map(|at| at.to_string()));
    add("attempts", Some(task.attempt.to_string()).filter(|_| task.attempt > 1));
    add("replays", Some(task.replays.to_string()).filter(|_| task.replays > 0));
    add("discarded", task.discarded.as_ref().map(|discarded| format!("{}: {}", discarded.at, discarded.reason)));
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    format!("{}\n\n{}", table(&rows), result_words(task))
}
