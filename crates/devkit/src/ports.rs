//! Free ports, and ports that are kept from one run to the next.

use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;

/// A port of 127.0.0.1 on which nothing listened a moment ago.
///
/// # Errors
/// When the machine has none left.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("looking for a free port")?;
    Ok(listener.local_addr().context("looking for a free port")?.port())
}

/// The ports of an earlier run, by the name of what listened there.
#[derive(Debug)]
pub struct RememberedPorts {
    file: PathBuf,
    ports: BTreeMap<String, u16>,
}

impl RememberedPorts {
    /// Reads `file`; none are remembered when it does not exist or is damaged.
    #[must_use]
    pub fn read(file: PathBuf) -> Self {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let ports = serde_json::from_str(&text).unwrap_or_default();
        Self { file, ports }
    }

    /// The port that `name` had before if it is free, else a new one, which is remembered.
    ///
    /// # Errors
    /// When no port is free or the file cannot be written.
    pub fn of(&mut self, name: &str) -> Result<u16> {
        let before = self.ports.get(name).copied();
        if let Some(port) = before.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()) {
            return Ok(port);
        }
        // The port of another name may be free only because its owner has not started yet.
        let port = loop {
            let port = free_port()?;
            if !self.ports.values().any(|taken| *taken == port) {
                break port;
            }
        };
        self.ports.insert(name.to_owned(), port);
        let text = serde_json::to_string_pretty(&self.ports).context("writing the ports")?;
        std::fs::write(&self.file, text).with_context(|| format!("writing {}", self.file.display()))?;
        Ok(port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_stay_while_they_are_free() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ports.json");
        let first = RememberedPorts::read(file.clone()).of("redis").unwrap();
        assert_eq!(RememberedPorts::read(file.clone()).of("redis").unwrap(), first);
        let _taken = TcpListener::bind(("127.0.0.1", first)).unwrap();
        let other = RememberedPorts::read(file.clone()).of("redis").unwrap();
        assert_ne!(other, first);
        std::fs::write(&file, "no json").unwrap();
        RememberedPorts::read(file).of("redis").unwrap();
    }
}
