//! Which tasks a list has.

use super::dead_letters::PageLimit;
use super::given::Given;
use crate::interval::Interval;
use crate::symbol::Symbol;
use crate::task::{TaskId, TaskState};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

/// Which tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TaskFilter {
    /// Only in this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<TaskState>)]
    pub state: Option<Given<TaskState>>,
    /// Only of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(example = "fetch_history")]
    pub kind: Option<String>,
    /// Only of this symbol.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<Symbol>)]
    pub symbol: Option<Given<Symbol>>,
    /// Only of this interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<Interval>)]
    pub interval: Option<Given<Interval>>,
    /// Only the children of this task, in the order of its request, in place of the tasks that are nobody's child; goes with
    /// `cursor` and `limit` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<TaskId>)]
    pub parent: Option<Given<TaskId>>,
    /// `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Tasks of this page; 50 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<PageLimit>, inline)]
    pub limit: Option<Given<PageLimit>>,
}
