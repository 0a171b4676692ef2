//! Every call is counted and the latest are kept: tests assert on what was called, and wait for it.

use crate::faults::Verdict;
use crate::server::request::Request;
use candlemill_shared::{Clock, SystemClock};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Calls kept in the log; older ones are forgotten, the counters are not.
const CALLS_KEPT: usize = 20_000;
/// Different paths that have counters of their own.
const PATHS_KEPT: usize = 256;
/// Counter of the paths beyond.
const OTHER_PATHS: &str = "(other)";

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Its number, from 1, in order of arrival.
    pub sequence: u64,
    /// Arrival on the machine's clock, UTC ms.
    pub at_ms: i64,
    /// Arrival on the exchange's clock, UTC ms.
    pub exchange_ms: i64,
    /// HTTP method.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// Query without `?`.
    pub query: String,
    /// Status; `None` while it waits, and for ever when it was not answered.
    pub status: Option<u16>,
    /// Weight that it was charged.
    pub weight: u32,
    /// Weight used in its minute, itself included.
    pub used_weight: u32,
    /// Names of the scripted faults it met, comma-separated.
    pub fault: Option<String>,
}

/// Calls of one path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathCount {
    /// Calls that arrived.
    pub calls: u64,
    /// Calls answered, by status.
    pub by_status: BTreeMap<u16, u64>,
    /// Calls that met a scripted fault.
    pub faulted: u64,
}

/// All counters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// By path.
    pub paths: BTreeMap<String, PathCount>,
    /// Calls that arrived, all paths.
    pub calls: u64,
    /// Calls under way.
    pub in_flight: u64,
    /// Most calls under way at once.
    pub peak_in_flight: u64,
    /// Connections open, the control plane's included.
    pub open_connections: u64,
    /// Connections accepted so far, the control plane's included.
    pub accepted_connections: u64,
}

impl Counters {
    /// Calls whose path starts with `prefix`.
    #[must_use]
    pub fn calls_to(&self, prefix: &str) -> u64 {
        self.paths.iter().filter(|(path, _)| path.starts_with(prefix)).map(|(_, count)| count.calls).sum()
    }

    /// Calls whose path starts with `prefix`, answered with `status`.
    #[must_use]
    pub fn answered(&self, prefix: &str, status: u16) -> u64 {
        let paths = self.paths.iter().filter(|(path, _)| path.starts_with(prefix));
        paths.filter_map(|(_, count)| count.by_status.get(&status)).sum()
    }
}

/// The book of calls.
#[derive(Debug)]
pub(crate) struct Calls {
    book: Mutex<Book>,
    /// Changes with every arrival and every answer.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Book {
    counters: Counters,
    log: VecDeque<Call>,
    last_sequence: u64,
}

impl Default for Calls {
    fn default() -> Self {
        Self { book: Mutex::default(), changes: watch::Sender::new(0) }
    }
}

impl Calls {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs the arrival of a call.
    pub(crate) fn begin(&self, request: &Request, exchange_ms: i64) -> Logged<'_> {
        let sequence = {
            let mut book = self.book();
            book.last_sequence += 1;
            let sequence = book.last_sequence;
            book.counters.calls += 1;
            book.counters.in_flight += 1;
            book.counters.peak_in_flight = book.counters.peak_in_flight.max(book.counters.in_flight);
            book.path(&request.path).calls += 1;
            if book.log.len() == CALLS_KEPT {
                book.log.pop_front();
            }
            book.log.push_back(Call {
                sequence,
                at_ms: SystemClock.now_ms(),
                exchange_ms,
                method: request.method.to_string(),
                path: request.path.clone(),
                query: request.query.clone(),
                status: None,
                weight: 0,
                used_weight: 0,
                fault: None,
            });
            sequence
        };
        self.changed();
        Logged { calls: self, sequence }
    }

    /// Counts an accepted connection until the guard is dropped.
    pub(crate) fn connection_opened(&self) -> OpenConnection<'_> {
        let mut book = self.book();
        book.counters.open_connections += 1;
        book.counters.accepted_connections += 1;
        drop(book);
        OpenConnection(self)
    }

    pub(crate) fn counters(&self) -> Counters {
        self.book().counters.clone()
    }

    /// The kept calls whose path starts with `prefix`, after the call numbered `after`, oldest first.
    pub(crate) fn log(&self, prefix: &str, after: u64) -> Vec<Call> {
        let book = self.book();
        book.log.iter().filter(|call| call.sequence > after && call.path.starts_with(prefix)).cloned().collect()
    }

    /// Empties log and counters; calls under way and open connections stay counted.
    pub(crate) fn reset(&self) {
        let mut book = self.book();
        let old = std::mem::take(&mut book.counters);
        book.counters.in_flight = old.in_flight;
        book.counters.peak_in_flight = old.in_flight;
        book.counters.open_connections = old.open_connections;
        book.log.clear();
        drop(book);
        self.changed();
    }

    /// Wakes whenever a call arrives or is answered.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }
}

impl Book {
    fn path(&mut self, path: &str) -> &mut PathCount {
        let paths = &mut self.counters.paths;
        let known = paths.contains_key(path) || paths.len() < PATHS_KEPT;
        paths.entry(if known { path.to_owned() } else { OTHER_PATHS.to_owned() }).or_default()
    }

    /// The call, unless it was forgotten.
    fn call(&mut self, sequence: u64) -> Option<&mut Call> {
        let first = self.log.front()?.sequence;
        self.log.get_mut(usize::try_from(sequence.checked_sub(first)?).ok()?)
    }
}

/// A call under way. Dropping it ends it, answered or not.
#[derive(Debug)]
pub(crate) struct Logged<'a> {
    calls: &'a Calls,
    sequence: u64,
}

impl Logged<'_> {
    /// Notes the weight.
    pub(crate) fn charged(&self, weight: u32, used_weight: u32) {
        if let Some(call) = self.calls.book().call(self.sequence) {
            (call.weight, call.used_weight) = (weight, used_weight);
        }
    }

    /// Notes the faults that it meets.
    pub(crate) fn fault(&self, verdict: &Verdict) {
        if verdict.names.is_empty() {
            return;
        }
        let mut book = self.calls.book();
        if let Some(call) = book.call(self.sequence) {
            call.fault = Some(verdict.names.clone());
            let path = call.path.clone();
            book.path(&path).faulted += 1;
        }
    }

    /// Notes the answer.
    pub(crate) fn answered(&self, status: u16) {
        let mut book = self.calls.book();
        if let Some(call) = book.call(self.sequence) {
            call.status = Some(status);
            let path = call.path.clone();
            *book.path(&path).by_status.entry(status).or_default() += 1;
        }
    }
}

impl Drop for Logged<'_> {
    fn drop(&mut self) {
        self.calls.book().counters.in_flight -= 1;
        self.calls.changed();
    }
}

/// A connection that is open.
#[derive(Debug)]
pub(crate) struct OpenConnection<'a>(&'a Calls);

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.book().counters.open_connections -= 1;
    }
}
