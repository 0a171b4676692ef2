//! What a schedule submits at each fire.

use super::span::Span;
use crate::interval::Interval;
use crate::job::{EARLIEST_MS, FetchBatch, FetchHistory, FetchMode, SeasonalityStudy, Start, USUAL_DRAWS, USUAL_SEED};
use crate::range::TimeRange;
use crate::request::TaskRequest;
use crate::study::Study;
use crate::symbol::{Exchange, Symbol};
use crate::tier::MAX_BATCH_FETCHES;
use crate::time_zone::ZoneName;
use crate::timestamp::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// Longest name of an asset, characters.
const MAX_ASSET: usize = 20;

/// What a schedule submits at each fire: a request whose range follows from the time of the fire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Template {
    /// Fetch the candles of one series.
    Fetch(SeriesTemplate),
    /// Compare stored candles of one series with the exchange's.
    Verify(SeriesTemplate),
    /// Fetch the same range of many symbols.
    Batch(BatchTemplate),
    /// Study a series.
    Study(StudyTemplate),
}

/// One series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeriesTemplate {
    /// Where from.
    #[serde(default)]
    pub exchange: Exchange,
    /// The exchange's symbol.
    pub symbol: Symbol,
    /// Length of the candles.
    pub interval: Interval,
    /// Which of them.
    pub range: FireRange,
}

/// Many series: either `symbols` or `quote_asset`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchTemplate {
    /// Where from.
    #[serde(default)]
    pub exchange: Exchange,
    /// These symbols.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1, max_items = 10_000)]
    pub symbols: Option<Vec<Symbol>>,
    /// All symbols that trade against this asset when the schedule fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "USDT", max_length = 20)]
    pub quote_asset: Option<String>,
    /// Length of the candles.
    pub interval: Interval,
    /// Which of them.
    pub range: FireRange,
}

/// A study; what is left out has the defaults of `POST /api/seasonality`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StudyTemplate {
    /// Where from.
    #[serde(default)]
    pub exchange: Exchange,
    /// The exchange's symbol.
    pub symbol: Symbol,
    /// Length of the candles.
    pub interval: Interval,
    /// Which of them; `since_last_success` makes no sense for a study.
    pub range: FireRange,
    /// Whose hours, days and months.
    #[serde(default)]
    pub time_zone: ZoneName,
    /// The studies, each at most once; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub studies: Option<Vec<Study>>,
    /// Draws of the bootstrap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 100_000)]
    pub draws: Option<u32>,
    /// Seed of the draws.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 9_007_199_254_740_991_u64)]
    pub seed: Option<u64>,
}

/// A range of open times that follows from when the fire is due. It ends with the newest interval that is closed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FireRange {
    /// The newest interval alone.
    JustClosed(#[serde(deserialize_with = "only_true")] bool),
    /// So long before the due time.
    Last(Span),
    /// All since what the last successful fire fetched; no more at once than the tier allows, the oldest first.
    SinceLastSuccess(Since),
}

/// Where the first fire begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Since {
    /// First open time of the first fire; the interval just closed when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::timestamp::GivenTime>)]
    pub start: Option<Timestamp>,
}

fn only_true<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let given = bool::deserialize(deserializer)?;
    if given { Ok(given) } else { Err(serde::de::Error::custom("just_closed is true, or another range is meant")) }
}

impl FireRange {
    /// Open times for a fire due at `due` (UTC ms); `None`: nothing has closed since. `covered_until` is the end of what the last
    /// successful fire had, `max_buckets` the most that one task may fetch.
    #[must_use]
    pub fn at(self, interval: Interval, due: i64, covered_until: Option<i64>, max_buckets: u64) -> Option<TimeRange> {
        let end = interval.bucket_start(due);
        let newest = interval.bucket_start(end.saturating_sub(1));
        let start = match self {
            Self::JustClosed(_) => newest,
            Self::Last(span) => interval.bucket_at_or_after(end.saturating_sub(span.ms())),
            Self::SinceLastSuccess(Since { start }) => {
                let first = start.map_or(newest, |start| interval.bucket_at_or_after(start.ms()));
                covered_until.map_or(first, |covered| covered.max(first))
            }
        };
        let range = TimeRange::new(start.max(EARLIEST_MS), end);
        if range.is_empty() {
            return None;
        }
        let is_cut = matches!(self, Self::SinceLastSuccess(_)) && interval.count(range) > max_buckets;
        let most = i64::try_from(max_buckets).unwrap_or(i64::MAX);
        Some(if is_cut { TimeRange::new(range.start, interval.advance(range.start, most)) } else { range })
    }
}

impl Template {
    /// Kind of the job that a fire submits, in the words of the template.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Fetch(_) => "fetch",
            Self::Verify(_) => "verify",
            Self::Batch(_) => "batch",
            Self::Study(_) => "study",
        }
    }

    /// Where from.
    #[must_use]
    pub const fn exchange(&self) -> Exchange {
        match self {
            Self::Fetch(series) | Self::Verify(series) => series.exchange,
            Self::Batch(batch) => batch.exchange,
            Self::Study(study) => study.exchange,
        }
    }

    /// Length of the candles.
    #[must_use]
    pub const fn interval(&self) -> Interval {
        match self {
            Self::Fetch(series) | Self::Verify(series) => series.interval,
            Self::Batch(batch) => batch.interval,
            Self::Study(study) => study.interval,
        }
    }

    /// Which candles.
    #[must_use]
    pub const fn range(&self) -> FireRange {
        match self {
            Self::Fetch(series) | Self::Verify(series) => series.range,
            Self::Batch(batch) => batch.range,
            Self::Study(study) => study.range,
        }
    }

    /// The asset whose symbols are read at the fire.
    #[must_use]
    pub fn quote_asset(&self) -> Option<&str> {
        match self {
            Self::Batch(batch) => batch.quote_asset.as_deref(),
            Self::Fetch(_) | Self::Verify(_) | Self::Study(_) => None,
        }
    }

    /// Every member that makes no sense, and why.
    #[must_use]
    pub fn faults(&self, now_ms: i64) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        match self {
            Self::Fetch(_) | Self::Verify(_) => {}
            Self::Batch(batch) => match (&batch.symbols, &batch.quote_asset) {
                (Some(_), Some(_)) | (None, None) => {
                    faults.push(("template.symbols", "either symbols or quote_asset is expected".to_owned()));
                }
                (Some(symbols), None) if symbols.is_empty() || symbols.len() > MAX_BATCH_FETCHES => {
                    let told = format!("there must be 1 to {MAX_BATCH_FETCHES}, not {}", symbols.len());
                    faults.push(("template.symbols", told));
                }
                (None, Some(asset))
                    if asset.is_empty()
                        || asset.chars().count() > MAX_ASSET
                        || asset.chars().any(|c| c.is_control() || c.is_whitespace()) =>
                {
                    let told = format!("an asset has 1 to {MAX_ASSET} characters, as in USDT");
                    faults.push(("template.quote_asset", told));
                }
                _ => {}
            },
            Self::Study(study) => {
                if matches!(study.range, FireRange::SinceLastSuccess(_)) {
                    let told = "a study has a range of its own each time: last or just_closed".to_owned();
                    faults.push(("template.range", told));
                } else if let Some(range) = study.range.at(study.interval, now_ms, None, u64::MAX) {
                    let members = study.job(range).faults(now_ms);
                    let told = |field: String| match field.as_str() {
                        "draws" => "template.draws",
                        "seed" => "template.seed",
                        "start" | "end" => "template.range",
                        "time_zone" => "template.time_zone",
                        _ => "template.studies",
                    };
                    faults.extend(members.into_iter().map(|(field, why)| (told(field), why)));
                }
            }
        }
        if let FireRange::Last(span) = self.range()
            && self.range().at(self.interval(), now_ms, None, u64::MAX).is_none()
        {
            faults.push(("template.range", format!("{span} is shorter than one {} candle", self.interval())));
        }
        faults
    }

    /// The request of a fire. `symbols` are those of the quote asset, where it has one.
    ///
    /// # Errors
    /// When the payload has no JSON form.
    pub fn request(&self, range: TimeRange, symbols: Vec<Symbol>) -> Result<TaskRequest, serde_json::Error> {
        let fetch = |exchange, symbol: Symbol, interval, mode| FetchHistory {
            exchange,
            symbol,
            interval,
            start: Start::At(range.start),
            end: Some(range.end),
            mode,
        };
        match self {
            Self::Fetch(series) => {
                let SeriesTemplate { exchange, symbol, interval, .. } = series.clone();
                TaskRequest::of(&fetch(exchange, symbol, interval, FetchMode::Fetch))
            }
            Self::Verify(series) => {
                let SeriesTemplate { exchange, symbol, interval, .. } = series.clone();
                TaskRequest::of(&fetch(exchange, symbol, interval, FetchMode::Verify))
            }
            Self::Batch(batch) => {
                let symbols = batch.symbols.clone().unwrap_or(symbols).into_iter();
                let each = symbols.map(|symbol| fetch(batch.exchange, symbol, batch.interval, FetchMode::Fetch));
                TaskRequest::of(&FetchBatch { fetches: each.collect() })
            }
            Self::Study(study) => TaskRequest::of(&study.job(range)),
        }
    }
}

impl StudyTemplate {
    fn job(&self, range: TimeRange) -> SeasonalityStudy {
        SeasonalityStudy {
            exchange: self.exchange,
            symbol: self.symbol.clone(),
            interval: self.interval,
            start: Some(Start::At(range.start)),
            end: Some(range.end),
            time_zone: self.time_zone.clone(),
            studies: self.studies.clone().unwrap_or_else(Study::all),
            draws: self.draws.unwrap_or(USUAL_DRAWS),
            seed: self.seed.unwrap_or(USUAL_SEED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::range::rfc3339;
    use serde_json::{Value, json};

    fn range(range: Value, interval: &str, due: &str, covered: Option<&str>, most: u64) -> Option<String> {
        let range: FireRange = serde_json::from_value(range).unwrap();
        let ms = |text: &str| text.parse::<Timestamp>().unwrap().ms();
        let found = range.at(interval.parse().unwrap(), ms(due), covered.map(ms), most)?;
        Some(format!("{} {}", rfc3339(found.start), rfc3339(found.end)))
    }

    #[test]
    fn ranges_end_with_what_is_closed() {
        let check = |name: &str, found: Option<String>, expected: Option<&str>| {
            assert_eq!(found.as_deref(), expected, "{name}");
        };
        let closed = || json!({"just_closed": true});
        let due = "2026-03-02T10:15:00Z";
        check("a minute", range(closed(), "1m", due, None, 1), Some("2026-03-02T10:14:00Z 2026-03-02T10:15:00Z"));
        check("an hour", range(closed(), "1h", due, None, 1), Some("2026-03-02T09:00:00Z 2026-03-02T10:00:00Z"));
        check("a month", range(closed(), "1M", due, None, 1), Some("2026-02-01T00:00:00Z 2026-03-01T00:00:00Z"));
        let last = |span: &str| json!({"last": span});
        check("two days", range(last("2d"), "1d", due, None, 1), Some("2026-02-28T00:00:00Z 2026-03-02T00:00:00Z"));
        check("less than a candle", range(last("1h"), "1d", due, None, 1), None);
        let since = |start: Option<&str>| json!({"since_last_success": {"start": start}});
        let none = since(None);
        check("never yet", range(none.clone(), "1h", due, None, 9), Some("2026-03-02T09:00:00Z 2026-03-02T10:00:00Z"));
        let from = since(Some("2026-03-01T00:00:00Z"));
        check("first", range(from.clone(), "1h", due, None, 99), Some("2026-03-01T00:00:00Z 2026-03-02T10:00:00Z"));
        check("cut", range(from.clone(), "1h", due, None, 5), Some("2026-03-01T00:00:00Z 2026-03-01T05:00:00Z"));
        let covered = Some("2026-03-01T05:00:00Z");
        check("goes on", range(from, "1h", due, covered, 5), Some("2026-03-01T05:00:00Z 2026-03-01T10:00:00Z"));
        check("nothing new", range(none, "1h", due, Some("2026-03-02T10:00:00Z"), 5), None);
        assert!(serde_json::from_value::<FireRange>(json!({"just_closed": false})).is_err());
    }

    #[test]
    fn templates_that_make_no_sense() {
        const NOW: i64 = 1_772_000_000_000;
        let check = |template: Value, expected: &[&str]| {
            let template: Template = serde_json::from_value(template).unwrap();
            let found: Vec<_> = template.faults(NOW).into_iter().map(|(field, _)| field).collect();
            assert_eq!(found, expected, "{template:?}");
        };
        let closed = json!({"just_closed": true});
        check(json!({"kind": "fetch", "symbol": "BTCUSDT", "interval": "1h", "range": closed}), &[]);
        check(json!({"kind": "batch", "quote_asset": "USDT", "interval": "1m", "range": closed}), &[]);
        check(json!({"kind": "batch", "interval": "1m", "range": closed}), &["template.symbols"]);
        check(json!({"kind": "batch", "symbols": [], "interval": "1m", "range": closed}), &["template.symbols"]);
        check(
            json!({"kind": "batch", "quote_asset": "U S", "interval": "1m", "range": closed}),
            &["template.quote_asset"],
        );
        let short = json!({"last": "1h"});
        check(json!({"kind": "verify", "symbol": "BTCUSDT", "interval": "1d", "range": short}), &["template.range"]);
        let study = |range: Value| json!({"kind": "study", "symbol": "BTCUSDT", "interval": "1h", "range": range});
        check(study(json!({"last": "2000d"})), &[]);
        check(study(json!({"since_last_success": {}})), &["template.range"]);
        for (odd, named) in [
            (json!({"kind": "schedule"}), "unknown variant"),
            (json!({"kind": "fetch", "symbol": "BTCUSDT", "interval": "1h", "range": {"start": 1}}), "unknown variant"),
            (json!({"kind": "fetch", "symbol": "BTCUSDT", "interval": "1h"}), "missing field `range`"),
        ] {
            let error = serde_json::from_value::<Template>(odd).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
