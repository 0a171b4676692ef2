//! The chart of a strategy: its figures around the picture of its worth.

use crate::captions::series_line;
use crate::equity::{self, Span};
use crate::page::Page;
use crate::words;
use crate::{Chart, ChartContext};
use candlemill_shared::study::{Performance, StrategyReport};

/// Largest number of characters of the study's name in the chart's.
const MAX_NAME: usize = 48;

/// Worth over time on a logarithmic scale, with the falls from each peak below it, beside buying and holding. `study` is its
/// name on the wire (`sma_crossover`). None where fewer than two points can be drawn.
#[must_use]
pub fn strategy(context: &ChartContext<'_>, study: &str, report: &StrategyReport) -> Option<Chart> {
    let span = Span::of(&report.equity)?;
    let mut page = Page::new(&format!("{}: worth of 1 unit", heading(study)));
    equity::draw(&mut page, report, span);
    page.y += 4.0;
    page.paragraph("strong", &comparison("Whole", &report.strategy.whole, &report.buy_and_hold.whole));
    page.paragraph("", &comparison("In sample", &report.strategy.in_sample, &report.buy_and_hold.in_sample));
    page.paragraph(
        "",
        &comparison("Out of sample", &report.strategy.out_of_sample, &report.buy_and_hold.out_of_sample),
    );
    page.paragraph("soft", &series_line(context));
    let without = if report.trades == 0 { "n/a, it closed no trade" } else { "none" };
    let fee = report
        .break_even_fee_bps
        .filter(|fee| fee.is_finite())
        .map_or_else(|| without.to_owned(), |fee| format!("{}\u{a0}bp a fill", words::figure(fee)));
    page.paragraph(
        "soft",
        &format!(
            "n\u{a0}{} candles, {} closed {}, {} {} after outages. Fee at which it earns nothing: {fee}.",
            words::count(report.candles),
            words::count(report.trades),
            if report.trades == 1 { "trade" } else { "trades" },
            words::count(report.restarts),
            if report.restarts == 1 { "restart" } else { "restarts" },
        ),
    );
    page.paragraph(
        "soft",
        "Dotted: where the samples meet; shaded: the embargo between them. Lower panel: fall from the last peak.",
    );
    Some(page.finish(format!("equity-{}", slug(study))))
}

fn heading(study: &str) -> String {
    match study {
        "sma_crossover" => "Moving-average crossover".to_owned(),
        "mean_reversion" => "Mean reversion".to_owned(),
        other => crate::text::name(other),
    }
}

/// `study` in `[a-z0-9-]`.
fn slug(study: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    study.chars().take(MAX_NAME).map(word).collect()
}

/// A part's figures of the rule beside those of holding.
fn comparison(part: &str, rule: &Option<Performance>, hold: &Option<Performance>) -> String {
    let Some(rule) = rule else { return format!("{part}: n/a.") };
    let sharpe = rule.sharpe.filter(|ratio| ratio.is_finite()).map_or_else(|| "n/a".to_owned(), words::signed);
    let hold = hold.as_ref().map_or_else(
        || "hold n/a".to_owned(),
        |hold| format!("hold {}, deepest fall {}", gain(hold.total_return), loss(hold.max_drawdown)),
    );
    format!(
        "{part}: rule {}, deepest fall {}, Sharpe\u{a0}{sharpe}; {hold}.",
        gain(rule.total_return),
        loss(rule.max_drawdown)
    )
}

fn gain(share: f64) -> String {
    if share.is_finite() { format!("{}\u{a0}%", words::signed(share * 100.0)) } else { "n/a".to_owned() }
}

fn loss(share: f64) -> String {
    if share.is_finite() { words::per_cent(share) } else { "n/a".to_owned() }
}
