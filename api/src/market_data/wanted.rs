//! The candles that a request asks for.

use crate::error::Problem;
use crate::state::AppState;
use axum::http::StatusCode;
use candlemill_market_store::MarketLookup;
use candlemill_shared::forms::{FetchStart, FieldErrors, Given};
use candlemill_shared::job::{EARLIEST_MS, FetchHistory, FetchMode, Start};
use candlemill_shared::range::rfc3339;
use candlemill_shared::{Exchange, Interval, Symbol, Timestamp};
use candlemill_tasks::Grant;
use std::collections::HashSet;

/// Fields as they came in.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) symbol: Option<Given<Symbol>>,
    pub(super) interval: Option<Given<Interval>>,
    pub(super) start: Option<Given<FetchStart>>,
    pub(super) end: Option<Given<Timestamp>>,
}

impl Wanted {
    /// The fetch; or `None`, and every field that is wrong is told to `wrong`. `now` is the time (UTC ms) at which it is to
    /// run, `later` whether that is not at once.
    pub(super) fn read(self, now: i64, later: bool, wrong: &mut FieldErrors) -> Option<FetchHistory> {
        let symbol = wrong.required("symbol", self.symbol);
        let interval = wrong.required("interval", self.interval);
        let start = wrong.required("start", self.start).map(|start| match start {
            FetchStart::At(at) => Start::At(at.ms()),
            FetchStart::Listing => Start::Listing,
        });
        // What has not happened yet cannot be fetched: such an end means "now".
        let end = wrong.optional("end", self.end).map(Timestamp::ms).filter(|end| *end < now);
        let start = start?;
        let first = match start {
            Start::At(ms) => ms,
            Start::Listing => EARLIEST_MS,
        };
        if first >= now {
            let when = if later { "it runs at" } else { "now is" };
            wrong.refuse("start", format!("lies in the future; {when} {}", rfc3339(now)));
        } else if let Some(end) = end.filter(|end| first >= *end) {
            wrong.refuse("start", format!("must lie before end ({})", rfc3339(end)));
        }
        let (symbol, interval, mode) = (symbol?, interval?, FetchMode::Fetch);
        Some(FetchHistory { exchange: Exchange::default(), symbol, interval, start, end, mode })
    }
}

/// Symbols that one answer names.
const MAX_NAMED: usize = 20;

/// Refuses symbols of which the exchange itself said, minutes ago, that it has none such. What is only absent from the list of
/// markets is accepted: a worker asks for it by its name. So is a request whose `Idempotency-Key` was accepted before.
pub(crate) async fn refuse_unknown(
    state: &AppState,
    grant: &Grant,
    fetches: &[FetchHistory],
    idempotency_key: Option<&str>,
) -> Result<(), Problem> {
    for exchange in Exchange::ALL {
        let refused = refused_by(state, exchange, fetches).await?;
        let Some((first, asked_at, until)) = refused.first() else { continue };
        if let Some(key) = idempotency_key
            && state.service.was_accepted(grant, key).await?
        {
            return Ok(());
        }
        let names: Vec<&str> = refused.iter().map(|one| one.0).collect();
        let told = format!(
            "{exchange} said at {} that it has no {first}{}. Check the spelling, as in BTCUSDT; after {} it is asked again.",
            rfc3339(*asked_at),
            if names.len() > 1 { format!(" (nor, about then, {})", names[1..].join(", ")) } else { String::new() },
            rfc3339(*until),
        );
        let problem =
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown_symbol", "The exchange has no such symbol");
        let problem = problem.detail(told);
        return Err(if names.len() > 1 { problem.member("symbols", names) } else { problem.member("symbol", *first) });
    }
    Ok(())
}

/// Symbols of `fetches` that `exchange` said it does not have: when it was asked, and when it may be asked again, UTC ms.
async fn refused_by<'a>(
    state: &AppState,
    exchange: Exchange,
    fetches: &'a [FetchHistory],
) -> Result<Vec<(&'a str, i64, i64)>, Problem> {
    let mut met = HashSet::new();
    let of_exchange = fetches.iter().filter(|fetch| fetch.exchange == exchange);
    let symbols: Vec<&Symbol> = of_exchange.map(|fetch| &fetch.symbol).filter(|symbol| met.insert(*symbol)).collect();
    if symbols.is_empty() {
        return Ok(Vec::new());
    }
    let known = state.market.markets().lookup_all(exchange, &symbols).await?;
    let refused = symbols.into_iter().zip(known).filter_map(|(symbol, known)| match known {
        MarketLookup::Refused { asked_at, until } => Some((symbol.as_str(), asked_at, until)),
        MarketLookup::Listed(_) | MarketLookup::Unknown | MarketLookup::NoList => None,
    });
    Ok(refused.take(MAX_NAMED).collect())
}
