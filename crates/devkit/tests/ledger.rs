//! The check of the coverage ledger against a real server: every kind of violation is found, and what holds is not blamed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use candlemill_devkit::{LedgerReport, MongoServer, ledger};
use candlemill_shared::TimeRange;
use mongodb::bson::{Bson, Document, bson, doc};
use mongodb::{Client, Database};
use std::time::Duration;

const MINUTE: i64 = 60_000;
/// 2020-01-01, UTC ms, and the candles of a chunk.
const START: i64 = 1_577_836_800_000;
const CHUNK: i64 = 64_000;

struct Ledger {
    mongo: MongoServer,
    database: Database,
}

impl Ledger {
    async fn start() -> Self {
        let mongo = MongoServer::throwaway().await.unwrap();
        let database = Client::with_uri_str(mongo.uri()).await.unwrap().database("ledger");
        Self { mongo, database }
    }

    async fn check(&self) -> LedgerReport {
        ledger::check(&self.mongo.uri(), self.database.name()).await.unwrap()
    }

    /// Stores candles of these minutes after `START`.
    async fn candles(&self, symbol: &str, minutes: impl Iterator<Item = i64>) {
        let minutes: Vec<i64> = minutes.collect();
        for some in minutes.chunks(10_000) {
            let candle = |minute: &i64| doc! { "_id": format!("{symbol}_{:013}", START + minute * MINUTE), "o": "1.5" };
            let some: Vec<Document> = some.iter().map(candle).collect();
            self.database.collection("klines.binance.1m").insert_many(some).ordered(false).await.unwrap();
        }
    }

    /// Replaces a chunk; minutes after `START`.
    async fn chunk(&self, symbol: &str, start: i64, verified: &[(i64, i64)], gaps: &[(i64, i64, &str)]) {
        let at = |minute: i64| START + minute * MINUTE;
        let verified: Vec<Bson> = verified.iter().map(|(start, end)| bson!([at(*start), at(*end)])).collect();
        let gap = |(start, end, reason): &(i64, i64, &str)| bson!({ "start": at(*start), "end": at(*end), "buckets": end - start, "reason": *reason });
        let gaps: Vec<Bson> = gaps.iter().map(gap).collect();
        let id = format!("binance:{symbol}:1m_{:013}", at(start));
        let chunk = doc! { "_id": &id, "rev": 1_i64, "verified": verified, "gaps": gaps };
        let chunks = self.database.collection::<Document>("coverage_chunks");
        chunks.replace_one(doc! { "_id": id }, chunk).upsert(true).await.unwrap();
    }

    async fn remove(&self, symbol: &str, minute: i64) {
        let id = format!("{symbol}_{:013}", START + minute * MINUTE);
        let candles = self.database.collection::<Document>("klines.binance.1m");
        assert_eq!(candles.delete_one(doc! { "_id": id }).await.unwrap().deleted_count, 1);
    }
}

fn told(report: &LedgerReport, expected: &[&str]) {
    assert_eq!(report.violations.len(), expected.len(), "{report}");
    for (violation, expected) in report.violations.iter().zip(expected) {
        assert!(violation.to_string().contains(expected), "{violation} should say {expected:?}");
    }
}

#[tokio::test]
async fn violations_are_found_where_they_are() {
    let ledger = Ledger::start().await;
    told(&ledger.check().await, &[]);
    ledger.candles("AAAUSDT", (0..100).chain(CHUNK..CHUNK + 10)).await;
    ledger.candles("A%5FB", 0..5).await;
    ledger.chunk("AAAUSDT", 0, &[(0, 120)], &[(100, 120, "outage"), (130, 131, "unpublished")]).await;
    ledger.chunk("AAAUSDT", CHUNK, &[(CHUNK, CHUNK + 10)], &[]).await;
    ledger.chunk("A_B", 0, &[(0, 5)], &[]).await;
    let report = ledger.check().await;
    told(&report, &[]);
    assert_eq!((report.chunks, report.verified_buckets, report.gaps, report.candles), (3, 135, 2, 115), "{report}");
    let verified = &report.verified["binance:AAAUSDT:1m"];
    assert_eq!(verified.len(), 2, "{verified:?}");

    ledger.remove("AAAUSDT", 7).await;
    ledger.candles("AAAUSDT", [110].into_iter()).await;
    told(&ledger.check().await, &["AAAUSDT:1m [2020-01-01T00:07:00Z, 2020-01-01T00:08:00Z)", "in the gap"]);
    let elsewhere = TimeRange::new(START + 8 * MINUTE, START + 100 * MINUTE);
    let report = ledger::check_within(&ledger.mongo.uri(), "ledger", elsewhere).await.unwrap();
    told(&report, &[]);
    assert_eq!((report.verified_buckets, report.candles), (92, 92), "{report}");

    ledger.chunk("A_B", 0, &[(0, 3), (2, CHUNK + 1)], &[]).await;
    told(&ledger.check().await, &["00:07", "in the gap", "reaches out", "not apart", "neither candle nor gap"]);
}

#[tokio::test]
async fn a_series_without_a_chunk_is_found_when_a_task_for_it_succeeded() {
    let ledger = Ledger::start().await;
    for symbol in ["AUSDT", "BUSDT", "CUSDT", "DUSDT"] {
        ledger.candles(symbol, 0..3).await;
    }
    ledger.chunk("BUSDT", 0, &[(0, 3)], &[]).await;
    // Stored by tasks that were cancelled.
    told(&ledger.check().await, &[]);
    let tasks = ledger.database.collection("tasks");
    for symbol in ["BUSDT", "DUSDT"] {
        let job = doc! { "payload": { "symbol": symbol, "interval": "1m" } };
        tasks.insert_one(doc! { "state": "succeeded", "job": job, "result": { "inserted": 3 } }).await.unwrap();
    }
    told(&ledger.check().await, &["binance:DUSDT:1m"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_written_to_is_not_blamed() {
    let ledger = Ledger::start().await;
    ledger.candles("AUSDT", 0..50).await;
    ledger.chunk("AUSDT", 0, &[(0, 51)], &[(50, 51, "outage")]).await;
    let writes = async {
        for next in 50..150 {
            // As a writer does: the gap goes, the candle comes, then it is verified.
            ledger.chunk("AUSDT", 0, &[(0, next)], &[]).await;
            ledger.candles("AUSDT", next..=next).await;
            ledger.chunk("AUSDT", 0, &[(0, next + 2)], &[(next + 1, next + 2, "outage")]).await;
        }
    };
    let checks = async {
        for _ in 0..20 {
            told(&ledger.check().await, &[]);
        }
    };
    tokio::join!(writes, checks);
}

#[tokio::test]
async fn a_million_candles_are_checked_in_one_go() {
    let ledger = Ledger::start().await;
    let all = 1_000_000;
    ledger.candles("AUSDT", 0..all).await;
    for start in (0..all).step_by(64_000) {
        ledger.chunk("AUSDT", start, &[(start, all.min(start + CHUNK))], &[]).await;
    }
    let report = ledger.check().await;
    told(&report, &[]);
    assert_eq!((report.candles, report.verified_buckets), (all as u64, all as u64));
}

#[tokio::test]
async fn a_test_ends_with_the_check_unless_its_server_is_down() {
    let mut ledger = Ledger::start().await;
    ledger.chunk("AUSDT", 0, &[(0, 5)], &[]).await;
    let uri = ledger.mongo.uri();
    let failed = |mongo: &mut MongoServer| {
        let end = || ledger::check_at_end(Some(mongo), &uri, "ledger");
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(end)).is_err()
    };
    assert!(failed(&mut ledger.mongo), "verified buckets without candles");
    ledger.mongo.child().freeze().unwrap();
    // The system shows it a moment later.
    while ledger.mongo.down().is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!failed(&mut ledger.mongo), "a frozen server cannot be asked");
    ledger.mongo.child().thaw().unwrap();
    while ledger.mongo.down().is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(failed(&mut ledger.mongo), "it was thawed");
    ledger.mongo.kill9().await.unwrap();
    assert!(!failed(&mut ledger.mongo), "a dead server cannot be asked");
    let elsewhere = format!("mongodb://127.0.0.1:{}/?directConnection=true", ledger.mongo.port());
    let unanswered = std::panic::catch_unwind(|| ledger::check_at_end(None, &elsewhere, "ledger"));
    assert!(unanswered.is_err(), "a server that is not the test's own must answer");
}
