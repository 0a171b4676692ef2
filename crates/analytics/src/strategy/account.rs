//! What a rule's signals do to an account.

use super::rows::ROWS_PER_STEP;
use super::rule::{Rule, Terms};
use super::stretches::Stretches;
use crate::candles::Candles;
use crate::control::{Control, Stopped};
use candlemill_shared::study::{Position, Signal, Trade};

/// The account of a rule after all candles.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Worth at the close of each candle; 1 at the start.
    pub(super) equity: Vec<f64>,
    /// Every change of the wanted position.
    pub(super) signals: Vec<Signal>,
    /// Every position that was opened.
    pub(super) holdings: Vec<Holding>,
}

/// A position with its place among the candles.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Holding {
    /// The form of it that the user sees.
    pub(super) trade: Trade,
    /// Row at whose open it was opened.
    pub(super) opened: usize,
    /// Row of the fill, or of the close, that ended it.
    pub(super) closed: usize,
    /// Row after the last one at whose close it was held.
    pub(super) held_until: usize,
    /// Worth of the account before its opening.
    pub(super) stake: f64,
    /// Highest close while it was held, or the exit, over its entry.
    pub(super) highest: f64,
}

/// A position that is held.
#[derive(Debug, Clone, Copy)]
struct Held {
    side: Position,
    opened: usize,
    entry: f64,
    stake: f64,
    highest: f64,
}

/// What ends a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// A fill.
    Fill,
    /// A close at which a short has lost everything.
    Ruin,
    /// The last close.
    End,
}

impl Held {
    /// Rules 5 and 6: what each unit of the stake is worth at `price`, before the fee of closing.
    fn worth(&self, price: f64, fee: f64) -> f64 {
        let ratio = price / self.entry;
        match self.side {
            Position::Short => (2.0 - ratio - fee).max(0.0),
            _ => ratio * (1.0 - fee),
        }
    }

    /// Rule 5: what is left of each unit of the stake after closing at `price`.
    fn closed(&self, price: f64, fee: f64) -> f64 {
        let ratio = price / self.entry;
        match self.side {
            Position::Short => (2.0 - ratio - fee * (1.0 + ratio)).max(0.0),
            _ => ratio * (1.0 - fee) * (1.0 - fee),
        }
    }
}

/// Worth that stays a number, whatever the prices do.
fn bounded(worth: f64) -> f64 {
    worth.min(f64::MAX)
}

impl Account {
    /// Trades `rule` over all candles.
    pub(super) fn trade(
        candles: &Candles,
        (indicators, stretches): (&[f64], &Stretches),
        rule: &impl Rule,
        terms: Terms,
        control: &impl Control,
    ) -> Result<Self, Stopped> {
        let (times, opens, closes, volumes) =
            (candles.open_times(), candles.opens(), candles.closes(), candles.volumes());
        let fee = terms.fee();
        let mut account = Self { equity: Vec::with_capacity(candles.len()), ..Self::default() };
        let (mut worth, mut wanted) = (1.0, Position::Flat);
        let mut held: Option<Held> = None;
        let mut waiting: Option<usize> = None;
        for row in 0..candles.len() {
            if row % ROWS_PER_STEP == 0 {
                control.may_go_on()?;
            }
            // Rule 2: the open of a candle with volume. An account at 0 trades no more (rule 6).
            if let Some(signal) = waiting.filter(|_| volumes[row] > 0.0 && worth > 0.0) {
                waiting = None;
                let price = opens[row];
                account.signals[signal].filled_at = Some(times[row].into());
                account.signals[signal].fill = Some(price);
                if let Some(position) = held.take() {
                    worth = bounded(position.stake * position.closed(price, fee));
                    account.end(candles, stretches, position, (row, price, fee), Exit::Fill);
                }
                if wanted != Position::Flat && worth > 0.0 {
                    held = Some(Held { side: wanted, opened: row, entry: price, stake: worth, highest: 1.0 });
                }
            }
            // Rule 6.
            if let Some(position) = &mut held {
                position.highest = position.highest.max(closes[row] / position.entry);
                worth = bounded(position.stake * position.worth(closes[row], fee));
                if worth == 0.0 && position.side == Position::Short {
                    account.end(candles, stretches, *position, (row, closes[row], fee), Exit::Ruin);
                    held = None;
                }
            }
            account.equity.push(worth);
            // Rules 1 and 3.
            let indicator = indicators[row];
            if indicator.is_finite() {
                let wants = rule.wants(wanted, indicator, terms.sides);
                if wants != wanted {
                    wanted = wants;
                    let differs = held.map_or(Position::Flat, |position| position.side) != wanted;
                    waiting = differs.then_some(account.signals.len());
                    account.signals.push(Signal {
                        open_time: times[row].into(),
                        close: closes[row],
                        position: wanted,
                        indicator,
                        filled_at: None,
                        fill: None,
                    });
                }
            }
        }
        // Rule 7.
        if let (Some(position), Some(last)) = (held, closes.len().checked_sub(1)) {
            account.end(candles, stretches, position, (last, closes[last], fee), Exit::End);
        }
        Ok(account)
    }

    fn end(
        &mut self,
        candles: &Candles,
        stretches: &Stretches,
        held: Held,
        (row, price, fee): (usize, f64, f64),
        exit: Exit,
    ) {
        let left = if exit == Exit::Fill { held.closed(price, fee) } else { held.worth(price, fee) };
        let held_until = if exit == Exit::Fill { row } else { row + 1 };
        self.holdings.push(Holding {
            trade: Trade {
                position: held.side,
                opened_at: candles.open_times()[held.opened].into(),
                entry: held.entry,
                closed_at: candles.open_times()[row].into(),
                exit: price,
                candles: (held_until - held.opened) as u64,
                net_return: bounded(left) - 1.0,
                through_outage: stretches.broken(held.opened, row),
                open: exit == Exit::End,
            },
            opened: held.opened,
            closed: row,
            held_until,
            stake: held.stake,
            highest: held.highest.max(price / held.entry),
        });
    }
}

/// Rule 8: worth at each close of buying and holding, and the row at whose open it buys.
pub(super) fn buy_and_hold(
    candles: &Candles,
    indicators: &[f64],
    fee: f64,
    control: &impl Control,
) -> Result<(Vec<f64>, Option<usize>), Stopped> {
    control.may_go_on()?;
    let known = indicators.iter().position(|indicator| indicator.is_finite());
    let bought = known.and_then(|known| (known + 1..candles.len()).find(|row| candles.volumes()[*row] > 0.0));
    control.may_go_on()?;
    let mut worth = vec![1.0; candles.len()];
    if let Some(bought) = bought {
        let entry = candles.opens()[bought];
        for (worth, close) in worth.iter_mut().zip(candles.closes()).skip(bought) {
            *worth = bounded(close / entry * (1.0 - fee));
        }
    }
    control.may_go_on()?;
    Ok((worth, bought))
}
