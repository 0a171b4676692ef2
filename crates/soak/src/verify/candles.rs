//! Every candle once, with the figures of the source, and none that nobody asked for.

use super::Followed;
use crate::plan::{MINUTE, Plan, SYMBOLS};
use crate::reference::{Reference, Rows, add};
use crate::violation::{Promise, Violation};
use crate::yard::Yard;
use anyhow::Result;
use candlemill_market_store::Series;
use candlemill_shared::range::{normalise, subtract};
use candlemill_shared::task::TaskState;
use candlemill_shared::{Exchange, Interval, TimeRange};

/// Candles that one call reads.
const READ_AT_ONCE: i64 = 1_000;

pub(super) async fn compare(
    yard: &Yard,
    plan: &Plan,
    reference: &Reference,
    ended: &[Followed],
    violations: &mut Vec<Violation>,
) -> Result<()> {
    for symbol in SYMBOLS {
        let orders =
            || ended.iter().map(|one| (one, &plan.orders[one.index])).filter(|(_, order)| order.symbol == symbol);
        let done = orders().filter(|(one, _)| one.end == Some(TaskState::Succeeded));
        let done = normalise(done.flat_map(|(_, order)| order.ranges.clone()).collect());
        let asked = normalise(orders().flat_map(|(_, order)| order.ranges.clone()).collect());
        let stored = stored(yard, symbol, &asked).await?;
        let mut source = Rows::new();
        for range in &asked {
            source.append(&mut reference.rows(symbol, *range).await?);
        }
        for (open, row) in &stored {
            if source.get(open) != Some(row) {
                let told = format!("{symbol} at {open} is stored as {row}, the source has {:?}", source.get(open));
                violations.push(Violation::new(Promise::Candles, told));
                break;
            }
        }
        let missing: Vec<i64> = source
            .keys()
            .filter(|open| done.iter().any(|range| range.contains(**open)) && !stored.contains_key(*open))
            .copied()
            .collect();
        if let (Some(first), Some(last)) = (missing.first(), missing.last()) {
            let told = format!("{symbol} lacks {} candles from {first} to {last}", missing.len());
            violations.push(Violation::new(Promise::Candles, told));
        }
        nothing_beyond(yard, plan, symbol, &asked, violations).await?;
    }
    Ok(())
}

/// What the API gives of these ranges.
async fn stored(yard: &Yard, symbol: &str, asked: &[TimeRange]) -> Result<Rows> {
    let mut rows = Rows::new();
    let api = yard.enterprise.turn(0);
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
    yard: &Yard,
    plan: &Plan,
    symbol: &str,
    asked: &[TimeRange],
    violations: &mut Vec<Violation>,
) -> Result<()> {
    let series = Series::new(Exchange::default(), symbol.parse()?, Interval::Minute1);
    for beyond in subtract(plan.slot(), asked) {
        let found = yard.market.candles().count(&series, beyond).await?;
        if found > 0 {
            let told = format!("{symbol} has {found} candles in {beyond}, where nobody asked for any");
            violations.push(Violation::new(Promise::NothingBeyond, told));
        }
    }
    Ok(())
}
