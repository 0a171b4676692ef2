//! Answers that lie: 200, and wrong.

use crate::market::row_text::{candle_of, forming, row_of};
use crate::server::answer::Answer;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How the content of an answer 200 is spoilt. Those that name rows act on klines pages that are long enough; a page is
/// counted from 0. Those that name the time act on `/api/v3/time`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WrongContent {
    /// An HTML page with status 200.
    Html,
    /// The first half of the JSON text, with the length of that half: a clean transfer of broken content.
    HalfJson,
    /// `[]`, though there are rows.
    #[serde(alias = "empty")]
    NoRows,
    /// Only the first rows; the others exist.
    FirstRows {
        /// How many, at most.
        count: usize,
    },
    /// Only the first half of the rows, the smaller one of an odd number.
    FirstHalf,
    /// The rows in descending order.
    Unsorted,
    /// The row at `index` twice.
    DuplicateRow {
        /// Which row.
        index: usize,
    },
    /// A row whose high lies below its low.
    BadRow {
        /// Which row.
        index: usize,
    },
    /// The row at `index` is left out, though it exists.
    MissingRow {
        /// Which row.
        index: usize,
    },
    /// A row of eleven fields.
    ShortRow {
        /// Which row.
        index: usize,
    },
    /// A row whose open price is a number instead of a text.
    NumberRow {
        /// Which row.
        index: usize,
    },
    /// A valid row with other values than before, as a late correction by the exchange.
    RevisedRow {
        /// Which row.
        index: usize,
    },
    /// The last row with half-way values and a close time that lies before the exchange's now.
    FormingAsClosed,
    /// Rows of another time: every open and close time moved by `ms`.
    Shifted {
        /// Milliseconds added.
        ms: i64,
    },
    /// `/api/v3/time` is ahead of the exchange's clock (negative: behind it). The header `Date` stays right.
    TimeAhead {
        /// Milliseconds added.
        ms: i64,
    },
    /// `/api/v3/time` counts microseconds, though milliseconds were asked for.
    TimeMicroseconds,
}

impl WrongContent {
    /// Spoils `answer`. An answer that is not a page of rows keeps its content where rows are named.
    pub(crate) fn spoil(&self, answer: Answer, now: i64) -> Answer {
        match self {
            Self::Html => {
                let page =
                    "<!DOCTYPE html><html><head><title>Maintenance</title></head><body>Be right back.</body></html>";
                Answer { body: vec![page.into()], ..answer }.with_header("content-type", "text/html; charset=utf-8")
            }
            Self::HalfJson => {
                let body = answer.whole_body();
                let half = body.slice(..body.len() / 2);
                Answer { body: vec![half], ..answer }
            }
            Self::TimeAhead { ms } => with_time(answer, |time| time.saturating_add(*ms)),
            Self::TimeMicroseconds => with_time(answer, |time| time.saturating_mul(1_000)),
            rows => rows.spoil_rows(answer, now),
        }
    }

    fn spoil_rows(&self, answer: Answer, now: i64) -> Answer {
        let Ok(mut rows) = serde_json::from_slice::<Vec<Vec<Value>>>(&answer.whole_body()) else { return answer };
        if self.change(&mut rows, now).is_none() {
            return answer;
        }
        let body = Value::from(rows.into_iter().map(Value::from).collect::<Vec<_>>()).to_string();
        Answer { body: vec![body.into()], ..answer }
    }

    /// `None` when the page has no such row.
    fn change(&self, rows: &mut Vec<Vec<Value>>, now: i64) -> Option<()> {
        match self {
            Self::Html | Self::HalfJson | Self::TimeAhead { .. } | Self::TimeMicroseconds => return None,
            Self::NoRows => rows.clear(),
            Self::FirstRows { count } => rows.truncate(*count),
            Self::FirstHalf => rows.truncate(rows.len() / 2),
            Self::Unsorted => rows.reverse(),
            Self::DuplicateRow { index } => {
                let row = rows.get(*index)?.clone();
                rows.insert(*index, row);
            }
            Self::BadRow { index } => *rows.get_mut(*index)?.get_mut(2)? = "0.00000001".into(),
            Self::MissingRow { index } => {
                rows.get(*index)?;
                rows.remove(*index);
            }
            Self::ShortRow { index } => drop(rows.get_mut(*index)?.pop()),
            Self::NumberRow { index } => *rows.get_mut(*index)?.get_mut(1)? = 1.5.into(),
            Self::RevisedRow { index } => {
                let row = rows.get_mut(*index)?;
                let candle = candle_of(&Value::from(row.clone()))?;
                *row = row_of(&forming(&candle)).as_array()?.clone();
            }
            Self::FormingAsClosed => {
                let row = rows.last_mut()?;
                let mut candle = forming(&candle_of(&Value::from(row.clone()))?);
                candle.close_time = (now - 1).min(candle.close_time).max(candle.open_time);
                *row = row_of(&candle).as_array()?.clone();
            }
            Self::Shifted { ms } => {
                for row in rows {
                    for index in [0, 6] {
                        let time = row.get_mut(index)?;
                        *time = (time.as_i64()? + ms).into();
                    }
                }
            }
        }
        Some(())
    }
}

/// An answer of `/api/v3/time` with another time; every other answer stays as it is.
fn with_time(answer: Answer, change: impl Fn(i64) -> i64) -> Answer {
    let body = serde_json::from_slice::<Value>(&answer.whole_body()).ok();
    let Some(time) = body.as_ref().and_then(|body| body.get("serverTime")?.as_i64()) else { return answer };
    // `exchangeInfo` tells the time among other things.
    if body.and_then(|body| Some(body.as_object()?.len())) != Some(1) {
        return answer;
    }
    Answer { body: vec![json!({ "serverTime": change(time) }).to_string().into()], ..answer }
}
