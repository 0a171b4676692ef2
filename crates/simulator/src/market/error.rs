//! Why candles cannot be served.

use std::path::PathBuf;
use std::sync::Arc;

/// Why candles cannot be served.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MarketError {
    /// The folder or a file cannot be read.
    #[error("cannot read {path}", path = path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// A file's name or content is not as expected.
    #[error("{path}, line {line}: {problem}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, from 1; 0 when unknown.
        line: u64,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// The task that reads or computes rows ended without a result.
    #[error("the rows could not be prepared")]
    Unprepared(#[source] Arc<tokio::task::JoinError>),
}
