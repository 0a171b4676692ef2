//! The curve that the user sees.

use super::performance::drawdown;
use crate::candles::Candles;
use crate::control::{Control, Stopped};
use candlemill_shared::study::EquityPoint;

/// Points of a curve.
const MAX_POINTS: usize = 2_000;

/// Points that are kept beside those at equal distances: peak and lowest point of the deepest fall of each curve.
const KEPT: usize = 4;

/// Worth of the rule and of buying and holding at each close, thinned to candles at equal distances, first and last among them, and
/// the ends of the deepest fall of either.
pub(super) fn points(
    candles: &Candles,
    strategy: &[f64],
    buy_and_hold: &[f64],
    control: &impl Control,
) -> Result<Vec<EquityPoint>, Stopped> {
    let len = candles.len();
    let mut rows: Vec<usize> = if len <= MAX_POINTS {
        (0..len).collect()
    } else {
        let last = MAX_POINTS - KEPT - 1;
        (0..=last).map(|place| place * (len - 1) / last).collect()
    };
    for curve in [strategy, buy_and_hold] {
        if let Some(fall) = drawdown(1.0, curve, 0..len, control)? {
            rows.extend([fall.peak, fall.trough]);
        }
    }
    rows.sort_unstable();
    rows.dedup();
    Ok(rows
        .into_iter()
        .map(|row| EquityPoint {
            open_time: candles.open_times()[row].into(),
            strategy: strategy[row],
            buy_and_hold: buy_and_hold[row],
        })
        .collect())
}
