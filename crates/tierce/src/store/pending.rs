//! Invalidations that a store has not taken: kept until it has.
//!
//! What was invalidated while the store could not be told stays in it, and other processes go on finding it there. So each
//! such change is kept, once per key and tag, and told again until the store has it. This process itself does not ask the
//! store for such a key meanwhile.

use std::collections::HashMap;
use std::hash::Hash;

use super::face::{Key, Tag};
use crate::mutant::{self, Mutant};
use crate::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use crate::sync::{Mutex, lock};

/// As many are kept; beyond that everything is purged as soon as the store can be told.
const MOST: usize = 100_000;

/// What the store has not been told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Untold {
    pub(crate) keys: Vec<Key>,
    pub(crate) tags: Vec<Tag>,
    /// More than could be kept.
    pub(crate) too_many: bool,
}

/// The invalidations that a store has not taken.
#[derive(Default)]
pub(crate) struct Pending {
    kept: Mutex<Kept>,
    /// As many as are kept: looked at without the lock by every lookup that asks the store. In one order with who tells
    /// (`keeping.rs`).
    count: AtomicUsize,
}

#[derive(Default)]
struct Kept {
    /// Each with the number of its last failure: one that failed again while it was being told stays.
    keys: HashMap<Key, u64>,
    tags: HashMap<Tag, u64>,
    too_many: bool,
    number: u64,
    /// What of it has yet to have its turn: what the store does not take waits until all else was told once.
    round: (Vec<Key>, Vec<Tag>),
}

/// What is about to be told, and up to which failure.
pub(crate) struct Telling {
    pub(crate) untold: Untold,
    pub(crate) up_to: u64,
}

impl Pending {
    /// Keeps what the store could not be told.
    pub(crate) fn keep(&self, keys: &[Key], tags: &[Tag]) {
        if keys.is_empty() && tags.is_empty() || mutant::on(Mutant::UntoldForgotten) {
            return;
        }
        let mut kept = lock(&self.kept);
        kept.number += 1;
        let number = kept.number;
        kept.keys.extend(keys.iter().map(|key| (key.clone(), number)));
        kept.tags.extend(tags.iter().map(|tag| (tag.clone(), number)));
        let mut let_go = Kept::default();
        if kept.keys.len() + kept.tags.len() > MOST {
            let_go = std::mem::take(&mut *kept);
            kept.number = number;
            kept.too_many = true;
        }
        self.count(&kept);
        drop(kept);
        drop(let_go);
    }

    /// Whether there is anything to tell.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(SeqCst) == 0
    }

    /// How many are kept.
    pub(crate) fn len(&self) -> usize {
        self.count.load(SeqCst)
    }

    /// Whether the store has something of this key that was invalidated.
    pub(crate) fn has(&self, key: &Key) -> bool {
        if self.is_empty() {
            return false;
        }
        let kept = lock(&self.kept);
        kept.too_many || kept.keys.contains_key(key)
    }

    /// Whether the store has not been told of one of these tags.
    pub(crate) fn has_any(&self, tags: &[Tag]) -> bool {
        if self.is_empty() {
            return false;
        }
        let kept = lock(&self.kept);
        kept.too_many || tags.iter().any(|tag| kept.tags.contains_key(tag))
    }

    /// Some of it, whose turn it is, to be told.
    pub(crate) fn tell(&self, at_most: usize) -> Telling {
        let mut kept = lock(&self.kept);
        let Kept { keys, tags, too_many, number, round } = &mut *kept;
        let untold = Untold {
            keys: next(&mut round.0, keys, at_most),
            tags: next(&mut round.1, tags, at_most),
            too_many: *too_many,
        };
        Telling { untold, up_to: *number }
    }

    /// Whether all that is kept has had its turn.
    pub(crate) fn is_round_over(&self) -> bool {
        let kept = lock(&self.kept);
        kept.round.0.is_empty() && kept.round.1.is_empty()
    }

    /// This has been told, of what was kept up to that failure. What has failed anew since stays.
    pub(crate) fn told(&self, told: &Untold, up_to: u64) {
        let mut gone = Vec::new();
        let mut kept = lock(&self.kept);
        for key in &told.keys {
            if kept.keys.get(key).is_some_and(|number| *number <= up_to) {
                gone.extend(kept.keys.remove_entry(key));
            }
        }
        for tag in &told.tags {
            if kept.tags.get(tag).is_some_and(|number| *number <= up_to) {
                kept.tags.remove(tag);
            }
        }
        if told.too_many && kept.number == up_to {
            kept.too_many = false;
        }
        self.count(&kept);
        drop(kept);
    }

    fn count(&self, kept: &Kept) {
        self.count.store(kept.keys.len() + kept.tags.len() + usize::from(kept.too_many), SeqCst);
    }
}

/// As many as that whose turn it is; after the last a new round begins.
fn next<T: Clone + Eq + Hash>(round: &mut Vec<T>, kept: &HashMap<T, u64>, at_most: usize) -> Vec<T> {
    if round.is_empty() {
        round.extend(kept.keys().cloned());
    }
    let mut next = Vec::with_capacity(at_most.min(round.len()));
    while next.len() < at_most
        && let Some(one) = round.pop()
    {
        if kept.contains_key(&one) {
            next.push(one);
        }
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_again_while_it_is_told_is_told_again() {
        let pending = Pending::default();
        let (a, b, tag) = (Key::new("{a}"), Key::new("{b}"), Tag::new("{t}"));
        pending.keep(&[a.clone(), b.clone()], std::slice::from_ref(&tag));
        let telling = pending.tell(10);
        pending.keep(std::slice::from_ref(&a), &[]);
        pending.told(&telling.untold, telling.up_to);
        assert!(pending.has(&a) && !pending.has(&b) && !pending.has_any(&[tag]));
        let telling = pending.tell(10);
        pending.told(&telling.untold, telling.up_to);
        assert!(pending.is_empty());
    }

    #[test]
    fn what_is_not_taken_has_its_turn_again_after_all_else() {
        let pending = Pending::default();
        let keys: Vec<_> = (0..250).map(|number| Key::new(format!("{{{number}}}"))).collect();
        pending.keep(&keys, &[]);
        let mut told = Vec::new();
        for more in [100, 100, 50] {
            assert!(told.is_empty() || !pending.is_round_over());
            let telling = pending.tell(100);
            assert_eq!(telling.untold.keys.len(), more);
            told.extend(telling.untold.keys);
            pending.told(&Untold::default(), telling.up_to);
        }
        assert!(pending.is_round_over());
        told.sort_by_key(|key| key.as_str().to_string());
        told.dedup();
        assert_eq!((told.len(), pending.len(), pending.tell(100).untold.keys.len()), (250, 250, 100));
    }

    #[test]
    fn more_than_can_be_kept_is_everything() {
        let pending = Pending::default();
        for i in 0..=MOST {
            pending.keep(&[Key::new(format!("{{{i}}}"))], &[]);
        }
        assert_eq!(pending.len(), 1);
        assert!(pending.has(&Key::new("{any}")));
        let telling = pending.tell(10);
        assert!(telling.untold.too_many);
        pending.told(&telling.untold, telling.up_to);
        assert!(pending.is_empty());
    }
}
