//! Exchanges and their symbols.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The exchanges that have a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Exchange {
    /// Binance spot.
    #[default]
    Binance,
}

impl Exchange {
    /// Every exchange.
    pub const ALL: [Self; 1] = [Self::Binance];

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

impl FromStr for Exchange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|exchange| exchange.as_str() == text).ok_or_else(|| {
            let all: Vec<_> = Self::ALL.iter().map(|exchange| exchange.as_str()).collect();
            format!("{text:?} is no exchange; one of {}", all.join(", "))
        })
    }
}

/// The two assets of a market, as the exchange spells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assets {
    /// What is bought and sold: `BTC` of `BTCUSDT`.
    pub base: String,
    /// What it is paid with: `USDT` of `BTCUSDT`.
    pub quote: String,
}

/// Largest number of characters of a symbol (Binance's own bound).
pub const MAX_SYMBOL_LENGTH: usize = 20;

/// A trading pair as the exchange spells it, upper case: `BTCUSDT`.
///
/// ASCII letters, digits, `-`, `_` and `.`; since 2025-12-15 Binance also lists names in other scripts (`币安人生USDT`), so
/// every visible character beyond ASCII may stand in one. No white space, control, format (bidirectional, zero-width),
/// private or unassigned character: those could be mistaken for another symbol. Names are compared character by character,
/// without any normalisation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Symbol(String);

/// Why a text is no symbol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SymbolError {
    /// Nothing, or more than [`MAX_SYMBOL_LENGTH`] characters.
    #[error("a symbol has 1 to {MAX_SYMBOL_LENGTH} characters, this one has {0}")]
    Length(usize),
    /// A character that is neither one of `A–Z 0–9 - _ .` nor a visible one beyond ASCII.
    #[error(
        "a symbol is made of the letters A–Z, digits, '-', '_' and '.', as in BTCUSDT, or of letters of other scripts; \
         {0:?} is none of them"
    )]
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

    /// Lower-case ASCII letters are taken for their capitals; nothing else is repaired.
    fn from_str(text: &str) -> Result<Self, SymbolError> {
        let length = text.chars().count();
        if length == 0 || length > MAX_SYMBOL_LENGTH {
            return Err(SymbolError::Length(length));
        }
        match text.chars().find(|c| !is_legal(*c)) {
            Some(odd) => Err(SymbolError::Character(odd)),
            None => Ok(Self(text.to_ascii_uppercase())),
        }
    }
}

fn is_legal(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') } else { is_visible(c) }
}

/// Whether a character beyond ASCII has a shape of its own.
fn is_visible(c: char) -> bool {
    // Letters and marks that show nothing, or that stand for what could not be shown.
    let blank = matches!(c,
        '\u{34F}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}' | '\u{2800}' | '\u{3164}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FFA0}' | '\u{FFFC}'..='\u{FFFD}' | '\u{E0000}'..='\u{10FFFF}');
    // Debug output escapes what is not printable: white space, control, format, private and unassigned characters. The
    // letter in front is there because a combining mark is escaped only at the beginning.
    let text = String::from_iter(['a', c]);
    !blank && !c.is_whitespace() && !c.is_control() && text.escape_debug().eq(text.chars())
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
    }

    #[test]
    fn names_in_other_scripts() {
        for name in ["币安人生USDT", "БТЦ", "ΑΒΓ", "ทดสอบUSDT", "परीक्षण", "é", "E\u{301}", "🚀USDT", "測試-1.A_B"]
        {
            check(name, Ok(name));
        }
        check("币安人生usdt", Ok("币安人生USDT"));
        check("бтц", Ok("бтц"));
        let twenty = "币".repeat(20);
        check(&twenty, Ok(&twenty));
        check(&"币".repeat(21), Err(SymbolError::Length(21)));
        let json = "\"币安人生USDT\"";
        assert_eq!(serde_json::to_string(&serde_json::from_str::<Symbol>(json).unwrap()).unwrap(), json);
        for odd in [
            '\u{85}',
            '\u{A0}',
            '\u{AD}',
            '\u{2003}',
            '\u{2028}',
            '\u{3000}', // space and breaks
            '\u{200B}',
            '\u{200D}',
            '\u{2060}',
            '\u{FEFF}',
            '\u{34F}',
            '\u{FE0F}',
            '\u{3164}', // zero-width and blank
            '\u{200E}',
            '\u{202E}',
            '\u{2066}',
            '\u{61C}', // bidirectional
            '\u{E000}',
            '\u{F0000}',
            '\u{10FFFD}', // private
            '\u{378}',
            '\u{FDD0}',
            '\u{FFFF}',
            '\u{50000}',
            '\u{E0041}',
            '\u{FFFD}', // unassigned, tags, replacement
        ] {
            check(&format!("BTC{odd}USDT"), Err(SymbolError::Character(odd)));
            check(&format!("{odd}"), Err(SymbolError::Character(odd)));
        }
    }
}
