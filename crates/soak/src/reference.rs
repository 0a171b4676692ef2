//! The source that stored candles are compared with: the same market in this process, past every fault.

use anyhow::{Context as _, Result, ensure};
use candlemill_shared::TimeRange;
use candlemill_simulator::{ClockSetting, GeneratedMarket, Simulator, SimulatorConfig, WeightRules};
use serde_json::Value;
use std::collections::BTreeMap;

use crate::plan::{MINUTE, PAGE, SYMBOLS};

/// Rows by open time, UTC ms.
pub(crate) type Rows = BTreeMap<i64, Value>;

/// The exchange, undisturbed.
#[derive(Debug)]
pub(crate) struct Reference {
    simulator: Simulator,
    http: reqwest::Client,
}

impl Reference {
    pub(crate) async fn start() -> Result<Self> {
        let mut generated = Vec::new();
        for symbol in SYMBOLS {
            generated.push(GeneratedMarket::new(symbol.parse().context("a generated symbol")?));
        }
        let weight_rules = WeightRules { limit: u32::MAX, ..WeightRules::default() };
        // Ahead of every clock that a fault sets: all that anybody asked for is closed here.
        let clock = ClockSetting::Offset { ms: 86_400_000 };
        let config = SimulatorConfig { generated, weight_rules, clock, ..SimulatorConfig::default() };
        Ok(Self { simulator: Simulator::start(config).await?, http: reqwest::Client::new() })
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
        let expected = usize::try_from(range.length() / MINUTE)?;
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
