//! A fetch's result in words.

use candlemill_client::forms::GapView;
use candlemill_shared::Timestamp;
use candlemill_shared::coverage::GapReason;
use candlemill_shared::job::FetchResultView;

/// Most gaps that are listed.
const MOST_GAPS: usize = 8;

/// What `found` says, as lines without a final line feed.
#[must_use]
pub fn result_lines(found: &FetchResultView) -> String {
    let result = &found.result;
    let mut text = format!(
        "stored {}, {} known before; {}, {}, weight {}, {} repeated; {}",
        counted(result.inserted, "new candle"),
        count(result.duplicate),
        counted(result.pages, "page"),
        counted(result.calls, "call"),
        count(result.weight),
        count(result.retries),
        seconds(f64_of(result.duration_ms) / 1_000.0),
    );
    if let Some(asked) = found.asked {
        text.push_str(&format!("\nasked for {} up to {}", asked.start, asked.end));
        if found.fetched.is_empty() {
            text.push_str("; all of it was verified before, so nothing had to be fetched");
        }
    }
    if result.restated > 0 {
        text.push_str(&format!("\nthe exchange restated {}", counted(result.restated, "stored candle")));
    }
    if result.reopened > 0 {
        text.push_str(&format!(
            "\n{} that were called complete had neither candle nor gap; they were fetched again",
            counted(result.reopened, "bucket")
        ));
    }
    if result.rejected > 0 {
        text.push_str(&format!("\nrefused {} that failed the checks", counted(result.rejected, "row")));
    }
    if result.gaps_total == 0 {
        text.push_str("\nno gaps");
        return text;
    }
    text.push_str(&format!("\n{}:", counted(result.gaps_total, "gap")));
    for gap in found.absent.iter().take(MOST_GAPS) {
        text.push_str(&format!("\n  {}", gap_line(gap)));
    }
    let unlisted = result.gaps_total.saturating_sub(u64::try_from(found.absent.len().min(MOST_GAPS)).unwrap_or(0));
    if unlisted > 0 {
        text.push_str(&format!("\n  … and {} more", count(unlisted)));
    }
    text
}

/// A gap: from, to, how many candles, and why.
#[must_use]
pub fn gap_line(gap: &GapView) -> String {
    format!("{} … {}  {:>12}  {}", gap.start, gap.end, counted(gap.buckets, "candle"), reason(gap.reason))
}

const fn reason(reason: GapReason) -> &'static str {
    match reason {
        GapReason::Outage => "outage",
        GapReason::BeforeListing => "before listing",
        GapReason::Halted => "halted",
        GapReason::Unpublished => "not yet published",
        GapReason::FetchFailed => "fetch failed",
    }
}

/// `1234567` as `1,234,567`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 candle`, `2,000 candles`.
#[must_use]
pub fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

/// `1 fetch`, `2,000 fetches`.
#[must_use]
pub fn fetches(number: u64) -> String {
    format!("{} fetch{}", count(number), if number == 1 { "" } else { "es" })
}

/// Seconds in the unit that fits: `420 ms`, `3.6 s`, `2 min 5 s`, `1 h 4 min`.
#[must_use]
pub fn seconds(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "unknown".to_owned();
    }
    if seconds < 1.0 {
        return format!("{:.0} ms", seconds * 1_000.0);
    }
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    if seconds < 3_600.0 {
        return format!("{:.0} min {:.0} s", (seconds / 60.0).floor(), (seconds % 60.0).floor());
    }
    format!("{:.0} h {:.0} min", (seconds / 3_600.0).floor(), (seconds % 3_600.0 / 60.0).floor())
}

#[expect(clippy::cast_precision_loss, reason = "durations lie far below 2^52 ms")]
const fn f64_of(number: u64) -> f64 {
    number as f64
}

/// A time; its date alone where it is midnight.
#[must_use]
pub fn short(at: Timestamp) -> String {
    let text = at.to_string();
    text.strip_suffix("T00:00:00Z").map_or_else(|| text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_shared::coverage::Gap;
    use candlemill_shared::job::FetchResult;
    use candlemill_shared::{Interval, TimeRange};

    #[test]
    fn numbers() {
        let texts = [0, 999, 1_000, 525_600, 1_234_567].map(count);
        assert_eq!(texts, ["0", "999", "1,000", "525,600", "1,234,567"]);
        assert_eq!([0, 1, 2_000].map(|n| counted(n, "candle")), ["0 candles", "1 candle", "2,000 candles"]);
        let texts = [0.42, 3.61, 125.0, 3_840.0, f64::NAN].map(seconds);
        assert_eq!(texts, ["420 ms", "3.6 s", "2 min 5 s", "1 h 4 min", "unknown"]);
    }

    #[test]
    fn results_name_their_gaps() {
        let range = TimeRange::new(0, 3 * 3_600_000);
        let gap = Gap::new(Interval::Hour1, TimeRange::new(3_600_000, 7_200_000), GapReason::Outage);
        let result =
            FetchResult { inserted: 2, range: Some(range), gaps: vec![gap], gaps_total: 3, ..FetchResult::default() };
        let text = result_lines(&result.into());
        assert!(text.contains("1970-01-01T01:00:00Z … 1970-01-01T02:00:00Z      1 candle  outage"), "{text}");
        assert!(text.ends_with("… and 2 more"), "{text}");
        assert!(text.contains("nothing had to be fetched"), "{text}");
        assert!(!text.contains("restated") && !text.contains("called complete"), "{text}");
    }

    #[test]
    fn verifications_say_what_they_met() {
        let text = result_lines(&FetchResult { restated: 2, reopened: 1_234, ..FetchResult::default() }.into());
        assert!(text.contains("restated 2 stored candles"), "{text}");
        assert!(text.contains("1,234 buckets that were called complete"), "{text}");
    }
}
