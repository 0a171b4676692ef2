//! Candles as columns.

use candlemill_columnar::CandleColumns;
use candlemill_shared::Interval;

/// Closed candles of one series, oldest first, one column for each figure. Prices in the quote asset, volume in the base asset.
#[derive(Debug, Clone, PartialEq)]
pub struct Candles {
    interval: Interval,
    open_time: Vec<i64>,
    open: Vec<f64>,
    high: Vec<f64>,
    low: Vec<f64>,
    close: Vec<f64>,
    volume: Vec<f64>,
}

/// Columns that are no candles.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CandlesError {
    /// One column is longer than another.
    #[error("the columns of candles have different lengths")]
    Lengths,
    /// Open times do not rise, or lie off the interval's grid.
    #[error("open time {at} (UTC ms) does not follow the one before it, or lies off the grid of {interval}")]
    OpenTime {
        /// The open time, UTC ms.
        at: i64,
        /// The interval.
        interval: Interval,
    },
    /// A price that is not above 0, or a figure that is no number.
    #[error("the candle that opens at {at} (UTC ms) has a price that is not above 0, or a volume below 0")]
    Figure {
        /// The open time, UTC ms.
        at: i64,
    },
}

impl Candles {
    /// The candles in `columns`.
    ///
    /// # Errors
    /// When the columns differ in length, open times do not rise on the interval's grid, or a figure is none of a candle.
    pub fn of(interval: Interval, columns: CandleColumns) -> Result<Self, CandlesError> {
        let CandleColumns { open_time, open, high, low, close, volume } = columns;
        if [&open, &high, &low, &close, &volume].iter().any(|column| column.len() != open_time.len()) {
            return Err(CandlesError::Lengths);
        }
        let mut before = None;
        for (row, &at) in open_time.iter().enumerate() {
            if before.is_some_and(|before| at <= before) || interval.bucket_start(at) != at {
                return Err(CandlesError::OpenTime { at, interval });
            }
            let prices = [open[row], high[row], low[row], close[row]];
            if !(prices.iter().all(|price| price.is_finite() && *price > 0.0)
                && volume[row].is_finite()
                && volume[row] >= 0.0)
            {
                return Err(CandlesError::Figure { at });
            }
            before = Some(at);
        }
        Ok(Self { interval, open_time, open, high, low, close, volume })
    }

    /// Length of a candle.
    #[must_use]
    pub const fn interval(&self) -> Interval {
        self.interval
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.open_time.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.open_time.is_empty()
    }

    /// Open times, UTC ms.
    #[must_use]
    pub fn open_times(&self) -> &[i64] {
        &self.open_time
    }

    /// First prices, quote asset.
    #[must_use]
    pub fn opens(&self) -> &[f64] {
        &self.open
    }

    /// Highest prices, quote asset.
    #[must_use]
    pub fn highs(&self) -> &[f64] {
        &self.high
    }

    /// Lowest prices, quote asset.
    #[must_use]
    pub fn lows(&self) -> &[f64] {
        &self.low
    }

    /// Last prices, quote asset.
    #[must_use]
    pub fn closes(&self) -> &[f64] {
        &self.close
    }

    /// Volumes, base asset.
    #[must_use]
    pub fn volumes(&self) -> &[f64] {
        &self.volume
    }
}
