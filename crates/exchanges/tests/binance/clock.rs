//! Which answers about the exchange's clock are believed.

use crate::exchange::Step;
use crate::{Bench, INTERVAL, MINUTE, NOW, OPEN, btcusdt, rows, window};
use candlemill_exchanges::{CheckedPage, Disposition, ExchangeError, HistoricalMarketData};

const HOUR: i64 = 60 * MINUTE;
/// An instant years away from our clock: 2020-01-01 00:10:30.
const LONG_AGO: i64 = 1_577_837_430_000;

/// The offset from our clock after these answers (time in the body, time in the header), and how often it was asked.
async fn offset(answers: &[(i64, Option<i64>)]) -> (Result<i64, ExchangeError>, usize) {
    let bench = Bench::new(vec![]).await;
    bench.exchange.script_time(answers);
    let time = bench.client.server_time().await;
    (time.map(|time| time.offset_ms()), bench.exchange.all_requests().len())
}

async fn check(name: &str, answers: &[(i64, Option<i64>)], expected_ms: i64, looks: usize) {
    let (offset, asked) = offset(answers).await;
    let offset = offset.unwrap_or_else(|error| panic!("{name}: {error}"));
    // Half a round trip of a machine that is busy.
    assert!((offset - (expected_ms - NOW)).abs() < 900, "{name}: {offset} ms, not {}", expected_ms - NOW);
    assert_eq!(asked, looks, "{name}: looks");
}

#[tokio::test]
async fn an_answer_is_believed_when_its_header_and_our_clock_agree_or_when_it_was_seen_twice() {
    let right = (NOW + 400, Some(NOW));
    check("right", &[right], NOW + 400, 1).await;
    check("thirty seconds ahead of ours", &[(NOW + 30_000, Some(NOW + 29_000))], NOW + 30_000, 1).await;
    check("two hours ahead, once", &[(NOW + 2 * HOUR, Some(NOW)), right], NOW + 400, 2).await;
    check("two hours behind, once", &[(NOW - 2 * HOUR, Some(NOW)), right], NOW + 400, 2).await;
    check("two hours ahead without a header, once", &[(NOW + 2 * HOUR, None), right], NOW + 400, 2).await;
    check("microseconds, twice", &[(NOW * 1_000, Some(NOW)), (NOW * 1_000, Some(NOW)), right], NOW + 400, 3).await;
    check("the exchange lives in 2020", &[(LONG_AGO, Some(LONG_AGO)); 2], LONG_AGO, 2).await;
    check("the same, running", &[(LONG_AGO, Some(LONG_AGO)), (LONG_AGO + 1_000, Some(LONG_AGO))], LONG_AGO + 1_000, 2)
        .await;
    check("no header", &[(LONG_AGO, None); 2], LONG_AGO, 2).await;
    let jumps = [(NOW + HOUR, None), (NOW + 3 * HOUR, None), (LONG_AGO, None), (LONG_AGO, None)];
    check("agreement counts, not repetition", &jumps, LONG_AGO, 4).await;
}

#[tokio::test]
async fn what_header_and_clock_refute_is_never_believed() {
    let refuted = async |name: &str, wrong: i64| {
        let (offset, asked) = offset(&[(wrong, Some(NOW)); 9]).await;
        let error = offset.expect_err(name);
        assert_eq!(
            (error.code(), error.disposition()),
            ("exchange_answer_malformed", Disposition::Transient),
            "{name}"
        );
        assert_eq!(asked, 4, "{name}: as often as a call is tried");
        error.to_string()
    };
    let (ahead, ..) = tokio::join!(
        refuted("two hours ahead", NOW + 2 * HOUR),
        refuted("ahead by little", NOW + 30_000),
        refuted("behind", LONG_AGO),
        refuted("microseconds", NOW * 1_000),
        refuted("before the exchange began", 1_400_000_000_000),
    );
    for time in ["2023-11-15T00:13:20Z", "Date of that answer 2023-11-14T22:13:20Z", "clock 2023-11-14T22:13:20"] {
        assert!(ahead.contains(time), "{ahead}");
    }
    let (offset, asked) = offset(&[(NOW * 1_000, None); 9]).await;
    assert!(offset.is_err() && asked == 4, "microseconds are never believed");
}

async fn page_at(time: (i64, Option<i64>)) -> CheckedPage {
    let bench = Bench::new(vec![Step::Ok(rows(&[0, 1]))]).await;
    bench.exchange.set_time(OPEN + MINUTE + 30_000);
    bench.exchange.script_time(&[time]);
    bench.client.page(&btcusdt(), INTERVAL, window(2)).await.unwrap()
}

#[tokio::test]
async fn a_wrong_clock_makes_no_forming_candle_final() {
    let now = OPEN + MINUTE + 30_000;
    for wrong in [(now * 1_000, Some(now)), (now + 2 * HOUR, Some(now)), (now + 2 * HOUR, None)] {
        let page = page_at(wrong).await;
        assert_eq!((page.candles.len(), page.forming, page.verified_until), (1, vec![OPEN + MINUTE], OPEN + MINUTE));
    }
}
