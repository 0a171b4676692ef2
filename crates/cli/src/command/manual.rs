//! `candlemill completions bash`, `candlemill man`

use crate::exit::Usage;
use anyhow::{Context as _, Result};
use clap::Args;
use clap_complete::Shell;
use std::io::Write as _;

/// Writes completions for a shell.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Which shell.
    shell: Shell,
}

/// Writes a manual page: of the program, or of one of its commands.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The command, as in fetch, or dead list.
    command: Vec<String>,
}

impl Completions {
    pub(crate) fn run(self, mut program: clap::Command) -> Result<()> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut program, "candlemill", &mut text);
        std::io::stdout().write_all(&text).context("writing to standard output")
    }
}

impl Man {
    pub(crate) fn run(self, mut program: clap::Command) -> Result<()> {
        // Gives every command its full name and the options that all have.
        program.build();
        let mut page = &program;
        for name in &self.command {
            page = page
                .find_subcommand(name)
                .ok_or_else(|| Usage(format!("there is no command {}", self.command.join(" "))))?;
        }
        let title = page.get_display_name().unwrap_or("candlemill").to_owned();
        let mut text = Vec::new();
        clap_mangen::Man::new(page.clone()).title(title).render(&mut text).context("writing the page")?;
        std::io::stdout().write_all(&text).context("writing to standard output")
    }
}
