//! Every candle once, with the figures of the source, and none beyond those asked for.

use super::followed::Followed;
use crate::plan::{MINUTE, Plan, SYMBOLS};
use crate::reference::{Reference, Rows, add};
use crate::test_stack::TestStack;
use crate::violation::{Promise, Violation};
use anyhow::Result;
use candlemill_market_store::Series;
use candlemill_shared::range::{normalise, subtract};
use candlemill_shared::task::TaskState;
use candlemill_shared::{Exchange, Interval, TimeRange};

/// Candles that one call reads.
const READ_AT_ONCE: i64 = 1_000;

pub(super) async fn compare(
    test_stack: &TestStack,
    plan: &Plan,
    reference: &Reference,
    ended: &[Followed],
    violations: &mut Vec<Violation>,
) -> Result<()> {
    for symbol in SYMBOLS {
        let submissions = || {
            ended
                .iter()
                .map(|one| (one, &plan.submissions[one.index]))
                .filter(|(_, submission)| submission.symbol == symbol)
        };
        let done = submissions().filter(|(one, _)| one.end == Some(TaskState::Succeeded));
        let done = normalise(done.flat_map(|(_, submission)| submission.ranges.clone()).collect());
        let asked = normalise(submissions().flat_map(|(_, submission)| submission.ranges.clone()).collect());
        let stored = stored(test_stack, symbol, &asked).await?;
        let mut source = Rows::new();
        for range in &asked {
            source.append(&mut reference.rows(symbol, *range).await?);
        }
        for (open, row) in &stored {
            if source.get(open) != Some(row) {
                let message = format!("{symbol} at {open} is stored as {row}, the source has {:?}", source.get(open));
                violations.push(Violation::new(Promise::Candles, message));
                break;
            }
        }
        let missing: Vec<i64> = source
            .keys()
            .filter(|open| done.iter().any(|range| range.contains(**open)) && !stored.contains_key(*open))
            .copied()
            .collect();
        if let (Some(first), Some(last)) = (missing.first(), missing.last()) {
            let message = format!("{symbol} lacks {} candles from {first} to {last}", missing.len());
            violations.push(Violation::new(Promise::Candles, message));
        }
        nothing_beyond(test_stack, plan, symbol, &asked, violations).await?;
    }
    Ok(())
}

/// What the API gives of these ranges.
async fn stored(test_stack: &TestStack, symbol: &str, asked: &[TimeRange]) -> Result<Rows> {
    let mut rows = Rows::new();
    let api = test_stack.enterprise.turn(0);
    for range in asked {
        for start in (range.start..range.end).step_by(usize::try_from(READ_AT_ONCE * MINUTE)?) {
            let end = (start + READ_AT_ONCE * MINUTE).min(range.end);
            let query = [
                ("symbol", symbol.to_owned()),
                ("interval", "1m".to_owned()),
                ("start", start.to_string()),
                ("end", end.to_string()),
                ("limit", READ_AT_ONCE.to_string()),
            ];
            add(&mut rows, api.get("/api/market-data/klines", &query).await?)?;
        }
    }
    Ok(rows)
}

async fn nothing_beyond(
    test_stack: &TestStack,
    plan: &Plan,
    symbol: &str,
    asked: &[TimeRange],
    violations: &mut Vec<Violation>,
) -> Result<()> {
    let series = Series::new(Exchange::default(), symbol.parse()?, Interval::Minute1);
    for beyond in subtract(plan.slot(), asked) {
        let found = test_stack.market.candles().count(&series, beyond).await?;
        if found > 0 {
            let message = format!("{symbol} has {found} candles in {beyond}, which no submission asked for");
            violations.push(Violation::new(Promise::NothingBeyond, message));
        }
    }
    Ok(())
}
