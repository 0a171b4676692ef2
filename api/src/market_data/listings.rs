//! Where series begin, for the limits of tiers: as it is recorded, for the API never asks an exchange.

use crate::state::AppState;
use candlemill_db::StoreError;
use candlemill_market_store::Series;
use candlemill_shared::job::{Envelope, FetchBatch, FetchHistory, Listings, Start};
use std::collections::HashSet;

/// Recorded first open times of those of `fetches` that begin at the listing. The store is asked only where one does.
pub(crate) async fn of(state: &AppState, fetches: &[FetchHistory]) -> Result<Listings, StoreError> {
    let from_listing = fetches.iter().filter(|fetch| fetch.start == Start::Listing);
    let series: HashSet<Series> =
        from_listing.map(|fetch| Series::new(fetch.exchange, fetch.symbol.clone(), fetch.interval)).collect();
    let series: Vec<Series> = series.into_iter().collect();
    let recorded = state.market.markets().recorded_first_opens(&series).await?;
    let named = |(series, first): (Series, i64)| ((series.exchange, series.symbol, series.interval), first);
    Ok(recorded.into_iter().map(named).collect())
}

/// The same of a stored job; nothing of one that fetches nothing.
pub(crate) async fn of_job(state: &AppState, job: &Envelope) -> Result<Listings, StoreError> {
    let one = job.open::<FetchHistory>().map(|fetch| vec![fetch]);
    let fetches = one.or_else(|_| job.open::<FetchBatch>().map(|batch| batch.fetches)).unwrap_or_default();
    of(state, &fetches).await
}
