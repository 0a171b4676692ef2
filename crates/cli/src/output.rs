//! What the program writes to the terminal.

use anyhow::{Context as _, Result};
use serde::Serialize;
use std::io::{IsTerminal as _, Write as _};

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

/// Columns of words, each as wide as its widest; the first row is the heading.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest() {
        let rows = [["A", "B"], ["longer", "x"], ["1", ""]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "A       B\nlonger  x\n1");
        assert_eq!(table(&[]), "");
    }
}
