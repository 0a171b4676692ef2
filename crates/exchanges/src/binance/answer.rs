//! What an answer other than success means: the one place that knows Binance's statuses and codes.

use crate::error::{Answer, Fault, Refusal};
use serde::Deserialize;
use std::time::Duration;

/// Pause after a 429 that names none.
const PAUSE_OVER_LIMIT: Duration = Duration::from_secs(60);
/// Pause after a 418 that names none: the shortest ban.
const PAUSE_BANNED: Duration = Duration::from_secs(120);
/// Pause after a 403 that names none.
const PAUSE_FIREWALL: Duration = Duration::from_secs(600);
/// The longest ban lasts three days; what claims more is not believed.
const LONGEST_PAUSE: Duration = Duration::from_secs(4 * 86_400);
/// Most characters of the exchange's text that a message repeats.
const MESSAGE_LENGTH: usize = 200;

#[derive(Deserialize)]
struct ErrorBody {
    code: i64,
    #[serde(default)]
    msg: String,
}

/// What an answer with this status (and error code) means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Refused(Refusal),
    Throttled { default: Duration },
    Unavailable,
}

/// Judges an answer that is not success, or that holds an error object in place of what was asked.
///
/// `retry_after` is the header's text and `exchange_now_ms` the exchange's time, as far as it is known.
pub(super) fn fault_of(status: u16, body: &[u8], retry_after: Option<&str>, exchange_now_ms: i64) -> Fault {
    let error: Option<ErrorBody> = serde_json::from_slice(body).ok();
    let code = error.as_ref().map(|error| error.code);
    let message = error.map_or_else(|| one_line(&String::from_utf8_lossy(body)), |error| one_line(&error.msg));
    match meaning(status, code) {
        Meaning::Refused(refusal) => Fault::Refused { refusal, answer: Answer { status, code, message } },
        Meaning::Unavailable => Fault::Unavailable(Answer { status, code, message }),
        Meaning::Throttled { default } => {
            let wait = retry_after
                .and_then(seconds)
                .or_else(|| ban_end_ms(&message).and_then(|end| until(end, exchange_now_ms)))
                .unwrap_or(default)
                .min(LONGEST_PAUSE);
            Fault::Throttled { wait, answer: Answer { status, code, message } }
        }
    }
}

/// Whether the status alone, without a body, demands a pause.
pub(super) fn demands_pause(status: u16) -> bool {
    matches!(meaning(status, None), Meaning::Throttled { .. })
}

/// Whether the body is an error object.
pub(super) fn is_error_body(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<ErrorBody>(body).is_ok()
}

fn meaning(status: u16, code: Option<i64>) -> Meaning {
    match (status, code) {
        // Rule 5.
        (403, _) => Meaning::Throttled { default: PAUSE_FIREWALL },
        (418, _) => Meaning::Throttled { default: PAUSE_BANNED },
        (429, _) | (_, Some(-1003)) => Meaning::Throttled { default: PAUSE_OVER_LIMIT },
        (451, _) => Meaning::Refused(Refusal::Region),
        // Rule 6. Code -1008 (overloaded) asks for minutes; the task's own retries give them.
        (500.., _) | (_, Some(-1000 | -1001 | -1006 | -1007 | -1008 | -1016)) => Meaning::Unavailable,
        (_, Some(-1121)) => Meaning::Refused(Refusal::UnknownSymbol),
        (_, Some(-1120)) => Meaning::Refused(Refusal::InvalidInterval),
        (_, Some(-1999..=-1100)) => Meaning::Refused(Refusal::BadRequest),
        (301 | 308 | 404 | 405 | 410, _) => Meaning::Refused(Refusal::NotFound),
        (408 | 425, _) => Meaning::Unavailable,
        (400..=499, _) => Meaning::Refused(Refusal::BadRequest),
        // Passing redirects, as of maintenance, and successes with an unknown error inside.
        _ => Meaning::Unavailable,
    }
}

/// `Retry-After` in seconds; 0 and dates count as absent.
fn seconds(header: &str) -> Option<Duration> {
    header.trim().parse().ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

/// The end of the ban in `… IP banned until 1660090423228. …`, UTC ms.
fn ban_end_ms(message: &str) -> Option<i64> {
    let (_, after) = message.split_once("until ")?;
    let digits = after.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|end| *end > 1_000_000_000_000)
}

/// Time from `now_ms` to `end_ms`; `None` when that is over.
fn until(end_ms: i64, now_ms: i64) -> Option<Duration> {
    u64::try_from(end_ms.saturating_sub(now_ms)).ok().filter(|ms| *ms > 0).map(Duration::from_millis)
}

/// The text's beginning, without line breaks and control characters.
pub(super) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let mut line = words.collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = line.char_indices().nth(MESSAGE_LENGTH) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Disposition::{self, Permanent, Transient};

    const NOW: i64 = 1_660_090_000_000;

    fn check(status: u16, body: &str, retry_after: Option<&str>, code: &str, expected: Disposition) {
        let fault = fault_of(status, body.as_bytes(), retry_after, NOW);
        assert_eq!((fault.disposition(), fault.code()), (expected, code), "{status} {body} {retry_after:?}: {fault}");
    }

    fn throttled(seconds: u64) -> Disposition {
        Disposition::Throttled { wait: Duration::from_secs(seconds) }
    }

    #[test]
    fn codes() {
        let with = |code: i64| format!(r#"{{"code":{code},"msg":"Text that varies."}}"#);
        check(400, &with(-1121), None, "unknown_symbol", Permanent);
        check(400, &with(-1120), None, "invalid_interval", Permanent);
        for code in [-1100, -1101, -1102, -1103, -1104, -1105, -1108, -1125, -1127, -1128, -1130, -1194, -1220] {
            check(400, &with(code), None, "exchange_refused", Permanent);
        }
        for code in [-1000, -1001, -1006, -1007, -1008, -1016] {
            for status in [200, 400, 500, 503, 504] {
                check(status, &with(code), None, "exchange_unavailable", Transient);
            }
        }
        for status in [200, 400, 503] {
            check(status, &with(-1003), None, "exchange_throttled", throttled(60));
        }
        check(200, &with(-1121), None, "unknown_symbol", Permanent);
        check(200, &with(-7), None, "exchange_unavailable", Transient);
    }

    #[test]
    fn statuses() {
        for (status, name) in [
            (400, "exchange_refused"),
            (401, "exchange_refused"),
            (404, "exchange_address_wrong"),
            (301, "exchange_address_wrong"),
            (451, "exchange_refuses_region"),
        ] {
            check(status, "", None, name, Permanent);
            check(status, "<html>no</html>", None, name, Permanent);
        }
        for status in [302, 307, 408, 500, 502, 503, 504, 520, 599] {
            check(status, "<html>Bad gateway</html>", None, "exchange_unavailable", Transient);
        }
    }

    #[test]
    fn pauses() {
        let banned = r#"{"code":-1003,"msg":"Way too much request weight used; IP banned until 1660090423228. Please use the websocket for live updates to avoid bans."}"#;
        let over = r#"{"code":-1003,"msg":"Too much request weight used; current limit is 1200 request weight per 1 MINUTE."}"#;
        check(429, over, Some("7"), "exchange_throttled", throttled(7));
        check(429, over, None, "exchange_throttled", throttled(60));
        check(429, "<html></html>", Some(" 31 "), "exchange_throttled", throttled(31));
        check(429, "", Some("0"), "exchange_throttled", throttled(60));
        check(429, "", Some("Wed, 21 Oct 2026 07:28:00 GMT"), "exchange_throttled", throttled(60));
        check(418, banned, Some("300"), "exchange_throttled", throttled(300));
        let by_text = Disposition::Throttled { wait: Duration::from_millis(423_228) };
        check(418, banned, None, "exchange_throttled", by_text);
        check(418, &banned.replace("1660090423228", "1660089999999"), None, "exchange_throttled", throttled(120));
        check(418, "", None, "exchange_throttled", throttled(120));
        check(418, "", Some("99999999999"), "exchange_throttled", throttled(4 * 86_400));
        check(403, "<html>Forbidden</html>", None, "exchange_throttled", throttled(600));
        check(403, "", Some("5"), "exchange_throttled", throttled(5));
    }

    #[test]
    fn messages_say_what_and_what_to_do() {
        let restricted = "{\n  \"code\": 0,\n  \"msg\": \"Service unavailable from a restricted location\"\n}";
        assert_eq!(
            fault_of(451, restricted.as_bytes(), None, NOW).to_string(),
            "HTTP 451, code 0: Service unavailable from a restricted location; the exchange does not serve the region \
             of this IP; use its market-data host or another egress"
        );
        let long = fault_of(500, "line\n\tbreak ".repeat(500).as_bytes(), None, NOW).to_string();
        assert!(long.starts_with("HTTP 500: line break line") && long.len() < 300, "{long}");
    }

    #[test]
    fn error_objects_are_told_from_data() {
        assert!(is_error_body(br#" {"code":-1121,"msg":"Invalid symbol."}"#));
        assert!(!is_error_body(br#"{"serverTime":1}"#) && !is_error_body(b"[]") && !is_error_body(b"<html>"));
    }
}
