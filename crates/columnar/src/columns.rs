//! Stored candles as columns of `f64`, as studies read them.

/// Candles of one series, ascending by open time: a column for each figure that studies need.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CandleColumns {
    /// Starts of the buckets, UTC ms.
    pub open_time: Vec<i64>,
    /// First prices, quote asset.
    pub open: Vec<f64>,
    /// Highest prices, quote asset.
    pub high: Vec<f64>,
    /// Lowest prices, quote asset.
    pub low: Vec<f64>,
    /// Last prices, quote asset.
    pub close: Vec<f64>,
    /// Volumes, base asset.
    pub volume: Vec<f64>,
}

impl CandleColumns {
    /// How many rows there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.open_time.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.open_time.is_empty()
    }

    /// Adds a row. One of the bucket of the row before, which an exchange printed off its grid, becomes part of that.
    pub fn push(&mut self, bucket: i64, [open, high, low, close, volume]: [f64; 5]) {
        let last = self.len().wrapping_sub(1);
        if self.open_time.last() == Some(&bucket) {
            self.high[last] = self.high[last].max(high);
            self.low[last] = self.low[last].min(low);
            self.close[last] = close;
            self.volume[last] += volume;
            return;
        }
        self.open_time.push(bucket);
        self.open.push(open);
        self.high.push(high);
        self.low.push(low);
        self.close.push(close);
        self.volume.push(volume);
    }

    /// Adds the rows of `later`, which follow.
    pub fn append(&mut self, mut later: Self) {
        self.open_time.append(&mut later.open_time);
        self.open.append(&mut later.open);
        self.high.append(&mut later.high);
        self.low.append(&mut later.low);
        self.close.append(&mut later.close);
        self.volume.append(&mut later.volume);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_off_the_grid_joins_the_row_of_its_bucket() {
        let mut columns = CandleColumns::default();
        columns.push(0, [1.0, 3.0, 1.0, 2.0, 10.0]);
        columns.push(0, [2.0, 4.0, 0.5, 3.0, 5.0]);
        columns.push(60_000, [3.0, 3.0, 3.0, 3.0, 1.0]);
        assert_eq!(columns.open_time, [0, 60_000]);
        assert_eq!((columns.open[0], columns.high[0], columns.low[0]), (1.0, 4.0, 0.5));
        assert_eq!((columns.close[0], columns.volume[0]), (3.0, 15.0));
    }
}
