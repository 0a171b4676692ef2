//! The project's folder and names for throw-away things.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The folder that holds the workspace's `Cargo.toml`.
#[must_use]
pub fn project_root() -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    crates.map(Path::to_path_buf).unwrap_or_default()
}

/// A name that no other test on this machine uses at the same time: `<prefix>_<process id>_<number>`.
#[must_use]
pub fn unique_name(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{prefix}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
