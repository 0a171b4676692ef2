//! Pages under way: fetched concurrently, stored in batches, committed in order.

use super::Stop;
use super::commit::Committer;
use super::plan::{PER_PAGE, Plan};
use crate::context::JobContext;
use crate::patience::patiently;
use candlemill_exchanges::{CheckedPage, ExchangeError, pages};
use candlemill_shared::coverage::Gap;
use candlemill_shared::task::FetchResult;
use candlemill_shared::{Candle, TimeRange};
use candlemill_store::{Inserted, Series, StoreError};
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::AbortOnDropHandle;

/// Most pages of one insert.
const PAGES_PER_INSERT: usize = 8;
/// Inserts under way at once: the server works on one while the next is sent.
const INSERTS: usize = 2;

/// What all backfills of this process share, so that its memory is the same whatever their number.
#[derive(Debug)]
pub(crate) struct Places {
    /// Pages that are fetched or being stored. Those of one task take their places in order, so that the one that all later
    /// ones wait for always has its own.
    pages: Arc<Semaphore>,
    inserts: Semaphore,
}

impl Places {
    pub(crate) fn new(page_concurrency: usize) -> Self {
        let pages = page_concurrency + PAGES_PER_INSERT * INSERTS;
        Self { pages: Arc::new(Semaphore::new(pages)), inserts: Semaphore::new(INSERTS) }
    }
}

/// A page with its absences explained.
pub(super) struct Page {
    /// What it is part of.
    pub(super) planned: TimeRange,
    pub(super) window: TimeRange,
    pub(super) verified_until: i64,
    pub(super) gaps: Vec<Gap>,
    pub(super) candles: Vec<Candle>,
    pub(super) rejected: u64,
    /// Given back when the candles are stored.
    place: Option<OwnedSemaphorePermit>,
}

/// Pages whose candles are stored.
pub(super) struct Stored {
    pub(super) pages: Vec<Page>,
    pub(super) found: Inserted,
}

/// Fetches, stores and commits everything of `plan`. Returns how many gaps it met.
pub(super) async fn run(
    context: &JobContext,
    series: &Series,
    plan: &Plan,
    result: &mut FetchResult,
) -> Result<u64, Stop> {
    let mut committer = Committer::new(context, series, plan, result);
    committer.begin().await?;
    // A task of its own, so that pages are fetched and stored while a commit is being written.
    let (sender, mut stored) = mpsc::channel(1);
    let storing = stored_pages(context, series, plan);
    let _aborted_with_this = AbortOnDropHandle::new(tokio::spawn(async move {
        let mut storing = std::pin::pin!(storing);
        while let Some(batch) = storing.next().await {
            if sender.send(batch).await.is_err() {
                return;
            }
        }
    }));
    loop {
        let batch = tokio::select! {
            biased;
            () = context.cancel.cancelled() => return Err(Stop::Cancelled),
            () = context.shop.draining.cancelled() => return Err(Stop::Draining),
            batch = stored.recv() => batch,
        };
        match batch {
            Some(batch) => committer.commit(batch?).await?,
            None => return Ok(committer.gaps_met()),
        }
    }
}

fn stored_pages(
    context: &JobContext,
    series: &Series,
    plan: &Plan,
) -> impl Stream<Item = Result<Stored, Stop>> + Send + use<> {
    let (client, series, facts) = (context.binance(), series.clone(), plan.facts.clone());
    let interval = series.interval;
    let symbol = series.symbol.clone();
    let windows = plan
        .missing
        .clone()
        .into_iter()
        .flat_map(move |planned| pages(interval, planned, PER_PAGE).map(move |window| (planned, window)));
    let store = context.shop.store.clone();
    let give_up = context.cancel.clone();
    let places = Arc::clone(&context.shop.places);
    let storing = Arc::clone(&places);
    futures::stream::iter(windows)
        // The semaphore is never closed.
        .then(move |window| Arc::clone(&places.pages).acquire_owned().map(move |place| (window, place.ok())))
        .map(move |((planned, window), place)| {
            let (client, symbol, facts) = (client.clone(), symbol.clone(), facts.clone());
            // Spawned, so that parsing uses every core.
            let fetching = AbortOnDropHandle::new(tokio::spawn(async move {
                let page = client.page(&symbol, interval, window).await?;
                let gaps = page.gaps(interval, &facts);
                Ok::<_, ExchangeError>(explained(planned, window, page, gaps, place))
            }));
            async move {
                match fetching.await {
                    Ok(page) => page,
                    Err(gone) => std::panic::resume_unwind(gone.into_panic()),
                }
            }
        })
        .buffered(context.shop.page_concurrency)
        .try_ready_chunks(PAGES_PER_INSERT)
        .map(move |chunk| {
            let (store, series, give_up) = (store.clone(), series.clone(), give_up.clone());
            let places = Arc::clone(&storing);
            async move {
                let _lane = places.inserts.acquire().await;
                // An error comes after the pages before it: they are stored, and committed before the task sees it.
                let (pages, error) = match chunk {
                    Ok(pages) => (pages, None),
                    Err(futures::stream::TryReadyChunksError(pages, error)) => (pages, Some(error)),
                };
                (insert(&store, &series, &give_up, pages).await, error)
            }
        })
        .buffered(INSERTS)
        .flat_map(|(stored, error)| {
            let failed = error.map(|error| Err(Stop::Exchange(error)));
            futures::stream::iter([Some(stored.map_err(Stop::Store)), failed].into_iter().flatten())
        })
}

async fn insert(
    store: &candlemill_store::Store,
    series: &Series,
    give_up: &tokio_util::sync::CancellationToken,
    mut pages: Vec<Page>,
) -> Result<Stored, StoreError> {
    let candles: Vec<Candle> = pages.iter_mut().flat_map(|page| std::mem::take(&mut page.candles)).collect();
    let found = patiently(give_up, || store.candles().insert(series, &candles)).await?;
    if !found.restated.is_empty() {
        let now = store.clock().now_ms();
        tracing::warn!(restated = found.restated.len(), "the exchange restated candles of {series}");
        patiently(give_up, || store.coverage().record_corrections(series, &found.restated, now)).await?;
    }
    drop(candles);
    for page in &mut pages {
        page.place = None;
    }
    Ok(Stored { pages, found })
}

fn explained(
    planned: TimeRange,
    window: TimeRange,
    page: CheckedPage,
    gaps: Vec<Gap>,
    place: Option<OwnedSemaphorePermit>,
) -> Page {
    for row in &page.rejected {
        tracing::warn!(open_time = row.open_time, "refused a row: {}", row.why);
    }
    Page {
        planned,
        window,
        verified_until: page.verified_until,
        gaps,
        rejected: page.rejected.len() as u64,
        candles: page.candles,
        place,
    }
}
