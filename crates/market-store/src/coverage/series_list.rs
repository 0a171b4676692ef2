//! Which series the ledger has: a document for each, so that a list reads no chunks. It is written before the first chunk of its
//! series; those of chunks that earlier versions wrote are added by housekeeping.
//!
//! A server may read every match of a range before it gives the first one (`secantusd-rs` does), so looking for the next series
//! among the chunks, from one to the next, would read all of them for each.

use super::ledger::Coverage;
use crate::series::Series;
use candlemill_db::{StoreError, duplicates, is_duplicate};
use candlemill_shared::{Exchange, Interval, Symbol};
use futures::TryStreamExt;
use mongodb::bson::{Document, doc};

/// Series that are added with one command.
const BATCH: usize = 1_000;
/// Ids of chunks in one answer of the server.
const IDS: u32 = 10_000;

/// Which series are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesSelection {
    /// Of this exchange.
    pub exchange: Exchange,
    /// Only of this symbol.
    pub symbol: Option<Symbol>,
    /// Only of this interval.
    pub interval: Option<Interval>,
    /// Only those after this one.
    pub after: Option<Series>,
    /// At most this many.
    pub limit: u32,
}

/// Some series, in the order of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeriesPage {
    /// The series.
    pub series: Vec<Series>,
    /// Whether others lie after them.
    pub more: bool,
}

impl Coverage {
    /// Series of which the ledger has a chunk, or is about to.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn series(&self, selection: &SeriesSelection) -> Result<SeriesPage, StoreError> {
        const READING: &str = "reading the list of series";
        let found = self.series.find(wanted(selection)).sort(doc! { "_id": 1 }).limit(i64::from(selection.limit) + 1);
        let cursor = found.await.map_err(StoreError::mongo(READING))?;
        let mut found: Vec<Document> = cursor.map_err(StoreError::mongo_in(READING)).try_collect().await?;
        let more = found.len() > selection.limit as usize;
        found.truncate(selection.limit as usize);
        // One that this version cannot read is of a later one.
        let series = found.iter().filter_map(|one| Series::named(one.get_str("_id").ok()?)).collect();
        Ok(SeriesPage { series, more })
    }

    /// Lists `series`, where this process has not done so yet.
    pub(super) async fn list_once(&self, series: &Series) -> Result<(), StoreError> {
        let id = series.id();
        if self.listed.contains_key(&id) {
            return Ok(());
        }
        match self.series.insert_one(document(series)).await {
            Ok(_) => {}
            Err(error) if is_duplicate(&error) => {}
            Err(error) => return Err(StoreError::mongo("listing a series")(error)),
        }
        self.listed.insert(id, ()).await;
        Ok(())
    }

    /// Lists the series of all chunks, as earlier versions did not. It reads the ids of the chunks.
    ///
    /// # Errors
    /// When MongoDB fails; a repetition is harmless.
    pub async fn list_all(&self) -> Result<(), StoreError> {
        const READING: &str = "looking which series are stored";
        let ids = self.chunks.find(doc! {}).sort(doc! { "_id": 1 }).projection(doc! { "_id": 1 }).batch_size(IDS);
        let mut ids = ids.await.map_err(StoreError::mongo(READING))?;
        let (mut last, mut new) = (None, Vec::new());
        while let Some(id) = ids.try_next().await.map_err(StoreError::mongo_in(READING))? {
            let series = id.get_str("_id").ok().and_then(Series::of_id);
            if series == last {
                continue;
            }
            new.extend(series.clone().filter(|series| !self.listed.contains_key(&series.id())));
            last = series;
            if new.len() >= BATCH {
                self.list_some(std::mem::take(&mut new)).await?;
            }
        }
        self.list_some(new).await
    }

    async fn list_some(&self, series: Vec<Series>) -> Result<(), StoreError> {
        if series.is_empty() {
            return Ok(());
        }
        let documents = series.iter().map(document);
        let listed = self.series.insert_many(documents).ordered(false).await;
        let known = duplicates(listed, "listing the series of earlier versions")?.len();
        tracing::debug!(series = series.len() - known, "listed series of earlier versions");
        for one in series {
            self.listed.insert(one.id(), ()).await;
        }
        Ok(())
    }
}

fn document(series: &Series) -> Document {
    doc! { "_id": series.id(), "interval": series.interval.as_str() }
}

fn wanted(selection: &SeriesSelection) -> Document {
    let SeriesSelection { exchange, symbol, interval, after, .. } = selection;
    let all = symbol.as_ref().map_or_else(|| exchange.to_string(), |symbol| format!("{exchange}:{symbol}"));
    // `;` is what comes after `:`.
    let mut ids = doc! { "$gte": format!("{all}:"), "$lt": format!("{all};") };
    if let Some(after) = after {
        ids.insert("$gt", after.id());
    }
    let mut wanted = doc! { "_id": ids };
    if let Some(interval) = interval {
        wanted.insert("interval", interval.as_str());
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(symbol: &str, interval: Interval) -> Series {
        Series::new(Exchange::Binance, symbol.parse().unwrap(), interval)
    }

    #[test]
    fn selections() {
        let all = SeriesSelection { exchange: Exchange::Binance, symbol: None, interval: None, after: None, limit: 5 };
        let check = |selection: SeriesSelection, expected: Document| assert_eq!(wanted(&selection), expected);
        check(all.clone(), doc! { "_id": { "$gte": "binance:", "$lt": "binance;" } });
        let after = Some(series("BTCUSDT", Interval::Month1));
        let ids = doc! { "$gte": "binance:", "$lt": "binance;", "$gt": "binance:BTCUSDT:1M" };
        check(SeriesSelection { after, ..all.clone() }, doc! { "_id": ids });
        let (symbol, interval) = (Some("BTCUSDT".parse().unwrap()), Some(Interval::Minute1));
        let ids = doc! { "$gte": "binance:BTCUSDT:", "$lt": "binance:BTCUSDT;" };
        check(SeriesSelection { symbol, interval, ..all }, doc! { "_id": ids, "interval": "1m" });
    }

    #[test]
    fn the_series_of_a_symbol_lie_between_its_bounds_alone() {
        let bounds = "binance:GEN:".to_owned().."binance:GEN;".to_owned();
        for symbol in ["GEN", "GEN1", "GEN-X", "GEN.X", "GEN_X", "GENX", "GE", "GEN币"] {
            for interval in Interval::ALL {
                assert_eq!(bounds.contains(&series(symbol, interval).id()), symbol == "GEN", "{symbol} {interval}");
            }
        }
    }
}
