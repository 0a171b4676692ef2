//! What the program writes to the terminal.

use anyhow::{Context as _, Result};
use serde::Serialize;
use std::io::{IsTerminal as _, Write as _};

pub(crate) use candlemill_cli::table::table;

/// Writes `text` and a line feed to standard output.
pub(crate) fn say(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").context("writing to standard output")
}

/// Writes one JSON document to standard output, indented for eyes and in one line for programs.
pub(crate) fn say_json(value: &impl Serialize) -> Result<()> {
    if std::io::stdout().is_terminal() {
        return say(&serde_json::to_string_pretty(value).context("writing JSON")?);
    }
    say_json_line(value)
}

/// Writes one of many JSON documents to standard output: a line of its own.
pub(crate) fn say_json_line(value: &impl Serialize) -> Result<()> {
    say(&serde_json::to_string(value).context("writing JSON")?)
}

/// Writes `text` and a line feed to standard error.
pub(crate) fn note(text: &str) {
    // Where this fails, standard error is closed.
    drop(writeln!(std::io::stderr(), "{text}"));
}
