//! Pages of candles become one array.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use candlemill_cli::{Api, candles};
use std::collections::BTreeMap;

/// Serves the numbers from `start` up to `end`, at most `limit` at a time; refuses a start beside a cursor.
async fn numbers(Query(query): Query<BTreeMap<String, u64>>) -> Response {
    let from = match (query.get("start"), query.get("cursor")) {
        (Some(from), None) | (None, Some(from)) => *from,
        odd => panic!("start and cursor {odd:?}"),
    };
    let to = query["end"].min(from + query["limit"]);
    let rows = Json((from..to).map(|number| vec![number]).collect::<Vec<_>>());
    if to < query["end"] { ([("x-next-cursor", to.to_string())], rows).into_response() } else { rows.into_response() }
}

async fn check(end: u64, page: u32) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = Api::new(&format!("http://{}", listener.local_addr().unwrap()), "token");
    let app = Router::new().route("/api/market-data/klines", get(numbers));
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let query = vec![("start", "0".to_owned()), ("end", end.to_string())];
    let mut written = Vec::new();
    candles::write_json(&api, query, page, &mut written).await.unwrap();
    server.abort();
    let rows: Vec<Vec<u64>> = serde_json::from_slice(&written).unwrap();
    assert_eq!(rows, (0..end).map(|number| vec![number]).collect::<Vec<_>>(), "{end} by {page}");
}

#[tokio::test]
async fn every_page_is_joined() {
    for (end, page) in [(0, 3), (2, 3), (3, 3), (4, 3), (10, 3)] {
        check(end, page).await;
    }
}
