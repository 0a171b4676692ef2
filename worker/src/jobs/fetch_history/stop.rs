//! Why a fetch stops.

use crate::markets::MarketError;
use crate::outcome::Stop;
use candlemill_db::StoreError;
use candlemill_exchanges::ExchangeError;
use candlemill_shared::children::Children;

/// Why a fetch stops before its end.
#[derive(Debug)]
pub(super) enum FetchStop {
    Exchange(ExchangeError),
    /// As any job does.
    Job(Stop),
    /// Too much for one task: others do it.
    Parts(Children),
}

impl From<Stop> for FetchStop {
    fn from(stop: Stop) -> Self {
        Self::Job(stop)
    }
}

impl From<StoreError> for FetchStop {
    fn from(error: StoreError) -> Self {
        Self::Job(Stop::Store(error))
    }
}

impl From<MarketError> for FetchStop {
    fn from(error: MarketError) -> Self {
        match error {
            MarketError::Exchange(error) => Self::Exchange(error),
            MarketError::Store(error) => error.into(),
        }
    }
}

impl From<ExchangeError> for FetchStop {
    fn from(error: ExchangeError) -> Self {
        Self::Exchange(error)
    }
}
