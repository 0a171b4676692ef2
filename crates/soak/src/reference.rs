//! The source that stored candles are compared with: the same market in this process, past every fault.

use anyhow::{Context as _, Result, ensure};
use candlemill_shared::TimeRange;
use candlemill_shared::range::normalise;
use candlemill_simulator::{ClockSetting, GeneratedMarket, Outage, Simulator, SimulatorConfig, WeightRules};
use serde_json::Value;
use std::collections::BTreeMap;

use crate::plan::{MINUTE, PAGE, SYMBOLS, outages};

/// Rows by open time, UTC ms.
pub(crate) type Rows = BTreeMap<i64, Value>;

/// The exchange, undisturbed.
#[derive(Debug)]
pub(crate) struct Reference {
    simulator: Simulator,
    http: reqwest::Client,
    outages: Vec<(&'static str, TimeRange)>,
}

impl Reference {
    /// The exchange of the series with this seed.
    pub(crate) async fn start(seed: u64) -> Result<Self> {
        let mut generated = Vec::new();
        for symbol in SYMBOLS {
            generated.push(GeneratedMarket::new(symbol.parse().context("a generated symbol")?));
        }
        let weight_rules = WeightRules { limit: u32::MAX, ..WeightRules::default() };
        // Ahead of every clock that a fault sets: all that was asked for is closed here.
        let clock = ClockSetting::Offset { ms: 86_400_000 };
        let config = SimulatorConfig { generated, weight_rules, clock, ..SimulatorConfig::default() };
        let (simulator, outages) = (Simulator::start(config).await?, outages(seed));
        for (symbol, TimeRange { start, end }) in outages.iter().copied() {
            let symbol = Some(symbol.parse().context("a generated symbol")?);
            simulator.control().add_outage(Outage { symbol, interval: None, start, end });
        }
        Ok(Self { simulator, http: reqwest::Client::new(), outages })
    }

    /// The stretches of `range` of which the exchange really has no candle.
    pub(crate) fn lacks(&self, symbol: &str, range: TimeRange) -> Vec<TimeRange> {
        let of_symbol = self.outages.iter().filter(|(lost, _)| *lost == symbol);
        normalise(of_symbol.map(|(_, lost)| lost.intersect(range)).collect())
    }

    /// Number of candles that the exchange has of `range`.
    pub(crate) fn has(&self, symbol: &str, range: TimeRange) -> i64 {
        let lost: i64 = self.lacks(symbol, range).iter().map(|lost| lost.length()).sum();
        (range.length() - lost) / MINUTE
    }

    /// Every candle of `range`.
    pub(crate) async fn rows(&self, symbol: &str, range: TimeRange) -> Result<Rows> {
        let mut rows = Rows::new();
        let mut start = range.start;
        while start < range.end {
            let end = (start + PAGE * MINUTE).min(range.end);
            let url = format!(
                "{}/api/v3/klines?symbol={symbol}&interval=1m&startTime={start}&endTime={}&limit={PAGE}",
                self.simulator.url(),
                end - 1
            );
            let page: Value = self.http.get(url).send().await?.error_for_status()?.json().await?;
            add(&mut rows, page)?;
            start = end;
        }
        let expected = usize::try_from(self.has(symbol, range))?;
        ensure!(rows.len() == expected, "the source has {} of {expected} candles of {symbol} {range:?}", rows.len());
        Ok(rows)
    }
}

/// Adds an answer's rows; each open time may come once.
pub(crate) fn add(rows: &mut Rows, page: Value) -> Result<()> {
    let Value::Array(page) = page else { anyhow::bail!("candles are an array of rows, not {page}") };
    for row in page {
        let open = row[0].as_i64().with_context(|| format!("a row without an open time: {row}"))?;
        ensure!(rows.insert(open, row).is_none(), "the candle of {open} comes twice");
    }
    Ok(())
}
