//! One answer is no proof of absence: only what two differently bounded answers lack is absent.

use crate::exchange::Step;
use crate::{Bench, INTERVAL, MINUTE, OPEN, btcusdt, row, rows, window};
use candlemill_exchanges::{CallStats, CheckedPage, Disposition, ExchangeError, HistoricalMarketData};
use candlemill_shared::TimeRange;

/// Five minutes are asked for.
const COUNT: i64 = 5;

async fn fetched(script: Vec<Step>) -> (Bench, Result<CheckedPage, ExchangeError>) {
    let bench = Bench::new(script).await;
    let page = bench.client.page(&btcusdt(), INTERVAL, window(COUNT)).await;
    (bench, page)
}

fn ok(minutes: &[i64]) -> Step {
    Step::Ok(rows(minutes))
}

/// Minutes after [`OPEN`].
fn minutes(opens: impl IntoIterator<Item = i64>) -> Vec<i64> {
    opens.into_iter().map(|open| (open - OPEN) / MINUTE).collect()
}

async fn check(name: &str, first: &[i64], latest: &[i64], candles: &[i64], absent: &[(i64, i64)]) {
    let (bench, page) = fetched(vec![ok(first), ok(latest)]).await;
    let page = page.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(minutes(page.candles.iter().map(|candle| candle.open_time)), candles, "{name}");
    let absent: Vec<_> = absent.iter().map(|(s, e)| TimeRange::new(OPEN + s * MINUTE, OPEN + e * MINUTE)).collect();
    assert_eq!(page.absent, absent, "{name}");
    let lines = bench.exchange.request_lines();
    let second = format!(
        "GET /api/v3/klines?symbol=BTCUSDT&interval=1m&endTime={}&limit=1000 HTTP/1.1",
        OPEN + COUNT * MINUTE - 1
    );
    assert_eq!((lines.len(), &lines[1]), (2, &second), "{name}");
    assert_eq!(bench.counters.stats(), CallStats { calls: 3, weight: 5, retries: 0 }, "{name}");
}

#[tokio::test]
async fn only_what_both_answers_lack_is_absent() {
    let all = [0, 1, 2, 3, 4];
    check("an empty answer", &[], &all, &all, &[]).await;
    check("half of the rows", &[0, 1], &all, &all, &[]).await;
    check("half of the rows, and the other half", &[0, 1], &[2, 3, 4], &all, &[]).await;
    check("a row left out, with what lies before", &[0, 1, 3, 4], &[-3, -2, -1, 0, 1, 2, 3, 4], &all, &[]).await;
    check("an outage", &[0, 1, 4], &[-2, -1, 0, 1, 4], &[0, 1, 4], &[(2, 4)]).await;
    check("an outage and a short answer", &[4], &[-2, -1, 0, 1, 4], &[0, 1, 4], &[(2, 4)]).await;
    check("the second answer knows less", &[0, 1, 4], &[], &[0, 1, 4], &[(2, 4)]).await;
    check("nothing at all", &[], &[-1], &[], &[(0, 5)]).await;
}

#[tokio::test]
async fn nothing_absent_costs_no_second_call() {
    let (bench, page) = fetched(vec![ok(&[0, 1, 2, 3, 4])]).await;
    assert_eq!(page.unwrap().candles.len(), 5);
    assert_eq!(bench.exchange.requests().len(), 1);
}

/// What closed between the two calls was open when the first was sent: the page says nothing of it.
#[tokio::test]
async fn the_earlier_call_decides_what_is_closed() {
    let bench = Bench::new(vec![ok(&[0, 3]), ok(&[0, 1, 2, 3, 4])]).await;
    bench.exchange.set_time(OPEN + 3 * MINUTE + 30_000);
    let page = bench.client.page(&btcusdt(), INTERVAL, window(COUNT)).await.unwrap();
    assert_eq!(minutes(page.candles.iter().map(|candle| candle.open_time)), [0, 1, 2]);
    assert_eq!((minutes(page.forming), page.verified_until), (vec![3], OPEN + 3 * MINUTE));
}

fn restated(minute: i64) -> String {
    row(minute).replace("\"10.5\"", "\"10.4\"")
}

#[tokio::test]
async fn answers_that_contradict_each_other_are_fetched_again() {
    let contradiction = || [ok(&[0, 1]), Step::Ok(format!("[{},{}]", restated(0), row(2)))];
    let script = contradiction().into_iter().chain([ok(&[0, 1, 2, 3, 4])]).collect();
    let (bench, page) = fetched(script).await;
    assert_eq!(page.unwrap().candles.len(), 5);
    assert_eq!(bench.counters.stats(), CallStats { calls: 4, weight: 7, retries: 1 });

    let (bench, page) = fetched((0..9).flat_map(|_| contradiction()).collect()).await;
    let error = page.unwrap_err();
    assert_eq!((error.code(), error.disposition()), ("exchange_page_contradictory", Disposition::Transient));
    assert!(error.to_string().contains("2023-11-14T20:00:00Z differs"), "{error}");
    assert_eq!(bench.exchange.requests().len(), 8, "four attempts of two calls");
}

#[tokio::test]
async fn the_second_answer_is_checked_too() {
    for bad in [rows(&[2, 1]), rows(&[1, 1]), rows(&[4, 5]), "<html>".to_owned()] {
        let (bench, page) = fetched(vec![ok(&[0, 1]), Step::Ok(bad), ok(&[0, 1, 2, 3, 4])]).await;
        assert_eq!(page.unwrap().candles.len(), 5);
        assert_eq!((bench.exchange.requests().len(), bench.counters.stats().retries), (3, 1));
    }
}

/// What the client asked, by its bounds.
fn bounds(bench: &Bench) -> Vec<String> {
    let lines = bench.exchange.request_lines();
    let bounds = lines.iter().map(|line| {
        let query = line.split("interval=1m").nth(1).unwrap();
        let query = query.trim_end_matches(" HTTP/1.1").trim_end_matches("&limit=1").trim_start_matches('&');
        query.to_owned()
    });
    bounds.collect()
}

#[tokio::test]
async fn the_first_candle_has_none_before_it() {
    let at = |minute: i64| OPEN + minute * MINUTE;
    let bench = Bench::new(vec![ok(&[7]), ok(&[])]).await;
    assert_eq!(bench.client.first_open(&btcusdt(), INTERVAL).await.unwrap(), Some(at(7)));
    assert_eq!(bounds(&bench), ["startTime=0".to_owned(), format!("endTime={}", at(7) - 1)]);

    // Early history is hidden from the first call; what the second shows is followed to its beginning.
    let bench = Bench::new(vec![ok(&[7]), ok(&[6]), ok(&[2]), ok(&[])]).await;
    assert_eq!(bench.client.first_open(&btcusdt(), INTERVAL).await.unwrap(), Some(at(2)));
    assert_eq!(bench.exchange.requests().len(), 4);

    let bench = Bench::new(vec![ok(&[]), ok(&[])]).await;
    assert_eq!(bench.client.first_open(&btcusdt(), INTERVAL).await.unwrap(), None);
    assert_eq!(bounds(&bench), ["startTime=0", ""]);

    // "None at all" was wrong.
    let bench = Bench::new(vec![ok(&[]), ok(&[9]), ok(&[8]), ok(&[3]), ok(&[])]).await;
    assert_eq!(bench.client.first_open(&btcusdt(), INTERVAL).await.unwrap(), Some(at(3)));
}

#[tokio::test]
async fn the_last_candle_has_none_after_it() {
    let at = |minute: i64| OPEN + minute * MINUTE;
    let bench = Bench::new(vec![ok(&[7]), ok(&[])]).await;
    assert_eq!(bench.client.last_open(&btcusdt(), INTERVAL).await.unwrap(), Some(at(7)));
    assert_eq!(bounds(&bench), [String::new(), format!("startTime={}", at(7) + 1)]);

    let bench = Bench::new(vec![ok(&[7]), ok(&[8]), ok(&[12]), ok(&[])]).await;
    assert_eq!(bench.client.last_open(&btcusdt(), INTERVAL).await.unwrap(), Some(at(12)));

    let bench = Bench::new(vec![ok(&[]), ok(&[])]).await;
    assert_eq!(bench.client.last_open(&btcusdt(), INTERVAL).await.unwrap(), None);
    assert_eq!(bounds(&bench), ["", "startTime=0"]);
}
