//! What can go wrong between the pool and SQLite.

use std::fmt;

/// A failed query, or a pool that is gone.
#[derive(Debug)]
pub(crate) enum Error {
    Sqlite(rusqlite::Error),
    /// The machine refused a folder, a file or a thread.
    System {
        doing: &'static str,
        source: std::io::Error,
    },
    /// The pool was closed, or its thread ended, before the answer came.
    Closed,
    /// It was told to fail.
    Failing,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(source) => source.fmt(f),
            Self::System { doing, source } => write!(f, "cannot {doing}: {source}"),
            Self::Closed => write!(f, "the pool is closed"),
            Self::Failing => write!(f, "the database was told to fail"),
        }
    }
}

impl std::error::Error for Error {}

impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Self {
        Self::Sqlite(source)
    }
}
