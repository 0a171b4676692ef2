//! What is known of an exchange's markets: kept by workers, read by the API, which never asks an exchange itself.
//!
//! The list is the exchange's word about all markets, a verdict its word about one. Neither shuts a symbol out by its
//! silence: only a verdict that there is no such symbol does, and only for some minutes.

mod collection;
mod first_open;
mod first_opens;
mod page;
mod renewal;
mod stored_list;

pub use collection::{MarketLookup, Markets};
pub use page::{MarketPage, MarketSelection};
pub use renewal::ListRenewal;
pub use stored_list::Market;
