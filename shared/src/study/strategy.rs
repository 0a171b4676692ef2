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

/// What a rule found and did. Fills are at the open of the candle after the signal, with the fee of each.
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
    /// Signals; all of them in the table `signals`.
    pub signals: u64,
    /// Closed trades; all of them in the table `trades`.
    pub trades: u64,
    /// The rule's figures.
    pub strategy: Phases,
    /// Those of buying at the first open that the rule could trade at and holding, with one fee.
    pub buy_and_hold: Phases,
    /// Fee at which the rule earns nothing over the whole time, in basis points a fill; null when it earns nothing without one, or
    /// never trades.
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
    /// Worth at the end over worth at the start, minus 1.
    pub total_return: f64,
    /// Compound annual growth rate.
    pub cagr: Option<f64>,
    /// Standard deviation of the returns of candles, annualised.
    pub volatility: Option<f64>,
    /// Mean return over deviation, annualised, without a risk-free rate.
    pub sharpe: Option<f64>,
    /// Mean return over the deviation of losses (root of the mean square of returns below 0), annualised.
    pub sortino: Option<f64>,
    /// Deepest fall from a peak, as share of the peak: 0.25 is a quarter lost.
    pub max_drawdown: f64,
    /// The peak before it.
    pub drawdown_from: Option<Timestamp>,
    /// Its lowest point.
    pub drawdown_to: Option<Timestamp>,
    /// When that peak was reached again; null: not until the end.
    pub recovered_at: Option<Timestamp>,
    /// Share of the candles during which a position was held.
    pub exposure: f64,
    /// Trades closed in it.
    pub trades: u64,
    /// Share of them that earned something after fees.
    pub win_rate: Option<f64>,
    /// What winning trades earned over what losing ones lost; null without a loss.
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
    /// Open time of the candle at whose open it was filled; null: there was none any more.
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
    /// Open time of the candle at whose open it was closed.
    pub closed_at: Timestamp,
    /// Price of that fill; of a position that was still held at the end, the last close.
    pub exit: f64,
    /// Candles that it was held.
    pub candles: u64,
    /// What it earned after fees, as share of what was staked.
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
