//! What the log tells once.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Texts from outside that the log has told of: each once, and only so many.
#[derive(Debug)]
pub(super) struct ToldOnce {
    max_texts: usize,
    max_chars: usize,
    told: Mutex<BTreeSet<String>>,
}

impl ToldOnce {
    pub(super) const fn new(max_texts: usize, max_chars: usize) -> Self {
        Self { max_texts, max_chars, told: Mutex::new(BTreeSet::new()) }
    }

    /// The text as the log may show it, without control characters and cut; `None`: it was told before, or enough others were.
    pub(super) fn first_time(&self, text: &str) -> Option<String> {
        let shown: String = text.chars().filter(|c| !c.is_control()).take(self.max_chars).collect();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        (told.len() < self.max_texts && told.insert(shown.clone())).then_some(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_once_in_short_and_only_so_many() {
        let once = ToldOnce::new(3, 5);
        for (text, expected) in [
            ("one", Some("one")),
            ("one", None),
            ("a\nb\u{1b}[31mc", Some("ab[31")),
            ("longer", Some("longe")),
            ("longest", None),
            ("four", None),
        ] {
            assert_eq!(once.first_time(text).as_deref(), expected, "{text:?}");
        }
    }
}
