//! Reads stored candles of any number.

use crate::api::Api;
use anyhow::{Context as _, Result};
use std::io::Write;

const PATH: &str = "/api/market-data/klines";
/// Most candles that the API gives in one answer with a limit.
pub const LARGEST_PAGE: u32 = 100_000;

/// Writes the answer to `query` as it comes.
///
/// # Errors
/// The API's refusal, an answer that breaks off, or what `writer` says. What was written then is not whole.
pub async fn write(api: &Api, query: &[(&str, String)], writer: &mut impl Write) -> Result<()> {
    let mut answer = api.stream(PATH, query).await?;
    while let Some(chunk) = answer.chunk().await.context("the candles broke off")? {
        writer.write_all(&chunk)?;
    }
    Ok(())
}

/// Writes every candle of `query` as one JSON array: the API gives `page` of them at a time and names the next page.
///
/// # Errors
/// The API's refusal, an answer that breaks off, or what `writer` says. What was written then is not whole.
pub async fn write_json(api: &Api, mut query: Vec<(&str, String)>, page: u32, writer: &mut impl Write) -> Result<()> {
    query.push(("limit", page.to_string()));
    let mut before: &[u8] = b"[";
    loop {
        let answer = api.stream(PATH, &query).await?;
        let next = answer.headers().get("x-next-cursor").and_then(|cursor| cursor.to_str().ok()).map(str::to_owned);
        let text = answer.text().await.context("the candles broke off")?;
        let rows = text.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let rows = rows.context("the API's answer is no JSON array")?.trim();
        if !rows.is_empty() {
            writer.write_all(before)?;
            writer.write_all(rows.as_bytes())?;
            before = b",";
        }
        let Some(cursor) = next else { break };
        // The cursor takes the place of the start.
        query.retain(|(name, _)| !matches!(*name, "start" | "cursor"));
        query.push(("cursor", cursor));
    }
    writer.write_all(if before == b"[" { b"[]\n" } else { b"]\n" })?;
    Ok(())
}
