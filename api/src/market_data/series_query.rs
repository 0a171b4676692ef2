//! Which series a query names, and times of it.

use crate::error::Problem;
use crate::input::Time;
use candlemill_market_store::Series;
use candlemill_shared::{Exchange, Interval, Symbol};

/// The series, or what is wrong with its name is told to `wrong`.
pub(super) fn series(symbol: Option<&str>, interval: Option<&str>, wrong: &mut Problem) -> Option<Series> {
    let symbol = symbol.unwrap_or_default().parse::<Symbol>();
    let interval = interval.unwrap_or_default().parse::<Interval>();
    let symbol = symbol.map_err(|error| wrong.refuse("symbol", error.to_string())).ok();
    let interval = interval.map_err(|error| wrong.refuse("interval", error.to_string())).ok();
    Some(Series::new(Exchange::default(), symbol?, interval?))
}

/// A time in UTC ms, or what is wrong with it is told to `wrong`.
pub(super) fn time(field: &str, text: Option<&str>, wrong: &mut Problem) -> Option<i64> {
    text.and_then(|text| Time::parse(text).map_err(|error| wrong.refuse(field, error)).ok()).map(Time::ms)
}
