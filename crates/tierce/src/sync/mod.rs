//! Locks, atomics and what a thread keeps to itself: std's, or shuttle's when the model checker runs the crate.
//!
//! The model checker's threads all live on one thread of the system, so what is theirs alone has to be shuttle's too.
//!
//! A panic while a lock is held leaves nothing half-done (each file that locks says why), so poison is ignored:
//! one user's panicking `Eq` must not take the cache from everybody else.

#[cfg(feature = "cache")]
mod mutex;

#[cfg(feature = "cache")]
pub(crate) use mutex::{Condvar, Mutex, MutexGuard, lock, wait};

#[cfg(not(tierce_shuttle))]
pub(crate) use std::{
    sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, atomic},
    thread::yield_now,
    thread_local,
};

#[cfg(tierce_shuttle)]
pub(crate) use shuttle::{
    sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, atomic},
    thread::yield_now,
    thread_local,
};

use std::sync::PoisonError;

/// Waits for what another thread is about to do: spins for about a microsecond, then lets others run.
#[inline]
pub(crate) fn spin_while(mut condition: impl FnMut() -> bool) {
    const SPINS: u32 = 64;
    let mut spins = 0;
    while condition() {
        if spins < SPINS && cfg!(not(tierce_shuttle)) {
            spins += 1;
            std::hint::spin_loop();
        } else {
            yield_now();
        }
    }
}

/// Locks for reading, beside other readers.
#[inline]
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Locks for writing, alone.
#[inline]
pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
