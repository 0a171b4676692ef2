//! Stored candles of any number, written as they come.

use anyhow::{Context as _, Result};
use candlemill_client::Api;
use candlemill_client::forms::{CandleLimit, KlinesQuery};
use std::io::Write;

/// Writes the answer to `query` as it comes. On an error what was written is not whole.
pub(super) async fn write(api: &Api, query: &KlinesQuery, writer: &mut impl Write) -> Result<()> {
    let mut answer = api.klines(query).await?;
    while let Some(chunk) = answer.chunk().await? {
        writer.write_all(&chunk).context("writing the candles")?;
    }
    Ok(())
}

/// Writes every candle of `query` as one JSON array: the API gives `page` of them at a time and names the next page. On an error
/// what was written is not whole.
pub(super) async fn write_json(api: &Api, mut query: KlinesQuery, page: u32, writer: &mut impl Write) -> Result<()> {
    query.limit = Some(CandleLimit::nearest(page).into());
    let mut before: &[u8] = b"[";
    loop {
        let answer = api.klines(&query).await?;
        let next = answer.next_cursor();
        let text = answer.text().await?;
        let rows = text.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let rows = rows.context("the API's answer is no JSON array")?.trim();
        if !rows.is_empty() {
            writer.write_all(before).and_then(|()| writer.write_all(rows.as_bytes())).context("writing the candles")?;
            before = b",";
        }
        let Some(cursor) = next else { break };
        // The cursor takes the place of the start.
        query = KlinesQuery { start: None, cursor: Some(cursor.into()), ..query };
    }
    writer.write_all(if before == b"[" { b"[]\n" } else { b"]\n" }).context("writing the candles")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::extract::Query;
    use axum::response::{IntoResponse, Response};
    use axum::routing::get;
    use axum::{Json, Router};
    use candlemill_client::klines_query;
    use candlemill_shared::Timestamp;
    use std::collections::BTreeMap;

    /// Serves the numbers from `start` up to `end`, at most `limit` at a time; refuses a start beside a cursor.
    async fn numbers(Query(query): Query<BTreeMap<String, String>>) -> Response {
        let number = |name: &str| query.get(name).map(|text| text.parse::<Timestamp>().unwrap().ms());
        let from = match (number("start"), number("cursor")) {
            (Some(from), None) | (None, Some(from)) => from,
            odd => panic!("start and cursor {odd:?}"),
        };
        let end = number("end").unwrap();
        let to = end.min(from + query["limit"].parse::<i64>().unwrap());
        let rows = Json((from..to).map(|number| vec![number]).collect::<Vec<_>>());
        if to < end { ([("x-next-cursor", to.to_string())], rows).into_response() } else { rows.into_response() }
    }

    async fn check(end: i64, page: u32) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = Api::new(&format!("http://{}", listener.local_addr().unwrap()), "token");
        let app = Router::new().route("/api/market-data/klines", get(numbers));
        let server = tokio::spawn(async move { axum::serve(listener, app).await });
        let query = klines_query("BTCUSDT".parse().unwrap(), "1m".parse().unwrap());
        let (start, end) = (Timestamp::from(0), Timestamp::from(end));
        let query = KlinesQuery { start: Some(start.into()), end: Some(end.into()), ..query };
        let mut written = Vec::new();
        write_json(&api, query, page, &mut written).await.unwrap();
        server.abort();
        let rows: Vec<Vec<i64>> = serde_json::from_slice(&written).unwrap();
        assert_eq!(rows, (0..end.ms()).map(|number| vec![number]).collect::<Vec<_>>(), "{end} by {page}");
    }

    #[tokio::test]
    async fn every_page_is_joined() {
        for (end, page) in [(0, 3), (2, 3), (3, 3), (4, 3), (10, 3)] {
            check(end, page).await;
        }
    }
}
