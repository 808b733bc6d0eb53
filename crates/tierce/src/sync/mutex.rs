//! Mutexes, which only caches use.

use std::sync::PoisonError;

#[cfg(not(tierce_shuttle))]
pub(crate) use std::sync::{Mutex, MutexGuard};

#[cfg(tierce_shuttle)]
pub(crate) use shuttle::sync::{Mutex, MutexGuard};

/// Locks, whether or not an earlier holder panicked.
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
