//! Faults of what Redis holds: gone, full, or there twice.

use super::redis;
use crate::fault::Fault;
use crate::plan::Plan;
use crate::verify::SWEEPER_LEASE;
use crate::yard::Yard;
use anyhow::Result;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Time between two disturbances of the leader.
const AGAIN: Duration = Duration::from_millis(100);
/// Sweepers look every 2 s: within this both do.
const LOOKS: Duration = Duration::from_millis(2_200);

pub(super) async fn inject(yard: &mut Yard, plan: &Plan, tasks: &[String]) -> Result<()> {
    match plan.fault {
        Fault::ScriptsFlushed => redis(yard, &["SCRIPT", "FLUSH", "SYNC"]).await,
        Fault::RedisFlushed => {
            redis(yard, &["FLUSHALL", "SYNC"]).await?;
            redis(yard, &["SCRIPT", "FLUSH", "SYNC"]).await?;
            if plan.twist {
                yard.stack.redis().kill9().await?;
                sleep(plan.restart_after).await;
                yard.stack.redis().restart().await?;
            }
            Ok(())
        }
        Fault::RedisFull => {
            redis(yard, &["CONFIG", "SET", "maxmemory", "1"]).await?;
            sleep(plan.lasts).await;
            redis(yard, &["CONFIG", "SET", "maxmemory", "0"]).await
        }
        Fault::TwoLeaders => {
            let until = Instant::now() + LOOKS;
            while Instant::now() < until {
                redis(yard, &["DEL", SWEEPER_LEASE]).await?;
                sleep(AGAIN).await;
            }
            Ok(())
        }
        // Of the faults of contents only the double delivery is left.
        _ => deliver_again(yard, plan, tasks).await,
    }
}

async fn deliver_again(yard: &Yard, plan: &Plan, tasks: &[String]) -> Result<()> {
    for task in tasks {
        let Some(record) = yard.tasks.records().get(task.parse()?).await? else { continue };
        let queue = yard.tasks.queue(record.pool);
        if plan.twist {
            // Taken out of its worker's hands: the next claim runs it beside the one that still works on it.
            queue.remove(&record).await?;
        }
        queue.enqueue(&[&record]).await?;
        queue.enqueue(&[&record, &record]).await?;
    }
    Ok(())
}
