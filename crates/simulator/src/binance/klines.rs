//! `GET /api/v3/klines`.

use super::error::Refusal;
use super::query::{Query, symbol};
use super::time_unit::TimeUnit;
use crate::market::Visibility;
use crate::market::page::Window;
use crate::server::answer::Answer;
use crate::state::SimulatorState;
use bytes::Bytes;
use candlemill_shared::{Clock, Interval, Symbol};
use serde_json::Value;

/// Rows of a call without `limit`.
const DEFAULT_LIMIT: usize = 500;
/// Most rows of one call; a higher `limit` counts as this one.
const LARGEST_LIMIT: usize = 1_000;
/// Rule 3: a bound above this is in microseconds.
const LARGEST_MILLISECONDS: i64 = 100_000_000_000_000;

/// A call that passed every check.
struct Asked {
    symbol: Symbol,
    interval: Interval,
    window: Window,
}

/// Answers one call.
pub(super) async fn answer(state: &SimulatorState, query: &str, unit: TimeUnit) -> Answer {
    let asked = match read(state, query) {
        Ok(asked) => asked,
        Err(refusal) => return refusal.answer(),
    };
    match state.market.page(&asked.symbol, asked.interval, asked.window).await {
        Ok(pieces) if unit == TimeUnit::Microseconds => Answer::json_pieces(vec![in_microseconds(&pieces)]),
        Ok(pieces) => Answer::json_pieces(pieces),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "candles cannot be served");
            Refusal::unknown().answer_as(500)
        }
    }
}

fn read(state: &SimulatorState, query: &str) -> Result<Asked, Refusal> {
    let query = Query::parse(query)?;
    let symbol = symbol(query.mandatory("symbol")?)?;
    let interval = query.mandatory("interval")?.parse().map_err(|_| Refusal::invalid_interval())?;
    let start = query.number::<i64>("startTime")?.map(|bound| to_ms(bound, true));
    let end = query.number::<i64>("endTime")?.map(|bound| to_ms(bound, false));
    let limit = query.number::<usize>("limit")?.unwrap_or(DEFAULT_LIMIT);
    if limit == 0 {
        return Err(Refusal::invalid_data("limit"));
    }
    // Candles of shifted days are not recorded; only UTC can be answered.
    if let Some(zone) = query.optional("timeZone")?
        && !matches!(zone, "0" | "+0" | "-0" | "00:00" | "0:00" | "+00:00" | "-00:00" | "+0:00" | "-0:00")
    {
        return Err(Refusal::invalid_data("timeZone"));
    }
    query.finish()?;
    if state.market.visibility(&symbol) == Visibility::Hidden {
        return Err(Refusal::invalid_symbol());
    }
    let window = Window { start, end, limit: limit.min(LARGEST_LIMIT), now: state.exchange_clock.now_ms() };
    Ok(Asked { symbol, interval, window })
}

/// Rule 3: the bound in milliseconds, so that comparing whole milliseconds with it is exact.
const fn to_ms(bound: i64, is_start: bool) -> i64 {
    if bound <= LARGEST_MILLISECONDS {
        bound
    } else if is_start {
        bound / 1_000 + (bound % 1_000 != 0) as i64
    } else {
        bound / 1_000
    }
}

fn in_microseconds(pieces: &[Bytes]) -> Bytes {
    let mut rows: Vec<Vec<Value>> = serde_json::from_slice(&pieces.concat()).unwrap_or_default();
    for row in &mut rows {
        for (index, rest) in [(0, 0), (6, 999)] {
            row[index] = row[index].as_i64().map_or(Value::Null, |ms| (ms * 1_000 + rest).into());
        }
    }
    Value::from(rows.into_iter().map(Value::from).collect::<Vec<_>>()).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microsecond_bounds_keep_their_meaning() {
        let us = 1_577_836_800_000_000;
        for (bound, start, end) in [(us, us / 1_000, us / 1_000), (us + 1, us / 1_000 + 1, us / 1_000), (5, 5, 5)] {
            assert_eq!((to_ms(bound, true), to_ms(bound, false)), (start, end), "{bound}");
        }
    }
}
