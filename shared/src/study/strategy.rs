//! What trading by a rule would have done.

use crate::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// Owns the base asset.
    Long,
    /// Owns nothing.
    Flat,
    /// Owes the base asset.
    Short,
}

/// A part of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// All candles.
    Whole,
    /// The first part.
    InSample,
    /// The last part.
    OutOfSample,
}

/// What a rule found and did. A signal is known at a close and filled at the open of the next candle that has volume; each fill
/// costs its fee.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StrategyReport {
    /// Candles that it looked at.
    pub candles: u64,
    /// Candles at the start, and after each outage, at which its indicators were not known yet.
    pub warm_up: u64,
    /// Outages (missing candles) after which the indicators restarted.
    pub restarts: u64,
    /// Candles between the two samples that count for neither.
    pub embargo: u64,
    /// Signals, filled or not; all of them in the table `signals`.
    pub signals: u64,
    /// Closed trades; the table `trades` also has the position that was still held at the end, marked `open`.
    pub trades: u64,
    /// The rule's figures.
    pub strategy: Phases,
    /// Those of buying at the first open that the rule could trade at and holding, with one fee.
    pub buy_and_hold: Phases,
    /// Fee at which the total return of the whole time is 0, in basis points a fill; null when the rule earns nothing without a
    /// fee, loses everything, or never trades. Where a short would lose everything at a lower fee already: that fee.
    pub break_even_fee_bps: Option<f64>,
    /// Worth of 1 unit of the quote asset over time, thinned to at most 2,000 points that keep the ends and the deepest falls.
    pub equity: Vec<EquityPoint>,
}

/// Figures of each part of the time; null of one that has no candles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Phases {
    /// All candles.
    pub whole: Option<Performance>,
    /// The first part.
    pub in_sample: Option<Performance>,
    /// The last part.
    pub out_of_sample: Option<Performance>,
}

/// Figures of a part of the time. Ratios are annualised by the interval; a year has 365.25 days.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Performance {
    /// Open time of its first candle.
    pub from: Timestamp,
    /// Close of its last candle (open time of the one after it).
    pub to: Timestamp,
    /// Candles in it.
    pub candles: u64,
    /// Worth at the last close over worth at the close before the first candle (1 at the very start), minus 1.
    pub total_return: f64,
    /// Compound annual growth rate: (1 + total return)^(1 / years from `from` to `to`) − 1; outages count as time. Null for less
    /// than 90 days.
    pub cagr: Option<f64>,
    /// Standard deviation (n − 1 below the line) of the returns from close to close, times √(candles a year).
    pub volatility: Option<f64>,
    /// Mean return over its deviation, times √(candles a year), without a risk-free rate; null when nothing moves.
    pub sharpe: Option<f64>,
    /// Mean return over the deviation of losses (root of the mean over all candles of the squares of returns below 0), times
    /// √(candles a year); null without a loss.
    pub sortino: Option<f64>,
    /// Deepest fall from a peak, as share of the peak: 0.25 is a quarter lost.
    pub max_drawdown: f64,
    /// Open time of the candle at whose close the peak before it stood; of a peak before the first candle, `from`.
    pub drawdown_from: Option<Timestamp>,
    /// Open time of the candle at whose close its lowest point stood.
    pub drawdown_to: Option<Timestamp>,
    /// Open time of the candle at whose close that peak was reached again; null: not until the end.
    pub recovered_at: Option<Timestamp>,
    /// Share of the candles at whose close a position was held.
    pub exposure: f64,
    /// Trades closed in it; one that is still open at the end is none.
    pub trades: u64,
    /// Share of them that earned something after fees.
    pub win_rate: Option<f64>,
    /// What those that won earned over what those that lost lost, in money, after fees; null without a loss.
    pub profit_factor: Option<f64>,
}

/// A change of the wanted position.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Signal {
    /// Open time of the candle at whose close it is known.
    pub open_time: Timestamp,
    /// That close.
    pub close: f64,
    /// The position that is wanted from then on.
    pub position: Position,
    /// The indicator that gave it: fast minus slow average in the quote asset, or the z-score.
    pub indicator: f64,
    /// Open time of the candle at whose open it was filled; null: another signal came before a candle with volume, there was none
    /// any more, or nothing was left to trade with.
    pub filled_at: Option<Timestamp>,
    /// Price of the fill.
    pub fill: Option<f64>,
}

/// A position from its opening to its closing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Trade {
    /// Long or short.
    pub position: Position,
    /// Open time of the candle at whose open it was opened.
    pub opened_at: Timestamp,
    /// Price of that fill.
    pub entry: f64,
    /// Open time of the candle at whose open it was closed; of a position that was still held at the end, or of a short that lost
    /// everything at a close, of the candle of that close.
    pub closed_at: Timestamp,
    /// Price of that fill; of a position that was still held at the end, the last close; of a short that lost everything at a
    /// close, that close.
    pub exit: f64,
    /// Candles at whose close it was held.
    pub candles: u64,
    /// What it earned after fees, as share of what was staked. With f the fee of a fill as share and r = exit / entry: long
    /// (1 − f)² r − 1, short 1 − r − f (1 + r), at least −1. A position still open pays no closing fee.
    pub net_return: f64,
    /// Whether it was held through missing candles.
    pub through_outage: bool,
    /// Whether it was still held at the end.
    pub open: bool,
}

/// Worth at the close of a candle; 1 at the start.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EquityPoint {
    /// Open time of the candle.
    pub open_time: Timestamp,
    /// Worth of the rule.
    pub strategy: f64,
    /// Worth of buying and holding.
    pub buy_and_hold: f64,
}
