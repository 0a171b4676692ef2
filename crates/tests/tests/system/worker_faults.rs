//! What the exchange does wrong, and what the worker makes of it: no hole, no invented row, a clear message.

use crate::harness::{Harness, fetch, recorded, result_of, series};
use candlemill_shared::coverage::GapReason;
use candlemill_shared::task::{TaskRecord, TaskState};
use candlemill_shared::{Interval, TimeRange};
use candlemill_simulator::{ClockSetting, Fault, FaultRule, SimulatorConfig, WrongContent};
use std::time::Duration;

/// 2020-01-01 and 2020-01-04, UTC ms.
const DAYS: (i64, i64) = (1_577_836_800_000, 1_578_096_000_000);
const ALL: usize = 4_320;

/// Fetches three days of minutes while the exchange misbehaves.
async fn fetched(rules: Vec<FaultRule>) -> (Harness, TaskRecord) {
    let harness = Harness::start(recorded()).await;
    for rule in rules {
        harness.simulator.control().add_fault(rule);
    }
    let _worker = harness.worker_with([("BACKFILL_PAGE_CONCURRENCY", "2")]).await;
    let id = harness.submit("u", &fetch("BTCUSDT", Interval::Minute1, DAYS.0, DAYS.1)).await.record.id;
    let record = harness.end_of(id).await;
    (harness, record)
}

/// The fault passes: everything is there once, and nothing was believed that was wrong.
async fn check_recovers(name: &str, rule: FaultRule) {
    let (harness, record) = fetched(vec![rule]).await;
    assert_eq!((record.state, &record.error), (TaskState::Succeeded, &None), "{name}");
    let result = result_of(&record);
    assert_eq!((result.inserted, result.gaps_total), (ALL as u64, 0), "{name}");
    assert!(result.retries > 0, "{name}: the fault was met");
    assert_eq!(harness.candles("BTCUSDT", Interval::Minute1).await.len(), ALL, "{name}");
}

/// Two calls find the first candle.
fn on_page_three(fault: Fault) -> FaultRule {
    FaultRule::on("/api/v3/klines", fault).after(4).times(1)
}

macro_rules! recovers {
    ($($name:ident: $fault:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            check_recovers(stringify!($name), on_page_three($fault)).await;
        }
    )*};
}

recovers! {
    html_in_place_of_candles: Fault::Content(WrongContent::Html);
    truncated_json: Fault::Content(WrongContent::HalfJson);
    unsorted_rows: Fault::Content(WrongContent::Unsorted);
    a_duplicate_row: Fault::Content(WrongContent::DuplicateRow { index: 7 });
    a_short_row: Fault::Content(WrongContent::ShortRow { index: 7 });
    a_server_error: Fault::status(503);
    a_reset_connection: Fault::Reset;
    a_cut_body: Fault::CutBody { after_bytes: 5_000 };
}

/// The call for a page in the middle is answered with fewer rows than there are: the second call with other bounds brings them.
async fn check_loses_nothing(wrong: WrongContent) {
    let (harness, record) = fetched(vec![on_page_three(Fault::Content(wrong.clone()))]).await;
    let result = result_of(&record);
    assert_eq!((record.state, result.inserted, result.gaps_total), (TaskState::Succeeded, ALL as u64, 0), "{wrong:?}");
    assert_eq!(harness.simulator.control().faults()[0].applied, 1, "{wrong:?}");
    assert_eq!(harness.candles("BTCUSDT", Interval::Minute1).await.len(), ALL, "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_page_in_the_middle_loses_nothing() {
    check_loses_nothing(WrongContent::NoRows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_page_loses_nothing() {
    check_loses_nothing(WrongContent::FirstHalf).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_left_out_once_is_not_lost() {
    check_loses_nothing(WrongContent::MissingRow { index: 7 }).await;
}

/// The exchange tells a wrong time to the first that asks.
async fn check_wrong_time(wrong: WrongContent) {
    let now = DAYS.0 + 10 * 60_000 + 30_000;
    let harness =
        Harness::start(SimulatorConfig { clock: ClockSetting::RunningFrom { at_ms: now }, ..recorded() }).await;
    harness.simulator.control().add_fault(FaultRule::on("/api/v3/time", Fault::Content(wrong.clone())).times(1));
    let _worker = harness.worker().await;
    let mut job = fetch("BTCUSDT", Interval::Minute1, DAYS.0, 0);
    job.end = None;
    let id = harness.submit("u", &job).await.record.id;
    let record = harness.end_of(id).await;
    assert_eq!((record.state, result_of(&record).inserted), (TaskState::Succeeded, 10), "{wrong:?}");
    assert_eq!(harness.simulator.control().faults()[0].applied, 1, "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_in_microseconds_makes_no_forming_candle_final() {
    check_wrong_time(WrongContent::TimeMicroseconds).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_two_hours_ahead_makes_no_forming_candle_final() {
    check_wrong_time(WrongContent::TimeAhead { ms: 7_200_000 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_fails_the_checks_is_refused_named_and_fetched_again_later() {
    let (harness, record) = fetched(vec![on_page_three(Fault::Content(WrongContent::BadRow { index: 7 }))]).await;
    assert_eq!(record.state, TaskState::Succeeded);
    let result = result_of(&record);
    assert_eq!((result.inserted, result.rejected), (ALL as u64 - 1, 1));
    assert_eq!(
        result.gaps.iter().map(|gap| (gap.reason, gap.buckets)).collect::<Vec<_>>(),
        [(GapReason::FetchFailed, 1)]
    );
    // The bucket is not verified, so the next fetch asks for just it, and the gap vanishes.
    let _worker = harness.worker().await;
    let id = harness.submit("u", &fetch("BTCUSDT", Interval::Minute1, DAYS.0, DAYS.1)).await.record.id;
    let result = result_of(&harness.end_of(id).await);
    assert_eq!((result.inserted, result.pages, result.gaps_total), (1, 1, 0));
    let verified =
        harness.market.coverage().verified(&series("BTCUSDT", Interval::Minute1), TimeRange::new(0, DAYS.1)).await;
    assert_eq!(verified.unwrap(), [TimeRange::new(DAYS.0, DAYS.1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_symbol_fails_at_once_and_says_so() {
    let harness = Harness::start(recorded()).await;
    let _worker = harness.worker().await;
    let id = harness.submit("u", &fetch("NOSUCHCOIN", Interval::Minute1, DAYS.0, DAYS.1)).await.record.id;
    let record = harness.end_of(id).await;
    let error = record.error.unwrap();
    assert_eq!((record.state, record.attempt, error.code.as_str()), (TaskState::Failed, 1, "unknown_symbol"));
    assert!(error.message.contains("NOSUCHCOIN"), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_is_made_before_retry_after_by_any_worker() {
    let harness = Harness::start(recorded()).await;
    let control = harness.simulator.control();
    control.add_fault(FaultRule::on("/api/v3/klines", Fault::throttled(429, 2)).after(3).times(1));
    let (_one, _other) = (harness.worker().await, harness.worker().await);
    let id = harness.submit("u", &fetch("BTCUSDT", Interval::Minute1, DAYS.0, DAYS.1)).await.record.id;
    let record = harness.end_of(id).await;
    assert_eq!((record.state, result_of(&record).inserted), (TaskState::Succeeded, ALL as u64));
    let calls = control.calls("/api/v3/");
    let refused = calls.iter().find(|call| call.status == Some(429)).unwrap();
    // Calls that were under way already may still arrive in the same moment.
    let early: Vec<_> =
        calls.iter().filter(|call| call.at_ms > refused.at_ms + 100 && call.at_ms < refused.at_ms + 2_000).collect();
    assert!(early.is_empty(), "{early:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forming_candle_is_never_stored_even_when_our_clock_is_off() {
    // The exchange's clock stands in the middle of a minute of 2020, years behind ours.
    let now = DAYS.0 + 10 * 60_000 + 30_000;
    let harness =
        Harness::start(SimulatorConfig { clock: ClockSetting::RunningFrom { at_ms: now }, ..recorded() }).await;
    let _worker = harness.worker().await;
    let mut job = fetch("BTCUSDT", Interval::Minute1, DAYS.0, 0);
    job.end = None;
    let id = harness.submit("u", &job).await.record.id;
    let record = harness.end_of(id).await;
    assert_eq!((record.state, result_of(&record).inserted), (TaskState::Succeeded, 10));
    let stored = harness.candles("BTCUSDT", Interval::Minute1).await;
    assert_eq!(stored.last().unwrap().open_time, DAYS.0 + 9 * 60_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_task_stops_within_a_page_and_keeps_what_it_has() {
    let harness = Harness::start(recorded()).await;
    let control = harness.simulator.control();
    control.add_fault(FaultRule::on("/api/v3/klines", Fault::Hold).after(4));
    let _worker = harness.worker_with([("BACKFILL_PAGE_CONCURRENCY", "1")]).await;
    let id = harness.submit("u", &fetch("BTCUSDT", Interval::Minute1, DAYS.0, DAYS.1)).await.record.id;
    control.wait_for_held(1, Duration::from_secs(20)).await.unwrap();
    harness.tasks.cancel(id, "u").await.unwrap();
    let record = harness.end_of(id).await;
    assert_eq!(record.state, TaskState::Cancelled);
    assert_eq!(harness.tasks.cancel(id, "stranger").await.unwrap(), candlemill_tasks::CancelOutcome::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_worker_hands_its_task_to_another_which_goes_on() {
    let harness = Harness::start(recorded()).await;
    let control = harness.simulator.control();
    control.add_fault(FaultRule::on("/api/v3/klines", Fault::Hold).after(4));
    let worker = harness.worker_with([("BACKFILL_PAGE_CONCURRENCY", "1")]).await;
    let id = harness.submit("u", &fetch("BTCUSDT", Interval::Minute1, DAYS.0, DAYS.1)).await.record.id;
    control.wait_for_held(1, Duration::from_secs(20)).await.unwrap();
    let told = std::time::Instant::now();
    worker.stop().await;
    assert!(told.elapsed() < std::time::Duration::from_secs(10), "the grace time is for what still runs");
    let handed = harness.wait(id, |record| record.state == TaskState::Retrying).await;
    assert_eq!(handed.attempts[0].error.as_ref().unwrap().code, "handed_back");
    control.clear_faults();
    let _next = harness.worker().await;
    let record = harness.end_of(id).await;
    let result = result_of(&record);
    assert_eq!(
        (record.state, record.attempt, result.inserted + result.duplicate),
        (TaskState::Succeeded, 2, ALL as u64)
    );
    assert_eq!(harness.candles("BTCUSDT", Interval::Minute1).await.len(), ALL);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_without_rows_is_an_outage_in_the_ledger() {
    let harness = Harness::start(recorded()).await;
    let hour = TimeRange::new(DAYS.0 + 3_600_000, DAYS.0 + 7_200_000);
    harness.simulator.control().add_outage(candlemill_simulator::Outage {
        symbol: None,
        interval: Some(Interval::Minute1),
        start: hour.start,
        end: hour.end,
    });
    let _worker = harness.worker().await;
    let id = harness.submit("u", &fetch("BTCUSDT", Interval::Minute1, DAYS.0, DAYS.1)).await.record.id;
    let result = result_of(&harness.end_of(id).await);
    assert_eq!(result.inserted, ALL as u64 - 60);
    assert_eq!(result.gaps.len(), 1);
    assert_eq!((result.gaps[0].range, result.gaps[0].reason), (hour, GapReason::Outage));
}
