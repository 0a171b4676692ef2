//! The header `X-MBX-TIME-UNIT`.

use super::error::Refusal;
use crate::server::request::Request;

/// The unit of the times in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeUnit {
    Milliseconds,
    Microseconds,
}

impl TimeUnit {
    /// Reads the header of a call.
    pub(super) fn of(request: &Request) -> Result<Self, Refusal> {
        match request.header("x-mbx-time-unit").map(str::to_ascii_uppercase).as_deref() {
            None | Some("MILLISECOND") => Ok(Self::Milliseconds),
            Some("MICROSECOND") => Ok(Self::Microseconds),
            Some(_) => Err(Refusal::invalid_time_unit()),
        }
    }
}
