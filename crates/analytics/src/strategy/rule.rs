//! What a rule watches and what it wants.

use super::rolling;
use super::stretches::Stretches;
use crate::candles::Candles;
use crate::control::{Control, Stopped};
use candlemill_shared::study::{MeanReversion, Position, PositionSides, SmaCrossover};

/// Difference of two averages, as share of the slow one, up to which they are equal: more than rounding makes, less than prices do.
const EQUAL: f64 = 1e-13;

/// Distance from a threshold, in deviations, up to which it is reached: more than rounding makes.
const REACHED: f64 = 1e-9;

/// On what terms a rule trades.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// Positions that it may take.
    pub(super) sides: PositionSides,
    /// Fee of each fill, basis points of its worth.
    pub(super) fee_bps: f64,
}

impl Terms {
    /// Fee of each fill, as share of its worth.
    pub(super) fn fee(self) -> f64 {
        self.fee_bps / 1e4
    }
}

/// A rule that decides by one indicator.
pub(super) trait Rule {
    /// Candles without a gap that its indicator needs.
    fn window(&self) -> usize;

    /// The indicator at the close of each candle, from it and those before it; NaN where it is not known.
    fn indicators(&self, candles: &Candles, stretches: &Stretches, control: &impl Control)
    -> Result<Vec<f64>, Stopped>;

    /// The position that is wanted at a close with this indicator, where `wanted` was wanted before.
    fn wants(&self, wanted: Position, indicator: f64, sides: PositionSides) -> Position;
}

/// Long while the fast average is above the slow one.
#[derive(Debug)]
pub(super) struct Crossover {
    fast: usize,
    slow: usize,
}

impl Crossover {
    pub(super) fn of(request: &SmaCrossover) -> Self {
        Self { fast: candles(request.fast, 1), slow: candles(request.slow, 1) }
    }
}

impl Rule for Crossover {
    fn window(&self) -> usize {
        self.slow.max(self.fast)
    }

    /// Fast minus slow average, quote asset; 0 where they are equal.
    fn indicators(
        &self,
        candles: &Candles,
        stretches: &Stretches,
        control: &impl Control,
    ) -> Result<Vec<f64>, Stopped> {
        let mut values = vec![f64::NAN; candles.len()];
        rolling::means(candles.closes(), self.slow, control, |row, mean| values[row] = mean)?;
        rolling::means(candles.closes(), self.fast, control, |row, fast| {
            let slow = values[row];
            let difference = fast - slow;
            values[row] = if difference.abs() <= EQUAL * slow { 0.0 } else { difference };
        })?;
        forget(&mut values, stretches, self.window());
        Ok(values)
    }

    fn wants(&self, wanted: Position, indicator: f64, sides: PositionSides) -> Position {
        match sides {
            _ if indicator > 0.0 => Position::Long,
            _ if indicator == 0.0 => wanted,
            PositionSides::LongFlat => Position::Flat,
            PositionSides::LongShort => Position::Short,
        }
    }
}

/// In far from the mean, out near it.
#[derive(Debug)]
pub(super) struct Reversion {
    window: usize,
    entry: f64,
    exit: f64,
}

impl Reversion {
    pub(super) fn of(request: &MeanReversion) -> Self {
        Self { window: candles(request.window, 2), entry: request.entry, exit: request.exit }
    }
}

impl Rule for Reversion {
    fn window(&self) -> usize {
        self.window
    }

    /// The z-score of the close.
    fn indicators(
        &self,
        candles: &Candles,
        stretches: &Stretches,
        control: &impl Control,
    ) -> Result<Vec<f64>, Stopped> {
        let closes = candles.closes();
        let mut values = vec![f64::NAN; closes.len()];
        rolling::means(closes, self.window, control, |row, mean| values[row] = closes[row] - mean)?;
        rolling::deviations(closes, self.window, control, |row, deviation| {
            values[row] = if deviation > 0.0 { values[row] / deviation } else { f64::NAN };
        })?;
        forget(&mut values, stretches, self.window);
        Ok(values)
    }

    fn wants(&self, wanted: Position, z: f64, sides: PositionSides) -> Position {
        let may_short = sides == PositionSides::LongShort;
        let (low, high) = (z <= -self.entry + REACHED, z >= self.entry - REACHED);
        match wanted {
            _ if low => Position::Long,
            _ if high && may_short => Position::Short,
            Position::Long if z >= -self.exit - REACHED => Position::Flat,
            Position::Short if z <= self.exit + REACHED => Position::Flat,
            _ => wanted,
        }
    }
}

/// Rule 3: no window reaches over an outage.
fn forget(values: &mut [f64], stretches: &Stretches, window: usize) {
    for rows in stretches.iter() {
        let filled = (rows.start + window - 1).min(rows.end);
        values[rows.start..filled].fill(f64::NAN);
    }
}

/// A number of candles in memory, at least `min`.
fn candles(number: u32, min: usize) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX).max(min)
}
