//! What the queue keeps of a task: all that its scripts have to know.

use candlemill_shared::task::Queued;
use std::fmt;
use std::str::FromStr;

/// Span of one priority within a rank. Milliseconds stay exact below 2^53, which ten steps do not reach.
pub(super) const STEP: i64 = 100_000_000_000_000;

/// `rank|weight|most|trace|owner`: the owner goes last, because only it may hold any character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Place among the owner's tasks: the higher priority first, then the older.
    pub(super) rank: i64,
    /// How often the owner's turn comes.
    pub(super) weight: u32,
    /// Tasks of the owner that may run at once.
    pub(super) most: u32,
    /// Trace of the request.
    pub(super) trace: String,
    /// Whose it is.
    pub(super) owner: String,
}

impl Entry {
    pub(super) fn of(task: &Queued<'_>) -> Self {
        let priority = task.priority.min(9);
        Self {
            rank: i64::from(9 - priority) * STEP + task.created_at.clamp(0, STEP - 1),
            weight: u32::from(priority) + 1,
            most: task.running_at_once.max(1),
            trace: task.trace_id.replace('|', ""),
            owner: task.owner.to_owned(),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rank, weight, most, trace, owner } = self;
        write!(f, "{rank}|{weight}|{most}|{trace}|{owner}")
    }
}

/// Text that is no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoEntry;

impl FromStr for Entry {
    type Err = NoEntry;

    fn from_str(text: &str) -> Result<Self, NoEntry> {
        let mut parts = text.splitn(5, '|');
        let mut next = || parts.next().ok_or(NoEntry);
        Ok(Self {
            rank: next()?.parse().map_err(|_| NoEntry)?,
            weight: next()?.parse().map_err(|_| NoEntry)?,
            most: next()?.parse().map_err(|_| NoEntry)?,
            trace: next()?.to_owned(),
            owner: next()?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<Entry, NoEntry>) {
        assert_eq!(text.parse::<Entry>(), expected, "{text}");
        if let Ok(entry) = expected {
            assert_eq!(entry.to_string(), text);
        }
    }

    #[test]
    fn entries() {
        let entry = |trace: &str, owner: &str| Entry {
            rank: 7,
            weight: 2,
            most: 4,
            trace: trace.to_owned(),
            owner: owner.to_owned(),
        };
        check("7|2|4|abc|u-1", Ok(entry("abc", "u-1")));
        check("7|2|4||odd|owner", Ok(entry("", "odd|owner")));
        check("7|2|4|abc", Err(NoEntry));
        check("x|2|4|abc|u", Err(NoEntry));
        check("", Err(NoEntry));
    }
}
