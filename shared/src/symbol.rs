//! Exchanges and their symbols.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The exchanges that have a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exchange {
    /// Binance spot.
    #[default]
    Binance,
}

impl Exchange {
    /// The name that stands in keys, collections and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Binance => "binance",
        }
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Largest number of characters of a symbol (Binance's own bound).
pub const MAX_SYMBOL_LENGTH: usize = 20;

/// A trading pair as the exchange spells it, upper case: `BTCUSDT`.
///
/// Binance's legal characters are `A–Z 0–9 - _ .`; anything else cannot be a symbol and could not stand in a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Symbol(String);

/// Why a text is no symbol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SymbolError {
    /// Nothing, or more than [`MAX_SYMBOL_LENGTH`] characters.
    #[error("a symbol has 1 to {MAX_SYMBOL_LENGTH} characters, this one has {0}")]
    Length(usize),
    /// A character outside `A–Z 0–9 - _ .`.
    #[error("a symbol is made of the letters A–Z, digits, '-', '_' and '.', as in BTCUSDT; {0:?} is none of them")]
    Character(char),
}

impl Symbol {
    /// The symbol's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Symbol {
    type Err = SymbolError;

    /// Lower-case letters are taken for their capitals; nothing else is repaired.
    fn from_str(text: &str) -> Result<Self, SymbolError> {
        let length = text.chars().count();
        if length == 0 || length > MAX_SYMBOL_LENGTH {
            return Err(SymbolError::Length(length));
        }
        match text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))) {
            Some(odd) => Err(SymbolError::Character(odd)),
            None => Ok(Self(text.to_ascii_uppercase())),
        }
    }
}

impl TryFrom<String> for Symbol {
    type Error = SymbolError;

    fn try_from(text: String) -> Result<Self, SymbolError> {
        text.parse()
    }
}

impl From<Symbol> for String {
    fn from(symbol: Symbol) -> Self {
        symbol.0
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, SymbolError>) {
        assert_eq!(text.parse::<Symbol>().map(String::from), expected.map(str::to_owned), "{text:?}");
    }

    #[test]
    fn symbols() {
        check("BTCUSDT", Ok("BTCUSDT"));
        check("btcusdt", Ok("BTCUSDT"));
        check("1000SATS-X_Y.Z", Ok("1000SATS-X_Y.Z"));
        check("", Err(SymbolError::Length(0)));
        check("ABCDEFGHIJKLMNOPQRSTU", Err(SymbolError::Length(21)));
        check("BTC/USDT", Err(SymbolError::Character('/')));
        check("BTC USDT", Err(SymbolError::Character(' ')));
        check("BTC\0", Err(SymbolError::Character('\0')));
        check("$where", Err(SymbolError::Character('$')));
        check("БТЦ", Err(SymbolError::Character('Б')));
    }
}
