//! A worker fetches real history and stores exactly it.

use crate::harness::{Harness, fetch, recorded, result_of, series};
use candlemill_shared::coverage::GapReason;
use candlemill_shared::task::TaskState;
use candlemill_shared::{Interval, TimeRange};

/// 2020-01-01 and 2020-01-04, UTC ms.
const DAYS: (i64, i64) = (1_577_836_800_000, 1_578_096_000_000);

#[tokio::test(flavor = "multi_thread")]
async fn three_days_of_minutes_are_stored_exactly_and_repeated_without_a_call() {
    let harness = Harness::start(recorded()).await;
    let _worker = harness.worker().await;
    let job = fetch("BTCUSDT", Interval::Minute1, DAYS.0, DAYS.1);
    let first = harness.submit("u", &job).await;
    assert!(first.created);
    let ended = harness.end_of(first.record.id).await;
    assert_eq!((ended.state, &ended.error), (TaskState::Succeeded, &None));
    let result = result_of(&ended);
    assert_eq!((result.inserted, result.duplicate, result.pages, result.gaps_total), (4_320, 0, 5, 0));
    assert_eq!(harness.candles("BTCUSDT", Interval::Minute1).await.len(), 4_320);
    let verified =
        harness.market.coverage().verified(&series("BTCUSDT", Interval::Minute1), TimeRange::new(0, DAYS.1 * 2)).await;
    assert_eq!(verified.unwrap(), [TimeRange::new(DAYS.0, DAYS.1)]);

    let again = harness.submit("u", &job).await;
    assert!(again.created, "the first one has ended");
    let result = result_of(&harness.end_of(again.record.id).await);
    assert_eq!((result.inserted, result.calls, result.pages), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_outage_of_eight_years_of_hours_is_known() {
    let harness = Harness::start(recorded()).await;
    let _worker = harness.worker().await;
    // 2017-12-01 to 2026-04-01; the file begins with 2018.
    let job = fetch("BTCUSDT", Interval::Hour1, 1_512_086_400_000, 1_775_001_600_000);
    let id = harness.submit("u", &job).await.record.id;
    let ended = harness.end_of(id).await;
    assert_eq!((ended.state, &ended.error), (TaskState::Succeeded, &None));
    let result = result_of(&ended);
    let outages: Vec<_> = result.gaps.iter().filter(|gap| gap.reason == GapReason::Outage).collect();
    assert_eq!((outages.len(), outages.iter().map(|gap| gap.buckets).sum::<u64>()), (27, 122));
    assert_eq!(result.gaps[0].reason, GapReason::BeforeListing);
    let hours = Interval::Hour1.count(TimeRange::new(1_514_764_800_000, 1_775_001_600_000));
    assert_eq!(result.inserted, hours - 122);
}
