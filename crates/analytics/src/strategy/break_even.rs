//! The fee at which trading earns nothing.

use super::account::Holding;
use super::rows::ROWS_PER_STEP;
use crate::control::{Control, Stopped};
use candlemill_shared::study::Position;

/// Halvings of an interval of fees: more than a float has digits.
const HALVINGS: u32 = 100;

/// The fee of a fill, as share of its worth, at which the total return is 0; none where it is not above 0 without fees, all was lost, or
/// nothing was traded.
///
/// Fills do not depend on the fee. With rule 5 of the [module](super), and m fills of long positions, whose ratios of exit to entry are
/// R₁, R₂, …, the fee f solves Σ ln R + m ln(1 − f) + Σ ln(2 − r − f (1 + r)) = 0, the last sum over short positions (2 − r − f for
/// one that is still open). Without shorts that is f = 1 − exp(−Σ ln R / m); with them the left side falls as f rises, and is halved
/// down on. A fee that would ruin a short on its way (rule 6) is an upper bound.
pub(super) fn fee(holdings: &[Holding], control: &impl Control) -> Result<Option<f64>, Stopped> {
    let (mut longs, mut fills, mut shorts) = (0.0, 0.0, Vec::new());
    let mut bound: f64 = 1.0;
    for (place, holding) in holdings.iter().enumerate() {
        if place % ROWS_PER_STEP == 0 {
            control.may_go_on()?;
        }
        let trade = &holding.trade;
        let ratio = trade.exit / trade.entry;
        if trade.net_return <= -1.0 {
            return Ok(None);
        }
        if trade.position == Position::Short {
            let short = Short { left: 2.0 - ratio, slope: if trade.open { 1.0 } else { 1.0 + ratio } };
            bound = bound.min(short.left / short.slope).min(2.0 - holding.highest);
            shorts.push(short);
        } else {
            longs += ratio.ln();
            fills += if trade.open { 1.0 } else { 2.0 };
        }
    }
    let growth = |fee: f64| -> Result<f64, Stopped> {
        Ok(longs + if fills > 0.0 { fills * (-fee).ln_1p() } else { 0.0 } + logarithm(&shorts, fee, control)?)
    };
    let free = growth(0.0)?;
    if free <= 0.0 || !free.is_finite() {
        return Ok(None);
    }
    if shorts.is_empty() {
        return Ok(Some(-(-longs / fills).exp_m1()));
    }
    let (mut low, mut high) = (0.0, bound);
    for _ in 0..HALVINGS {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        if growth(middle)? > 0.0 { low = middle } else { high = middle }
    }
    Ok(Some(high))
}

/// What a short leaves of worth 1: `left` − fee · `slope`.
struct Short {
    left: f64,
    slope: f64,
}

/// Σ ln of what the shorts leave: the logarithm of their product, taken before it leaves the range of floats.
fn logarithm(shorts: &[Short], fee: f64, control: &impl Control) -> Result<f64, Stopped> {
    let (mut sum, mut product) = (0.0, 1.0_f64);
    for (place, short) in shorts.iter().enumerate() {
        if place % ROWS_PER_STEP == 0 {
            control.may_go_on()?;
        }
        product *= (short.left - fee * short.slope).max(0.0);
        if !(1e-100..=1e100).contains(&product) {
            sum += product.ln();
            product = 1.0;
        }
    }
    Ok(sum + product.ln())
}
