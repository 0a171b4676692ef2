//! What the commands write to the terminal.

use anyhow::{Context as _, Result};
use std::io::{IsTerminal as _, Write as _};

/// Writes `text` and a line feed to standard output.
pub(super) fn say(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").context("writing to standard output")
}

/// Writes JSON to standard output, indented for eyes and in one line for programs.
pub(super) fn say_json(value: &serde_json::Value) -> Result<()> {
    let text = if std::io::stdout().is_terminal() {
        serde_json::to_string_pretty(value)
    } else {
        serde_json::to_string(value)
    };
    say(&text.context("writing JSON")?)
}

/// Writes an error and its causes to standard error.
pub(crate) fn complain(error: &anyhow::Error) {
    // Where this fails, standard error is closed.
    drop(writeln!(std::io::stderr(), "candlemill: {error:#}"));
}
