//! Studying the seasonality of a stored history.

use super::admission::Admission;
use super::definition::{Job, Part, PartResult};
use super::fetch_history::{EARLIEST_MS, FetchHistory, FetchMode, FetchResult, Start};
use super::pool::Pool;
use crate::figures::Figures;
use crate::forms::{FetchStart, TimeSpan};
use crate::interval::Interval;
use crate::percent::PER_MILLE;
use crate::range::TimeRange;
use crate::retry::RetryPolicy;
use crate::study::Study;
use crate::symbol::{Exchange, Symbol};
use crate::task::TaskState;
use crate::tier::TierRefusal;
use crate::time_zone::ZoneName;
use crate::timestamp::{LATEST_MS, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use utoipa::ToSchema;

/// Draws of the bootstrap where none are asked for.
pub const USUAL_DRAWS: u32 = 1_000;
/// Largest number of draws.
pub const MAX_DRAWS: u32 = 100_000;
/// Seed where none is asked for.
pub const USUAL_SEED: u64 = 1;
/// Largest seed: numbers up to here are exact in JSON.
pub const MAX_SEED: u64 = (1 << 53) - 1;
/// Most studies of one request: one of each.
pub const MAX_STUDIES: usize = 3;

/// Share of a study, in thousandths, that fetching counts for, where something is to be fetched.
const FETCH_SHARE: u64 = 300;
/// The whole of it.
const WHOLE: u64 = 1_000;

/// Studies the candles of one symbol and interval whose open times lie in a range. What the ledger lacks of it is fetched first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SeasonalityStudy {
    /// Where from.
    #[serde(default)]
    pub exchange: Exchange,
    /// What.
    pub symbol: Symbol,
    /// Length of the candles.
    pub interval: Interval,
    /// First open time; `None`: [`SeasonalityStudy::usual_start`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// First open time that is no longer wanted, UTC ms; `None`: all that is closed when the job runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<i64>,
    /// Whose hours, days and months.
    #[serde(default)]
    pub time_zone: ZoneName,
    /// The studies, each at most once.
    pub studies: Vec<Study>,
    /// Draws of the bootstrap; 0: no intervals.
    pub draws: u32,
    /// Seed of the draws.
    pub seed: u64,
}

/// What a study did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StudyResult {
    /// Thousandths of the whole.
    pub done: u64,
    /// The range, resolved to times; absent before that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<TimeRange>,
    /// Candles that were loaded.
    pub candles: u64,
    /// New candles that were fetched for it.
    pub candles_stored: u64,
    /// Buckets whose return is stable, of the calendar study.
    pub stable: u64,
    /// Whether the study is stored.
    pub stored: bool,
    /// From the first attempt's start to the end, ms.
    pub duration_ms: u64,
}

/// The result of a study as its owner sees it: what was found stands in `GET /api/seasonality/{id}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct StudyResultView {
    /// The range that was studied; null before that is known.
    pub range: Option<TimeSpan>,
    /// Candles that were loaded.
    pub candles: u64,
    /// New candles that were fetched for it.
    pub candles_stored: u64,
    /// Buckets whose return is stable, of the calendar study.
    pub stable: u64,
    /// Whether the study is stored, and can be read.
    pub stored: bool,
    /// From the first attempt's start to the end, ms.
    pub duration_ms: u64,
}

impl From<StudyResult> for StudyResultView {
    fn from(result: StudyResult) -> Self {
        Self {
            range: result.range.map(TimeSpan::from),
            candles: result.candles,
            candles_stored: result.candles_stored,
            stable: result.stable,
            stored: result.stored,
            duration_ms: result.duration_ms,
        }
    }
}

/// A study as its owner sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StudyRequestView {
    /// Where from.
    pub exchange: Exchange,
    /// What.
    pub symbol: Symbol,
    /// Length of the candles.
    pub interval: Interval,
    /// First open time, or `listing`; null: the default of the interval.
    pub start: Option<FetchStart>,
    /// First open time that is no longer wanted; null: all that is closed when it runs.
    pub end: Option<Timestamp>,
    /// Whose hours, days and months.
    pub time_zone: ZoneName,
    /// The studies with all of their parameters.
    pub studies: Vec<Study>,
    /// Draws of the bootstrap; 0: no intervals.
    pub draws: u32,
    /// Seed of the draws.
    pub seed: u64,
}

impl SeasonalityStudy {
    /// Where a study of `interval` begins unless it says so: at the first candle for hours and longer, a year before the end (UTC
    /// ms) for minutes, a week before it for seconds.
    #[must_use]
    pub fn usual_start(interval: Interval, end: i64) -> Start {
        const DAY: i64 = 86_400_000;
        if interval >= Interval::Hour1 {
            return Start::Listing;
        }
        let back = if interval >= Interval::Minute1 { 365 * DAY } else { 7 * DAY };
        Start::At(interval.bucket_start(end.saturating_sub(back).max(EARLIEST_MS)))
    }

    /// The fetch that fills what the ledger lacks, when the study runs at `now_ms` (UTC).
    #[must_use]
    pub fn fetch(&self, now_ms: i64) -> FetchHistory {
        let end = self.end.unwrap_or(now_ms);
        FetchHistory {
            exchange: self.exchange,
            symbol: self.symbol.clone(),
            interval: self.interval,
            start: self.start.unwrap_or_else(|| Self::usual_start(self.interval, end)),
            end: self.end,
            mode: FetchMode::Fetch,
        }
    }

    /// Every parameter that is wrong for a study that runs at `now_ms` (UTC), with its path in the request: `studies[1].fast`.
    #[must_use]
    pub fn faults(&self, now_ms: i64) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut wrong = |field: &str, why: String| faults.push((field.to_owned(), why));
        if self.studies.is_empty() || self.studies.len() > MAX_STUDIES {
            wrong("studies", format!("must be 1 to {MAX_STUDIES} studies"));
        }
        for (at, study) in self.studies.iter().enumerate() {
            if self.studies[..at].iter().any(|earlier| earlier.name() == study.name()) {
                wrong(&format!("studies[{at}]"), format!("{} is asked for twice; once is enough", study.name()));
            }
            for (field, why) in study.faults(self.interval) {
                wrong(&format!("studies[{at}].{field}"), why);
            }
        }
        if self.interval >= Interval::Day1 && self.time_zone != ZoneName::default() {
            let told = format!(
                "{} candles are days of UTC: they say nothing of {}; leave it out",
                self.interval, self.time_zone
            );
            wrong("time_zone", told);
        }
        if self.draws > MAX_DRAWS {
            wrong("draws", format!("must be at most {MAX_DRAWS}"));
        }
        if self.seed > MAX_SEED {
            wrong("seed", format!("must be at most {MAX_SEED}"));
        }
        // By what the range can hold at most; what it does hold is known when it was fetched.
        let most = self.interval.count(self.interval.align(self.fetch(now_ms).range_at(now_ms)));
        for study in self.studies.iter().filter(|study| study.min_candles() > most) {
            let told = format!(
                "the range has {most} {} candles at most; {} needs at least {}",
                self.interval,
                study.name(),
                study.min_candles()
            );
            faults.push(("start".to_owned(), told));
        }
        faults
    }

    /// Candles that the range may hold at `now_ms` (UTC), by what is known of the listing.
    fn candles(&self, admission: &Admission<'_>, settled: Option<TimeRange>) -> u64 {
        let now_ms = settled.map_or(admission.now_ms, |range| range.end);
        let fetch = self.fetch(now_ms);
        let range = fetch.counted_range(now_ms, admission.listings, settled);
        self.interval.count(range)
    }
}

impl Job for SeasonalityStudy {
    const KIND: &'static str = "seasonality_study";
    const VERSION: u32 = 1;
    const POOL: Pool = Pool::Seasonality;
    /// The slowest that the bounds allow takes some minutes, and waits for others' memory and processors.
    const TIMEOUT: Duration = Duration::from_secs(2 * 3600);
    const RETRY: RetryPolicy = FetchHistory::RETRY;
    const UNIT: &'static str = PER_MILLE;
    const PARTS_SHARE: Option<(u64, &'static str)> = Some((FETCH_SHARE, "fetch"));
    const PART_MEMBERS: &'static [&'static str] = &["range", "inserted"];

    type Result = StudyResult;
    type RequestView = StudyRequestView;
    type ResultView = StudyResultView;

    fn request(&self) -> StudyRequestView {
        StudyRequestView {
            exchange: self.exchange,
            symbol: self.symbol.clone(),
            interval: self.interval,
            start: self.start.map(|start| match start {
                Start::At(ms) => FetchStart::At(ms.into()),
                Start::Listing => FetchStart::Listing,
            }),
            end: self.end.map(Timestamp::from),
            time_zone: self.time_zone.clone(),
            studies: self.studies.clone(),
            draws: self.draws,
            seed: self.seed,
        }
    }

    fn validate(&self, now_ms: i64) -> Result<(), String> {
        // What is wrong with the range is wrong with its fetch.
        self.fetch(now_ms).validate(now_ms)?;
        if self.end.is_some_and(|end| !(0..=LATEST_MS).contains(&end)) {
            return Err(format!("end must lie in 0..={LATEST_MS}"));
        }
        match self.faults(now_ms).first() {
            Some((field, why)) => Err(format!("{field}: {why}")),
            None => Ok(()),
        }
    }

    fn admit(&self, admission: &Admission<'_>, so_far: Option<&StudyResult>) -> Result<(), TierRefusal> {
        let candles = self.candles(admission, so_far.and_then(|result| result.range));
        admission.tiers.admit_study(admission.tier, self.interval, candles, self.draws)
    }

    fn figures(result: &StudyResult) -> Figures {
        let details = [("candles_stored", result.candles_stored), ("candles", result.candles)];
        let details = details.into_iter().filter(|(_, count)| *count > 0);
        Figures {
            done: result.done,
            total: WHOLE,
            details: details.map(|(name, count)| (name.to_owned(), count)).collect(),
        }
    }

    fn parts(&self, _plan: &Value, created_at: i64) -> Result<Vec<Part>, serde_json::Error> {
        Ok(vec![Part::of(&self.fetch(created_at), 1)?])
    }

    fn add_parts(result: &mut StudyResult, parts: &[PartResult]) {
        for part in parts {
            let fetched = part.result.as_ref().and_then(|stored| FetchResult::deserialize(stored).ok());
            let Some(fetched) = fetched else { continue };
            result.candles_stored += fetched.inserted;
            if part.state == TaskState::Succeeded {
                result.range = fetched.range;
            }
        }
        result.done = result.done.max(FETCH_SHARE);
    }

    fn note_duration(result: &mut StudyResult, took_ms: u64) {
        result.duration_ms = took_ms;
    }
}
