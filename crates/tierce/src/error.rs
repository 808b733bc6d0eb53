//! What can go wrong: for a caller of a load, and for everybody else.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// The outcome of a load: `tierce::Result<T, E>`.
pub type Result<T, E> = std::result::Result<T, LoadError<E>>;

/// Why a lookup that may load has no value.
///
/// Cheap to clone whatever `E` is: all callers who waited for one failed load get the same error.
///
/// It is an [`Error`](std::error::Error) itself where `E` is one, so `?` puts it into a `Box<dyn Error + Send + Sync>`
/// or an `anyhow::Error`, and `source()` is the loader's error. Where `E` is such a box itself, which is no `Error`,
/// [`into_error`](LoadError::into_error) stands before the `?`.
#[non_exhaustive]
pub enum LoadError<E> {
    /// The loader said so.
    Load(Arc<E>),
    /// The caller's own time, or the load's deadline, was over.
    Timeout,
    /// The loader panicked, or there is no timer to bound it by; the panic's message, where it is text.
    Panicked(Arc<str>),
    /// The runtime that ran the load stopped, more often than this caller could start it again.
    Abandoned,
    /// The load waits for itself, through this key.
    Cycle,
    /// As many loads as allowed run and wait already.
    Busy,
}

impl<E> LoadError<E> {
    /// The loader's own error, where it is one.
    pub fn load(&self) -> Option<&E> {
        match self {
            LoadError::Load(error) => Some(error),
            _ => None,
        }
    }

    /// The loader's own error, or else the same with a loader's error of any type.
    pub(crate) fn apart<F>(self) -> std::result::Result<Arc<E>, LoadError<F>> {
        Err(match self {
            LoadError::Load(own) => return Ok(own),
            LoadError::Timeout => LoadError::Timeout,
            LoadError::Panicked(message) => LoadError::Panicked(message),
            LoadError::Abandoned => LoadError::Abandoned,
            LoadError::Cycle => LoadError::Cycle,
            LoadError::Busy => LoadError::Busy,
        })
    }

    /// An [`Error`](std::error::Error) of what is none: a load's whose loader fails with a boxed error.
    ///
    /// For `E` = `Box<dyn Error + Send + Sync>`, `anyhow::Error` and whatever else lends its error by `AsRef`.
    ///
    /// ```
    /// # use std::error::Error;
    /// type Any = Box<dyn Error + Send + Sync>;
    ///
    /// async fn lamp(lamps: &tierce::Cache<u64, String>) -> Result<String, Any> {
    ///     let load = || async { Err::<String, Any>("the shop is closed".into()) };
    ///     Ok(lamps.get_or_load(&7, load).await.map_err(tierce::LoadError::into_error)?)
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let lamps = tierce::Hub::embedded().local_cache("lamp").build();
    /// # let error = lamp(&lamps).await.unwrap_err();
    /// # assert_eq!(error.to_string(), "load failed: the shop is closed");
    /// # assert_eq!(error.source().map(ToString::to_string), Some("the shop is closed".to_string()));
    /// # }
    /// ```
    pub fn into_error(self) -> impl std::error::Error + Send + Sync + 'static
    where
        E: AsRef<dyn std::error::Error + Send + Sync> + fmt::Debug + fmt::Display + Send + Sync + 'static,
    {
        Lent(self)
    }
}

/// A load's error whose `E` is no error, but lends one.
struct Lent<E>(LoadError<E>);

impl<E: fmt::Display> fmt::Display for Lent<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<E: fmt::Debug> fmt::Debug for Lent<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<E> std::error::Error for Lent<E>
where
    E: AsRef<dyn std::error::Error + Send + Sync> + fmt::Debug + fmt::Display,
{
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let lent: &(dyn std::error::Error + Send + Sync) = self.0.load()?.as_ref();
        Some(lent)
    }
}

impl<E> Clone for LoadError<E> {
    fn clone(&self) -> Self {
        match self {
            LoadError::Load(error) => LoadError::Load(Arc::clone(error)),
            LoadError::Timeout => LoadError::Timeout,
            LoadError::Panicked(message) => LoadError::Panicked(Arc::clone(message)),
            LoadError::Abandoned => LoadError::Abandoned,
            LoadError::Cycle => LoadError::Cycle,
            LoadError::Busy => LoadError::Busy,
        }
    }
}

impl<E> From<E> for LoadError<E> {
    fn from(error: E) -> Self {
        LoadError::Load(Arc::new(error))
    }
}

impl<E: fmt::Display> fmt::Display for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Load(error) => write!(f, "load failed: {error}"),
            LoadError::Timeout => f.write_str("load timed out"),
            LoadError::Panicked(message) => write!(f, "load panicked: {message}"),
            LoadError::Abandoned => f.write_str("load abandoned: its runtime stopped"),
            LoadError::Cycle => f.write_str("load waits for itself: the loader asked for a key that waits for it"),
            LoadError::Busy => f.write_str("too many loads: as many as max_concurrent_loads allows run and wait"),
        }
    }
}

impl<E: fmt::Debug> fmt::Debug for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Load(error) => f.debug_tuple("Load").field(error).finish(),
            LoadError::Timeout => f.write_str("Timeout"),
            LoadError::Panicked(message) => f.debug_tuple("Panicked").field(message).finish(),
            LoadError::Abandoned => f.write_str("Abandoned"),
            LoadError::Cycle => f.write_str("Cycle"),
            LoadError::Busy => f.write_str("Busy"),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for LoadError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LoadError::Load(error) => Some(&**error),
            _ => None,
        }
    }
}

/// Why a write through a cache failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError<E> {
    /// The write to the source said so; whether it was written only the source knows.
    Source(E),
    /// The source was written, and the cache could not be told: old values may be served until they expire.
    Cache(Error),
}

impl<E: fmt::Display> fmt::Display for WriteError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Source(error) => write!(f, "write failed: {error}"),
            WriteError::Cache(error) => write!(f, "written, but the cache could not be told: {error}"),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for WriteError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            WriteError::Source(error) => Some(error),
            WriteError::Cache(error) => Some(error),
        }
    }
}

/// The text of a panic's payload.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> Arc<str> {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    Arc::from(text.unwrap_or("a panic without a message"))
}

/// What went wrong with the cache itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    operation: &'static str,
    detail: String,
}

/// What kind of [`Error`] it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A name is taken by a cache of another shape.
    Conflict,
    /// The store did not take a change, which is told again until it holds, or did not answer.
    ///
    /// The latter is of `servers`, `command` and, where the store is required, `connect`.
    Store,
    /// A name or a tag is empty or too long, or an option contradicts another.
    Invalid,
}

impl Error {
    pub(crate) fn new(kind: Kind, operation: &'static str, detail: impl Into<String>) -> Self {
        Error { kind, operation, detail: detail.into() }
    }

    /// What kind of error it is, to decide by.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The operation that failed: `build`, `invalidate_tag`, ….
    pub fn operation(&self) -> &'static str {
        self.operation
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.detail)
    }
}

impl std::error::Error for Error {}
