//! Answers that lie: 200, and wrong.

use crate::market::row_text::{candle_of, forming, row_of};
use crate::server::answer::Answer;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How the content of an answer 200 is spoilt. Those that name rows act on klines pages that are long enough; a page is
/// counted from 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WrongContent {
    /// An HTML page with status 200.
    Html,
    /// The first half of the JSON text, with the length of that half: a clean transfer of broken content.
    HalfJson,
    /// `[]`, though there are rows.
    NoRows,
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
            Self::Html | Self::HalfJson => return None,
            Self::NoRows => rows.clear(),
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
