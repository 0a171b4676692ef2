//! What is to be done of a schedule now: pure policy, executed elsewhere.

use super::timing::Timing;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Later than this after its time a fire is a misfire, ms.
pub const LATE_AFTER_MS: i64 = 60_000;

/// Misfires older than this are never made up for, ms: one day.
pub const MISFIRE_WINDOW_MS: i64 = 86_400_000;

/// Largest number of misfires that [`Misfire::All`] makes up for.
pub const MAX_MADE_UP: usize = 100;

/// Due instants from before the window that are counted one by one.
const MAX_OLD_COUNTED: u64 = 1_000;

/// What becomes of fires whose time passed unnoticed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Misfire {
    /// None is made up for.
    Skip,
    /// The latest is made up for, unless a fire is on time right now and stands for it.
    #[default]
    Once,
    /// The latest [`MAX_MADE_UP`] are made up for.
    All,
}

/// What is to be done of a schedule now. Times are UTC ms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What is not made up for.
    pub missed: Option<Missed>,
    /// Due instants to fire, oldest first.
    pub fires: Vec<i64>,
    /// All due instants at or before it are decided.
    pub fired_until: i64,
    /// The next due instant that is not decided.
    pub next_due: Option<i64>,
    /// When its fire is made: when to look next.
    pub next_fire_at: Option<i64>,
}

/// Due instants that are not made up for. Times are UTC ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Missed {
    /// The earliest.
    pub first: i64,
    /// The latest that was counted.
    pub last: i64,
    /// How many were counted.
    pub count: u64,
    /// Whether there may be more: those from before the window are counted to 1,000.
    pub at_least: bool,
}

impl Missed {
    fn add(missed: &mut Option<Self>, due: i64) {
        let entry = missed.get_or_insert(Self { first: due, last: due, count: 0, at_least: false });
        entry.last = due;
        entry.count += 1;
    }
}

/// Decides all due instants after `fired_until` whose fire is to be made at or before `now_ms`, in due order: one whose jitter is
/// short waits for an earlier one whose jitter is long. Looks at 91,000 due instants at most.
#[must_use]
pub fn plan(timing: &Timing, misfire: Misfire, schedule: &str, fired_until: i64, now_ms: i64) -> Plan {
    let mut missed = None;
    // What was due by then is older than the window, whatever its jitter.
    let horizon = now_ms.saturating_sub(MISFIRE_WINDOW_MS).saturating_sub(timing.longest_lag_ms()).saturating_sub(1);
    let mut until = fired_until;
    if until < horizon {
        until = count_old(timing, until, horizon, &mut missed);
    }
    let mut decided = Vec::new();
    // Time spent on waiting for an earlier one is not lateness.
    let mut made_at = i64::MIN;
    let mut next = timing.next_after(until);
    while let Some(due) = next {
        let fire_at = timing.fire_at(schedule, due);
        if fire_at > now_ms {
            break;
        }
        made_at = made_at.max(fire_at);
        decided.push((due, now_ms.saturating_sub(made_at)));
        until = due;
        next = timing.next_after(due);
    }
    let on_time = decided.iter().any(|(_, late)| *late <= LATE_AFTER_MS);
    let mut to_make_up = match misfire {
        Misfire::Skip => 0,
        Misfire::Once => usize::from(!on_time),
        Misfire::All => MAX_MADE_UP,
    };
    let mut fires = Vec::new();
    let mut lost = Vec::new();
    for (due, late) in decided.into_iter().rev() {
        if late <= LATE_AFTER_MS {
            fires.push(due);
        } else if late <= MISFIRE_WINDOW_MS && to_make_up > 0 {
            to_make_up -= 1;
            fires.push(due);
        } else {
            lost.push(due);
        }
    }
    fires.reverse();
    lost.into_iter().rev().for_each(|due| Missed::add(&mut missed, due));
    let next_fire_at = next.map(|due| timing.fire_at(schedule, due));
    Plan { missed, fires, fired_until: until, next_due: next, next_fire_at }
}

/// Counts what was due after `until` and at or before `horizon`. Returns until when all is decided.
fn count_old(timing: &Timing, until: i64, horizon: i64, missed: &mut Option<Missed>) -> i64 {
    let mut until = until;
    for _ in 0..MAX_OLD_COUNTED {
        match timing.next_after(until).filter(|due| *due <= horizon) {
            Some(due) => {
                Missed::add(missed, due);
                until = due;
            }
            None => return until,
        }
    }
    if timing.next_after(until).is_some_and(|due| due <= horizon) {
        if let Some(missed) = missed {
            missed.at_least = true;
        }
        return horizon;
    }
    until
}

#[cfg(test)]
mod tests;
