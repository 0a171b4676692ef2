//! What is left in the servers, and whether the programs live.

use crate::fault::Fault;
use crate::pause::Pause;
use crate::plan::Plan;
use crate::test_stack::{SWEEPER_LEASE, TestStack};
use crate::violation::{Promise, Violation};
use anyhow::Result;
use candlemill_shared::job::Pool;
use candlemill_tasks::queue::Depth;
use redis::aio::ConnectionManager;
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The queue is empty within this after the last task's end: the process that ended it settles it next. What a dead API
/// process had reserved comes back 10 s later, at the sweeper's next look.
const SETTLES: Duration = Duration::from_secs(14);
/// A dead leader's lease ends by itself within this, and another worker takes it.
const NEW_LEADER: Duration = Duration::from_secs(16);
const LOOK: Duration = Duration::from_millis(50);
/// Calls that were under way when the exchange closed are answered within this.
const UNDER_WAY_MS: i64 = 700;
const CANDLES: &str = "/api/v3/klines";
/// Parts of a pool's keys that stay: counters and marks, one of each.
const STAYING: [&str; 4] = ["turn", "paused", "ticked", "epoch"];

/// No program has ended or panicked.
pub(super) fn processes_live(test_stack: &mut TestStack, violations: &mut Vec<Violation>) -> Result<()> {
    for child in test_stack.stack.children() {
        if let Some(status) = child.exited()? {
            let message = format!("{} has ended by itself ({status}): {}", child.name(), child.log_tail(5));
            violations.push(Violation::new(Promise::ProcessesLive, message));
        }
        if let Some(line) = child.log()?.lines().find(|line| line.contains("panicked at")) {
            let message = format!("{}: {line}", child.name());
            violations.push(Violation::new(Promise::ProcessesLive, message));
        }
    }
    Ok(())
}

/// No task waits, is delayed or held; none is counted as running; no owner has a reservation.
pub(super) async fn nothing_is_left(test_stack: &TestStack, violations: &mut Vec<Violation>) -> Result<()> {
    let until = Instant::now() + SETTLES;
    loop {
        let mut left = Vec::new();
        for pool in Pool::ALL {
            let depth = test_stack.tasks.queue(pool).depth().await?;
            if depth != Depth::default() {
                left.push(format!("{}: {depth:?}", pool.as_str()));
            }
        }
        for key in keys(&mut test_stack.redis.clone()).await? {
            let part = key.rsplit(':').next().unwrap_or_default();
            if matches!(part, "tasks" | "owners" | "delayed" | "leases" | "holders" | "running" | "reserving")
                || key.contains(":waiting:")
            {
                left.push(key);
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > until {
            violations.push(Violation::new(Promise::QueueEmpty, left.join(", ")));
            return Ok(());
        }
        sleep(LOOK).await;
    }
}

/// Every key but a handful has an end.
pub(super) async fn keys_end(test_stack: &TestStack, violations: &mut Vec<Violation>) -> Result<()> {
    let mut connection = test_stack.redis.clone();
    let all = keys(&mut connection).await?;
    let mut lives = redis::pipe();
    for key in &all {
        lives.pttl(key);
    }
    let lives: Vec<i64> = if all.is_empty() { Vec::new() } else { lives.query_async(&mut connection).await? };
    let stays = |key: &str| STAYING.contains(&key.rsplit(':').next().unwrap_or_default());
    let endless: Vec<&String> =
        all.iter().zip(lives).filter(|(key, life)| *life == -1 && !stays(key)).map(|(key, _)| key).collect();
    if !endless.is_empty() {
        violations.push(Violation::new(Promise::KeysEnd, format!("{endless:?} would stay for ever")));
    }
    Ok(())
}

async fn keys(connection: &mut ConnectionManager) -> Result<Vec<String>> {
    let (mut all, mut from) = (Vec::new(), "0".to_owned());
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(&from).arg(&["COUNT", "1000"]);
        let (next, mut some): (String, Vec<String>) = scan.query_async(connection).await?;
        all.append(&mut some);
        if next == "0" {
            all.sort_unstable();
            all.dedup();
            return Ok(all);
        }
        from = next;
    }
}

/// Between the first refused call, or those under way at that time, and the end of the pause no call came.
pub(super) async fn pause_was_kept(
    test_stack: &TestStack,
    pause: &Pause,
    since_ms: i64,
    violations: &mut Vec<Violation>,
) -> Result<()> {
    let until = |refused: i64| match pause {
        Pause::None => None,
        Pause::Until(until) => Some(*until),
        Pause::Lasts(long) => Some(refused + long),
    };
    let calls = test_stack.stack.simulator.get("/_simulator/calls?path=/api/").await?;
    let calls: Vec<&Value> = calls.as_array().map(|all| all.iter().collect()).unwrap_or_default();
    let at = |call: &Value| call["at_ms"].as_i64().unwrap_or(0);
    let recent = || calls.iter().filter(|call| at(call) >= since_ms);
    let refused = recent().filter(|call| call["status"] == 418 || call["status"] == 429).map(|call| at(call)).min();
    let Some((refused, until)) = refused.and_then(|refused| Some((refused, until(refused)?))) else { return Ok(()) };
    let early: Vec<i64> =
        recent().map(|call| at(call)).filter(|at| *at > refused + UNDER_WAY_MS && *at < until).collect();
    if !early.is_empty() {
        let message = format!(
            "the exchange demanded a pause at {refused} until {until}, and was called at {early:?} ({CANDLES} and others)"
        );
        violations.push(Violation::new(Promise::PauseKept, message));
    }
    Ok(())
}

/// The lease of the sweep is held by a worker that lives, soon after the worker that held it has died.
pub(super) async fn one_leader(test_stack: &mut TestStack, plan: &Plan, violations: &mut Vec<Violation>) -> Result<()> {
    if !matches!(plan.fault, Fault::LeaderKilled | Fault::TwoLeaders) {
        return Ok(());
    }
    let until = Instant::now() + NEW_LEADER;
    loop {
        let mut connection = test_stack.redis.clone();
        let leader: Option<String> = redis::cmd("GET").arg(SWEEPER_LEASE).query_async(&mut connection).await?;
        let living = test_stack.worker_ids()?;
        if leader.is_some() && living.contains(&leader) {
            return Ok(());
        }
        if Instant::now() > until {
            let message = format!("the sweeper's lease is {leader:?}'s, the workers that live are {living:?}");
            violations.push(Violation::new(Promise::OneLeader, message));
            return Ok(());
        }
        sleep(LOOK).await;
    }
}
