//! The rate budget as a client sees it.
//!
//! An exchange counts request weight per IP and fixed minute, so the budget belongs to all workers together. This crate
//! only says what it needs of one; the worker brings the shared implementation.

use std::error::Error;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// Weight that has been charged and may be spent.
///
/// A grant that is dropped without [`WeightBudget::settle`] stays charged: whether its call reached the exchange is not
/// known, and counting too much costs less than a ban.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Charged weight.
    pub weight: u32,
    /// The minute it was charged to: start of the window divided by its length.
    pub window: i64,
}

/// The budget could not be asked, so no call may be made.
#[derive(Debug, thiserror::Error)]
#[error("the rate budget is unavailable")]
pub struct BudgetError(#[source] pub Box<dyn Error + Send + Sync>);

/// Request weight that all callers behind one IP share.
pub trait WeightBudget: Send + Sync + 'static {
    /// Waits until `weight` may be spent in the exchange's current minute and charges it, before the call is made.
    /// Waits for the end of a closure too. Dropping the future while it waits charges nothing.
    fn acquire(&self, weight: u32) -> impl Future<Output = Result<Grant, BudgetError>> + Send;

    /// Reports the end of the call. `used_weight` is what the exchange says the IP has used in this minute, where it
    /// answered at all; the budget corrects itself upward by it, never downward.
    fn settle(&self, grant: Grant, used_weight: Option<u32>) -> impl Future<Output = ()> + Send;

    /// Closes the budget for every caller for at least `wait` from now. A shorter closure does not end a longer one.
    fn close(&self, wait: Duration) -> impl Future<Output = Result<(), BudgetError>> + Send;
}

impl<B: WeightBudget> WeightBudget for Arc<B> {
    fn acquire(&self, weight: u32) -> impl Future<Output = Result<Grant, BudgetError>> + Send {
        B::acquire(self, weight)
    }

    fn settle(&self, grant: Grant, used_weight: Option<u32>) -> impl Future<Output = ()> + Send {
        B::settle(self, grant, used_weight)
    }

    fn close(&self, wait: Duration) -> impl Future<Output = Result<(), BudgetError>> + Send {
        B::close(self, wait)
    }
}

/// A budget of one process without any limit, for tests and measurements. It does keep closures.
#[derive(Debug, Default)]
pub struct Unlimited {
    closed_until: Mutex<Option<Instant>>,
}

impl Unlimited {
    fn closed_until(&self) -> Option<Instant> {
        *self.closed_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl WeightBudget for Unlimited {
    async fn acquire(&self, weight: u32) -> Result<Grant, BudgetError> {
        // A closure may be prolonged while its end is waited for.
        while let Some(until) = self.closed_until()
            && until > Instant::now()
        {
            tokio::time::sleep_until(until).await;
        }
        Ok(Grant { weight, window: 0 })
    }

    async fn settle(&self, _: Grant, _: Option<u32>) {}

    async fn close(&self, wait: Duration) -> Result<(), BudgetError> {
        let until = Instant::now() + wait;
        let mut closed = self.closed_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *closed = (*closed).max(Some(until));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closure_holds_for_its_whole_length() {
        let (budget, start) = (Unlimited::default(), Instant::now());
        budget.close(Duration::from_millis(60)).await.unwrap();
        budget.close(Duration::from_millis(5)).await.unwrap();
        assert_eq!(budget.acquire(2).await.unwrap(), Grant { weight: 2, window: 0 });
        assert!(start.elapsed() >= Duration::from_millis(60));
    }
}
