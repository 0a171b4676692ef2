//! The coverage ledger is the candles and the gaps, and what succeeded is verified.

use super::Followed;
use crate::plan::Plan;
use crate::violation::{Promise, Violation};
use crate::yard::Yard;
use anyhow::Result;
use candlemill_devkit::ledger;
use candlemill_shared::range::{normalise, subtract};
use candlemill_shared::task::TaskState;

/// Looks at the run's part of the ledger.
pub(super) async fn compare(
    yard: &Yard,
    plan: &Plan,
    ended: &[Followed],
    violations: &mut Vec<Violation>,
) -> Result<()> {
    let (uri, database) = (yard.stack.mongo_uri(), yard.stack.database());
    let report = ledger::check_within(uri, database, plan.slot()).await?;
    violations.extend(report.violations.iter().map(|found| Violation::new(Promise::Ledger, found.to_string())));
    for one in ended.iter().filter(|one| one.end == Some(TaskState::Succeeded)) {
        let order = &plan.orders[one.index];
        let verified = report.verified.get(&format!("binance:{}:1m", order.symbol));
        let verified = verified.map(Vec::as_slice).unwrap_or_default();
        for range in normalise(order.ranges.clone()) {
            if let Some(missing) = subtract(range, verified).first() {
                let told = format!("task {} succeeded, but {} of {missing} is not verified", one.task, order.symbol);
                violations.push(Violation::new(Promise::Ledger, told));
            }
        }
    }
    Ok(())
}

/// Looks at the whole ledger of a stack, after its last run.
pub(crate) async fn whole_ledger(yard: &Yard, violations: &mut Vec<Violation>) {
    match ledger::check(yard.stack.mongo_uri(), yard.stack.database()).await {
        Ok(report) => violations.extend(
            report
                .violations
                .iter()
                .map(|found| Violation::new(Promise::Ledger, format!("at the end of the stack: {found}"))),
        ),
        Err(error) => {
            let told = format!("the ledger could not be checked at the end of the stack: {error:#}");
            violations.push(Violation::new(Promise::RunWorks, told));
        }
    }
}
