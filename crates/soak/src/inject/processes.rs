//! Faults of processes: killed, stopped, frozen.

use crate::fault::Fault;
use crate::plan::Plan;
use crate::test_stack::{SWEEPER_LEASE, TestStack};
use anyhow::{Context as _, Result};
use candlemill_devkit::Service;
use std::time::Duration;
use tokio::time::sleep;

/// The worker wakes up so long after its leases have run out, at least.
const PAST_LEASE: Duration = Duration::from_millis(300);
/// How late messages to and from MongoDB are at least, and by how much more at most, ms. A call of the API is given up after
/// some 7 s: they may be later than that.
const MIN_LATE_MS: u64 = 1_500;
const MORE_LATE_MS: u64 = 8_000;

pub(super) async fn inject(test_stack: &mut TestStack, plan: &Plan, lease: Duration) -> Result<()> {
    let (target, wait) = (plan.target, plan.restart_after);
    match plan.fault {
        Fault::WorkerStopped => {
            let worker = worker(test_stack, target)?;
            worker.stop().await?;
            sleep(wait).await;
            worker.restart().await
        }
        Fault::WorkerFrozen => {
            let worker = worker(test_stack, target)?;
            worker.child().freeze()?;
            sleep(lease + PAST_LEASE + plan.lasts).await;
            worker.child().thaw()
        }
        Fault::WorkersKilled => {
            for worker in &mut test_stack.stack.workers {
                worker.kill9().await?;
            }
            sleep(wait).await;
            for worker in &mut test_stack.stack.workers {
                worker.restart().await?;
            }
            Ok(())
        }
        Fault::LeaderKilled => {
            let mut connection = test_stack.redis.clone();
            let leader: Option<String> = redis::cmd("GET").arg(SWEEPER_LEASE).query_async(&mut connection).await?;
            let ids = test_stack.worker_ids()?;
            let leading = ids.iter().position(|id| id.is_some() && *id == leader).unwrap_or(target);
            killed(worker(test_stack, leading)?, wait).await
        }
        Fault::ApiKilled => {
            let stack = &mut test_stack.stack;
            let other = stack.more_apis.first_mut().context("a second API process")?;
            match (plan.twist, target) {
                (true, _) => {
                    stack.api.kill9().await?;
                    killed(other, wait).await?;
                    stack.api.restart().await
                }
                (false, 0) => killed(&mut stack.api, wait).await,
                (false, _) => killed(other, wait).await,
            }
        }
        Fault::RedisKilled => {
            if plan.twist {
                // The file is as small as after hours, not as after seconds: its rewrite is cut off by the kill.
                test_stack.redis_command(&["BGREWRITEAOF"]).await?;
            }
            test_stack.stack.redis().kill9().await?;
            sleep(wait).await;
            test_stack.stack.redis().restart().await
        }
        Fault::RedisFrozen => {
            test_stack.stack.redis().child().freeze()?;
            sleep(plan.lasts).await;
            test_stack.stack.redis().child().thaw()
        }
        Fault::MongoKilled => {
            test_stack.stack.mongo().kill9().await?;
            sleep(wait).await;
            test_stack.stack.mongo().restart().await
        }
        Fault::MongoFrozen => {
            test_stack.stack.mongo().child().freeze()?;
            sleep(plan.lasts).await;
            test_stack.stack.mongo().child().thaw()
        }
        // Of the faults of processes only this one is left.
        _ => killed(worker(test_stack, target)?, wait).await,
    }
}

/// Every message to and from MongoDB takes seconds, in each direction. A worker or an API process dies after it has sent some
/// writes, which come to the server in the end all the same.
pub(super) async fn killed_amid_slow_writes(test_stack: &mut TestStack, plan: &Plan) -> Result<()> {
    let late = Duration::from_millis(MIN_LATE_MS + plan.dice % MORE_LATE_MS);
    let dies = Duration::from_millis(plan.dice / MORE_LATE_MS % u64::try_from(late.as_millis())?) + plan.lasts / 3;
    test_stack.stack.links().mongo.delay(late);
    sleep(dies).await;
    let stack = &mut test_stack.stack;
    let service = match (plan.twist, plan.target) {
        (true, target) => stack.workers.get_mut(target).with_context(|| format!("there is no worker {target}"))?,
        (false, 0) => &mut stack.api,
        (false, _) => stack.more_apis.first_mut().context("a second API process")?,
    };
    service.kill9().await?;
    sleep(plan.restart_after).await;
    if let Some(links) = &stack.links {
        links.mongo.restore().await;
    }
    // What was on its way at the end of the delay still takes its time, and so does all that comes after it.
    let (restarted, ()) = tokio::join!(service.restart(), sleep(late));
    restarted
}

fn worker(test_stack: &mut TestStack, index: usize) -> Result<&mut Service> {
    test_stack.stack.workers.get_mut(index).with_context(|| format!("there is no worker {index}"))
}

async fn killed(service: &mut Service, wait: Duration) -> Result<()> {
    service.kill9().await?;
    sleep(wait).await;
    service.restart().await
}
