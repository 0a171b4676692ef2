//! The exchange's own errors: a code that is stable and a text that is not.

use crate::server::answer::Answer;
use serde_json::json;

/// A refused call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    code: i32,
    msg: String,
}

impl Refusal {
    fn new(code: i32, msg: impl Into<String>) -> Self {
        Self { code, msg: msg.into() }
    }

    /// The weight of the minute is used up.
    pub(super) fn too_much_weight(limit: u32) -> Self {
        Self::new(
            -1003,
            format!(
                "Too much request weight used; current limit is {limit} request weight per 1 MINUTE. \
                 Please use the websocket for live updates to avoid polling the API."
            ),
        )
    }

    /// The address is banned.
    pub(super) fn banned(until_ms: i64) -> Self {
        Self::new(
            -1003,
            format!(
                "Way too much request weight used; IP banned until {until_ms}. \
                 Please use the websocket for live updates to avoid bans."
            ),
        )
    }

    pub(super) fn illegal_characters(parameter: &str, legal: &str) -> Self {
        Self::new(-1100, format!("Illegal characters found in parameter '{parameter}'; legal range is '{legal}'."))
    }

    pub(super) fn duplicate(parameter: &str) -> Self {
        Self::new(-1101, format!("Duplicate values for parameter '{parameter}'."))
    }

    pub(super) fn mandatory(parameter: &str) -> Self {
        Self::new(-1102, format!("Mandatory parameter '{parameter}' was not sent, was empty/null, or malformed."))
    }

    pub(super) fn unread(read: usize, sent: usize) -> Self {
        Self::new(
            -1104,
            format!("Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'."),
        )
    }

    pub(super) fn empty(parameter: &str) -> Self {
        Self::new(-1105, format!("Parameter '{parameter}' was empty."))
    }

    pub(super) fn overflow(parameter: &str) -> Self {
        Self::new(-1108, format!("Parameter '{parameter}' overflowed."))
    }

    pub(super) fn invalid_interval() -> Self {
        Self::new(-1120, "Invalid interval.")
    }

    pub(super) fn invalid_symbol() -> Self {
        Self::new(-1121, "Invalid symbol.")
    }

    pub(super) fn combination() -> Self {
        Self::new(-1128, "Combination of optional parameters invalid.")
    }

    pub(super) fn invalid_data(parameter: &str) -> Self {
        Self::new(-1130, format!("Data sent for parameter '{parameter}' is not valid."))
    }

    pub(super) fn invalid_time_unit() -> Self {
        Self::new(-1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.")
    }

    /// The simulator's own failure, told as the exchange tells its own.
    pub(super) fn unknown() -> Self {
        Self::new(-1000, "An unknown error occurred while processing the request.")
    }

    /// As an answer: bad parameters.
    pub(super) fn answer(&self) -> Answer {
        self.answer_as(400)
    }

    /// As an answer with this status.
    pub(super) fn answer_as(&self, status: u16) -> Answer {
        Answer::json(status, &json!({ "code": self.code, "msg": self.msg }))
    }

    /// As an answer that says when to come back, in seconds.
    pub(super) fn answer_later(&self, status: u16, retry_after: i64) -> Answer {
        self.answer_as(status).with_header("retry-after", &retry_after.to_string())
    }
}
