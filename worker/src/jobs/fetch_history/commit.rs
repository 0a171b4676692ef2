//! Commits stored pages in order: ledger, record, progress.

use super::Stop;
use super::pipeline::Stored;
use super::plan::Plan;
use super::settle::settle;
use crate::context::JobContext;
use crate::patience::patiently;
use candlemill_shared::TimeRange;
use candlemill_shared::coverage::Gap;
use candlemill_shared::progress::Progress;
use candlemill_shared::task::{FetchResult, TaskState};
use candlemill_store::{Series, Verified};
use tokio::time::{Duration, Instant};

/// Time between two checkpoints of the record. The ledger is written with every commit; the record's counts may lag, but
/// they are never less than what was shown: who reads the record, when Redis is away, sees no step back.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(200);

/// Where an attempt stands.
pub(super) struct Committer<'a> {
    context: &'a JobContext,
    series: &'a Series,
    result: &'a mut FetchResult,
    known: &'a Verified,
    gaps_met: u64,
    /// The planned range that is being worked through, and the start of its open segment.
    segment: Option<(TimeRange, i64)>,
    pages_before: u64,
    pages_total: u64,
    candles_before: u64,
    started: Instant,
    checkpointed: Instant,
    step: u32,
    /// What watchers have seen already: a later attempt knows of less than the one that died, and shows no less.
    shown: f64,
}

impl<'a> Committer<'a> {
    pub(super) fn new(
        context: &'a JobContext,
        series: &'a Series,
        plan: &'a Plan,
        result: &'a mut FetchResult,
    ) -> Self {
        let now = Instant::now();
        result.pages_total = result.pages + plan.pages;
        Self {
            known: &plan.known,
            gaps_met: 0,
            segment: None,
            pages_before: result.pages,
            pages_total: result.pages_total,
            candles_before: result.inserted + result.duplicate,
            started: now,
            checkpointed: now,
            step: 1,
            shown: 0.0,
            context,
            series,
            result,
        }
    }

    /// Gaps of the pages that were committed.
    pub(super) const fn gaps_met(&self) -> u64 {
        self.gaps_met
    }

    /// Takes up where the snapshot of an earlier attempt left off, and shows that this one runs.
    pub(super) async fn begin(&mut self) -> Result<(), Stop> {
        match self.context.shop.store.progress().read(self.context.record.id).await {
            Ok(earlier) => self.shown = earlier.map_or(0.0, |snapshot| snapshot.percent),
            Err(error) => tracing::debug!(%error, "what was shown before is not known"),
        }
        self.show().await
    }

    /// Commits a batch of stored pages.
    pub(super) async fn commit(&mut self, batch: Stored) -> Result<(), Stop> {
        let metrics = &self.context.shop.metrics;
        metrics.candles_inserted.inc_by(batch.found.inserted);
        metrics.candles_duplicate.inc_by(batch.found.duplicate);
        metrics.candles_restated.inc_by(batch.found.restated.len() as u64);
        metrics.pages.inc_by(batch.pages.len() as u64);
        self.result.inserted += batch.found.inserted;
        self.result.duplicate += batch.found.duplicate;
        self.result.restated += batch.found.restated.len() as u64;
        self.result.pages += batch.pages.len() as u64;
        let mut entries: Vec<Entry> = Vec::new();
        for page in batch.pages {
            metrics.rows_rejected.inc_by(page.rejected);
            self.result.rejected += page.rejected;
            self.gaps_met += page.gaps.len() as u64;
            let segment = match self.segment {
                Some((planned, start)) if planned == page.planned => start,
                // A document of the ledger grows where it can: appending day by day makes no second one.
                _ => self.known.start_of(page.planned.start),
            };
            let settled = settle(segment, page.window, page.verified_until, &page.gaps);
            self.segment = Some((page.planned, settled.segment));
            Entry::add(&mut entries, page.window, settled.verified, page.gaps);
        }
        for entry in &entries {
            self.write(entry).await?;
        }
        if self.checkpointed.elapsed() < CHECKPOINT_EVERY {
            return Ok(());
        }
        self.checkpoint().await?;
        self.show().await
    }

    async fn write(&self, entry: &Entry) -> Result<(), Stop> {
        let coverage = self.context.shop.store.coverage();
        let give_up = self.context.give_up();
        // Gaps go with the first range: none may be verified before they are written.
        let mut gaps = entry.gaps.as_slice();
        let nothing = [TimeRange::new(0, 0)];
        let verified = if entry.verified.is_empty() { &nothing } else { entry.verified.as_slice() };
        for range in verified {
            let looked_at = if gaps.as_ptr() == entry.gaps.as_ptr() { entry.looked_at } else { TimeRange::new(0, 0) };
            patiently(give_up, || coverage.record(self.series, *range, looked_at, gaps)).await?;
            gaps = &[];
        }
        Ok(())
    }

    async fn checkpoint(&mut self) -> Result<(), Stop> {
        self.checkpointed = Instant::now();
        let calls = self.context.counters.take();
        self.result.calls += calls.calls;
        self.result.weight += calls.weight;
        self.result.retries += calls.retries;
        super::keep(self.context, self.result).await
    }

    /// Shows the progress. Redis may be away: progress is not the truth.
    #[expect(clippy::cast_precision_loss, reason = "counts of pages and candles lie far below 2^52")]
    async fn show(&mut self) -> Result<(), Stop> {
        let record = &self.context.record;
        let result = &self.result;
        let seconds = self.started.elapsed().as_secs_f64();
        let per_second = |done: u64| if seconds > 0.0 { done as f64 / seconds } else { 0.0 };
        let pages_per_second = per_second(result.pages - self.pages_before);
        let left = self.pages_total.saturating_sub(result.pages);
        // The gaps are still to be gathered: only the end state is whole.
        self.shown = Progress::percent_of(result.pages, self.pages_total).min(99.9).max(self.shown);
        let snapshot = Progress {
            task_id: record.id,
            owner: record.owner.clone(),
            state: TaskState::Running,
            percent: self.shown,
            pages_done: result.pages,
            pages_total: self.pages_total,
            candles_stored: result.inserted,
            duplicates: result.duplicate,
            rate: rounded(per_second(result.inserted + result.duplicate - self.candles_before)),
            eta_seconds: (pages_per_second > 0.0).then(|| rounded(left as f64 / pages_per_second)),
            attempt: record.attempt,
            started_at: record.started_at,
            updated_at: self.context.clock().now_ms(),
            sequence: Progress::sequence_of(record.attempt, self.step),
            error: None,
        };
        self.step = self.step.saturating_add(1).min(Progress::LAST_STEP - 1);
        let written = self.context.shop.store.progress().write(&snapshot).await;
        if let Some(parent) = record.parent {
            self.context.shop.tender.note(parent);
        }
        match written {
            Ok(written) if written.cancel_requested => Err(Stop::Cancelled),
            Ok(written) if !written.accepted => Err(Stop::Overtaken),
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "progress is not shown at the moment");
                Ok(())
            }
        }
    }
}

/// Neighbouring pages of one planned range, written to the ledger together.
struct Entry {
    looked_at: TimeRange,
    verified: Vec<TimeRange>,
    gaps: Vec<Gap>,
}

impl Entry {
    fn add(entries: &mut Vec<Self>, window: TimeRange, verified: Vec<TimeRange>, gaps: Vec<Gap>) {
        match entries.last_mut() {
            Some(last) if last.looked_at.end == window.start => {
                last.looked_at.end = window.end;
                for range in verified {
                    match last.verified.last_mut() {
                        // The same segment, grown.
                        Some(grown) if grown.start == range.start => grown.end = range.end,
                        _ => last.verified.push(range),
                    }
                }
                last.gaps.extend(gaps);
            }
            _ => entries.push(Self { looked_at: window, verified, gaps }),
        }
    }
}

fn rounded(figure: f64) -> f64 {
    (figure * 10.0).round() / 10.0
}
