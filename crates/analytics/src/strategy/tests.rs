//! The rules by small cases, and properties.

use super::rule::{Crossover, Reversion, Terms};
use super::*;
use crate::control::ToTheEnd;
use candlemill_columnar::CandleColumns;
use candlemill_shared::study::{Position, PositionSides};
use candlemill_shared::{Interval, Timestamp};
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

const HOUR: i64 = 3_600_000;

/// Hourly candles at these hours, whose open and close are one price; volume 1 but where the price is given as negative.
fn candles(rows: &[(i64, f64)]) -> Candles {
    let price: Vec<f64> = rows.iter().map(|(_, price)| price.abs()).collect();
    let columns = CandleColumns {
        open_time: rows.iter().map(|(hour, _)| hour * HOUR).collect(),
        open: price.clone(),
        high: price.clone(),
        low: price.clone(),
        close: price,
        volume: rows.iter().map(|(_, price)| if *price < 0.0 { 0.0 } else { 1.0 }).collect(),
    };
    Candles::of(Interval::Hour1, columns).unwrap()
}

fn hourly(prices: &[f64]) -> Candles {
    candles(&prices.iter().enumerate().map(|(hour, price)| (i64::try_from(hour).unwrap(), *price)).collect::<Vec<_>>())
}

fn crossover(sides: PositionSides, fee_bps: f64) -> SmaCrossover {
    SmaCrossover { fast: 1, slow: 2, sides, fee_bps, ..SmaCrossover::default() }
}

fn hour(at: Timestamp) -> i64 {
    at.ms() / HOUR
}

/// Trades of the crossing of the last close and the mean of two: side, hours, net return.
fn trades(candles: &Candles, sides: PositionSides, fee_bps: f64) -> Vec<(Position, i64, i64, f64, bool, bool)> {
    let outcome = sma_crossover(candles, &crossover(sides, fee_bps), &ToTheEnd).unwrap();
    let row = |trade: &Trade| {
        let net = (trade.net_return * 1e9).round() / 1e9;
        (trade.position, hour(trade.opened_at), hour(trade.closed_at), net, trade.through_outage, trade.open)
    };
    outcome.trades.iter().map(row).collect()
}

use Position::{Flat, Long, Short};
use PositionSides::{LongFlat, LongShort};

#[test]
fn a_signal_is_filled_at_the_next_open_for_a_fee_on_each_side() {
    let prices = hourly(&[10.0, 11.0, 12.0, 11.0, 15.0]);
    // Signals at the closes of hours 1 and 3; the last fill is at hour 4, whose close says long again, unfilled.
    assert_eq!(trades(&prices, LongFlat, 0.0), [(Long, 2, 4, 0.25, false, false)]);
    assert_eq!(trades(&prices, LongFlat, 100.0), [(Long, 2, 4, 0.225_125, false, false)]);
    let outcome = sma_crossover(&prices, &crossover(LongFlat, 0.0), &ToTheEnd).unwrap();
    let signals: Vec<_> = outcome.signals.iter().map(|it| (hour(it.open_time), it.position, it.fill)).collect();
    assert_eq!(signals, [(1, Long, Some(12.0)), (3, Flat, Some(15.0)), (4, Long, None)]);
    assert_eq!((outcome.report.signals, outcome.report.trades), (3, 1));
    // (1 − f)² · 1.25 = 1.
    let even = outcome.report.break_even_fee_bps.unwrap();
    assert!((even - (1.0 - 0.8f64.sqrt()) * 1e4).abs() < 1e-9, "{even}");
}

#[test]
fn a_flip_pays_two_fees_and_what_is_held_at_the_end_stays_open() {
    let prices = hourly(&[10.0, 11.0, 12.0, 9.0, 10.0, 9.0, 9.0]);
    // Short at 9 → 9 − 1 − … : 2 − 10/10 − f (1 + 1) for the short that opens at hour 4 and is bought back at hour 5.
    let found = trades(&prices, LongShort, 100.0);
    assert_eq!(found[0], (Long, 2, 4, (10.0 / 12.0 * 0.99f64.powi(2) * 1e9 - 1e9).round() / 1e9, false, false));
    assert_eq!(found[1], (Short, 4, 5, (1e9 * (1.0 - 0.9 - 0.01 * 1.9f64)).round() / 1e9, false, false));
    assert_eq!(found[2], (Long, 5, 6, (0.99f64.powi(2) * 1e9 - 1e9).round() / 1e9, false, false));
    assert_eq!(found[3], (Short, 6, 6, -0.01, false, true));
}

#[test]
fn an_outage_restarts_the_indicators_and_a_position_earns_across_it() {
    // Hours 3 to 9 are missing; the window of two is filled again at hour 11.
    let prices = candles(&[(0, 10.0), (1, 11.0), (2, 12.0), (10, 6.0), (11, 5.0), (12, 6.0)]);
    assert_eq!(trades(&prices, LongFlat, 0.0), [(Long, 2, 12, -0.5, true, false)]);
    let report = sma_crossover(&prices, &crossover(LongFlat, 0.0), &ToTheEnd).unwrap().report;
    assert_eq!((report.restarts, report.warm_up), (1, 2));
    // A signal just before it is filled at the first candle after it.
    let prices = candles(&[(0, 10.0), (1, 11.0), (9, 20.0), (10, 22.0)]);
    assert_eq!(trades(&prices, LongFlat, 0.0), [(Long, 9, 10, 0.1, false, true)]);
}

#[test]
fn months_follow_each_other_by_the_calendar() {
    let mut columns = CandleColumns::default();
    for month in [0, 1, 2, 3, 5] {
        columns.open_time.push(Interval::Month1.advance(1_577_836_800_000, month));
        for column in [&mut columns.open, &mut columns.high, &mut columns.low, &mut columns.close, &mut columns.volume]
        {
            column.push(1.0);
        }
    }
    let candles = Candles::of(Interval::Month1, columns).unwrap();
    let report = sma_crossover(&candles, &crossover(LongFlat, 0.0), &ToTheEnd).unwrap().report;
    assert_eq!((report.restarts, report.warm_up), (1, 2));
}

#[test]
fn nothing_is_filled_where_nothing_was_traded() {
    // Negative prices are candles without volume.
    let prices = hourly(&[10.0, 11.0, -11.5, -12.0, 13.0, 14.0]);
    assert_eq!(trades(&prices, LongFlat, 0.0), [(Long, 4, 5, (14.0f64 / 13.0 * 1e9 - 1e9).round() / 1e9, false, true)]);
    // Changed before it could be filled: nothing to do any more.
    let outcome =
        sma_crossover(&hourly(&[10.0, 11.0, -10.0, -9.0, 9.0]), &crossover(LongFlat, 0.0), &ToTheEnd).unwrap();
    assert_eq!((outcome.signals.len(), outcome.trades.len()), (2, 0));
    assert!(outcome.signals.iter().all(|signal| signal.filled_at.is_none()));
}

#[test]
fn a_short_loses_no_more_than_there_is() {
    let outcome =
        sma_crossover(&hourly(&[10.0, 9.0, 9.0, 20.0, 8.0, 7.0, 9.0]), &crossover(LongShort, 0.0), &ToTheEnd).unwrap();
    let report = &outcome.report;
    assert_eq!(outcome.trades.len(), 1);
    assert_eq!((outcome.trades[0].net_return, outcome.trades[0].candles, outcome.trades[0].open), (-1.0, 2, false));
    let whole = report.strategy.whole.as_ref().unwrap();
    assert_eq!((whole.total_return, whole.cagr, whole.max_drawdown), (-1.0, None, 1.0));
    assert_eq!(report.break_even_fee_bps, None);
    let last = report.strategy.out_of_sample.as_ref().unwrap();
    assert_eq!((last.total_return, last.cagr, last.sharpe), (0.0, None, None));
}

#[test]
fn a_score_enters_far_from_the_mean_and_leaves_near_it() {
    let request = MeanReversion { window: 4, entry: 1.4, exit: 0.2, fee_bps: 0.0, ..MeanReversion::default() };
    // Scores: −1.5 (entry at the threshold of four), then 0 closes at the mean.
    let prices = hourly(&[10.0, 10.0, 10.0, 8.0, 8.0, 9.5, 9.0, 9.0]);
    let outcome = mean_reversion(&prices, &request, &ToTheEnd).unwrap();
    let signals: Vec<_> = outcome.signals.iter().map(|it| (hour(it.open_time), it.position)).collect();
    assert_eq!(signals, [(3, Long), (5, Flat)]);
    assert!((outcome.signals[0].indicator + 1.5).abs() < 1e-12);
    let at_threshold = MeanReversion { entry: 1.5, ..request };
    assert_eq!(mean_reversion(&prices, &at_threshold, &ToTheEnd).unwrap().signals.len(), 2);
}

#[test]
fn few_or_equal_candles_give_no_figures_that_are_none() {
    for prices in [vec![], vec![5.0], vec![5.0; 2], vec![0.1; 500]] {
        let candles = hourly(&prices);
        for sides in [LongFlat, LongShort] {
            let one = sma_crossover(&candles, &SmaCrossover { sides, ..SmaCrossover::default() }, &ToTheEnd).unwrap();
            let other =
                mean_reversion(&candles, &MeanReversion { sides, ..MeanReversion::default() }, &ToTheEnd).unwrap();
            for outcome in [one, other] {
                assert_eq!((outcome.signals.len(), outcome.trades.len()), (0, 0), "{} candles", prices.len());
                let whole = outcome.report.strategy.whole.as_ref();
                assert_eq!(whole.is_none(), prices.is_empty());
                if let Some(whole) = whole {
                    assert_eq!((whole.total_return, whole.sharpe, whole.sortino), (0.0, None, None));
                    assert_eq!((whole.max_drawdown, whole.drawdown_from, whole.win_rate), (0.0, None, None));
                }
                assert_eq!(outcome.report.equity.len(), prices.len());
                assert!(!serde_json::to_string(&outcome.report).unwrap().contains("NaN"));
            }
        }
    }
}

#[test]
fn the_curve_keeps_ends_and_deepest_falls() {
    let mut prices: Vec<f64> = (0..30_000).map(|row| 100.0 + (f64::from(row) / 300.0).sin() * 10.0).collect();
    prices[12_345] = 1.0;
    let candles = hourly(&prices);
    let report = sma_crossover(&candles, &SmaCrossover::default(), &ToTheEnd).unwrap().report;
    assert!(report.equity.len() <= 2_000 && report.equity.len() >= 1_990);
    let kept = |at: Option<Timestamp>| report.equity.iter().any(|point| Some(point.open_time) == at);
    for phases in [&report.strategy, &report.buy_and_hold] {
        let whole = phases.whole.as_ref().unwrap();
        assert!(kept(whole.drawdown_from) && kept(whole.drawdown_to));
    }
    assert!(kept(Some(0.into())) && kept(Some((29_999 * HOUR).into())));
    assert_eq!(hour(report.buy_and_hold.whole.unwrap().drawdown_to.unwrap()), 12_345);
}

#[test]
fn a_computation_that_is_not_wanted_stops() {
    struct After(AtomicU64, u64);
    impl Control for After {
        fn may_go_on(&self) -> Result<(), Stopped> {
            if self.0.fetch_add(1, Ordering::Relaxed) < self.1 { Ok(()) } else { Err(Stopped) }
        }

        fn step(&self, _done: u64, _total: u64) {}
    }
    let candles = hourly(&(0..300_000).map(|row| 100.0 + (f64::from(row) / 30.0).sin()).collect::<Vec<_>>());
    let asked = After(AtomicU64::new(0), u64::MAX);
    mean_reversion(&candles, &MeanReversion::default(), &asked).unwrap();
    let all = asked.0.into_inner();
    assert!(all >= 100, "asked {all} times");
    for after in [0, 1, all / 4, all / 2, all - 1] {
        let control = After(AtomicU64::new(0), after);
        assert_eq!(mean_reversion(&candles, &MeanReversion::default(), &control), Err(Stopped));
        assert_eq!(control.0.into_inner(), after + 1);
    }
}

#[derive(Debug, Clone)]
struct Case {
    rows: Vec<(i64, f64)>,
    sides: PositionSides,
    fee_bps: f64,
    window: u32,
    reversion: bool,
}

impl Case {
    fn run(&self, candles: &Candles, fee_bps: f64) -> (Run, StrategyOutcome) {
        let terms = Terms { sides: self.sides, fee_bps };
        if self.reversion {
            let request = MeanReversion {
                window: self.window.max(3),
                entry: 1.1,
                exit: 0.25,
                sides: self.sides,
                fee_bps,
                ..MeanReversion::default()
            };
            let run = Run::of(candles, &Reversion::of(&request), terms, &ToTheEnd).unwrap();
            return (run, mean_reversion(candles, &request, &ToTheEnd).unwrap());
        }
        let request = SmaCrossover {
            fast: self.window / 2,
            slow: self.window,
            sides: self.sides,
            fee_bps,
            ..SmaCrossover::default()
        };
        let run = Run::of(candles, &Crossover::of(&request), terms, &ToTheEnd).unwrap();
        (run, sma_crossover(candles, &request, &ToTheEnd).unwrap())
    }
}

/// Prices of any size with outages, candles without volume, stretches of equal prices.
fn cases() -> impl Strategy<Value = Case> {
    let row = (prop_oneof![8 => Just(1i64), 1 => 2i64..6], -0.3f64..0.3, 0u8..10);
    (prop::collection::vec(row, 0..120), any::<bool>(), 0.0f64..200.0, 2u32..12, any::<bool>()).prop_map(
        |(steps, short, fee_bps, window, reversion)| {
            let (mut hour, mut price) = (0, 100.0f64);
            let rows = steps.into_iter().map(|(hours, change, kind)| {
                hour += hours;
                price *= if kind < 3 { 1.0 } else { change.exp() };
                (hour, if kind == 5 { -price } else { price })
            });
            Case { rows: rows.collect(), sides: if short { LongShort } else { LongFlat }, fee_bps, window, reversion }
        },
    )
}

proptest! {
    #[test]
    fn nothing_looks_ahead(case in cases(), cut in 0usize..120) {
        let (whole, outcome) = case.run(&candles(&case.rows), case.fee_bps);
        let cut = cut.min(case.rows.len());
        let (part, early) = case.run(&candles(&case.rows[..cut]), case.fee_bps);
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&part.indicators), bits(&whole.indicators[..cut]));
        prop_assert_eq!(bits(&part.account.equity), bits(&whole.account.equity[..cut]));
        prop_assert_eq!(bits(&part.held), bits(&whole.held[..cut]));
        for (found, expected) in early.signals.iter().zip(&outcome.signals) {
            prop_assert_eq!((found.open_time, found.position), (expected.open_time, expected.position));
            prop_assert_eq!(found.indicator.to_bits(), expected.indicator.to_bits());
            prop_assert!(found.fill.is_none() || found == expected);
        }
        let known = case.rows.get(cut).map_or(i64::MAX, |(hour, _)| hour * HOUR);
        prop_assert_eq!(early.signals.len(), outcome.signals.iter().filter(|signal| signal.open_time.ms() < known).count());
        let closed = early.trades.iter().filter(|trade| !trade.open).count();
        prop_assert_eq!(&early.trades[..closed], &outcome.trades[..closed]);
    }

    #[test]
    fn the_account_adds_up(case in cases()) {
        let candles = candles(&case.rows);
        let (run, outcome) = case.run(&candles, case.fee_bps);
        prop_assert!(run.account.equity.iter().all(|worth| worth.is_finite() && *worth >= 0.0));
        let product: f64 = outcome.trades.iter().map(|trade| 1.0 + trade.net_return).product();
        let last = run.account.equity.last().copied().unwrap_or(1.0);
        prop_assert!((product - last).abs() <= 1e-12 * last.max(1e-3), "{} {}", product, last);
        if let Some(whole) = &outcome.report.strategy.whole {
            let held: u64 = outcome.trades.iter().map(|trade| trade.candles).sum();
            prop_assert!((whole.exposure * whole.candles as f64 - held as f64).abs() < 1e-9);
            prop_assert_eq!(whole.trades, outcome.report.trades);
        }
        let (free, _) = case.run(&candles, 0.0);
        prop_assert!(free.account.equity.iter().zip(&run.account.equity).all(|(free, paid)| *free >= paid * (1.0 - 1e-12)));
        if let Some(fee_bps) = outcome.report.break_even_fee_bps.filter(|fee| *fee < 1e4) {
            let (even, _) = case.run(&candles, fee_bps);
            let worth = even.account.equity.last().copied().unwrap_or(1.0);
            prop_assert!((worth - 1.0).abs() < 1e-6 || worth == 0.0, "fee {} leaves {}", fee_bps, worth);
        }
    }

    #[test]
    fn ratios_do_not_depend_on_the_unit_of_prices(case in cases(), scale in 1e-6f64..1e6) {
        let (_, one) = case.run(&candles(&case.rows), case.fee_bps);
        let rows: Vec<_> = case.rows.iter().map(|(hour, price)| (*hour, price * scale)).collect();
        let (_, other) = case.run(&candles(&rows), case.fee_bps);
        prop_assert_eq!(one.trades.len(), other.trades.len());
        let figures = |outcome: &StrategyOutcome| outcome.report.strategy.whole.as_ref().map(|it| (it.total_return, it.max_drawdown, it.sharpe));
        if let (Some(one), Some(other)) = (figures(&one), figures(&other)) {
            prop_assert!((one.0 - other.0).abs() <= 1e-9 * (1.0 + one.0.abs()));
            prop_assert!((one.1 - other.1).abs() <= 1e-9);
            prop_assert!((one.2.unwrap_or(0.0) - other.2.unwrap_or(0.0)).abs() <= 1e-7 * (1.0 + one.2.unwrap_or(0.0).abs()));
        }
    }
}

#[test]
fn growth_by_the_year_is_that_of_months_at_least() {
    let cagr = |days: usize| {
        let closes: Vec<f64> = (0..days * 24).map(|hour| 100.0 + hour as f64 / 24.0).collect();
        let report = sma_crossover(&hourly(&closes), &crossover(LongFlat, 0.0), &ToTheEnd).unwrap().report;
        report.buy_and_hold.whole.unwrap().cagr
    };
    assert!(cagr(89).is_none() && cagr(90).is_some());
}
