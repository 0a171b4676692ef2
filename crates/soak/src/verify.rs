//! Compares, from outside, what is there after a run with what was promised.

mod candles;
mod followed;
mod ledger;
mod servers;

use crate::fault::Fault;
use crate::pause::Pause;
use crate::plan::{MINUTE, Plan};
use crate::reference::Reference;
use crate::submissions::{self, Time};
use crate::test_stack::TestStack;
use crate::violation::{Promise, Violation};
use anyhow::Result;
use candlemill_shared::job::FetchResult;
use candlemill_shared::task::{TaskRecord, TaskState};
use serde::Deserialize;

pub(crate) use followed::Followed;
pub(crate) use ledger::whole_ledger;

/// Ended tasks of earlier runs that are looked at again.
const LOOKED_AT_AGAIN: usize = 3;

/// Looks at everything; what does not hold goes to `violations`.
pub(crate) async fn verify(
    test_stack: &mut TestStack,
    plan: &Plan,
    reference: &Reference,
    ended: &[Followed],
    pause: &Pause,
    since_ms: i64,
    violations: &mut Vec<Violation>,
) -> Result<()> {
    servers::processes_live(test_stack, violations)?;
    test_stack.reconnect().await?;
    if ended.iter().any(|one| one.end.is_none()) {
        // Everything else follows from that.
        return Ok(());
    }
    let mut records = Vec::new();
    for one in ended {
        match end_stays(test_stack, plan, one, violations).await? {
            Some(record) => records.push((one, record)),
            None => violations.push(Violation::new(Promise::EndStays, format!("task {} is gone", one.task))),
        }
    }
    for (one, record) in &records {
        attempts(record, violations);
        counts(plan, reference, one, record, violations);
    }
    one_task(test_stack, plan, ended, violations).await;
    candles::compare(test_stack, plan, reference, ended, violations).await?;
    ledger::compare(test_stack, plan, ended, violations).await?;
    servers::nothing_is_left(test_stack, violations).await?;
    servers::keys_end(test_stack, violations).await?;
    servers::pause_was_kept(test_stack, pause, since_ms, violations).await?;
    servers::one_leader(test_stack, plan, violations).await?;
    earlier_ends(test_stack, violations).await?;
    for one in ended {
        if let Some(end) = one.end {
            test_stack.ended.insert(one.task.clone(), end);
        }
    }
    Ok(())
}

/// Every process and the record tell the end that was seen, and it is one that the task may have.
async fn end_stays(
    test_stack: &TestStack,
    plan: &Plan,
    one: &Followed,
    violations: &mut Vec<Violation>,
) -> Result<Option<TaskRecord>> {
    let Some(end) = one.end else { return Ok(None) };
    let task = &one.task;
    let allowed = end == TaskState::Succeeded || (end == TaskState::Cancelled && one.cancelled);
    let record = test_stack.tasks.records().get(task.parse()?).await?;
    if !allowed {
        let error = record.as_ref().and_then(|record| record.error.clone());
        violations.push(Violation::new(Promise::EndsRight, format!("task {task} ended as {end}: {error:?}")));
    }
    let clients = test_stack.clients(plan.submissions[one.index].user);
    for turn in 0..2 {
        let (progress, view) = (clients.turn(turn).progress(task).await?, clients.turn(turn).task(task).await?);
        if (progress.state, view.state) != (end, end) {
            let message = format!(
                "task {task} ended as {end}; API {turn} shows {} as progress, {} as task",
                progress.state, view.state
            );
            violations.push(Violation::new(Promise::EndStays, message));
        }
    }
    Ok(record)
}

/// Numbered without a hole, and only the last one without an error; those of a parent that left the rest to its children
/// have none either.
fn attempts(record: &TaskRecord, violations: &mut Vec<Violation>) {
    let parts = record.children.is_some();
    let numbers: Vec<u32> = record.attempts.iter().map(|attempt| attempt.number).collect();
    let expected: Vec<u32> = (1..=record.attempt).collect();
    let (failed, last) = match record.attempts.split_last() {
        Some((last, before)) => (
            before.iter().all(|attempt| attempt.error.is_some() || (parts && attempt.ended_at.is_some())),
            last.error.is_none(),
        ),
        None => (true, true),
    };
    let ended = record.state != TaskState::Succeeded || last;
    if numbers != expected || !failed || !ended {
        let message = format!("task {}: {} with attempts {:?}", record.id, record.state, record.attempts);
        violations.push(Violation::new(Promise::Attempts, message));
    }
}

/// A task that succeeded has counted every candle of its ranges once, and tells of gaps exactly where the exchange lacks some.
fn counts(plan: &Plan, reference: &Reference, one: &Followed, record: &TaskRecord, violations: &mut Vec<Violation>) {
    if record.state != TaskState::Succeeded {
        return;
    }
    let submission = &plan.submissions[one.index];
    let asked: i64 = submission.ranges.iter().map(|range| range.length() / MINUTE).sum();
    let there: i64 = submission.ranges.iter().map(|range| reference.has(submission.symbol, *range)).sum();
    let (asked, there) = (u64::try_from(asked).unwrap_or(0), u64::try_from(there).unwrap_or(0));
    let result = record.result.as_ref().and_then(|result| FetchResult::deserialize(result).ok()).unwrap_or_default();
    // What an earlier task of the same owner, or the other user's, had verified before is not fetched.
    let mut holds = result.inserted + result.duplicate <= there;
    // What the exchange lacked for a while only was absent as far as the task could know.
    if plan.fault != Fault::ExchangeAbsent || one.time == Time::Second {
        holds &= (result.gaps_total > 0) == (asked > there) && result.gaps_total <= asked - there;
    }
    if !holds {
        let message = format!(
            "task {}: {} inserted and {} duplicate of {there} candles, {} gaps of {} absent ones",
            record.id,
            result.inserted,
            result.duplicate,
            result.gaps_total,
            asked - there
        );
        violations.push(Violation::new(Promise::Counts, message));
    }
}

/// The same request with the same key is the same task, also after everything.
async fn one_task(test_stack: &TestStack, plan: &Plan, ended: &[Followed], violations: &mut Vec<Violation>) {
    for one in ended {
        let clients = test_stack.clients(plan.submissions[one.index].user);
        match submissions::submit(clients, plan, one.index, one.time).await {
            Ok(again) if again.task == one.task => {}
            Ok(again) => {
                let message = format!("the key of task {} brought a second task, {}", one.task, again.task);
                violations.push(Violation::new(Promise::OneTask, message));
            }
            Err(violation) => violations.push(violation),
        }
    }
}

/// Some of the tasks of earlier runs are still as they ended.
async fn earlier_ends(test_stack: &TestStack, violations: &mut Vec<Violation>) -> Result<()> {
    for (task, end) in test_stack.ended.iter().rev().take(LOOKED_AT_AGAIN) {
        let now = test_stack.tasks.records().get(task.parse()?).await?.map(|record| record.state);
        if now != Some(*end) {
            let message = format!("task {task} had ended as {end} and is {now:?} now");
            violations.push(Violation::new(Promise::EndStays, message));
        }
    }
    Ok(())
}
