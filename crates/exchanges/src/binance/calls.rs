//! The calls of the REST interface as they are written, and their answers as they are read.

use super::answer::one_line;
use super::http::Call;
use super::limits::{
    LONGEST_ANSWER, LONGEST_MARKET_LIST, PAGE_CANDLES, WEIGHT_EXCHANGE_INFO, WEIGHT_KLINES, WEIGHT_TIME,
};
use super::market_list::{parse_markets, parse_time};
use super::rows::parse_rows;
use crate::error::{ExchangeError, Fault};
use crate::market::Markets;
use candlemill_shared::{Candle, Interval, Symbol, TimeRange};
use std::fmt::Write as _;

/// What the exchange's clock shows.
pub(super) fn time_call() -> Call {
    call("/api/v3/time", WEIGHT_TIME, LONGEST_ANSWER, "")
}

/// All markets and the weight limit.
pub(super) fn markets_call() -> Call {
    call("/api/v3/exchangeInfo", WEIGHT_EXCHANGE_INFO, LONGEST_MARKET_LIST, "")
}

/// One market.
pub(super) fn market_call(symbol: &Symbol) -> Call {
    let target = format!("/api/v3/exchangeInfo?symbol={}", encoded(symbol));
    call(&target, WEIGHT_EXCHANGE_INFO, LONGEST_ANSWER, &format!(" of {symbol}"))
}

/// Candles, with `parameters` beside symbol and interval. `subject` says in messages which candles.
pub(super) fn candles_call(symbol: &Symbol, interval: Interval, parameters: &str, subject: &str) -> Call {
    let target = format!("/api/v3/klines?symbol={}&interval={interval}{parameters}", encoded(symbol));
    call(&target, WEIGHT_KLINES, LONGEST_ANSWER, &format!(" of {symbol} {interval}{subject}"))
}

/// The candles of one window.
///
/// # Errors
/// When one answer cannot hold them.
pub(super) fn window_call(symbol: &Symbol, interval: Interval, window: TimeRange) -> Result<Call, ExchangeError> {
    // Rule 1: the wire's end is inclusive, ours is not.
    let last = window.end.saturating_sub(1);
    let bounds = format!("&startTime={}&endTime={last}&limit={PAGE_CANDLES}", window.start);
    let call = candles_call(symbol, interval, &bounds, &format!(" {window}"));
    let unaskable = if window.is_empty() || window.start < 0 {
        Some("the window is empty or begins before 1970")
    } else if interval.count(window) > u64::from(PAGE_CANDLES) {
        Some("the window holds more candles than one answer")
    } else {
        None
    };
    match unaskable {
        Some(why) => Err(ExchangeError { call: call.name, fault: Fault::Unaskable(why) }),
        None => Ok(call),
    }
}

fn call(target: &str, weight: u32, longest_answer: usize, subject: &str) -> Call {
    let path = target.split('?').next().unwrap_or(target);
    Call { target: target.to_owned(), weight, longest_answer, name: format!("GET {path}{subject}") }
}

/// The symbol as a query holds it: every byte that is not unreserved as `%XX`.
fn encoded(symbol: &Symbol) -> String {
    let mut encoded = String::with_capacity(symbol.as_str().len());
    for byte in symbol.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            encoded.push(char::from(byte));
        } else {
            let _infallible = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// UTC ms.
pub(super) fn read_time(body: &[u8]) -> Result<i64, Fault> {
    parse_time(body).map_err(|source| malformed("server time", body, source))
}

pub(super) fn read_markets(body: &[u8]) -> Result<Markets, Fault> {
    parse_markets(body).map_err(|source| malformed("list of markets", body, source))
}

pub(super) fn read_candles(body: &[u8]) -> Result<Vec<Candle>, Fault> {
    parse_rows(body).map_err(|source| malformed("array of candles", body, source))
}

fn malformed(expected: &'static str, body: &[u8], source: serde_json::Error) -> Fault {
    let beginning = &body[..body.len().min(80)];
    Fault::Malformed { expected, excerpt: one_line(&String::from_utf8_lossy(beginning)), source }
}
