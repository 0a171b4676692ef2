//! What a try leads to: delivered, another try and when, or given up.

use super::sender::Reply;
use candlemill_shared::task::TaskError;
use candlemill_shared::webhook::{Webhook, WebhookState};
use std::time::Duration;

/// Wait after the first failure; four times as long after each further one.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// Longest wait of ours: of eight tries the last comes 1¼ to 2½ hours after the first.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
/// Longest pause that a receiver may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3_600);

/// Reasons that a message is not delivered, as its owner sees them.
mod codes {
    pub(super) const REFUSED: &str = "webhook_refused";
    pub(super) const GONE: &str = "webhook_gone";
    pub(super) const NOT_ACCEPTED: &str = "webhook_not_accepted";
    pub(super) const UNREACHABLE: &str = "webhook_unreachable";
}

/// The wait after the `failed`-th failure: evenly drawn by `jitter` (0 to 1) between half of the bound and all of it.
fn wait(failed: u32, jitter: f64) -> Duration {
    let doublings = failed.saturating_sub(1).min(10) * 2;
    let bound = FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT);
    bound.mul_f64(jitter.clamp(0.0, 1.0).mul_add(0.5, 0.5))
}

/// The webhook after the try that got this reply; `attempts` of them are made at most.
pub(super) fn verdict(tried: &Webhook, reply: &Reply, attempts: u32, now_ms: i64, jitter: f64) -> Webhook {
    let (status, pause) = match reply {
        Reply::Answered { status, pause } => (Some(*status), *pause),
        Reply::Silent(_) | Reply::Forbidden(_) => (None, None),
    };
    let after = Webhook { next_at: None, last_status: status, last_error: None, ..tried.clone() };
    let code = match (reply, status) {
        (_, Some(200..=299)) => {
            return Webhook { state: WebhookState::Delivered, delivered_at: Some(now_ms), ..after };
        }
        (Reply::Forbidden(_), _) => codes::REFUSED,
        (_, Some(410)) => codes::GONE,
        (_, Some(_)) => codes::NOT_ACCEPTED,
        (_, None) => codes::UNREACHABLE,
    };
    let after = Webhook { last_error: Some(TaskError::new(code, reply.to_string())), ..after };
    if matches!(code, codes::REFUSED | codes::GONE) || tried.attempts >= attempts {
        return Webhook { state: WebhookState::Failed, ..after };
    }
    let wait = wait(tried.attempts, jitter).max(pause.unwrap_or_default().min(LONGEST_PAUSE));
    let next = now_ms.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
    Webhook { next_at: Some(next), ..after }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn answered(status: u16, pause: Option<u64>) -> Reply {
        Reply::Answered { status, pause: pause.map(Duration::from_secs) }
    }

    fn check(name: &str, tries: u32, reply: &Reply, state: WebhookState, wait_ms: Option<i64>, code: Option<&str>) {
        let tried =
            Webhook { attempts: tries, next_at: Some(NOW + 1), ..Webhook::new("https://example.com/".to_owned()) };
        let after = verdict(&tried, reply, 8, NOW, 1.0);
        let got = (after.state, after.next_at, after.last_error.as_ref().map(|error| error.code.as_str()));
        assert_eq!(got, (state, wait_ms.map(|wait| NOW + wait), code), "{name}");
        assert_eq!((after.attempts, after.delivered_at.is_some()), (tries, state == WebhookState::Delivered), "{name}");
    }

    #[test]
    fn replies() {
        use WebhookState::{Delivered, Failed, Pending};
        let (refused, unreachable) = (Some("webhook_not_accepted"), Some("webhook_unreachable"));
        check("200", 1, &answered(200, None), Delivered, None, None);
        check("204 at the last try", 8, &answered(204, Some(9)), Delivered, None, None);
        check("500", 1, &answered(500, None), Pending, Some(5_000), refused);
        check("a redirect", 2, &answered(302, None), Pending, Some(20_000), refused);
        check("404", 3, &answered(404, None), Pending, Some(80_000), refused);
        check("silence", 6, &Reply::Silent("x".to_owned()), Pending, Some(3_600_000), unreachable);
        check("a pause", 1, &answered(429, Some(60)), Pending, Some(60_000), refused);
        check("a short pause", 3, &answered(503, Some(1)), Pending, Some(80_000), refused);
        check("an endless pause", 1, &answered(503, Some(u64::MAX)), Pending, Some(21_600_000), refused);
        check("410", 1, &answered(410, None), Failed, None, Some("webhook_gone"));
        check("a private address", 1, &Reply::Forbidden("x".to_owned()), Failed, None, Some("webhook_refused"));
        check("the last try", 8, &answered(500, None), Failed, None, refused);
        check("more tries than allowed", 9, &Reply::Silent("x".to_owned()), Failed, None, unreachable);
    }

    #[test]
    fn eight_tries_take_hours() {
        let total = |jitter: f64| (1..8).map(|failed| wait(failed, jitter).as_secs()).sum::<u64>();
        assert_eq!((total(0.0), total(1.0)), (4_452, 8_905));
        assert!(wait(1, 0.0) >= Duration::from_secs(2) && wait(u32::MAX, 1.0) == LONGEST_WAIT);
    }
}
