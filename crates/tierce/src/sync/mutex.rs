//! Mutexes, which only caches use.

use std::sync::PoisonError;
use std::time::Duration;

#[cfg(not(tierce_shuttle))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};

#[cfg(tierce_shuttle)]
pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard};

/// Locks, whether or not an earlier holder panicked.
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a bell, at most this long where it is said; may come back early.
pub(crate) fn wait<'a, T>(bell: &Condvar, guard: MutexGuard<'a, T>, at_most: Option<Duration>) -> MutexGuard<'a, T> {
    match at_most {
        Some(at_most) => bell.wait_timeout(guard, at_most).unwrap_or_else(PoisonError::into_inner).0,
        None => bell.wait(guard).unwrap_or_else(PoisonError::into_inner),
    }
}
