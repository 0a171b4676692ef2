//! Logs and trace ids.

use crate::env::{Env, EnvError, Variable, wrong};
use std::fmt;
use tracing_subscriber::EnvFilter;
use ulid::Ulid;

/// Filter of the log, as `tracing-subscriber` reads it.
pub static LOG_FILTER: Variable = Variable {
    name: "LOG_FILTER",
    default: "info",
    help: "log filter: error, warn, info, debug, or target=level pairs",
};
/// Form of the log.
pub static LOG_FORMAT: Variable =
    Variable { name: "LOG_FORMAT", default: "json", help: "json (one object a line) or pretty (for eyes)" };
/// Every variable that is read here.
pub static VARIABLES: &[&Variable] = &[&LOG_FILTER, &LOG_FORMAT];

/// Starts logging to standard error for the whole process.
///
/// # Errors
/// When `LOG_FORMAT` or `LOG_FILTER` cannot be read.
pub fn start(env: &Env) -> Result<(), EnvError> {
    let filter = EnvFilter::try_new(env.text_or_default(&LOG_FILTER))
        .map_err(|error| wrong(&LOG_FILTER, format!("{error} ({})", LOG_FILTER.help)))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match env.text_or_default(&LOG_FORMAT).as_str() {
        // A second start in one process (tests) keeps the first: nothing is lost by that.
        "json" => drop(logs.json().flatten_event(true).try_init()),
        "pretty" => drop(logs.compact().try_init()),
        other => return Err(wrong(&LOG_FORMAT, format!("{other:?} is neither json nor pretty"))),
    }
    Ok(())
}

/// Identity of one trace through API, queue and worker: 32 hex digits, as W3C Trace Context defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceId(String);

impl TraceId {
    /// A new random id.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{:032x}", Ulid::generate().0))
    }

    /// An id that a program names: 32 hex digits of lower case, not all 0.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        let hex = id.len() == 32 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        (hex && id.bytes().any(|b| b != b'0')).then(|| Self(id.to_owned()))
    }

    /// The trace of a `traceparent` header (`00-<32 hex>-<16 hex>-<2 hex>`); `None` when it is malformed or all zero.
    #[must_use]
    pub fn from_traceparent(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let fits = hex(version, 2) && version != "ff" && hex(trace, 32) && hex(span, 16) && hex(flags, 2);
        (fits && trace.bytes().any(|b| b != b'0')).then(|| Self(trace.to_owned()))
    }

    /// The id's 32 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparents() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let given = format!("00-{trace}-00f067aa0ba902b7-01");
        assert_eq!(TraceId::from_traceparent(&given).unwrap().as_str(), trace);
        for odd in ["", "00-x-y-z", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", &given.to_uppercase()] {
            assert_eq!(TraceId::from_traceparent(odd), None, "{odd}");
        }
        assert_eq!(TraceId::random().as_str().len(), 32);
    }
}
