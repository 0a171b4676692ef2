//! No unknown hole: however many workers write at the same time, whatever the exchange leaves out for a while.
//! Every `Harness` ends with the check that verified ranges are the stored candles and the gaps.

use crate::harness::{Harness, fetch, result_of, series};
use candlemill_shared::coverage::{Gap, GapReason};
use candlemill_shared::job::{Envelope, FetchBatch, FetchHistory, FetchMode, FetchResult, Job, Start};
use candlemill_shared::range::normalise;
use candlemill_shared::task::{TaskRecord, TaskState};
use candlemill_shared::{Interval, TimeRange};
use candlemill_simulator::{ClockSetting, Fault, FaultRule, GeneratedMarket, Outage, SimulatorConfig, WrongContent};
use futures::future::join_all;
use mongodb::bson::{Document, doc};

const SYMBOL: &str = "GENUSDT";
/// 2023-01-01, UTC ms: long after the generated market's listing.
const START: i64 = 1_672_531_200_000;
const M: i64 = 60_000;
const HOUR: i64 = 3_600_000;

fn minutes(start: i64, end: i64) -> TimeRange {
    TimeRange::new(START + start * M, START + end * M)
}

fn job(start: i64, end: i64) -> FetchHistory {
    let range = minutes(start, end);
    fetch(SYMBOL, Interval::Minute1, range.start, range.end)
}

fn outage(start: i64, end: i64) -> Outage {
    let TimeRange { start, end } = minutes(start, end);
    Outage { symbol: None, interval: Some(Interval::Minute1), start, end }
}

async fn done(harness: &Harness, job: &FetchHistory) -> FetchResult {
    let id = harness.submit("u", job).await.record.id;
    let ended = harness.end_of(id).await;
    assert_eq!((ended.state, &ended.error), (TaskState::Succeeded, &None));
    result_of(&ended)
}

async fn gaps(harness: &Harness) -> Vec<(i64, i64, GapReason)> {
    let all = TimeRange::new(0, 9_000_000_000_000);
    let found = harness.market.coverage().gaps(&series(SYMBOL, Interval::Minute1), all, None, 1_000).await.unwrap();
    found.iter().map(|gap| ((gap.range.start - START) / M, (gap.range.end - START) / M, gap.reason)).collect()
}

async fn verified(harness: &Harness) -> Vec<(i64, i64)> {
    let all = TimeRange::new(0, 9_000_000_000_000);
    let found = harness.market.coverage().verified(&series(SYMBOL, Interval::Minute1), all).await.unwrap();
    found.iter().map(|range| ((range.start - START) / M, (range.end - START) / M)).collect()
}

fn calls(harness: &Harness) -> usize {
    harness.simulator.control().calls("/api/v3/klines").len()
}

fn batch(harness: &Harness, fetches: Vec<FetchHistory>) -> TaskRecord {
    let job = FetchBatch { fetches };
    TaskRecord {
        fingerprint: job.fingerprint("u"),
        job: Envelope::of(&job).unwrap(),
        ..harness.record("u", &self::job(0, 1))
    }
}

/// Lets all absences look as if they had been seen so much earlier.
async fn age(harness: &Harness, ms: i64) {
    let chunks = harness.collection("coverage_chunks").await;
    let older = |field: &str| doc! { "$subtract": [format!("$$gap.{field}"), ms] };
    let gaps = doc! { "$map": { "input": "$gaps", "as": "gap", "in": { "$mergeObjects": [
        "$$gap", { "seen_at": older("seen_at"), "confirmed_at": older("confirmed_at") },
    ] } } };
    let aged =
        doc! { "gaps": gaps, "recheck_at": { "$subtract": ["$recheck_at", ms] }, "rev": { "$add": ["$rev", 1_i64] } };
    chunks.update_many(doc! { "recheck_at": { "$exists": true } }, vec![doc! { "$set": aged }]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn overlapping_ranges_over_an_outage_leave_no_hole_and_share_their_pages() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    harness.simulator.control().add_outage(outage(3_000, 8_500));
    let _workers = (harness.worker().await, harness.worker().await);
    let ranges = (0..10).map(|number| job(number * 700, 10_000 - number * 150)).collect();
    let id = harness.accept(batch(&harness, ranges)).await.record.id;
    let ended = harness.end_of(id).await;
    assert_eq!((ended.state, &ended.error), (TaskState::Succeeded, &None));
    assert_eq!(
        (gaps(&harness).await, verified(&harness).await),
        (vec![(3_000, 8_500, GapReason::Outage)], vec![(0, 10_000)])
    );
    assert_eq!(harness.candles(SYMBOL, Interval::Minute1).await.len(), 4_500);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_fetches_over_one_outage_from_different_starts_tell_all_of_it() {
    for _ in 0..4 {
        let harness = Harness::start(SimulatorConfig::default()).await;
        harness.simulator.control().add_outage(outage(100, 900));
        let _workers = (harness.worker().await, harness.worker().await);
        let (one, other) = (job(0, 600), job(300, 1_200));
        let (_, told) = tokio::join!(done(&harness, &one), done(&harness, &other));
        let range = minutes(300, 900);
        assert!(told.gaps.len() == 1 && told.gaps[0].range == range, "as far as it was asked for: {:?}", told.gaps);
        assert_eq!(
            (gaps(&harness).await, verified(&harness).await),
            (vec![(100, 900, GapReason::Outage)], vec![(0, 1_200)])
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn six_ranges_that_begin_before_the_listing_add_up() {
    let market = GeneratedMarket { listed_at_ms: START + 500 * M, ..GeneratedMarket::new(SYMBOL.parse().unwrap()) };
    let harness = Harness::start(SimulatorConfig { generated: vec![market], ..SimulatorConfig::default() }).await;
    let _workers = (harness.worker().await, harness.worker().await);
    let ranges = (1..=6).map(|number| job(0, number * 150)).collect();
    let id = harness.accept(batch(&harness, ranges)).await.record.id;
    assert_eq!(harness.end_of(id).await.state, TaskState::Succeeded);
    assert_eq!(
        (gaps(&harness).await, verified(&harness).await),
        (vec![(0, 500, GapReason::BeforeListing)], vec![(0, 900)])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn candles_that_come_into_the_middle_of_a_gap_leave_it() {
    // The last ten minutes are not published yet.
    let clock = ClockSetting::RunningFrom { at_ms: START + 100 * M + 30_000 };
    let harness = Harness::start(SimulatorConfig { clock, ..SimulatorConfig::default() }).await;
    let control = harness.simulator.control();
    control.add_outage(outage(90, 101));
    let _worker = harness.worker().await;
    done(&harness, &job(80, 100)).await;
    assert_eq!(
        (gaps(&harness).await, verified(&harness).await),
        (vec![(90, 100, GapReason::Unpublished)], vec![(80, 90)])
    );
    control.restore_market();
    assert_eq!(done(&harness, &job(95, 100)).await.inserted, 5);
    assert_eq!(
        (gaps(&harness).await, verified(&harness).await),
        (vec![(90, 95, GapReason::Unpublished)], vec![(80, 90), (95, 100)])
    );
}

async fn check_short_answer(name: &str, wrong: WrongContent) {
    let harness = Harness::start(SimulatorConfig::default()).await;
    // The first call asks for the first candle.
    harness
        .simulator
        .control()
        .add_fault(FaultRule::on("/api/v3/klines", Fault::Content(wrong)).containing("endTime").after(3).times(1));
    let _worker = harness.worker_with([("BACKFILL_PAGE_CONCURRENCY", "1")]).await;
    let result = done(&harness, &job(0, 4_320)).await;
    assert_eq!((result.inserted, result.gaps_total), (4_320, 0), "{name}");
    assert_eq!(done(&harness, &job(0, 4_320)).await.calls, 0, "{name}: all is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_short_answer_is_no_proof_of_absence() {
    check_short_answer("an empty page", WrongContent::NoRows).await;
    check_short_answer("half a page", WrongContent::FirstRows { count: 500 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn early_history_that_was_away_comes_with_the_next_fetch() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let control = harness.simulator.control();
    control.add_outage(Outage { symbol: None, interval: None, start: 0, end: START + 2_000 * M });
    let _worker = harness.worker().await;
    let first = done(&harness, &job(0, 3_000)).await;
    assert_eq!((first.inserted, first.gaps[0].reason), (1_000, GapReason::BeforeListing));
    control.restore_market();
    let again = done(&harness, &job(0, 3_000)).await;
    assert_eq!((again.inserted, again.gaps_total), (2_000, 0), "a first candle gives way to an older one");
    assert_eq!(done(&harness, &job(0, 3_000)).await.calls, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symbol_that_answers_nothing_for_a_while_is_asked_again() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let control = harness.simulator.control();
    control.add_fault(FaultRule::on("/api/v3/klines", Fault::Content(WrongContent::NoRows)));
    let _worker = harness.worker().await;
    let first = done(&harness, &job(0, 10_000)).await;
    assert_eq!((first.inserted, first.gaps[0].reason), (0, GapReason::Unpublished), "nothing about it is final");
    assert_eq!(verified(&harness).await, []);
    control.clear_faults();
    let again = done(&harness, &job(0, 10_000)).await;
    assert_eq!((again.inserted, again.gaps_total), (10_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_hours_that_were_published_late_are_fetched() {
    let clock = ClockSetting::RunningFrom { at_ms: START + 600 * M + 30_000 };
    let harness = Harness::start(SimulatorConfig { clock, ..SimulatorConfig::default() }).await;
    let control = harness.simulator.control();
    control.add_outage(outage(300, 700));
    let _worker = harness.worker().await;
    let open = FetchHistory { end: None, ..job(0, 1) };
    let first = done(&harness, &open).await;
    assert_eq!((first.inserted, first.gaps[0].reason), (300, GapReason::Unpublished), "though most is hours old");
    control.restore_market();
    assert_eq!(done(&harness, &open).await.inserted, 300);
    assert_eq!((gaps(&harness).await, verified(&harness).await), (vec![], vec![(0, 600)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absence_is_asked_again_until_it_is_confirmed_and_then_costs_no_call() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let control = harness.simulator.control();
    control.add_outage(outage(10, 20));
    let _worker = harness.worker().await;
    let first = done(&harness, &job(0, 100)).await;
    let Gap { seen_at, confirmed_at, .. } = first.gaps[0];
    assert!(seen_at.is_some() && seen_at == confirmed_at, "results tell when: {:?}", first.gaps);
    assert!(done(&harness, &job(0, 100)).await.calls > 0, "seen once");
    age(&harness, HOUR).await;
    let confirmed = done(&harness, &job(0, 100)).await;
    assert!(confirmed.calls > 0 && confirmed.gaps[0].is_confirmed(), "{:?}", confirmed.gaps);
    assert_eq!(done(&harness, &job(0, 100)).await.calls, 0, "confirmed an hour apart");
    // A day later housekeeping asks again by itself, and finds the candles.
    control.restore_market();
    age(&harness, 24 * HOUR).await;
    let whole = async {
        while harness.candles(SYMBOL, Interval::Minute1).await.len() < 100 {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(40), whole).await.expect("housekeeping asks again");
    let cleared = async {
        while !gaps(&harness).await.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), cleared).await.expect("what came is no gap any more");
    assert_eq!(verified(&harness).await, [(0, 100)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_overlapping_fetches_share_their_pages() {
    let harness = Harness::start(SimulatorConfig { latency_ms: 30, ..SimulatorConfig::default() }).await;
    let _workers = (harness.worker().await, harness.worker().await);
    let jobs: Vec<FetchHistory> = (0..5).map(|number| job(number * 250, 45_000 - number * 150)).collect();
    let results = join_all(jobs.iter().map(|job| done(&harness, job))).await;
    assert!(calls(&harness) <= 60, "{} calls for 46 pages", calls(&harness));
    for (job, result) in jobs.iter().zip(results) {
        let asked = Interval::Minute1.count(job.range_at(0));
        assert_eq!(result.inserted + result.duplicate, asked, "what others stored is counted");
    }
    assert_eq!(harness.candles(SYMBOL, Interval::Minute1).await.len(), 45_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_fetch_tells_the_ranges_that_it_fetched() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let control = harness.simulator.control();
    control.add_fault(FaultRule::on("/api/v3/klines", Fault::Hold).containing("endTime").after(4));
    let _worker = harness.worker_with([("BACKFILL_PAGE_CONCURRENCY", "1")]).await;
    let id = harness.submit("u", &job(0, 20_000)).await.record.id;
    control.wait_for_held(1, std::time::Duration::from_secs(20)).await.unwrap();
    harness.tasks.cancel(id, "u").await.unwrap();
    let result = result_of(&harness.end_of(id).await);
    let fetched: Vec<TimeRange> = verified(&harness).await.iter().map(|&(start, end)| minutes(start, end)).collect();
    assert_eq!(result.ranges, fetched);
    assert!(result.range == Some(minutes(0, 20_000)) && Interval::Minute1.count(fetched[0]) < 5_000, "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn verifying_records_what_was_restated_and_repairs_what_is_missing() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let control = harness.simulator.control();
    let _worker = harness.worker().await;
    done(&harness, &job(0, 3_000)).await;
    let before = harness.candles(SYMBOL, Interval::Minute1).await;
    let restated = &before[1_500];
    let (close, volume) = (restated.high, restated.volume + restated.volume);
    control.restate(&SYMBOL.parse().unwrap(), Interval::Minute1, restated.open_time, close, volume);
    control.add_outage(outage(2_000, 2_003));
    // Somebody deleted candles past the product.
    let candles = harness.collection("klines.binance.1m").await;
    let lost: Vec<String> = (700..720).map(|minute| format!("{SYMBOL}_{}", START + minute * M)).collect();
    assert_eq!(candles.delete_many(doc! { "_id": { "$in": lost } }).await.unwrap().deleted_count, 20);

    assert_eq!(done(&harness, &job(0, 3_000)).await.calls, 0, "a fetch believes the ledger");
    let verify = FetchHistory { mode: FetchMode::Verify, ..job(0, 3_000) };
    let result = done(&harness, &verify).await;
    assert_eq!((result.inserted, result.reopened, result.restated), (20, 20, 4));
    let series = series(SYMBOL, Interval::Minute1);
    let corrections = harness.market.coverage().corrections(&series, minutes(0, 3_000), 10).await.unwrap();
    let told: Vec<(i64, bool)> =
        corrections.iter().map(|one| ((one.stored.open_time - START) / M, one.now.is_some())).collect();
    assert_eq!(told, [(1_500, true), (2_000, false), (2_001, false), (2_002, false)]);
    assert_eq!(harness.candles(SYMBOL, Interval::Minute1).await, before, "what is stored stays");
    assert_eq!(verified(&harness).await, [(0, 3_000)]);
    // The exchange says again what it said first.
    control.restore_market();
    control.reset();
    assert_eq!(done(&harness, &verify).await.restated, 0);
    assert!(harness.market.coverage().corrections(&series, minutes(0, 3_000), 10).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_of_an_earlier_version_is_taken_over_and_its_holes_heal() {
    let harness = Harness::start(SimulatorConfig::default()).await;
    let worker = harness.worker().await;
    done(&harness, &job(0, 2_000)).await;
    worker.stop().await;
    // As earlier versions wrote it: one gap took the place of another that began with it, and five candles stand in a gap.
    let chunks: mongodb::Collection<Document> = harness.collection("coverage_chunks").await;
    chunks.delete_many(doc! {}).await.unwrap();
    let id = |minute: i64| format!("binance:{SYMBOL}:1m_{}", START + minute * M);
    let range = |start: i64, end: i64| doc! { "_id": id(start), "start": START + start * M, "end": START + end * M };
    let segments = harness.collection("coverage").await;
    segments.insert_many([range(0, 1_500), range(1_000, 3_500)]).await.unwrap();
    let mut gap = range(1_995, 2_100);
    gap.extend(doc! { "buckets": 105_i64, "reason": "outage" });
    harness.collection("coverage_gaps").await.insert_one(gap).await.unwrap();

    let _worker = harness.worker().await;
    let healed = async {
        while harness.candles(SYMBOL, Interval::Minute1).await.len() < 3_500 || verified(&harness).await != [(0, 3_500)]
        {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(50), healed).await.expect("holes heal by themselves");
    assert_eq!(gaps(&harness).await, []);
    assert_eq!(segments.count_documents(doc! {}).await.unwrap(), 0, "the earlier form is gone");
    assert_eq!(done(&harness, &job(0, 3_500)).await.calls, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn symbols_that_begin_alike_do_not_meet() {
    let other = "GENUSDT_240927";
    let name = "币安人生USDT";
    let generated = [SYMBOL, other, name].map(|symbol| GeneratedMarket::new(symbol.parse().unwrap())).to_vec();
    let harness = Harness::start(SimulatorConfig { generated, ..SimulatorConfig::default() }).await;
    // As versions before stored it.
    let candles = harness.collection("klines.binance.1m").await;
    let worker = harness.worker().await;
    for symbol in [SYMBOL, other, name] {
        let job = fetch(symbol, Interval::Minute1, START, START + 1_000 * M);
        assert_eq!(done(&harness, &job).await.inserted, 1_000, "{symbol}");
    }
    let newest = async |symbol: &str| {
        let all = TimeRange::new(0, 9_999_999_999_999);
        let history = harness.market.history(&series(symbol, Interval::Minute1), all).await.unwrap();
        (history.newest().await.unwrap(), harness.candles(symbol, Interval::Minute1).await.len())
    };
    for symbol in [SYMBOL, other, name] {
        assert_eq!(newest(symbol).await, (Some(START + 999 * M), 1_000), "{symbol}");
    }
    worker.stop().await;
    // What an earlier version stored under ids among those of another symbol gets ids of its own.
    let mut cursor = candles.find(doc! { "_id": { "$regex": "^GENUSDT%5F" } }).await.unwrap();
    let mut earlier = Vec::new();
    while cursor.advance().await.unwrap() {
        let mut candle = cursor.deserialize_current().unwrap();
        let id = candle.get_str("_id").unwrap().replace("%5F", "_");
        candle.insert("_id", id);
        earlier.push(candle);
    }
    candles.delete_many(doc! { "_id": { "$regex": "^GENUSDT%5F" } }).await.unwrap();
    candles.insert_many(earlier).await.unwrap();
    let chunks: mongodb::Collection<Document> = harness.collection("coverage_chunks").await;
    chunks.delete_many(doc! { "_id": { "$regex": format!("^binance:{other}:") } }).await.unwrap();
    let range = doc! { "_id": format!("binance:{other}:1m_{START}"), "start": START, "end": START + 1_000 * M };
    harness.collection("coverage").await.insert_one(range).await.unwrap();
    let _worker = harness.worker().await;
    let renamed = async {
        while newest(other).await != (Some(START + 999 * M), 1_000) || newest(SYMBOL).await.1 != 1_000 {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), renamed).await.expect("housekeeping renames them");
}

#[test]
fn grids_of_these_tests_are_what_they_seem() {
    assert_eq!(normalise(vec![minutes(0, 1), minutes(1, 2)]), [minutes(0, 2)]);
    assert_eq!((FetchHistory::VERSION, job(0, 1).start), (2, Start::At(START)));
}
