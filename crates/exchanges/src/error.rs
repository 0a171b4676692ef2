//! What can go wrong with an exchange, and what happens next.

use crate::budget::BudgetError;
use crate::page::PageFault;
use crate::server_time::ClockFault;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// What a caller does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// It may pass: try again, waiting longer every time.
    Transient,
    /// No caller behind this IP may call for so long.
    Throttled {
        /// From now on.
        wait: Duration,
    },
    /// Asking again brings the same.
    Permanent,
}

/// A call that failed for good or used up its attempts: which one, and why.
#[derive(Debug)]
pub struct ExchangeError {
    /// Method, path and what was asked for.
    pub call: String,
    /// What was wrong.
    pub fault: Fault,
}

/// What was wrong with one call.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The exchange refused what was asked.
    #[error("{answer}; {}", refusal.advice())]
    Refused {
        /// In our words.
        refusal: Refusal,
        /// In the exchange's.
        answer: Answer,
    },
    /// The exchange wants no calls from this IP for a while.
    #[error("{answer}; no call may be made for {} s", wait.as_secs())]
    Throttled {
        /// From the answer on.
        wait: Duration,
        /// What the exchange said.
        answer: Answer,
    },
    /// The exchange could not answer.
    #[error("{0}; the exchange is in trouble, the call may succeed later")]
    Unavailable(Answer),
    /// The body is not what this call answers.
    #[error("the answer is no {expected}; it begins {excerpt:?}")]
    Malformed {
        /// What should have come.
        expected: &'static str,
        /// The first characters of the body.
        excerpt: String,
        /// What was found, and at which line and column.
        #[source]
        source: serde_json::Error,
    },
    /// The body does not end where it reasonably would.
    #[error("the answer is longer than {limit} bytes")]
    TooLong {
        /// Most bytes that are read.
        limit: usize,
    },
    /// The connection failed.
    #[error("{phase}")]
    Transport {
        /// Where it failed.
        phase: TransportPhase,
        /// How. Without the URL, which could hold a password of a proxy.
        #[source]
        source: reqwest::Error,
    },
    /// Attempts, delays and waits for the rate budget together took too long.
    #[error("no usable answer within {} s, waits for the rate budget included", after.as_secs())]
    TimedOut {
        /// The time allowed.
        after: Duration,
    },
    /// The rows contradict the request or each other.
    #[error("the page is not believed: {0}")]
    Page(PageFault),
    /// The exchange's clock is not believed.
    #[error("the exchange's clock is not believed: {0}")]
    Clock(ClockFault),
    /// Without the budget no call may be made.
    #[error("the call was not made")]
    Budget(#[from] BudgetError),
    /// The caller asks for what the exchange's interface cannot give.
    #[error("the call was not made: {0}")]
    Unaskable(&'static str),
}

/// Where a connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportPhase {
    /// No connection came about.
    Connect,
    /// The time of one attempt ran out.
    Timeout,
    /// The connection ended before the answer began.
    Request,
    /// The answer was cut off.
    Body,
}

impl fmt::Display for TransportPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "the exchange cannot be reached; check its address and the network",
            Self::Timeout => "the exchange did not answer in time",
            Self::Request => "the connection ended before the exchange answered",
            Self::Body => "the answer was cut off",
        })
    }
}

/// Why the exchange refuses for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It trades nothing of that name.
    UnknownSymbol,
    /// It has no candles of that length.
    InvalidInterval,
    /// Parameters that it does not accept.
    BadRequest,
    /// It does not serve the region of this IP.
    Region,
    /// There is no such call at this address.
    NotFound,
}

impl Refusal {
    /// Stable name for task errors.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownSymbol => "unknown_symbol",
            Self::InvalidInterval => "invalid_interval",
            Self::BadRequest => "exchange_refused",
            Self::Region => "exchange_refuses_region",
            Self::NotFound => "exchange_address_wrong",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::UnknownSymbol => "the exchange knows no such symbol; check its spelling, as in BTCUSDT",
            Self::InvalidInterval => "the exchange has no candles of this interval",
            Self::BadRequest => "the exchange does not accept this request; asking again does not help",
            Self::Region => {
                "the exchange does not serve the region of this IP; use its market-data host or another egress"
            }
            Self::NotFound => "the exchange has no such call at this address; check BINANCE_REST_URL",
        }
    }
}

/// The exchange's own words for a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The exchange's error code, where the body has one.
    pub code: Option<i64>,
    /// Its text, or the beginning of a body that is no error object; shortened, on one line.
    pub message: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        if let Some(code) = self.code {
            write!(f, ", code {code}")?;
        }
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", self.message) }
    }
}

impl Fault {
    /// What happens next.
    #[must_use]
    pub const fn disposition(&self) -> Disposition {
        match self {
            Self::Refused { .. } | Self::Unaskable(_) => Disposition::Permanent,
            Self::Throttled { wait, .. } => Disposition::Throttled { wait: *wait },
            Self::Unavailable(_)
            | Self::Malformed { .. }
            | Self::TooLong { .. }
            | Self::Transport { .. }
            | Self::TimedOut { .. }
            | Self::Page(_)
            | Self::Clock(_)
            | Self::Budget(_) => Disposition::Transient,
        }
    }

    /// Stable name for task errors and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused { refusal, .. } => refusal.name(),
            Self::Throttled { .. } => "exchange_throttled",
            Self::Unavailable(_) | Self::Transport { .. } | Self::TimedOut { .. } => "exchange_unavailable",
            Self::Malformed { .. } | Self::TooLong { .. } | Self::Clock(_) => "exchange_answer_malformed",
            Self::Page(_) => "exchange_page_contradictory",
            Self::Budget(_) => "rate_budget_unavailable",
            Self::Unaskable(_) => "exchange_request_invalid",
        }
    }
}

impl ExchangeError {
    /// What happens next.
    #[must_use]
    pub const fn disposition(&self) -> Disposition {
        self.fault.disposition()
    }

    /// Stable name for task errors and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.fault.code()
    }
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call, self.fault)
    }
}

impl Error for ExchangeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.fault.source()
    }
}
