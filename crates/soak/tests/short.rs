//! The short form of the fault suite: every kind of fault once.

use candlemill_soak::{Fault, Settings, run_series};
use std::collections::BTreeSet;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn no_promise_is_broken_by_any_kind_of_fault() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        seed: 1,
        from: 0,
        runs: Fault::ALL.len() as u64,
        stacks: 4,
        lease: Duration::from_secs(3),
        // Of a machine that runs other tests beside this one.
        recovery: Duration::from_secs(30),
        faults: Vec::new(),
        folder: folder.path().to_owned(),
        keep: false,
        worker_env: Vec::new(),
    };
    let summary = run_series(settings, |_| {}).await.unwrap();
    let broken: Vec<_> = summary.runs().iter().filter(|run| !run.violations.is_empty()).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    let met: BTreeSet<Fault> = summary.runs().iter().map(|run| run.fault).collect();
    assert_eq!(met.len(), Fault::ALL.len(), "every kind comes once in a round");
    let running = summary.runs().iter().filter(|run| run.met_running).count();
    assert!(running > Fault::ALL.len() / 3, "{running} faults met a running task");
}
