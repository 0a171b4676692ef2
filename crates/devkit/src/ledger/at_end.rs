//! The check at the end of a test.

use super::{LedgerReport, check};
use crate::MongoServer;
use anyhow::{Context as _, Result, ensure};
use std::io::Write as _;
use std::time::Duration;
use tokio::time::timeout;

/// Longest time of the check at a test's end.
const WITHIN: Duration = Duration::from_secs(20);

/// Checks the ledger of `database`; to be called from `Drop`, before the servers are stopped. `mongo` is the test's own server
/// behind `mongo_uri`, `None` where an outside one is used.
///
/// Does nothing while the thread panics: then the test has failed already. A server that the test has killed, stopped or
/// frozen and left so cannot be asked: that alone skips the check, with a line on standard error. Runs on a thread and a
/// runtime of its own, so it may be called inside of any runtime; workers that still run do not disturb it.
///
/// # Panics
/// When something does not hold, the server does not answer although it runs, or the check takes longer than 20 s.
pub fn check_at_end(mongo: Option<&mut MongoServer>, mongo_uri: &str, database: &str) {
    if std::thread::panicking() {
        return;
    }
    if let Some(state) = mongo.and_then(MongoServer::down) {
        // Where this fails, standard error is closed.
        drop(writeln!(std::io::stderr(), "the ledger of {database} is not checked: its MongoDB is {state}"));
        return;
    }
    let (uri, name) = (mongo_uri.to_owned(), database.to_owned());
    let checking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.context("starting a runtime")?.block_on(checked(&uri, &name))
    });
    match checking.join() {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => panic!("{error:#}"),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// The report, if it is without a violation.
pub(crate) async fn checked(mongo_uri: &str, database: &str) -> Result<LedgerReport> {
    let report = timeout(WITHIN, check(mongo_uri, database)).await;
    let report = report.with_context(|| format!("the ledger of {database} is not checked within {WITHIN:?}"))?;
    let report = report.with_context(|| format!("checking the ledger of {database}"))?;
    ensure!(report.violations.is_empty(), "the ledger of {database} is broken: {report}");
    Ok(report)
}
