//! Binance spot: history over REST.
//!
//! Rules of the wire, numbered for the code to cite. Source: the exchange's `rest-api.md` and `errors.md` of 2026;
//! (O) marks what was only observed.
//!
//! 1. Bounds of `klines` filter on the open time and are both inclusive (O). Rows come oldest first.
//! 2. An empty window, also one before the listing, is `200 []` (O). The first candle is asked for by
//!    `startTime=0&limit=1` (O), the newest one by `limit=1` without bounds.
//! 3. The candle that still forms is the last row when the window reaches now (O).
//! 4. Request weight counts per IP and fixed minute; every answer carries what is used (`X-MBX-USED-WEIGHT-1M`).
//! 5. 429: the whole IP pauses for `Retry-After` seconds. 418: the IP is banned until then; the text of code -1003 holds
//!    the end too. 403: a firewall; stop, pause long.
//! 6. 5xx: the outcome is unknown; reads are repeated with growing delays. 400: not repeated. Bodies of 403, 451 and 5xx
//!    need not be JSON.
//! 7. Error codes are stable, their texts vary.
//! 8. An answer may be short or empty for a while and complete later (O): one answer is no proof of absence.
//! 9. Names of markets and assets need not be ASCII (since 2025-12-15); a query holds them percent-encoded.

mod absence;
mod answer;
mod calls;
mod config;
mod http;
mod limits;
mod market_list;
mod rest;
mod rows;
mod session;

pub use config::{
    BINANCE_CALL_ATTEMPTS, BINANCE_CALL_TIMEOUT_SECONDS, BINANCE_CONNECT_TIMEOUT_SECONDS, BINANCE_REST_URL,
    BinanceConfig, VARIABLES,
};
pub use limits::PAGE_CANDLES;
pub(crate) use limits::USUAL_WEIGHT_LIMIT;
pub use rest::BinanceClient;
pub use rows::parse_rows;
