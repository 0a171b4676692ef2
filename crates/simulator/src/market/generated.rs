//! Candles without a source: a deterministic market whose every row can be computed alone.
//!
//! The price is a sum of value noises, one per power of two of the row's index, whose height grows with the square root of their
//! period; that looks like a random walk and needs no walking. Everything is integer arithmetic (prices in cents), so every
//! machine prints the same rows. A row opens where the row before it closed.

use super::rows::{Piece, Rows, RowsBuilder};
use candlemill_shared::{Interval, Symbol, TimeRange};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Rows that are computed together.
pub(crate) const BLOCK_ROWS: usize = 4_096;
/// Blocks kept in memory per series, about 1.4 million rows or 220 MB; the oldest make room.
const BLOCKS_KEPT: usize = 352;
/// Middle of the price, cents.
const MIDDLE: i64 = 3_000_000;
/// Noises summed; the longest spans 2^19 rows. Their heights sum to less than a tenth of [`MIDDLE`].
const OCTAVES: u32 = 20;

type Block = Arc<OnceLock<Arc<Rows>>>;

/// One generated series. It has no end; the clock decides how much of it is visible.
#[derive(Debug)]
pub(crate) struct GeneratedSeries {
    interval: Interval,
    first_open: i64,
    seed: u64,
    blocks: Mutex<Blocks>,
    blocks_kept: usize,
}

#[derive(Debug, Default)]
struct Blocks {
    held: HashMap<usize, Block>,
    order: VecDeque<usize>,
}

impl GeneratedSeries {
    /// The series of `symbol` and `interval` from the first bucket that opens at `listed_at` or later.
    pub(crate) fn new(symbol: &Symbol, interval: Interval, listed_at: i64, seed: u64) -> Self {
        let digest = Sha256::digest(format!("{symbol} {interval} {seed}"));
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest[..8]);
        Self {
            interval,
            first_open: interval.bucket_at_or_after(listed_at),
            seed: u64::from_le_bytes(bytes),
            blocks: Mutex::default(),
            blocks_kept: BLOCKS_KEPT,
        }
    }

    /// Open time of the first row.
    pub(crate) const fn first_open(&self) -> i64 {
        self.first_open
    }

    /// Number of rows that open before `at`.
    pub(crate) fn position(&self, at: i64) -> usize {
        usize::try_from(self.interval.count(TimeRange::new(self.first_open, at))).unwrap_or(usize::MAX)
    }

    /// Whether every row of `range` is in memory.
    pub(crate) fn holds(&self, range: &Range<usize>) -> bool {
        let blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        blocks_of(range).all(|block| blocks.held.get(&block).is_some_and(|rows| rows.get().is_some()))
    }

    /// The rows of `range`: blocks and the part of each. Computes what is missing.
    pub(crate) fn pieces(&self, range: &Range<usize>) -> Vec<Piece> {
        blocks_of(range)
            .map(|block| {
                let base = block * BLOCK_ROWS;
                let from = range.start.max(base) - base;
                let to = range.end.min(base + BLOCK_ROWS) - base;
                (self.block(block), from..to)
            })
            .collect()
    }

    fn block(&self, block: usize) -> Arc<Rows> {
        let cell = {
            let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(cell) = blocks.held.get(&block) {
                Arc::clone(cell)
            } else {
                if blocks.order.len() == self.blocks_kept
                    && let Some(oldest) = blocks.order.pop_front()
                {
                    blocks.held.remove(&oldest);
                }
                blocks.order.push_back(block);
                Arc::clone(blocks.held.entry(block).or_default())
            }
        };
        // Outside the lock: two callers of one block wait for each other, callers of others do not.
        Arc::clone(cell.get_or_init(|| Arc::new(self.compute(block * BLOCK_ROWS))))
    }

    fn compute(&self, first: usize) -> Rows {
        let mut builder = RowsBuilder::with_capacity(BLOCK_ROWS);
        let first = first as u64;
        let mut open_time = self.interval.advance(self.first_open, i64::try_from(first).unwrap_or(i64::MAX));
        let mut open = price(self.seed, first);
        for index in first..first + BLOCK_ROWS as u64 {
            let next_open = self.interval.advance(open_time, 1);
            let close = price(self.seed, index + 1);
            let row = Generated::new(open_time, next_open - 1, open, close, mix(self.seed ^ index.rotate_left(40)));
            builder.push_printed(row.open_time, row.close_time, |out| row.print(out));
            (open_time, open) = (next_open, close);
        }
        builder.finish()
    }
}

fn blocks_of(range: &Range<usize>) -> Range<usize> {
    if range.is_empty() { 0..0 } else { range.start / BLOCK_ROWS..(range.end - 1) / BLOCK_ROWS + 1 }
}

/// A row in whole units: prices in cents, volumes in 0.00001 of the base asset.
struct Generated {
    open_time: i64,
    close_time: i64,
    open: u64,
    high: u64,
    low: u64,
    close: u64,
    volume: u64,
    taker_volume: u64,
    trades: u64,
}

impl Generated {
    /// Draws the wicks and amounts of a row from `noise`.
    fn new(open_time: i64, close_time: i64, open: u64, close: u64, noise: u64) -> Self {
        let volume = 1 + (noise >> 20 & 0xF_FFFF);
        Self {
            open_time,
            close_time,
            open,
            high: open.max(close) + (noise & 0x3FF),
            low: open.min(close) - (noise >> 10 & 0x3FF),
            close,
            volume,
            taker_volume: volume * (noise >> 40 & 0xFF) / 256,
            trades: 1 + (noise >> 48 & 0x3FF),
        }
    }

    fn print(&self, out: &mut Vec<u8>) {
        // 0.00001 × 0.01 = 10 × 0.00000001.
        let average = u64::midpoint(self.open, self.close) * 10;
        let mut integer = itoa::Buffer::new();
        out.push(b'[');
        out.extend_from_slice(integer.format(self.open_time).as_bytes());
        for cents in [self.open, self.high, self.low, self.close] {
            print_eighths(out, cents * 1_000_000);
        }
        print_eighths(out, self.volume * 1_000);
        out.push(b',');
        out.extend_from_slice(integer.format(self.close_time).as_bytes());
        print_eighths(out, self.volume * average);
        out.push(b',');
        out.extend_from_slice(integer.format(self.trades).as_bytes());
        print_eighths(out, self.taker_volume * 1_000);
        print_eighths(out, self.taker_volume * average);
        out.extend_from_slice(b",\"0\"]");
    }
}

/// Writes `,"<value / 10^8 with eight decimals>"`.
fn print_eighths(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(itoa::Buffer::new().format(value / 100_000_000).as_bytes());
    // The leading 1 keeps the zeros and becomes the point.
    let from = out.len();
    out.extend_from_slice(itoa::Buffer::new().format(100_000_000 + value % 100_000_000).as_bytes());
    out[from] = b'.';
    out.push(b'"');
}

/// Price at the start of row `index`, cents.
fn price(seed: u64, index: u64) -> u64 {
    let mut cents = MIDDLE;
    for octave in 0..OCTAVES {
        let cell = index >> octave;
        let within = (index & ((1 << octave) - 1)).cast_signed();
        let from = height(seed, octave, cell);
        let to = height(seed, octave, cell + 1);
        cents += from + (((to - from) * within) >> octave);
    }
    cents.unsigned_abs()
}

/// A number between minus and plus the octave's height: 1 USD × √2^octave (141 cents stand for √2).
fn height(seed: u64, octave: u32, cell: u64) -> i64 {
    let most = (if octave.is_multiple_of(2) { 100 } else { 141 }) << (octave / 2);
    let noise = mix(seed ^ u64::from(octave) << 56 ^ cell.wrapping_mul(0x9E37_79B9_7F4A_7C15)) >> 32;
    ((noise * (2 * most + 1)) >> 32).cast_signed() - most.cast_signed()
}

/// Spreads every bit of `x` over all bits (the finaliser of SplitMix64).
const fn mix(x: u64) -> u64 {
    let x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ x >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::row_text::candle_of;

    const LISTED: i64 = 1_577_836_800_000;

    fn series(interval: Interval) -> GeneratedSeries {
        GeneratedSeries::new(&"GENUSDT".parse().unwrap(), interval, LISTED, 1)
    }

    fn text(series: &GeneratedSeries, range: &Range<usize>) -> String {
        let parts = series.pieces(range);
        let texts: Vec<_> =
            parts.iter().map(|(rows, part)| String::from_utf8(rows.text(part.clone()).to_vec()).unwrap()).collect();
        format!("[{}]", texts.join(","))
    }

    #[test]
    fn every_row_is_a_possible_candle() {
        let series = series(Interval::Minute1);
        let range = BLOCK_ROWS - 300..BLOCK_ROWS + 300;
        let rows: Vec<serde_json::Value> = serde_json::from_str(&text(&series, &range)).unwrap();
        let candles: Vec<_> = rows.iter().map(|row| candle_of(row).unwrap()).collect();
        assert_eq!(candles.len(), 600);
        for candle in &candles {
            assert_eq!(candle.check(), Ok(()), "{candle:?}");
            assert_eq!(candle.open.scale(), 8);
            assert_eq!(candle.close_time, candle.open_time + 59_999);
        }
        for pair in candles.windows(2) {
            assert_eq!((pair[0].open_time + 60_000, pair[0].close), (pair[1].open_time, pair[1].open));
        }
    }

    #[test]
    fn rows_never_change() {
        let text = text(&series(Interval::Hour1), &(0..3));
        let digest = hex::encode(Sha256::digest(&text));
        assert_eq!(&digest[..16], "244a06ac783e3be4", "{text}");
    }

    #[test]
    fn months_and_positions() {
        let months = series(Interval::Month1);
        assert_eq!(months.position(LISTED), 0);
        assert_eq!(months.position(LISTED + 1), 1);
        assert_eq!(months.position(LISTED + 366 * 86_400_000), 12);
        let (rows, _) = &months.pieces(&(0..12))[0];
        assert_eq!(rows.close(11), LISTED + 366 * 86_400_000 - 1);
    }

    #[test]
    fn memory_is_bounded() {
        let mut series = series(Interval::Second1);
        series.blocks_kept = 2;
        for block in 0..3 {
            series.block(block);
        }
        assert!(!series.holds(&(0..1)), "the oldest made room");
        assert!(series.holds(&(BLOCK_ROWS..3 * BLOCK_ROWS)) && !series.holds(&(BLOCK_ROWS..3 * BLOCK_ROWS + 1)));
    }
}
