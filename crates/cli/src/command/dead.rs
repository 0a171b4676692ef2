//! `candlemill dead list`, `dead replay`, `dead discard`

use crate::context::Context;
use crate::exit::{FAILED, Usage};
use crate::output::table;
use anyhow::Result;
use candlemill_client::Api;
use candlemill_client::forms::{
    DeadLetterFilter, DeadLetterList, DeadLetterView, DiscardRequest, Flag, MAX_REPLAYS, PageLimit, ReplayRequest,
    Replayed,
};
use candlemill_shared::task::TaskId;
use clap::{Args, Subcommand};
use futures::TryStreamExt as _;

/// Tasks that were given up.
#[derive(Debug, Subcommand)]
pub(crate) enum Dead {
    /// Lists them, the newest submission first.
    List(List),
    /// Has them tried again.
    Replay(Replay),
    /// Puts one aside for good.
    Discard(Discard),
}

/// Which ones.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Only of this kind: `fetch_history` or `fetch_batch`.
    #[arg(long)]
    kind: Option<String>,
    /// Only those that died of an error with this code.
    #[arg(long)]
    code: Option<String>,
}

/// Lists them, the newest submission first.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    which: Which,
    /// Those that were discarded, in place of the others.
    #[arg(long)]
    discarded: bool,
}

/// Has them tried again.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// Their ids.
    #[arg(value_name = "TASK", conflicts_with_all = ["all", "kind", "code"])]
    tasks: Vec<TaskId>,
    /// All that `--kind` and `--code` leave.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    which: Which,
}

/// Puts one aside for good.
#[derive(Debug, Args)]
pub(crate) struct Discard {
    /// The task's id.
    task: String,
    /// Why; stays on the record.
    #[arg(long)]
    reason: String,
}

impl Dead {
    pub(crate) async fn run(self, context: &Context) -> Result<u8> {
        match self {
            Self::List(command) => command.run(context).await,
            Self::Replay(command) => command.run(context).await,
            Self::Discard(command) => command.run(context).await,
        }
    }
}

impl List {
    async fn run(self, context: &Context) -> Result<u8> {
        let filter = DeadLetterFilter {
            kind: self.which.kind,
            code: self.which.code,
            discarded: self.discarded.then(|| Flag(true).into()),
            limit: Some(PageLimit::nearest(u32::MAX).into()),
            cursor: None,
        };
        let api = context.api().await?;
        let all =
            DeadLetterList { dead_letters: api.every_dead_letter(filter).try_collect().await?, next_cursor: None };
        context.answer(&all, || words(&all.dead_letters))?;
        Ok(0)
    }
}

fn words(letters: &[DeadLetterView]) -> String {
    if letters.is_empty() {
        return "no dead letters".to_owned();
    }
    let row = |letter: &DeadLetterView| {
        let cause =
            letter.cause.as_ref().map_or_else(String::new, |cause| format!("{} ({})", cause.message, cause.code));
        let died = letter.died_at.map_or_else(String::new, |at| at.to_string());
        vec![letter.task_id.to_string(), died, cause]
    };
    let heading = vec![["TASK", "DIED", "CAUSE"].map(str::to_owned).to_vec()];
    table(&heading.into_iter().chain(letters.iter().map(row)).collect::<Vec<_>>())
}

impl Replay {
    async fn run(self, context: &Context) -> Result<u8> {
        if self.tasks.is_empty() && !self.all {
            return Err(Usage("which? Give ids, or --all".to_owned()).into());
        }
        let api = context.api().await?;
        let mut done =
            Replayed { replayed: 0, task_ids: Vec::new(), refused: Vec::new(), more: false, next_cursor: None };
        if self.all {
            let mut cursor = None;
            loop {
                let request = ReplayRequest {
                    kind: self.which.kind.clone().map(Into::into),
                    code: self.which.code.clone().map(Into::into),
                    ..ReplayRequest::all(cursor)
                };
                cursor = replay(&api, &request, &mut done).await?;
                if cursor.is_none() {
                    break;
                }
            }
        }
        for ids in self.tasks.chunks(MAX_REPLAYS) {
            replay(&api, &ReplayRequest::of_tasks(ids.to_vec()), &mut done).await?;
        }
        context.answer(&done, || {
            let refused =
                done.refused.iter().map(|one| format!("\n{}: {} (code {})", one.task_id, one.detail, one.code));
            format!("replayed {}, refused {}{}", done.replayed, done.refused.len(), refused.collect::<String>())
        })?;
        Ok(if done.refused.is_empty() { 0 } else { FAILED })
    }
}

/// Adds what one call did to `done`; returns where the next one goes on.
async fn replay(api: &Api, request: &ReplayRequest, done: &mut Replayed) -> Result<Option<TaskId>> {
    let now = api.replay_many(request).await?;
    done.replayed += now.replayed;
    done.task_ids.extend(now.task_ids);
    done.refused.extend(now.refused);
    Ok(now.next_cursor.filter(|_| now.more))
}

impl Discard {
    async fn run(self, context: &Context) -> Result<u8> {
        let letter = context.api().await?.discard(&self.task, &DiscardRequest::new(self.reason)).await?;
        context.answer(&letter, || format!("task {} is discarded", letter.task_id))?;
        Ok(0)
    }
}
