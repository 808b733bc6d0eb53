//! What a batch has for its caller when a part of it could not be loaded.

use std::fmt;

use crate::error::LoadError;

/// Some ids of a batch have no answer; those that have one are here.
///
/// It is an [`Error`](std::error::Error) where `E` is one, so `?` passes it on; who can do with less takes what
/// [`found`](Partial::found).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let users = tierce::Hub::embedded().local_cache::<u64, String>("user").build();
/// users.set(1, "Ada".to_string()).await.unwrap();
/// let load = |_: Vec<u64>| async { Err::<Vec<(u64, String)>, _>(std::io::Error::other("down")) };
/// let partial = users.get_many_or_load(&[1, 2], load).await.unwrap_err();
/// assert_eq!(partial.found(), [Some("Ada".to_string()), None]);
/// assert_eq!((partial.failed(), partial.to_string()), (&[1][..], "1 of 2 ids failed: load failed: down".to_string()));
/// # }
/// ```
pub struct Partial<V, E> {
    pub(super) found: Vec<Option<V>>,
    pub(super) failed: Vec<usize>,
    pub(super) error: LoadError<E>,
}

impl<V, E> Partial<V, E> {
    /// What was found or loaded, in the order of the ids. `None` for an id without a value, and for one that failed.
    pub fn found(&self) -> &[Option<V>] {
        &self.found
    }

    /// The same, to keep.
    pub fn into_found(self) -> Vec<Option<V>> {
        self.found
    }

    /// The places of the ids that have no answer, in their order.
    pub fn failed(&self) -> &[usize] {
        &self.failed
    }

    /// Why: the error of the first that failed. The others may have failed for another reason, where several loads were
    /// needed.
    pub fn error(&self) -> &LoadError<E> {
        &self.error
    }
}

impl<V: Clone, E> Clone for Partial<V, E> {
    fn clone(&self) -> Self {
        Partial { found: self.found.clone(), failed: self.failed.clone(), error: self.error.clone() }
    }
}

impl<V, E> From<Partial<V, E>> for LoadError<E> {
    /// Without what was found.
    fn from(partial: Partial<V, E>) -> Self {
        partial.error
    }
}

impl<V, E: fmt::Display> fmt::Display for Partial<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} ids failed: {}", self.failed.len(), self.found.len(), self.error)
    }
}

/// Without the values, which need not be `Debug`.
impl<V, E: fmt::Debug> fmt::Debug for Partial<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.found.len();
        f.debug_struct("Partial").field("ids", &ids).field("failed", &self.failed).field("error", &self.error).finish()
    }
}

impl<V, E: std::error::Error + 'static> std::error::Error for Partial<V, E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
