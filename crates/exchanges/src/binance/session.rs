//! Calls that repeat themselves, under one budget and by one measured clock.

use super::calls::{read_time, time_call};
use super::config::BinanceConfig;
use super::http::{Call, Http, Reply};
use crate::backoff::{Delays, RetryPolicy};
use crate::budget::WeightBudget;
use crate::counters::CallCounters;
use crate::error::{Disposition, ExchangeError, Fault};
use crate::server_time::{LOOK_AGAIN_AFTER, Look, ServerTime, Verdict};
use candlemill_shared::Clock;
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;
use tokio::sync::Mutex;
use tracing::{debug, warn};

/// Fewest looks at the exchange's clock before a doubtful one counts as a failure: one that is wrong and two that agree.
const MIN_LOOKS: u32 = 3;

/// Makes calls and counts them. Clones share connections, budget and the measured clock.
pub(super) struct Session<B> {
    shared: Arc<Shared<B>>,
    counters: Arc<CallCounters>,
}

struct Shared<B> {
    http: Http<B>,
    retry: RetryPolicy,
    /// Held while it is measured, so that concurrent callers measure once.
    server_time: Mutex<Option<ServerTime>>,
}

impl<B> Clone for Session<B> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), counters: Arc::clone(&self.counters) }
    }
}

impl<B> Debug for Session<B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("retry", &self.shared.retry).finish_non_exhaustive()
    }
}

impl<B: WeightBudget> Session<B> {
    pub(super) fn new(config: &BinanceConfig, budget: B, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        let http = Http::new(config, budget, clock)?;
        let shared = Shared { http, retry: config.retry, server_time: Mutex::default() };
        Ok(Self { shared: Arc::new(shared), counters: Arc::default() })
    }

    /// The same session, counting its calls on `counters`.
    pub(super) fn for_job(&self, counters: Arc<CallCounters>) -> Self {
        Self { shared: Arc::clone(&self.shared), counters }
    }

    /// What the calls are charged to.
    pub(super) fn budget(&self) -> &B {
        &self.shared.http.budget
    }

    /// How calls are repeated.
    pub(super) fn retry(&self) -> RetryPolicy {
        self.shared.retry
    }

    /// Something is asked for again, though its calls succeeded.
    pub(super) fn count_retry(&self) {
        self.counters.count_retry();
    }

    /// What the exchange's clock shows, measured at most every five minutes. A wrong answer would make candles final that
    /// still form, so one is believed only when it agrees with its own header `Date` and roughly with our clock, or when it
    /// was seen twice; one that header and clock refute together is never believed.
    ///
    /// # Errors
    /// When the exchange does not tell, or its answers are not to be believed.
    pub(super) async fn server_time(&self) -> Result<ServerTime, ExchangeError> {
        let call = time_call();
        // A caller that waits for another one's measurement waits no longer than for a call of its own.
        let after = self.shared.retry.whole_call;
        let mut known = tokio::time::timeout(after, self.shared.server_time.lock())
            .await
            .map_err(|_| ExchangeError { call: call.name.clone(), fault: Fault::TimedOut { after } })?;
        if let Some(time) = known.as_ref().filter(|time| time.is_fresh()) {
            return Ok(time.clone());
        }
        let mut before = known.clone();
        let mut looks_left = self.shared.retry.attempts.max(MIN_LOOKS);
        loop {
            let look = self.look(&call).await?;
            looks_left -= 1;
            match look.verdict(before.as_ref()) {
                Verdict::Believed => return Ok(known.insert(look.time).clone()),
                Verdict::Unsettled | Verdict::Refuted if looks_left == 0 => {
                    return Err(ExchangeError { call: call.name, fault: Fault::Clock(look.fault()) });
                }
                Verdict::Unsettled => {
                    debug!("{}; asking again", look.fault());
                    before = Some(look.time);
                }
                Verdict::Refuted => warn!("{}; asking again", look.fault()),
            }
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
    }

    async fn look(&self, call: &Call) -> Result<Look, ExchangeError> {
        let clock = &self.shared.http.clock;
        self.call(call, |reply| {
            let round_trip = reply.sent.steady.elapsed();
            let server_ms = read_time(&reply.body)?;
            let time = ServerTime::measured(Arc::clone(clock), reply.sent, round_trip, server_ms);
            Ok(Look { time, server_ms, date_ms: reply.date_ms })
        })
        .await
    }

    /// Makes a call until it succeeds, fails for good, or its attempts or its time are used up.
    pub(super) async fn call<T>(
        &self,
        call: &Call,
        read: impl Fn(&Reply) -> Result<T, Fault> + Send + Sync,
    ) -> Result<T, ExchangeError>
    where
        T: Send,
    {
        let after = self.shared.retry.whole_call;
        let mut last = None;
        let result = tokio::time::timeout(after, self.attempts(call, read, &mut last)).await;
        // When time is up, the last failure says more than that.
        let result = result.unwrap_or_else(|_| Err(last.unwrap_or(Fault::TimedOut { after })));
        result.map_err(|fault| ExchangeError { call: call.name.clone(), fault })
    }

    async fn attempts<T>(
        &self,
        call: &Call,
        read: impl Fn(&Reply) -> Result<T, Fault> + Send + Sync,
        last: &mut Option<Fault>,
    ) -> Result<T, Fault> {
        let Shared { http, retry, .. } = &*self.shared;
        let mut delays = Delays::new(retry.first_delay, retry.longest_delay);
        let mut attempt = 1;
        loop {
            let result = http.attempt(call, &self.counters).await;
            let fault = match result.and_then(|reply| read(&reply)) {
                Ok(value) => return Ok(value),
                Err(fault) => fault,
            };
            let exhausted = attempt >= retry.attempts;
            match fault.disposition() {
                Disposition::Permanent => return Err(fault),
                Disposition::Throttled { wait } => {
                    // Rule 5: the pause binds every worker, so it is made known before anything else happens.
                    let closed = http.budget.close(wait).await;
                    warn!(call = call.name, wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), "{fault}");
                    if let Err(error) = &closed {
                        warn!(
                            error = error as &dyn std::error::Error,
                            "the pause could not be made known to all workers"
                        );
                    }
                    if exhausted || closed.is_err() || wait > retry.longest_pause {
                        return Err(fault);
                    }
                    // The next acquisition waits for the budget to open.
                    *last = Some(fault);
                }
                Disposition::Transient if exhausted => return Err(fault),
                Disposition::Transient => {
                    let delay = delays.next_delay();
                    debug!(
                        call = call.name,
                        attempt,
                        delay_ms = u64::try_from(delay.as_millis()).unwrap_or(0),
                        "{fault}"
                    );
                    *last = Some(fault);
                    tokio::time::sleep(delay).await;
                }
            }
            attempt += 1;
            self.counters.count_retry();
        }
    }
}
