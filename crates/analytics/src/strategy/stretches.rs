//! Stretches of candles without a missing one.

use super::rows::ROWS_PER_STEP;
use crate::candles::Candles;
use crate::control::{Control, Stopped};
use std::ops::Range;

/// The stretches of a series, oldest first.
#[derive(Debug)]
pub(super) struct Stretches {
    /// First row of each stretch.
    starts: Vec<usize>,
    len: usize,
}

impl Stretches {
    /// Of `candles`: a stretch ends where the next candle is not the one of the next bucket.
    pub(super) fn of(candles: &Candles, control: &impl Control) -> Result<Self, Stopped> {
        let (times, interval) = (candles.open_times(), candles.interval());
        let mut starts: Vec<usize> = (!times.is_empty()).then_some(0).into_iter().collect();
        for (before, pair) in times.windows(2).enumerate() {
            if before % ROWS_PER_STEP == 0 {
                control.may_go_on()?;
            }
            if pair[1] != interval.next_bucket(pair[0]) {
                starts.push(before + 1);
            }
        }
        Ok(Self { starts, len: times.len() })
    }

    /// Rows of each stretch.
    pub(super) fn iter(&self) -> impl Iterator<Item = Range<usize>> {
        let ends = self.starts.iter().skip(1).copied().chain([self.len]);
        self.starts.iter().copied().zip(ends).map(|(start, end)| start..end)
    }

    /// Missing stretches of time.
    pub(super) fn outages(&self) -> u64 {
        self.starts.len().saturating_sub(1) as u64
    }

    /// Whether a candle is missing between the candles of rows `from` and `to`.
    pub(super) fn broken(&self, from: usize, to: usize) -> bool {
        let next = self.starts.partition_point(|start| *start <= from);
        self.starts.get(next).is_some_and(|start| *start <= to)
    }

    /// Candles at which a window of `window` candles is not filled yet.
    pub(super) fn warm_up(&self, window: usize) -> u64 {
        self.iter().map(|rows| rows.len().min(window - 1) as u64).sum()
    }
}
