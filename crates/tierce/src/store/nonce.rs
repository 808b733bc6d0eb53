//! Numbers that nobody draws twice: tokens of leases, versions of tags.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use crate::clock::Clock;
use crate::mutant::{self, Mutant};
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// 128 bits, from the keys that the system's own chance gives to std's maps; those change with each call. Process and time
/// are in it since a process that was forked has the keys of its parent.
pub(crate) fn nonce() -> u128 {
    let keys = RandomState::new();
    let here = (std::process::id(), Clock::system().precise());
    let half = |which: u8| u128::from(keys.hash_one((which, here)));
    half(0) << 64 | half(1)
}

/// What a tag is at from its invalidation on.
#[allow(dead_code, reason = "a store in the process counts")]
pub(crate) fn renewed() -> u128 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    if mutant::on(Mutant::TagRenewedByCounter) { u128::from(COUNT.fetch_add(1, Relaxed)) } else { nonce() }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::nonce;

    #[test]
    fn no_number_comes_twice_and_every_bit_moves() {
        let all: HashSet<u128> = (0..1000).map(|_| nonce()).collect();
        assert_eq!(all.len(), 1000);
        assert_eq!(all.iter().fold(0, |or, nonce| or | nonce), u128::MAX);
        assert_eq!(all.iter().fold(u128::MAX, |and, nonce| and & nonce), 0);
    }
}
