//! Parameters, and how the exchange refuses them.

use super::error::Refusal;
use candlemill_shared::Symbol;
use std::cell::Cell;
use std::str::FromStr;

/// Legal characters of a symbol, as the exchange's own error names them.
const SYMBOL_RANGE: &str = "^[A-Z0-9-_.]{1,20}$";
/// Legal characters of a number.
const NUMBER_RANGE: &str = "^[0-9]{1,20}$";

/// The parameters of one call. Counts which of them were read: an unread one is an error (-1104).
#[derive(Debug)]
pub(super) struct Query {
    pairs: Vec<(String, String)>,
    read: Cell<usize>,
}

impl Query {
    /// Splits a query string.
    pub(super) fn parse(query: &str) -> Result<Self, Refusal> {
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        for (index, (name, _)) in pairs.iter().enumerate() {
            if pairs[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(Refusal::duplicate(name));
            }
        }
        Ok(Self { pairs, read: Cell::new(0) })
    }

    /// The text of a parameter; `None` when it was not sent.
    pub(super) fn optional(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let Some((_, text)) = self.pairs.iter().find(|(sent, _)| sent == name) else { return Ok(None) };
        self.read.set(self.read.get() + 1);
        if text.is_empty() { Err(Refusal::empty(name)) } else { Ok(Some(text)) }
    }

    /// The text of a parameter that must be sent.
    pub(super) fn mandatory(&self, name: &str) -> Result<&str, Refusal> {
        match self.optional(name) {
            Ok(Some(text)) => Ok(text),
            Ok(None) | Err(_) => Err(Refusal::mandatory(name)),
        }
    }

    /// A whole number.
    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Refusal> {
        let Some(text) = self.optional(name)? else { return Ok(None) };
        if text.len() > 20 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refusal::illegal_characters(name, NUMBER_RANGE));
        }
        text.parse().map(Some).map_err(|_| Refusal::overflow(name))
    }

    /// Refuses the call when it sent a parameter that was not read.
    pub(super) fn finish(&self) -> Result<(), Refusal> {
        if self.read.get() == self.pairs.len() {
            Ok(())
        } else {
            Err(Refusal::unread(self.read.get(), self.pairs.len()))
        }
    }
}

/// A symbol with legal characters, upper case.
pub(super) fn symbol(text: &str) -> Result<Symbol, Refusal> {
    if text.bytes().any(|b| b.is_ascii_lowercase()) {
        return Err(Refusal::illegal_characters("symbol", SYMBOL_RANGE));
    }
    text.parse().map_err(|_| Refusal::illegal_characters("symbol", SYMBOL_RANGE))
}
