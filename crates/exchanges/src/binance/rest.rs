use super::PAGE_CANDLES;
use super::answer::one_line;
use super::config::BinanceConfig;
use super::http::{Call, Http, Reply};
use super::market_list::{parse_markets, parse_time};
use super::rows::parse_rows;
use crate::backoff::{Delays, RetryPolicy};
use crate::budget::WeightBudget;
use crate::counters::CallCounters;
use crate::error::{Disposition, ExchangeError, Fault, Refusal};
use crate::market::{Market, Markets};
use crate::page::{CheckedPage, RawPage};
use crate::server_time::{LOOK_AGAIN_AFTER, Look, ServerTime, Verdict};
use candlemill_shared::{Clock, Interval, Symbol, TimeRange};
use std::fmt::{Debug, Write as _};
use std::sync::Arc;
use tokio::sync::Mutex;
use tracing::{debug, warn};

/// Most bytes of an answer. A full page of candles has about 200 kB.
pub(super) const LONGEST_ANSWER: usize = 8 << 20;
/// Most bytes of the list of all markets, which had 2 MB in 2021 and grows with every market and permission.
const LONGEST_MARKET_LIST: usize = 64 << 20;

/// Fewest looks at the exchange's clock before a doubtful one counts as a failure: one that is wrong and two that agree.
const MIN_LOOKS: u32 = 3;

const WEIGHT_TIME: u32 = 1;
pub(super) const WEIGHT_KLINES: u32 = 2;
const WEIGHT_EXCHANGE_INFO: u32 = 20;

/// Talks to Binance's REST interface under a rate budget. Clones share connections, budget and the measured clock.
///
/// Every call repeats itself on passing errors as [`RetryPolicy`] says, and closes the budget for all callers when the
/// exchange demands a pause. Every returned future may be dropped at any point.
pub struct BinanceClient<B> {
    shared: Arc<Shared<B>>,
    counters: Arc<CallCounters>,
}

struct Shared<B> {
    http: Http<B>,
    retry: RetryPolicy,
    /// Held while it is measured, so that concurrent callers measure once.
    server_time: Mutex<Option<ServerTime>>,
}

impl<B> Clone for BinanceClient<B> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), counters: Arc::clone(&self.counters) }
    }
}

impl<B> Debug for BinanceClient<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BinanceClient").field("retry", &self.shared.retry).finish_non_exhaustive()
    }
}

impl<B: WeightBudget> BinanceClient<B> {
    /// A client that spends from `budget`.
    ///
    /// # Errors
    /// When TLS cannot be set up, as on a machine without root certificates.
    pub fn new(config: &BinanceConfig, budget: B, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        let http = Http::new(config, budget, clock)?;
        let shared = Shared { http, retry: config.retry, server_time: Mutex::default() };
        Ok(Self { shared: Arc::new(shared), counters: Arc::default() })
    }

    /// The same client, counting its calls on `counters`.
    #[must_use]
    pub fn for_job(&self, counters: Arc<CallCounters>) -> Self {
        Self { shared: Arc::clone(&self.shared), counters }
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
    pub async fn server_time(&self) -> Result<ServerTime, ExchangeError> {
        let call = call("/api/v3/time", WEIGHT_TIME, LONGEST_ANSWER, "");
        // Who waits for others' measuring waits no longer than for a call of its own.
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
            let server_ms = parse_time(&reply.body).map_err(|source| malformed("server time", &reply.body, source))?;
            let time = ServerTime::measured(Arc::clone(clock), reply.sent, round_trip, server_ms);
            Ok(Look { time, server_ms, date_ms: reply.date_ms })
        })
        .await
    }

    /// Every market, and the weight limit. A large answer; for one market there is [`Self::market`].
    ///
    /// # Errors
    /// When the exchange does not tell.
    pub async fn markets(&self) -> Result<Markets, ExchangeError> {
        let call = call("/api/v3/exchangeInfo", WEIGHT_EXCHANGE_INFO, LONGEST_MARKET_LIST, "");
        let markets = self
            .call(&call, |reply| {
                parse_markets(&reply.body).map_err(|source| malformed("list of markets", &reply.body, source))
            })
            .await?;
        if markets.skipped > 0 {
            warn!(skipped = markets.skipped, "left out {} markets whose names are no symbols", markets.skipped);
        }
        Ok(markets)
    }

    /// The market of that name.
    ///
    /// # Errors
    /// [`Refusal::UnknownSymbol`] when there is none; or when the exchange does not tell.
    pub async fn market(&self, symbol: &Symbol) -> Result<Market, ExchangeError> {
        let target = format!("/api/v3/exchangeInfo?symbol={}", encoded(symbol));
        let call = call(&target, WEIGHT_EXCHANGE_INFO, LONGEST_ANSWER, &format!(" of {symbol}"));
        self.call(&call, |reply| {
            let body = &reply.body;
            let markets = parse_markets(body).map_err(|source| malformed("list of markets", body, source))?;
            markets.get(symbol).cloned().ok_or_else(|| Fault::Refused {
                refusal: Refusal::UnknownSymbol,
                answer: crate::error::Answer { status: 200, code: None, message: "the list lacks it".to_owned() },
            })
        })
        .await
    }

    /// The rows whose open times lie in `window`, parsed and not judged. The window holds at most [`PAGE_CANDLES`]
    /// buckets.
    ///
    /// # Errors
    /// When the window is empty or too long, the symbol is unknown, or the exchange does not answer.
    pub async fn klines(
        &self,
        symbol: &Symbol,
        interval: Interval,
        window: TimeRange,
    ) -> Result<RawPage, ExchangeError> {
        let call = klines_call(symbol, interval, window)?;
        let time = self.server_time().await?;
        let uncertainty_ms = time.uncertainty_ms();
        self.call(&call, |reply| {
            Ok(RawPage { rows: rows(&reply.body)?, asked_at_ms: time.at(reply.sent), uncertainty_ms })
        })
        .await
    }

    /// The checked candles of `window`, which holds at most [`PAGE_CANDLES`] buckets. A page that is not believed is
    /// fetched again; one that the answer had no room for is completed, so `rest` is always `None`. Where closed buckets
    /// lack a row, a second, differently bounded call is made: only what both answers lack is absent.
    ///
    /// # Errors
    /// As [`Self::klines`]; and when the page is not to be believed however often it is fetched.
    pub async fn page(
        &self,
        symbol: &Symbol,
        interval: Interval,
        window: TimeRange,
    ) -> Result<CheckedPage, ExchangeError> {
        let mut page = self.part(symbol, interval, window).await?;
        while let Some(rest) = page.rest {
            page.append(self.part(symbol, interval, rest).await?);
        }
        Ok(page)
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

pub(super) fn call(target: &str, weight: u32, longest_answer: usize, subject: &str) -> Call {
    let path = target.split('?').next().unwrap_or(target);
    Call { target: target.to_owned(), weight, longest_answer, name: format!("GET {path}{subject}") }
}

/// Path and query of a call for candles, without bounds.
pub(super) fn klines_target(symbol: &Symbol, interval: Interval) -> String {
    format!("/api/v3/klines?symbol={}&interval={interval}", encoded(symbol))
}

/// The symbol as a query holds it: every byte that is not unreserved as `%XX`.
fn encoded(symbol: &Symbol) -> String {
    let mut encoded = String::with_capacity(symbol.as_str().len());
    for byte in symbol.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            encoded.push(char::from(byte));
        } else {
            let _infallible = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

pub(super) fn klines_call(symbol: &Symbol, interval: Interval, window: TimeRange) -> Result<Call, ExchangeError> {
    let subject = format!(" of {symbol} {interval} {window}");
    // Rule 1: the wire's end is inclusive, ours is not.
    let mut target = klines_target(symbol, interval);
    let _infallible =
        write!(target, "&startTime={}&endTime={}&limit={PAGE_CANDLES}", window.start, window.end.saturating_sub(1));
    let call = call(&target, WEIGHT_KLINES, LONGEST_ANSWER, &subject);
    let unaskable = if window.is_empty() || window.start < 0 {
        Some("the window is empty or begins before 1970")
    } else if interval.count(window) > u64::from(PAGE_CANDLES) {
        Some("the window holds more candles than one answer")
    } else {
        None
    };
    match unaskable {
        Some(why) => Err(ExchangeError { call: call.name, fault: Fault::Unaskable(why) }),
        None => Ok(call),
    }
}

pub(super) fn rows(body: &[u8]) -> Result<Vec<candlemill_shared::Candle>, Fault> {
    parse_rows(body).map_err(|source| malformed("array of candles", body, source))
}

fn malformed(expected: &'static str, body: &[u8], source: serde_json::Error) -> Fault {
    let beginning = &body[..body.len().min(80)];
    Fault::Malformed { expected, excerpt: one_line(&String::from_utf8_lossy(beginning)), source }
}
