//! The coverage ledger is the candles and the gaps, and what succeeded is verified.

use super::followed::Followed;
use crate::plan::Plan;
use crate::test_stack::TestStack;
use crate::violation::{Promise, Violation};
use anyhow::Result;
use candlemill_devkit::ledger;
use candlemill_shared::range::{normalise, subtract};
use candlemill_shared::task::TaskState;

/// Looks at the run's part of the ledger.
pub(super) async fn compare(
    test_stack: &TestStack,
    plan: &Plan,
    ended: &[Followed],
    violations: &mut Vec<Violation>,
) -> Result<()> {
    let (uri, database) = (test_stack.stack.mongo_uri(), test_stack.stack.database());
    let report = ledger::check_within(uri, database, plan.slot()).await?;
    violations.extend(report.violations.iter().map(|found| Violation::new(Promise::Ledger, found.to_string())));
    for one in ended.iter().filter(|one| one.end == Some(TaskState::Succeeded)) {
        let submission = &plan.submissions[one.index];
        let verified = report.verified.get(&format!("binance:{}:1m", submission.symbol));
        let verified = verified.map(Vec::as_slice).unwrap_or_default();
        for range in normalise(submission.ranges.clone()) {
            if let Some(missing) = subtract(range, verified).first() {
                let message =
                    format!("task {} succeeded, but {} of {missing} is not verified", one.task, submission.symbol);
                violations.push(Violation::new(Promise::Ledger, message));
            }
        }
    }
    Ok(())
}

/// Looks at the whole ledger of a stack, after its last run.
pub(crate) async fn whole_ledger(test_stack: &TestStack, violations: &mut Vec<Violation>) {
    match ledger::check(test_stack.stack.mongo_uri(), test_stack.stack.database()).await {
        Ok(report) => violations.extend(
            report
                .violations
                .iter()
                .map(|found| Violation::new(Promise::Ledger, format!("at the end of the stack: {found}"))),
        ),
        Err(error) => {
            let message = format!("the ledger could not be checked at the end of the stack: {error:#}");
            violations.push(Violation::new(Promise::RunWorks, message));
        }
    }
}
