//! One run: submit, disturb, let converge, compare.

use crate::fault::Fault;
use crate::inject::{self, Pause};
use crate::orders::{self, Cancelled, Placed, Time};
use crate::plan::Plan;
use crate::reference::Reference;
use crate::report::RunReport;
use crate::series::Settings;
use crate::verify::{self, Followed};
use crate::violation::{Promise, Violation};
use crate::watch::{Watched, Watcher};
use crate::yard::Yard;
use candlemill_shared::{Clock, SystemClock};
use futures::future::join_all;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// A task ends within this after the end of the fault, the lease not counted: retries of the exchange's errors may wait
/// some 20 s each.
const CONVERGES: Duration = Duration::from_secs(90);
/// An order that comes during the fault comes so long after its beginning.
const DURING: Duration = Duration::from_millis(60);

/// Carries out `plan` and says what came of it.
pub(crate) async fn run(yard: &mut Yard, plan: &Plan, reference: &Reference, settings: &Settings) -> RunReport {
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
    disturb(yard, plan, reference, settings, &mut report).await;
    recovers(settings.recovery, &mut report);
    report.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    report
}

async fn disturb(yard: &mut Yard, plan: &Plan, reference: &Reference, settings: &Settings, report: &mut RunReport) {
    let lease = settings.lease;
    let give_up = CancellationToken::new();
    let since_ms = SystemClock.now_ms();
    let mut placed = place(yard, plan, false, report).await;
    let mut watchers: Vec<Watcher> = placed.iter().map(|one| watch(yard, plan, one, &give_up)).collect();
    let tasks: Vec<String> = placed.iter().map(|one| one.task.clone()).collect();
    let cancels: Vec<_> = placed.iter().map(|one| cancelling(yard, plan, one)).collect();
    let cancelled = tokio::spawn(join_all(cancels));

    sleep(plan.moment).await;
    report.met_running = inject::meets_running(&watchers);
    // The clients are their own, so that orders are placed while the stack is being disturbed.
    let late = late_orders(yard, plan);
    let (injected, late) = tokio::join!(inject::inject(yard, plan, &tasks, lease), late);
    let over = Instant::now();
    let pause = injected.unwrap_or_else(|error| {
        let told = format!("the fault could not be carried out: {error:#}");
        report.violations.push(Violation::new(Promise::RunWorks, told));
        Pause::default()
    });
    let late = keep(late, report);
    watchers.extend(late.iter().map(|one| watch(yard, plan, one, &give_up)));
    placed.extend(late);
    report.tasks = placed.len();
    let cancels = cancelled.await.unwrap_or_default();

    let mut followed = converge(watchers, CONVERGES + lease, &give_up, report).await;
    let last = followed.iter().filter_map(|one| one.end.map(|(_, at)| at)).max();
    report.recovery_ms = last
        .filter(|last| *last > over)
        .map(|last| u64::try_from(last.duration_since(over).as_millis()).unwrap_or(u64::MAX));
    if plan.fault == Fault::ExchangeAbsent {
        let (again, seen) = ask_again(yard, plan, &placed, lease, report).await;
        placed.extend(again);
        followed.extend(seen);
    }
    let mut wanted = vec![false; placed.len()];
    for (index, cancel) in cancels.into_iter().enumerate() {
        match cancel {
            // Too late it may come because an earlier try was heard, whose answer was lost.
            Ok(Cancelled::AtOnce | Cancelled::Told | Cancelled::TooLate) => wanted[index] = true,
            Ok(Cancelled::No) => {}
            Err(violation) => report.violations.push(violation),
        }
    }
    let ended: Vec<Followed> = placed
        .iter()
        .zip(&followed)
        .zip(wanted)
        .map(|((placed, followed), cancelled)| Followed {
            index: placed.index,
            time: placed.time,
            task: placed.task.clone(),
            end: followed.end.map(|(state, _)| state),
            cancelled,
        })
        .collect();
    if let Err(error) = verify::verify(yard, plan, reference, &ended, &pause, since_ms, &mut report.violations).await {
        let told = format!("the end could not be compared: {error:#}");
        report.violations.push(Violation::new(Promise::RunWorks, told));
    }
}

/// What ends late is late, whatever the reason.
fn recovers(within: Duration, report: &mut RunReport) {
    let took = report.recovery_ms.map(Duration::from_millis);
    if let Some(took) = took.filter(|took| *took > within) {
        let told = format!("the last task ended {took:?} after the fault, more than {within:?}");
        report.violations.push(Violation::new(Promise::Recovers, told));
    }
}

async fn place(yard: &Yard, plan: &Plan, during: bool, report: &mut RunReport) -> Vec<Placed> {
    let orders = plan.orders.iter().enumerate().filter(|(_, order)| order.during == during);
    let placing = orders.map(|(index, order)| orders::place(yard.clients(order.user), plan, index, Time::First));
    keep(join_all(placing).await, report)
}

/// Submits the same ranges once more: what the exchange lacked for a while only is asked for again, since nobody has confirmed
/// yet that it is absent.
async fn ask_again(
    yard: &Yard,
    plan: &Plan,
    placed: &[Placed],
    lease: Duration,
    report: &mut RunReport,
) -> (Vec<Placed>, Vec<Watched>) {
    let give_up = CancellationToken::new();
    let placing = placed.iter().map(|one| {
        let order = &plan.orders[one.index];
        orders::place(yard.clients(order.user), plan, one.index, Time::Second)
    });
    let again = keep(join_all(placing).await, report);
    let watchers = again.iter().map(|one| watch(yard, plan, one, &give_up)).collect();
    let seen = converge(watchers, CONVERGES + lease, &give_up, report).await;
    report.tasks += again.len();
    (again, seen)
}

fn keep(placed: Vec<Result<Placed, Violation>>, report: &mut RunReport) -> Vec<Placed> {
    let mut kept = Vec::new();
    for one in placed {
        match one {
            Ok(placed) => kept.push(placed),
            Err(violation) => report.violations.push(violation),
        }
    }
    kept
}

fn late_orders(yard: &Yard, plan: &Plan) -> impl Future<Output = Vec<Result<Placed, Violation>>> + use<> {
    let plan = plan.clone();
    let late: Vec<_> = plan.orders.iter().enumerate().filter(|(_, order)| order.during).collect();
    let late: Vec<_> = late.into_iter().map(|(index, order)| (index, yard.clients(order.user).clone())).collect();
    async move {
        sleep(DURING).await;
        let plan = &plan;
        join_all(late.iter().map(|(index, clients)| orders::place(clients, plan, *index, Time::First))).await
    }
}

fn watch(yard: &Yard, plan: &Plan, placed: &Placed, give_up: &CancellationToken) -> Watcher {
    let order = &plan.orders[placed.index];
    Watcher::start(yard.clients(order.user).clone(), &placed.task, order.followed, give_up)
}

fn cancelling(
    yard: &Yard,
    plan: &Plan,
    placed: &Placed,
) -> impl Future<Output = Result<Cancelled, Violation>> + Send + use<> {
    let order = &plan.orders[placed.index];
    let (clients, task, after) = (yard.clients(order.user).clone(), placed.task.clone(), order.cancelled_after);
    async move { orders::cancel(&clients, &task, after).await }
}

/// Waits until every watcher has seen the end of its task, at most as long as `patience`.
async fn converge(
    watchers: Vec<Watcher>,
    patience: Duration,
    give_up: &CancellationToken,
    report: &mut RunReport,
) -> Vec<Watched> {
    let deadline = give_up.clone();
    let clock = tokio::spawn(async move {
        sleep(patience).await;
        deadline.cancel();
    });
    let mut all = Vec::new();
    for watcher in watchers {
        let task = watcher.task.clone();
        // Longer than any single answer that it may wait for.
        let watched = timeout(patience + Duration::from_secs(20), watcher.watched()).await;
        let mut watched = watched.unwrap_or_default();
        if watched.end.is_none() {
            let told =
                format!("task {task} has not ended within {patience:?} of the fault; last seen {}", watched.told());
            report.violations.push(Violation::new(Promise::Ends, told));
        }
        report.violations.append(&mut watched.violations);
        all.push(watched);
    }
    clock.abort();
    all
}
