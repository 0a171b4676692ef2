//! `candlemill tasks`

use super::task_words::what;
use crate::context::Context;
use crate::output::table;
use anyhow::Result;
use candlemill_client::forms::{PageLimit, TaskFilter, TaskList, TaskView};
use candlemill_shared::task::{TaskId, TaskState};
use candlemill_shared::{Interval, Symbol};
use clap::Args;
use futures::TryStreamExt as _;

/// Lists your tasks, newest first.
#[derive(Debug, Args)]
pub(crate) struct Tasks {
    /// Only tasks in this state.
    #[arg(long)]
    state: Option<TaskState>,
    /// Only of this kind: `fetch_history` or `fetch_batch`.
    #[arg(long)]
    kind: Option<String>,
    /// Only of this symbol.
    #[arg(long)]
    symbol: Option<Symbol>,
    /// Only of this interval.
    #[arg(long)]
    interval: Option<Interval>,
    /// The parts of this task.
    #[arg(long, value_name = "TASK")]
    parent: Option<TaskId>,
    /// Tasks of one page, 1 to 200.
    #[arg(long, default_value = "20")]
    limit: PageLimit,
    /// Where the page begins: the cursor of the page before.
    #[arg(long)]
    cursor: Option<String>,
    /// Every page.
    #[arg(long, conflicts_with_all = ["limit", "cursor"])]
    all: bool,
}

impl Tasks {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let api = context.api().await?;
        let limit = if self.all { PageLimit::nearest(u32::MAX) } else { self.limit };
        let filter = TaskFilter {
            state: self.state.map(Into::into),
            kind: self.kind,
            symbol: self.symbol.map(Into::into),
            interval: self.interval.map(Into::into),
            parent: self.parent.map(Into::into),
            cursor: self.cursor,
            limit: Some(limit.into()),
        };
        let list = if self.all {
            TaskList { tasks: api.every_task(filter).try_collect().await?, next_cursor: None }
        } else {
            api.tasks(&filter).await?
        };
        context.answer(&list, || words(&list))
    }
}

fn words(list: &TaskList) -> String {
    if list.tasks.is_empty() {
        return "no tasks".to_owned();
    }
    let row = |task: &TaskView| vec![task.task_id.to_string(), task.state.to_string(), what(task)];
    let heading = vec![["TASK", "STATE", "DOES"].map(str::to_owned).to_vec()];
    let rows: Vec<_> = heading.into_iter().chain(list.tasks.iter().map(row)).collect();
    let more = list.next_cursor.as_ref().map(|cursor| format!("\nmore: --cursor {cursor}, or --all"));
    table(&rows) + &more.unwrap_or_default()
}
