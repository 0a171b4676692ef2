//! Trading by a rule: what it would have done, fee for fee.
//!
//! The rules, cited in the code by their numbers:
//!
//! 1. A rule decides at the close of a candle, from that candle and those before it. It wants a position; a change of what it wants is
//!    a signal.
//! 2. A signal is filled at the open of the next candle that there is, also across an outage, and that has volume: where nothing was
//!    traded, nothing can be filled. A signal that another one follows before its fill is never filled, nor is one after the last
//!    candle with volume. Candles without volume count for indicators and signals like any other.
//! 3. Indicators restart after an outage (a candle that is missing): no window reaches over one. Until they are known again, the rule
//!    goes on wanting what it wanted, and a position is kept.
//! 4. A position that is held through an outage earns the move across it.
//! 5. All that the account is worth is staked in each position. With f the fee of a fill as share of the fill's worth and r the ratio of
//!    exit to entry: a long position turns worth 1 into (1 − f)² r, a short one into 2 − r − f (1 + r). A flip from one side to the
//!    other is two fills at one price, so two fees. A short has the number of units that it sold at its opening; it is not adjusted.
//! 6. At each close the account is worth what its position would bring at that price, without the fee of closing it. A short that
//!    leaves nothing at a close or a fill is closed there; the account stays at 0 and trades no more.
//! 7. A position that is still held at the end is valued at the last close and reported as an open trade.
//! 8. Buy-and-hold buys, with one fee, at the first open at which the rule could have been filled: that of the first candle with
//!    volume after the first candle with a known indicator. It never sells.
//! 9. There is one run. The figures of a phase are those of its own candles: a position, and what it has earned, is carried into it.

mod account;
mod break_even;
mod curve;
#[cfg(test)]
mod goldens;
mod performance;
mod rolling;
mod rows;
mod rule;
mod stretches;
mod sum;
#[cfg(test)]
mod tests;

use crate::candles::Candles;
use crate::control::{Control, Stopped};
use account::Account;
use candlemill_shared::study::{MeanReversion, Phases, Samples, Signal, SmaCrossover, StrategyReport, Trade};
use performance::{Entered, Measured};
use rule::{Rule, Terms};
use std::ops::Range;
use stretches::Stretches;

/// Steps that a study reports: indicators, trading, figures and curve, of like length.
const STEPS: u64 = 4;

/// What a strategy did.
#[derive(Debug, Clone, PartialEq)]
pub struct StrategyOutcome {
    /// The figures.
    pub report: StrategyReport,
    /// Every change of the wanted position, oldest first.
    pub signals: Vec<Signal>,
    /// Every position that was opened, oldest first.
    pub trades: Vec<Trade>,
}

/// Trades on the crossings of two simple moving averages of the close: long while the fast one is above the slow one, out or short
/// while it is below; where they are equal (to 1e-13 of the slow one) what was wanted before is wanted still.
///
/// # Errors
/// [`Stopped`]: the result is not wanted any more.
pub fn sma_crossover(
    candles: &Candles,
    request: &SmaCrossover,
    control: &impl Control,
) -> Result<StrategyOutcome, Stopped> {
    let terms = Terms { sides: request.sides, fee_bps: request.fee_bps };
    let samples = (request.out_of_sample, request.embargo());
    Run::of(candles, &rule::Crossover::of(request), terms, control)?.outcome(candles, samples, control)
}

/// Trades on the return of a rolling z-score to its mean: z = (close − mean) / standard deviation (n − 1 below the line) of the last
/// `window` closes, the current one included. Long at z ≤ −entry, out at z ≥ −exit; where shorts are allowed, short at z ≥ entry, out
/// at z ≤ exit. A threshold counts as reached from 1e-9 before it. Where all closes of a window are equal there is no z and no signal.
///
/// # Errors
/// [`Stopped`]: the result is not wanted any more.
pub fn mean_reversion(
    candles: &Candles,
    request: &MeanReversion,
    control: &impl Control,
) -> Result<StrategyOutcome, Stopped> {
    let terms = Terms { sides: request.sides, fee_bps: request.fee_bps };
    let samples = (request.out_of_sample, request.embargo());
    Run::of(candles, &rule::Reversion::of(request), terms, control)?.outcome(candles, samples, control)
}

/// One run of a rule over all candles.
#[derive(Debug)]
struct Run {
    /// The indicator at each close; NaN where it is not known.
    #[cfg(test)]
    indicators: Vec<f64>,
    warm_up: u64,
    restarts: u64,
    account: Account,
    /// Worth of buying and holding at each close, and the row at whose open it bought.
    held: Vec<f64>,
    bought: Option<usize>,
}

impl Run {
    fn of(candles: &Candles, rule: &impl Rule, terms: Terms, control: &impl Control) -> Result<Self, Stopped> {
        let stretches = Stretches::of(candles, control)?;
        let indicators = rule.indicators(candles, &stretches, control)?;
        control.step(1, STEPS);
        let account = Account::trade(candles, (&indicators, &stretches), rule, terms, control)?;
        let (held, bought) = account::buy_and_hold(candles, &indicators, terms.fee(), control)?;
        control.step(2, STEPS);
        Ok(Self {
            warm_up: stretches.warm_up(rule.window()),
            restarts: stretches.outages(),
            account,
            held,
            bought,
            #[cfg(test)]
            indicators,
        })
    }

    fn outcome(
        self,
        candles: &Candles,
        (share, embargo): (f64, u32),
        control: &impl Control,
    ) -> Result<StrategyOutcome, Stopped> {
        let Account { equity, signals, holdings } = self.account;
        let count = equity.len() as u64;
        let samples = Samples::of(count, share, embargo);
        let rule = Measured { candles, equity: &equity, entered: Entered::By(&holdings) };
        let hold = Measured { candles, equity: &self.held, entered: Entered::Held(self.bought) };
        let strategy = phases(&rule, &samples, control)?;
        let buy_and_hold = phases(&hold, &samples, control)?;
        control.step(3, STEPS);
        let report = StrategyReport {
            candles: count,
            warm_up: self.warm_up,
            restarts: self.restarts,
            embargo: samples.out_of_sample.start - samples.in_sample.end,
            signals: signals.len() as u64,
            trades: holdings.iter().filter(|holding| !holding.trade.open).count() as u64,
            strategy,
            buy_and_hold,
            break_even_fee_bps: break_even::fee(&holdings, control)?.map(|fee| fee * 1e4),
            equity: curve::points(candles, &equity, &self.held, control)?,
        };
        control.step(STEPS, STEPS);
        let trades = holdings.into_iter().map(|holding| holding.trade).collect();
        Ok(StrategyOutcome { report, signals, trades })
    }
}

fn phases(measured: &Measured<'_>, samples: &Samples, control: &impl Control) -> Result<Phases, Stopped> {
    let rows = |range: &Range<u64>| row(range.start)..row(range.end);
    Ok(Phases {
        whole: measured.phase(0..measured.equity.len(), control)?,
        in_sample: measured.phase(rows(&samples.in_sample), control)?,
        out_of_sample: measured.phase(rows(&samples.out_of_sample), control)?,
    })
}

/// A number of candles in memory.
fn row(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
