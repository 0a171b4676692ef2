//! A budget that writes down what it is asked and opens again only when it is told to.

use candlemill_exchanges::{BudgetError, Grant, WeightBudget};
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Acquired(u32),
    Settled(Option<u32>),
    Closed(Duration),
}

#[derive(Debug)]
pub(crate) struct Ledger {
    entries: Mutex<Vec<Entry>>,
    closed: watch::Sender<bool>,
    /// Acquisitions that wait for it to open.
    waiting: watch::Sender<usize>,
    acquires: bool,
    closes: bool,
}

impl Default for Ledger {
    fn default() -> Self {
        Self::working(true, true)
    }
}

impl Ledger {
    /// A budget of which acquiring or closing may fail.
    pub(crate) fn working(acquires: bool, closes: bool) -> Self {
        Self {
            entries: Mutex::default(),
            closed: watch::Sender::new(false),
            waiting: watch::Sender::new(0),
            acquires,
            closes,
        }
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap().clone()
    }

    /// Waits until a client has closed it.
    pub(crate) async fn closed(&self) {
        self.closed.subscribe().wait_for(|closed| *closed).await.unwrap();
    }

    /// Waits until so many callers wait for it to open.
    pub(crate) async fn queue_reaches(&self, count: usize) {
        self.waiting.subscribe().wait_for(|waiting| *waiting >= count).await.unwrap();
    }

    pub(crate) fn open(&self) {
        self.closed.send_replace(false);
    }

    fn note(&self, entry: Entry) {
        self.entries.lock().unwrap().push(entry);
    }
}

fn answer(works: bool) -> Result<(), BudgetError> {
    if works { Ok(()) } else { Err(BudgetError("scripted failure".into())) }
}

impl WeightBudget for Ledger {
    async fn acquire(&self, weight: u32) -> Result<Grant, BudgetError> {
        answer(self.acquires)?;
        if *self.closed.borrow() {
            self.waiting.send_modify(|waiting| *waiting += 1);
        }
        self.closed.subscribe().wait_for(|closed| !closed).await.unwrap();
        self.note(Entry::Acquired(weight));
        Ok(Grant { weight, window: 0 })
    }

    async fn settle(&self, _: Grant, used_weight: Option<u32>) {
        self.note(Entry::Settled(used_weight));
    }

    async fn close(&self, wait: Duration) -> Result<(), BudgetError> {
        answer(self.closes)?;
        self.note(Entry::Closed(wait));
        self.closed.send_replace(true);
        Ok(())
    }
}
