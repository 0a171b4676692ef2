//! Pages under way: fetched concurrently, stored in batches, committed in order.

use super::commit::Committer;
use super::facts::Facts;
use super::leases::{HeldPage, PageLeases};
use super::pages::{Page, Seen, Stored};
use super::plan::Plan;
use super::slots::{INSERTS, PAGES_PER_INSERT, PageSlots};
use super::stop::FetchStop;
use super::windows::{PER_PAGE, Parts, hull, windows};
use crate::budget::SharedBudget;
use crate::job_context::JobContext;
use crate::outcome::Stop;
use crate::store_retry::retry_until_cancelled;
use candlemill_db::StoreError;
use candlemill_exchanges::{CheckedPage, ExchangeClient, ExchangeError, HistoricalMarketData};
use candlemill_market_store::{Known, MarketStore, Series};
use candlemill_shared::job::FetchResult;
use candlemill_shared::range::{intersection, normalise, subtract};
use candlemill_shared::{Candle, Clock, Interval, TimeRange};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// What was read of the ledger is old after this: another task may have fetched a page, and its mark is gone.
const OLD: Duration = Duration::from_secs(20);
/// The same for gaps, in which a candle must not be stored before they are reopened.
const OLD_GAPS: Duration = Duration::from_secs(2);

/// Fetches, stores and commits everything of `plan`. Returns whether there may be absences in it.
pub(super) async fn run(
    context: &JobContext,
    series: &Series,
    plan: &Plan,
    verifies: bool,
    result: &mut FetchResult,
) -> Result<bool, FetchStop> {
    let mut committer = Committer::new(context, series, plan, verifies, result);
    committer.begin().await?;
    // A task of its own, so that pages are fetched and stored while a commit is being written.
    let (sender, mut stored) = mpsc::channel(1);
    let storing = stored_pages(context, series, plan, verifies);
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
            () = context.cancel.cancelled() => return Err(Stop::Cancelled.into()),
            () = context.draining.cancelled() => return Err(Stop::Draining.into()),
            batch = stored.recv() => batch,
        };
        match batch {
            Some(batch) => committer.commit(batch?).await?,
            None => return Ok(committer.may_have_gaps()),
        }
    }
}

/// What the steps of one attempt's pages share.
struct Work {
    client: ExchangeClient<Arc<SharedBudget>>,
    market: MarketStore,
    clock: Arc<dyn Clock>,
    series: Series,
    facts: Arc<Facts>,
    leases: Arc<PageLeases>,
    slots: Arc<PageSlots>,
    give_up: CancellationToken,
    known: Known,
    read_at: Instant,
    /// When the task was accepted, UTC ms: absences seen since then are not asked for again.
    since: i64,
    verifies: bool,
}

fn stored_pages(
    context: &JobContext,
    series: &Series,
    plan: &Plan,
    verifies: bool,
) -> BoxStream<'static, Result<Stored, FetchStop>> {
    let record = &context.record;
    let market = context.market().clone();
    let missing = plan.missing.clone();
    let work = plan.facts.clone().map(|facts| {
        Arc::new(Work {
            client: context.exchange(series.exchange),
            leases: PageLeases::start(market.pages(), series, record.id, record.attempt),
            market,
            clock: Arc::clone(context.clock()),
            series: series.clone(),
            facts,
            slots: Arc::clone(&context.resources.fetching.slots),
            give_up: context.cancel.clone(),
            known: plan.known.clone(),
            read_at: plan.read_at,
            since: record.created_at,
            verifies,
        })
    });
    let at_once = context.resources.fetching.page_concurrency;
    match work {
        Some(work) => pages_of(work, missing, at_once),
        // Nothing is missing.
        None => futures::stream::empty().boxed(),
    }
}

fn pages_of(work: Arc<Work>, missing: Vec<TimeRange>, at_once: usize) -> BoxStream<'static, Result<Stored, FetchStop>> {
    let (placing, fetching, storing) = (Arc::clone(&work), Arc::clone(&work), Arc::clone(&work));
    taken_pages(work, missing, at_once)
        .then(move |page| Arc::clone(&placing).place(page).boxed())
        .map(move |page| {
            let work = Arc::clone(&fetching);
            // Spawned, so that parsing uses every core.
            let fetched = AbortOnDropHandle::new(tokio::spawn(async move { work.fetch(page?).await }));
            async move {
                match fetched.await {
                    Ok(page) => page,
                    Err(gone) => std::panic::resume_unwind(gone.into_panic()),
                }
            }
        })
        .buffered(at_once)
        .try_ready_chunks(PAGES_PER_INSERT)
        .map(move |chunk| {
            let work = Arc::clone(&storing);
            async move {
                let _lane = work.slots.inserts.acquire().await;
                // An error comes after the pages before it: they are stored, and committed before the task sees it.
                let (pages, error) = match chunk {
                    Ok(pages) => (pages, None),
                    Err(futures::stream::TryReadyChunksError(pages, error)) => (pages, Some(error)),
                };
                (work.insert(pages).await, error)
            }
        })
        .buffered(INSERTS)
        .flat_map(|(stored, error)| {
            futures::stream::iter([Some(stored.map_err(FetchStop::from)), error.map(Err)].into_iter().flatten())
        })
        .boxed()
}

/// Takes the pages, some ahead of those that are fetched: in a task of its own, because the stream is not polled while
/// insertions are under way. One after the other, in the order of time: a task that waits for a page holds no later one.
fn taken_pages(work: Arc<Work>, missing: Vec<TimeRange>, ahead: usize) -> BoxStream<'static, Result<Begun, FetchStop>> {
    let (sender, taken) = mpsc::channel(ahead.max(1));
    let pages: Box<dyn Iterator<Item = Parts> + Send> = Box::new(windows(work.series.interval, missing));
    let taking = AbortOnDropHandle::new(tokio::spawn(async move {
        for parts in pages {
            let page = Arc::clone(&work).begin(parts).await;
            let failed = page.is_err();
            if sender.send(page).await.is_err() || failed {
                return;
            }
        }
    }));
    let next = |(mut taken, taking): (mpsc::Receiver<_>, _)| async move {
        taken.recv().await.map(|page| (page, (taken, taking)))
    };
    futures::stream::unfold((taken, taking), next).boxed()
}

/// A page that is about to be fetched.
struct Begun {
    /// What is to be asked for; empty: nothing any more.
    wanted: Parts,
    window: TimeRange,
    by_others: u64,
    held: HeldPage,
    place: Option<OwnedSemaphorePermit>,
}

impl Work {
    /// Takes the page. What another task has fetched meanwhile is not asked for again.
    async fn begin(self: Arc<Self>, mut wanted: Parts) -> Result<Begun, FetchStop> {
        let (window, mut by_others) = (hull(&wanted), 0);
        let start = self.series.interval.block_start(window.start, PER_PAGE);
        let (held, fetched_by_others) = self.leases.take(start, &self.give_up).await?;
        if !self.verifies && (fetched_by_others || self.read_at.elapsed() > OLD) {
            let (coverage, candles) = (self.market.coverage(), self.market.candles());
            let known = retry_until_cancelled(&self.give_up, || coverage.known(&self.series, window)).await?;
            let left = intersection(&wanted, &known.lacking(window, self.since));
            let fetched: Parts = wanted.iter().flat_map(|part| subtract(*part, &left)).collect();
            for part in fetched {
                by_others += retry_until_cancelled(&self.give_up, || candles.count(&self.series, part)).await?;
            }
            wanted = left;
        }
        Ok(Begun { wanted, window, by_others, held, place: None })
    }

    /// Waits for a place for the page.
    async fn place(self: Arc<Self>, page: Result<Begun, FetchStop>) -> Result<Begun, FetchStop> {
        let mut page = page?;
        // The semaphore is never closed. What needs no call needs no place.
        if !page.wanted.is_empty() {
            page.place = Arc::clone(&self.slots.pages).acquire_owned().map(Result::ok).await;
        }
        Ok(page)
    }

    async fn fetch(&self, begun: Begun) -> Result<Page, FetchStop> {
        let Begun { wanted, window, by_others, held, place } = begun;
        let seen = if wanted.is_empty() { None } else { Some(self.ask(wanted).await?) };
        Ok(Page { window, seen, by_others, held, place })
    }

    async fn ask(&self, wanted: Parts) -> Result<Seen, ExchangeError> {
        let (client, Facts { symbol, interval, .. }) = (&self.client, &*self.facts);
        let page: CheckedPage = client.page(symbol, *interval, hull(&wanted)).await?;
        let gaps = self.facts.explain(client, &page).await?;
        for row in &page.rejected {
            tracing::warn!(open_time = row.open_time, "refused a row: {}", row.why);
        }
        let settled = TimeRange::new(i64::MIN, page.verified_until);
        let lacking = |candle: &Candle| {
            let bucket = interval.bucket_start(candle.open_time);
            wanted.iter().any(|part| part.contains(bucket))
        };
        Ok(Seen {
            rejected: page.rejected.len() as u64,
            // What lies between the lacking parts is known, and counted, already.
            candles: page.candles.into_iter().filter(lacking).collect(),
            ranges: intersection(&wanted, &[settled]),
            gaps,
        })
    }

    async fn insert(&self, mut pages: Vec<Page>) -> Result<Stored, StoreError> {
        let looked_at: Vec<TimeRange> =
            pages.iter().filter_map(|page| page.seen.as_ref()).flat_map(|seen| seen.ranges.clone()).collect();
        let candles: Vec<Candle> = pages
            .iter_mut()
            .filter_map(|page| page.seen.as_mut())
            .flat_map(|seen| std::mem::take(&mut seen.candles))
            .collect();
        let (coverage, give_up) = (self.market.coverage(), &self.give_up);
        self.reopen_gaps_of(&candles).await?;
        let found = retry_until_cancelled(give_up, || self.market.candles().insert(&self.series, &candles)).await?;
        if !found.restated.is_empty() {
            let now = self.clock.now_ms();
            tracing::warn!(restated = found.restated.len(), "the exchange restated candles of {}", self.series);
            retry_until_cancelled(give_up, || coverage.record_corrections(&self.series, &found.restated, now)).await?;
        }
        if self.verifies {
            for range in looked_at {
                retry_until_cancelled(give_up, || coverage.forget_corrections(&self.series, range, &found.restated))
                    .await?;
            }
        }
        drop(candles);
        for page in &mut pages {
            page.place = None;
        }
        Ok(Stored { pages, found })
    }

    /// Takes the buckets of `candles` out of gaps before the candles are stored: no bucket is ever both.
    async fn reopen_gaps_of(&self, candles: &[Candle]) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (candles.first(), candles.last()) else { return Ok(()) };
        let (interval, coverage) = (self.series.interval, self.market.coverage());
        let range = TimeRange::new(interval.bucket_start(first.open_time), interval.next_bucket(last.open_time));
        let newer;
        let known = if self.read_at.elapsed() < OLD_GAPS {
            &self.known
        } else {
            newer = retry_until_cancelled(&self.give_up, || coverage.known(&self.series, range)).await?;
            &newer
        };
        let filled = buckets_in_gaps(interval, known, candles);
        if filled.is_empty() {
            return Ok(());
        }
        retry_until_cancelled(&self.give_up, || coverage.reopen_gaps(&self.series, &filled)).await
    }
}

/// The buckets of `candles` (ascending) that stand in a gap.
fn buckets_in_gaps(interval: Interval, known: &Known, candles: &[Candle]) -> Vec<TimeRange> {
    let mut gaps = known.gaps.iter().peekable();
    let mut filled = Vec::new();
    for candle in candles {
        let bucket = interval.bucket_start(candle.open_time);
        while gaps.next_if(|gap| gap.range.end <= bucket).is_some() {}
        if gaps.peek().is_some_and(|gap| gap.range.contains(bucket)) {
            filled.push(TimeRange::new(bucket, interval.next_bucket(bucket)));
        }
    }
    normalise(filled)
}
