//! One run: submit, disturb, let converge, compare.

use crate::fault::Fault;
use crate::inject;
use crate::pause::Pause;
use crate::plan::Plan;
use crate::reference::Reference;
use crate::report::RunReport;
use crate::series::Settings;
use crate::submissions::{self, Cancelled, Submitted, Time};
use crate::test_stack::TestStack;
use crate::verify::{self, Followed};
use crate::violation::{Promise, Violation};
use crate::watch::{Watched, Watcher};
use candlemill_shared::{Clock, SystemClock};
use futures::future::join_all;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// A task ends within this after the end of the fault, the lease not counted: retries of the exchange's errors may wait
/// some 20 s each.
const CONVERGES: Duration = Duration::from_secs(90);
/// A submission that comes during the fault comes so long after its beginning.
const DURING: Duration = Duration::from_millis(60);

/// Carries out `plan` and says what came of it.
pub(crate) async fn run(
    test_stack: &mut TestStack,
    plan: &Plan,
    reference: &Reference,
    settings: &Settings,
) -> RunReport {
    let began = Instant::now();
    let mut report = RunReport {
        seed: plan.seed,
        run: plan.run,
        fault: plan.fault,
        met_running: false,
        tasks: 0,
        recovery_ms: None,
        took_ms: 0,
        violations: Vec::new(),
    };
    disturb(test_stack, plan, reference, settings, &mut report).await;
    recovers(settings.recovery, &mut report);
    report.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    report
}

async fn disturb(
    test_stack: &mut TestStack,
    plan: &Plan,
    reference: &Reference,
    settings: &Settings,
    report: &mut RunReport,
) {
    let lease = settings.lease;
    let give_up = CancellationToken::new();
    let since_ms = SystemClock.now_ms();
    let mut submitted = submit(test_stack, plan, false, report).await;
    let mut watchers: Vec<Watcher> = submitted.iter().map(|one| watch(test_stack, plan, one, &give_up)).collect();
    let tasks: Vec<String> = submitted.iter().map(|one| one.task.clone()).collect();
    let cancels: Vec<_> = submitted.iter().map(|one| cancelling(test_stack, plan, one)).collect();
    let cancelled = tokio::spawn(join_all(cancels));

    sleep(plan.moment).await;
    report.met_running = inject::meets_running(&watchers);
    // The clients are their own, so that requests are sent while the stack is being disturbed.
    let late = late_submissions(test_stack, plan);
    let (injected, late) = tokio::join!(inject::inject(test_stack, plan, &tasks, lease), late);
    let over = Instant::now();
    let pause = injected.unwrap_or_else(|error| {
        let message = format!("the fault could not be carried out: {error:#}");
        report.violations.push(Violation::new(Promise::RunWorks, message));
        Pause::default()
    });
    let late = keep(late, report);
    watchers.extend(late.iter().map(|one| watch(test_stack, plan, one, &give_up)));
    submitted.extend(late);
    report.tasks = submitted.len();
    let cancels = cancelled.await.unwrap_or_default();

    let mut followed = converge(watchers, CONVERGES + lease, &give_up, report).await;
    let last = followed.iter().filter_map(|one| one.end.map(|(_, at)| at)).max();
    report.recovery_ms = last
        .filter(|last| *last > over)
        .map(|last| u64::try_from(last.duration_since(over).as_millis()).unwrap_or(u64::MAX));
    if plan.fault == Fault::ExchangeAbsent {
        let (again, seen) = ask_again(test_stack, plan, &submitted, lease, report).await;
        submitted.extend(again);
        followed.extend(seen);
    }
    let mut wanted = vec![false; submitted.len()];
    for (index, cancel) in cancels.into_iter().enumerate() {
        match cancel {
            // Too late it may come because an earlier try was heard, whose answer was lost.
            Ok(Cancelled::AtOnce | Cancelled::Requested | Cancelled::TooLate) => wanted[index] = true,
            Ok(Cancelled::No) => {}
            Err(violation) => report.violations.push(violation),
        }
    }
    let ended: Vec<Followed> = submitted
        .iter()
        .zip(&followed)
        .zip(wanted)
        .map(|((submitted, followed), cancelled)| Followed {
            index: submitted.index,
            time: submitted.time,
            task: submitted.task.clone(),
            end: followed.end.map(|(state, _)| state),
            cancelled,
        })
        .collect();
    if let Err(error) =
        verify::verify(test_stack, plan, reference, &ended, &pause, since_ms, &mut report.violations).await
    {
        let message = format!("the end could not be compared: {error:#}");
        report.violations.push(Violation::new(Promise::RunWorks, message));
    }
}

/// What ends late is late, whatever the reason.
fn recovers(within: Duration, report: &mut RunReport) {
    let took = report.recovery_ms.map(Duration::from_millis);
    if let Some(took) = took.filter(|took| *took > within) {
        let message = format!("the last task ended {took:?} after the fault, more than {within:?}");
        report.violations.push(Violation::new(Promise::Recovers, message));
    }
}

async fn submit(test_stack: &TestStack, plan: &Plan, during: bool, report: &mut RunReport) -> Vec<Submitted> {
    let submissions = plan.submissions.iter().enumerate().filter(|(_, submission)| submission.during == during);
    let submitting = submissions
        .map(|(index, submission)| submissions::submit(test_stack.clients(submission.user), plan, index, Time::First));
    keep(join_all(submitting).await, report)
}

/// Submits the same ranges once more: what the exchange lacked for a while only is asked for again, since no check has
/// confirmed yet that it is absent.
async fn ask_again(
    test_stack: &TestStack,
    plan: &Plan,
    submitted: &[Submitted],
    lease: Duration,
    report: &mut RunReport,
) -> (Vec<Submitted>, Vec<Watched>) {
    let give_up = CancellationToken::new();
    let submitting = submitted.iter().map(|one| {
        let submission = &plan.submissions[one.index];
        submissions::submit(test_stack.clients(submission.user), plan, one.index, Time::Second)
    });
    let again = keep(join_all(submitting).await, report);
    let watchers = again.iter().map(|one| watch(test_stack, plan, one, &give_up)).collect();
    let seen = converge(watchers, CONVERGES + lease, &give_up, report).await;
    report.tasks += again.len();
    (again, seen)
}

fn keep(submitted: Vec<Result<Submitted, Violation>>, report: &mut RunReport) -> Vec<Submitted> {
    let mut kept = Vec::new();
    for one in submitted {
        match one {
            Ok(submitted) => kept.push(submitted),
            Err(violation) => report.violations.push(violation),
        }
    }
    kept
}

fn late_submissions(
    test_stack: &TestStack,
    plan: &Plan,
) -> impl Future<Output = Vec<Result<Submitted, Violation>>> + use<> {
    let plan = plan.clone();
    let late: Vec<_> = plan.submissions.iter().enumerate().filter(|(_, submission)| submission.during).collect();
    let late: Vec<_> =
        late.into_iter().map(|(index, submission)| (index, test_stack.clients(submission.user).clone())).collect();
    async move {
        sleep(DURING).await;
        let plan = &plan;
        join_all(late.iter().map(|(index, clients)| submissions::submit(clients, plan, *index, Time::First))).await
    }
}

fn watch(test_stack: &TestStack, plan: &Plan, submitted: &Submitted, give_up: &CancellationToken) -> Watcher {
    let submission = &plan.submissions[submitted.index];
    Watcher::start(test_stack.clients(submission.user).clone(), &submitted.task, submission.followed, give_up)
}

fn cancelling(
    test_stack: &TestStack,
    plan: &Plan,
    submitted: &Submitted,
) -> impl Future<Output = Result<Cancelled, Violation>> + Send + use<> {
    let submission = &plan.submissions[submitted.index];
    let (clients, task, after) =
        (test_stack.clients(submission.user).clone(), submitted.task.clone(), submission.cancelled_after);
    async move { submissions::cancel(&clients, &task, after).await }
}

/// Waits until every watcher has seen the end of its task, at most as long as `within`.
async fn converge(
    watchers: Vec<Watcher>,
    within: Duration,
    give_up: &CancellationToken,
    report: &mut RunReport,
) -> Vec<Watched> {
    let deadline = give_up.clone();
    let clock = tokio::spawn(async move {
        sleep(within).await;
        deadline.cancel();
    });
    let mut all = Vec::new();
    for watcher in watchers {
        let task = watcher.task.clone();
        // Longer than any single answer that it may wait for.
        let watched = timeout(within + Duration::from_secs(20), watcher.watched()).await;
        let mut watched = watched.unwrap_or_default();
        if watched.end.is_none() {
            let message =
                format!("task {task} has not ended within {within:?} of the fault; last seen {}", watched.described());
            report.violations.push(Violation::new(Promise::Ends, message));
        }
        report.violations.append(&mut watched.violations);
        all.push(watched);
    }
    clock.abort();
    all
}
