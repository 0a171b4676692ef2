//! Faults of the exchange itself.

use crate::fault::Fault;
use crate::pause::Pause;
use crate::plan::Plan;
use crate::test_stack::TestStack;
use anyhow::Result;
use candlemill_shared::{Clock, SystemClock};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

const CANDLES: &str = "/api/v3/klines";
/// Farthest jump of the clock, ms.
const JUMP_MS: u64 = 15 * 60_000;

pub(super) async fn inject(test_stack: &mut TestStack, plan: &Plan) -> Result<Pause> {
    let seconds = 1 + plan.dice % 2;
    let wait = i64::try_from(seconds * 1_000)?;
    match plan.fault {
        Fault::ClockJumps => {
            let by = (plan.dice % (2 * JUMP_MS)).cast_signed() - JUMP_MS.cast_signed();
            // A ban of an earlier run, which is over by the clock before the jump, would be in force again, for minutes.
            test_stack.stack.simulator.post("/_simulator/reset-weights", &json!({})).await?;
            test_stack.stack.simulator.post("/_simulator/advance", &json!({ "ms": by })).await?;
            return Ok(Pause::default());
        }
        Fault::ExchangeWrong => {
            let rules = Value::Array((0..3).map(|nth| wrong(plan.dice.rotate_right(8 * nth))).collect());
            test_stack.stack.simulator.post("/_simulator/faults", &rules).await?;
            sleep(plan.lasts).await;
            clear(test_stack).await?;
            return Ok(Pause::default());
        }
        Fault::ExchangeAbsent => {
            let first = json!({ "first_rows": { "count": plan.dice % 1_000 } });
            let lacks = if plan.twist { first } else { json!("no_rows") };
            let rule = json!({ "path": CANDLES, "fault": { "content": lacks } });
            test_stack.stack.simulator.post("/_simulator/faults", &rule).await?;
            sleep(plan.lasts).await;
            clear(test_stack).await?;
            return Ok(Pause::default());
        }
        Fault::ExchangeThrottles => {
            let fault = json!({ "status": {
                "status": 429, "body": r#"{"code":-1003,"msg":"Too many requests."}"#,
                "headers": { "Retry-After": seconds.to_string() },
            } });
            let rule = json!({ "path": CANDLES, "times": 1, "fault": fault });
            test_stack.stack.simulator.post("/_simulator/faults", &rule).await?;
        }
        _ => {
            test_stack.stack.simulator.post("/_simulator/ban", &json!({ "seconds": seconds })).await?;
        }
    }
    let until_ms = SystemClock.now_ms() + wait;
    if plan.twist {
        // The pause binds those who were not there when it was demanded.
        let worker = &mut test_stack.stack.workers[plan.target];
        sleep(Duration::from_millis(300)).await;
        worker.kill9().await?;
        worker.restart().await?;
    }
    let left = u64::try_from(until_ms - SystemClock.now_ms()).unwrap_or(0);
    sleep(Duration::from_millis(left)).await;
    clear(test_stack).await?;
    Ok(if plan.fault == Fault::ExchangeBans { Pause::Until(until_ms) } else { Pause::Lasts(wait) })
}

async fn clear(test_stack: &TestStack) -> Result<()> {
    let address = format!("{}/_simulator/faults", test_stack.stack.simulator.url());
    reqwest::Client::new().delete(address).send().await?.error_for_status()?;
    Ok(())
}

/// A rule that spoils some of the next pages.
fn wrong(dice: u64) -> Value {
    let faults = [
        json!({ "content": "html" }),
        json!({ "content": "half_json" }),
        json!({ "content": "unsorted" }),
        json!({ "content": { "duplicate_row": { "index": 7 } } }),
        json!({ "content": { "short_row": { "index": 7 } } }),
        json!({ "status": { "status": 503 } }),
        json!({ "cut_body": { "after_bytes": 5_000 } }),
        json!("reset"),
        json!("close"),
    ];
    let fault = &faults[usize::try_from(dice % faults.len() as u64).unwrap_or(0)];
    json!({ "path": CANDLES, "skip": dice / 16 % 3, "times": 1 + dice / 64 % 2, "fault": fault })
}
