//! Candles: recorded ones, and ones without any calendar in them.

use candlemill_analytics::{CandleColumns, Candles};
use candlemill_shared::{Interval, Timestamp};
use flate2::read::GzDecoder;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::f64::consts::TAU;
use std::fs::File;

const HOUR: i64 = 3_600_000;

/// 2021-01-04, a Monday, 00:00 UTC.
const MONDAY: i64 = 1_609_718_400_000;

/// The recorded candles of `data/klines/{file}` that open from `from` up to `to` (dates).
pub(crate) fn recorded(file: &str, interval: Interval, from: &str, to: &str) -> Candles {
    let path = format!("{}/../../data/klines/{file}", env!("CARGO_MANIFEST_DIR"));
    let ms = |date: &str| format!("{date}T00:00:00Z").parse::<Timestamp>().expect("a date").ms();
    let (from, to) = (ms(from), ms(to));
    let mut columns = CandleColumns::default();
    for row in csv::Reader::from_reader(GzDecoder::new(File::open(path).expect("recorded data"))).records() {
        let row = row.expect("a row");
        let open_time: i64 = row[0].parse().expect("a time");
        if open_time >= from && open_time < to {
            let figure = |column: usize| row[column].parse::<f64>().expect("a figure");
            columns.open_time.push(open_time);
            columns.open.push(figure(1));
            columns.high.push(figure(2));
            columns.low.push(figure(3));
            columns.close.push(figure(4));
            columns.volume.push(figure(5));
        }
    }
    Candles::of(interval, columns).expect("candles")
}

/// Hourly candles from a Monday on whose returns are GARCH(1,1) with t of five degrees: σ² = 0.02 + 0.08·r² + 0.90·σ² of unit variance, scaled to
/// 0.6 % an hour; `planted` is added, in standard deviations, to every return of the hour 14:00.
pub(crate) fn garch(hours: usize, planted: f64, seed: u64) -> Candles {
    let mut random = Pcg64::seed_from_u64(seed);
    let (mut variance, mut before, mut price) = (1.0, 0.0_f64, 10_000.0_f64);
    let mut columns = CandleColumns::default();
    for hour in 0..hours {
        variance = 0.02 + 0.08 * before * before + 0.90 * variance;
        let squares: f64 = (0..5).map(|_| normal(&mut random).powi(2)).sum();
        // A t of five degrees has the variance 5/3.
        before = f64::sqrt(variance * 0.6) * normal(&mut random) / (squares / 5.0).sqrt();
        let shift = if hour % 24 == 14 { planted } else { 0.0 };
        let close = price * (0.006 * (before + shift)).exp();
        let open_time = MONDAY + hour as i64 * HOUR;
        push(
            &mut columns,
            open_time,
            [price, price.max(close) * 1.001, price.min(close) * 0.999, close],
            1.0 + variance,
        );
        price = close;
    }
    Candles::of(Interval::Hour1, columns).expect("candles")
}

fn normal(random: &mut Pcg64) -> f64 {
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    radius * (TAU * random.random::<f64>()).cos()
}

fn push(columns: &mut CandleColumns, open_time: i64, [open, high, low, close]: [f64; 4], volume: f64) {
    columns.open_time.push(open_time);
    columns.open.push(open);
    columns.high.push(high);
    columns.low.push(low);
    columns.close.push(close);
    columns.volume.push(volume);
}

/// The candles' own moves under their own open times, but taken from blocks of 1 to 336 candles that begin anywhere: what depends on
/// the calendar is gone, what depends on the time before stays.
pub(crate) fn rebuilt(candles: &Candles, seed: u64) -> Candles {
    let mut random = Pcg64::seed_from_u64(seed);
    let count = candles.len();
    let (mut from, mut left) = (0, 0);
    let mut price = candles.closes()[0];
    let mut columns = CandleColumns::default();
    for &open_time in candles.open_times() {
        if left == 0 {
            left = random.random_range(1..=336_u64);
            from = random.random_range(1..count as u64) as usize;
        }
        let before = candles.closes()[from - 1];
        let scaled = |figure: f64| price * figure / before;
        let prices =
            [candles.opens(), candles.highs(), candles.lows(), candles.closes()].map(|column| scaled(column[from]));
        price = prices[3];
        push(&mut columns, open_time, prices, candles.volumes()[from]);
        from = if from + 1 < count { from + 1 } else { 1 };
        left -= 1;
    }
    Candles::of(candles.interval(), columns).expect("candles")
}
