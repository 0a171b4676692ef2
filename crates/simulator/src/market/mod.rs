//! What the exchange trades: symbols, their series, and the outages that a script makes.

mod error;
pub(crate) mod file;
pub(crate) mod generated;
pub(crate) mod page;
pub(crate) mod restatement;
pub(crate) mod row_text;
pub(crate) mod rows;
pub(crate) mod series;

use crate::config::GeneratedMarket;
use candlemill_shared::{Interval, Symbol, TimeRange};
pub use error::MarketError;
use page::Window;
pub use restatement::Restatement;
use serde::{Deserialize, Serialize};
use series::Series;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A stretch without candles, as an exchange outage leaves it: the rows do not exist, whatever is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outage {
    /// The symbol that it strikes; every symbol when absent.
    #[serde(default)]
    pub symbol: Option<Symbol>,
    /// The interval that it strikes; every interval when absent.
    #[serde(default)]
    pub interval: Option<Interval>,
    /// First open time that is missing, UTC ms.
    pub start: i64,
    /// First open time that exists again, UTC ms.
    pub end: i64,
}

/// Where a symbol is to be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// In `exchangeInfo`; its candles answer.
    #[default]
    Listed,
    /// Not in `exchangeInfo` any more, though its candles still answer.
    Delisted,
    /// Nowhere: the exchange does not know it (yet).
    Hidden,
}

/// One symbol.
#[derive(Debug, Default)]
struct Listing {
    series: BTreeMap<Interval, Arc<Series>>,
}

/// Everything that can be asked for.
#[derive(Debug)]
pub(crate) struct Market {
    listings: BTreeMap<Symbol, Listing>,
    outages: RwLock<Vec<Outage>>,
    statuses: RwLock<BTreeMap<Symbol, String>>,
    visibilities: RwLock<BTreeMap<Symbol, Visibility>>,
    restatements: RwLock<Vec<Restatement>>,
}

impl Market {
    /// The series of the folder `data_dir/klines` (nothing is read yet) and the generated ones.
    pub(crate) fn open(data_dir: Option<&Path>, generated: &[GeneratedMarket]) -> Result<Self, MarketError> {
        let mut listings: BTreeMap<Symbol, Listing> = BTreeMap::new();
        if let Some(data_dir) = data_dir {
            for (symbol, interval, path) in candle_files(&data_dir.join("klines"))? {
                let series = Arc::new(Series::File(file::FileSeries::new(path.clone())));
                let listing = listings.entry(symbol).or_default();
                if listing.series.insert(interval, series).is_some() {
                    let problem = format!("another file holds the {interval} candles of this symbol already");
                    return Err(MarketError::Malformed { path, line: 0, problem });
                }
            }
        }
        for market in generated {
            let listing = listings.entry(market.symbol.clone()).or_default();
            for interval in Interval::ALL {
                let series =
                    generated::GeneratedSeries::new(&market.symbol, interval, market.listed_at_ms, market.seed);
                listing.series.entry(interval).or_insert_with(|| Arc::new(Series::Generated(series)));
            }
        }
        Ok(Self {
            listings,
            outages: RwLock::default(),
            statuses: RwLock::default(),
            visibilities: RwLock::default(),
            restatements: RwLock::default(),
        })
    }

    /// Every symbol and its status, those that are not to be seen among them.
    pub(crate) fn symbols(&self) -> Vec<(Symbol, String)> {
        let statuses = read(&self.statuses);
        self.listings
            .keys()
            .map(|symbol| (symbol.clone(), statuses.get(symbol).map_or("TRADING", String::as_str).to_owned()))
            .collect()
    }

    /// Where the symbol is to be seen.
    pub(crate) fn visibility(&self, symbol: &Symbol) -> Visibility {
        if self.listings.contains_key(symbol) {
            read(&self.visibilities).get(symbol).copied().unwrap_or_default()
        } else {
            Visibility::Hidden
        }
    }

    /// Changes where the symbol is to be seen.
    pub(crate) fn set_visibility(&self, symbol: Symbol, visibility: Visibility) {
        write(&self.visibilities).insert(symbol, visibility);
    }

    /// Changes the status that `exchangeInfo` shows.
    pub(crate) fn set_status(&self, symbol: Symbol, status: String) {
        write(&self.statuses).insert(symbol, status);
    }

    /// The series; `None` when the symbol has no candles of this interval.
    pub(crate) fn series(&self, symbol: &Symbol, interval: Interval) -> Option<Arc<Series>> {
        self.listings.get(symbol)?.series.get(&interval).cloned()
    }

    /// Adds an outage.
    pub(crate) fn add_outage(&self, outage: Outage) {
        write(&self.outages).push(outage);
    }

    /// Ends one outage, and those that are equal to it; whether there was any.
    pub(crate) fn remove_outage(&self, outage: &Outage) -> bool {
        let mut outages = write(&self.outages);
        let before = outages.len();
        outages.retain(|other| other != outage);
        outages.len() < before
    }

    /// Serves a row with other values from now on.
    pub(crate) fn restate(&self, restatement: Restatement) {
        let mut restatements = write(&self.restatements);
        restatements.retain(|other| !other.is_of_the_same_row(&restatement));
        restatements.push(restatement);
    }

    /// Ends every outage and shows every symbol as trading.
    pub(crate) fn restore(&self) {
        write(&self.outages).clear();
        write(&self.statuses).clear();
    }

    /// As it was at the start: no outage, no restated row, every symbol to be seen and trading.
    pub(crate) fn reset(&self) {
        self.restore();
        write(&self.visibilities).clear();
        write(&self.restatements).clear();
    }

    fn outages(&self, symbol: &Symbol, interval: Interval) -> Vec<TimeRange> {
        let outages = read(&self.outages);
        outages
            .iter()
            .filter(|outage| outage.symbol.as_ref().is_none_or(|struck| struck == symbol))
            .filter(|outage| outage.interval.is_none_or(|struck| struck == interval))
            .map(|outage| TimeRange::new(outage.start, outage.end))
            .collect()
    }

    fn restatements(&self, symbol: &Symbol, interval: Interval) -> Vec<Restatement> {
        let all = read(&self.restatements);
        all.iter().filter(|one| one.symbol == *symbol && one.interval == interval).cloned().collect()
    }

    /// The body of one klines call. Reading a file and computing rows happen off the server's threads.
    pub(crate) async fn page(
        &self,
        symbol: &Symbol,
        interval: Interval,
        window: Window,
    ) -> Result<Vec<bytes::Bytes>, MarketError> {
        let Some(series) = self.series(symbol, interval) else {
            return Ok(vec![bytes::Bytes::from_static(b"[]")]);
        };
        let outages = self.outages(symbol, interval);
        let restatements = self.restatements(symbol, interval);
        if restatements.is_empty() && series.is_ready() {
            let chosen = page::choose(&series, window, &outages)?;
            if chosen.iter().all(|range| series.holds(range)) {
                return page::print(&series, &chosen, window.now);
            }
        }
        tokio::task::spawn_blocking(move || {
            let chosen = page::choose(&series, window, &outages)?;
            let pieces = page::print(&series, &chosen, window.now)?;
            Ok(if restatements.is_empty() { pieces } else { restatement::applied(pieces, &restatements) })
        })
        .await
        .unwrap_or_else(|error| Err(MarketError::Unprepared(Arc::new(error))))
    }

    /// Reads or computes the rows of `range` ahead of the calls; the number of rows.
    pub(crate) async fn warm(
        &self,
        symbol: &Symbol,
        interval: Interval,
        range: TimeRange,
    ) -> Result<usize, MarketError> {
        let Some(series) = self.series(symbol, interval) else { return Ok(0) };
        tokio::task::spawn_blocking(move || {
            let rows = series.position(range.start)?..series.position(range.end)?;
            series.pieces(&rows).map(|_| rows.len())
        })
        .await
        .unwrap_or_else(|error| Err(MarketError::Unprepared(Arc::new(error))))
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// The candle files of a folder, by name: `SYMBOL_INTERVAL[_anything].csv[.gz]`.
fn candle_files(folder: &Path) -> Result<Vec<(Symbol, Interval, PathBuf)>, MarketError> {
    let unreadable =
        |error: std::io::Error| MarketError::Unreadable { path: folder.to_owned(), source: Arc::new(error) };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(stem) = name.strip_suffix(".csv.gz").or_else(|| name.strip_suffix(".csv")) else { continue };
        let mut parts = stem.split('_');
        let symbol = parts.next().and_then(|text| text.parse().ok());
        let interval = parts.next().and_then(|text| text.parse().ok());
        let (Some(symbol), Some(interval)) = (symbol, interval) else {
            let problem = "the name must be SYMBOL_INTERVAL[_anything].csv or .csv.gz".to_owned();
            return Err(MarketError::Malformed { path, line: 0, problem });
        };
        files.push((symbol, interval, path));
    }
    Ok(files)
}
