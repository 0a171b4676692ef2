//! Scripted faults: which calls they meet and what they do.

use crate::content::WrongContent;
use crate::server::answer::{Answer, Delivery};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The answer comes later. Adds up with other delays and with another fault.
    Latency {
        /// Delay in milliseconds.
        ms: u64,
    },
    /// The answer waits until [`Control::release`](crate::Control::release). Goes together with another fault.
    Hold,
    /// Another answer than the right one.
    Status {
        /// HTTP status.
        status: u16,
        /// Body as it is.
        #[serde(default)]
        body: String,
        /// Headers; `content-type` is `application/json` unless it is given.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// The connection is torn down (RST) without an answer.
    Reset,
    /// The connection is closed (FIN) without an answer.
    Close,
    /// `Content-Length` promises the whole body, then the connection ends inside it.
    CutBody {
        /// Bytes of the body that are sent.
        after_bytes: usize,
    },
    /// The body trickles.
    SlowBody {
        /// Speed.
        bytes_per_second: usize,
    },
    /// Status 200, wrong content.
    Content(WrongContent),
}

impl Fault {
    /// A bare status with an empty JSON object.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status { status, body: "{}".to_owned(), headers: BTreeMap::new() }
    }

    /// A status with `Retry-After` in seconds and the exchange's body for too many requests.
    #[must_use]
    pub fn throttled(status: u16, retry_after: u64) -> Self {
        Self::Status {
            status,
            body: r#"{"code":-1003,"msg":"Too many requests."}"#.to_owned(),
            headers: BTreeMap::from([("Retry-After".to_owned(), retry_after.to_string())]),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Latency { .. } => "latency",
            Self::Hold => "hold",
            Self::Status { .. } => "status",
            Self::Reset => "reset",
            Self::Close => "close",
            Self::CutBody { .. } => "cut_body",
            Self::SlowBody { .. } => "slow_body",
            Self::Content(_) => "content",
        }
    }
}

/// Which calls a fault meets. Rules are tried in the order in which they were added: every delay that matches counts, then the
/// first other fault that matches decides. Calls refused for their weight meet no rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// Start of the path, e.g. `/api/v3/klines`; empty: every path but the control plane.
    #[serde(default)]
    pub path: String,
    /// Part of the query as it was sent, e.g. `startTime=1577836800000`.
    #[serde(default)]
    pub query_contains: Option<String>,
    /// Matching calls that pass before the first fault.
    #[serde(default)]
    pub skip: u64,
    /// Calls that meet the fault; for ever when absent.
    #[serde(default)]
    pub times: Option<u64>,
    /// What happens.
    pub fault: Fault,
}

impl FaultRule {
    /// `fault` for every call whose path starts with `path`.
    #[must_use]
    pub fn on(path: &str, fault: Fault) -> Self {
        Self { path: path.to_owned(), query_contains: None, skip: 0, times: None, fault }
    }

    /// Only for calls whose query contains `part`.
    #[must_use]
    pub fn containing(self, part: impl Into<String>) -> Self {
        Self { query_contains: Some(part.into()), ..self }
    }

    /// Lets `calls` matching calls pass first.
    #[must_use]
    pub fn after(self, calls: u64) -> Self {
        Self { skip: calls, ..self }
    }

    /// Ends after `calls` faults.
    #[must_use]
    pub fn times(self, calls: u64) -> Self {
        Self { times: Some(calls), ..self }
    }
}

/// A rule and what it did so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultReport {
    /// Its number, from 1, in order of adding.
    pub id: u64,
    /// The rule.
    pub rule: FaultRule,
    /// Calls that matched.
    pub matched: u64,
    /// Calls that met the fault.
    pub applied: u64,
}

/// The rules of one simulator.
#[derive(Debug)]
pub(crate) struct Faults {
    rules: Mutex<Rules>,
    releases: watch::Sender<u64>,
    /// Calls that wait for a release.
    held: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Rules {
    last_id: u64,
    reports: Vec<FaultReport>,
}

/// What happens to one call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) latency_ms: u64,
    /// Held until there were more releases than this.
    pub(crate) held_at: Option<u64>,
    pub(crate) resets: bool,
    fault: Option<Fault>,
    /// Names of the faults met, comma-separated.
    pub(crate) names: String,
}

impl Default for Faults {
    fn default() -> Self {
        Self { rules: Mutex::default(), releases: watch::Sender::new(0), held: watch::Sender::new(0) }
    }
}

impl Faults {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a rule after all others; its number.
    pub(crate) fn add(&self, rule: FaultRule) -> u64 {
        let mut rules = self.rules();
        rules.last_id += 1;
        let id = rules.last_id;
        rules.reports.push(FaultReport { id, rule, matched: 0, applied: 0 });
        id
    }

    /// Removes every rule and lets held calls go.
    pub(crate) fn clear(&self) {
        self.rules().reports.clear();
        self.release();
    }

    /// Removes one rule; whether it was there.
    pub(crate) fn remove(&self, id: u64) -> bool {
        let mut rules = self.rules();
        let before = rules.reports.len();
        rules.reports.retain(|report| report.id != id);
        rules.reports.len() < before
    }

    /// Lets every held call go. Later calls are held again while the rule stands.
    pub(crate) fn release(&self) {
        self.releases.send_modify(|releases| *releases += 1);
    }

    /// Waits until there were more than `held_at` releases.
    pub(crate) async fn released(&self, held_at: u64) {
        let mut releases = self.releases.subscribe();
        self.held.send_modify(|held| *held += 1);
        // Also when the client goes away and the wait is dropped.
        let _held = Held(&self.held);
        // The sender lives as long as the simulator, so the only error is its end.
        drop(releases.wait_for(|releases| *releases > held_at).await);
    }

    /// Number of calls that wait for a release, and its changes.
    pub(crate) fn held(&self) -> watch::Receiver<u64> {
        self.held.subscribe()
    }

    pub(crate) fn reports(&self) -> Vec<FaultReport> {
        self.rules().reports.clone()
    }

    /// Counts one call against the rules.
    pub(crate) fn judge(&self, path: &str, query: &str) -> Verdict {
        let mut verdict = Verdict::default();
        for report in &mut self.rules().reports {
            if verdict.fault.is_some() && !matches!(report.rule.fault, Fault::Latency { .. } | Fault::Hold) {
                continue;
            }
            if !report.matches(path, query) {
                continue;
            }
            if !verdict.names.is_empty() {
                verdict.names.push(',');
            }
            verdict.names.push_str(report.rule.fault.name());
            match &report.rule.fault {
                Fault::Latency { ms } => verdict.latency_ms += ms,
                Fault::Hold => verdict.held_at = Some(*self.releases.borrow()),
                other => {
                    verdict.resets = *other == Fault::Reset;
                    verdict.fault = Some(other.clone());
                }
            }
        }
        verdict
    }
}

/// Counts one held call until it is dropped.
struct Held<'a>(&'a watch::Sender<u64>);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|held| *held -= 1);
    }
}

impl FaultReport {
    /// Whether the call meets the fault; counts it.
    fn matches(&mut self, path: &str, query: &str) -> bool {
        let rule = &self.rule;
        if !path.starts_with(&rule.path) || rule.query_contains.as_ref().is_some_and(|part| !query.contains(part)) {
            return false;
        }
        self.matched += 1;
        if self.matched <= rule.skip || rule.times.is_some_and(|times| self.applied >= times) {
            return false;
        }
        self.applied += 1;
        true
    }
}

impl Verdict {
    /// The answer as the fault leaves it; `None` when there is none.
    pub(crate) fn apply(&self, answer: Answer, now: i64) -> Option<Answer> {
        Some(match &self.fault {
            None | Some(Fault::Latency { .. } | Fault::Hold) => answer,
            Some(Fault::Reset | Fault::Close) => return None,
            Some(Fault::CutBody { after_bytes }) => {
                Answer { delivery: Delivery::Cut { after_bytes: *after_bytes }, ..answer }
            }
            Some(Fault::SlowBody { bytes_per_second }) => {
                Answer { delivery: Delivery::Slow { bytes_per_second: *bytes_per_second }, ..answer }
            }
            Some(Fault::Content(wrong)) => wrong.spoil(answer, now),
            Some(Fault::Status { status, body, headers }) => {
                // The weight header of the right answer stays: the exchange sends it with every answer.
                let spoilt =
                    Answer { headers: answer.headers, ..Answer::text(*status, "application/json", body.clone()) };
                let spoilt = spoilt.with_header("content-type", "application/json");
                headers.iter().fold(spoilt, |spoilt, (name, value)| spoilt.with_header(name, value))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, rules: &[FaultRule], calls: &[(&str, &str, &str)]) {
        let faults = Faults::default();
        for rule in rules {
            faults.add(rule.clone());
        }
        for (index, (path, query, expected)) in calls.iter().enumerate() {
            assert_eq!(faults.judge(path, query).names, *expected, "{name}, call {index}");
        }
    }

    #[test]
    fn rules_meet_the_calls_they_name() {
        let reset = || FaultRule::on("/api/v3/klines", Fault::Reset);
        let status = || FaultRule::on("/api", Fault::status(503));
        let latency = || FaultRule::on("", Fault::Latency { ms: 5 });
        let (klines, ping) = ("/api/v3/klines", "/api/v3/ping");
        check("path", &[reset()], &[(klines, "", "reset"), (ping, "", ""), (klines, "", "reset")]);
        check("query", &[reset().containing("limit=1")], &[(klines, "limit=1", "reset"), (klines, "limit=2", "")]);
        check(
            "skip and times",
            &[reset().after(1).times(2)],
            &[(klines, "", ""), (klines, "", "reset"), (klines, "", "reset"), (klines, "", "")],
        );
        check(
            "delays add to the first other fault",
            &[status(), reset(), latency()],
            &[(klines, "", "status,latency")],
        );
        check(
            "a spent rule makes room",
            &[status().times(1), reset()],
            &[(klines, "", "status"), (klines, "", "reset")],
        );
    }

    #[test]
    fn rules_are_json() {
        let rule: FaultRule = serde_json::from_str(
            r#"{"path":"/api","query_contains":"startTime","times":2,"fault":{"content":{"bad_row":{"index":3}}}}"#,
        )
        .unwrap();
        let expected = FaultRule::on("/api", Fault::Content(WrongContent::BadRow { index: 3 }));
        assert_eq!(rule, expected.containing("startTime").times(2));
        assert!(serde_json::from_str::<FaultRule>(r#"{"pat":"/api","fault":"reset"}"#).is_err());
        for (text, fault) in [
            (r#""reset""#, Fault::Reset),
            (r#"{"content":"html"}"#, Fault::Content(WrongContent::Html)),
            (r#"{"content":"empty"}"#, Fault::Content(WrongContent::NoRows)),
            (r#"{"content":"first_half"}"#, Fault::Content(WrongContent::FirstHalf)),
            (r#"{"content":{"first_rows":{"count":500}}}"#, Fault::Content(WrongContent::FirstRows { count: 500 })),
            (r#"{"content":{"time_ahead":{"ms":-9}}}"#, Fault::Content(WrongContent::TimeAhead { ms: -9 })),
            (r#"{"content":"time_microseconds"}"#, Fault::Content(WrongContent::TimeMicroseconds)),
            (r#"{"latency":{"ms":7}}"#, Fault::Latency { ms: 7 }),
            (
                r#"{"status":{"status":503}}"#,
                Fault::Status { status: 503, body: String::new(), headers: BTreeMap::new() },
            ),
        ] {
            assert_eq!(serde_json::from_str::<Fault>(text).unwrap(), fault, "{text}");
        }
    }
}
