//! The recorded candles, against what `goldens/strategies/strategies.py` computed from them.

use super::rule::{Crossover, Reversion, Terms};
use super::*;
use crate::control::ToTheEnd;
use candlemill_columnar::CandleColumns;
use candlemill_shared::study::{Position, Study};
use serde_json::Value;
use std::path::Path;

fn at(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Recorded candles.
pub(super) fn recorded(name: &str, interval: &str) -> Candles {
    let file = std::fs::File::open(at(&format!("../../data/klines/{name}.csv.gz"))).unwrap();
    let mut columns = CandleColumns::default();
    for record in csv::Reader::from_reader(flate2::read::GzDecoder::new(file)).records() {
        let record = record.unwrap();
        let figure = |place: usize| record[place].parse::<f64>().unwrap();
        columns.open_time.push(record[0].parse().unwrap());
        columns.open.push(figure(1));
        columns.high.push(figure(2));
        columns.low.push(figure(3));
        columns.close.push(figure(4));
        columns.volume.push(figure(5));
    }
    Candles::of(interval.parse().unwrap(), columns).unwrap()
}

/// Within 1e-9 of it, relative.
fn near(what: &str, found: f64, expected: &Value) {
    let expected = expected.as_f64().unwrap_or_else(|| panic!("{what}: found {found}, expected {expected}"));
    assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{what}: found {found}, expected {expected}");
}

fn near_if_any(what: &str, found: Option<f64>, expected: &Value) {
    match found {
        Some(found) => near(what, found, expected),
        None => assert!(expected.is_null(), "{what}: found none, expected {expected}"),
    }
}

fn check_phase(what: &str, found: Option<&candlemill_shared::study::Performance>, expected: &Value) {
    let found = found.unwrap();
    let time = |it: Option<candlemill_shared::Timestamp>| it.map_or(Value::Null, |it| it.ms().into());
    for (name, figure) in [
        ("total_return", Some(found.total_return)),
        ("cagr", found.cagr),
        ("volatility", found.volatility),
        ("sharpe", found.sharpe),
        ("sortino", found.sortino),
        ("max_drawdown", Some(found.max_drawdown)),
        ("exposure", Some(found.exposure)),
        ("win_rate", found.win_rate),
        ("profit_factor", found.profit_factor),
    ] {
        near_if_any(&format!("{what} {name}"), figure, &expected[name]);
    }
    for (name, count) in [("candles", found.candles), ("trades", found.trades)] {
        assert_eq!(Value::from(count), expected[name], "{what} {name}");
    }
    for (name, at) in [
        ("drawdown_from", found.drawdown_from),
        ("drawdown_to", found.drawdown_to),
        ("recovered_at", found.recovered_at),
    ] {
        assert_eq!(time(at), expected[name], "{what} {name}");
    }
}

fn side(position: Position) -> i64 {
    match position {
        Position::Long => 1,
        Position::Flat => 0,
        Position::Short => -1,
    }
}

fn check_case(case: &Value) {
    let candles = recorded(case["file"].as_str().unwrap(), case["interval"].as_str().unwrap());
    let study: Study = serde_json::from_value(case["study"].clone()).unwrap();
    let what = case["study"].to_string();
    let (run, outcome) = match &study {
        Study::SmaCrossover(request) => {
            let terms = Terms { sides: request.sides, fee_bps: request.fee_bps };
            assert_eq!(request.faults(), []);
            let run = Run::of(&candles, &Crossover::of(request), terms, &ToTheEnd).unwrap();
            (run, sma_crossover(&candles, request, &ToTheEnd).unwrap())
        }
        Study::MeanReversion(request) => {
            let terms = Terms { sides: request.sides, fee_bps: request.fee_bps };
            assert_eq!(request.faults(), []);
            let run = Run::of(&candles, &Reversion::of(request), terms, &ToTheEnd).unwrap();
            (run, mean_reversion(&candles, request, &ToTheEnd).unwrap())
        }
        Study::Calendar(_) => unreachable!("no strategy"),
    };
    let report = &outcome.report;
    for (name, count) in [
        ("candles", report.candles),
        ("warm_up", report.warm_up),
        ("restarts", report.restarts),
        ("signals", report.signals),
        ("trades", report.trades),
        ("rows", outcome.trades.len() as u64),
    ] {
        assert_eq!(Value::from(count), case[name], "{what} {name}");
    }
    near_if_any(&format!("{what} break-even"), report.break_even_fee_bps, &case["break_even_fee_bps"]);
    for (name, phases) in [("strategy", &report.strategy), ("buy_and_hold", &report.buy_and_hold)] {
        check_phase(&format!("{what} {name} whole"), phases.whole.as_ref(), &case[name]["whole"]);
        check_phase(&format!("{what} {name} in"), phases.in_sample.as_ref(), &case[name]["in_sample"]);
        check_phase(&format!("{what} {name} out"), phases.out_of_sample.as_ref(), &case[name]["out_of_sample"]);
    }
    let sums = &case["sums"];
    let known = run.indicators.iter().filter(|indicator| !indicator.is_nan());
    near("indicators", known.map(|indicator| indicator.abs()).sum(), &sums["indicator"]);
    near("equity", run.account.equity.iter().sum(), &sums["equity"]);
    near("buy and hold", run.held.iter().sum(), &sums["buy_and_hold"]);
    near("fills", outcome.signals.iter().filter_map(|signal| signal.fill).sum(), &sums["fills"]);
    near("net returns", outcome.trades.iter().map(|trade| trade.net_return.abs()).sum(), &sums["net_returns"]);
    assert_eq!(Value::from(outcome.trades.iter().map(|trade| trade.candles).sum::<u64>()), sums["candles"]);
    let outages = outcome.trades.iter().filter(|trade| trade.through_outage).count();
    assert_eq!(Value::from(outages), sums["outages"], "{what} outages");
    for row in case["equity_at"].as_array().unwrap() {
        let place = candles.open_times().binary_search(&row[0].as_i64().unwrap()).unwrap();
        near("equity", run.account.equity[place], &row[1]);
        near("buy and hold", run.held[place], &row[2]);
        let indicator = run.indicators[place];
        // An indicator near 0 has lost the digits that its terms share.
        match row[3].as_f64() {
            Some(expected) => assert!((indicator - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{what}"),
            None => assert!(indicator.is_nan(), "{what}: {indicator}"),
        }
    }
    for row in case["signals_at"].as_array().unwrap() {
        let signal = &outcome.signals[usize::try_from(row[0].as_u64().unwrap()).unwrap()];
        assert_eq!(Value::from(signal.open_time.ms()), row[1]);
        assert_eq!(Value::from(side(signal.position)), row[2]);
        let expected = row[3].as_f64().unwrap();
        assert!((signal.indicator - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{what}: {signal:?}");
        assert_eq!(signal.filled_at.map_or(Value::Null, |at| at.ms().into()), row[4]);
        near_if_any("fill", signal.fill, &row[5]);
    }
    for row in case["trades_at"].as_array().unwrap() {
        let trade = &outcome.trades[usize::try_from(row[0].as_u64().unwrap()).unwrap()];
        assert_eq!(Value::from(side(trade.position)), row[1]);
        assert_eq!(Value::from(trade.opened_at.ms()), row[2]);
        near("entry", trade.entry, &row[3]);
        assert_eq!(Value::from(trade.closed_at.ms()), row[4]);
        near("exit", trade.exit, &row[5]);
        assert_eq!(Value::from(trade.candles), row[6]);
        // A share near 0 has lost the digits that entry and exit share.
        assert!((trade.net_return - row[7].as_f64().unwrap()).abs() <= 1e-12, "{what}: {trade:?}");
        assert_eq!((Value::from(trade.through_outage), Value::from(trade.open)), (row[8].clone(), row[9].clone()));
    }
}

#[test]
fn figures_are_those_that_were_computed_apart() {
    let text = std::fs::read_to_string(at("goldens/strategies/strategies.json")).unwrap();
    let goldens: Value = serde_json::from_str(&text).unwrap();
    let cases = goldens["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 8);
    cases.iter().for_each(check_case);
}
