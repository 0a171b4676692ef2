//! What can go wrong in a store, and what it means for the caller.

use mongodb::error::WriteFailure;
use mongodb::results::InsertManyResult;
use redis::RedisError;

/// A failed call to MongoDB or Redis.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Redis did not answer, or answered an error.
    #[error("Redis failed while {action}")]
    Redis {
        /// What was being done.
        action: &'static str,
        /// The client's error.
        #[source]
        source: RedisError,
    },
    /// MongoDB did not answer, or answered an error.
    #[error("MongoDB failed while {action}")]
    Mongo {
        /// What was being done.
        action: &'static str,
        /// The driver's error.
        #[source]
        source: Box<mongodb::error::Error>,
    },
    /// Something stored does not have the form it was stored in.
    #[error("{what} in the store cannot be read: {why}")]
    Corrupt {
        /// Which thing.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// More is waiting to be written than the process may hold.
    #[error("too much is waiting to be written; try again in a moment")]
    Overloaded,
}

impl StoreError {
    pub(crate) fn redis(action: &'static str) -> impl FnOnce(RedisError) -> Self {
        move |source| Self::Redis { action, source }
    }

    pub(crate) fn mongo(action: &'static str) -> impl FnOnce(mongodb::error::Error) -> Self {
        move |source| Self::Mongo { action, source: Box::new(source) }
    }

    /// As [`Self::mongo`], for streams that may fail more than once.
    pub(crate) fn mongo_in(action: &'static str) -> impl Fn(mongodb::error::Error) -> Self + Clone {
        move |source| Self::Mongo { action, source: Box::new(source) }
    }

    pub(crate) fn corrupt(what: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self::Corrupt { what: what.into(), why: why.to_string() }
    }

    /// Whether the same call may succeed later without anybody's doing: a server is away, starting, or overloaded.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        use mongodb::error::ErrorKind as Mongo;
        match self {
            Self::Redis { source, .. } => is_passing(source),
            Self::Mongo { source, .. } => match source.kind.as_ref() {
                Mongo::Io(_) | Mongo::ConnectionPoolCleared { .. } | Mongo::ServerSelection { .. } => true,
                Mongo::Write(WriteFailure::WriteError(error)) => is_not_now(error.code),
                Mongo::Write(WriteFailure::WriteConcernError(error)) => is_not_now(error.code),
                Mongo::Command(error) => is_not_now(error.code),
                Mongo::InsertMany(error) => match (&error.write_errors, &error.write_concern_error) {
                    (None, _) => true,
                    // Documents that were there already say nothing about why the others are not safe.
                    (Some(failed), Some(_)) => failed.iter().all(|one| one.code == DUPLICATE_KEY),
                    (Some(_), None) => false,
                },
                _ => false,
            },
            Self::Overloaded => true,
            Self::Corrupt { .. } => false,
        }
    }

    /// Name of the server that failed.
    #[must_use]
    pub const fn store(&self) -> &'static str {
        match self {
            Self::Redis { .. } => "redis",
            Self::Mongo { .. } | Self::Corrupt { .. } | Self::Overloaded => "mongodb",
        }
    }
}

pub(crate) const DUPLICATE_KEY: i32 = 11_000;

/// Not primary, shutting down, interrupted, in conflict, exceeded its time: the server says "not now".
const fn is_not_now(code: i32) -> bool {
    matches!(code, 6 | 7 | 50 | 89 | 91 | 112 | 189 | 262 | 9001 | 10_107 | 11_600 | 11_602 | 13_435 | 13_436)
}

/// The positions of documents that an unordered insertion found there already.
pub(crate) fn duplicates(
    outcome: Result<InsertManyResult, mongodb::error::Error>,
    action: &'static str,
) -> Result<Vec<usize>, StoreError> {
    let Err(error) = outcome else { return Ok(Vec::new()) };
    let found = match error.kind.as_ref() {
        mongodb::error::ErrorKind::InsertMany(failure) if failure.write_concern_error.is_none() => {
            failure.write_errors.as_deref().filter(|failed| failed.iter().all(|e| e.code == DUPLICATE_KEY))
        }
        _ => None,
    };
    match found {
        Some(failed) => Ok(failed.iter().map(|e| e.index).collect()),
        None => Err(StoreError::mongo(action)(error)),
    }
}

/// Whether Redis may answer the same command later: the connection is gone, or the server loads, fails over, is full.
pub(crate) fn is_passing(error: &RedisError) -> bool {
    use redis::{ErrorKind, ServerErrorKind};
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_connection_refusal()
        || error.code() == Some("OOM")
        || matches!(
            error.kind(),
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                    | ServerErrorKind::TryAgain
                    | ServerErrorKind::ReadOnly
                    | ServerErrorKind::MasterDown
            )
        )
}
