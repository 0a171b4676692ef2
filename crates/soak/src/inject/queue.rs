//! Faults of what Redis holds: gone, full, or there twice.

use crate::fault::Fault;
use crate::plan::Plan;
use crate::test_stack::{SWEEPER_LEASE, TestStack};
use anyhow::Result;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Time between two disturbances of the leader.
const AGAIN: Duration = Duration::from_millis(100);
/// Sweepers look every 2 s: within this both do.
const LOOKS: Duration = Duration::from_millis(2_200);

pub(super) async fn inject(test_stack: &mut TestStack, plan: &Plan, tasks: &[String]) -> Result<()> {
    match plan.fault {
        Fault::ScriptsFlushed => test_stack.redis_command(&["SCRIPT", "FLUSH", "SYNC"]).await,
        Fault::RedisFlushed => {
            test_stack.redis_command(&["FLUSHALL", "SYNC"]).await?;
            test_stack.redis_command(&["SCRIPT", "FLUSH", "SYNC"]).await?;
            if plan.twist {
                test_stack.stack.redis().kill9().await?;
                sleep(plan.restart_after).await;
                test_stack.stack.redis().restart().await?;
            }
            Ok(())
        }
        Fault::RedisFull => {
            test_stack.redis_command(&["CONFIG", "SET", "maxmemory", "1"]).await?;
            sleep(plan.lasts).await;
            test_stack.redis_command(&["CONFIG", "SET", "maxmemory", "0"]).await
        }
        Fault::TwoLeaders => {
            let until = Instant::now() + LOOKS;
            while Instant::now() < until {
                test_stack.redis_command(&["DEL", SWEEPER_LEASE]).await?;
                sleep(AGAIN).await;
            }
            Ok(())
        }
        // Of the faults of contents only the double delivery is left.
        _ => deliver_again(test_stack, plan, tasks).await,
    }
}

async fn deliver_again(test_stack: &TestStack, plan: &Plan, tasks: &[String]) -> Result<()> {
    for task in tasks {
        let Some(record) = test_stack.tasks.records().get(task.parse()?).await? else { continue };
        let queue = test_stack.tasks.queue(record.pool);
        if plan.twist {
            // Taken out of its worker's hands: the next claim runs it beside the one that still works on it.
            queue.remove(&record).await?;
        }
        queue.enqueue(&[&record]).await?;
        queue.enqueue(&[&record, &record]).await?;
    }
    Ok(())
}
