//! All stores of market data behind one handle.

use crate::budget::WeightLedger;
use crate::candles::Candles;
use crate::coverage::Coverage;
use crate::history::History;
use crate::markets::Markets;
use crate::pages::Pages;
use crate::series::Series;
use crate::studies::Studies;
use candlemill_db::{Db, StoreError};
use candlemill_shared::{Exchange, TimeRange};
use std::sync::Arc;

/// The stores of market data. A clone shares them.
#[derive(Debug, Clone)]
pub struct MarketStore {
    parts: Arc<Parts>,
}

#[derive(Debug)]
struct Parts {
    db: Db,
    candles: Candles,
    coverage: Coverage,
    pages: Pages,
    markets: Markets,
    studies: Studies,
}

impl MarketStore {
    /// The stores on these connections.
    #[must_use]
    pub fn new(db: &Db) -> Self {
        let candles = Candles::new(db.database().clone());
        let parts = Parts {
            coverage: Coverage::new(db.database(), candles.clone(), Arc::clone(db.clock())),
            pages: Pages::new(db.redis()),
            markets: Markets::new(db.database(), Arc::clone(db.clock())),
            studies: Studies::new(db.database()),
            candles,
            db: db.clone(),
        };
        Self { parts: Arc::new(parts) }
    }

    /// Creates the indexes that the collections need. Harmless when they exist.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        Coverage::prepare(self.parts.db.database()).await?;
        Markets::prepare(self.parts.db.database()).await?;
        Studies::prepare(self.parts.db.database()).await
    }

    /// Candles.
    #[must_use]
    pub fn candles(&self) -> &Candles {
        &self.parts.candles
    }

    /// The coverage ledger.
    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        &self.parts.coverage
    }

    /// Which page is fetched by which task at the moment.
    #[must_use]
    pub fn pages(&self) -> &Pages {
        &self.parts.pages
    }

    /// What is known of markets.
    #[must_use]
    pub fn markets(&self) -> &Markets {
        &self.parts.markets
    }

    /// Stored studies.
    #[must_use]
    pub fn studies(&self) -> &Studies {
        &self.parts.studies
    }

    /// The stored candles of `series` whose open times lie in `range`.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn history(&self, series: &Series, range: TimeRange) -> Result<History, StoreError> {
        let verified = self.coverage().verified(series, range).await?;
        Ok(History::new(self.candles().clone(), series.clone(), range, verified))
    }

    /// The weight ledger of `exchange`.
    #[must_use]
    pub fn weights(&self, exchange: Exchange) -> WeightLedger {
        WeightLedger::new(self.parts.db.redis(), exchange)
    }
}
