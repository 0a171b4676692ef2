//! The submissions of a run: submits its backfills and cancels those that are to be cancelled.

use crate::clients::{Clients, chain};
use crate::plan::Plan;
use crate::violation::{Promise, Violation};
use candlemill_client::forms::{BatchItem, BatchRequest, FetchRequest};
use candlemill_shared::task::TaskState;
use candlemill_shared::{Interval, TimeRange, Timestamp};
use std::time::Duration;
use tokio::time::sleep;

/// A request must be accepted within this, counted from its first try: longer than any fault lasts.
const MAX_WAIT: Duration = Duration::from_secs(45);

/// A submission that was accepted.
#[derive(Debug)]
pub(crate) struct Submitted {
    /// Which one of the plan.
    pub(crate) index: usize,
    /// Which time it was submitted.
    pub(crate) time: Time,
    /// The accepted task.
    pub(crate) task: String,
}

/// Which time it is submitted. Each has a key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Time {
    /// As the run begins, or while its fault lasts.
    First,
    /// After all has ended, because the exchange had lacked what it has.
    Second,
}

/// What became of a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cancelled {
    /// It was not wanted.
    No,
    /// The task had ended before.
    TooLate,
    /// The task waited: it is cancelled.
    AtOnce,
    /// The task ran: it was asked to stop.
    Requested,
}

/// Sends submission `index` until it is accepted. Every try carries the same key, so that one whose answer was lost counts.
pub(crate) async fn submit(clients: &Clients, plan: &Plan, index: usize, time: Time) -> Result<Submitted, Violation> {
    let submission = &plan.submissions[index];
    let refused =
        |why: String| Violation::new(Promise::Accepts, format!("submission {index} of {}: {why}", submission.symbol));
    let requests: anyhow::Result<Vec<_>> =
        submission.ranges.iter().map(|range| request(submission.symbol, *range)).collect();
    let requests = requests.map_err(|error| refused(format!("{error:#}")))?;
    let key = match time {
        Time::First => format!("soak-{}-{}-{index}", plan.seed, plan.run),
        Time::Second => format!("soak-{}-{}-{index}-again", plan.seed, plan.run),
    };
    let accepted = clients.persistently(index + plan.target, MAX_WAIT, |api| {
        let (mut requests, key) = (requests.clone(), key.clone());
        async move {
            match requests.pop() {
                Some(only) if requests.is_empty() => {
                    let BatchItem { symbol, interval, start, end } = only;
                    let request = FetchRequest { symbol, interval, start, end, ..FetchRequest::default() };
                    api.fetch(&request, Some(&key)).await
                }
                last => {
                    requests.extend(last);
                    api.fetch_batch(&BatchRequest::of_fetches(requests), Some(&key)).await
                }
            }
        }
    });
    match accepted.await {
        Ok(Ok(accepted)) => Ok(Submitted { index, time, task: accepted.task_id.to_string() }),
        Ok(Err(refusal)) => Err(refused(chain(&refusal))),
        Err(error) => Err(refused(format!("{error:#}"))),
    }
}

fn request(symbol: &str, range: TimeRange) -> anyhow::Result<BatchItem> {
    let (start, end) = (Timestamp::of_ms(range.start)?, Timestamp::of_ms(range.end)?);
    Ok(BatchItem::new(symbol.parse()?, Interval::Minute1, start).until(end))
}

/// Cancels `task` after `wait`.
pub(crate) async fn cancel(clients: &Clients, task: &str, wait: Option<Duration>) -> Result<Cancelled, Violation> {
    let Some(wait) = wait else { return Ok(Cancelled::No) };
    sleep(wait).await;
    let answer = clients.persistently(0, MAX_WAIT, |api| async move { api.cancel(task).await });
    match answer.await {
        Ok(Ok(view)) if view.state == TaskState::Cancelled => Ok(Cancelled::AtOnce),
        Ok(Ok(_)) => Ok(Cancelled::Requested),
        Ok(Err(refusal)) if refusal.code() == Some("task_ended") => Ok(Cancelled::TooLate),
        Ok(Err(refusal)) => {
            Err(Violation::new(Promise::Accepts, format!("cancelling task {task}: {}", chain(&refusal))))
        }
        Err(error) => Err(Violation::new(Promise::Accepts, format!("cancelling task {task}: {error:#}"))),
    }
}
